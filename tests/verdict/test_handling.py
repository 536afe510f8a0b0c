from __future__ import annotations

from pathlib import Path

import pytest

from common.verdict import handling
from common.verdict.judge import judge
from exchange.operations import FILL, ORDER
from spooler.operations import PASS, PRINT, PUT, TAKE
from tests.verdict.scenes import Scene, item, queue


def printed(tmp_path: Path, code: int, begin: int, left: int, *, took: str = "printer-1") -> Scene:
    """Return a run of two jobs; printer-1 gives one away that ``took`` took at 20 to 30."""
    scene = Scene(tmp_path / "run", channels=[queue(), queue(1, "devices")])
    scene.recorder("producer-1", "producer")
    scene.job("producer-1", PUT, item(0, 1), (0, 0, 10))
    scene.job(took, TAKE, item(0, 1), (20, 20, 30))
    scene.job("printer-1", code, item(0, 1), (begin, begin, left), channel=int(code == PASS))
    return scene


@pytest.mark.parametrize("code", [PRINT, PASS])
@pytest.mark.parametrize(("begin", "left"), [(40, 50), (10, 20)])
def test_who_took_a_job_may_give_it_away(tmp_path: Path, code: int, begin: int, left: int) -> None:
    """Once the taking may have begun: intervals are closed."""
    assert handling.check(printed(tmp_path, code, begin, left).case()) == []


def test_a_job_that_another_process_took_is_a_doubt(tmp_path: Path) -> None:
    """It went from hand to hand without a channel: the sentence names the operation."""
    scene = printed(tmp_path, PRINT, 40, 50, took="printer-2")
    verdict = judge(scene.case())
    assert (verdict.verdict, verdict.findings) == ("undecided", [])
    assert verdict.doubts == [
        "printer-1 gave away 1 job that it had not taken; the first is job 1 of producer-1, by "
        "print 1 (the paper)"
    ]


def test_a_job_that_was_handed_on_before_it_was_taken_is_a_doubt(tmp_path: Path) -> None:
    """The giving was over when the taking began."""
    (doubt,) = handling.check(printed(tmp_path, PASS, 10, 19).case())
    assert doubt.endswith("job 1 of producer-1, by pass 2 (devices)")


def test_each_process_is_asked_by_itself(tmp_path: Path) -> None:
    """Two printers who printed each the other's job: no channel shows it."""
    scene = Scene(tmp_path / "run", channels=[queue()])
    for number in (1, 2):
        scene.job("producer-1", PUT, item(0, number), (10 * number,) * 2 + (10 * number + 5,))
        scene.job(f"printer-{number}", TAKE, item(0, number), (50, 50, 60 + number))
        scene.job(f"printer-{number}", PRINT, item(0, 3 - number), (70, 70, 80))
    assert len(handling.check(scene.case())) == 2


def test_an_answer_comes_to_who_never_took_it(tmp_path: Path) -> None:
    """A client takes nothing: the fill of its order is brought to it."""
    scene = Scene(tmp_path / "run", channels=[queue()])
    scene.job("client-1", ORDER, item(0, 1), (0, 0, 10))
    scene.job("client-1", FILL, item(0, 1), (20, 20, 30))
    assert handling.check(scene.case()) == []
