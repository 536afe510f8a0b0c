"""Runs cells of the table of faults in this process, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import run
from common.consequences import performing


def measured(tmp_path: Path, section: str, *only: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Run these cells; returns each by its row and column."""
    chosen = performing.places(performing.sections(section), only)
    cells = performing.perform(chosen, run.SYSTEMS, tmp_path, None, lambda _place, _number: None)
    return {(cell["row"], cell["column"]): cell for cell in cells}


def as_promised(cells: dict[tuple[str, str], dict[str, Any]]) -> bool:
    """Tell whether each cell is as its scenario promises, and as its kind says."""
    return all(cell["as_expected"] and not cell["differs"] for cell in cells.values())
