"""Lines of input: what a teller may type, and what is refused with a mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.errors import UsageError
from exchange.lines import Line, parse
from tests.launching import launch


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("buy EURO 10", Line(True, 1, 10.0)),
        ("sell POUND 100", Line(False, 3, 100.0)),
        ("  BUY   dollar 1  ", Line(True, 0, 1.0)),
        ("sell STERLIN 4194304", Line(False, 2, 4194304.0)),
    ],
)
def test_an_order_is_verb_currency_amount(text: str, line: Line) -> None:
    """Case and blanks do not matter; the amount is a whole number."""
    assert parse(text) == line


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("buy EURO", "not an order", "buy EURO 10"),
        ("", "not an order", "buy EURO 10"),
        ("bye EURO 10", "not something to do", "did you mean 'buy'"),
        ("buy EUOR 10", "not a currency", "did you mean 'EURO'"),
        ("buy STERLING 10", "not a currency", "did you mean 'STERLIN'"),
        ("buy EURO nan", "not an amount", "whole number"),
        ("buy EURO inf", "not an amount", "whole number"),
        ("buy EURO -1", "not an amount", "whole number"),
        ("buy EURO 0", "not an amount", "whole number"),
        ("buy EURO 0.1", "not an amount", "whole number"),
        ("buy EURO 1e3", "not an amount", "whole number"),
        ("buy EURO 4194305", "not an amount", "4194304"),
        ("buy EURO ١٠", "not an amount", "whole number"),
        ("buy EURO " + "9" * 5000, "not an amount", "whole number"),
    ],
)
def test_anything_else_is_refused(text: str, reason: str, hint: str) -> None:
    """NaN and negative amounts, which the lecture's programs take, are among them."""
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert reason in caught.value.message
    assert hint in caught.value.hint


def test_a_wrong_line_of_a_scenario_is_placed(tmp_path: Path) -> None:
    """A teller's line is checked when the file is loaded, and before anything is made."""
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "system: exchange\ntable: {store: sysv_shm}\n"
        "processes:\n  - {role: teller, lines: [buy EURO 10, buy EUOR 1, sell POUND -1]}\n"
    )
    done = launch("run", str(path), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert f"{path}:4:41: processes.0.lines.1: 'EUOR' is not a currency" in done.err
    assert f"{path}:4:53: processes.0.lines.2: '-1' is not an amount" in done.err
    assert "did you mean 'EURO'?" in done.err
    assert not (tmp_path / "runs").exists()


def test_a_stock_that_cannot_be_summed_exactly_is_refused(tmp_path: Path) -> None:
    """0.1 is no multiple of 2**-30: conservation would be a tolerance, not an equality."""
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "system: exchange\ntable: {store: sysv_shm, rows: {POUND: {stock: 0.1}}}\n"
        "processes: [{role: trader}]\n"
    )
    done = launch("run", str(path), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert f"{path}:2:48: table.rows.POUND.stock: 0.1 cannot be summed exactly" in done.err


def test_work_without_end_needs_a_run_without_deadline(tmp_path: Path) -> None:
    """``operations: 0`` under a deadline would end as a hang: refused, with the mend."""
    path = tmp_path / "wrong.yaml"
    path.write_text(
        "system: exchange\ntable: {store: sysv_shm}\nprocesses: [{role: trader, operations: 0}]\n"
    )
    done = launch("run", str(path), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert f"{path}:3:40: processes.0.operations: works until" in done.err
    assert "deadlines: {run: 0}" in done.err
