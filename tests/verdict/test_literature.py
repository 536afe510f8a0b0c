"""Histories that the literature draws by hand, judged as if real processes had made them.

Where a source has two variables under one constraint, they are the two rates of a row here.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from common.history.case import Case
from common.verdict import linearizability
from common.verdict.finding import Finding
from common.verdict.judge import judge
from exchange.operations import READ_ROW, SET_RATES
from spooler.operations import PRINT, PUT, TAKE
from tests.verdict.scenes import Scene, item, queue, ring

# An interval of time, in ns.
Span = tuple[int, int]


def bank(tmp_path: Path, balance: float) -> Scene:
    """Return an account of that name and balance, which nothing guards."""
    return Scene(tmp_path / "run", rows=("account",), stock=balance, lock="none")


def harm(case: Case) -> dict[str, Finding]:
    """Return what was found, but for races: nothing guards these examples."""
    return {each.kind: each for each in judge(case).findings if each.kind != "data_race"}


def ordered(case: Case, name: str) -> bool:
    """Tell whether one order explains all that was done to an object."""
    (found,) = (each for each in linearizability.check(case) if each.name == name)
    assert found.answer != "undecided"
    return found.answer == "linearizable"


# --- lost updates


def test_ostep_the_counter_that_is_51_instead_of_52(tmp_path: Path) -> None:
    """Two threads add 1 to a counter of 50; one is interrupted between its load and its store.

    Both wrote 51, so that nothing tells which of the two was lost, only that one was.
    Arpaci-Dusseau and Arpaci-Dusseau, Operating Systems: Three Easy Pieces, chapter 26, "The Heart
    of the Problem: Uncontrolled Scheduling".
    """
    scene = bank(tmp_path, 50.0)
    scene.trade("thread-2", 1, 50, (20, 20, 40))
    scene.trade("thread-1", 1, 50, (10, 10, 60))
    case = scene.case()
    found = harm(case)
    assert scene.final == [51.0]
    assert list(found) == ["lost_update"]
    assert (found["lost_update"].count, found["lost_update"].total) == (1, 1.0)
    assert judge(case).measures["missing"] == {"account": 1.0}
    assert not ordered(case, "the stock of account")


def test_bernstein_the_deposit_of_100000_that_is_gone(tmp_path: Path) -> None:
    """Two deposits to one account: 100 and 100,000 dollars to 1,000, and 1,100 are left.

    Bernstein, Hadzilacos and Goodman, Concurrency Control and Recovery in Database Systems (1987),
    chapter 1, the lost update.
    """
    scene = bank(tmp_path, 1000.0)
    scene.trade("customer-2", 100_000, 1000, (15, 15, 40))
    scene.trade("customer-1", 100, 1000, (10, 10, 50))
    case = scene.case()
    found = harm(case)
    assert list(found) == ["lost_update"]
    assert (found["lost_update"].count, found["lost_update"].total) == (1, 100_000.0)
    assert found["lost_update"].first.witnesses[0].process == "customer-2"
    assert not ordered(case, "the stock of account")


def test_berenson_h4_a_lost_update(tmp_path: Path) -> None:
    """H4: r1[x=100] r2[x=100] w2[x=120] c2 w1[x=130] c1, the phenomenon P4.

    Berenson, Bernstein, Gray, Melton, O'Neil and O'Neil, A Critique of ANSI SQL Isolation Levels
    (1995), section 4.1.
    """
    scene = bank(tmp_path, 100.0)
    scene.trade("T2", 20, 100, (11, 11, 30))
    scene.trade("T1", 30, 100, (10, 10, 40))
    found = harm(scene.case())
    assert list(found) == ["lost_update"]
    assert (found["lost_update"].first.witnesses[0].process, found["lost_update"].total) == (
        "T2", 20.0,
    )  # fmt: skip


def test_sicp_peter_and_paul_withdraw_at_once(tmp_path: Path) -> None:
    """Peter takes 10 and Paul 25 of 100 dollars, and 75 are left: money came from nowhere.

    Abelson and Sussman, Structure and Interpretation of Computer Programs, figure 3.29.
    """
    scene = bank(tmp_path, 100.0)
    scene.trade("Peter", -10, 100, (10, 10, 30))
    scene.trade("Paul", -25, 100, (15, 15, 40))
    case = scene.case()
    found = harm(case)
    assert scene.final == [75.0]
    assert list(found) == ["lost_update"]
    assert found["lost_update"].first.sentence.endswith(
        "10 account sold by Peter are still in stock."
    )
    assert judge(case).measures["missing"] == {"account": -10.0}


def test_sicp_a_withdrawal_between_the_test_and_the_other_withdrawal(tmp_path: Path) -> None:
    """What Peter's test found to be enough is not there any more when he takes it.

    Abelson and Sussman, section 3.4.1, on the test of ``withdraw`` that another withdrawal makes
    worthless before the money is taken. The amounts are ours.
    """
    scene = bank(tmp_path, 100.0)
    rest = scene.trade("Paul", -50, 100, (15, 15, 30))
    scene.trade("Peter", -75, rest, (10, 10, 40), checked=100)
    case = scene.case()
    found = harm(case)
    assert list(found) == ["negative_stock"]
    assert found["negative_stock"].worst.sentence == (
        "Peter checked 100 account to sell 75; Paul then wrote 50; Peter read 50 and wrote -25."
    )
    assert not ordered(case, "the stock of account")


# --- two values under one constraint


def pair(tmp_path: Path, written: tuple[float, float], when: Span) -> Scene:
    """Return a row with two values that T2 changes, both."""
    scene = Scene(tmp_path / "run", rows=("x and y",), lock="none")
    scene.record("T2", SET_RATES, 0, (when[0], *when), written)
    return scene


def look(scene: Scene, who: str, values: tuple[float, float], when: Span) -> None:
    """Record that somebody read both."""
    scene.record(who, READ_ROW, 0, (when[0], *when), (*values, scene.stock))


def ended(scene: Scene, opening: tuple[float, float], ending: tuple[float, float]) -> Case:
    """Return the run, with what the row held at first and in the end."""
    return scene.case(initial=[[*opening, scene.stock]], final=[[*ending, scene.stock]])


def test_berenson_h2_read_skew(tmp_path: Path) -> None:
    """H2: r1[x=50] r2[x=50] w2[x=10] r2[y=50] w2[y=90] c2 r1[y=90] c1: a sum of 140, A5A.

    Berenson et al. (1995), section 3.
    """
    scene = pair(tmp_path, (10.0, 90.0), (20, 60))
    look(scene, "T1", (50.0, 90.0), (10, 80))
    case = ended(scene, (50.0, 50.0), (10.0, 90.0))
    assert list(harm(case)) == ["torn_read"]
    assert not ordered(case, "the rates of x and y")


def test_berenson_h1_inconsistent_analysis(tmp_path: Path) -> None:
    """H1: r1[x=50] w1[x=10] r2[x=10] r2[y=50] c2 r1[y=50] w1[y=90] c1: a sum of 60.

    Berenson et al. (1995), section 3; the writer is T2 and the reader T1 here.
    """
    scene = pair(tmp_path, (10.0, 90.0), (10, 80))
    look(scene, "T1", (10.0, 50.0), (30, 50))
    case = ended(scene, (50.0, 50.0), (10.0, 90.0))
    assert list(harm(case)) == ["torn_read"]
    assert not ordered(case, "the rates of x and y")


def test_berenson_p0_two_writers_leave_half_of_each(tmp_path: Path) -> None:
    """Dirty write: w1[x=1] w2[x=2] w2[y=2] c2 w1[y=1] c1 leaves x=2 and y=1, so x is not y.

    Berenson et al. (1995), section 3, remark on P0.
    """
    scene = pair(tmp_path, (2.0, 2.0), (20, 50))
    scene.record("T1", SET_RATES, 0, (10, 10, 70), (1.0, 1.0))
    case = ended(scene, (0.0, 0.0), (2.0, 1.0))
    assert list(harm(case)) == ["torn_read"]
    assert not ordered(case, "the rates of x and y")


PORCUPINE = [
    pytest.param(100, [("C1", 100, (25, 75)), ("C2", 0, (30, 60))], True, id="readme-1"),
    pytest.param(200, [("C1", 200, (10, 30)), ("C2", 0, (40, 90))], False, id="readme-2"),
    pytest.param(
        100, [("C1", 100, (25, 75)), ("C2", 0, (30, 30)), ("C3", 0, (30, 30))], True, id="zero-1"
    ),
    pytest.param(
        200, [("C1", 200, (10, 10)), ("C2", 200, (10, 10)), ("C3", 0, (40, 90))], False, id="zero-2"
    ),
]


@pytest.mark.parametrize(("put", "gets", "right"), PORCUPINE)
def test_porcupine_a_register_that_goes_back_in_time(
    tmp_path: Path, put: float, gets: list[tuple[str, float, Span]], right: bool
) -> None:
    """A put that takes long, and who got what meanwhile: once it was seen it stays.

    Athalye, Porcupine (2017), README and TestZeroDuration; from an exam of MIT 6.824. Nothing is
    torn or lost in either: only the search for an order sees it.
    """
    scene = pair(tmp_path, (put, put), (1, 100))
    for who, got, when in gets:
        look(scene, who, (got, got), when)
    case = ended(scene, (0.0, 0.0), (put, put))
    assert harm(case) == {}
    assert ordered(case, "the rates of x and y") is right


# --- queues

X, Y = item(0, 1), item(1, 1)

HERLIHY_WING = [
    pytest.param([("A", PUT, X, (10, 40)), ("B", PUT, Y, (20, 30)), ("B", TAKE, X, (50, 60)),
                  ("A", TAKE, Y, (70, 80))], True, set(), id="H1"),
    pytest.param([("A", PUT, X, (10, 20)), ("B", PUT, Y, (30, 40)), ("A", TAKE, Y, (50, 60))],
                 False, {"job_lost"}, id="H2"),
    pytest.param([("A", PUT, X, (10, 40)), ("B", TAKE, X, (20, 30))], True, set(), id="H3"),
    pytest.param([("A", PUT, X, (10, 40)), ("B", PUT, Y, (20, 30)), ("A", TAKE, Y, (50, 70)),
                  ("B", TAKE, Y, (60, 80))], False, {"job_duplicated", "job_lost"}, id="H4"),
]  # fmt: skip


@pytest.mark.parametrize(("calls", "right", "kinds"), HERLIHY_WING)
def test_herlihy_and_wing_four_histories_of_a_queue(
    tmp_path: Path, calls: list[tuple[str, int, int, Span]], right: bool, kinds: set[str]
) -> None:
    """H1 and H3 are acceptable: what overlaps may be taken either way. H2 and H4 are not.

    In H2 y was taken though x had been put there before it, in H4 it was taken twice. Herlihy and
    Wing, Linearizability: A Correctness Condition for Concurrent Objects (1990), figure 1. What a
    run leaves in its queue is lost besides.
    """
    scene = Scene(tmp_path / "run", channels=[queue()])
    scene.recorder("A")
    scene.recorder("B")
    for who, code, job, (begin, end) in calls:
        scene.job(who, code, job, (begin, begin, end))
    for at, job in enumerate({job for _, code, job, _ in calls if code == TAKE}):
        scene.job("printer", PRINT, job, (100 + 10 * at,) * 2 + (105 + 10 * at,))
    case = scene.case()
    assert set(harm(case)) == kinds
    assert ordered(case, "the queue jobs") is right


def slots(tmp_path: Path) -> Scene:
    """Return a ring of slots that nothing guards, with two who fill it."""
    scene = Scene(tmp_path / "run", channels=[ring(lock="none")])
    scene.recorder("A")
    scene.recorder("B")
    return scene


def deliver(scene: Scene, job: int, position: int, start: int) -> None:
    """Take a job out of its slot and print it."""
    scene.job("daemon", TAKE, job, (start, start + 1, start + 5), position=position)
    scene.job("daemon", PRINT, job, (start + 6, start + 6, start + 9))


def test_tanenbaum_two_files_in_slot_7_of_the_spooler_directory(tmp_path: Path) -> None:
    """A and B both read that slot 7 is free; B's name is erased, and B never gets any output.

    Tanenbaum, Modern Operating Systems, section 2.3.1, Race Conditions.
    """
    scene = slots(tmp_path)
    scene.job("B", PUT, Y, (19, 20, 30), position=7)
    scene.job("A", PUT, X, (9, 10, 40), position=7)
    deliver(scene, X, 7, 50)
    case = scene.case()
    found = harm(case)
    assert list(found) == ["job_lost"]
    assert found["job_lost"].first.sentence == (
        "B offered job 1 of B to jobs; A was there at the same time, read the same position 7 and "
        "placed job 1 of A there too; nobody ever took job 1 of B."
    )
    assert not ordered(case, "the queue jobs")


def test_ostep_two_producers_fill_the_first_entry(tmp_path: Path) -> None:
    """Pa is interrupted before it increments fill to 1; Pb puts its data at the 0th entry too.

    Arpaci-Dusseau and Arpaci-Dusseau, chapter 31, the bounded buffer without mutual exclusion. The
    second consumer finds an entry that nobody filled.
    """
    scene = slots(tmp_path)
    scene.job("A", PUT, X, (9, 10, 40), position=0)
    scene.job("B", PUT, Y, (19, 20, 30), position=0)
    deliver(scene, Y, 0, 50)
    scene.job("consumer", TAKE, 0, (70, 71, 75), position=1, body=0.5)
    case = scene.case()
    found = harm(case)
    assert set(found) == {"job_lost", "job_corrupted"}
    assert "got an empty slot, which nobody ever offered" in found["job_corrupted"].first.sentence
    assert not ordered(case, "the queue jobs")


def test_ostep_a_consumer_that_sneaks_in(tmp_path: Path) -> None:
    """Woken with an `if` in place of a `while`, Tc1 gets from a buffer that Tc2 has emptied.

    Arpaci-Dusseau and Arpaci-Dusseau, chapter 30, "a broken solution" with one condition variable.
    """
    scene = slots(tmp_path)
    scene.job("A", PUT, X, (9, 10, 20), position=0)
    deliver(scene, X, 0, 30)
    scene.job("Tc1", TAKE, X, (5, 60, 70), position=0)
    case = scene.case()
    assert list(harm(case)) == ["job_duplicated"]
    assert not ordered(case, "the queue jobs")
