"""`run.py grade` with traders in C: led through schedules, and they must do their work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.compiled import needs_compiler
from tests.launching import ROOT, launch
from tests.verbs.exercises import graded

TRADER = ROOT / "exercises/trader.yaml"


@needs_compiler
def test_traders_in_c_are_graded(tmp_path: Path) -> None:
    """The one of contrib keeps every unit and gets all points; the one without a lock gets none."""
    done = launch("grade", str(TRADER), "--json")
    assert done.document["score"] == 16
    directory = tmp_path / "submission"
    directory.mkdir()
    shutil.copy(ROOT / "contrib/c/racy_trader.c", directory / "trader.c")
    document = graded(TRADER, directory)
    assert document["score"] == 0
    assert "lost_update" in document["tests"][0]["output"]
    assert "--set processes.trader.command=./trader" in document["tests"][0]["output"]


def recorded_trader() -> str:
    """Return the recorded trader that docs/programs.md shows."""
    found = re.search(
        r'```c\n(#include "lab.h".*?)```', (ROOT / "docs/programs.md").read_text(), re.S
    )
    assert found is not None
    return found[1]


IDLE = {
    "refuses": ("if (*balance <", "if (1 || *balance <", "without reason: buy 1 asked for"),
    "refuses_after_a_look": (
        "if (*balance < amount * lab_check(lab, &c->buy))",
        "if (lab_check(lab, &c->buy) > 0 || *balance < 0)",
        "at 3.72 with a balance of 1,000",
    ),
    "fewer": ("n < operations &&", "n < operations - 1 &&", "no operation was done"),
    "one_of_two": (
        "n < operations &&",
        'n < operations - !strcmp(getenv("LAB_NAME"), "trader-1") &&',
        "only one of 2 processes did anything",
    ),
    "more": ("n < operations &&", "n < operations + 1 &&",
             "tried 2 operations, and was asked for 1"),
    "nothing": ("lab_amount(lab, 10)", "0.0", "was not asked to buy 0 DOLLAR"),
    "much": ("lab_amount(lab, 10)", "1000.5", "was not asked to buy 1,000.5 DOLLAR"),
    "elsewhere": ("[DOLLAR]", "[EURO]", "EURO (its options: buy, 1 to less than 11, of DOLLAR)"),
}  # fmt: skip


def first_item(tmp_path: Path) -> Path:
    """Return the shipped exercise with the first of its items alone."""
    head, first, *others = TRADER.read_text().split("  - name: ")
    deadlines = others[-1][others[-1].index("deadlines:") :]
    text = f"{head}  - name: {first}{deadlines}"
    file = tmp_path / "first.yaml"
    file.write_text(text.replace("../contrib", str(ROOT / "contrib")))
    return file


@needs_compiler
@pytest.mark.parametrize("how", ["right", *IDLE])
def test_who_does_not_do_its_work_gets_nothing(how: str, tmp_path: Path) -> None:
    """It refuses what it could do, tries fewer or more, or trades what nobody asked it to."""
    old, new, said = IDLE.get(how, ("", "", "none does harm"))
    text = recorded_trader()
    assert old in text
    directory = tmp_path / "submission"
    directory.mkdir()
    (directory / "trader.c").write_text(text.replace(old, new, 1) if old else text)
    (first,) = graded(first_item(tmp_path), directory)["tests"]
    assert first["score"] == (10 if how == "right" else 0), first["output"]
    assert said in first["output"]


@needs_compiler
def test_a_crash_in_a_walk_names_the_signal(tmp_path: Path) -> None:
    """The student reads which signal it was, in one whole sentence, also below the table."""
    directory = tmp_path / "submission"
    directory.mkdir()
    crash = "{\n    *(volatile int *)0 = 1;\n    double balance = lab_number"
    text = recorded_trader().replace("{\n    double balance = lab_number", crash)
    (directory / "trader.c").write_text(text)
    done = launch("grade", str(first_item(tmp_path)), "--submission", str(directory))
    assert done.status == 0
    sentence = "trader-0 was killed by signal 11 (Segmentation fault)"
    assert f"\n1 keeps every unit:\n  {sentence}\n" in done.out
