"""The live table reads each record once, and tells only what is certain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.history import record
from common.history.recorder import Recorder
from common.report.live.sightings import Sightings
from common.report.live.tail import Tail
from common.verdict.properties import lost_update
from exchange.operations import BUY, READ_ROW, SELL, SET_RATES
from spooler.operations import PAGE, PRINT, PUT, TAKE
from tests.verdict.scenes import OPERATIONS, Scene

ALL = 1_000_000


def recorder(path: Path, capacity: int = 1) -> Recorder:
    """Return a recorder as a child has it."""
    return Recorder(path, "trader-0", "trader", 0, capacity)


def finish(into: Recorder, item: int, code: int = BUY) -> None:
    """Record one finished operation."""
    cell = into.begin(code, 0, item, 1, 1, 1.0)
    into.end(cell, 0.0, 0.0, 0.0, 0.0, 2)


def items(tail: Tail, most: int = ALL) -> list[int]:
    """Return the items of what was finished since the last look."""
    records = tail.take(most)
    assert (records["left"] > 0).all(), "taken before it has ended"
    return [int(item) for item in records["item"]]


def test_each_record_is_read_once(tmp_path: Path) -> None:
    """Looks between records, also across the growth of the file, give every record exactly once."""
    path = tmp_path / "a.rec"
    into, tail, seen = recorder(path), Tail(path), list[int]()
    for item in range(1, 1001):
        finish(into, item)
        if item % 100 == 7:
            seen += items(tail)
    seen += items(tail)
    assert seen == list(range(1, 1001))
    assert (tail.done, tail.skipped) == (1000, 0)


def test_what_is_in_flight_is_not_taken(tmp_path: Path) -> None:
    """An operation that has begun is told as begun, and taken only when it has ended."""
    path = tmp_path / "a.rec"
    into, tail = recorder(path), Tail(path)
    cell = into.begin(SELL, 2, 5, 1, 1, 12.5)
    assert items(tail) == []
    assert tail.begun() == (SELL + 2 * record.OBJECT, 12.5)
    into.end(cell, 0.0, 0.0, 0.0, 0.0, 2)
    assert items(tail) == [5]


def test_declared_records_are_not_done(tmp_path: Path) -> None:
    """Of trades declared in bulk only those completed count."""
    path = tmp_path / "a.rec"
    into, tail = recorder(path), Tail(path)
    view, start = into.declare([BUY] * 200, range(200), [1.0] * 200)
    for number in range(3):
        at = start + number * record.RECORD_SIZE + record.END_OFFSET
        record.END.pack_into(view, at, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 2.0)
    assert items(tail) == [0, 1, 2]
    assert tail.done == 3


def test_pages_wait_for_their_print(tmp_path: Path) -> None:
    """The pages of a print end before it does; none of them is left out or taken twice."""
    path = tmp_path / "a.rec"
    into, tail = recorder(path), Tail(path)
    finish(into, 1)
    job = into.begin(PRINT, 0, 2, 1, 1, 1.0)
    seen = []
    for item in (3, 4, 5):
        finish(into, item, PAGE)
        seen += items(tail)
    into.end(job, 0.0, 0.0, 0.0, 0.0, 9)
    finish(into, 6)
    assert seen + items(tail) == [1, 2, 3, 4, 5, 6]


def test_too_many_are_counted_and_the_latest_taken(tmp_path: Path) -> None:
    """Whoever does more than can be looked at is still counted whole; the rest is owned up to."""
    path = tmp_path / "a.rec"
    into, tail = recorder(path), Tail(path)
    for item in range(50):
        finish(into, item)
    assert items(tail, most=10) == list(range(40, 50))
    assert (tail.done, tail.skipped) == (50, 40)
    assert items(tail) == []


@pytest.mark.parametrize("content", [None, b"", bytes(10_000), b"LABHIST1", b"x" * 10_000])
def test_a_file_that_is_no_history_shows_nothing(tmp_path: Path, content: bytes | None) -> None:
    """Absent, empty, not written yet or somebody else's: there is nothing to see, and no error."""
    path = tmp_path / "a.rec"
    if content is not None:
        path.write_bytes(content)
    tail = Tail(path)
    assert len(tail.take(ALL)) == 0
    assert (tail.begun(), tail.waiting()) == ((0, 0.0), (0, ""))


def sightings(scene: Scene) -> Sightings:
    """Return sightings of a scene's table, with nothing seen yet."""
    opening = [(3.73, 3.72, scene.stock) for _ in scene.rows]
    return Sightings(OPERATIONS, scene.rows, opening)


def seen(scene: Scene) -> dict[str, str]:
    """Return what is recognised in a whole scene at once."""
    found = sightings(scene)
    found.take(news(scene, {}))
    return dict(found.told())


def news(scene: Scene, tails: dict[str, Tail]) -> dict[str, np.ndarray[Any, Any]]:
    """Return what the processes of a scene finished since the last call with these tails."""
    for name in scene.recorders:
        tails.setdefault(name, Tail(scene.directory / "history" / f"{name}.rec"))
    return {name: tail.take(ALL) for name, tail in tails.items()}


def test_an_update_that_is_written_over_is_seen(tmp_path: Path) -> None:
    """Two overlapping trades that read the same stock: one is lost, and the sentence says whose."""
    scene = Scene(tmp_path, stock=9450.0, lock="none")
    scene.trade("trader-3", +10, 9450, (1, 3, 5))
    scene.trade("trader-1", -50, 9450, (1, 2, 9))
    assert seen(scene)["lost_update"] == (
        "at least 1 update; trader-3 read 9,450 DOLLAR and wrote 9,460; "
        "trader-1, who had also read 9,450, wrote 9,400 over it"
    )


def test_a_lost_update_seen_in_two_looks_counts_once(tmp_path: Path) -> None:
    """The one that writes over another may come a look later; a third look adds nothing."""
    scene, tails = Scene(tmp_path, lock="none"), dict[str, Tail]()
    found = sightings(scene)
    scene.trade("a", +1, 100, (1, 1, 5))
    found.take(news(scene, tails))
    assert found.told() == []
    scene.trade("b", +2, 100, (2, 2, 6))
    found.take(news(scene, tails))
    found.take(news(scene, tails))
    assert found.told()[0][1].startswith("at least 1 update;")


def test_of_three_that_read_the_same_two_are_lost(tmp_path: Path) -> None:
    """Also when the middle one is recorded last."""
    scene, tails = Scene(tmp_path, lock="none"), dict[str, Tail]()
    found = sightings(scene)
    scene.trade("a", +1, 100, (1, 1, 5))
    scene.trade("c", +3, 100, (2, 2, 9))
    found.take(news(scene, tails))
    scene.trade("b", +2, 100, (2, 2, 7))
    found.take(news(scene, tails))
    assert found.told()[0][1].startswith("at least 2 updates;")


@pytest.mark.parametrize(
    ("times", "row"),
    [((1, 1, 5), 0), ((15, 15, 20), 0), ((7, 7, 9), 1)],
    ids=["just before", "just after", "another row"],
)
def test_equal_values_alone_are_no_loss(
    tmp_path: Path, times: tuple[int, int, int], row: int
) -> None:
    """The same value read in sections that only touch, or in another row; all beside a long one."""
    scene = Scene(tmp_path, rows=("DOLLAR", "EURO"), lock="none")
    scene.trade("a", +1, 100, (5, 5, 15))
    scene.trade("b", +1, 100, times, row=row)
    scene.trade("c", +1, 7, (0, 0, 30))
    assert seen(scene) == {}


def test_a_refused_operation_is_counted_and_no_update(tmp_path: Path) -> None:
    """What its own check turned down wrote nothing, whatever its record holds."""
    scene = Scene(tmp_path, lock="none")
    scene.trade("a", +1, 0, (1, 1, 5))
    scene.record("b", BUY, 0, (1, 2, 6), (9.0, 0.0, 0.0, 0.0, -5.0), refused=True)
    found = sightings(scene)
    found.take(news(scene, {}))
    assert found.told() == []
    assert found.refused == {"a": 0, "b": 1}


def test_a_stock_below_zero_is_seen(tmp_path: Path) -> None:
    """The sale that takes a row below zero, not the purchase that mends it."""
    scene = Scene(tmp_path, stock=5.0)
    scene.trade("trader-0", -7, 5, (1, 1, 3))
    scene.trade("trader-1", +1, -2, (4, 4, 6))
    assert seen(scene) == {
        "negative_stock": "1 update; at the worst trader-0 read 5 DOLLAR and wrote -2"
    }


def test_a_torn_row_is_seen(tmp_path: Path) -> None:
    """A new sell rate beside the old buy rate: no one wrote them together."""
    scene = Scene(tmp_path)
    scene.record("setter", SET_RATES, 0, (1, 1, 9), (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (2, 2, 5), (4.0, 3.72, 10000.0))
    scene.record("auditor", READ_ROW, 0, (10, 10, 12), (4.0, 4.5, 10000.0))
    assert seen(scene) == {
        "torn_read": "1 snapshot; auditor read sell 4 and buy 3.72 of DOLLAR, "
        "which no one wrote together"
    }


def test_rates_whose_change_is_recorded_later_are_not_torn(tmp_path: Path) -> None:
    """A snapshot of a change in flight waits until the change is known."""
    scene, tails = Scene(tmp_path), dict[str, Tail]()
    found = sightings(scene)
    scene.record("auditor", READ_ROW, 0, (2, 2, 5), (4.0, 4.5, 10000.0))
    found.take(news(scene, tails))
    scene.record("setter", SET_RATES, 0, (1, 1, 9), (4.0, 4.5))
    found.take(news(scene, tails))
    assert found.told() == []


def test_the_depth_of_a_channel_is_what_was_put_less_what_was_taken(tmp_path: Path) -> None:
    """By the channel's index, over several looks."""
    scene, tails = Scene(tmp_path), dict[str, Tail]()
    found = sightings(scene)
    for item in (1, 2, 3):
        scene.record("producer", PUT, 1, (item, item, item), (0.0,), item)
    found.take(news(scene, tails))
    scene.record("consumer", TAKE, 1, (4, 4, 4), (0.0,), 1)
    found.take(news(scene, tails))
    assert (found.depth[0], found.depth[1]) == (0, 2)


def test_a_strange_process_may_record_anything(tmp_path: Path) -> None:
    """Kinds that are no numbers, codes and rows that do not exist: ignored, or shown as such."""
    scene = Scene(tmp_path, lock="none")
    scene.trade("a", -9, 5, (1, 1, 5), row=0)
    into = scene.recorder("guest")
    view, start = into.declare(
        [float("nan"), -3.0, 2.0**80, 250.0, SELL + 77 * 256.0], range(5), [1.0] * 5
    )
    for number in range(5):
        at = start + number * record.RECORD_SIZE + record.END_OFFSET
        record.END.pack_into(view, at, 1.0, 1.0, 0.0, 0.0, 1.0, -99.0, 2.0)
    assert "row 77" in seen(scene)["negative_stock"]


def test_never_more_than_the_judge_finds(tmp_path: Path) -> None:
    """A lost update that carried others with it: the live table tells of fewer, never of more."""
    scene = Scene(tmp_path, stock=100.0, lock="none")
    scene.trade("b", +1, 100, (1, 1, 50))
    for at, stock in enumerate((100, 101, 102)):
        scene.trade("a", +1, stock, (2 + at, 2 + at, 3 + at))
    scene.final[0] = 101
    told = int(seen(scene)["lost_update"].split()[2])
    judged = lost_update.check(scene.case()).findings[0].count
    assert (told, judged) == (1, 3)
