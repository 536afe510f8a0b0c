"""How full a channel got, and how long its senders stood in it, follow from the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.history.fill import channels
from spooler.operations import PUT, TAKE
from tests.verdict.scenes import Scene


def traffic(tmp_path: Path, *calls: tuple[str, int, int, int, int]) -> Scene:
    """Return a run of sends and receives: who, operation, item, asked and left."""
    scene = Scene(tmp_path / "run")
    for who, code, item, asked, left in calls:
        scene.record(who, code, 0, (asked, asked, left), (1.0, 1.0), item=item)
    return scene


def test_the_highest_fill_is_of_one_moment(tmp_path: Path) -> None:
    """Three sends before the first receive, one between the next two: three at most."""
    scene = traffic(
        tmp_path,
        ("p", PUT, 1, 0, 1), ("p", PUT, 2, 2, 3), ("p", PUT, 3, 4, 5),
        ("c", TAKE, 1, 6, 7), ("p", PUT, 4, 8, 9), ("c", TAKE, 2, 10, 11),
    )  # fmt: skip
    found = channels(scene.case().history)[0]
    assert (found.sent, found.taken, found.highest) == (4, 2, 3)


def test_a_message_that_is_being_taken_is_not_counted(tmp_path: Path) -> None:
    """A receiver may have made room before it stamps: the next send is no fourth of three."""
    scene = traffic(
        tmp_path, ("p", PUT, 1, 0, 1), ("c", TAKE, 1, 2, 5), ("p", PUT, 2, 3, 4)
    )  # fmt: skip
    assert channels(scene.case().history)[0].highest == 1


def test_who_takes_at_the_moment_of_the_send_leaves_nothing_in_it(tmp_path: Path) -> None:
    """Equal stamps claim no more than was there."""
    scene = traffic(tmp_path, ("p", PUT, 1, 0, 5), ("c", TAKE, 1, 1, 5))
    assert channels(scene.case().history)[0].highest == 0


def test_the_time_in_sends_is_summed_and_the_longest_told(tmp_path: Path) -> None:
    """A full channel shows in the times of its sends."""
    scene = traffic(tmp_path, ("p", PUT, 1, 0, 10), ("p", PUT, 2, 20, 2_000_000_020))
    found = channels(scene.case().history)[0]
    assert found.send_s == pytest.approx(2.00000001)
    assert found.longest_send_s == pytest.approx(2.0)
    assert found.highest is None
