"""The frame of a page: one file that carries its style, program and data, and needs no other.

The policy in its head forbids everything else: no network, no foreign script, no inline style.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from common.report.page.markup import Markup, data, join, tag
from common.report.page.tables import row, table

# In the order in which they need one another.
SCRIPTS = ("scale.js", "view.js", "lines.js", "lanes.js", "page.js")


def document(title: str, body: Markup, plots: Sequence[dict[str, Any]]) -> str:
    """Return a whole page; ``plots`` are the pictures that ``figure`` has placed in ``body``."""
    style = _asset("page.css")
    script = '"use strict";\n(() => {\n' + "\n".join(_asset(name) for name in SCRIPTS) + "})();\n"
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    without = "The pictures need JavaScript; the sentences and tables do not."
    page = tag(
        "html",
        head,
        tag(
            "body",
            tag("noscript", tag("p", without, class_="note")),
            body,
            tag("script", data({"plots": list(plots)}), type="application/json", id="data"),
            tag("script", Markup(script)),
        ),
        lang="en",
    )
    return f"<!doctype html>\n{page}\n"


def figure(plots: list[dict[str, Any]], plot: dict[str, Any], group: str) -> Markup:
    """Add a picture to ``plots`` and return its place in the page.

    Pictures of one ``group`` show the same stretch of time: who zooms one, zooms all.
    """
    shown = {key: value for key, value in plot.items() if key not in ("heads", "rows")}
    plots.append({**shown, "group": group})
    rows = [row(*cells) for cells in plot.get("rows", [])]
    keys = "Plus and minus zoom, arrow keys move, 0 shows everything."
    return tag(
        "figure",
        tag(
            "figcaption",
            tag("h3", plot["title"]),
            tag("p", plot["sentence"]),
            tag("p", f"Thinned: {plot['thinned']}.", class_="thinned") if plot["thinned"] else None,
        ),
        tag(
            "div",
            class_="chart",
            tabindex="0",
            role="group",
            aria_label=f"{plot['title']}. {keys}",
            data_plot=str(len(plots) - 1),
        ),
        tag(
            "details",
            tag("summary", "The same in figures"),
            table(f"{plot['title']} as a table", plot["heads"], rows, "figures"),
        )
        if rows
        else None,
        class_=f"plot {plot['kind']}",
    )


def section(name: str, title: str, *children: Markup | None) -> Markup:
    """Return a part of the page under its title."""
    return tag("section", tag("h2", title), join(*children), id=name)


def _asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
