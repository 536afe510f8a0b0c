"""Walks and schedules of real processes: what they claim is true, and can be had again."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.exploration.test_explore import outcomes
from tests.launching import ROOT, SECONDS, Finished, launch

CONFIGS = ROOT / "configs"
BUYS = str(CONFIGS / "exchange/two_traders.yaml")
SALES = str(CONFIGS / "exchange/two_sales.yaml")
CROSSED = str(CONFIGS / "mutants/opposite_order.yaml")

GIVEN_TWICE = """
system: exchange
seed: 58
table: {store: sysv_shm, lock: sysv_sem, granularity: row}
processes:
  - {role: teller, lines: [buy EURO 3]}
  - {role: trader, operations: 1, sell_share: 0, currencies: [EURO], locking: given_twice}
  - {role: rate_setter, changes: 1, currency: EURO}
"""
STAR = """
system: spooler
seed: 1
channels:
  jobs: {kind: one_slot, sync: star}
processes:
  - {role: producer, count: 2, jobs: 1, to: jobs}
  - {role: printer, count: 2, source: jobs}
"""
RECEIPTS = """
system: [exchange, spooler]
seed: 2
table: {store: sysv_shm, lock: none}
channels:
  receipts: {kind: ring, slots: 1, lock: sysv_sem}
processes:
  - {role: trader, count: 2, operations: 1, sell_share: 0, currencies: [EURO], receipts: receipts}
  - {role: printer, source: receipts}
"""


def pasted(out: str, verb: str, *more: str) -> Finished:
    """Run the first command line that ``out`` gives for ``verb``, as a shell would read it."""
    line = next(line for line in out.splitlines() if f"run.py {verb} " in line)
    words = shlex.split(line)
    at = next(at for at, word in enumerate(words) if word.endswith("run.py"))
    # As it stands there it must be found from here, wherever the launcher lies.
    assert Path(words[at]).resolve() == ROOT / "run.py"
    return launch(*words[at + 1 :], *more)


def test_a_lock_given_twice_is_seen_through(tmp_path: Path) -> None:
    """Where it lets two in, a release and an acquisition are walked in both orders."""
    path = tmp_path / "twice.yaml"
    path.write_text(GIVEN_TWICE)
    every, fewer = (
        launch("explore", str(path), how, "--out", str(tmp_path / "runs"), "--json")
        .document["variants"]["default"] for how in ("--all", "--reduce")
    )  # fmt: skip
    assert outcomes(fewer) == outcomes(every)
    assert "data_race" in fewer["findings"]


@pytest.mark.parametrize(("text", "kind"), [(STAR, "job_lost"), (RECEIPTS, "lost_update")])
def test_a_shrunk_schedule_can_be_followed(text: str, kind: str, tmp_path: Path) -> None:
    """Whoever was stopped, and whatever a channel calls its steps: the harm is done again."""
    path = tmp_path / "small.yaml"
    path.write_text(text)
    done = launch("explore", str(path), "--out", str(tmp_path / "runs"), "--json")
    document = done.document["variants"]["default"]
    assert (document["complete"], document["unrepeatable"], document["broken"]) == (True, [], "")
    token = document["findings"][kind]["token"]
    again = launch("run", str(path), "--schedule", token, "--out", str(tmp_path / "r"), "--json")
    assert kind in {finding["kind"] for finding in again.document["findings"]}


def test_nobody_is_stopped_between_two_locks(tmp_path: Path) -> None:
    """Who has the first of two locks would leave with it: refused, with the place."""
    path = tmp_path / "order.yaml"
    path.write_text("- east-0: [acquire, stop]\n")
    words = ("--variant", "broken", "--schedule", str(path), "--out", str(tmp_path))
    done = launch("run", CROSSED, *words)
    assert done.status == 2
    assert "step 2, east-0:stop: east-0 is in the middle of an operation" in done.err


def test_a_file_that_outlives_runs_is_not_walked_over(tmp_path: Path) -> None:
    """The table's file keeps what the last run left in it, whatever a walk writes."""
    files = str(CONFIGS / "exchange/mmap_file.yaml")
    few = ("--set", "processes.trader.count=2", "--set", "processes.trader.operations=1")
    assert launch("run", files, *few, "--seed", "1", "--out", str(tmp_path)).status in (0, 1, 3)
    (kept,) = tmp_path.glob("exchange/*/exchange.dat")
    before = kept.read_bytes()
    launch("explore", files, *few, "--variant", "locked", "--out", str(tmp_path))
    assert kept.read_bytes() == before


def test_work_without_end_is_refused(tmp_path: Path) -> None:
    """Its schedules have no end: one sentence that says what to set, and with that it works."""
    path = str(CONFIGS / "exchange/open_for_business.yaml")
    done = launch("explore", path, "--out", str(tmp_path))
    assert done.status == 2
    setting = done.err[done.err.index("--set ") + len("--set ") : done.err.rindex(")")]
    words = ("--variant", "locked", "--set", setting, "--set", "processes.trader.count=1")
    assert launch("explore", path, *words, "--out", str(tmp_path)).status == 0


def test_what_a_walk_cannot_show_is_said(tmp_path: Path) -> None:
    """SEM_UNDO acts when a process ends, and those of a walk live on: nothing is proved."""
    path = str(CONFIGS / "mutants/undo_on_counter.yaml")
    words = ("--variant", "broken", "--set", "processes.producer.jobs=1")
    done = launch("explore", path, *words, "--out", str(tmp_path))
    assert done.status == 3
    assert "not covered: what the kernel takes back from jobs" in done.out


def test_printed_commands_can_be_pasted(tmp_path: Path) -> None:
    """A path with a blank and a setting with braces survive the shell, to go on and to replay."""
    path = tmp_path / "two sales.yaml"
    path.write_text(Path(SALES).read_text())
    rows = "table.rows={POUND: {stock: 50}}"
    out = ("--out", str(tmp_path / "a b"))
    words = ("--variant", "unlocked", "--set", rows, "--schedules", "5", *out)
    begun = launch("explore", str(path), *words)
    assert "5 of an unknown number" in begun.out
    assert "all 20 interleavings were walked" in pasted(begun.out, "explore", *out).out
    assert "lost_update" in pasted(begun.out, "run", *out).out


def test_a_command_is_found_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever works beside the lab, and not in it, can paste what it prints, too."""
    monkeypatch.chdir(tmp_path)
    out = ("--out", str(tmp_path))
    done = launch("explore", BUYS, "--variant", "unlocked", *out)
    assert "lost_update" in pasted(done.out, "run", *out).out


def test_a_game_left_early_can_be_played_again(tmp_path: Path) -> None:
    """Its schedule says who went away, so it fits, with the settings of the game."""
    stock = "table.rows.POUND.stock=50"
    done = subprocess.run(
        [sys.executable, str(ROOT / "run.py"), "play", SALES, "--set", stock,
         "--out", str(tmp_path)],
        input="1\n2\nq\n", capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    again = pasted(done.stdout, "run", "--out", str(tmp_path), "--json").document
    assert again["final"]["POUND"]["stock"] == 50
    assert {process["phase"] for process in again["processes"]} == {"left"}


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ("- ten-0: [acquire, stop]\n", "ten-0 failed: stopped at check"),
        ("- ten-0: [acquire, check, read, stop]\n", "ten-0 failed: stopped at write"),
    ],
)
def test_nobody_is_stopped_in_the_middle(schedule: str, complaint: str, tmp_path: Path) -> None:
    """A stop anywhere but before an operation is a failure that says why."""
    path = tmp_path / "order.yaml"
    path.write_text(schedule)
    words = ("--variant", "unlocked", "--schedule", str(path), "--out", str(tmp_path), "--json")
    document = launch("run", SALES, *words).document
    (finding,) = (f for f in document["findings"] if f["kind"] == "process_crashed")
    assert complaint.partition("failed: ")[2] in json.dumps(finding)


@pytest.mark.parametrize("strategy", ["exhaustive", "pct", "random"])
def test_a_walk_in_parts_is_one_walk(strategy: str, tmp_path: Path) -> None:
    """Stopped twice and resumed, once before anything was walked: the same counts in the end."""
    words = ("--variant", "unlocked", "--strategy", strategy, "--seed", "3")

    def walked(*more: str) -> dict[str, Any]:
        done = launch("explore", SALES, *words, *more, "--out", str(tmp_path), "--json")
        document: dict[str, Any] = done.document["variants"]["unlocked"]
        return document

    whole = walked("--schedules", "15")
    part = walked("--schedules", "4")
    for more in ("1", "10"):
        part = walked("--schedules", more, "--resume", part["run_dir"])
    for key in ("schedules", "steps", "outcomes", "proof"):
        assert part[key] == whole[key], key
    counts = [{k: f["schedules"] for k, f in d["findings"].items()} for d in (part, whole)]
    assert counts[0] == counts[1]


OTHERS = {
    "variant": (["--variant", "locked"], "--variant: this walk was begun with unlocked"),
    "seed": (["--seed", "8"], "--seed: this walk was begun with 1"),
    "strategy": (["--strategy", "pct"], "--strategy: this walk was begun with random"),
    "settings": (["--set", "processes.ten.lines=[sell POUND 9]"], "of other settings"),
    "bound": (["--preemptions", "1"], "--preemptions: this walk was begun without it"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_walk_of_something_else_does_not_go_on(name: str, tmp_path: Path) -> None:
    """Status 2 and what is different."""
    words = ("--variant", "unlocked", "--strategy", "random", "--schedules", "3")
    begun = launch("explore", SALES, *words, "--out", str(tmp_path), "--json").document
    place = begun["variants"]["unlocked"]["run_dir"]
    more, complaint = OTHERS[name]
    done = launch("explore", SALES, *more, "--resume", place, "--out", str(tmp_path))
    assert done.status == 2
    assert complaint in done.err


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-40],
        lambda text: text.replace('"number": ', '"number": 1'),
        lambda _: "[]",
    ],
    ids=["cut", "changed", "something else"],
)
def test_a_damaged_walk_does_not_go_on(damage: Any, tmp_path: Path) -> None:
    """Status 2: it is no stored exploration."""
    words = ("--variant", "unlocked", "--strategy", "random", "--schedules", "3")
    begun = launch("explore", SALES, *words, "--out", str(tmp_path), "--json").document
    state = Path(begun["variants"]["unlocked"]["run_dir"]) / "exploration.json"
    state.write_text(damage(state.read_text()))
    done = launch("explore", SALES, "--resume", str(state.parent), "--out", str(tmp_path))
    assert done.status == 2
    assert "is no stored exploration" in done.err


def test_a_long_schedule_is_a_token(tmp_path: Path) -> None:
    """Some 1,500 steps of two traders in one line, that is followed to the same end."""
    long = ("--set", "processes.trader.count=2", "--set", "processes.trader.operations=150")
    path = str(CONFIGS / "exchange/lost_update.yaml")
    words = ("--variant", "unlocked", "--strategy", "random", "--seed", "5", "--schedules", "2")
    done = launch("explore", path, *words, *long, "--out", str(tmp_path), "--json")
    document = done.document["variants"]["unlocked"]
    assert document["unrepeatable"] == []
    token = document["findings"]["data_race"]["token"]
    again = launch("run", path, *long, "--schedule", token, "--out", str(tmp_path), "--json")
    assert "data_race" in {finding["kind"] for finding in again.document["findings"]}
