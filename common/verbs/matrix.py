"""Measure what follows from each fault for each kind of lock, channel and table: a run a cell."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import kinds, runs
from common.consequences.performing import SECTIONS, Place, perform, places, sections
from common.errors import UsageError
from common.report.consequences import consequences_markdown, consequences_text, every, is_odd
from common.report.progress import Progress
from common.system import System
from common.verdict.wording import many

OK, FAILED, BROKEN = 0, 1, 4
PAGE, STORED = "matrix.html", "matrix.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what ``matrix`` takes."""
    parser.add_argument(
        "section", nargs="?", metavar="SECTION",
        help=f"one of: {', '.join(sorted(kinds.names(SECTIONS)))} (default: all of them)",
    )  # fmt: skip
    parser.add_argument(
        "--only", default="", metavar="A,B", help="only these kinds, or these columns"
    )
    runs.add_out(parser)
    parser.add_argument(
        "--seed", type=int, metavar="N", help="repeat a run's random choices (default: drawn)"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON document")
    form.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument(
        "--report", type=Path, nargs="?", const=Path(PAGE), metavar="FILE",
        help=f"also write a page of it (default: {PAGE} beside the runs)",
    )  # fmt: skip


def execute(arguments: argparse.Namespace, systems: Mapping[str, System]) -> int:
    """Run every cell; 0 when each came out as its scenario and its kind promise."""
    chosen = sections(arguments.section)
    wanted = places(chosen, [word for word in arguments.only.split(",") if word])
    directory = runs.make_matrix(arguments.out)
    begun = time.monotonic()
    cells, interrupted = _cells(wanted, systems, directory, arguments.seed)
    document = {
        "machine": _machine(),
        "directory": str(directory),
        "seconds": round(time.monotonic() - begun, 1),
        "sections": [_section(name, cells) for name in chosen if _of(name, cells)],
    }
    _write(directory / STORED, json.dumps(document, indent=1))
    if arguments.json:
        print(json.dumps(document, indent=2))
    elif arguments.markdown:
        print(consequences_markdown(document), end="")
    else:
        print(consequences_text(document))
    if arguments.report is not None:
        from common.report.page.consequences_page import consequences_page

        page = arguments.report
        page = directory / PAGE if page == Path(PAGE) else page
        _write(page, consequences_page(document, page.absolute()))
        plain = not (arguments.json or arguments.markdown)
        print(f"the page is {page}", file=sys.stdout if plain else sys.stderr)
    if interrupted:
        return 128 + interrupted
    if any(cell.get("cannot") for cell in every(document)):
        return BROKEN
    return FAILED if any(is_odd(cell) for cell in every(document)) else OK


def _cells(
    wanted: list[Place], systems: Mapping[str, System], directory: Path, seed: int | None
) -> tuple[list[dict[str, Any]], int]:
    progress = Progress(running=True)
    found: list[dict[str, Any]] = []

    def begin(place: Place, number: int) -> None:
        what = f"{place.section} {place.row.label}: {place.column.heading}"
        progress.start(f"{what} {number + 1}/{len(wanted)}")

    try:
        for cell in perform(wanted, systems, directory, seed, begin):
            if cell.get("interrupted"):
                # What it shows is the interruption.
                return found, int(cell["interrupted"])
            found.append(cell)
    finally:
        progress.clear()
    return found, 0


def _of(name: str, cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [cell for cell in cells if cell["section"] == name]


def _section(name: str, cells: list[dict[str, Any]]) -> dict[str, Any]:
    module = kinds.load(SECTIONS, name)
    mine = _of(name, cells)
    shown = {cell["column"] for cell in mine}
    return {
        "name": name,
        "title": module.TITLE,
        "row": module.ROW,
        "columns": [
            {"name": each.name, "heading": each.heading, "what": each.what}
            for each in module.COLUMNS
            if each.name in shown
        ],
        "cells": mine,
    }


def _machine() -> str:
    cores = many(len(os.sched_getaffinity(0)), "core")
    return f"Linux {platform.release()} on {platform.machine()}, {cores}"


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "choose another") from None
