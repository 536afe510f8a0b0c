"""Is there one order that explains what each operation saw? The properties must agree."""

from __future__ import annotations

import itertools
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import UsageError
from common.history.case import Case
from common.scenario.plan import ChannelPlan, Part
from common.verdict import linearizability
from common.verdict.judge import judge
from common.verdict.linearizability import Answer
from common.verdict.placement import Call, place
from common.verdict.sequential import Look, Refusal, Stock, Update
from common.verdict.sequential_queue import Job, Put, Queue, Take
from exchange.operations import BUY, READ_ROW, SELL, SET_RATES
from spooler.operations import PASS, PUT, TAKE
from tests.verdict import brute_force
from tests.verdict.brute_force import Done
from tests.verdict.scenes import GRAIN, RATES, Scene, item, queue, simulate
from tests.verdict.test_lost_update import forever

STOCK, RATES_OF, JOBS = "the stock of DOLLAR", "the rates of DOLLAR", "the queue jobs"


def answer(case: Case, name: str = STOCK) -> Answer:
    """Return what was found about one object."""
    (found,) = (each for each in linearizability.check(case) if each.name == name)
    return found


def look(scene: Scene, stock: float, times: tuple[int, int, int], who: str = "auditor") -> None:
    """Record a snapshot that saw ``stock``."""
    scene.record(who, READ_ROW, 0, times, (*RATES, stock))


# --- the stock of a row


def test_trades_that_follow_one_another_have_an_order(tmp_path: Path) -> None:
    """It is told, as positions in the history, whichever process comes first there."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.recorder("a")
    value = scene.trade("b", 5, 100, (0, 0, 10))
    scene.trade("a", 7, value, (5, 11, 20))
    found = answer(scene.case())
    assert (found.answer, found.operations, found.order) == ("linearizable", 2, [1, 0])
    assert found.sentence == "the stock of DOLLAR: one order explains 2 operations."


def test_a_lost_update_has_none_and_says_where_the_order_ends(tmp_path: Path) -> None:
    """Both read 9,450: whichever is first, the other cannot follow."""
    scene = Scene(tmp_path / "run", stock=9450.0)
    scene.trade("trader-1", -50, 9450, (0, 1000, 9000))
    scene.trade("trader-3", +10, 9450, (0, 2000, 5000))
    scene.final[0] = 9400.0
    found = answer(scene.case())
    assert (found.answer, found.order) == ("not linearizable", [1])
    assert found.stuck is not None
    assert (found.stuck.process, found.stuck.operation) == ("trader-1", "sell")
    assert found.sentence == (
        "the stock of DOLLAR: no order explains 2 operations; the longest has 1 of them, and sell "
        "1 of trader-1 cannot follow: it read 9,450 where the stock was 9,460."
    )


@pytest.mark.parametrize(("begin", "right"), [(20, True), (21, False)])
def test_intervals_are_closed(tmp_path: Path, begin: int, right: bool) -> None:
    """Who asks at the very stamp at which another left may have come before it."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 5, 100, (10, 10, 20))
    look(scene, 100.0, (begin, begin, 30))
    assert (answer(scene.case()).answer == "linearizable") is right


def test_a_process_does_one_thing_after_the_other(tmp_path: Path) -> None:
    """Equal stamps do not let it see what it had not yet done, or no longer see what it had."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 5, 100, (10, 10, 10))
    look(scene, 100.0, (10, 10, 10), "a")
    assert answer(scene.case()).answer == "not linearizable"


def test_a_sale_of_more_than_there_is_has_no_place(tmp_path: Path) -> None:
    """Its check passed on what somebody else had taken by then."""
    scene = Scene(tmp_path / "run", stock=12.0)
    value = scene.trade("a", -7, 12, (0, 20, 30))
    scene.trade("b", -10, value, (0, 10, 40), checked=12)
    assert answer(scene.case()).sentence.endswith("it took 10 where the stock was 5.")


def test_a_stale_check_that_does_no_harm_is_nobodys_business(tmp_path: Path) -> None:
    """From outside only the outcome shows: the sale passed where there was enough."""
    scene = Scene(tmp_path / "run", stock=12.0)
    value = scene.trade("a", -7, 12, (0, 20, 30))
    scene.trade("b", -5, value, (0, 10, 40), checked=12)
    assert answer(scene.case()).answer == "linearizable"


@pytest.mark.parametrize(("seen", "right"), [(5.0, True), (100.0, False), (7.0, False)])
def test_a_refused_sale_saw_a_stock_that_was_too_small(
    tmp_path: Path, seen: float, right: bool
) -> None:
    """One that was there, and less than it asked for."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", -95, 100, (0, 10, 20))
    scene.record("b", SELL, 0, (0, 5, 30), (50.0, seen), refused=True)
    assert (answer(scene.case()).answer == "linearizable") is right


def test_a_refused_purchase_did_nothing_to_the_stock(tmp_path: Path) -> None:
    """Its own purse was empty; the rate that it checked is no stock."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 5, 100, (0, 10, 20))
    scene.record("a", BUY, 0, (30, 30, 40), (1e6, 3.72), refused=True)
    assert answer(scene.case()).operations == 1


@pytest.mark.parametrize("final", [101.0, 106.0])
def test_what_was_in_flight_may_or_may_not_have_happened(tmp_path: Path, final: float) -> None:
    """Both ends can be explained."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", +1, 100, (0, 10, 20))
    scene.record("b", BUY, 0, (0, 30, 0), (5.0,))
    scene.final[0] = final
    assert answer(scene.case()).answer == "linearizable"


def test_what_was_in_flight_did_not_happen_before_it_was_asked_for(tmp_path: Path) -> None:
    """Somebody saw its value and had left before it began."""
    scene = Scene(tmp_path / "run", stock=100.0)
    look(scene, 105.0, (0, 0, 10))
    scene.record("b", BUY, 0, (20, 30, 0), (5.0,))
    scene.final[0] = 105.0
    assert answer(scene.case()).answer == "not linearizable"


def test_the_table_must_end_as_the_last_operation_left_it(tmp_path: Path) -> None:
    """All have a place, and the launcher read something else."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("a", 5, 100, (0, 10, 20))
    scene.final[0] = 100.0
    found = answer(scene.case())
    assert (found.answer, found.stuck) == ("not linearizable", None)
    assert found.sentence.endswith(
        "the stock was 105 after all of them, and the table ended with 100."
    )


def test_equal_values_are_tried_in_every_order(tmp_path: Path) -> None:
    """The first way that fits leads nowhere: a step back finds the other."""
    scene = Scene(tmp_path / "run", stock=5.0)
    scene.trade("a", +1, 5, (0, 10, 100))
    scene.trade("b", +2, 5, (0, 20, 100))
    scene.trade("c", -1, 6, (0, 30, 110))
    scene.final[0] = 7.0
    assert answer(scene.case()).answer == "linearizable"


def test_a_search_that_runs_out_of_time_is_undecided(tmp_path: Path) -> None:
    """It neither accuses nor acquits, and says how far it came."""
    scene = Scene(tmp_path / "run", stock=0.0)
    value = 0.0
    for number in range(1000):
        value = scene.trade("a", 1, value, (number + 1,) * 3)
    (found,) = linearizability.check(scene.case(), 2.0, partial(next, itertools.count()))
    assert (found.answer, found.stuck) == ("undecided", None)
    assert 0 < len(found.order) < 1000
    assert "neither found nor ruled out in 2 s" in found.sentence


def test_a_run_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it fills the memory, with what to do about it."""
    monkeypatch.setattr(linearizability, "LARGEST", 2)
    scene = Scene(tmp_path / "run", stock=0.0)
    for number in range(3):
        scene.trade("a", 1, number, (number + 1,) * 3)
    with pytest.raises(UsageError, match=r"up to 2 operations, and this run has 3 .*fewer"):
        linearizability.check(scene.case())


# --- the rates of a row


@pytest.mark.parametrize(
    ("pair", "right"), [((4.0, 4.5), True), (RATES, True), ((4.0, RATES[1]), False)]
)
def test_a_pair_of_rates_is_seen_whole(
    tmp_path: Path, pair: tuple[float, float], right: bool
) -> None:
    """Before the change or after it, never half of each."""
    scene = Scene(tmp_path / "run")
    scene.record("setter", SET_RATES, 0, (0, 10, 30), (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (0, 20, 40), (*pair, 10000.0))
    case = scene.case(final=[[4.0, 4.5, 10000.0]])
    assert (answer(case, RATES_OF).answer == "linearizable") is right


@pytest.mark.parametrize("pair", [(4.0, 4.5), (5.0, 5.5)])
def test_two_changes_that_overlap_may_have_come_in_either_order(
    tmp_path: Path, pair: tuple[float, float]
) -> None:
    """That the same changes were tried before does not matter if they left something else."""
    scene = Scene(tmp_path / "run")
    scene.record("setter", SET_RATES, 0, (0, 10, 30), (4.0, 4.5))
    scene.record("other", SET_RATES, 0, (0, 20, 40), (5.0, 5.5))
    scene.record("auditor", READ_ROW, 0, (50, 50, 60), (*pair, 10000.0))
    assert answer(scene.case(final=[[*pair, 10000.0]]), RATES_OF).answer == "linearizable"


def test_the_unknown_half_of_a_change_is_what_was_seen_first(tmp_path: Path) -> None:
    """A setter that was killed may have written any second rate, but only one."""
    scene = Scene(tmp_path / "run")
    scene.record("setter", SET_RATES, 0, (0, 10, 0), (6.0,))
    scene.record("auditor", READ_ROW, 0, (20, 20, 30), (6.0, 6.5, 10000.0))
    ended = [[6.0, 6.5, 10000.0]]
    assert answer(scene.case(final=ended), RATES_OF).answer == "linearizable"
    scene.record("auditor", READ_ROW, 0, (40, 40, 50), (6.0, 7.0, 10000.0))
    assert answer(scene.case(final=ended), RATES_OF).answer == "not linearizable"


# --- the queue of a channel


def queued(tmp_path: Path, words: str, channel: ChannelPlan | None = None) -> Scene:
    """Draw a queue from words: ``+a1@0-10`` puts job 1 of a from 0 to 10, ``-a1@…`` takes it.

    ``!`` makes it urgent, ``x`` damages its body. Each putter and each taker is a process.
    """
    scene = Scene(tmp_path / "run", channels=[channel or queue()])
    for name in ("a", "b", "taker-1", "taker-2"):
        scene.recorder(name)
    for word in words.split():
        what, _, when = word.partition("@")
        begin, end = map(int, when.split("-"))
        maker, number = "ab".index(what[1]), int(what[2])
        who = what[1] if what[0] == "+" else f"taker-{what[3:].strip('!x') or 1}"
        scene.job(
            who, PUT if what[0] == "+" else TAKE, item(maker, number), (begin, begin, end),
            priority=int("!" in what), body=8.0 if "x" in what else 7.0,
        )  # fmt: skip
    return scene


QUEUES = [
    ("+a1@0-5 +b1@10-15 -a1@20-25 -b1@30-35", ""),
    ("+a1@0-5 +b1@10-15 -b1@20-25 -a1@30-35", "took job 1 of b where job 1 of a was the next"),
    ("+a1@0-12 +b1@10-15 -b1@20-25 -a1@30-35", ""),
    ("+a1@0-5 +b1@10-15 -b12@20-31 -a1@30-35", ""),
    ("-a1@0-5 +a1@10-15", "took job 1 of a where nothing was left"),
    ("-a1@0-15 +a1@10-20", ""),
    ("+a1@0-5 -a1@10-15 -a1@20-25", "took job 1 of a where nothing was left"),
    ("+a1@0-5 +a2@10-15 -a2@20-25", "took job 2 of a where job 1 of a was the next"),
    ("+a1@0-5 +a2@10-15 -a1@20-25", "job 2 of a was put there, and nobody took it"),
    ("+a1@0-5 -a1x@10-15", "took job 1 of a, and not as it had been put there"),
    ("+a1@0-5 -b9@10-15 -a1@20-25", "took job 9 of b where job 1 of a was the next"),
]


@pytest.mark.parametrize(("words", "objection"), QUEUES)
def test_a_queue_gives_what_was_put_first(tmp_path: Path, words: str, objection: str) -> None:
    """Drawn by hand: order, overlap, a job taken too early, twice, never, damaged, from nowhere."""
    found = answer(queued(tmp_path, words).case(), JOBS)
    assert found.answer == ("not linearizable" if objection else "linearizable"), found.sentence
    assert objection in found.sentence


URGENT = [
    ("+a1@0-5 +b1!@10-15 -b1!@20-25 -a1@30-35", True),
    ("+a1@0-5 +b1!@10-15 -a1@20-25 -b1!@30-35", False),
    ("+a1@0-5 +b1!@10-22 -a1@20-25 -b1!@30-35", True),
]


@pytest.mark.parametrize(("words", "right"), URGENT)
def test_an_urgent_job_goes_first_where_the_channel_tells_priorities_apart(
    tmp_path: Path, words: str, right: bool
) -> None:
    """Once it had been put there; a channel without priorities takes all as they came."""
    scene = queued(tmp_path, words, queue(priorities=2))
    assert (answer(scene.case(), JOBS).answer == "linearizable") is right
    plain = queued(tmp_path / "plain", words)
    overtaken = words.index("-b1") < words.index("-a1")
    assert (answer(plain.case(), JOBS).answer == "linearizable") is not overtaken


def test_the_priorities_of_a_fifo_are_queues_of_their_own(tmp_path: Path) -> None:
    """There is a file for each, and they are looked into one after the other."""
    fifo = ChannelPlan("jobs", 0, Part("fifo", {"priorities": 2}), Part("none"), 64)
    scene = queued(tmp_path, "+a1@0-5 +b1!@10-15 -a1@20-25 -b1!@30-35", fifo)
    names = {each.name: each.answer for each in linearizability.check(scene.case())}
    assert names == {f"{JOBS}, priority {level}": "linearizable" for level in (0, 1)}


def test_each_receiver_with_a_channel_of_its_own_has_a_queue(tmp_path: Path) -> None:
    """What one of them takes first says nothing about the other's; of a copy nobody knows whose."""
    own = ChannelPlan("jobs", 0, Part("fifo"), Part("none"), 64, per="taker")
    words = "+a1@0-5 +a2@10-15 +a3@20-25 -a22@30-35 -a1@40-45 -a3@50-55"
    scene = queued(tmp_path, words, own)
    scene.job("b", PASS, item(0, 3), (60, 60, 65))
    scene.job("taker-2", TAKE, item(0, 3), (70, 70, 75))
    found = {each.name: each.answer for each in linearizability.check(scene.case())}
    assert found == {f"{JOBS} of taker-{number}": "linearizable" for number in (1, 2)}


def test_whoever_died_may_have_taken_one_job_more(tmp_path: Path) -> None:
    """It is recorded when it is there; with a job still standing there nothing is wrong either."""
    scene = queued(tmp_path, "+a1@0-5 +a2@10-15 +a3@20-25 -a22@30-35")
    assert answer(scene.case(), JOBS).answer == "not linearizable"
    scene.outcomes["taker-1"].phase = "run"
    assert answer(scene.case(), JOBS).answer == "linearizable"


def test_whoever_died_may_have_put_one_job_more(tmp_path: Path) -> None:
    """A job that no record offers is one that its maker did not come to record."""
    scene = queued(tmp_path, "+a1@0-5 -a1@10-15 -a2@20-25")
    assert answer(scene.case(), JOBS).answer == "not linearizable"
    scene.outcomes["a"].phase = "run"
    assert answer(scene.case(), JOBS).answer == "linearizable"


def test_an_interrupted_run_leaves_jobs_in_its_queue(tmp_path: Path) -> None:
    """Nobody saw it empty."""
    scene = queued(tmp_path, "+a1@0-5 +a2@10-15 -a1@20-25")
    assert answer(scene.case(), JOBS).answer == "not linearizable"
    assert answer(scene.case(interrupted=2), JOBS).answer == "linearizable"


# --- against the definition

few = settings(max_examples=150, deadline=None, derandomize=True)
spans = st.tuples(st.integers(0, 6), st.integers(0, 3))


def timed(drawn: list[tuple[int, tuple[int, int]]]) -> list[tuple[int, int, int]]:
    """Return (process, begin, end) of operations; those of one process follow one another."""
    last: dict[int, int] = {}
    found = []
    for process, (start, length) in sorted(drawn, key=lambda each: each[1]):
        begin = max(start, last.get(process, 0))
        last[process] = begin + length
        found.append((process, begin, begin + length))
    return found


def threads(history: list[Done], acts: list[object]) -> list[list[Call]]:
    """Return the history as calls, process by process."""
    found: dict[int, list[Call]] = {}
    for position, (done, act) in enumerate(zip(history, acts, strict=True)):
        found.setdefault(done.process, []).append(Call(done.begin, done.end, act, position))
    return list(found.values())


stock_acts = st.tuples(
    st.sampled_from(["update", "update", "look", "refusal"]),
    st.sampled_from([-2.0, -1.0, 1.0, 2.0]),
    st.integers(0, 4).map(float),
)


@few
@given(
    drawn=st.lists(st.tuples(st.integers(0, 2), spans), max_size=5),
    acts=st.lists(stock_acts, min_size=5, max_size=5),
)
def test_the_search_finds_an_order_of_a_stock_if_and_only_if_there_is_one(
    drawn: list[tuple[int, tuple[int, int]]], acts: list[tuple[str, float, float]]
) -> None:
    """Against every permutation of up to five operations, and so is the longest beginning."""
    history = [Done(*when, act) for when, act in zip(timed(drawn), acts, strict=False)]
    calls = [
        Update(amount, seen, seen + amount) if what == "update"
        else Look(seen) if what == "look" else Refusal(abs(amount), seen)
        for what, amount, seen in (each.act for each in history)
    ]  # fmt: skip
    plain = [
        each._replace(act=("refusal", abs(each.act[1]), each.act[2]))
        if each.act[0] == "refusal"
        else each
        for each in history
    ]
    placed = place(threads(history, [*calls]), Stock(2.0, None), lambda: False)
    replay = partial(brute_force.stock, 2.0)
    assert placed.whole is brute_force.linearizable(plain, replay)
    assert len(placed.order) == brute_force.longest(plain, replay)
    assert replay([plain[position].act for position in placed.order])


@few
@given(data=st.data(), levels=st.sampled_from([1, 2]))
def test_the_search_finds_an_order_of_a_queue_if_and_only_if_there_is_one(
    data: st.DataObject, levels: int
) -> None:
    """The jobs that were put at overlapping times need not be ordered until they are taken."""
    jobs = data.draw(st.integers(2, 3))
    urgent = data.draw(st.lists(st.integers(0, levels - 1), min_size=jobs, max_size=jobs))
    taken = data.draw(st.permutations(range(jobs)))
    acts = [("put", job, urgent[job]) for job in range(jobs)]
    acts += [("take", job, urgent[job]) for job in taken[: data.draw(st.integers(1, jobs))]]
    drawn = data.draw(st.lists(st.tuples(st.integers(0, 3), spans), min_size=6, max_size=6))
    history = [Done(*when, act) for when, act in zip(timed(drawn), acts, strict=False)]
    calls = [
        Put(each.act[2], Job(each.act[1], 7.0, 7.0), each.begin, each.end, each.process, turn)
        if each.act[0] == "put" else Take(Job(each.act[1], 7.0, 7.0))
        for turn, each in enumerate(history)
    ]  # fmt: skip
    placed = place(threads(history, [*calls]), Queue(levels, False, str), lambda: False)
    assert placed.whole is brute_force.linearizable(history, brute_force.queue)


# --- against the properties


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_a_stock_has_no_order_if_and_only_if_an_update_was_lost_or_it_fell_below_zero(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """In any interleaving of trades whose amounts name them: the properties and the search agree.

    An update that nobody wrote over, and whose sale was covered, stands where it wrote.
    """
    scene = Scene(tmp_path_factory.mktemp("run") / "run", stock=3.0)
    trade = st.tuples(st.integers(1, 2), st.sampled_from([1, -1]))
    drawn = data.draw(st.lists(st.lists(trade, max_size=4), min_size=1, max_size=3))
    names = itertools.count()
    programs = [
        [(0, sign * (whole + 2 ** next(names) * GRAIN)) for whole, sign in program]
        for program in drawn
    ]
    steps = forever(data, st.integers(0, 11))
    simulate(scene, programs, steps, forever(data, st.integers(0, 2)))
    case = scene.case()
    harm = {finding.kind for finding in judge(case).findings} & {"lost_update", "negative_stock"}
    answers = [each.answer for each in linearizability.check(case)]
    assert ("not linearizable" in answers) is bool(harm)


def test_a_snapshot_of_a_serial_run_is_torn_if_and_only_if_its_rates_have_no_order(
    tmp_path: Path,
) -> None:
    """One setter, and every pair of rates that an auditor can see at each moment of its change."""
    changes = [RATES, (4.0, 4.5), (5.0, 5.5)]
    pairs = list(itertools.product((3.73, 4.0, 5.0), (3.72, 4.5, 5.5)))
    for number, pair in enumerate(pairs):
        scene = Scene(tmp_path / f"{number}")
        scene.record("setter", SET_RATES, 0, (1, 10, 20), changes[1])
        scene.record("setter", SET_RATES, 0, (30, 30, 40), changes[2])
        scene.record("auditor", READ_ROW, 0, (5, 5, 50), (*pair, 10000.0))
        case = scene.case(final=[[*changes[2], 10000.0]])
        torn = any(finding.kind == "torn_read" for finding in judge(case).findings)
        assert (
            (answer(case, RATES_OF).answer == "not linearizable") is torn is (pair not in changes)
        )
