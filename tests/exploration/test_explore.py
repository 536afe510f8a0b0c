"""`run.py explore`: real processes, every order of their steps, and tokens that bring one back."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from common.history import record
from common.history.merge import load_history
from common.history.operations import Operation
from common.system import operations_of
from run import SYSTEMS
from tests.launching import ROOT, SECONDS, Finished, command, launch

CONFIGS = ROOT / "configs"
BUYS = str(CONFIGS / "exchange/two_traders.yaml")
SALES = str(CONFIGS / "exchange/two_sales.yaml")
OPERATIONS: dict[int, Operation] = operations_of(list(SYSTEMS.values()))

ROW = """
system: exchange
seed: 3
table: {{store: sysv_shm, lock: {lock}}}
processes:
{processes}
"""
SMALL = {
    "buy, sale and audit": """
  - {role: trader, operations: 1, sell_share: 0, currencies: [EURO]}
  - {role: teller, lines: [sell EURO 7]}
  - {role: auditor, snapshots: 1, currency: EURO}""",
    "rates and audit": """
  - {role: rate_setter, changes: 2, currency: EURO}
  - {role: auditor, snapshots: 2, currency: EURO}""",
    "two trades each": """
  - {role: trader, count: 2, operations: 2, sell_share: 0, currencies: [DOLLAR]}""",
}


def explored(out: Path, *words: str) -> dict[str, Any]:
    """Explore and return the document of each variant."""
    done = launch("explore", *words, "--out", str(out), "--json")
    assert done.status == 0, done.out + done.err
    variants: dict[str, Any] = done.document["variants"]
    return variants


def outcomes(document: dict[str, Any]) -> set[str]:
    """Return what the schedules led to, without how often."""
    return {json.dumps([one["changed"], one["findings"]]) for one in document["outcomes"]}


def test_two_buys_have_six_orders_and_four_lose(tmp_path: Path) -> None:
    """Worked out by hand: read, write and read, write; with the lock none loses anything."""
    variants = explored(tmp_path, BUYS)
    unlocked, locked = variants["unlocked"], variants["locked"]
    assert (unlocked["schedules"], unlocked["complete"], unlocked["reduced"]) == (6, True, False)
    assert unlocked["findings"]["lost_update"]["schedules"] == 4
    assert locked["complete"]
    assert locked["findings"] == {}


def test_two_sales_have_twenty_orders_and_twelve_lose(tmp_path: Path) -> None:
    """Check, read, write twice, from a stock of 100; from 10 some orders also go negative."""
    variants = explored(tmp_path, SALES)
    assert variants["unlocked"]["schedules"] == 20
    assert variants["unlocked"]["findings"]["lost_update"]["schedules"] == 12
    assert "negative_stock" not in variants["unlocked"]["findings"]
    assert variants["scarce"]["findings"]["negative_stock"]["schedules"] == 6
    assert variants["locked"]["complete"]
    assert variants["locked"]["findings"] == {}


@pytest.mark.parametrize("lock", ["none", "sysv_sem"])
@pytest.mark.parametrize("name", SMALL)
def test_reduction_finds_what_the_full_walk_finds(name: str, lock: str, tmp_path: Path) -> None:
    """On real processes as on models: exactly the same outcomes, in no more schedules."""
    path = tmp_path / "small.yaml"
    path.write_text(ROW.format(lock=lock, processes=SMALL[name]))
    every, fewer = (
        launch("explore", str(path), how, "--out", str(tmp_path / "runs"), "--json")
        .document["variants"]["default"] for how in ("--all", "--reduce")
    )  # fmt: skip
    assert every["complete"]
    assert fewer["complete"]
    assert outcomes(fewer) == outcomes(every)
    assert fewer["schedules"] <= every["schedules"]
    assert set(fewer["findings"]) == set(every["findings"])


def test_a_ring_without_its_mutex_is_seen_through(tmp_path: Path) -> None:
    """Two producers and a consumer: some orders lose a job, and with the mutex none does."""
    words = [
        str(CONFIGS / "spooler/bounded_buffer.yaml"), "--set", "processes.producer.jobs=1",
        "--set", "processes.producer.count=2", "--set", "processes.consumer.count=1",
        "--set", "processes.printer.count=1",
    ]  # fmt: skip
    variants = explored(tmp_path, *words)
    assert variants["no_mutex"]["complete"]
    assert "job_lost" in variants["no_mutex"]["findings"]
    assert variants["mutex"]["complete"]
    assert variants["mutex"]["findings"] == {}


def token_of(out: Path, kind: str = "lost_update") -> str:
    """Return the token of a kind of harm to two buys."""
    variants = explored(out, BUYS, "--variant", "unlocked")
    token: str = variants["unlocked"]["findings"][kind]["token"]
    return token


def history(run_dir: str) -> list[Any]:
    """Return a run's records: all values, and the times only as an order."""
    found = load_history(Path(run_dir) / "history", OPERATIONS)
    values = [
        found.column(name).tolist() for name in ("code", "item", "v0", "v1", "v2", "v3", "v4")
    ]
    stamps = np.concatenate([found.column(name) for name in ("entered", "left")])
    return [*values, np.argsort(stamps, kind="stable").tolist()]


def test_a_token_brings_back_the_same_history(tmp_path: Path) -> None:
    """Followed 50 times, a token gives one history, and the finding that it was printed for."""
    token = token_of(tmp_path)
    done = launch(
        "run", BUYS, "--schedule", token, "--repeat", "50", "--out", str(tmp_path), "--json"
    )
    assert done.status == 0, done.err
    runs = done.document["runs"]
    assert len(runs) == 50
    first = history(runs[0]["run_dir"])
    for run in runs:
        assert "lost_update" in {finding["kind"] for finding in run["findings"]}
        assert history(run["run_dir"]) == first


def test_the_shortest_schedule_is_kept(tmp_path: Path) -> None:
    """Of three trades each one is enough: the others are stopped before they begin."""
    variants = explored(
        tmp_path, BUYS, "--variant", "unlocked", "--set", "processes.trader.operations=3",
        "--strategy", "random", "--schedules", "60",
    )  # fmt: skip
    found = variants["unlocked"]["findings"]["lost_update"]
    assert found["operations"] == 2
    assert found["switches"] == 2
    assert variants["unlocked"]["unrepeatable"] == []


REFUSALS = {
    "more to do": (["--set", "processes.trader.operations=2"], "over after"),
    "another step": (["--set", "table.lock=sysv_sem"], "would block on the table's lock"),
    "fewer processes": (["--set", "processes.trader.count=1"], "there is no process 'trader-1'"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_schedule_that_does_not_fit_is_refused(name: str, tmp_path: Path) -> None:
    """Status 2, the first step that differs, and nothing left behind."""
    settings, reason = REFUSALS[name]
    done = launch("run", BUYS, "--schedule", token_of(tmp_path), *settings, "--out", str(tmp_path))
    assert done.status == 2
    assert reason in done.err
    assert launch("ps", "--json").document["runs"] == [] or name


def test_who_would_block_may_not_be_scheduled(tmp_path: Path) -> None:
    """A schedule that sends a process into a taken lock is refused, with who has it."""
    order = tmp_path / "order.yaml"
    order.write_text("- trader-0: acquire\n- trader-1: acquire\n")
    done = launch(
        "run", BUYS, "--variant", "locked", "--schedule", str(order), "--out", str(tmp_path)
    )
    assert done.status == 2
    assert "step 2, trader-1:acquire" in done.err
    assert "which trader-0 has" in done.err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- trader-9: read\n", ":1:3: schedule.0.trader-9: there is no process 'trader-9'"),
        ("- trader-0: wirte\n", "has no step 'wirte' (did you mean 'write'?)"),
        ("trader-0: read\n", "a list is wanted"),
    ],
)
def test_a_file_that_is_no_schedule_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    """At line and column of the file, as for a scenario."""
    order = tmp_path / "order.yaml"
    order.write_text(text)
    done = launch("run", BUYS, "--schedule", str(order), "--out", str(tmp_path))
    assert done.status == 2
    assert complaint in done.err


@pytest.mark.parametrize("token", ["v1:", "v1:unlocked/", "v1:unlocked:1/x", "z1:abc", "nonsense"])
def test_what_is_no_token_is_refused(token: str, tmp_path: Path) -> None:
    """One sentence, status 2."""
    done = launch("run", BUYS, "--schedule", token, "--out", str(tmp_path))
    assert done.status == 2
    assert "is not a schedule" in done.err


def test_a_budget_ends_a_walk_and_resume_goes_on(tmp_path: Path) -> None:
    """Five of twenty, and the other fifteen later: together what one walk finds."""
    words = ("--variant", "unlocked", "--out", str(tmp_path), "--json")
    begun = launch("explore", SALES, *words, "--schedules", "5")
    part = begun.document["variants"]["unlocked"]
    assert (part["schedules"], part["complete"]) == (5, False)
    assert "unknown number" in part["proof"]
    rest = launch("explore", SALES, *words, "--resume", part["run_dir"])
    whole = rest.document["variants"]["unlocked"]
    assert (whole["schedules"], whole["complete"]) == (20, True)
    assert whole["findings"]["lost_update"]["schedules"] == 12


def test_no_finding_within_a_budget_is_undecided(tmp_path: Path) -> None:
    """A locked scenario whose walk was cut short proves nothing: status 3."""
    done = launch(
        "explore", BUYS, "--variant", "locked", "--set", "processes.trader.operations=3",
        "--strategy", "random", "--schedules", "3", "--out", str(tmp_path), "--json",
    )  # fmt: skip
    assert done.status == 3
    assert done.document["variants"]["locked"]["findings"] == {}


def test_an_interrupted_walk_says_what_it_has(tmp_path: Path) -> None:
    """SIGINT during a long walk: what was found is printed, nothing is left, status 130."""
    walk = subprocess.Popen(
        command(
            "explore", BUYS, "--variant", "unlocked", "--strategy", "random", "--schedules",
            "100000000", "--seconds", str(SECONDS), "--out", str(tmp_path), "--json",
        ),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    records = tmp_path / "exchange/two_traders/latest-explore/history/trader-0.rec"
    # Once an operation has its end, the processes are being led.
    while not _ended(records) and walk.poll() is None:
        pass
    walk.send_signal(signal.SIGINT)
    out, err = walk.communicate(timeout=SECONDS)
    done = Finished(walk.returncode, out, err)
    assert done.status == 130, err
    document = done.document["variants"]["unlocked"]
    assert document["interrupted"] == signal.SIGINT
    assert document["leaks"] == []


def _ended(path: Path) -> bool:
    """Whether the first record of a history file has an end."""
    if not path.is_file():
        return False
    end = record.HEADER_SIZE + record.LEFT * 8
    return any(path.read_bytes()[end : end + 8])


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--strategy", "pct", "--all"), "means nothing to --strategy pct"),
        (("--strategy", "random", "--preemptions", "1"), "means nothing to --strategy random"),
        (("--depth", "2"), "means nothing to --strategy exhaustive"),
        (("--preemptions", "1", "--reduce"), "is walked without reduction"),
    ],
)
def test_options_without_effect_are_refused(
    words: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    """Status 2, before anything is started."""
    done = launch("explore", BUYS, *words, "--out", str(tmp_path))
    assert done.status == 2
    assert reason in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["dropped", "wrong_row", "double_release"])
def test_the_shortest_loss_of_a_mutant_has_two_switches(name: str, tmp_path: Path) -> None:
    """A lock that only its owner takes is no reason to switch: one trade inside the other."""
    path = str(CONFIGS / f"mutants/{name}.yaml")
    found = explored(tmp_path, path, "--variant", "broken")["broken"]["findings"]
    assert found["lost_update"]["switches"] == 2


def test_a_schedule_may_be_pasted_with_its_key(tmp_path: Path) -> None:
    """A file that holds `schedule:` and the list is the list."""
    order = tmp_path / "order.yaml"
    order.write_text("schedule:\n  - trader-1: [read, write]\n")
    done = launch("run", BUYS, "--schedule", str(order), "--out", str(tmp_path), "--json")
    assert done.document["processes"][1]["summary"]["done"] == 1
