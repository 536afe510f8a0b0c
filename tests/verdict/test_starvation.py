"""One waits for a lock while others get it again and again: too long, too often, or neither."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.history.case import Case
from common.history.record import FIRST_ROW_LOCK, NO_LOCK
from common.report.prevention import prevention
from common.report.text import run_text
from common.verdict.evidence import Result
from common.verdict.properties import starvation
from spooler.operations import PAGE, PRINT
from tests.verdict.scenes import GATE, Scene, item

SECOND = 10**9
ROW = (FIRST_ROW_LOCK, FIRST_ROW_LOCK)
OTHER_ROW = (FIRST_ROW_LOCK + 1, FIRST_ROW_LOCK + 1)


def greedy(
    scene: Scene, times: int, seconds: float, held: tuple[int, int] = ROW, row: int = 0
) -> None:
    """Let two in turn take the lock ``times`` times within ``seconds``, starting at one second."""
    step = round(seconds * SECOND) // times
    value = scene.stock
    for turn in range(times):
        begin = SECOND + turn * step + 10
        name = "greedy" if turn % 3 else "other"
        value = scene.trade(name, 1, value, (begin, begin, begin + step // 2), row, held=held)


def run(tmp_path: Path, times: int, waited: float) -> Case:
    """Return a run in which ``patient`` waits so many seconds and others enter ``times`` times."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    greedy(scene, times, waited)
    end = SECOND + round(waited * SECOND)
    scene.trade("patient", 1, 10000.0 + times, (SECOND, end, end + 10), held=ROW)
    return scene.case()


def found(result: Result) -> list[str]:
    """Return the explanations of what was found."""
    return [finding.explanation for finding in result.findings]


def test_a_long_wait_with_a_hundred_overtakers_is_starvation(tmp_path: Path) -> None:
    """The sentence says who waited how long for which lock, and who got it how often."""
    result = starvation.check(run(tmp_path, 150, 2.5))
    (told,) = found(result)
    assert "patient waited 2.5 s for the lock of DOLLAR" in told
    assert "the others got it 150 times, greedy alone 100 times" in told
    (finding,) = result.findings
    assert [each.process for each in finding.first.witnesses] == ["patient"]
    assert finding.total == 2.5


@pytest.mark.parametrize(("times", "waited"), [(99, 2.5), (150, 1.9)], ids=["rarely", "briefly"])
def test_a_wait_is_no_starvation_if_it_is_short_or_few_overtake(
    tmp_path: Path, times: int, waited: float
) -> None:
    """Both bounds must be reached: slow owners, and fast ones for a moment, starve nobody."""
    assert found(starvation.check(run(tmp_path, times, waited))) == []


def test_the_bound_is_the_scenarios(tmp_path: Path) -> None:
    """``deadlines.starvation`` says how long is too long."""
    case = run(tmp_path, 150, 1.9)
    object.__setattr__(case.plan.deadlines, "starvation", 1.5)
    assert len(found(starvation.check(case))) == 1


def test_who_gets_another_lock_overtakes_nobody(tmp_path: Path) -> None:
    """Entries under the lock of another row, or under none, are none into this one."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    greedy(scene, 150, 2.5, OTHER_ROW, row=1)
    scene.trade("patient", 1, 10000.0, (SECOND, 4 * SECOND, 4 * SECOND + 10), held=ROW)
    assert found(starvation.check(scene.case())) == []


def test_a_wait_for_no_lock_is_none(tmp_path: Path) -> None:
    """Whoever holds nothing afterwards had waited for no lock."""
    scene = Scene(tmp_path / "run")
    held = (NO_LOCK, NO_LOCK)
    scene.trade("patient", 1, 10000.0, (SECOND, 4 * SECOND, 4 * SECOND + 10), held=held)
    assert starvation.check(scene.case()).measures == {"longest_wait": None}


@pytest.mark.parametrize("ending", ["hung", "expired"])
def test_a_waiter_that_never_got_in_counts(tmp_path: Path, ending: str) -> None:
    """A deadline found it waiting: its own word says for what, and for how long."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    scene.trade("patient", 1, 10000.0, (SECOND - 20, SECOND - 20, SECOND - 10), held=OTHER_ROW)
    greedy(scene, 150, 2.5)
    outcome = scene.outcomes["patient"]
    if ending == "hung":
        words = "waiting for the lock of DOLLAR for 2.6 s (sleeping)"
        outcome.hung = f"run took longer than 4 s: {words}"
    else:
        words = "waited 2.6 s for the lock of DOLLAR, in vain"
        outcome.error = {"kind": "WaitExpired", "message": words}
    result = starvation.check(scene.case(ended_ns=GATE + SECOND + round(2.6 * SECOND)))
    (told,) = found(result)
    assert "and never got it" in told
    assert result.measures["longest_wait"]["got_it"] is False
    assert result.findings[0].first.witnesses == []


def test_who_gave_up_before_it_had_done_anything_is_no_riddle(tmp_path: Path) -> None:
    """Without a record of its own it has waited since the gate was opened."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    scene.recorder("patient")
    scene.outcomes["patient"].error = {
        "kind": "WaitExpired", "message": "waited 2.6 s for the lock of DOLLAR, in vain",
    }  # fmt: skip
    waited = starvation.check(scene.case(ended_ns=GATE + 3 * SECOND)).measures["longest_wait"]
    assert waited["got_it"] is False


def test_the_paper_has_a_lock_too(tmp_path: Path) -> None:
    """A printer that waits for the paper is overtaken by whole jobs, not by pages."""
    scene = Scene(tmp_path / "run", paper=[])
    end = SECOND + round(2.5 * SECOND)
    for turn in range(120):
        at = SECOND + 10 + turn * 20 * 10**6
        scene.record("greedy", PAGE, 0, (at + 1, at + 1, at + 2), (1.0, 1.0, 0, 9), item(0, turn))
        scene.record("greedy", PRINT, 0, (at, at, at + 5), (7.0, 7.0), item(0, turn))
    scene.record("patient", PRINT, 0, (SECOND, end, end + 5), (7.0, 7.0), item(1, 1))
    (told,) = found(starvation.check(scene.case()))
    assert "for the paper's lock; meanwhile greedy got it 120 times" in told


def test_the_longest_wait_is_measured_whatever_its_length(tmp_path: Path) -> None:
    """Who waited, for what, how long, and how often it was overtaken."""
    measures = starvation.check(run(tmp_path, 5, 0.001)).measures
    assert measures["longest_wait"] == {
        "process": "patient",
        "lock": "the lock of DOLLAR",
        "wait_s": 0.001,
        "overtaken": 5,
        "got_it": True,
    }


@pytest.mark.parametrize("waits", [(10, 100), (100, 10)])
def test_the_longest_of_all_processes_is_told(tmp_path: Path, waits: tuple[int, int]) -> None:
    """Whichever process's records are looked at first."""
    scene = Scene(tmp_path / "run")
    for number, waited in enumerate(waits):
        at = 1000 * (number + 1)
        scene.trade(f"p{waited}", 1, 10000.0 + number, (at, at + waited, at + waited + 5))
    assert starvation.check(scene.case()).measures["longest_wait"]["process"] == "p100"


def test_the_mend_is_a_fair_lock(tmp_path: Path) -> None:
    """What would have prevented it is told with and without a witness."""
    case = run(tmp_path, 150, 2.5)
    assert "handed to whoever has waited longest" in prevention(case, "starvation", [])


def test_a_run_says_what_its_longest_wait_was(tmp_path: Path) -> None:
    """The line is part of the text of a run."""
    measures = starvation.check(run(tmp_path, 5, 0.001)).measures
    document = {
        "scenario": "s", "variant": "v", "seed": 1, "verdict": "valid", "as_expected": True,
        "operations": 6, "wall_s": 1.0, "overlaps": 0, "interrupted": None, "processes": [],
        "measures": measures, "final": None, "initial": None, "findings": [], "doubts": [],
        "remarks": [], "disturbances": [], "objects": [], "leaks": [], "kept": False,
        "run_dir": "r",
    }  # fmt: skip
    text = run_text(document)
    assert "patient waited 1 ms for the lock of DOLLAR; others got it 5 times meanwhile" in text
