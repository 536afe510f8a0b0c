"""What the live table looks like: a picture of a run as lines that fit a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from common.verdict.wording import number

BOLD, RED, DIM = "1", "31", "2"
HEAD = ("process", "role", "done", "a second", "refused", "cpu", "now")
RIGHT = frozenset({"done", "a second", "refused", "cpu"})
CLOSING = "So far: the verdict is the judge's, at the end."


@dataclass(frozen=True)
class Row:
    """One process: operations done in all, in the last second and refused; its share of a CPU.

    ``now`` is what it does or waits for, in words; ``cpu`` is 1.0 for a whole core.
    """

    name: str
    role: str
    done: int
    rate: float
    refused: int
    cpu: float
    now: str


@dataclass(frozen=True)
class Picture:
    """A run at one moment, ``seconds`` after its gate was opened.

    ``table`` holds a row's name and its numbers, called ``fields``; ``depth`` the messages in each
    channel, None where they are not known; ``findings`` kinds with a sentence; ``skipped`` the
    operations that were counted and not looked at.
    """

    title: str
    seconds: float
    rows: Sequence[Row]
    fields: Sequence[str] = ()
    table: Sequence[tuple[str, Sequence[float]]] = ()
    depth: Sequence[tuple[str, int | None]] = ()
    findings: Sequence[tuple[str, str]] = ()
    skipped: int = 0


def drawn(picture: Picture, columns: int, lines: int, *, colour: bool) -> list[str]:
    """Return the picture as at most ``lines`` lines of at most ``columns`` characters.

    When not all fits, processes give way first: stock and findings are what one looks for.
    """
    top = [(_summary(picture), BOLD), ("", "")]
    below = [*_table(picture), *_depth(picture), *_findings(picture, columns)]
    room = max(1, lines - len(top) - len(below) - 1)
    every = [*top, *_processes(picture.rows, room), *below][:lines]
    return [_shown(text, columns, style if colour else "") for text, style in every]


Line = tuple[str, str]


def _summary(picture: Picture) -> str:
    done = sum(row.done for row in picture.rows)
    rate = sum(row.rate for row in picture.rows)
    return f"{picture.title} · {picture.seconds:.1f} s · {done:,} operations, {rate:,.0f} a second"


def _processes(rows: Sequence[Row], room: int) -> list[Line]:
    """Return a head and a line a process; the last says how many more there are."""
    shown = list(rows) if len(rows) <= room else list(rows)[: max(0, room - 1)]
    cells = [HEAD, *(_cells(row) for row in shown)]
    found = [(line, DIM if at == 0 else "") for at, line in enumerate(_aligned(cells, RIGHT))]
    rest = rows[len(shown) :]
    if rest:
        done = sum(row.done for row in rest)
        found.append((f"  and {len(rest)} more, which did {done:,} operations", DIM))
    return found


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name, row.role, f"{row.done:,}", f"{row.rate:,.0f}", f"{row.refused:,}",
        f"{row.cpu:.0%}", row.now,
    )  # fmt: skip


def _table(picture: Picture) -> list[Line]:
    if not picture.table:
        return []
    cells = [("row", *picture.fields)]
    cells += [(name, *(number(value) for value in values)) for name, values in picture.table]
    lines = _aligned(cells, frozenset(picture.fields))
    below = [False, *(values[-1] < 0 for _, values in picture.table)]
    styles = [DIM if at == 0 else RED if low else "" for at, low in enumerate(below)]
    return [("", ""), *zip(lines, styles, strict=True)]


def _depth(picture: Picture) -> list[Line]:
    if not picture.depth:
        return []
    told = ", ".join(
        f"{name} {'?' if count is None else f'{count:,}'}" for name, count in picture.depth
    )
    return [("", ""), (f"  messages in channels: {told}", "")]


def _findings(picture: Picture, columns: int) -> list[Line]:
    found: list[Line] = [("", "")]
    for kind, sentence in picture.findings:
        text = f"{kind}: {sentence}"
        wrapped = textwrap.wrap(text, max(20, columns - 2), subsequent_indent="    ")
        found += [(f"  {line}", RED) for line in wrapped]
    found.append((f"  {CLOSING}", DIM))
    if picture.skipped:
        text = f"  {picture.skipped:,} operations came too fast: counted, not looked at."
        found.append((text, DIM))
    return found


def _aligned(cells: Sequence[Sequence[str]], right: frozenset[str]) -> list[str]:
    """Return rows of cells as lines; the first row is the head, and says what stands right."""
    widths = [max(len(row[at]) for row in cells) for at in range(len(cells[0]))]
    return [
        "  "
        + "  ".join(
            cell.rjust(width) if head in right else cell.ljust(width)
            for cell, width, head in zip(row, widths, cells[0], strict=True)
        ).rstrip()
        for row in cells
    ]


def _shown(text: str, columns: int, style: str) -> str:
    # Names and waits may come from a process that is not ours: show control characters, never
    # obey them.
    clean = "".join(each if each.isprintable() else "?" for each in text)
    cut = clean if len(clean) <= columns else clean[: max(0, columns - 1)] + "…"
    return f"\x1b[{style}m{cut}\x1b[0m" if style else cut
