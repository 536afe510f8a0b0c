"""Right spoolers with exactly one thing broken: each break has its finding, and no other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.history.case import Case
from common.history.operations import Effect
from common.verdict.judge import judge
from tests.verdict.generated import Load, Shop, harm, loads, orders
from tests.verdict.scenes import Scene

bounded = settings(derandomize=True, deadline=None, max_examples=25)

Folder = pytest.TempPathFactory


def shop(folder: Folder, load: Load) -> Shop:
    """Return a spooler with that load, not yet recorded."""
    return Shop(Scene(folder.mktemp("run") / "run"), load)


@bounded
@given(load=loads)
def test_a_right_spooler_is_valid(tmp_path_factory: Folder, load: Load) -> None:
    """One queue or two, with and without priorities, however the calls overlap."""
    run = shop(tmp_path_factory, load)
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert (verdict.verdict, verdict.findings, verdict.doubts) == ("valid", [], [])
    assert orders(case) == {"linearizable"}


@bounded
@given(load=loads, pick=st.integers(0), taken=st.booleans())
def test_a_job_that_is_dropped_is_lost(
    tmp_path_factory: Folder, load: Load, pick: int, taken: bool
) -> None:
    """In the queue, or by who had taken it: then the queue itself is right."""
    run = shop(tmp_path_factory, load)
    takes = run.takes()
    if taken:
        run.unprinted.add(pick % len(load.orders))
    else:
        del run.events[takes[pick % len(takes)]]
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_lost": 1}
    assert verdict.doubts == []
    assert ("not linearizable" in orders(case)) is not taken


@bounded
@given(load=loads, pick=st.integers(0), later=st.integers(0))
def test_a_job_that_is_taken_twice_is_duplicated(
    tmp_path_factory: Folder, load: Load, pick: int, later: int
) -> None:
    """Once, however much later the second time is."""
    run = shop(tmp_path_factory, load)
    takes = run.takes()
    at = takes[pick % len(takes)]
    run.events.insert(at + 1 + later % (len(run.events) - at), run.events[at])
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    found = harm(verdict)
    assert {kind: (each.count, each.total) for kind, each in found.items()} == {
        "job_duplicated": (1, 1.0)
    }
    assert verdict.doubts == []
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads, pick=st.integers(0))
def test_a_job_that_is_damaged_is_corrupted(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """It counts once, wherever it is seen after that."""
    run = shop(tmp_path_factory, load)
    run.damaged.add(pick % len(load.orders))
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_corrupted": 1}
    assert verdict.doubts == []
    assert "not linearizable" in orders(case)


def overtaken(case: Case) -> int:
    """Count by hand the jobs that another should not have been taken before."""
    history = case.history
    puts, takes = (
        {
            record["item"]: record | {"process": case.process(at)}
            for at in history.select(effect).tolist()
            if (record := history.record(at))["object"] == 0
        }
        for effect in (Effect.OFFER, Effect.TAKE)
    )
    channel = case.channel(0)
    urgent = channel is not None and channel.part.options["priorities"] > 1

    def first(late: int, early: int) -> bool:
        one, other = puts[late], puts[early]
        if takes[early]["left"] >= takes[late]["entered"]:
            return False
        if urgent and one["v2"] != other["v2"]:
            taken = max(takes[early]["entered"], other["entered"])
            return bool(one["v2"] > other["v2"] and one["left"] < taken)
        same = one["process"] == other["process"] and one["seq"] < other["seq"]
        return bool(same or one["left"] < other["entered"])

    return sum(any(first(late, early) for early in puts) for late in puts)


@bounded
@given(load=loads, pick=st.integers(0), alike=st.booleans())
def test_two_jobs_that_change_places_are_reordered(
    tmp_path_factory: Folder, load: Load, pick: int, alike: bool
) -> None:
    """Of one sender or of two: whoever had been sent first, and whoever stood between them."""
    run = shop(tmp_path_factory, load)
    pairs = [
        (one, other)
        for one, other in itertools.combinations(run.takes(), 2)
        if run.level(run.events[one][1]) == run.level(run.events[other][1])
        and run.waits(run.events[other][1], one)
        and alike
        == (load.orders[run.events[one][1]].maker == load.orders[run.events[other][1]].maker)
    ]
    assume(pairs)
    run.swap(*pairs[pick % len(pairs)])
    run.punctual = True
    run.record()
    case = run.scene.case()
    assume(alike or overtaken(case))
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {
        "job_reordered": overtaken(case)
    }
    assert verdict.doubts == []
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads.filter(lambda load: load.levels > 1), pick=st.integers(0))
def test_an_urgent_job_that_is_passed_over_is_reordered(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """It stood there when a less urgent one was taken."""
    run = shop(tmp_path_factory, load)
    pairs = [
        (one, other)
        for one, other in itertools.pairwise(run.takes())
        if run.level(run.events[one][1]) > run.level(run.events[other][1])
        and run.waits(run.events[other][1], one)
    ]
    assume(pairs)
    run.swap(*pairs[pick % len(pairs)])
    run.punctual = True
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {
        "job_reordered": overtaken(case)
    }
    assert "not linearizable" in orders(case)


@bounded
@given(load=loads, pick=st.integers(0))
def test_a_page_between_those_of_another_job_is_interleaved(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """Each job in pieces counts: the other one is too, if it has more pages than that."""
    run = shop(tmp_path_factory, load)
    run.record()
    paper = run.scene.paper
    assert paper is not None
    jobs = [line.split()[1] for line in paper]
    pages = {job: jobs.count(job) for job in jobs}
    edges = [
        at
        for at, (one, other) in enumerate(itertools.pairwise(jobs))
        if one != other and pages[one] > 1
    ]
    assume(edges)
    at = edges[pick % len(edges)]
    paper[at], paper[at + 1] = paper[at + 1], paper[at]
    verdict = judge(run.scene.case())
    pieces = 1 + (pages[jobs[at + 1]] > 1)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {
        "pages_interleaved": pieces
    }
    assert verdict.doubts == []


@bounded
@given(load=loads, pick=st.integers(0), what=st.sampled_from(["page", "paper", "file", "count"]))
def test_what_is_not_there_leaves_a_spooler_undecided(
    tmp_path_factory: Folder, load: Load, pick: int, what: str
) -> None:
    """A page, the whole paper, the file of one who did nothing, or a record less than was told."""
    run = shop(tmp_path_factory, load)
    run.record()
    paper = run.scene.paper
    assert paper is not None
    if what == "page":
        del paper[pick % len(paper)]
    elif what == "file":
        run.scene.recorder("consumer-9")
        (run.scene.directory / "history" / "consumer-9.rec").unlink()
    elif what == "count":
        told = run.scene.outcomes[f"printer-{load.orders[0].printer}"].summary
        told["printed"] += 1
    case = run.scene.case()
    if what == "paper":
        case.paper_lines = None
    verdict = judge(case)
    assert (verdict.verdict, harm(verdict), len(verdict.doubts)) == ("undecided", {}, 1)


@bounded
@given(load=loads, turn=st.integers(2, 15))
def test_a_run_cut_short_leaves_jobs_under_way(
    tmp_path_factory: Folder, load: Load, turn: int
) -> None:
    """Interrupted by the user: a doubt, and no job is called lost."""
    run = shop(tmp_path_factory, load)
    del run.events[turn:]
    under_way = sum(what == "put" for what, _ in run.events) - len(run.takes())
    run.record()
    verdict = judge(run.scene.case(interrupted=2))
    assert harm(verdict) == {}
    assert ("under way" in " ".join(verdict.doubts)) is (under_way > 0)
