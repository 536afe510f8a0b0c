"""Right spoolers with exactly one thing broken: each break has its finding, and no other."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

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


@bounded
@given(load=loads, pick=st.integers(0))
def test_two_jobs_of_one_sender_that_change_places_are_reordered(
    tmp_path_factory: Folder, load: Load, pick: int
) -> None:
    """One of them was overtaken: the one that had been sent first."""
    run = shop(tmp_path_factory, load)
    lines: dict[tuple[int, int], list[int]] = {}
    for at in run.takes():
        job = run.events[at][1]
        lines.setdefault((load.orders[job].maker, run.level(job)), []).append(at)
    pairs = [
        (one, other)
        for line in lines.values()
        for one, other in itertools.pairwise(line)
        if run.waits(run.events[other][1], one)
    ]
    assume(pairs)
    run.swap(*pairs[pick % len(pairs)])
    run.punctual = True
    run.record()
    case = run.scene.case()
    verdict = judge(case)
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_reordered": 1}
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
    assert {kind: each.count for kind, each in harm(verdict).items()} == {"job_reordered": 1}
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
