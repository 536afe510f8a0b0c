"""Two accesses of two processes to one row, one a write, have an order, or they are a race."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from common.history.record import FIRST_ROW_LOCK, NO_LOCK, TABLE_LOCK
from common.report.story import tell
from common.scenario.plan import ChannelPlan, Part
from common.verdict.finding import Finding
from common.verdict.properties import data_race
from exchange.operations import BUY, FILL, ORDER, READ_ROW, SELL, SET_RATES, TAKE_ORDER
from tests.verdict.scenes import RATES, Scene, item

NONE = (NO_LOCK, NO_LOCK)
WHOLE = (TABLE_LOCK, TABLE_LOCK)
SHRUNK = (NO_LOCK, TABLE_LOCK)
GIVEN = (TABLE_LOCK, NO_LOCK)


def row_lock(row: int) -> tuple[int, int]:
    """Return the lock of a row, held from the first access to the last."""
    return (FIRST_ROW_LOCK + row, FIRST_ROW_LOCK + row)


def race(scene: Scene, **facts: object) -> Finding | None:
    """Return the finding of a run, if there is one."""
    found = data_race.check(scene.case(**facts)).findings
    return found[0] if found else None


def two(tmp_path: Path, first: tuple[int, int], second: tuple[int, int]) -> Scene:
    """Return a run of two purchases, one long after the other."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    value = scene.trade("a", 1, 100, (5, 10, 20), held=first)
    scene.trade("b", 2, value, (30, 30, 40), held=second)
    return scene


@pytest.mark.parametrize("held", [WHOLE, row_lock(0)], ids=["table", "row"])
def test_one_lock_orders(tmp_path: Path, held: tuple[int, int]) -> None:
    """Who had left before the next one under the same lock entered happened before it."""
    assert race(two(tmp_path, held, held)) is None


@pytest.mark.parametrize(
    ("first", "second", "cause"),
    [
        (NONE, WHOLE, "a goes in without the table's lock, which b takes"),
        (WHOLE, NONE, "b goes in without the table's lock, which a takes"),
        (NONE, NONE, "neither takes the lock"),
        (GIVEN, GIVEN, "a and b both give the lock back before the write"),
        (GIVEN, NONE, "a gives the lock back before the write"),
        (WHOLE, SHRUNK, "b takes the lock only for the write, after the read"),
        (SHRUNK, SHRUNK, "a and b take the lock only for the write, after the read"),
        (row_lock(0), row_lock(1), "b took the lock of EURO for a row of DOLLAR"),
    ],
)
def test_a_race_without_harm_names_its_cause(
    tmp_path: Path, first: tuple[int, int], second: tuple[int, int], cause: str
) -> None:
    """They came one after the other by luck; the sentence says what is wrong with the locks."""
    found = race(two(tmp_path, first, second))
    assert found is not None
    assert found.count == 1
    assert cause in found.explanation
    assert [each.process for each in found.first.witnesses] == ["a", "b"]


def test_two_who_only_read_are_no_race(tmp_path: Path) -> None:
    """Each of them races with the write before both, not with the other."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    scene.trade("a", 1, 100, (5, 10, 20))
    for number, who in enumerate("bc", start=3):
        scene.record(who, READ_ROW, 0, (10 * number,) * 2 + (10 * number + 5,), (1.0, 1.0, 101.0))
    found = race(scene)
    assert found is not None
    told = [[each.process for each in case.witnesses] for case in (found.first, found.last)]
    assert (found.count, told) == (2, [["a", "b"], ["a", "c"]])


def test_nothing_guards_an_unlocked_table(tmp_path: Path) -> None:
    """Where the plan has no lock, that is the cause."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    scene.trade("a", 1, 100, (5, 10, 20))
    scene.trade("b", 2, 101, (30, 30, 40))
    found = race(scene)
    assert found is not None
    assert "nothing guards the table" in found.explanation


def test_a_lock_that_let_two_in_is_told_with_its_last_value(tmp_path: Path) -> None:
    """Both hold the same lock and were inside at once: the semaphore stands above 1 in the end."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 1, 100, (5, 10, 20))
    scene.trade("b", 2, 101, (12, 15, 25))
    found = race(scene, lock_values=[3])
    assert found is not None
    assert "let two in at once: it ended at 3" in found.explanation
    assert "2 times too often" in found.explanation


@pytest.mark.parametrize(
    ("programs", "said"),
    [
        ("", "the table's lock let two in at once: somebody gave back what was not taken, or put"),
        ("b", "it let both in, or b did not take it (b is a program that is not the lab's own)"),
        ("ab", "it let both in, or one of them did not take it (a and b are programs"),
    ],
)
def test_a_program_may_say_that_it_holds_what_it_did_not_take(
    tmp_path: Path, programs: str, said: str
) -> None:
    """The lock stands as it should, so nothing tells which of the two it was; both are said."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 1, 100, (5, 10, 20))
    scene.trade("b", 2, 101, (12, 15, 25))
    for name in programs:
        scene.outcomes[name].level = "recorded"
    found = race(scene, lock_values=[1])
    assert found is not None
    assert said in found.explanation
    assert ("say that they held the table's lock at once" in found.explanation) is bool(programs)


def test_a_hand_over_of_another_lock_orders_too(tmp_path: Path) -> None:
    """What a did before it gave the lock back comes before what b does after it took it."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    value = scene.trade("a", 1, 100, (5, 10, 20), held=NONE)
    scene.trade("a", 1, 100, (21, 21, 25), row=1, held=WHOLE)
    scene.trade("b", 1, 101, (30, 30, 35), row=1, held=WHOLE)
    scene.trade("b", 2, value, (40, 40, 45), held=NONE)
    assert race(scene) is None


def test_an_order_goes_through_third_processes(tmp_path: Path) -> None:
    """From a to c by one lock, from c to b by another."""
    scene = Scene(tmp_path / "run", rows=("A", "B", "C"), stock=100.0)
    value = scene.trade("a", 1, 100, (5, 10, 20), held=NONE)
    there = scene.trade("a", 1, 100, (21, 21, 22), row=1, held=row_lock(1))
    scene.trade("c", 1, there, (25, 25, 26), row=1, held=row_lock(1))
    there = scene.trade("c", 1, 100, (27, 27, 28), row=2, held=row_lock(2))
    scene.trade("b", 1, there, (30, 30, 35), row=2, held=row_lock(2))
    scene.trade("b", 2, value, (40, 40, 45), held=NONE)
    assert race(scene) is None


def test_a_refused_sale_that_never_took_its_lock_hands_nothing_over(tmp_path: Path) -> None:
    """Where the lock is for the write alone, who does not write never has it."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    value = scene.trade("a", 1, 100, (5, 5, 10), held=NONE)
    scene.record("a", SELL, 1, (15, 15, 20), (200.0, 100.0), refused=True, held=SHRUNK)
    scene.record("b", SELL, 1, (25, 25, 30), (200.0, 100.0), refused=True, held=SHRUNK)
    scene.trade("b", 1, value, (35, 35, 40), held=NONE)
    assert race(scene) is not None


def test_a_lock_taken_before_orders_nothing_that_came_later(tmp_path: Path) -> None:
    """The hand-over was over before a accessed the row: it says nothing about that access."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), stock=100.0)
    there = scene.trade("a", 1, 100, (1, 1, 2), row=1, held=WHOLE)
    scene.trade("b", 1, there, (3, 3, 4), row=1, held=WHOLE)
    value = scene.trade("a", 1, 100, (5, 10, 20), held=NONE)
    scene.trade("b", 2, value, (40, 40, 45), held=NONE)
    found = race(scene)
    assert found is not None
    assert found.count == 1


def desk(tmp_path: Path) -> Scene:
    """Return a run with a channel of orders."""
    orders = ChannelPlan("orders", 0, Part("sysv_queue"), Part("none"), 64)
    return Scene(tmp_path / "run", stock=100.0, lock="none", channels=[orders])


def test_a_message_orders(tmp_path: Path) -> None:
    """What the sender did before it sent comes before what the receiver does with the message."""
    scene = desk(tmp_path)
    value = scene.trade("a", 1, 100, (5, 10, 20))
    scene.job("a", ORDER, item(0, 1), (25, 25, 40))
    scene.job("b", TAKE_ORDER, item(0, 1), (10, 10, 30))
    scene.trade("b", 2, value, (35, 35, 45))
    assert race(scene) is None


def test_an_answer_orders(tmp_path: Path) -> None:
    """Who has the answer comes after what was done for it."""
    scene = desk(tmp_path)
    scene.job("a", ORDER, item(0, 1), (5, 5, 6))
    scene.job("b", TAKE_ORDER, item(0, 1), (7, 7, 8))
    values = (1.0, 3.73, 3.73, 100.0, 101.0)
    scene.record("b", BUY, 0, (10, 10, 20), values, item(0, 1))
    scene.job("a", FILL, item(0, 1), (8, 8, 30))
    scene.trade("a", 2, 101, (35, 35, 45))
    assert race(scene) is None


def test_a_message_sent_earlier_orders_nothing_that_came_later(tmp_path: Path) -> None:
    """What the sender did after it sent is not ordered by the message."""
    scene = desk(tmp_path)
    scene.job("a", ORDER, item(0, 1), (1, 1, 2))
    value = scene.trade("a", 1, 100, (5, 10, 20))
    scene.job("b", TAKE_ORDER, item(0, 1), (10, 10, 30))
    scene.trade("b", 2, value, (35, 35, 45))
    assert race(scene) is not None


@pytest.mark.parametrize(
    ("one", "other", "races"),
    [
        ("look", "look", False),
        ("buy", "look", True),
        ("set", "look", True),
        ("buy", "set", True),
        ("set", "set", True),
        ("refused sale", "buy", True),
        ("refused sale", "set", False),
        ("refused buy", "set", True),
        ("refused buy", "buy", False),
        ("refused buy", "look", False),
    ],
)
def test_two_accesses_race_if_one_writes_what_the_other_touches(
    tmp_path: Path, one: str, other: str, races: bool
) -> None:
    """Trades write the stock and read a rate, a setter writes the rates, an audit reads both."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    codes = {"buy": BUY, "sale": SELL, "look": READ_ROW, "set": SET_RATES}
    values = {"look": (*RATES, 100.0), "set": RATES}
    for who, act, at in (("a", one, 10), ("b", other, 30)):
        *refused, what = act.split()
        trade = (1.0, 100.0, RATES[0], 100.0, 101.0)
        times = (at, at, at + 5)
        given = values.get(what, trade)
        scene.record(who, codes[what], 0, times, given, refused=bool(refused))
    assert (race(scene) is not None) is races


def test_every_cause_is_told_with_its_count(tmp_path: Path) -> None:
    """The explanation counts the kinds and tells the first race of each."""
    scene = Scene(tmp_path / "run", stock=100.0)
    for at, (who, held) in enumerate([("a", WHOLE), ("b", NONE), ("a", WHOLE), ("c", SHRUNK)]):
        scene.trade(who, 1, 100 + at, (100 * at, 100 * at, 100 * at + 10), held=held)
    found = race(scene)
    assert found is not None
    assert found.count == 3
    assert "2 where one goes in without the lock" in found.explanation
    assert "1 where one takes the lock only for its write" in found.explanation
    assert "b goes in without" in found.explanation
    assert "c takes the lock only for the write" in found.explanation
    assert [each.process for each in found.last.witnesses] == ["a", "c"]


@pytest.mark.parametrize(
    ("held", "remedy"),
    [
        (NONE, "all who use the row must"),
        (SHRUNK, "before the first read"),
        (row_lock(1), "of the row that is accessed"),
    ],
)
def test_the_story_of_a_race_says_what_would_prevent_it(
    tmp_path: Path, held: tuple[int, int], remedy: str
) -> None:
    """`explain` tells both operations, and the mend that fits the cause."""
    case = two(tmp_path, row_lock(0), held).case()
    (found,) = data_race.check(case).findings
    story = tell(case, found, "worst")
    assert story["processes"] == ["a", "b"]
    assert remedy in story["prevention"]


sections = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.sampled_from([NONE, SHRUNK, WHOLE, row_lock(0), row_lock(1)]),
        st.booleans(),
    ),
    min_size=2,
    max_size=12,
)


# A process that gives one lock back and then takes another hands nothing on by the first.
BOTH = [(2, 1, SHRUNK, False), (0, 0, row_lock(0), False), (0, 0, WHOLE, False),
        (1, 1, row_lock(0), True)]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(program=sections, apart=st.lists(st.integers(0, 2), min_size=12, max_size=12))
@example(program=BOTH, apart=[0] * 12)
def test_races_are_found_where_vector_clocks_find_them(
    tmp_path_factory: pytest.TempPathFactory,
    program: list[tuple[int, int, tuple[int, int], bool]],
    apart: list[int],
) -> None:
    """The textbook's vector clocks over the same sequence find a race if and only if we do."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", rows=("A", "B"), stock=100.0)
    now = 10
    done: list[tuple[int, int, tuple[int, int], bool]] = []
    for (who, row, held, writes), gap in zip(program, apart, strict=False):
        # Sections of two processes may touch; within one process the clock has gone on.
        now += bool(done) and done[-1][0] == who
        times = (now, now, now + 5)
        if writes:
            scene.trade(f"p{who}", 1, 100, times, row=row, held=held)
        else:
            values = (*RATES, 100.0)
            scene.record(f"p{who}", READ_ROW, row, times, values, held=held)
        done.append((who, row, held, writes))
        now += 5 + gap
    assert (race(scene) is not None) is by_vector_clocks(done)


def by_vector_clocks(done: list[tuple[int, int, tuple[int, int], bool]]) -> bool:
    """Return whether a sequence of whole sections, none of which overlap, has a race."""
    clocks = [[int(one == other) for other in range(3)] for one in range(3)]
    locks: dict[int, list[int]] = {}
    past: list[tuple[int, int, bool, int]] = []
    found = False

    def take(who: int, lock: int) -> None:
        clocks[who] = [
            max(pair) for pair in zip(clocks[who], locks.get(lock, [0] * 3), strict=True)
        ]

    for who, row, (first, last), writes in done:
        if first:
            take(who, first)
        # All accesses of a section are judged at its first one; its later ones are the easier.
        for other, there, wrote, stamp in past:
            if other != who and there == row and (wrote or writes):
                found |= stamp > clocks[who][other]
        if last and not first:
            take(who, last)
        past.append((who, row, writes, clocks[who][who]))
        if last:
            locks[last] = list(clocks[who])
            clocks[who][who] += 1
    return found
