"""The experiments on names, flags and owners of objects, on keys, and on ipcs and ipcrm."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, UNDECIDED, Experiment
from common.claims.mechanisms import (
    _kinds_of_objects,
    posix_flags,
    posix_names,
    sysv_keys,
    sysv_names,
)
from common.kernel.libc import sysv_calls
from tests.claims.conducting import conducted, decided

MECHANISMS = ("posix_names", "posix_flags", "sysv_names", "sysv_keys", "socket_names")
EXPERIMENTS = [each for mechanism in MECHANISMS for each in claim.experiments(mechanism)]
# Not A26 and A25, which the C library decides, nor A35 and A36, which need ipcs and ipcrm.
CERTAIN = {
    "A17": HOLDS, "A18": HOLDS, "A19": HOLDS, "A20": HOLDS, "A21": FAILS, "A23": HOLDS,
    "A24": FAILS, "A27": DEPENDS, "A28": HOLDS, "A29": HOLDS, "A30": FAILS, "A31": HOLDS,
    "A32": HOLDS, "A34": HOLDS, "A76": DEPENDS, "B102": HOLDS, "B103": HOLDS, "B104": HOLDS,
}  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_it_comes_to_a_verdict_and_leaves_nothing(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence is decided, as the kernel decides it, and no object or process is left."""
    decided(experiment, tmp_path / "seen", CERTAIN)


def test_without_ipcs_and_ipcrm_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With neither in PATH the two sentences are undecided, and say what is missing."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    for experiment in EXPERIMENTS:
        if experiment.name in ("list_objects", "remove_objects"):
            for shown in conducted(experiment, tmp_path / "seen").shown.values():
                assert shown.verdict == UNDECIDED
                assert "util-linux" in shown.why


def test_names_are_portable_only_where_each_process_finds_them() -> None:
    """It holds with one found by all and kinds that differ; not when one is lost, or all agree."""
    assert posix_names.portable([True, True, True], ["EINVAL", "taken", "taken"]).verdict == HOLDS
    assert posix_names.portable([True, False, True], ["EINVAL", "taken", "taken"]).verdict == FAILS
    assert posix_names.portable([True, True, True], ["taken"] * 3).verdict == FAILS


def test_the_umask_makes_modes_depend_only_where_some_kinds_heed_it() -> None:
    """All as asked holds; all masked fails; one kind of each depends."""
    assert posix_names.moded({0o666}, {0o666}).verdict == HOLDS
    assert posix_names.moded({0o600}, {0o600}).verdict == FAILS
    assert posix_names.moded({0o600, 0o666}, {0o666}).verdict == FAILS
    assert posix_names.moded({0o600}, {0o666}).verdict == DEPENDS


def test_the_table_of_flags_fails_where_a_listed_one_does_nothing() -> None:
    """Exactly the table holds; one more depends; one less fails, whatever else there is."""
    table = {kind: set(flags) for kind, flags in posix_flags.TABLE.items()}
    assert posix_flags.compared(table).verdict == HOLDS
    more = table | {"posix_sem": table["posix_sem"] | {"O_TRUNC"}}
    assert posix_flags.compared(more).verdict == DEPENDS
    less = more | {"posix_shm": table["posix_shm"] - {"O_TRUNC"}}
    assert posix_flags.compared(less).verdict == FAILS


def test_an_id_that_named_and_a_key_that_served_would_hold() -> None:
    """As the sentence has it; as it is, fails; and what was not seen of every kind is nothing."""
    assert sysv_names.swapped({"id is found", "key serves"}).verdict == HOLDS
    seen = {"key is found", "key is refused", "id is not found", "id serves"}
    assert sysv_names.swapped(seen).verdict == FAILS
    assert sysv_names.swapped({"id is found", "id is not found", "key serves"}).verdict == FAILS
    assert sysv_names.swapped({"None"}).verdict == FAILS


def test_keys_are_judged_by_where_they_may_come_from() -> None:
    """Any number as well depends; those two alone hold; one of them missing fails."""
    works = {"IPC_PRIVATE": True, "ftok": True, "any number": True}
    assert sysv_keys.sources(works).verdict == DEPENDS
    assert sysv_keys.sources(works | {"any number": False}).verdict == HOLDS
    assert sysv_keys.sources(works | {"ftok": False}).verdict == FAILS
    assert sysv_keys.zero([True, True]).verdict == DEPENDS
    assert sysv_keys.zero([True, False]).verdict == HOLDS


def test_a_key_is_composed_as_the_library_composes_it(tmp_path: Path) -> None:
    """Of a file's numbers and the low eight bits of the id; another id gives another key."""
    assert sysv_keys.composed(tmp_path, 0x141) == sysv_calls.ftok(tmp_path, 0x41)
    assert sysv_keys.composed(tmp_path, 0x42) != sysv_calls.ftok(tmp_path, 0x41)


def test_a_list_of_functions_holds_only_without_a_slip(tmp_path: Path) -> None:
    """The lecture's list with its slip mended holds."""

    def work(lab: object) -> claim.Seen:
        return _kinds_of_objects.listed(lab, "msgget shmdt")  # type: ignore[arg-type]

    mended = Experiment("", "mended", (claim.Claim("A30", 1, ""),), work)
    assert conducted(mended, tmp_path / "seen").shown["A30"].verdict == HOLDS
