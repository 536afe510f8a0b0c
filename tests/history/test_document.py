from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from common.history import record
from common.history.operations import Effect
from common.history.recorder import Recorder
from exchange.operations import BUY, SELL
from tests.verdict.scenes import OPERATIONS

PAGE = Path(__file__).parents[2] / "docs" / "history.md"


def test_the_reader_on_the_page_reads_a_real_file(tmp_path: Path) -> None:
    """The example, run as it stands, prints what was recorded: done, refused and in flight."""
    path = tmp_path / "trader-1.rec"
    recorder = Recorder(path, "trader-1", "trader", 4, 256)
    recorder.end(
        recorder.begin(BUY, 2, 7, 10, 11, 1.5), 2.0, 3.0, 4.0, 5.5, 86_400_000_000_001
    )  # fmt: skip
    refused = recorder.begin(SELL, 1, 8, 20, 21, 9.0)
    recorder.refuse(refused)
    recorder.end(refused, 1.0, 0.0, 0.0, 0.0, 22)
    recorder.declare([float(BUY), float(SELL)], [9, 10], [6.0, 7.0])
    program = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert program is not None
    assert program[1].count("\n") <= 16
    found = subprocess.run(
        [sys.executable, "-c", program[1], str(path)], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == [
        f"trader-1 {os.getpid()}",
        "1 2 7 done 86400000000001 1.5 2.0 3.0 4.0 5.5",
        "2 1 8 refused 22 9.0 1.0 0.0 0.0 0.0",
        "1 0 9 in flight 0 6.0 0.0 0.0 0.0 0.0",
    ]


@pytest.mark.parametrize("name", ["KIND", "ITEM", "V0", "ASKED", "ENTERED", "LEFT", "V1", "V4"])
def test_the_page_gives_each_cell_its_offset(name: str) -> None:
    """The table of the record is the layout that is used."""
    row = f"| {8 * getattr(record, name)} | {name.lower()} |"
    assert row in PAGE.read_text(encoding="utf-8")


def test_the_page_lists_every_operation() -> None:
    """With its code, effect and object; a new operation is documented or this fails."""
    text = PAGE.read_text(encoding="utf-8")
    places = {"table": "row", "channel": "channel", "paper": "paper", "spool": "spool"}
    for code, operation in OPERATIONS.items():
        effect = str(operation.effect)
        if operation.effect is Effect.UPDATE:
            effect += ", adds" if operation.sign > 0 else ", takes"
        assert f"| {code} | {operation.name} | {effect} | {places[operation.place]} |" in text
    codes = {
        int(code) for code in re.findall(r"^\| (\d+) \| \w+ \| [a-z, ]+ \| \w+ \|$", text, re.M)
    }
    assert codes == set(OPERATIONS)
