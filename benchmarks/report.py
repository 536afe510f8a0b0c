"""Shows measured rows as a table for people, each figure as median (least .. greatest)."""

from __future__ import annotations

from benchmarks.measuring import Measured, Spread

WIDTH = 100


def text(rows: list[Measured]) -> str:
    """Return the report on ``rows``."""
    return "\n".join(line for row in rows for line in _row(row))


def _row(row: Measured) -> list[str]:
    lines = [f"{row.name}: {row.question}"]
    if row.skipped:
        return [*lines, f"  skipped: {row.skipped}", ""]
    wide = max(len(name) for name in row.figures)
    for name, (figure, unit) in row.figures.items():
        lines.append(f"  {name:<{wide}}  {_spread(figure)} {unit}")
    for goal, ratio in row.ratios:
        met = row.verdict(goal, ratio)
        verdict = "not judged" if met is None else "met" if met else "not met"
        over = f"{goal.of} / {goal.to}" if isinstance(goal.to, str) else goal.of
        if not isinstance(goal.to, str) and goal.to != 1:
            over += f" / {goal.to:,.0f}"
        wanted = f"  goal {goal.wanted}: {verdict}" if goal.wanted else ""
        lines.append(f"  = {over}  {_spread(ratio)}{wanted}")
    if row.noise is not None:
        least, most = row.noise.least * 1e3, row.noise.most * 1e3
        lines.append(
            f"  {row.rounds} rounds; noise: a fixed loop took {least:.1f} .. {most:.1f} ms between "
            f"them (x {most / least:.2f})"
        )
    if row.note:
        lines.append(f"  {row.note}")
    return [*lines, ""]


def _spread(spread: Spread) -> str:
    return f"{figure(spread.median):>9} ({figure(spread.least)} .. {figure(spread.most)})"


def figure(value: float) -> str:
    """Return ``value`` with the three or four digits that mean something."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.2f} M"
    if size >= 1e4:
        return f"{value / 1e3:.0f} k"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
