"""A signal to the launcher ends a run in order, with a verdict, and nothing stays behind."""

from __future__ import annotations

import itertools
import json
import os
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from common.kernel import ledger
from tests.launching import ROOT, SECONDS, command, launch, still_there
from tests.opened import Exchange, ended


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGQUIT, 131)]
)
def test_an_interruption_ends_with_a_verdict(
    exchange: Exchange, number: signal.Signals, status: int
) -> None:
    """All three let the tellers finish: a judged run, status 128 + signal, no leaks, no core."""
    exchange.launcher.send_signal(number)
    code, document = exchange.finished()
    assert code == status
    assert document["interrupted"] == number
    assert [process["exit"] for process in document["processes"]] == [0, 0, 0]
    assert not document["findings"]
    assert document["leaks"] == []
    assert still_there(document["objects"]) == []


def interrupted(event: str, out: Path, *words: str) -> dict[str, Any]:
    """Return the document of a run that was interrupted as soon as its log told of ``event``."""
    launcher = subprocess.Popen(
        command("run", *words, "--out", str(out), "--json", "--log", "events"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert launcher.stderr is not None
    for line in launcher.stderr:
        if event in line:
            break
    launcher.send_signal(signal.SIGINT)
    said, err = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 130, err
    document: dict[str, Any] = json.loads(said)
    return document


def test_an_interruption_while_clients_wait_for_brokers(tmp_path: Path) -> None:
    """Groups that send to each other are told to finish too: nobody waits for the other."""
    document = interrupted(
        "gate_open", tmp_path, str(ROOT / "configs/exchange/order_desk.yaml"),
        "--variant", "locked", "--set", "processes.client.count_orders=1000000",
    )  # fmt: skip
    assert [process["exit"] for process in document["processes"]] == [0] * 7
    assert document["findings"] == []
    assert still_there(document["objects"]) == []


TO_COME = """
system: spooler
channels:
  jobs: {kind: KIND}
processes:
  - {role: producer, count: 2, jobs: 100000, body: 2000, to: jobs}
  - {role: printer, source: jobs, restart: {limit: 2, back_off: 60, longest: 60}}
faults: [{kind: kill, process: printer-0, step: receive, at: 10}]
deadlines: {wait: 50, run: 90}
"""


@pytest.mark.parametrize("kind", ["fifo", "ring", "posix_queue", "unix_stream", "unix_dgram"])
def test_an_interruption_while_a_receiver_is_to_come(kind: str, tmp_path: Path) -> None:
    """It comes at once, and takes what is on its way: nobody is blamed, and nobody waits long."""
    path = tmp_path / "to_come.yaml"
    path.write_text(TO_COME.replace("KIND", kind))
    document = interrupted("process_ended", tmp_path, str(path))
    # What the killed one had in its hands, or had not marked as taken, is lost or comes twice.
    assert {each["kind"] for each in document["findings"]} <= {"job_lost", "job_duplicated"}
    ends = {each["name"]: each["exit"] for each in document["processes"]}
    assert ends == {"producer-0": 0, "producer-1": 0, "printer-0": None, "printer-0.1": 0}
    assert document["leaks"] == []


def test_a_second_interruption_kills(tmp_path: Path) -> None:
    """The second Ctrl-C does not wait for anybody, and still cleans up."""
    exchange = Exchange(tmp_path, "--set", "delays.write.sleep_us=10000000")
    exchange.launcher.send_signal(signal.SIGINT)
    assert exchange.launcher.stderr is not None
    for line in exchange.launcher.stderr:
        if "interrupted" in line:
            break
    exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == 130
    assert {process["signal"] for process in document["processes"]} <= {None, signal.SIGKILL}
    assert still_there(document["objects"]) == []


def test_a_teller_killed_before_the_interruption_is_named(exchange: Exchange) -> None:
    """A crash is not forgotten because Ctrl-C came after it: process_crashed, not valid."""
    victim = exchange.listed()["processes"][1]
    assert victim["name"] == "trader-0"
    os.kill(victim["pid"], signal.SIGKILL)
    assert ended(victim["pid"], SECONDS)
    exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == 130
    assert "process_crashed" in {finding["kind"] for finding in document["findings"]}
    assert document["verdict"] != "valid"


def test_a_launcher_that_was_stopped_blames_nobody(tmp_path: Path) -> None:
    """SIGSTOP of the launcher past the run's deadline: what was done in time was done in time."""
    launcher = subprocess.Popen(
        command(
            "run", str(ROOT / "configs/exchange/lost_update.yaml"), "--variant", "locked",
            "--set", "deadlines.run=5", "--out", str(tmp_path), "--json", "--log", "events",
        ),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert launcher.stderr is not None
    pids = []
    for line in launcher.stderr:
        if "process_started" in line:
            pids.append(int(line.split("pid=")[1].split()[0]))
        if "gate_open" in line:
            break
    launcher.send_signal(signal.SIGSTOP)
    assert all(ended(pid, SECONDS) for pid in pids)
    # The deadline passes while the launcher stands still.
    select.select([], [], [], 6)
    launcher.send_signal(signal.SIGCONT)
    out, err = launcher.communicate(timeout=SECONDS)
    assert (launcher.returncode, json.loads(out)["verdict"]) == (0, "valid"), err


def strike(monkeypatch: pytest.MonkeyPatch, point: int, number: signal.Signals) -> None:
    """Have a launcher that is forked from here send itself a signal at a write of its ledger."""
    write, writes = ledger.Ledger._write, itertools.count(1)

    def struck(self: ledger.Ledger, **event: object) -> None:
        if next(writes) == point:
            os.kill(os.getpid(), number)
        write(self, **event)

    monkeypatch.setattr(ledger.Ledger, "_write", struck)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_at_any_point_leaves_nothing(
    number: signal.Signals, tmp_path: Path, runtime_directory: Path
) -> None:
    """A signal at each write of the ledger, from the first to the last: the run cleans up.

    The points are found by counting until a run passes without reaching one.
    """
    script = str(ROOT / "configs/exchange/script.yaml")
    for point in itertools.count(1):
        with pytest.MonkeyPatch.context() as patch:
            strike(patch, point, number)
            done = launch("run", script, "--out", str(tmp_path), "--json")
        assert list(runtime_directory.iterdir()) == []
        if done.status == 0:
            break
        assert done.status == 128 + number, done.err
        assert still_there(done.document["objects"]) == []
    assert point > 8
