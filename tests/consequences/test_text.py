"""The table as text: it fits, says why a cell is none, and names what is not as promised."""

from __future__ import annotations

from typing import Any

from common.report.consequences import consequences_markdown, consequences_text


def cell(row: str, column: str, word: str, **facts: Any) -> dict[str, Any]:
    """Return a cell as a run of it gives it."""
    return {
        "section": "locks", "row": row, "kind": row, "column": column, "word": word,
        "sentence": "", "differs": "", "as_expected": True, "verdict": "valid", "variant": "freed",
        "run_dir": f"runs/{row}-{column}",
    } | facts  # fmt: skip


def document(*cells: dict[str, Any], columns: int = 1) -> dict[str, Any]:
    """Return a table of one section with so many columns."""
    heads = [{"name": f"c{n}", "heading": f"what happened {n}", "what": ""} for n in range(columns)]
    section = {"name": "locks", "title": "Locks", "row": "lock", "columns": heads}
    return {
        "machine": "a machine", "seconds": 1.0, "directory": "runs",
        "sections": [section | {"cells": list(cells)}],
    }  # fmt: skip


def test_a_wide_table_is_cut_between_its_columns() -> None:
    """Each part has every row, and no line is longer than a page is wide."""
    cells = [cell(row, f"c{n}", "freed 1.0 ms") for row in ("flock", "a_lock") for n in range(12)]
    lines = consequences_text(document(*cells, columns=12)).splitlines()
    assert max(map(len, lines)) <= 100
    parts = [line for line in lines if line.strip().startswith("flock")]
    assert len(parts) > 1
    assert sum(line.count("freed 1.0 ms") for line in parts) == 12


def test_what_is_not_as_promised_stands_out_and_names_its_run() -> None:
    """By its scenario, or by what its kind says of itself."""
    text = consequences_text(
        document(
            cell("flock", "c0", "HELD", as_expected=False, verdict="anomaly"),
            cell("mutex", "c0", "freed 1 ms", differs="it says held, and was freed"),
            cell("other", "c0", "freed 1 ms"),
        )
    )
    assert "HELD !" in text
    assert "flock, c0: anomaly, not as freed promises: runs/flock-c0" in text
    assert "mutex, c0: it says held, and was freed: runs/mutex-c0" in text
    assert "1 of 3 runs as promised" in text


def test_a_cell_that_cannot_be_says_why_once() -> None:
    """One sentence for all the kinds that have the same reason."""
    none = {"word": "-", "why": "it is no file"}
    cells = [cell(row, "c0", "-") | none for row in ("one", "two")]
    for one in cells:
        del one["run_dir"]
    text = consequences_text(document(*cells))
    assert "- what happened 0: one, two: it is no file" in text
    assert "0 runs" in text


def test_a_page_of_text_has_the_same_cells() -> None:
    """Rows and columns of a Markdown table."""
    page = consequences_markdown(document(cell("flock", "c0", "freed 1 ms")))
    assert "| lock | what happened 0 |" in page
    assert "| `flock` | freed 1 ms |" in page
