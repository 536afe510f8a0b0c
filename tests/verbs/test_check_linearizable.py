"""``check --linearizable``: a search for an order beside the verdict, of real and of drawn runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from exchange.operations import READ_ROW
from tests.launching import launch
from tests.verdict.scenes import RATES, Scene

REAL = [
    ("exchange/lost_update", "unlocked"),
    ("exchange/lost_update", "locked"),
    ("exchange/negative_stock", "unlocked"),
    ("exchange/negative_stock", "locked"),
    ("spooler/bounded_buffer", "mutex"),
    ("spooler/queue", "default"),
]


@pytest.mark.parametrize(("scenario", "variant"), REAL)
def test_real_runs_have_an_order_if_and_only_if_nothing_was_found(
    tmp_path: Path, scenario: str, variant: str
) -> None:
    """Real processes, with races that declared delays force; `check` says both side by side."""
    name = f"configs/{scenario}.yaml"
    out = str(tmp_path)
    done = launch("run", name, "--variant", variant, "--out", out, "--json")
    assert done.status == 0, done.err
    run_dir = done.document["run_dir"]
    checked = launch("check", run_dir, "--linearizable", "--seconds", "50", "--json")
    assert checked.status == 0, checked.err
    answers = {each["answer"] for each in checked.document["linearizability"]}
    harmed = checked.document["verdict"] == "anomaly"
    assert ("not linearizable" in answers) is harmed
    assert "undecided" not in answers


def test_check_tells_of_the_order_in_words(tmp_path: Path) -> None:
    """After the report, for each object a sentence; the exit status is the verdict's."""
    scene = Scene(tmp_path / "run", stock=100.0)
    value = scene.trade("a", 5, 100, (0, 10, 20))
    scene.trade("b", 7, value, (15, 21, 30))
    scene.case()
    done = launch("check", str(scene.directory), "--linearizable", NO_COLOR="1")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(
        "linearizability:\n  the stock of DOLLAR: one order explains 2 operations.\n"
    )


def test_without_the_option_nothing_is_searched(tmp_path: Path) -> None:
    """A verdict does not wait for it."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 5, 100, (0, 10, 20))
    scene.case()
    assert "linearizability" not in launch("check", str(scene.directory), "--json").document


def test_two_checks_agree_on_a_look_that_came_too_late(tmp_path: Path) -> None:
    """An auditor saw a stock that had been gone for long: a doubt, and no order explains it."""
    scene = Scene(tmp_path / "run", stock=100.0)
    value = scene.trade("a", 5, 100, (0, 10, 20))
    scene.trade("b", 7, value, (15, 21, 30))
    scene.record("auditor", READ_ROW, 0, (40, 40, 50), (*RATES, 100.0))
    scene.case()
    done = launch("check", str(scene.directory), "--linearizable", "--json")
    assert (done.status, done.document["verdict"]) == (3, "undecided")
    assert "had been overwritten before that" in " ".join(done.document["doubts"])
    answers = [each["answer"] for each in done.document["linearizability"]]
    assert "not linearizable" in answers


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, seconds: str) -> None:
    """With what is wrong, and how to say it."""
    done = launch("check", str(tmp_path), "--linearizable", f"--seconds={seconds}")
    assert done.status == 2
    assert f"{seconds} is not a time: give more than 0 seconds" in done.err
