"""The experiments on semaphores, shared memory, mapped files and the exchange's table."""

from __future__ import annotations

import errno
import functools
import mmap
import struct
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from common import names
from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, UNDECIDED, Experiment, Shown
from common.claims.conduct import Result, conduct
from common.claims.endings import attempt, ending, run_program
from common.claims.lab import Lab
from common.claims.mechanisms import (
    exchange_table,
    mapped_files,
    posix_semaphores,
    shared_data,
    sysv_semaphores,
)
from common.kernel import existing
from common.kernel.libc import memory
from common.kernel.objects import Maker
from run import SYSTEMS
from tests.compiled import needs_compiler

MECHANISMS = (
    "posix_semaphores", "sysv_semaphores", "shared_memory", "shared_data", "exchange_table",
    "mapped_files",
)  # fmt: skip
EXPERIMENTS = [each for mechanism in MECHANISMS for each in claim.experiments(mechanism)]
# What Linux settles for every machine: no timing, no file system, no compiler decides it.
CERTAIN = {
    HOLDS: "A68 A69 A70 A71 A72 A74 A75 A79 A80 A81 A82 A83 A84 A85 A86 A87 A88 B79 B82 B83 B84 "
    "B85 B86 B91 B94 B95 B97 B100 B101 B106 B107 B110 B111 B112 B113 B114 B116 B118 B119 B120 "
    "B122 B123",
    FAILS: "B87 B88 B98 B117 B125",
    DEPENDS: "A66 A67 A73 A77 B89 B92 B99 B121 B124",
}
Draw = Callable[[], object]


@pytest.fixture
def conducted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Experiment], Result]:
    """Return a conduct that asserts that nothing of what the experiment named is left.

    Keys and tokens are drawn in the experiment's own processes: they write them into a file.
    """
    drawn = tmp_path / "drawn"
    drawn.touch()

    def noting(draw: Draw) -> object:
        value = draw()
        with drawn.open("a") as file:
            file.write(f"{value}\n")
        return value

    def run(experiment: Experiment) -> Result:
        for name in ("new_key", "new_token"):
            monkeypatch.setattr(names, name, functools.partial(noting, getattr(names, name)))
        with warnings.catch_warnings():
            # pytest's own threads: the experiment never touches what they hold.
            warnings.simplefilter("ignore", DeprecationWarning)
            result = conduct(experiment, SYSTEMS)
        words = set(drawn.read_text().split())
        left = [
            f"{table} {row['key']:#x}"
            for table in ("shm", "sem", "msg")
            for row in existing.listed(table)
            if str(row["key"]) in words
        ]
        left += [
            str(path)
            for parent in (Path("/dev/shm"), Path("/tmp"))
            for path in parent.iterdir()
            if any(word in path.name for word in words)
        ]
        assert left == []
        return result

    return run


@pytest.fixture
def lab(maker: Maker, tmp_path: Path) -> Lab:
    """Return a bench over a real maker."""
    return Lab(maker, tmp_path, SYSTEMS)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_it_comes_to_a_verdict_and_leaves_nothing(
    experiment: Experiment, conducted: Callable[[Experiment], Result]
) -> None:
    """Each experiment decides every one of its claims, as Linux does, and its objects are gone."""
    shown = conducted(experiment).shown
    assert [name for name, each in shown.items() if each.verdict == UNDECIDED] == []
    for verdict, certain in CERTAIN.items():
        for name in set(certain.split()) & set(shown):
            assert shown[name].verdict == verdict, shown[name]
    assert all(each.figure and each.why for each in shown.values())


VERDICTS: list[tuple[Callable[..., Shown], tuple[object, ...], str]] = [
    (sysv_semaphores.new_set_verdict, (2000, True, True), DEPENDS),
    (sysv_semaphores.new_set_verdict, (2000, False, True), FAILS),
    (sysv_semaphores.new_set_verdict, (1999, True, True), HOLDS),
    (posix_semaphores.trywait_verdict, ("EAGAIN",), DEPENDS),
    (posix_semaphores.trywait_verdict, ("EINVAL",), FAILS),
    (posix_semaphores.trywait_verdict, ("",), HOLDS),
    (posix_semaphores.queue_verdict, ([[0, 1, 2, 3, 4, 5]], 3), DEPENDS),
    (posix_semaphores.queue_verdict, ([[0, 1, 2, 3, 4, 5]], 0), HOLDS),
    (posix_semaphores.queue_verdict, ([[0, 2, 1, 3, 4, 5]], 0), FAILS),
    (mapped_files.size_verdict, (True, "SIGBUS", "SIGBUS"), FAILS),
    (mapped_files.size_verdict, (True, "exit 0", "exit 0"), DEPENDS),
    (mapped_files.size_verdict, (False, "SIGBUS", "SIGBUS"), HOLDS),
    (mapped_files.nonvolatile_verdict, (True, 4, 0), DEPENDS),
    (mapped_files.nonvolatile_verdict, (True, 0, 0), HOLDS),
    (mapped_files.nonvolatile_verdict, (False, 4, 0), FAILS),
    (shared_data.client_verdict, ("abcdefghijklmnopqrstuvwxy", "SIGBUS"), DEPENDS),
    (shared_data.client_verdict, ("abcdefghijklmnopqrstuvwxyz", "exit 0"), HOLDS),
    (shared_data.client_verdict, ("abc", "SIGBUS"), FAILS),
    (
        shared_data.fastest_verdict,
        ({"memory": 1.0, "pipes": 2.0}, {"with semaphores": 2.0, "pipes": 1.0}),
        DEPENDS,
    ),
    (
        shared_data.fastest_verdict,
        ({"memory": 1.0, "pipes": 2.0}, {"with semaphores": 1.0, "pipes": 2.0}),
        HOLDS,
    ),
    (
        shared_data.fastest_verdict,
        ({"memory": 2.0, "pipes": 1.0}, {"with semaphores": 1.0, "pipes": 2.0}),
        FAILS,
    ),
    (
        exchange_table.currencies_verdict,
        ({"DOLLAR": 1, "EURO": 2, "STERLIN": 3, "POUND": 4},),
        DEPENDS,
    ),
    (
        exchange_table.currencies_verdict,
        ({"DOLLAR": 1, "EURO": 2, "STERLIN": 4, "POUND": 3},),
        FAILS,
    ),
    (exchange_table.selling_verdict, (True, -1, True), FAILS),
    (exchange_table.selling_verdict, (True, 0, True), DEPENDS),
    (exchange_table.selling_verdict, (True, 0, False), HOLDS),
]


@pytest.mark.parametrize(("verdict", "seen", "expected"), VERDICTS)
def test_the_verdict_turns_with_what_is_seen(
    verdict: Callable[..., Shown], seen: tuple[object, ...], expected: str
) -> None:
    """Given other observations, the same experiment comes to another verdict."""
    assert verdict(*seen).verdict == expected


def test_whoever_touches_what_is_not_mapped_ends_by_a_signal(lab: Lab) -> None:
    """A raw store below any mapping is a segmentation fault of that process alone."""
    try:
        assert ending(lab, lambda: memory.store(8, b"x")) == "SIGSEGV"
        assert ending(lab, lambda: None) == "exit 0"
    finally:
        lab.close()


def test_a_mapping_that_the_kernel_refuses_says_why() -> None:
    """A mapping of no bytes is EINVAL, and what mmap returned is (void *) -1."""
    flags = mmap.MAP_SHARED | mmap.MAP_ANONYMOUS
    largest = 2 ** (8 * struct.calcsize("P")) - 1
    assert memory.call_mmap(0, mmap.PROT_READ, flags, -1) == (largest, errno.EINVAL)
    assert attempt(lambda: memory.map_memory(0, mmap.PROT_READ, flags, -1)) == "EINVAL"


@needs_compiler
def test_the_compiler_gets_its_flags(lab: Lab) -> None:
    """A program is compiled with what the experiment asks for, and one that is wrong is refused."""
    source = "int main(void) { return STATUS; }"
    program = lab.compile(source, "-DSTATUS=7")
    assert program is not None
    assert run_program(program) == ("", "exit 7")
    with pytest.raises(subprocess.CalledProcessError):
        lab.compile(source)
