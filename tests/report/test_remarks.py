"""What is remarked on a run is said once, and the same in the text and on the page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from common.report.recovered import recovered
from common.report.remarks import of_variants
from common.scenario.groups import PLAIN
from common.scenario.plan import GroupPlan, ProgramPlan
from common.verdict import unseen
from tests.report.pages import drawn
from tests.verdict.scenes import Scene, ring


def remarked(**variants: str) -> dict[str, object]:
    """Return variants of one run each with one remark."""
    return {name: {"runs": [{"remarks": [remark]}]} for name, remark in variants.items()}


@pytest.mark.parametrize(
    ("variants", "notes"),
    [
        ({"a": "EURO: odd", "b": "EURO: odd"}, [("", "EURO: odd")]),
        ({"a": "EURO: odd", "b": "EURO, POUND: odd"}, [("", "EURO, POUND (b): odd")]),
        ({"a": "EURO: odd", "b": "EURO: lost"}, [("a", "EURO: odd"), ("b", "EURO: lost")]),
        ({"a": "EURO: odd", "b": "POUND: odd"}, [("", "EURO (a), POUND (b): odd")]),
        ({"a": "it is cold", "b": "it is cold"}, [("", "it is cold")]),
    ],
)
def test_a_remark_on_several_variants_is_one_note(
    variants: dict[str, str], notes: list[tuple[str, str]]
) -> None:
    """Of which variants it is true stands beside it, or beside each thing that it is about."""
    assert of_variants(remarked(**variants)) == notes  # type: ignore[arg-type]


def test_who_was_given_a_dead_owners_lock_is_told_in_one_sentence(tmp_path: Path) -> None:
    """All of them, and how often in all."""
    scene = Scene(tmp_path / "run")
    for number, name in enumerate(("a", "b", "c"), start=1):
        scene.trade(name, 1, 10000, (0, 10, 20))
        scene.outcomes[name].summary["recovered"] = number
    (said,) = recovered(scene.plan(), scene.case().outcome, None)
    assert said.startswith("a, b and c were given a lock by an owner that had died in it")
    assert "6 times" in said


def test_the_page_says_what_the_launcher_noted(tmp_path: Path) -> None:
    """As the text of the same run does."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 20))
    scene.case(remarks=["theirs left its queue behind: the launcher removed it"])
    assert "Note: theirs left its queue behind" in " ".join(drawn(tmp_path / "run").texts["p"])


def test_what_cannot_be_seen_of_several_channels_is_one_remark(tmp_path: Path) -> None:
    """All their programs, and all their names."""
    scene = Scene(tmp_path / "run", channels=[ring(0, "jobs"), ring(1, "answers")])
    for name in ("a", "b"):
        scene.recorder(name)
    case = scene.case()
    program = ProgramPlan(["theirs"], str(tmp_path), PLAIN)
    case.plan = replace(
        case.plan,
        processes=[replace(each, group=each.name, program=program) for each in case.plan.processes],
        groups=[
            GroupPlan("a", "producer", "spooler", ["a"], ["answers"], ["jobs"]),
            GroupPlan("b", "consumer", "spooler", ["b"], ["jobs"], ["answers"]),
        ],
    )
    (said,) = unseen.remarks(case)
    assert said.startswith("a and b wrote no history: of the messages in jobs and answers only")
