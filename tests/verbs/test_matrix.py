"""`compare --matrix`: one scenario with every kind of an axis, judged by what it promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import kinds
from common.report.matrix import matrix_text
from tests.launching import launch

EXCLUDING = {kind for kind in kinds.names(kinds.LOCKS) if kinds.load(kinds.LOCKS, kind).EXCLUDES}


def test_every_real_lock_is_valid_on_every_table_and_none_loses_updates(tmp_path: Path) -> None:
    """One command; each combination once, by the variant that says what to expect of it."""
    # Fewer trades, all of one stock: four tellers still meet at every write.
    done = launch(
        "compare", "exchange/lost_update", "--matrix", "lock,table", "--json",
        "--set", "processes.trader.operations=40", "--set", "processes.trader.currencies=[DOLLAR]",
        "--out", str(tmp_path),
    )  # fmt: skip
    assert done.status == 0, done.err
    document = done.document
    every = {
        (lock, table) for lock in kinds.names(kinds.LOCKS) for table in kinds.names(kinds.TABLES)
    }
    cells = {(c["kinds"]["lock"], c["kinds"]["table"]): c for c in document["cells"]}
    assert set(cells) == every
    for (lock, _table), cell in cells.items():
        [run] = cell["runs"]
        assert (run["verdict"] == "valid") is (lock in EXCLUDING)
        assert ("lost_update" in {f["kind"] for f in run["findings"]}) is (lock not in EXCLUDING)
        assert run["leaks"] == []


def test_what_guards_a_ring_is_an_axis_of_the_spooler_too(tmp_path: Path) -> None:
    """The lock of a channel in shared memory, in place of a table's."""
    done = launch(
        "compare", "spooler/bounded_buffer", "--matrix", "lock", "--json",
        "--out", str(tmp_path / "runs"),
    )  # fmt: skip
    assert done.status == 0, done.err
    cells = done.document["cells"]
    verdicts = {cell["kinds"]["lock"]: cell["runs"][0]["verdict"] for cell in cells}
    assert verdicts == {
        lock: "valid" if lock in EXCLUDING else "anomaly" for lock in kinds.names(kinds.LOCKS)
    }


def test_what_a_scenario_cannot_have_is_told_and_the_rest_is_run(tmp_path: Path) -> None:
    """Every channel for its jobs: signals reach one receiver only, and this scenario has two."""
    done = launch(
        "compare", "spooler/fifo", "--matrix", "channel", "--json",
        "--set", "processes.producer.jobs=20", "--out", str(tmp_path),
    )  # fmt: skip
    document = done.document
    (refused,) = document["refused"]
    assert refused["kinds"] == {"channel": "signals"}
    assert "2 receivers" in refused["why"]
    runs = {cell["kinds"]["channel"]: cell["runs"][0] for cell in document["cells"]}
    assert set(runs) == set(kinds.names(kinds.CHANNELS)) - {"signals"}
    # The lecture's slot with its star tears; datagrams may be lost; all others keep every job.
    assert {kind for kind, run in runs.items() if run["verdict"] != "valid"} <= {"one_slot", "udp"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--matrix", "lock,tabel"), "did you mean 'table'?"),
        (("--matrix", "lock,lock"), "names an axis twice"),
        (("--matrix", ""), "a matrix has no axis ''"),
        (("--matrix", "channel"), "has no channel to change"),
        (("--matrix", "lock", "--variant", "locked"), "leave --variant out"),
    ],
)
def test_what_is_no_matrix_is_refused(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    """Before anything runs, with the mend."""
    done = launch("compare", "exchange/lost_update", *words, "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert said in done.err
    assert not (tmp_path / "runs").exists()


def test_a_scenario_that_promises_nothing_with_a_lock_has_no_matrix_of_locks(
    tmp_path: Path,
) -> None:
    """What to expect of one would be a guess."""
    done = launch("compare", "exchange/script", "--matrix", "lock", "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert "no variant with a lock everywhere" in done.err


def test_a_surprise_stands_out_and_names_its_run() -> None:
    """A cell that is not as promised is marked, and the last lines say where to look."""
    run = {"findings": [], "verdict": "valid", "as_expected": True, "run_dir": "a"}
    odd = run | {"as_expected": False, "run_dir": "b", "findings": [
        {"kind": "lost_update", "count": 3}, ]}  # fmt: skip
    cells = [
        {"kinds": {"lock": "x", "table": "m"}, "runs": [run]},
        {"kinds": {"lock": "y", "table": "m"}, "runs": [run, odd]},
    ]
    text = matrix_text("s", ["lock", "table"], cells)
    assert "lost_update 3!" in text
    assert "2 of 3 runs as expected" in text
    assert "not as expected: b" in text
