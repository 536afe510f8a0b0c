"""The benchmarks run, their C programs do their arithmetic right, and nothing is left behind.

No figure is asserted: what a busy machine measures proves nothing.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
import sysv_ipc

from benchmarks import measuring, programs, stored_run
from benchmarks.__main__ import main
from benchmarks.measuring import Goal, Row, measure
from common import kinds
from common.kernel import existing
from common.pipeline import judge_run
from tests.conftest import PATIENCE, Fork

needs_c = pytest.mark.skipif(bool(programs.no_compiler()), reason=programs.no_compiler())

# Behind the four rows of the table the C program keeps the id of its semaphores.
SEMAPHORES_AT = 96


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "benchmarks", *map(str, words)]


def until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline
        os.sched_yield()


@needs_c
def test_locked_c_traders_keep_every_unit() -> None:
    """Four C processes under the semaphore leave exactly the stock that their trades make."""
    found = programs.run([programs.reference("trader"), "4", "3000", "undo"])
    assert found["operations"] == 12_000
    assert found["final"] == found["expected"]
    assert found["final"] != [10000, 10000, 10000, 5000]


@needs_c
def test_one_unlocked_c_trader_keeps_every_unit() -> None:
    """Alone, a C process needs no lock for the same equality."""
    found = programs.run([programs.reference("trader"), "1", "3000", "none"])
    assert found["final"] == found["expected"]


@needs_c
@pytest.mark.parametrize("kind", ["sysv_queue", "fifo"])
def test_c_channels_deliver_every_message(kind: str, tmp_path: Path) -> None:
    """The numbers that the C consumer received add up to those that were sent."""
    words = [str(tmp_path / "fifo")] if kind == "fifo" else []
    found = programs.run([programs.reference("channel"), kind, "3000", *words])
    assert found["sum"] == found["expected"] == 3000 * 3001 // 2
    assert list(tmp_path.iterdir()) == []


@needs_c
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_c_program_removes_its_objects(number: signal.Signals) -> None:
    """SIGINT and SIGTERM in the middle of a run leave neither segment nor semaphores."""
    process = subprocess.Popen([programs.reference("trader"), "1", "10000000", "undo"])
    try:
        segments: list[int] = []

        def made() -> bool:
            segments[:] = [
                int(row["shmid"]) for row in existing.listed("shm") if row["cpid"] == process.pid
            ]
            return bool(segments)

        until(made)
        memory = sysv_ipc.attach(segments[0])
        view = memoryview(memory)
        until(lambda: any(view[SEMAPHORES_AT : SEMAPHORES_AT + 4]))
        (semaphores,) = struct.unpack_from("i", view, SEMAPHORES_AT)
        view.release()
        memory.detach()
        assert semaphores in [row["semid"] for row in existing.listed("sem")]
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert segments[0] not in [row["shmid"] for row in existing.listed("shm")]
    assert semaphores not in [row["semid"] for row in existing.listed("sem")]


@needs_c
@pytest.mark.parametrize("name", kinds.names("benchmarks.rows"))
def test_every_row_is_measured(
    name: str, tmp_path: Path, fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quick form of each row yields finite positive ratios, and leaves no file."""
    # Each side once: how rounds go is another test's question.
    take_turns = measuring.take_turns
    monkeypatch.setattr(measuring, "take_turns", lambda sides, _rounds: take_turns(sides, 1))
    told, out = tmp_path / "told", tmp_path / "out"

    def work() -> None:
        with told.open("w") as file, redirect_stdout(file):
            status = main([name, "--quick", "--json", "--out", str(out)])
        os._exit(status)

    assert fork(work).ended() == 0
    (row,) = json.loads(told.read_text())["rows"]
    assert row["skipped"] == ""
    assert row["goals"]
    for goal in row["goals"]:
        for ratio in goal["ratio"].values():
            assert math.isfinite(ratio)
            assert ratio > 0
    assert list(out.iterdir()) == []


@pytest.fixture
def runtime() -> Iterator[Path]:
    # Short, as the sockets below it have no more than 107 bytes.
    path = Path(tempfile.mkdtemp(prefix="bench-"))
    yield path
    shutil.rmtree(path)


def has_processes(runtime: Path) -> bool:
    """Whether a run there has started its processes; it may end while one looks."""
    try:
        return any('"process"' in path.read_text() for path in runtime.glob("lab-*/ledger"))
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_benchmark_leaves_nothing(
    number: signal.Signals, runtime: Path, tmp_path: Path
) -> None:
    """The program that is being measured removes its objects and its ledger before the end."""
    process = subprocess.Popen(
        command("unlocked_trader", "--out", tmp_path),
        cwd=programs.ROOT,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: has_processes(runtime))
        process.send_signal(number)
        assert process.wait(PATIENCE) == 128 + number
    finally:
        process.kill()
        process.wait()
    assert list(runtime.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_without_a_compiler_the_reason_is_said(tmp_path: Path) -> None:
    """A row that needs C is skipped with its reason, and the exit status tells."""
    done = subprocess.run(
        command("one_trader", "--quick", "--out", tmp_path),
        cwd=programs.ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "CC": "no-such-compiler"},
    )  # fmt: skip
    assert "skipped: there is no no-such-compiler here" in done.stdout
    assert done.returncode == 4


def test_an_unknown_row_is_a_usage_error() -> None:
    """A name that is no row gets the nearest one, and status 2."""
    done = subprocess.run(
        command("one_trade"), cwd=programs.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "did you mean 'one_trader'?" in done.stderr


def test_the_sides_take_turns_and_ratios_are_taken_within_a_round() -> None:
    """A B A B …; a machine that halves its speed halves both sides, and no ratio moves."""
    turns: list[str] = []

    def side(name: str, speed: float) -> Callable[[], dict[str, float]]:
        def once() -> dict[str, float]:
            turns.append(name)
            return {name: speed / 2 ** turns.count(name)}

        return once

    row = Row({"A": "", "B": ""}, [side("A", 3), side("B", 12)], [Goal("A", "B")], rounds=3)
    found = measure("row", "?", row, quick=False)
    assert "".join(turns) == "ABABAB"
    assert found.ratios[0][1] == (0.25, 0.25, 0.25)
    assert found.figures["A"][0] == (0.75, 0.375, 1.5)


@pytest.mark.parametrize(
    ("goal", "met", "missed"),
    [
        (Goal("a", "b", at_least=0.5), 0.5, 0.49),
        (Goal("a", "b", at_most=3), 3.0, 3.1),
        (Goal("a", "b", below=3), 2.9, 3.0),
    ],
)
def test_a_bound_is_inclusive_or_not_as_its_name_says(
    goal: Goal, met: float, missed: float
) -> None:
    """``at_least`` and ``at_most`` include their bound, ``below`` does not."""
    assert goal.met(met) is True
    assert goal.met(missed) is False


@pytest.mark.parametrize(("locked", "verdict"), [(True, "valid"), (False, "anomaly")])
def test_the_generated_run_is_what_it_claims(locked: bool, verdict: str, tmp_path: Path) -> None:
    """The run that is judged for speed is a whole one: valid, or with exactly its lost updates."""
    size = stored_run.write(tmp_path, 4_000, locked=locked)
    document = judge_run(tmp_path, stored_run.SYSTEMS)
    assert size == 4_000 * 80 + 4 * 4096
    assert (document["verdict"], document["doubts"]) == (verdict, [])
    assert [finding["kind"] for finding in document["findings"]] == (
        [] if locked else ["lost_update", "data_race"]
    )
