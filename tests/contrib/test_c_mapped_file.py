"""The lecture's exchange in a mapped file, in C: it makes the file, and ours trade in it."""

from __future__ import annotations

import struct
from pathlib import Path

from tests.compiled import BIN, needs_compiler
from tests.launching import launch, still_there

pytestmark = needs_compiler

EXCHANGE = """
system: exchange
table: {{store: {{kind: mmap_file, path: {file}, anywhere: true, made_by: office}}, lock: sysv_sem}}
processes:
  - {{role: teller, name: office, lines: [], command: [{program}, {file}]}}
  - {{role: trader, count: 2, operations: 20, currencies: [EURO]}}
delays: {{write: {{sleep_us: 50, jitter_us: 100}}}}
"""


def test_ours_trade_in_a_file_that_a_c_program_made(tmp_path: Path) -> None:
    """Its four rows are the first ones, and all that was traded is in the file afterwards."""
    file, path = tmp_path / "exchange.dat", tmp_path / "scenario.yaml"
    path.write_text(EXCHANGE.format(file=file, program=BIN / "exchange_mmap"))
    document = launch("run", str(path), "--out", str(tmp_path / "runs"), "--json").document
    assert document["verdict"] == "valid", document["doubts"]
    assert still_there(document["objects"]) == []
    assert document["measures"]["operations"] == 40
    euro = document["final"]["EURO"]
    assert euro["stock"] != 10000
    assert struct.unpack_from("3d", file.read_bytes(), 24) == (3.932, 3.944, euro["stock"])
