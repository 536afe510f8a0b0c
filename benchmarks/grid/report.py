"""Shows what was measured: a table a contest for people, and one document for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.grid.measuring import MISSES, OURS, Interval, Judged, Result, Series
from benchmarks.report import figure

NOTHING = "-"
SAME = "="


def contest(result: Result) -> str:
    """Return the table of one contest."""
    terms, unit = result.contest.terms, result.contest.unit
    best = "most first" if result.contest.more else "least first"
    headings = _headings(result)
    rows = [["", "", unit, "interval", "CPU µs", "wall µs", *_columns(headings), "waits"]]
    for place, each in _ranked(result, busy=False):
        rows.append([place, *_row(result, each, headings)])
    lines = [f"{terms} ({unit}, {best})", *_aligned(rows)]
    spinning = [["", *_row(result, each, headings)] for _p, each in _ranked(result, busy=True)]
    if spinning:
        lines += ["  waiting busily, which is not ranked with sleeping:", *_aligned(spinning)]
    for name, why in {**result.contest.refused, **result.failed}.items():
        said = "does not take it" if name in result.contest.refused else "not measured"
        lines.append(f"  {name}: {said}: {why}")
    if not result.steady:
        lines.append(f"  {unsteady(result)}")
    return "\n".join([*lines, ""])


def unsteady(result: Result) -> str:
    """Return the sentence that says how noisy the machine was."""
    noise = result.noise
    return (
        f"the machine is too noisy to tell small differences: a fixed loop took "
        f"{noise.least * 1e3:.1f} to {noise.most * 1e3:.1f} ms between the rounds"
    )


def legend() -> str:
    """Return how a table is read."""
    return (
        f"A figure is the median of its rounds; its interval holds the true median with "
        f"{1 - MISSES:.0%} or more.\n"
        f"{SAME} after a place: the interval overlaps that of the line above, so the two are about "
        f"the same.\nCPU and wall are of one operation, CPU of all its processes together. "
        f"x: how many times as fast."
    )


def waiting(results: Sequence[Result]) -> str:
    """Return how each kind waits, in its own words, once for all tables."""
    said = {
        entrant.name: entrant.waiting
        for result in results
        for entrant in result.contest.entrants
        if entrant.side == OURS
    }
    width = max(map(len, said), default=0)
    return "\n".join(["how they wait:", *(f"  {n:<{width}}  {w}" for n, w in said.items()), ""])


def goals(judged: Sequence[Judged]) -> str:
    """Return each goal with what came of it, a line a goal."""
    rows = [["goal", "", "", "ratio", "", ""]]
    for each in judged:
        goal, ratio = each.goal, each.ratio
        verdict = "could not be measured" if ratio is None else "met" if each.met else "not met"
        if ratio is not None and not each.sure:
            verdict += ", within the noise"
        shown = NOTHING if ratio is None else f"{figure(ratio.median)} {_ends(ratio)}"
        rows.append([f"{goal.of} / {goal.to}", str(each.terms), goal.wanted, shown, verdict])
    return "\n".join(_aligned([row[:5] for row in rows]))


def document(result: Result) -> dict[str, Any]:
    """Return one contest as JSON."""
    contest = result.contest
    places = {each.entrant.name: place for place, each in enumerate(result.ranking(busy=False), 1)}
    return {
        **contest.terms._asdict(),
        "unit": contest.unit,
        "more_is_better": contest.more,
        "steady": result.steady,
        "noise_s": result.noise._asdict(),
        "figures": [_figure(result, each, places) for each in result.series.values()],
        "refused": dict(contest.refused),
        "failed": dict(result.failed),
    }


def judged_document(judged: Judged) -> dict[str, Any]:
    """Return one goal as JSON."""
    return {
        "of": judged.goal.of,
        "to": judged.goal.to,
        **judged.terms._asdict(),
        "goal": judged.goal.wanted,
        "ratio": None if judged.ratio is None else judged.ratio._asdict(),
        "met": judged.met,
        "sure": judged.sure,
    }


def _figure(result: Result, each: Series, places: dict[str, int]) -> dict[str, Any]:
    entrant = each.entrant
    against = result.contest.against.get(entrant.name, {})
    return {
        "name": entrant.name,
        "kind": entrant.kind,
        "side": entrant.side,
        "waiting": entrant.waiting,
        "busy": entrant.busy,
        "note": entrant.note,
        "place": places.get(entrant.name),
        **each.interval._asdict(),
        "rounds": list(each.figures),
        "cpu_s": each.cpu,
        "wall_s": each.wall,
        "against": {
            heading: {"name": to, "ratio": _ratio(result, each, to)}
            for heading, to in against.items()
        },
    }


def _ratio(result: Result, each: Series, to: str) -> dict[str, float] | None:
    found = _comparable(result, each, to)
    return None if found is None else found._asdict()


def _comparable(result: Result, each: Series, to: str) -> Interval | None:
    other = result.series.get(to)
    if other is None or other.entrant.busy != each.entrant.busy:
        return None
    return result.ratio(each.entrant.name, to)


def _ranked(result: Result, *, busy: bool) -> list[tuple[str, Series]]:
    """Return the entrants with their places; with SAME where the intervals overlap."""
    ranking = result.ranking(busy=busy)
    found = []
    for place, each in enumerate(ranking, 1):
        same = place > 1 and each.interval.overlaps(ranking[place - 2].interval)
        found.append((f"{place}{SAME if same else ''}", each))
    return found


def _headings(result: Result) -> list[str]:
    found: list[str] = []
    for against in result.contest.against.values():
        found += [heading for heading in against if heading not in found]
    return sorted(found)


def _columns(headings: Sequence[str]) -> list[str]:
    return [word for heading in headings for word in (heading, f"x {heading}")]


def _row(result: Result, each: Series, headings: Sequence[str]) -> list[str]:
    entrant, interval = each.entrant, each.interval
    row = [
        entrant.name, figure(interval.median), _ends(interval),
        figure(each.cpu * 1e6), figure(each.wall * 1e6),
    ]  # fmt: skip
    against = result.contest.against.get(entrant.name, {})
    for heading in headings:
        to = against.get(heading, "")
        other = result.series.get(to)
        ratio = _comparable(result, each, to)
        row.append(NOTHING if other is None else figure(other.interval.median))
        row.append(NOTHING if ratio is None else f"{figure(ratio.median)} {_ends(ratio)}")
    style = "busy" if entrant.busy else "sleeps"
    return [*row, f"{style}; {entrant.note}" if entrant.note else style]


def _ends(interval: Interval) -> str:
    return f"({figure(interval.low)} .. {figure(interval.high)})"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # Words to the left, figures to the right.
    left = {0, 1, len(widths) - 1}
    return [
        "  "
        + "  ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
