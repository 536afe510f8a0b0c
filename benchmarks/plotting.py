"""Draws what was measured as one SVG, readable on a light and on a dark page.

A panel for each thing that was measured and each number of cores: a row for each entrant, best
first, on a logarithmic axis. Filled marks are medians, the line through them their interval, hollow
marks the C program's; colour and shape say with how large a message or how many processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

from benchmarks.grid.measuring import Result, Series, Terms, in_bytes
from benchmarks.report import figure

WIDTH, LABELS, RIGHT = 960, 300, 30
ROW, HEAD, FOOT = 17, 58, 40
SHAPES = ("circle", "square", "diamond", "triangle", "bar", "cross")

_STYLE = """
  svg { color-scheme: light dark; --back: #ffffff; --ink: #1b1f24; --faint: #d5d9de;
        --s0: #0072b2; --s1: #d55e00; --s2: #00795a; --s3: #a84d82; --s4: #6b5d00; --s5: #5b4bb5; }
  @media (prefers-color-scheme: dark) {
    svg { --back: #14181d; --ink: #e4e8ed; --faint: #3a424c;
          --s0: #62b7f0; --s1: #f59a4c; --s2: #3fd0a0; --s3: #e79bc8; --s4: #d9c84a;
          --s5: #a99cf5; } }
  .back { fill: var(--back); } text { fill: var(--ink); font: 12px sans-serif; }
  .title { font-weight: bold; font-size: 14px; } .axis { stroke: var(--faint); }
  .tick { text-anchor: middle; font-size: 11px; } .name { text-anchor: end; }
"""


class _Panel(NamedTuple):
    """Results that differ in payload or processes only."""

    title: str
    results: list[Result]

    @property
    def series(self) -> Iterator[tuple[int, Result, Series]]:
        """Every series that was measured, with the number of its result."""
        for number, result in enumerate(self.results):
            for each in result.series.values():
                yield number, result, each

    @property
    def names(self) -> list[str]:
        """Whose rows there are, best first, as the first result ranks them."""
        found: list[str] = []
        for result in self.results:
            for busy in (False, True):
                found += [each.entrant.name for each in result.ranking(busy=busy)]
        return list(dict.fromkeys(found))

    @property
    def height(self) -> int:
        """How high it is drawn."""
        return HEAD + ROW * len(self.names) + FOOT


def svg(found: Mapping[str, Sequence[Result]]) -> str:
    """Return the picture of the results of each family."""
    panels = _panels(found)
    height = sum(panel.height for panel in panels) + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img">',
        "<title>What locks, channels and tables cost</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="back" width="{WIDTH}" height="{height}"/>',
    ]
    top = 0
    for panel in panels:
        lines += [f'<g transform="translate(0 {top})">', *_drawn(panel), "</g>"]
        top += panel.height
    return "\n".join([*lines, "</svg>", ""])


def _panels(found: Mapping[str, Sequence[Result]]) -> list[_Panel]:
    panels: dict[tuple[str, str, int], list[Result]] = {}
    for family, results in found.items():
        for result in results:
            terms = result.contest.terms
            if result.series:
                panels.setdefault((family, terms.what, terms.cores), []).append(result)
    return [
        _Panel(f"{family}: {what}, {'one core' if cores == 1 else f'{cores} cores'}", results)
        for (family, what, cores), results in panels.items()
    ]


def _drawn(panel: _Panel) -> Iterator[str]:
    contest = panel.results[0].contest
    better = "more is better" if contest.more else "less is better"
    yield _text(16, 24, f"{panel.title} ({contest.unit}, {better})", "title")
    yield from _key(panel)
    place = _axis(panel)
    rows = {name: HEAD + ROW * number + ROW / 2 for number, name in enumerate(panel.names)}
    bottom = HEAD + ROW * len(rows)
    for value in _ticks(panel):
        x = place(value)
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{HEAD}" y2="{bottom}"/>'
        yield _text(x, bottom + 15, figure(value), "tick")
    busy = {each.entrant.name for _n, _result, each in panel.series if each.entrant.busy}
    for name, y in rows.items():
        yield _text(LABELS - 10, y + 4, name + (" (busy)" if name in busy else ""), "name")
    for number, result, each in panel.series:
        if each.entrant.name in rows:
            y = rows[each.entrant.name]
            low, high = place(each.interval.low), place(each.interval.high)
            colour = f"var(--s{number % len(SHAPES)})"
            said = f"{each.entrant.name}, {_setting(result.contest.terms)}: {_told(each)}"
            yield f"<g><title>{escape(said)}</title>"
            yield (
                f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" '
                f'stroke="{colour}" stroke-width="2"/>'
            )
            yield _mark(number, place(each.interval.median), y, f'fill="{colour}"') + "</g>"
            yield from _references(number, result, each, place, y)


def _references(
    number: int, result: Result, each: Series, place: _Scale, y: float
) -> Iterator[str]:
    """Draw the C program's figure in the row of whom it is compared with."""
    to = result.contest.against.get(each.entrant.name, {}).get("C", "")
    if to in result.series:
        style = f'fill="none" stroke="var(--s{number % len(SHAPES)})" stroke-width="1.4"'
        other = result.series[to]
        title = f"<title>{escape(f'{to}: {_told(other)}')}</title>"
        yield f"<g>{title}{_mark(number, place(other.interval.median), y, style)}</g>"


class _Scale:
    """A logarithmic axis from ``low`` to ``high``."""

    def __init__(self, low: float, high: float) -> None:
        self._low = math.log10(low)
        self._span = (math.log10(high) - self._low) or 1.0

    def __call__(self, value: float) -> float:
        return LABELS + (math.log10(value) - self._low) / self._span * (WIDTH - LABELS - RIGHT)


def _axis(panel: _Panel) -> _Scale:
    ends = _extent(panel)
    return _Scale(ends[0] / 1.1, ends[1] * 1.1)


def _extent(panel: _Panel) -> tuple[float, float]:
    lows = [each.interval.low for _n, _result, each in panel.series]
    highs = [each.interval.high for _n, _result, each in panel.series]
    return min(lows), max(highs)


def _ticks(panel: _Panel) -> list[float]:
    low, high = _extent(panel)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [value for value in steps if low / 1.1 <= value <= high * 1.1]


def _key(panel: _Panel) -> Iterator[str]:
    x = float(LABELS)
    for number, result in enumerate(panel.results):
        colour = f"var(--s{number % len(SHAPES)})"
        yield _mark(number, x, 42, f'fill="{colour}"')
        words = _setting(result.contest.terms)
        yield _text(x + 10, 46, words, "")
        x += 34 + 7 * len(words)
    if any(each.entrant.side == "C" for _n, _result, each in panel.series):
        yield _mark(0, x, 42, 'fill="none" stroke="var(--ink)" stroke-width="1.4"')
        yield _text(x + 10, 46, "hollow: C", "")


def _setting(terms: Terms) -> str:
    if terms.payload:
        return in_bytes(terms.payload)
    return f"{terms.processes} process{'es' if terms.processes > 1 else ''}"


def _told(each: Series) -> str:
    interval = each.interval
    return f"{figure(interval.median)} ({figure(interval.low)} .. {figure(interval.high)})"


def _mark(number: int, x: float, y: float, style: str) -> str:
    shape = SHAPES[number % len(SHAPES)]
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y}" r="4.5" {style}/>'
    corners: dict[str, list[tuple[float, float]]] = {
        "square": [(-4, -4), (4, -4), (4, 4), (-4, 4)],
        "diamond": [(0, -6), (6, 0), (0, 6), (-6, 0)],
        "triangle": [(0, -5.5), (5.5, 4.5), (-5.5, 4.5)],
        "bar": [(-2, -6), (2, -6), (2, 6), (-2, 6)],
        "cross": [(-6, -2), (6, -2), (6, 2), (-6, 2)],
    }
    path = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners[shape])
    return f'<polygon points="{path}" {style}/>'


def _text(x: float, y: float, words: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape(words)}</text>'
