"""HTML and SVG in which nothing that comes from a run can be taken for markup.

``tag`` builds elements; every child and attribute that is not markup already is escaped.
"""

from __future__ import annotations

import json
import math
from html import escape
from typing import Any

VOID = ("br", "meta")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: str | None, **attributes: str | float | bool | None) -> Markup:
    """Return one element; a child of None is left out.

    An attribute's ``_`` stands for ``-`` (``class_`` is ``class``). True gives an attribute
    without a value; False and None give none.
    """
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            words.append(f'{attribute}="{escape(shown)}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in VOID else f"{opening}{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Return children one after the other, escaped where they are no markup."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(child)
            for child in children
            if child is not None
        )
    )


def data(value: Any) -> Markup:
    """Return JSON that can stand inside a script element, whatever strings it holds."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except ValueError:
        # A foreign program may have written anything; a browser's JSON has no word for it.
        text = json.dumps(_finite(value), separators=(",", ":"))
    # The only way out of a script element is a "<".
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
