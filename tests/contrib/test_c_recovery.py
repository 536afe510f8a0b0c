"""Programs in C keep the intent record as ours do: whoever dies inside, the other one mends it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.compiled import needs_compiler
from tests.contrib.building import (
    ONE_PURCHASE,
    compiled,
    harm,
    ours,
    process,
    run,
    scenario,
    theirs,
    walk,
)

pytestmark = needs_compiler

UNDO: dict[str, Any] = {"kind": "intent", "half_done": "undo"}
FINISH: dict[str, Any] = {"kind": "intent", "half_done": "finish"}
SILENT: dict[str, Any] = {"kind": "sysv_sem", "undo": True}
TOLD: dict[str, Any] = {"kind": "robust_mutex"}


def table(recovery: dict[str, Any] = UNDO, lock: dict[str, Any] = SILENT) -> dict[str, Any]:
    """Return a table with an intent record."""
    return {"store": "sysv_shm", "lock": lock, "recovery": recovery}


def dies(whom: str, step: str, at: int, *then: str) -> list[dict[str, Any]]:
    """Return the faults that kill a process at its step; ``then`` do not begin before it stands."""
    sign = f"{whom} stands"
    return [
        *({"kind": "pause", "process": each, "step": "acquire", "at": 1, "until": sign}
          for each in then),
        {"kind": "sign", "process": whom, "step": step, "at": at, "gives": sign},
        {"kind": "kill", "process": whom, "step": step, "at": at},
    ]  # fmt: skip


def mended(document: dict[str, Any], found: str) -> None:
    """Assert that one operation was left behind and mended once, and that no unit is missing."""
    counts = {"undone": 0, "finished": 0, "whole": 0, "foreign": 0, found: 1}
    assert document["measures"]["recovery"] == counts
    assert document["findings"] == []
    assert [doubt for doubt in document["doubts"] if "overlapped" not in doubt] == []
    assert not any(document["measures"]["missing"].values())


def converters(programs: Path, count: int = 1) -> list[dict[str, Any]]:
    """Return a group of ours and one in C that do the same."""
    options = {"operations": 4, "count": count}
    return [
        theirs(programs / "converter", "converter", **options),
        ours("converter", **options, sells="EURO", buys="DOLLAR"),
    ]


@pytest.mark.parametrize(("dead", "next_one"), [("theirs-0", "ours-0"), ("ours-0", "theirs-0")])
@pytest.mark.parametrize(
    ("recovery", "lock", "found", "deed"),
    [(UNDO, SILENT, "undone", "undid"), (FINISH, TOLD, "finished", "finished")],
    ids=["undo", "finish"],
)
def test_killed_between_two_writes_the_other_mends_it(
    recovery: dict[str, Any], lock: dict[str, Any], found: str, deed: str,
    dead: str, next_one: str, programs: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """C dies and ours recovers, and the other way round; no unit is missing."""
    path = scenario(
        tmp_path, *converters(programs), table=table(recovery, lock),
        faults=dies(dead, "write", 2, next_one),
    )  # fmt: skip
    document = run(path, tmp_path)
    mended(document, found)
    told = f" {next_one} {deed} what {dead} had left half done"
    assert any(told in remark for remark in document["remarks"]), document["remarks"]
    assert process(document, next_one)["summary"]["done"] == 8


@pytest.mark.parametrize(
    ("first", "second", "third"),
    [("theirs-0", "ours-0", "theirs-1"), ("ours-0", "theirs-0", "ours-1")],
)
def test_who_recovers_dies_too_and_the_third_ends_it_once(
    first: str, second: str, third: str, programs: Path, tmp_path: Path
) -> None:
    """Killed before its own change, in either language: the next goes on with its entry."""
    (fourth,) = {"theirs-1", "ours-1"} - {third}
    path = scenario(
        tmp_path, *converters(programs, 2), table=table(),
        faults=[
            *dies(first, "write", 2, second),
            *dies(second, "recover", 2, third),
            {"kind": "pause", "process": fourth, "step": "acquire", "at": 1, "until": "ended"},
            {"kind": "sign", "process": third, "step": "check", "at": 1, "gives": "ended"},
        ],
    )  # fmt: skip
    document = run(path, tmp_path)
    assert [fault["process"] for fault in document["faults"] if fault["kind"] == "kill"] == [
        first, second
    ]  # fmt: skip
    mended(document, "undone")
    told = f" {third} undid what {first} had left half done"
    assert any(told in remark for remark in document["remarks"]), document["remarks"]


@pytest.mark.parametrize(
    ("step", "found"), [("write", "whole"), ("commit", "undone"), ("release", "whole")]
)
def test_a_trade_is_done_or_undone(step: str, found: str, programs: Path, tmp_path: Path) -> None:
    """Before its write nothing was done, before the commit it is undone, after it it stays."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=5, sell_share=0), table=table(),
        faults=dies("theirs-0", step, 3),
    )  # fmt: skip
    mended(run(path, tmp_path), found)


@pytest.mark.parametrize("store", ["posix_shm", "mmap_file"])
def test_behind_every_table_that_is_memory(store: str, programs: Path, tmp_path: Path) -> None:
    """The record is mapped with the rows, and ours finds there what C left."""
    path = scenario(
        tmp_path, *converters(programs), table=table() | {"store": store},
        faults=dies("theirs-0", "write", 2, "ours-0"),
    )  # fmt: skip
    mended(run(path, tmp_path), "undone")


def test_walked_as_ours(programs: Path, tmp_path: Path) -> None:
    """The steps of the record are no steps that another one sees: two orders, as without it."""
    path = scenario(
        tmp_path, theirs(programs / "trader", **ONE_PURCHASE), ours(**ONE_PURCHASE), table=table()
    )
    assert harm(walk(path, tmp_path)) == (2, {})


def test_to_change_a_row_without_the_lock_is_an_error(programs: Path, tmp_path: Path) -> None:
    """Who is not the owner would change rows behind the record's back."""
    path = scenario(tmp_path, theirs(programs / "racy_trader", operations=1), table=table())
    error = process(run(path, tmp_path), "theirs-0")["error"]
    assert "without its lock nobody may change this table, which has recovery" in error["message"]


FORGETS = """
#include "lab.h"
static void work(struct lab *lab)
{
    struct Currency *c = lab_table(lab);
    lab_begin(lab, LAB_BUY, &c[DOLLAR], 1);
    if (lab_acquire(lab)) return;
    lab_write(lab, &c[DOLLAR].stock, lab_read(lab, &c[DOLLAR].stock) + 1);
    lab_write(lab, &c[EURO].stock, lab_read(lab, &c[EURO].stock) - 1);
}
int main(void) { struct lab lab; lab_open(&lab); return lab_run(&lab, work); }
"""


def test_a_second_change_must_be_said_before_the_first(tmp_path: Path) -> None:
    """Nobody could finish what was never said: the second lab_write names the mend."""
    path = scenario(tmp_path, theirs(compiled(tmp_path, "forgets", FORGETS)), table=table())
    document = run(path, tmp_path)
    error = process(document, "theirs-0")["error"]
    assert error["message"].startswith("EURO.stock: this table has recovery: say every change")
    assert document["final"]["EURO"]["stock"] == 10000
