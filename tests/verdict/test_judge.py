from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from common import kinds
from common.history import store
from common.history.case import Case
from common.scenario.plan import ChannelPlan, Part
from common.verdict.evidence import Result
from common.verdict.judge import judge
from common.verdict.promise import promise
from spooler.operations import PRINT, PUT, TAKE
from tests.verdict.scenes import Scene, item, queue, ring


def two_traders(tmp_path: Path, lock: str, second_asked: int, second_entered: int) -> Scene:
    """Return a run of two trades in order, the first from 10 to 20."""
    scene = Scene(tmp_path / "run", stock=100.0, lock=lock)
    value = scene.trade("trader-1", 1, 100, (5, 10, 20))
    scene.trade("trader-2", 1, value, (second_asked, second_entered, 40))
    return scene


def test_a_locked_run_with_contention_and_nothing_found_is_valid(tmp_path: Path) -> None:
    """One asked for the lock while the other held it: the lock was put to the test."""
    verdict = judge(two_traders(tmp_path, "sysv_sem", 15, 21).case())
    assert (verdict.verdict, verdict.findings, verdict.doubts) == ("valid", [], [])


def test_without_contention_nothing_is_proved(tmp_path: Path) -> None:
    """Two traders who never met say nothing about their lock."""
    verdict = judge(two_traders(tmp_path, "sysv_sem", 30, 31).case())
    assert (verdict.verdict, verdict.doubts) == ("undecided", ["no two operations overlapped"])


def test_stamps_that_only_touch_are_no_contention(tmp_path: Path) -> None:
    """Intervals are closed: asked at the very stamp at which the other left proves no overlap."""
    assert judge(two_traders(tmp_path, "sysv_sem", 20, 21).case()).verdict == "undecided"


@pytest.mark.parametrize("entered", [20, 19], ids=["touching", "inside"])
def test_an_unlocked_row_of_two_is_an_anomaly_whether_they_met_or_not(
    tmp_path: Path, entered: int
) -> None:
    """Nothing orders the two, so the run is none that proves something: it has a race."""
    found = judge(two_traders(tmp_path, "none", 15, entered).case())
    assert found.verdict == "anomaly"
    assert [finding.kind for finding in found.findings] == ["data_race"]


def test_an_unlocked_table_of_separate_rows_proves_nothing(tmp_path: Path) -> None:
    """Whoever has a row of his own races with nobody, and puts no lock to the test."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0, lock="none")
    scene.trade("trader-1", 1, 100, (5, 10, 20), row=0)
    scene.trade("trader-2", 1, 100, (5, 10, 20), row=1)
    found = judge(scene.case())
    assert (found.verdict, found.findings) == ("undecided", [])


def test_sections_without_a_separate_stamp_of_entering_count(tmp_path: Path) -> None:
    """An unlocked trader takes one stamp for both; its section is one all the same."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    value = scene.trade("trader-1", 1, 100, (10, 10, 20))
    scene.trade("trader-2", 1, value, (15, 15, 40))
    assert judge(scene.case()).measures["overlaps"] == 1


def one_job_each(tmp_path: Path, channel: ChannelPlan, second_entered: int) -> Scene:
    """Return a run of two producers into ``channel`` and one printer."""
    scene = Scene(tmp_path / "run", channels=[channel])
    scene.recorder("producer-1")
    scene.recorder("producer-2")
    scene.job("producer-1", PUT, item(0, 1), (5, 10, 20), position=0)
    scene.job("producer-2", PUT, item(1, 1), (6, second_entered, 40), position=1)
    for at, maker in ((50, 0), (70, 1)):
        scene.job("printer-1", TAKE, item(maker, 1), (at, at + 1, at + 5), position=maker)
        scene.job("printer-1", PRINT, item(maker, 1), (at + 6, at + 6, at + 9))
    return scene


@pytest.mark.parametrize(
    ("channel", "entered", "verdict"),
    [
        (ring(lock="none"), 30, "undecided"),
        (ring(lock="none"), 15, "valid"),
        (ring(lock="posix_sem"), 30, "valid"),
        (ChannelPlan("slot", 0, Part("one_slot", {"sync": "star"}), Part("none"), 64), 30,
         "undecided"),
        (ChannelPlan("slot", 0, Part("one_slot", {"sync": "semaphores"}), Part("none"), 64), 30,
         "valid"),
    ],
)  # fmt: skip
def test_an_unguarded_channel_needs_overlapping_sections(
    tmp_path: Path, channel: ChannelPlan, entered: int, verdict: str
) -> None:
    """A ring by its lock, the lecture's slot by what its two sides wait for."""
    assert judge(one_job_each(tmp_path, channel, entered).case()).verdict == verdict


def test_a_channel_of_the_kernel_has_no_sections_of_ours(tmp_path: Path) -> None:
    """Asking and entering are one moment there: nothing overlaps, and nothing needs to."""
    scene = Scene(tmp_path / "run", channels=[queue()])
    scene.job("producer-1", PUT, item(0, 1), (10, 10, 20))
    scene.job("printer-1", TAKE, item(0, 1), (5, 5, 25))
    scene.job("printer-1", PRINT, item(0, 1), (30, 30, 35))
    verdict = judge(scene.case())
    assert verdict.verdict == "valid"
    assert verdict.measures["overlaps"] == 0
    assert verdict.measures["places"]["channel 0"]["contended"] == 1


def test_one_process_alone_is_judged_by_its_sums(tmp_path: Path) -> None:
    """A single teller needs no contention: its stock and balance must be right."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("teller", 10, 100, (0, 1, 2))
    scene.outcomes["teller"].summary = {"balance": 1000.0 - 10 * 3.73}
    assert judge(scene.case()).verdict == "valid"
    scene.outcomes["teller"].summary = {"balance": 1000.0 - 10 * 3.72}
    found = judge(scene.case())
    assert found.verdict == "undecided"
    assert found.doubts == [
        "teller reports a balance of 962.8, but its recorded trades make it 962.7"
    ]


def test_several_processes_of_which_one_did_something_prove_nothing(tmp_path: Path) -> None:
    """Nobody met that one: its stock is right whatever guards it."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    for name in ("a", "b", "c"):
        scene.recorder(name)
    scene.trade("a", 5, 100, (0, 10, 20))
    verdict = judge(scene.case())
    assert verdict.verdict == "undecided"
    assert verdict.doubts == ["only one of 3 processes did anything"]


def test_a_run_in_which_nothing_was_done_is_undecided(tmp_path: Path) -> None:
    """No operation, no proof."""
    scene = Scene(tmp_path / "run")
    scene.recorder("trader-1")
    found = judge(scene.case())
    assert (found.verdict, found.doubts) == ("undecided", ["no operation was done"])


def test_a_doubt_does_not_hide_a_finding(tmp_path: Path) -> None:
    """What was found stands, whatever else is unclear."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    scene.trade("a", 5, 100, (0, 10, 20))
    scene.trade("b", 6, 100, (0, 11, 21))
    scene.final[1] = 7.0
    found = judge(scene.case())
    assert found.verdict == "anomaly"
    assert [finding.kind for finding in found.findings] == ["lost_update", "data_race"]
    assert len(found.doubts) == 1


def test_a_checker_that_fails_makes_the_run_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never valid: what was not checked was not found to be right."""

    def check(case: Case) -> Result:
        raise ZeroDivisionError("by design")

    broken = ModuleType("broken")
    monkeypatch.setattr(broken, "check", check, raising=False)
    monkeypatch.setitem(sys.modules, f"{kinds.PROPERTIES}.leak", broken)
    verdict = judge(two_traders(tmp_path, "sysv_sem", 15, 21).case())
    assert verdict.verdict == "undecided"
    assert verdict.doubts == ["the checker leak failed: ZeroDivisionError: by design"]
    assert verdict.measures["checker_failed"] is True


def test_a_finding_stands_where_another_checker_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found was found; the failure is told beside it."""
    monkeypatch.setitem(sys.modules, f"{kinds.PROPERTIES}.leak", ModuleType("without_check"))
    scene = two_traders(tmp_path, "none", 15, 16)
    scene.trade("trader-1", 7, 100, (15, 16, 50))
    verdict = judge(scene.case())
    assert verdict.verdict == "anomaly"
    assert verdict.measures["checker_failed"] is True
    assert verdict.doubts[0].startswith("the checker leak failed: AttributeError")


def test_a_plan_that_cannot_be_understood_makes_the_run_undecided(tmp_path: Path) -> None:
    """Whether something guards a channel of an unknown kind cannot be told: no verdict."""
    scene = one_job_each(tmp_path, ChannelPlan("jobs", 0, Part("pigeon"), Part("none"), 64), 15)
    verdict = judge(scene.case())
    assert (verdict.verdict, verdict.measures["checker_failed"]) == ("undecided", True)
    assert "failed: ModuleNotFoundError" in verdict.doubts[0]


def test_a_verdict_is_stored_and_read_again(tmp_path: Path) -> None:
    """``verdict.json`` holds all of it, as plain JSON."""
    scene = two_traders(tmp_path, "none", 15, 16)
    scene.final[0] = 101.0
    verdict = judge(scene.case())
    store.write_verdict(scene.directory, verdict)
    assert store.read_verdict(scene.directory) == store.json_ready(verdict)


def test_a_property_is_a_file_and_nothing_else() -> None:
    """Each kind of the package has a claim in its docstring and a ``check``."""
    for kind in kinds.names(kinds.PROPERTIES):
        module = kinds.load(kinds.PROPERTIES, kind)
        assert kinds.about(module).endswith(".")
        assert callable(module.check)


def test_what_clean_runs_promise() -> None:
    """The rule of three, in a sentence."""
    assert promise(300) == (
        "300 runs without a finding bound the rate of this race only below about 3/300, 1 % of all "
        "runs (95 %)"
    )
    assert "not at all" in promise(1)
    assert promise(0) == "no run was without a finding: nothing is promised"
