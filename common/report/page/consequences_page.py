"""The page of the table of faults: each cell with its sentence, and its run to look at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.report.consequences import by_place, every, is_odd, rows_of, why_odd
from common.report.page.markup import Markup, join, tag
from common.report.page.shell import document, section
from common.report.page.tables import table
from common.verdict.wording import many

Document = Mapping[str, Any]


def consequences_page(found: Document, page: Path) -> str:
    """Return the whole page, which will lie at ``page``: its links are relative to it."""
    odd = [cell for cell in every(found) if is_odd(cell)]
    ran = sum("run_dir" in cell for cell in every(found))
    body = join(
        tag(
            "header",
            tag("p", found["machine"], class_="kicker"),
            tag("h1", "What follows when something goes wrong"),
            tag(
                "p",
                f"Measured in {many(ran, 'run')} on this kernel. Each cell opens, and leads to its "
                "run.",
            ),
            tag("p", *_contents(found), class_="note"),
        ),
        tag(
            "main",
            section("odd", "What is not as promised", _odd(odd)) if odd else None,
            *(
                section(each["name"], each["title"], _table(each, page))
                for each in found["sections"]
            ),
        ),
    )
    return document("The table of faults", body, [])


def _contents(found: Document) -> list[Markup | str]:
    parts: list[Markup | str] = []
    for each in found["sections"]:
        parts += [" · "] if parts else []
        parts.append(tag("a", each["title"], href=f"#{each['name']}"))
    return parts


def _odd(odd: list[Mapping[str, Any]]) -> Markup:
    return tag("ul", *(tag("li", why_odd(cell)) for cell in odd))


def _table(part: Mapping[str, Any], page: Path) -> Markup:
    heads = (part["row"], *(column["heading"] for column in part["columns"]))
    cells = by_place(part)
    rows = [
        tag(
            "tr",
            tag("th", row, scope="row"),
            *(_cell(cells.get((row, column["name"])), page) for column in part["columns"]),
        )
        for row in rows_of(part)
    ]
    return table(part["title"], heads, rows, "claims")


def _cell(cell: Mapping[str, Any] | None, page: Path) -> Markup:
    if cell is None:
        return tag("td")
    if "run_dir" not in cell:
        return tag("td", tag("details", tag("summary", cell["word"]), tag("p", cell["sentence"])))
    # A run lies where it was made: the page finds it from its own place.
    run = os.path.relpath(cell["run_dir"], page.parent)
    return tag(
        "td",
        tag(
            "details",
            tag("summary", cell["word"] + (" !" if is_odd(cell) else "")),
            tag("p", cell["sentence"]),
            tag("p", why_odd(cell)) if is_odd(cell) else None,
            tag("p", tag("a", f"its run ({cell['variant']}: {cell['verdict']})", href=f"{run}/")),
        ),
    )
