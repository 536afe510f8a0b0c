"""What ``bench`` makes of measurements: ranks, goals, its document and its picture.

No figure of a machine is asserted; where one is needed it is made up.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest

from benchmarks import bench, plotting
from benchmarks.grid import report
from benchmarks.grid.measuring import (
    INSTEAD,
    C,
    Contest,
    Judged,
    Result,
    interval,
)
from benchmarks.measuring import Goal
from tests.benchmarks.made_up import STEADY, TERMS, UNSTEADY, entrant, result, series

SVG = "{http://www.w3.org/2000/svg}"


def test_neighbours_that_overlap_are_about_the_same() -> None:
    """A place with = where the interval meets the one above, without where it does not."""
    found = result(series("low", [1, 1, 1]), series("mid", [5, 6, 9]), series("high", [8, 9, 10]))
    lines = [line.split()[:2] for line in report.contest(found).splitlines()[2:5]]
    assert lines == [["1", "high"], ["2=", "mid"], ["3", "low"]]


def test_the_least_is_first_where_less_is_better() -> None:
    """Of round trips the shortest has the first place."""
    found = result(series("slow", [9.0], more=False), series("fast", [1.0], more=False))
    assert [each.entrant.name for each in found.ranking(busy=False)] == ["fast", "slow"]


def test_who_waits_busily_has_no_place_among_those_who_sleep() -> None:
    """It is listed apart, without a place, and with no ratio to one that sleeps."""
    found = result(
        series("asleep", [1.0]),
        series("busy", [9.0], busy=True),
        against={"busy": {"Queue": "asleep"}, "asleep": {"Queue": "asleep"}},
    )
    told = report.contest(found)
    assert told.index("  1  asleep") < told.index("waiting busily") < told.index("busy  9.00")
    (shown,) = [each for each in report.document(found)["figures"] if each["name"] == "busy"]
    assert shown["place"] is None
    assert shown["against"]["Queue"]["ratio"] is None


def test_c_programs_stand_beside_and_not_in_the_ranking() -> None:
    """The figure of the C program is a column of the entrant that does the same work."""
    found = result(
        series("pipe", [50.0]), series("C pipe", [100.0], side=C),
        against={"pipe": {"C": "C pipe"}},
    )  # fmt: skip
    assert [each.entrant.name for each in found.ranking(busy=False)] == ["pipe"]
    assert "0.500 (0.500 .. 0.500)" in report.contest(found)


def test_a_noisy_machine_is_told() -> None:
    """With the times that the fixed loop took; on a steady one nothing is said."""
    assert "10.0 to 20.0 ms" in report.contest(result(series("a", [1.0]), noise=UNSTEADY))
    assert "noisy" not in report.contest(result(series("a", [1.0])))


def test_what_does_not_take_part_is_shown_with_the_reason() -> None:
    """Refused is what a kind is like; not measured is what this machine is like."""
    contest = Contest(TERMS, "", True, [entrant("a")], refused={"pipe": "over PIPE_BUF"})
    found = Result(contest, {"a": series("a", [1.0])}, {"C a": "no compiler"}, STEADY)
    told = report.contest(found)
    assert "pipe: does not take it: over PIPE_BUF" in told
    assert "C a: not measured: no compiler" in told


def test_the_document_has_every_round() -> None:
    """What is judged can be judged again: figures by round, interval, terms, and the entrant."""
    found = json.loads(json.dumps(report.document(result(series("a", [3.0, 1.0, 2.0])))))
    (figure,) = found["figures"]
    assert (found["what"], found["payload"], found["cores"]) == ("throughput", 64, 1)
    assert figure["rounds"] == [3.0, 1.0, 2.0]
    assert (figure["low"], figure["median"], figure["high"]) == (1.0, 2.0, 3.0)


def judged(ratio: Sequence[float] | None) -> Judged:
    goal = Goal("pipe", "C pipe", at_least=0.65)
    return Judged(goal, TERMS, None if ratio is None else interval(ratio))


@pytest.mark.parametrize(
    ("ratio", "told", "status"),
    [
        ([0.7, 0.8, 0.9], "met", bench.MET),
        ([0.6, 0.7, 0.8], "met, within the noise", bench.MET),
        ([0.5, 0.6, 0.7], "not met, within the noise", bench.NOT_MET),
        ([0.4, 0.5, 0.6], "not met", bench.NOT_MET),
        (None, "could not be measured", bench.FAILED),
    ],
)
def test_a_goal_is_judged_by_its_median(
    ratio: Sequence[float] | None, told: str, status: int
) -> None:
    """And it is said where the interval lies on both sides of the bound."""
    assert report.goals([judged(ratio)]).splitlines()[1].endswith("  " + told)
    assert bench._status({"channels": []}, {"channels": [judged(ratio)]}) == status


def test_what_failed_is_not_a_success() -> None:
    """An entrant that could not be measured is status 4, whatever the goals say."""
    failed = Result(Contest(TERMS, "", True, []), {}, {"a": "broke"}, STEADY)
    assert bench._status({"channels": [failed]}, {"channels": []}) == bench.FAILED


def test_the_picture_shows_every_entrant_on_light_and_dark() -> None:
    """An SVG that names them all, with its own colours for a dark page, and C as hollow marks."""
    found = result(
        series("pipe[batch=true]", [50.0, 60.0]), series("C pipe", [100.0, 90.0], side=C),
        series("<odd> & such", [1.0, 2.0], side=INSTEAD), series("spin", [5.0, 6.0], busy=True),
        against={"pipe[batch=true]": {"C": "C pipe"}},
    )  # fmt: skip
    picture = plotting.svg({"channels": [found]})
    drawn = ElementTree.fromstring(picture)
    texts = {node.text for node in drawn.iter(SVG + "text")}
    assert {"pipe[batch=true]", "<odd> & such", "spin (busy)"} <= texts
    assert "prefers-color-scheme: dark" in picture
    titles = [node.text or "" for node in drawn.iter(SVG + "title")]
    assert any(title.startswith("C pipe: 95.0") for title in titles)
