"""Reads a page as a browser would: its elements, its data, and what it may not hold."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import run
from common.report.page.run_page import run_page
from common.report.page.subject import Subject, load
from tests.verdict.scenes import Scene


@dataclass
class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of each kind of element."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, "elements do not nest"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    @property
    def plots(self) -> list[dict[str, Any]]:
        """The pictures' data."""
        found: list[dict[str, Any]] = json.loads(self.texts["script"][0])["plots"]
        return found


def read(text: str) -> Page:
    """Parse a whole page; every element must be closed."""
    page = Page()
    page.feed(text)
    page.close()
    assert page._open == []
    return page


def subject(directory: Path) -> Subject:
    """Load the stored run of ``directory``."""
    return load(directory, run.SYSTEMS)


def drawn(directory: Path) -> Page:
    """Return the page of the stored run of ``directory``."""
    return read(run_page(subject(directory)))


def lost(directory: Path, stock: float = 9450.0) -> Scene:
    """Draw the lost update of two traders: trader-1 leaves last, 9 µs after the start."""
    scene = Scene(directory, stock=stock, lock="none")
    scene.trade("trader-1", -50, stock, (1000, 2000, 9000))
    scene.trade("trader-3", +10, stock, (1000, 3000, 5000), checked=3.72)
    scene.trade("trader-2", +1, stock - 50, (9500, 9600, 12000), checked=3.72)
    scene.case()
    return scene
