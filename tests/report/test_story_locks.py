"""What a story says of locks: who held which, who waited for whom, and what was wrong with it."""

from __future__ import annotations

from pathlib import Path

from common.history.record import FIRST_ROW_LOCK, NO_LOCK
from exchange import operations as exchange
from spooler import operations as spooler
from tests.report.stories import story, texts
from tests.verdict.scenes import Scene, item

BARE = (NO_LOCK, NO_LOCK)
DOLLAR, EURO = FIRST_ROW_LOCK, FIRST_ROW_LOCK + 1


def waits(told: dict[str, object]) -> list[tuple[str, str]]:
    """Return who waits for what in a story."""
    return [each for each in texts(told) if each[1].startswith(("waits", "asks"))]


def test_who_waited_is_told_with_those_who_were_inside(tmp_path: Path) -> None:
    """In the order in which they had the lock; who had left before is not named."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("gone", 1, 100, (0, 10, 20))
    scene.trade("first", 1, 101, (0, 30, 60))
    scene.trade("second", 1, 102, (0, 61, 70))
    scene.trade("first", 1, 103, (0, 71, 80))
    scene.trade("late", 2, 104, (40, 90, 190))
    scene.trade("bare", 5, 104, (95, 95, 200), held=BARE)
    told = story(scene.case(), "lost_update")
    assert ("late", "waits for the table's lock (held by first, 2 times, then second)") in waits(
        told
    )


def test_a_lock_of_a_row_is_named_and_others_do_not_count(tmp_path: Path) -> None:
    """Who was inside the other row's lock held up nobody."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    scene.trade("other", 1, 100, (0, 5, 50), row=1, held=(EURO, EURO))
    scene.trade("one", 1, 100, (0, 5, 50), held=(DOLLAR, DOLLAR))
    scene.trade("late", 2, 101, (20, 60, 190), held=(DOLLAR, DOLLAR))
    scene.trade("bare", 5, 101, (70, 70, 200), held=BARE)
    told = story(scene.case(), "lost_update")
    assert ("late", "waits for the lock of DOLLAR (held by one)") in waits(told)


def test_who_asked_and_met_nobody_is_not_said_to_wait(tmp_path: Path) -> None:
    """Some always take a stamp before they ask: that alone is no wait."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("one", 2, 100, (40, 60, 190))
    scene.trade("bare", 5, 100, (70, 70, 200), held=BARE)
    assert waits(story(scene.case(), "lost_update")) == [("one", "asks for the table's lock")]


def test_who_waits_is_told_of_those_around_it_too(tmp_path: Path) -> None:
    """Not only of the two that bear witness."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("one", 2, 100, (40, 60, 190))
    scene.trade("bare", 5, 100, (70, 70, 200), held=BARE)
    scene.trade("next", 1, 105, (80, 195, 260))
    rows = texts(story(scene.case(), "lost_update"))
    assert ("next", "waits for the table's lock (held by one)") in rows
    assert ("next", "enters with the table's lock after 0.1 µs") in rows


def test_one_who_died_inside_is_named(tmp_path: Path) -> None:
    """Its record has no end, and nobody knows when it gave the lock back."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.record("dead", exchange.BUY, 0, (0, 10, 0), (5.0,))
    scene.trade("late", 2, 100, (40, 90, 190))
    scene.trade("bare", 5, 100, (95, 95, 200), held=BARE)
    told = story(scene.case(), "data_race", "last")
    assert ("late", "waits for the table's lock (held by dead)") in waits(told)


def test_the_papers_lock_is_waited_for_too(tmp_path: Path) -> None:
    """A print holds it for a whole job."""
    lay = [(0, 1), (1, 1), (0, 2)]
    paper = [f"[job {item(maker, 1):012x} page {page}/2] abc" for maker, page in lay]
    scene = Scene(tmp_path / "run", paper=paper)
    offset = 0
    for (maker, page), line in zip(lay, paper, strict=True):
        entered = offset + 40
        times = (entered, entered, entered + 5)
        scene.record(
            f"p{maker}", spooler.PAGE, 0, times, (page, 2, offset, len(line) + 1), item(maker, 1)
        )
        offset += len(line) + 1
    scene.job("p0", spooler.PRINT, item(0, 1), (5, 30, 600))
    scene.job("p1", spooler.PRINT, item(1, 1), (20, 50, 600))
    told = story(scene.case(), "pages_interleaved")
    assert ("p1", "waits for the paper's lock (held by p0)") in waits(told)


def test_a_long_wait_is_told_with_those_who_came_meanwhile(tmp_path: Path) -> None:
    """Those who were let in last; the row of the wait counts them all."""
    scene = Scene(tmp_path / "run", stock=100.0)
    for turn in range(120):
        at = turn * 10**7 + 10
        scene.trade("greedy", 1, 100 + turn, (at, at, at + 10**6))
    scene.trade("patient", 2, 220, (5, 3 * 10**9, 3 * 10**9 + 50))
    told = story(scene.case(), "starvation")
    assert ("patient", "waits for the table's lock (held by greedy, 120 times)") in waits(told)
    seqs = sorted({row["seq"] for row in told["rows"] if row["process"] == "greedy"})
    assert seqs == list(range(110, 121))
    assert told["left_out"] == 109


def test_each_side_of_a_race_says_what_it_held(tmp_path: Path) -> None:
    """One goes in with the lock, the other without, a third with another row's."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    scene.trade("careful", 2, 100, (10, 10, 190), held=(DOLLAR, DOLLAR))
    scene.trade("careless", 5, 100, (70, 70, 200), held=BARE)
    scene.trade("wrong", 1, 105, (210, 210, 220), held=(EURO, EURO))
    case = scene.case()
    first = texts(story(case, "data_race", "first"))
    assert ("careful", "enters with the lock of DOLLAR: buy 2") in first
    assert ("careless", "enters without a lock: buy 5") in first
    assert ("wrong", "enters with the lock of EURO: buy 1") in texts(
        story(case, "data_race", "last")
    )


def test_a_lock_taken_only_for_the_write_is_taken_after_the_read(tmp_path: Path) -> None:
    """When, beside that, no record tells: the row is open on both sides."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    scene.trade("one", 2, 100, (10, 10, 190), held=(NO_LOCK, DOLLAR))
    scene.trade("other", 5, 100, (20, 20, 200), held=(NO_LOCK, DOLLAR))
    told = story(scene.case(), "data_race")
    for name in ("one", "other"):
        own = [row for row in told["rows"] if row["process"] == name]
        steps = ["enters", "checks", "reads", "takes", "writes", "leaves"]
        assert [row["step"] for row in own] == steps
        assert own[3]["at_ns"] is None
        assert own[3]["text"] == "takes the lock of DOLLAR"


def test_what_would_have_prevented_it_names_who_broke_the_lock(tmp_path: Path) -> None:
    """A lost update under a lock that one did not take."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("careful", 2, 100, (10, 10, 190))
    scene.trade("careless", 5, 100, (70, 70, 200), held=BARE)
    told = story(scene.case(), "lost_update")
    assert told["prevention"] == (
        "table.lock is sysv_sem, yet careless goes in without the table's lock, which careful "
        "takes; a lock keeps apart only those who take it: all who use the row must"
    )
