"""Each lock behaves as its facts say, row by row, several at once, and after a holder's death."""

from __future__ import annotations

from collections import Counter
from functools import partial

import pytest

from common.kernel.locks import FREED, HELD, NOTHING, TOLD
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conformance.lock_cases import (
    ALL,
    DONE,
    EXCLUDING,
    EXPIRED,
    REFUSED,
    SHORT,
    TOGETHER,
    VANISHED,
    Case,
    Opener,
    Rows,
    Start,
    each,
    shared_integers,
    shut,
)
from tests.conftest import Fork, limited

GIVEN_ON = [case for case in EXCLUDING if case.facts.holder_dies in (FREED, TOLD)]


# When a holder dies


@each(ALL)
def test_what_becomes_of_a_lock_whose_holder_is_killed(opener: Opener, start: Start) -> None:
    """Free for the next one, or held for ever; told to just the next one, where it is told."""
    facts = opener.case.facts
    assert facts.holder_dies in (FREED, TOLD, HELD, NOTHING)
    assert (facts.holder_dies == NOTHING) is not opener.case.module.EXCLUDES
    holder = start(opener)
    assert holder.acquire() == DONE
    holder.die()
    told = []
    for _ in range(3):
        process = start(opener, SHORT)
        assert process.acquire() == (EXPIRED if facts.holder_dies == HELD else DONE)
        told.append(int(process.do("n")))
        if facts.holder_dies != HELD:
            assert process.release() == DONE
    assert told == [int(facts.holder_dies == TOLD), 0, 0]


@pytest.mark.usefixtures("patient")
@each(GIVEN_ON)
def test_a_dead_holders_lock_wakes_the_one_who_waits(opener: Opener, start: Start) -> None:
    """The kernel hands it on at the holder's death; no tick ends the wait."""
    holder, waiter = start(opener), start(opener)
    assert holder.acquire() == DONE
    waiter.wait_to_acquire()
    holder.die()
    assert waiter.result() == DONE
    assert waiter.do("n") == str(int(opener.case.facts.holder_dies == TOLD))
    assert shut(start, opener)
    assert waiter.release() == DONE
    assert not shut(start, opener)


@each(GIVEN_ON)
def test_whether_a_child_of_a_dead_holder_holds_the_lock_too(opener: Opener, start: Start) -> None:
    """Held until that child has ended as well, or free at once, as the facts say."""
    holder = start(opener)
    assert holder.acquire() == DONE
    assert holder.do("f") == DONE
    holder.die()
    assert shut(start, opener) is opener.case.facts.inherited
    # The child hears what its parent would have.
    holder.begin("q")
    assert holder.hear() == ""
    assert not shut(start, opener)


@each(ALL)
def test_what_comes_of_giving_back_twice(opener: Opener, start: Start) -> None:
    """By the bare calls: two go in where it counts, and a value is 2; else never more than one."""
    module, first = opener.case.module, start(opener)
    assert [first.acquire(), first.release()] == [DONE, DONE]
    given = first.do("g")
    inside = [start(opener, SHORT) for _ in range(2)]
    if opener.case.facts.counts:
        assert given == DONE
        assert module.value(opener.address) == 2
        assert [process.acquire() for process in inside] == [DONE, DONE]
    elif module.EXCLUDES:
        assert given in (DONE, REFUSED)
        assert [process.acquire() for process in inside].count(DONE) <= 1


# Beginning again


@each(ALL)
def test_abandoned_and_reset_a_lock_is_free_for_one(opener: Opener, start: Start) -> None:
    """Also for who abandoned it, who does not hold it any more; taken by either of its calls."""
    module, first = opener.case.module, start(opener)
    free = module.value(opener.address)
    for take in "at":
        assert first.do(take) == DONE
        assert first.do("l") == DONE
        module.reset(opener.address)
        assert module.value(opener.address) == free
        assert not shut(start, opener)
        if module.EXCLUDES:
            assert first.release() == REFUSED
    assert first.acquire() == DONE
    assert shut(start, opener) is module.EXCLUDES
    assert first.release() == DONE
    assert not shut(start, opener)


@each(EXCLUDING)
def test_a_lock_that_a_dead_holder_kept_is_free_after_a_reset(opener: Opener, start: Start) -> None:
    """The launcher puts it back, whatever the kernel has done by itself."""
    holder = start(opener)
    assert holder.acquire() == DONE
    holder.die()
    opener.case.module.reset(opener.address)
    first = start(opener)
    assert first.acquire() == DONE
    assert first.do("n") == "0"
    assert shut(start, opener)
    assert first.release() == DONE
    assert not shut(start, opener)


# Rows


@each(ALL, "rows")
def test_rows_make_what_they_are_counted_for(rows: Rows, maker: Maker) -> None:
    """All of one ``make_rows`` as much as one lock, where there is one; else each for itself."""
    one: Counter[str] = Counter(rows.case.module.OBJECTS)
    times = 1 if hasattr(rows.case.module, "make_rows") else len(rows.made)
    assert limited(maker) == {kind: count * times for kind, count in one.items()}


@each(EXCLUDING, "rows")
def test_each_row_excludes_for_itself(rows: Rows, start: Start) -> None:
    """One is held and put back, and the others neither notice nor change."""
    holder, other = start(rows.made[1]), start(rows.made[2])
    assert holder.acquire() == DONE
    assert [shut(start, opener) for opener in rows.made] == [False, True, False]
    assert other.acquire() == DONE
    assert [shut(start, opener) for opener in rows.made] == [False, True, True]
    assert holder.do("l") == DONE
    rows.case.module.reset(rows.made[1].address)
    assert [shut(start, opener) for opener in rows.made] == [False, False, True]
    assert other.release() == DONE
    assert not shut(start, rows.made[2])


# Several at once


@each(TOGETHER, "rows")
def test_several_are_taken_and_given_at_once(rows: Rows, start: Start) -> None:
    """Those and no others; each is as held as if it had been taken alone."""
    both = start(rows.together(0, 2))
    assert both.release() == REFUSED
    assert both.acquire() == DONE
    assert [shut(start, opener) for opener in rows.made] == [True, False, True]
    assert both.release() == DONE
    assert [shut(start, opener) for opener in rows.made] == [False, False, False]


@pytest.mark.usefixtures("patient")
@each(TOGETHER, "rows")
@pytest.mark.parametrize("blocked", [0, 1])
def test_who_waits_for_several_holds_none(rows: Rows, start: Start, blocked: int) -> None:
    """Whichever of them is held; once it is free both are taken, without a tick."""
    holder, both = start(rows.made[blocked]), start(rows.together(0, 1))
    assert holder.acquire() == DONE
    both.wait_to_acquire()
    assert not shut(start, rows.made[1 - blocked])
    assert holder.release() == DONE
    assert both.result() == DONE
    assert [shut(start, opener) for opener in rows.made] == [True, True, False]


@each(TOGETHER, "rows")
def test_a_wait_for_several_in_vain_leaves_them_as_they_were(rows: Rows, start: Start) -> None:
    """The deadline names both; the free one is free, and nothing can be given back."""
    holder, both = start(rows.made[1]), start(rows.together(0, 1), SHORT)
    assert holder.acquire() == DONE
    assert [both.acquire(), both.release()] == [EXPIRED, REFUSED]
    assert [shut(start, opener) for opener in rows.made] == [False, True, False]


@each(TOGETHER, "rows")
def test_opposite_orders_never_block_each_other(rows: Rows, fork: Fork, wait: Wait) -> None:
    """Processes that name the same rows in any order go round and round, one at a time."""
    rounds, inside = 200, shared_integers(1)

    def work(*numbers: int) -> None:
        lock = rows.together(*numbers)(wait)
        for _ in range(rounds):
            lock.acquire()
            inside[0] += 1
            assert inside[0] == 1
            inside[0] -= 1
            lock.release()

    orders = ((0, 1, 2), (2, 1, 0), (1, 0), (0, 1))
    children = [fork(partial(work, *numbers)) for numbers in orders]
    assert [child.ended() for child in children] == [0] * len(orders)


@each(TOGETHER, "rows")
def test_several_are_one_lock_to_death_removal_and_reset(
    rows: Rows, start: Start, maker: Maker
) -> None:
    """A killed holder leaves each as a single one; a reset frees all; removal is told."""
    both = rows.together(0, 1)
    holder = start(both)
    assert holder.acquire() == DONE
    holder.die()
    kept = rows.case.facts.holder_dies == HELD
    assert [shut(start, opener) for opener in rows.made] == [kept, kept, False]
    holder, waiter = start(rows.made[0]), start(both)
    for opener in rows.made:
        rows.case.module.reset(opener.address)
    assert holder.acquire() == DONE
    waiter.wait_to_acquire()
    maker.remove_all()
    assert rows.case.module.TELLS_REMOVAL
    assert waiter.result() == VANISHED


@each(TOGETHER, "rows")
def test_what_several_touch_is_each_of_them(rows: Rows) -> None:
    """A scheduler must not take two acquisitions that share a row for independent ones."""
    lock = rows.together(0, 2)(Wait(SHORT))
    assert lock.taking is not None
    assert lock.giving is not None
    assert set(lock.taking.changes) == set(lock.giving.changes) == {"row 0", "row 2"}
    assert lock.taking.takes == lock.giving.gives == "row 0 and row 2"
    assert lock.taking.ready is not None
    assert lock.taking.ready()
    lock.acquire()
    assert not lock.taking.ready()
    lock.release()


# Readers


@each(EXCLUDING)
def test_readers_are_together_and_a_writer_alone(opener: Opener, start: Start) -> None:
    """Where the lock knows readers; elsewhere reading excludes as everything does."""
    first, second = start(opener), start(opener, SHORT)
    shares = first.do("d") == "1"
    assert first.do("A") == DONE
    assert second.do("A") == (DONE if shares else EXPIRED)
    assert shut(start, opener)
    assert first.do("R") == DONE
    assert shut(start, opener) is shares
    if shares:
        assert second.do("R") == DONE
    assert first.acquire() == DONE
    assert shut(start, opener, "A")
    assert first.release() == DONE
    assert not shut(start, opener, "A")


@each(EXCLUDING)
def test_what_was_acquired_for_reading_is_abandoned_with_the_rest(
    opener: Opener, start: Start
) -> None:
    """Abandoned and put back, it is free for a writer."""
    reader = start(opener)
    assert reader.do("A") == DONE
    assert reader.do("l") == DONE
    opener.case.module.reset(opener.address)
    assert not shut(start, opener)
    assert reader.do("R") == REFUSED


def test_every_choice_that_changes_a_fact_is_a_case() -> None:
    """A kind whose facts depend on its options is here once for each, and no case twice."""
    assert len({(case.kind, *case.options.items()) for case in ALL}) == len(ALL)
    assert {case.facts.holder_dies for case in ALL if case.kind == "sysv_sem"} == {FREED, HELD}
    assert all(isinstance(case, Case) for case in ALL)
