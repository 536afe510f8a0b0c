from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.verdict.judge import judge
from common.verdict.properties import leak, object_vanished, process_crashed, process_hung
from tests.verdict.scenes import Scene

PROPERTIES = (process_crashed, process_hung, object_vanished, leak)


def run(tmp_path: Path, **facts: Any) -> Scene:
    """Return a run of one trader that ended as ``facts`` say."""
    scene = Scene(tmp_path / "run", store_kind="mmap_file")
    scene.trade("trader-1", 1, 10000, (0, 1, 2))
    for name, value in facts.items():
        setattr(scene.outcomes["trader-1"], name, value)
    return scene


CASES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"exit": 3, "phase": "run"},
        "process_crashed",
        "trader-1 (pid 1000, phase run) ended with status 3; its last words are in stderr.txt.",
    ),
    (
        {"exit": 1, "error": {"kind": "KeyError", "message": "'x'"}},
        "process_crashed",
        "trader-1 (pid 1000, phase done) failed: KeyError: 'x'.",
    ),
    (
        {"exit": None, "signal": 9, "phase": "run"},
        "process_crashed",
        "trader-1 (pid 1000, phase run) was killed by signal 9 (Killed).",
    ),
    (
        {"exit": None, "signal": 7, "phase": "run"},
        "process_crashed",
        "trader-1 (pid 1000, phase run) was killed by signal 7 (Bus error): probably the table's "
        "file or object was cut short under it.",
    ),
    (
        {"exit": None, "signal": 9, "hung": "run took longer than 1 s: waiting for the lock"},
        "process_hung",
        "trader-1 hung: run took longer than 1 s: waiting for the lock.",
    ),
    (
        {"exit": 1, "error": {"kind": "WaitExpired", "message": "waited 2 s for x, in vain"}},
        "process_hung",
        "trader-1 hung: it waited 2 s for x, in vain.",
    ),
    (
        {"exit": 1, "error": {"kind": "ObjectVanished", "message": "the segment was removed"}},
        "object_vanished",
        "trader-1 could not go on: the segment was removed.",
    ),
]


@pytest.mark.parametrize(("facts", "kind", "sentence"), CASES)
def test_each_way_to_fail_is_one_finding(
    tmp_path: Path, facts: dict[str, Any], kind: str, sentence: str
) -> None:
    """A failed process shows under one name only, with what is known about it."""
    case = run(tmp_path, **facts).case()
    found = [finding for each in PROPERTIES for finding in each.check(case).findings]
    assert [(finding.kind, finding.worst.sentence) for finding in found] == [(kind, sentence)]


def test_a_process_that_ends_with_0_is_fine(tmp_path: Path) -> None:
    """Nothing to report."""
    case = run(tmp_path).case()
    assert [each.check(case).findings for each in PROPERTIES] == [[], [], [], []]


@pytest.mark.parametrize("phase", ["ready", "run"])
@pytest.mark.parametrize("interrupted", [None, 2])
@pytest.mark.parametrize("ours", [True, False])
def test_a_kill_is_a_crash_unless_it_was_the_launchers(
    tmp_path: Path, phase: str, interrupted: int | None, ours: bool
) -> None:
    """The launcher says whom it killed; neither phase nor interruption excuses another's kill."""
    facts = {"exit": None, "signal": 9, "phase": phase, "ended_by_launcher": ours}
    found = process_crashed.check(run(tmp_path, **facts).case(interrupted=interrupted)).findings
    assert [each.kind for each in found] == ([] if ours else ["process_crashed"])


def test_what_failed_before_the_launcher_killed_it_did_crash(tmp_path: Path) -> None:
    """Its own error is no consequence of the kill."""
    error = {"kind": "KeyError", "message": "'x'"}
    case = run(tmp_path, exit=None, signal=9, ended_by_launcher=True, error=error).case()
    assert len(process_crashed.check(case).findings) == 1


@pytest.mark.parametrize(
    ("excuse", "count"), [({}, 1), ({"guest": True}, 0), ({"ended_by_launcher": True}, 0)]
)
def test_a_process_that_ends_without_its_summary_crashed(
    tmp_path: Path, excuse: dict[str, bool], count: int
) -> None:
    """Status 0 in the middle of its work is no end; a guest may leave when it likes."""
    found = process_crashed.check(run(tmp_path, phase="run", **excuse).case()).findings
    assert [each.worst.sentence for each in found] == [
        "trader-1 (pid 1000, phase run) ended without a summary, with status 0."
    ] * count


def test_an_object_that_is_left_is_a_leak(tmp_path: Path) -> None:
    """The sentence says what it is and by which number the kernel knows it."""
    left = [{"kind": "sysv_shm", "id": 17, "name": "0x4c123456"}]
    (found,) = leak.check(run(tmp_path).case(leaks=left, objects=left * 3)).findings
    assert found.worst.sentence == ("the sysv_shm 0x4c123456 (id 17) is still there after the run.")
    assert found.explanation.startswith("1 of 3 kernel objects leaked.")


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("ObjectVanished", "undecided"), ("WaitExpired", "anomaly"), ("KeyError", "anomaly")],
)
def test_an_object_removed_from_outside_decides_nothing(
    tmp_path: Path, kind: str, verdict: str
) -> None:
    """It is nobody's race; a crash or a hang is an anomaly."""
    case = run(tmp_path, exit=1, error={"kind": kind, "message": "gone"}).case()
    assert judge(case).verdict == verdict


def test_a_table_that_the_launcher_could_not_read_at_the_end_has_vanished(tmp_path: Path) -> None:
    """Somebody removed it after its processes had let go: undecided, with the launcher's words."""
    verdict = judge(run(tmp_path).case(final=None, vanished="the segment was removed"))
    assert verdict.verdict == "undecided"
    assert [each.kind for each in verdict.findings] == ["object_vanished"]
    assert verdict.findings[0].worst.sentence == (
        "The launcher could not go on: the segment was removed."
    )


def test_who_dies_of_a_cut_table_did_not_crash(tmp_path: Path) -> None:
    """SIGBUS follows from what somebody did to the file: the run is undecided, not an anomaly."""
    case = run(tmp_path, exit=None, signal=7, phase="run").case(vanished="the file was cut")
    verdict = judge(case)
    assert [each.kind for each in verdict.findings] == ["object_vanished"]
    assert verdict.verdict == "undecided"
    crashed = process_crashed.check(
        run(tmp_path / "other", exit=None, signal=11).case(vanished="x")
    )
    assert [each.kind for each in crashed.findings] == ["process_crashed"]
