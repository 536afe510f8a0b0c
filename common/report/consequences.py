"""The table of faults as text, and as Markdown: a section a table, in blocks that fit the page."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from common.report.text import WIDTH, number, paint, wrapped
from common.verdict.wording import many

Document = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Mapping[str, Any]]

GAP = 2
# A heading goes over several lines; a column is no narrower than this.
NARROW = 9


def consequences_text(document: Document) -> str:
    """Return every section with its cells, why some cells are none, and what is not as promised.

    ``document`` has ``machine``, ``seconds``, ``directory`` and ``sections``; each of these
    ``title``, ``row`` (what its rows are), ``columns`` (``name``, ``heading``) and ``cells``.
    """
    lines: list[str] = []
    for section in document["sections"]:
        lines += [paint("title", section["title"]), *_blocks(section), *_notes(section), ""]
    cells = every(document)
    ran = [cell for cell in cells if "run_dir" in cell]
    odd = [cell for cell in cells if is_odd(cell)]
    took = f"{many(len(ran), 'run')} in {number(document['seconds'])} s on {document['machine']}"
    lines.append(f"{took}; they are stored in {document['directory']}")
    for cell in odd:
        lines.append(wrapped(f"! {why_odd(cell)}", ""))
    kept = f"{number(len(ran) - len(odd))} of {many(len(ran), 'run')} as promised"
    lines.append(paint("anomaly" if odd else "valid", kept))
    return "\n".join(lines)


def consequences_markdown(document: Document) -> str:
    """Return the same as tables of a Markdown page."""
    lines: list[str] = []
    for section in document["sections"]:
        heads = [section["row"], *(column["heading"] for column in section["columns"])]
        lines += [f"## {section['title']}", "", _piped(heads), _piped(["---"] * len(heads))]
        cells = by_place(section)
        for row in rows_of(section):
            words = [_word(cells.get((row, each["name"]))) for each in section["columns"]]
            lines.append(_piped([f"`{row}`", *words]))
        lines += ["", *(f"- {note}" for note in _reasons(section)), ""]
    return "\n".join(lines)


def every(document: Document) -> list[Mapping[str, Any]]:
    """Return the cells of all sections."""
    return [cell for section in document["sections"] for cell in section["cells"]]


def is_odd(cell: Mapping[str, Any]) -> bool:
    """Tell whether a cell is not as its scenario, or its kind, says; or could not be had."""
    if "run_dir" not in cell:
        return bool(cell.get("cannot"))
    return bool(not cell["as_expected"] or cell["differs"])


def why_odd(cell: Mapping[str, Any]) -> str:
    """Say what is not as promised in a cell."""
    place = f"{cell['row']}, {cell['column']}"
    if "run_dir" not in cell:
        return f"{place}: {cell['why']}"
    said = [] if cell["as_expected"] else [f"{cell['verdict']}, not as {cell['variant']} promises"]
    said += [cell["differs"]] if cell["differs"] else []
    return f"{place}: {'; '.join(said)}: {cell['run_dir']}"


def by_place(section: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return the cells of a section by row and column."""
    return {(cell["row"], cell["column"]): cell for cell in section["cells"]}


def rows_of(section: Mapping[str, Any]) -> list[str]:
    """Return the rows of a section, in order."""
    return list(dict.fromkeys(cell["row"] for cell in section["cells"]))


def _blocks(section: Mapping[str, Any]) -> list[str]:
    """Return the table, cut between columns where it is too wide, each part with all rows."""
    cells, rows = by_place(section), rows_of(section)
    first = max(len(row) for row in (*rows, section["row"]))
    widths = {each["name"]: _width(each, rows, cells) for each in section["columns"]}
    room = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns) - first - GAP
    blocks: list[list[Mapping[str, Any]]] = [[]]
    left = room
    for column in section["columns"]:
        needed = widths[column["name"]] + GAP
        if needed > left and blocks[-1]:
            blocks.append([])
            left = room
        blocks[-1].append(column)
        left -= needed
    lines: list[str] = []
    for block in blocks:
        lines += [""] if lines else []
        lines += _heads(section["row"], first, block, widths)
        for row in rows:
            shown = (_painted(cells.get((row, c["name"])), widths[c["name"]]) for c in block)
            lines.append(f"  {row.ljust(first)}{' ' * GAP}{(' ' * GAP).join(shown)}".rstrip())
    return lines


def _width(column: Mapping[str, Any], rows: Sequence[str], cells: Cells) -> int:
    words = (_word(cells.get((row, column["name"]))) for row in rows)
    longest = max(map(len, column["heading"].split()))
    return max(NARROW, longest, *(len(word) for word in words))


def _heads(
    name: str, first: int, block: Sequence[Mapping[str, Any]], widths: Mapping[str, int]
) -> list[str]:
    heads = [textwrap.wrap(column["heading"], widths[column["name"]]) for column in block]
    height = max(map(len, heads))
    # They stand on the line above the rows.
    stood = [[""] * (height - len(head)) + head for head in heads]
    lines = []
    for at in range(height):
        left = name if at == height - 1 else ""
        parts = (
            head[at].ljust(widths[column["name"]])
            for head, column in zip(stood, block, strict=True)
        )
        lines.append(f"  {left.ljust(first)}{' ' * GAP}{(' ' * GAP).join(parts)}".rstrip())
    return lines


def _word(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return ""
    return str(cell["word"]) + (" !" if is_odd(cell) else "")


def _painted(cell: Mapping[str, Any] | None, width: int) -> str:
    word = _word(cell)
    if cell is None:
        return word.ljust(width)
    # What is lost, held or broken is written in capitals.
    bad = is_odd(cell) or any(part.isupper() and len(part) > 1 for part in word.split())
    return (paint("anomaly", word) if bad else word) + " " * (width - len(word))


def _notes(section: Mapping[str, Any]) -> list[str]:
    return [wrapped(f"- {note}", "  ") for note in _reasons(section)]


def _reasons(section: Mapping[str, Any]) -> list[str]:
    """Return why cells are none, once for each reason and column."""
    heads = {column["name"]: column["heading"] for column in section["columns"]}
    reasons: dict[tuple[str, str], list[str]] = {}
    for cell in section["cells"]:
        if "why" in cell:
            reasons.setdefault((cell["column"], cell["why"]), []).append(cell["row"])
    return [f"{heads[column]}: {', '.join(rows)}: {why}" for (column, why), rows in reasons.items()]


def _piped(words: Sequence[str]) -> str:
    return f"| {' | '.join(words)} |"
