"""Tables that a narrow window can scroll, and a keyboard can reach."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from common.report.page.markup import Markup, tag


def table(
    label: str, heads: Sequence[str], rows: Iterable[Markup], style: str, caption: str | None = None
) -> Markup:
    """Return a table with a head; ``label`` names it for who cannot see it."""
    return tag(
        "div",
        tag(
            "table",
            None if caption is None else tag("caption", caption),
            tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads))),
            tag("tbody", *rows),
            class_=style,
        ),
        class_="wide",
        tabindex="0",
        role="group",
        aria_label=label,
    )


def row(name: str, *cells: str) -> Markup:
    """Return a row of figures under its name."""
    figures = (tag("td", cell, class_="number") for cell in cells)
    return tag("tr", tag("th", name, scope="row"), *figures)
