"""A converter sells one currency and buys another, inside the locks of both rows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from common.history.merge import load_history
from exchange import SYSTEM
from exchange.layout import ROWS
from exchange.operations import BUY, SELL
from tests.launching import Finished, launch

OPERATIONS = {operation.code: operation for operation in SYSTEM.operations}
DOLLAR, EURO = ROWS.index("DOLLAR"), ROWS.index("EURO")


def scenario(tmp_path: Path, *lines: str, table: str = "granularity: row") -> Path:
    """Write a scenario of converters on one table."""
    path = tmp_path / "converters.yaml"
    path.write_text(
        "\n".join(
            [
                "system: exchange",
                f"table: {{store: sysv_shm, lock: {{kind: sysv_sem}}, {table}}}",
                *lines,
            ]
        )
    )
    return path


def run(path: Path, *words: str) -> Finished:
    """Run it and return its document."""
    return launch("run", str(path), "--out", str(path.parent), "--json", *words)


def pair(
    tmp_path: Path, *more: str, operations: int = 100, table: str = "granularity: row"
) -> Path:
    """Return a scenario of two who convert in opposite directions."""
    return scenario(
        tmp_path,
        "processes:",
        f"  - {{role: converter, name: east, operations: {operations}}}",
        f"  - {{role: converter, name: west, operations: {operations}, sells: EURO, buys: DOLLAR}}",
        *more,
        table=table,
    )


def test_two_in_opposite_directions_keep_every_unit(tmp_path: Path) -> None:
    """Stocks and balances follow from the recorded trades to the last bit: the run is valid."""
    # The pause makes sure that they meet.
    done = run(pair(tmp_path, "delays: {write: {sleep_us: 200}}"))
    document = done.document
    assert (document["verdict"], document["doubts"], document["findings"]) == ("valid", [], [])
    assert done.status == 0


def test_both_records_lie_inside_both_locks(tmp_path: Path) -> None:
    """A sale and a purchase follow one another, and no other process's lie between them."""
    document = run(pair(tmp_path, "delays: {write: {sleep_us: 200}}")).document
    history = load_history(Path(document["run_dir"]) / "history", OPERATIONS)
    spans: list[tuple[int, int]] = []
    for which, process in enumerate(history.processes):
        codes = history.codes[history.bounds[which] : history.bounds[which + 1]]
        assert codes.tolist() == [SELL, BUY] * (len(process.records) // 2)
        entered = history.cells("entered", which, slice(0, None, 2))
        left = history.cells("left", which, slice(1, None, 2))
        spans += zip(entered.tolist(), left.tolist(), strict=True)
    spans.sort()
    assert all(one[1] < other[0] for one, other in pairwise(spans))


def test_what_is_bought_is_worth_the_proceeds(tmp_path: Path) -> None:
    """The balance keeps less than the price of one grain of what was bought."""
    document = run(pair(tmp_path, operations=20)).document
    for process in document["processes"]:
        assert abs(process["summary"]["balance"] - 1000.0) < 1e-6


def test_a_sale_that_the_stock_does_not_allow_buys_nothing(tmp_path: Path) -> None:
    """The refusal is recorded, and no purchase follows it."""
    path = pair(tmp_path, operations=5, table="granularity: row, rows: {DOLLAR: {stock: 0}}")
    document = run(
        path, "--set", "processes.west.sells=POUND", "--set", "processes.west.buys=EURO"
    ).document
    assert document["measures"]["refused"] == 5
    (east, _) = document["processes"]
    assert east["summary"] == {"balance": 1000.0, "done": 0}


def complaints(done: Finished) -> Any:
    """Return what the launcher refused."""
    assert done.status == 2
    return done.err


def test_one_lock_for_the_whole_table_is_taken_once(tmp_path: Path) -> None:
    """It would wait for what it has itself if it took it for each row."""
    path = pair(tmp_path, "delays: {write: {sleep_us: 200}}", table="granularity: table")
    for order in ("given", "sorted", "at_once"):
        setting = f"processes.east.order={order}"
        document = run(path, "--set", setting, "--set", "processes.east.operations=20").document
        assert (document["verdict"], document["findings"]) == ("valid", [])


def test_rates_that_make_no_price_are_no_reason_to_fail(tmp_path: Path) -> None:
    """At a price of nothing it buys as much as a stock can hold; it does not divide by it."""
    table = "granularity: table, rows: {EURO: {buy: 0}}"
    document = run(pair(tmp_path, operations=1, table=table)).document
    assert all(process["exit"] == 0 for process in document["processes"])


def test_the_same_currency_twice_is_refused(tmp_path: Path) -> None:
    """There is nothing to convert."""
    err = complaints(run(pair(tmp_path), "--set", "processes.east.buys=DOLLAR"))
    assert "buys" in err
    assert "is what it sells" in err


def test_a_schedule_can_end_it_before_a_conversion(tmp_path: Path) -> None:
    """``stop`` leaves whole conversions only, and the balance that belongs to them."""
    path = pair(tmp_path, "schedule:", "  - east-0: [release, release, stop]", operations=3)
    document = run(path).document
    east, west = document["processes"]
    assert (east["summary"]["done"], west["summary"]["done"]) == (2, 6)
    assert document["doubts"] == []
    assert np.isfinite(east["summary"]["balance"])


CONVERT = "exchange/convert"
ONE_EACH = ("--set", "processes.east.operations=1", "--set", "processes.west.operations=1")


def explored(variant: str, tmp_path: Path) -> dict[str, Any]:
    """Walk every interleaving of one conversion each; returns the document."""
    out = str(tmp_path / "runs")
    words = ("explore", CONVERT, "--variant", variant, *ONE_EACH, "--out", out, "--json")
    document: dict[str, Any] = launch(*words).document["variants"][variant]
    return document


def test_opposite_orders_deadlock_in_some_interleavings(tmp_path: Path) -> None:
    """Each has its first lock and waits for the other's: the circle is found by walking."""
    document = explored("opposite", tmp_path)
    assert document["complete"]
    assert set(document["findings"]) == {"deadlock"}


def test_both_locks_at_once_never_deadlock_in_any_interleaving(tmp_path: Path) -> None:
    """One semop(2) takes both or none: every interleaving ends, and loses nothing."""
    for variant in ("at_once", "sorted"):
        document = explored(variant, tmp_path)
        assert document["complete"]
        assert document["findings"] == {}


def test_a_lock_that_cannot_take_two_at_once_is_refused(tmp_path: Path) -> None:
    """At the place of the option, with the locks that can."""
    done = launch(
        "run", CONVERT, "--variant", "at_once", "--set", "table.lock=posix_sem",
        "--out", str(tmp_path / "runs"),
    )  # fmt: skip
    err = complaints(done)
    assert "the lock posix_sem cannot take the locks of several rows at once" in err
    assert "sysv_semset" in err
