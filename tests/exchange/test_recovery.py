"""Recovery in real runs: who dies between two writes is undone or finished, and it is all told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.history.merge import load_history
from common.kernel import intents
from exchange import SYSTEM
from exchange.operations import FINISH_BUY, UNDO_BUY, UNDO_SELL
from tests.launching import Finished, launch, still_there

OPERATIONS = {operation.code: operation for operation in SYSTEM.operations}

HEAD = """
system: exchange
table: {{store: {store}, lock: {lock}{table}}}
delays: {{write: {{sleep_us: 200}}}}
"""
CONVERTERS = """
processes:
  - {{role: converter, name: east, count: 2, operations: {operations}}}
  - {{role: converter, name: west, count: 2, operations: {operations}, sells: EURO, buys: DOLLAR}}
"""
KILL = "  - {{kind: kill, process: {process}, step: {step}, at: {at}}}\n"


def scenario(
    tmp_path: Path,
    *faults: tuple[str, str, int],
    table: str = "",
    lock: str = "sysv_sem",
    store: str = "sysv_shm",
    processes: str = CONVERTERS,
    operations: int = 8,
) -> Path:
    """Write a scenario; a fault is whom to kill, at which step, at which time."""
    text = HEAD.format(store=store, lock=lock, table=table) + processes.format(
        operations=operations
    )
    if faults:
        text += "faults:\n"
    for process, step, at in faults:
        text += KILL.format(process=process, step=step, at=at)
    path = tmp_path / "recovery.yaml"
    path.write_text(text)
    return path


def run(path: Path, *words: str) -> dict[str, Any]:
    """Run it; returns its document."""
    document = launch("run", str(path), "--out", str(path.parent), "--json", *words).document
    assert still_there(document["objects"]) == []
    return document


UNDO, FINISH = ", recovery: intent", ", recovery: {kind: intent, half_done: finish}"


def test_without_recovery_what_was_sold_is_gone_for_nothing(tmp_path: Path) -> None:
    """The purchase that never happened is the stock that is missing, to the last bit."""
    document = run(scenario(tmp_path, ("east-0", "write", 6)))
    assert document["verdict"] == "anomaly"
    assert document["doubts"] == []
    [finding] = document["findings"]
    assert (finding["kind"], finding["count"]) == ("lost_update", 1)
    sale, purchase = finding["first"]["witnesses"]
    assert (sale["operation"], purchase["operation"]) == ("sell", "buy")
    assert (sale["process"], purchase["process"]) == ("east-0", "east-0")
    assert purchase["item"] == sale["item"] + 1
    missing, amount = document["measures"]["missing"], purchase["values"]["amount"]
    assert missing == document["measures"]["lost"]
    assert missing["EURO"] == amount == finding["total"] > 0
    assert missing["DOLLAR"] == 0
    assert "the buy of" in finding["explanation"]
    assert "never happened" in finding["explanation"]


@pytest.mark.parametrize("lock", ["sysv_sem", "robust_mutex", "ofd_lock"])
@pytest.mark.parametrize(("table", "word"), [(UNDO, "undone"), (FINISH, "finished")])
def test_with_recovery_it_is_valid_and_says_what_was_done(
    table: str, word: str, lock: str, tmp_path: Path
) -> None:
    """Undone or finished once, by somebody who is named; no unit is missing."""
    document = run(scenario(tmp_path, ("east-0", "write", 6), table=table, lock=lock))
    assert (document["verdict"], document["doubts"], document["findings"]) == ("valid", [], [])
    counts = {"undone": 0, "finished": 0, "whole": 0, "foreign": 0, word: 1}
    assert document["measures"]["recovery"] == counts
    assert not any(document["measures"]["missing"].values())
    deed = "undid" if word == "undone" else "finished"
    assert any(f" {deed} what east-0 had left half done" in each for each in document["remarks"])


def recovered(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the records that recovery made, with their codes."""
    history = load_history(Path(document["run_dir"]) / "history", OPERATIONS)
    return [
        {"code": int(history.codes[at]), **history.record(at)}
        for at in range(len(history))
        if history.operation(at).recovery
    ]


def test_what_recovery_wrote_is_in_the_history(tmp_path: Path) -> None:
    """The sale that is undone and the purchase that is finished, with their items and values."""
    document = run(scenario(tmp_path, ("east-0", "write", 6), table=UNDO))
    [undone] = recovered(document)
    assert undone["code"] == UNDO_SELL
    assert undone["v4"] == undone["v3"] + undone["v0"]
    document = run(scenario(tmp_path, ("east-0", "write", 6), table=FINISH))
    [finished] = recovered(document)
    assert finished["code"] == FINISH_BUY
    assert finished["item"] == undone["item"] + 1
    assert document["measures"]["unacknowledged"] == 1


def test_both_writes_are_undone_before_the_commit_and_kept_after_it(tmp_path: Path) -> None:
    """At the step commit both are taken back; at release the operation is whole and stays."""
    document = run(scenario(tmp_path, ("east-0", "commit", 3), table=UNDO))
    assert document["verdict"] == "valid"
    assert {each["code"] for each in recovered(document)} == {UNDO_SELL, UNDO_BUY}
    document = run(scenario(tmp_path, ("east-0", "release", 3), table=UNDO))
    assert document["verdict"] == "valid"
    assert recovered(document) == []
    assert document["measures"]["recovery"]["whole"] == 1


def test_whoever_recovers_may_be_killed_in_it(tmp_path: Path) -> None:
    """Two recoverers die in a row; the third, or the launcher, ends it, and once only."""
    killers = [(name, "recover", 2) for name in ("east-1", "west-0")]
    document = run(scenario(tmp_path, ("east-0", "write", 6), *killers, table=UNDO))
    struck = [fault["process"] for fault in document["faults"]]
    # Who comes next is the kernel's choice: it may be west-1, and then nobody else dies.
    assert "east-0" in struck
    assert document["verdict"] == "valid"
    assert document["measures"]["recovery"]["undone"] == 1
    assert len(recovered(document)) == 1


def test_what_nobody_comes_after_is_ended_by_the_launcher(tmp_path: Path) -> None:
    """The last one dies inside: there is no next holder, and the table is whole all the same."""
    alone = "processes:\n  - {{role: converter, name: east, count: 1, operations: {operations}}}\n"
    path = scenario(tmp_path, ("east-0", "write", 6), table=UNDO, processes=alone)
    document = run(path)
    assert document["measures"]["recovery"]["undone"] == 1
    assert document["findings"] == []
    assert any("the launcher undid" in each for each in document["remarks"])


def test_a_file_that_an_earlier_run_left_half_done_is_settled_first(tmp_path: Path) -> None:
    """The record outlives its run with the file; what is undone before is no part of the next."""
    path = scenario(tmp_path, table=UNDO, store="mmap_file")
    first = run(path)
    file = tmp_path / "recovery/exchange.dat"
    body = bytearray(file.read_bytes())
    words, values = memoryview(body).cast("q"), memoryview(body).cast("d")
    base = intents.place(96) // 8
    old = values[2]
    # As whoever is killed with its launcher leaves it: pid 1 did not start at tick 7.
    words[base + intents.PID], words[base + intents.START] = 1, 7
    words[base + intents.COUNT] = 1
    words[base + intents.CHANGES] = 2
    values[base + intents.CHANGES + 1], values[base + intents.CHANGES + 2] = old, old - 5
    values[2] = old - 5
    words[base + intents.STATE] |= intents.INTENDED
    words.release()
    values.release()
    file.write_bytes(body)
    second = run(path)
    assert second["initial"]["DOLLAR"]["stock"] == first["final"]["DOLLAR"]["stock"] == old
    assert second["verdict"] == "valid"
    assert recovered(second) == []
    assert any("an earlier run had left something half done" in r for r in second["remarks"])


def test_a_file_without_a_record_gets_one(tmp_path: Path) -> None:
    """A table that was kept without recovery goes on with it, and the other way round."""
    path = scenario(tmp_path, store="mmap_file")
    first = run(path)
    second = run(path, "--set", "table.recovery=intent")
    assert second["initial"] == first["final"]
    third = run(path)
    assert third["initial"] == second["final"]
    assert {each["verdict"] for each in (first, second, third)} == {"valid"}


OVERWRITE = "  - {kind: overwrite, row: 0, value: 777, process: east-0, step: write, at: 6}\n"


def test_recovery_does_not_hide_who_writes_without_the_lock(tmp_path: Path) -> None:
    """A foreign value after the first write of two: it is left as it is, and told with its row."""
    alone = "processes:\n  - {{role: converter, name: east, count: 1, operations: {operations}}}\n"
    path = scenario(tmp_path, table=UNDO, processes=alone)
    # Both strike before the purchase is written, in this order.
    kill = KILL.format(process="east-0", step="write", at=6)
    path.write_text(path.read_text() + "faults:\n" + OVERWRITE + kill)
    document = run(path)
    assert [fault["kind"] for fault in document["faults"]] == ["overwrite", "kill"]
    assert document["final"]["DOLLAR"]["stock"] == 777
    assert recovered(document) == []
    assert document["measures"]["recovery"]["foreign"] == 1
    assert any("1 value of somebody else left alone" in each for each in document["remarks"])
    assert any("DOLLAR: when the launcher recovered" in each for each in document["doubts"])
    assert document["verdict"] != "valid"


def test_what_happened_unacknowledged_is_no_more_than_the_killed(tmp_path: Path) -> None:
    """Of three that die, two had begun what is finished for them, and could not say so."""
    deaths = [("east-0", "write", 6), ("east-1", "acquire", 3), ("west-0", "write", 8)]
    document = run(scenario(tmp_path, *deaths, table=FINISH))
    assert (document["verdict"], document["doubts"], document["findings"]) == ("valid", [], [])
    assert len(document["faults"]) == 3
    assert document["measures"]["unacknowledged"] == 2
    assert any("2 operations happened" in each for each in document["remarks"])


TRADERS = """
processes:
  - {{role: trader, count: 3, operations: {operations}, currencies: [EURO]}}
  - {{role: rate_setter, changes: {operations}}}
  - {{role: auditor, snapshots: {operations}}}
"""


@pytest.mark.parametrize(
    ("whom", "step", "at", "found"),
    [
        ("trader-0", "write", 3, "whole"),
        ("trader-0", "commit", 3, "undone"),
        ("trader-0", "release", 3, "whole"),
        ("rate_setter-0", "write", 6, "undone"),
        ("auditor-0", "read", 3, "whole"),
    ],
)
def test_trades_and_rates_recover_as_conversions_do(
    whom: str, step: str, at: int, found: str, tmp_path: Path
) -> None:
    """One cell or two rates: old or new, and no auditor ever sees the half of a change."""
    path = scenario(tmp_path, (whom, step, at), table=UNDO, processes=TRADERS)
    document = run(path)
    assert (document["verdict"], document["doubts"], document["findings"]) == ("valid", [], [])
    assert document["measures"]["recovery"][found] == 1


def test_one_lock_for_both_rows_is_taken_once(tmp_path: Path) -> None:
    """A converter works under the lock of the whole table, and both its records say so."""
    document = run(scenario(tmp_path))
    assert (document["verdict"], document["doubts"]) == ("valid", [])
    history = load_history(Path(document["run_dir"]) / "history", OPERATIONS)
    assert set(history.column("held_first").tolist()) == {1}


def refused(done: Finished) -> str:
    """Return what the loader said."""
    assert done.status == 2, done.out
    return done.err


@pytest.mark.parametrize(
    ("setting", "place", "mend"),
    [
        ("table.granularity=row", "table.recovery", "granularity: table"),
        ("table.lock=none", "table.recovery", "robust_mutex"),
        ("table.store=plain_file", "table.recovery", "mmap_file or posix_shm or sysv_shm"),
        ("table.recovery=intend", "table.recovery", "did you mean 'intent'"),
        ("table.recovery.half_done=redo", "table.recovery.half_done", "undo, finish"),
    ],
)
def test_what_does_not_go_with_recovery_is_refused(
    setting: str, place: str, mend: str, tmp_path: Path
) -> None:
    """At its line and column, with the mend; nothing is made."""
    path = scenario(tmp_path, table=", recovery: {kind: intent}")
    err = refused(launch("run", str(path), "--out", str(tmp_path / "runs"), "--set", setting))
    assert f" {place}: " in err
    assert mend in err
    assert "recovery.yaml:3:" in err or "--set" in err
    assert not (tmp_path / "runs").exists()


def test_whoever_goes_in_without_being_the_owner_is_refused(tmp_path: Path) -> None:
    """A trader that uses the lock in a broken way would change rows behind the record's back."""
    path = scenario(tmp_path, table=UNDO, processes=TRADERS)
    words = ("--set", "processes.trader.locking=shrunk", "--out", str(tmp_path / "runs"))
    err = refused(launch("run", str(path), *words))
    assert "processes.0.locking" in err or "locking" in err
    assert "locking: proper" in err


def test_its_steps_are_steps_only_with_recovery(tmp_path: Path) -> None:
    """A fault at commit or recover is refused where nothing is recovered."""
    path = scenario(tmp_path, ("east-0", "commit", 1))
    assert "has no step 'commit'" in refused(launch("run", str(path), "--out", str(tmp_path)))
