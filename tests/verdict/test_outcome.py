"""What the launcher stored must hold together: each contradiction is a doubt, and never valid."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from common.history import store
from common.history.case import Case
from common.process import injection
from common.scenario.faults import FaultPlan, Trigger
from common.verdict import outcome, printed
from common.verdict.judge import judge
from tests.verdict.scenes import OPERATIONS, Scene

KILL = {"kind": "kill", "process": "b", "step": "", "at_ns": 1, "number": 0}


def pair(tmp_path: Path) -> Scene:
    """Return a run of two traders that met, and traded as they should."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 20))
    scene.trade("b", 1, 10001, (15, 30, 40))
    return scene


def faulty(scene: Scene, *kinds: str) -> Case:
    """Return the stored case as if its scenario had faults of these kinds."""
    case = store.load_case(scene.directory, OPERATIONS)
    case.plan = replace(case.plan, faults=[FaultPlan(kind, {}, Trigger()) for kind in kinds])
    return case


def test_a_run_that_holds_together_leaves_no_doubt(tmp_path: Path) -> None:
    """Two traders, two files, two summaries: nothing contradicts anything."""
    assert outcome.check(pair(tmp_path).case()) == []


def test_who_was_struck_must_be_named_by_a_fault(tmp_path: Path) -> None:
    """That the launcher killed it is told twice, or it is not so."""
    scene = pair(tmp_path)
    scene.outcomes["b"].struck, scene.outcomes["b"].phase = "KILL", "run"
    scene.case(faults=[KILL])
    assert outcome.check(faulty(scene, "kill")) == []
    scene.case(faults=[])
    doubt = "b was struck by KILL, and no fault that struck names it"
    assert outcome.check(faulty(scene, "kill")) == [doubt]
    assert doubt in judge(faulty(scene, "kill")).doubts


def test_a_storm_leaves_out_faults_and_no_doubt(tmp_path: Path) -> None:
    """No more than so many are written down: that one is not there says nothing then."""
    scene = pair(tmp_path)
    scene.outcomes["b"].struck, scene.outcomes["b"].phase = "KILL", "run"
    scene.case(faults=[KILL | {"process": "a"}] * injection.MOST_TOLD)
    assert outcome.check(faulty(scene, "kill")) == []


def test_a_fault_that_the_scenario_has_not_cannot_have_struck(tmp_path: Path) -> None:
    """Only the faults of a plan strike."""
    scene = pair(tmp_path)
    scene.case(faults=[KILL])
    assert outcome.check(faulty(scene, "slow")) == [
        "a fault of the kind kill struck, and the scenario has none"
    ]


def test_restarts_are_as_many_as_were_started_in_a_place(tmp_path: Path) -> None:
    """Each restart is a process with a life of its own."""
    scene = pair(tmp_path)
    assert outcome.check(scene.case(restarts=1)) == [
        "1 restart counted, but 0 processes in others' place"
    ]
    scene.outcomes["b"].life = 1
    assert outcome.check(scene.case(restarts=1)) == []


def test_who_was_done_has_told_a_summary(tmp_path: Path) -> None:
    """It is by its summary that a process is known to be done; a plain program tells none."""
    scene = pair(tmp_path)
    scene.outcomes["a"].summary = {}
    assert outcome.check(scene.case()) == ["a was done, but no summary of it is stored"]
    scene.outcomes["a"].level = "plain"
    assert outcome.check(scene.case()) == []


def test_what_is_doubted_of_several_processes_is_one_doubt(tmp_path: Path) -> None:
    """They are named in it, one behind the other."""
    scene = pair(tmp_path)
    for each in scene.outcomes.values():
        each.summary = {}
    assert outcome.check(scene.case()) == ["a and b were done, but no summary of them is stored"]
    for each in scene.outcomes.values():
        each.struck, each.phase = "KILL", "run"
    scene.case(faults=[])
    doubt = "a and b were struck by KILL, and no fault that struck names them"
    assert outcome.check(faulty(scene, "kill")) == [doubt]


@pytest.mark.parametrize(
    ("phase", "code", "doubts"), [("done", 0, 1), ("run", 0, 0), ("done", 1, 0)]
)
def test_who_ended_well_has_nothing_in_flight(
    tmp_path: Path, phase: str, code: int, doubts: int
) -> None:
    """An operation that never ended is that of a process that was cut short."""
    scene = pair(tmp_path)
    scene.trade("b", 1, 10002, (50, 60, 0))
    scene.outcomes["b"].phase, scene.outcomes["b"].exit = phase, code
    found = outcome.check(scene.case())
    assert (
        found == ["b ended as it should, but its records end in an operation that did not"] * doubts
    )


def test_a_header_that_names_another_accuses_nobody(tmp_path: Path) -> None:
    """The file's name and the launcher's list decide whose records they are; the header is told."""
    scene = pair(tmp_path)
    scene.case()
    path = scene.directory / store.HISTORY / "a.rec"
    whole = path.read_bytes()
    # Behind the magic, two widths and the pid: the index, and the name in 32 bytes (record.HEADER).
    path.write_bytes(whole[:20] + struct.pack("<I32s", 1, b"b") + whole[56:])
    case = store.load_case(scene.directory, OPERATIONS)
    assert [(each.name, each.index) for each in case.history.processes] == [("a", 0), ("b", 1)]
    assert outcome.check(case) == [
        "history/a.rec says that it is of process 1, b: it was given to a, and is judged as that "
        "one's"
    ]
    assert judge(case).verdict == "undecided"


def test_a_file_of_nobody_is_a_doubt(tmp_path: Path) -> None:
    """Whoever planted it: it is of none of the processes that the launcher started."""
    scene = pair(tmp_path)
    scene.case()
    directory = scene.directory / store.HISTORY
    (directory / "planted.rec").write_bytes((directory / "a.rec").read_bytes())
    case = store.load_case(scene.directory, OPERATIONS)
    assert outcome.check(case) == ["history/planted.rec is of no process of the run"]


@pytest.mark.parametrize(
    ("text", "balance", "slack", "strange"),
    [
        ("balance 960.56", "960.56", 0.005, None),
        ("theirs-0 balance: -7", "-7", 0.5, None),
        ("balance 1.5e3", "1.5e3", 50, None),
        ("balance nan", None, 0, "balance nan"),
        ("balance 1e400", None, 0, "balance 1e400"),
        ("balance 7 units", None, 0, "balance 7 units"),
        ("Balance", None, 0, "Balance"),
        ("balance 7\nbalance \x1b[2J", "7", 0.5, "balance \\x1b[2J"),
        ("balances are not told", None, 0, None),
        ("balance 1e-400", "1e-400", 0, None),
        ("", None, 0, None),
    ],
)
def test_a_balance_is_a_finite_number_or_strange(
    text: str, balance: str | None, slack: float, strange: str | None
) -> None:
    """Nothing that begins as a balance is passed over in silence; a letter more is another word."""
    found = printed.read(text)
    assert (found.balance, found.strange) == (balance, strange)
    assert found.slack == pytest.approx(slack)


def test_a_run_whose_log_is_incomplete_is_never_valid(tmp_path: Path) -> None:
    """The log proves nothing, but the disk that cut it may have cut more: undecided, and why."""
    whole = pair(tmp_path).case()
    assert (whole.outcome.unlogged, judge(whole).verdict) == (None, "valid")
    cut = judge(pair(tmp_path / "cut").case(unlogged="No space left on device"))
    assert cut.verdict == "undecided"
    assert cut.doubts == [
        "the log is incomplete: it could not be written to its end (No space left on device)"
    ]
