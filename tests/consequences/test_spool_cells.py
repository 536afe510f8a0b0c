"""What a spool promises, by promise and by what fails: cells that are run."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common import kinds
from common.consequences import performing
from common.consequences.cell import Row
from common.consequences.performing import SECTIONS
from common.kernel import small_disk
from tests.consequences.measuring import as_promised, measured
from tests.launching import still_there

ONCE, AGAIN = "at_most_once", "at_least_once"


@pytest.fixture
def section() -> ModuleType:
    """Return the section."""
    return kinds.load(SECTIONS, "spool")


def words(cells: dict[tuple[str, str], dict[str, Any]]) -> dict[tuple[str, str], str]:
    """Return the words of cells without their last one, a time."""
    return {place: cell["word"].rsplit(", ", 1)[0] for place, cell in cells.items()}


def test_a_printer_killed_in_a_job_prints_it_again_or_gives_it_up(tmp_path: Path) -> None:
    """Printed and not completed, its copy lies there twice; or it is aborted, and never twice."""
    cells = measured(tmp_path, "spool", "printed")
    assert words(cells) == {
        (AGAIN, "printed"): "all 3, 1 twice",
        (ONCE, "printed"): "2 of 3, 1 aborted",
    }
    assert as_promised(cells)


def test_a_spooler_killed_before_its_answer_has_the_job_once(tmp_path: Path) -> None:
    """Its submitter sends it again, whatever is promised."""
    cells = measured(tmp_path, "spool", "answering")
    assert set(words(cells).values()) == {"all 3"}
    assert as_promised(cells)


def test_what_becomes_of_a_page_that_fails_is_the_policy_unless_it_is_printed_once(
    tmp_path: Path,
) -> None:
    """With a page on the paper there is one end only where nothing may lie there twice."""
    cells = measured(tmp_path, "spool", "retry", "hold")
    assert words(cells) == {
        (AGAIN, "retry"): "all 3, 1 twice", (AGAIN, "hold"): "2 of 3, 1 held",
        (ONCE, "retry"): "2 of 3, 1 aborted", (ONCE, "hold"): "2 of 3, 1 aborted",
    }  # fmt: skip
    assert as_promised(cells)


@pytest.mark.skipif(not small_disk.allowed(), reason="mounting needs CAP_SYS_ADMIN")
def test_a_disk_that_is_full_for_a_while_costs_a_copy_and_no_job(tmp_path: Path) -> None:
    """The job whose page found no room is printed from its beginning when there is room again."""
    cell = measured(tmp_path, "spool", "disk", AGAIN)[AGAIN, "disk"]
    assert cell["word"].startswith("all 4, 1 twice, ")
    assert as_promised({("", ""): cell})


def test_the_jobs_of_a_killed_launcher_are_the_next_runs(tmp_path: Path) -> None:
    """One half printed and one in line: printed, or the half printed one given up; all is away."""
    cells = measured(tmp_path, "spool", "launcher")
    assert {row: cell["word"] for (row, _), cell in cells.items()} == {
        AGAIN: "all 2", ONCE: "1 of 2, 1 aborted",
    }  # fmt: skip
    assert as_promised(cells)
    for cell in cells.values():
        # The first one ended before anything was judged.
        first, *_ = sorted(
            each.parent for each in Path(cell["run_dir"]).parent.glob("2*/plan.json")
        )
        assert not (first / "verdict.json").exists()
        events = [json.loads(line) for line in (first / "log.jsonl").read_text().splitlines()]
        made = [each for each in events if each["event"] == "object_made"]
        assert made
        assert still_there(made) == []


def column(name: str) -> Any:
    """Return a column of the section."""
    return next(p.column for p in performing.places(["spool"]) if p.column.name == name)


@pytest.mark.parametrize(
    ("promise", "name", "states", "again", "lost", "marked"),
    [
        (AGAIN, "middle", {"completed": 3}, 1, 0, ""),
        (AGAIN, "middle", {"completed": 3}, 2, 0, "0 lost and 2 twice"),
        (AGAIN, "middle", {"completed": 2, "aborted": 1}, 0, 0, "every job was to be printed"),
        (AGAIN, "answering", {"completed": 3}, 0, 1, "1 lost"),
        (AGAIN, "hold", {"completed": 3}, 1, 0, "its job was to be held"),
        (ONCE, "middle", {"completed": 2, "aborted": 1}, 1, 0, "1 twice"),
        (ONCE, "retry", {"completed": 3}, 0, 0, "its job was to be aborted"),
        (ONCE, "disk", {"completed": 3}, 0, 0, ""),
    ],
)
def test_what_is_not_as_promised_is_marked(
    section: ModuleType, promise: str, name: str, states: dict[str, int], again: int, lost: int,
    marked: str,
) -> None:  # fmt: skip
    """Lost, printed too often, or not where its policy puts it."""
    said = section._differs(Row(promise), column(name), states, again, lost)
    assert marked in said
    assert bool(said) is bool(marked)
