"""The experiments on how long things stay, on what came first, and on the families of IPC."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, Experiment
from common.claims.mechanisms import history, persistence
from tests.claims.conducting import conducted, decided

EXPERIMENTS = [
    each for name in ("persistence", "history", "overview") for each in claim.experiments(name)
]
CERTAIN = {
    "A2": HOLDS, "A3": HOLDS, "A4": HOLDS, "A6": HOLDS, "A7": HOLDS, "A8": HOLDS, "A9": HOLDS,
    "A10": DEPENDS, "A11": HOLDS, "A12": DEPENDS, "A15": HOLDS, "A16": HOLDS, "B5": HOLDS,
    "B31": HOLDS, "B32": DEPENDS,
}  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_it_comes_to_a_verdict_and_leaves_nothing(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence is decided, as the kernel decides it, and no object or process is left."""
    decided(experiment, tmp_path / "seen", CERTAIN)


def test_without_a_compiler_the_locks_of_threads_are_still_decided(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With no cc in PATH the rows on threads rest on sysconf(3) and flock(2), and say so."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    (experiment,) = (each for each in EXPERIMENTS if each.name == "threads")
    result = conducted(experiment, tmp_path / "seen")
    assert {each.verdict for each in result.shown.values()} == {HOLDS}
    assert all("no compiler" in each.why for each in result.shown.values())


def test_a_sentence_of_two_halves_depends_on_one() -> None:
    """Data and name both gone, or both kept, is a verdict; one of them is neither."""
    assert persistence._both(True, True, "a", "b").verdict == HOLDS
    assert persistence._both(True, False, "a", "b").verdict == DEPENDS
    assert persistence._both(False, True, "a", "b").verdict == DEPENDS
    assert persistence._both(False, False, "a", "b").verdict == FAILS


def test_objects_on_a_disk_would_last() -> None:
    """That they last until deleted would hold with none in memory, and fails where one went."""
    assert persistence._until_deleted(True, []).verdict == HOLDS
    assert persistence._until_deleted(True, ["posix_shm"]).verdict == DEPENDS
    assert persistence._until_deleted(False, []).verdict == FAILS


@pytest.mark.parametrize(
    ("changed", "failing"),
    [
        ({"mutex": "got"}, {"A7", "A15"}),
        ({"signal": "ETIMEDOUT"}, {"A7", "A15"}),
        ({"write": "got"}, {"A8"}),
        ({"read": "EBUSY"}, {"A8"}),
        ({"descriptors": "1"}, {"A15"}),
        ({"thread": "other"}, {"A7"}),
    ],
)
def test_the_verdicts_on_threads_turn_with_what_is_found(
    changed: dict[str, str], failing: set[str]
) -> None:
    """Each finding of the C program carries the sentences that rest on it."""
    found = {
        "mutex": "EBUSY", "read": "got", "write": "EBUSY", "signal": "got", "thread": "same",
        "descriptors": "0",
    }  # fmt: skip
    shown = history._locks_of_threads(found | changed, {"signal": "ETIMEDOUT"})
    assert {name for name, each in shown.items() if each.verdict != HOLDS} == failing
