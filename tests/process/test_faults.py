"""Faults strike where and when the scenario says, and nowhere else; the run says what struck."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.history.merge import History, load_history
from common.kernel import small_disk
from exchange import SYSTEM
from tests.conftest import PATIENCE
from tests.launching import command, launch

LOCK = {"kind": "sysv_sem", "undo": True}


def scenario(**changes: Any) -> dict[str, Any]:
    """Return two traders of thirty trades under a lock; ``changes`` are of the top level."""
    return {
        "system": "exchange",
        "table": {"store": "sysv_shm", "lock": LOCK},
        "processes": [{"role": "trader", "count": 2, "operations": 30}],
        "delays": {"write": {"sleep_us": 100}},
        "deadlines": {"wait": 20},
    } | changes


def printing(**changes: Any) -> dict[str, Any]:
    """Return a producer of twenty jobs of two pages, and a printer."""
    return {
        "system": "spooler",
        "channels": {"jobs": {"kind": "sysv_queue"}},
        "processes": [
            {"role": "producer", "jobs": 20, "pages": 2, "to": "jobs"},
            {"role": "printer", "source": "jobs"},
        ],
    } | changes


def run(tmp_path: Path, content: dict[str, Any], *words: str) -> dict[str, Any]:
    """Run a scenario; returns its document."""
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    done = launch("run", str(path), "--out", str(tmp_path / "runs"), "--json", *words)
    document = done.document
    assert document["leaks"] == []
    return document


def process(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return what became of a process."""
    return next(each for each in document["processes"] if each["name"] == name)


def merged(document: dict[str, Any], name: str) -> tuple[History, slice]:
    """Return the history of a run, and which of its records are those of a process."""
    operations = {operation.code: operation for operation in SYSTEM.operations}
    found = load_history(Path(document["run_dir"]) / "history", operations)
    which = [each.name for each in found.processes].index(name)
    return found, slice(*found.bounds[which : which + 2])


def history(document: dict[str, Any], name: str) -> int:
    """Return how many trades of a process were done to their end."""
    found, its = merged(document, name)
    return int(found.done[its].sum())


@pytest.mark.parametrize("step", ["acquire", "check", "read", "write", "release"])
def test_a_kill_strikes_at_its_step_and_count(tmp_path: Path, step: str) -> None:
    """Killed before its 7th passing of a step, a trader has done six trades, and is no crash."""
    fault = {"kind": "kill", "process": "trader-0", "step": step, "at": 7}
    document = run(tmp_path, scenario(faults=[fault]))
    (struck,) = document["faults"]
    assert (struck["kind"], struck["process"], struck["step"]) == ("kill", "trader-0", step)
    assert process(document, "trader-0")["signal"] == signal.SIGKILL
    assert history(document, "trader-0") == 6
    assert process(document, "trader-1")["phase"] == "done"
    assert document["findings"] == []


def test_every_step_counts_where_none_is_named(tmp_path: Path) -> None:
    """Without a step the 12th passing of any is the second trade's `check`: five a trade."""
    content = scenario(
        processes=[{"role": "teller", "lines": ["buy EURO 1"] * 5}],
        faults=[{"kind": "kill", "process": "teller-0", "at": 12}],
    )
    document = run(tmp_path, content)
    assert document["faults"][0]["step"] == "check"
    assert history(document, "teller-0") == 2


def test_a_group_counts_process_by_process(tmp_path: Path) -> None:
    """A fault of a group strikes each of its processes at its own count."""
    fault = {"kind": "kill", "process": "trader", "step": "acquire", "at": 4}
    document = run(tmp_path, scenario(faults=[fault]))
    assert {each["process"] for each in document["faults"]} == {"trader-0", "trader-1"}
    assert history(document, "trader-0") == history(document, "trader-1") == 3


def test_most_bounds_how_often_it_strikes(tmp_path: Path) -> None:
    """A fault that is due at each step strikes no more often than `most`."""
    fault = {"kind": "slow", "process": "trader", "step": "check", "every": 1, "most": 5,
             "seconds": 0.0}  # fmt: skip
    document = run(tmp_path, scenario(faults=[fault]))
    assert len(document["faults"]) == 5
    assert all(process(document, f"trader-{n}")["summary"] for n in range(2))


def test_probability_is_drawn_from_the_seed(tmp_path: Path) -> None:
    """The same seed strikes at the same steps of each process, another one elsewhere."""
    fault = {"kind": "slow", "process": "trader", "step": "acquire", "probability": 0.3,
             "seconds": 0.0}  # fmt: skip

    def struck(seed: str) -> list[int]:
        document = run(tmp_path, scenario(faults=[fault]), "--seed", seed)
        return [
            sum(each["process"] == f"trader-{n}" for each in document["faults"]) for n in range(2)
        ]

    counts = struck("5")
    assert counts == struck("5")
    assert counts != struck("6")
    assert 0 < counts[0] < 30


def test_a_killed_holder_without_undo_is_named_to_who_waits(tmp_path: Path) -> None:
    """A System V semaphore without undo stays shut: its waiter is told who died in it, at once."""
    document = run(
        tmp_path,
        scenario(
            table={"store": "sysv_shm", "lock": {"kind": "sysv_sem", "undo": False}},
            faults=[{"kind": "kill", "process": "trader-0", "step": "write", "at": 3}],
        ),
    )
    hung = process(document, "trader-1")["hung"]
    dead = process(document, "trader-0")["pid"]
    assert f"which trader-0 (pid {dead}) held when it died" in hung
    # Not at the deadline of its wait, which is 20 s.
    assert document["wall_s"] < 20
    assert [each["kind"] for each in document["findings"]] == ["process_hung"]


def test_a_stopped_holder_is_continued_and_nobody_is_blamed(tmp_path: Path) -> None:
    """SIGSTOP while it holds the lock: others wait so long and go on; all is done, and valid."""
    fault = {"kind": "stop", "process": "trader-0", "step": "write", "at": 5, "seconds": 0.3}
    document = run(tmp_path, scenario(faults=[fault]))
    assert document["findings"] == []
    assert history(document, "trader-0") + history(document, "trader-1") == 60
    # What is waited for is the fault's own time: no clock of the test's is compared.
    assert document["measures"]["longest_wait"]["wait_s"] >= 0.25


def test_a_slow_one_takes_its_time_at_that_step(tmp_path: Path) -> None:
    """It stands so long inside its trade, before the write, and goes on as if nothing were."""
    fault = {"kind": "slow", "process": "trader-0", "step": "write", "at": 5, "seconds": 0.3}
    document = run(tmp_path, scenario(faults=[fault]))
    assert (document["findings"], len(document["faults"])) == ([], 1)
    assert history(document, "trader-0") == history(document, "trader-1") == 30
    found, its = merged(document, "trader-0")
    # What it took is the fault's own time: no clock of the test's is compared.
    assert (found.column("left") - found.column("entered"))[its].max() >= 0.25e9


def test_a_storm_of_signals_interrupts_and_loses_nothing(tmp_path: Path) -> None:
    """A thousand SIGUSR1 at a step: fewer are seen, none is fatal, every trade is done."""
    fault = {"kind": "signals", "process": "trader-0", "step": "check", "every": 5, "number": 200}
    document = run(tmp_path, scenario(faults=[fault]))
    assert document["findings"] == []
    assert sum(each["sent"] for each in document["faults"]) == 6 * 200
    assert 1 <= process(document, "trader-0")["summary"]["signals"] <= 6 * 200


def test_an_asked_for_end_is_orderly(tmp_path: Path) -> None:
    """SIGTERM at a step is no kill: the trade is finished, the summary told, status 0."""
    content = scenario(
        processes=[{"role": "trader", "count": 2, "operations": 0}],
        deadlines={"run": 0},
        faults=[{"kind": "kill", "process": "trader", "step": "write", "at": 3, "signal": "TERM"}],
    )
    document = run(tmp_path, content)
    for each in document["processes"]:
        assert (each["exit"], each["phase"]) == (0, "done")
        assert each["summary"]["done"] >= 1
    assert document["findings"] == []


@pytest.mark.parametrize(("what", "kind"), [("table", "sysv_shm"), ("lock", "sysv_sem")])
def test_a_removed_object_is_missed(tmp_path: Path, what: str, kind: str) -> None:
    """What a fault removes is gone for the run as if a stranger had done it: it says which."""
    fault = {"kind": "remove", "what": what, "process": "trader-0", "step": "check", "at": 5}
    document = run(tmp_path, scenario(faults=[fault]))
    (removed,) = document["faults"][0]["removed"]
    assert removed.startswith(kind)
    assert "object_vanished" in {each["kind"] for each in document["findings"]}


def test_a_truncated_table_kills_its_readers_by_name(tmp_path: Path) -> None:
    """A mapped file cut to nothing is a SIGBUS to who touches it: the cause is told."""
    content = scenario(
        table={"store": "mmap_file", "lock": LOCK},
        faults=[{"kind": "truncate", "process": "trader-0", "step": "read", "at": 5}],
    )
    document = run(tmp_path, content)
    assert process(document, "trader-0")["signal"] == signal.SIGBUS
    assert document["faults"][0]["bytes_before"] >= 96
    assert "object_vanished" in {each["kind"] for each in document["findings"]}


def test_a_device_error_is_the_calls_own(tmp_path: Path) -> None:
    """The printer's write fails with the declared error; the job in its hands is lost by name."""
    fault = {"kind": "device", "process": "printer-0", "step": "print", "at": 6, "error": "EIO"}
    document = run(tmp_path, printing(faults=[fault]))
    assert "Input/output error" in process(document, "printer-0")["error"]["message"]
    lost = next(each for each in document["findings"] if each["kind"] == "job_lost")
    assert lost["first"]["sentence"].startswith("producer-0 offered job 3 ")


def test_a_channel_is_filled_until_it_is_full(tmp_path: Path) -> None:
    """With its only receiver stopped, a queue takes what it has room for, and no more."""
    content = printing(
        faults=[
            {"kind": "stop", "process": "printer-0", "step": "receive", "at": 1, "seconds": 0.5},
            {"kind": "fill", "channel": "jobs", "process": "producer-0", "step": "send", "at": 2},
        ],
    )
    document = run(tmp_path, content)
    filled = next(each for each in document["faults"] if each["kind"] == "fill")
    room = int(Path("/proc/sys/kernel/msgmnb").read_text()) // 64
    assert room - 20 <= filled["messages"] <= room
    assert "job_corrupted" in {each["kind"] for each in document["findings"]}
    assert "job_lost" not in {each["kind"] for each in document["findings"]}


@pytest.mark.skipif(not small_disk.allowed(), reason="mounting needs CAP_SYS_ADMIN")
def test_a_full_disk_is_full_for_the_printers_only(tmp_path: Path) -> None:
    """Papers on a small disk that is filled: printing fails, what was printed is kept, no mount."""
    fault = {"kind": "disk_full", "room": 16384, "process": "printer-0", "step": "print", "at": 11}
    document = run(tmp_path, printing(faults=[fault], processes=[
        {"role": "producer", "jobs": 200, "pages": 2, "to": "jobs"},
        {"role": "printer", "source": "jobs"},
    ]))  # fmt: skip
    assert "No space left on device" in process(document, "printer-0")["error"]["message"]
    paper = (Path(document["run_dir"]) / "paper-printer-0.txt").read_text()
    assert paper.count("page 1/2") >= 5
    assert "lab" not in Path("/proc/self/mounts").read_text().split()


@pytest.mark.skipif(not small_disk.allowed(), reason="mounting needs CAP_SYS_ADMIN")
def test_a_full_disk_has_room_again(tmp_path: Path) -> None:
    """With `seconds` the disk is full for a while: a spool that waits would go on after it."""
    fault = {"kind": "disk_full", "room": 16384, "process": "producer-0", "step": "send", "at": 1,
             "seconds": 0.05}  # fmt: skip
    slow = {"kind": "slow", "process": "printer-0", "step": "receive", "at": 1, "seconds": 0.5}
    document = run(tmp_path, printing(faults=[slow, fault]))
    assert {each["kind"] for each in document["faults"]} == {"slow", "disk_full"}
    assert document["findings"] == []


def test_a_fault_by_time_strikes_one_of_the_group(tmp_path: Path) -> None:
    """After so many seconds, and again, a process of the group is drawn; the dead are not."""
    content = scenario(
        processes=[{"role": "trader", "count": 3, "operations": 0}],
        deadlines={"run": 0},
        faults=[{"kind": "kill", "process": "trader", "after": 0.02, "period": 0.02, "most": 3}],
    )
    document = run(tmp_path, content)
    assert len({each["process"] for each in document["faults"]}) == 3
    assert all(each["signal"] == signal.SIGKILL for each in document["processes"])


def test_who_was_killed_a_moment_ago_is_not_drawn_again(tmp_path: Path) -> None:
    """Three blows at once, before any end was seen: three different processes."""
    content = scenario(
        processes=[{"role": "trader", "count": 3, "operations": 0}],
        deadlines={"run": 0},
        faults=[{"kind": "kill", "process": "trader", "after": 0.02} for _ in range(3)],
    )
    document = run(tmp_path, content)
    assert len({each["process"] for each in document["faults"]}) == 3


def test_a_step_may_be_a_wait(tmp_path: Path) -> None:
    """The step `wait` is passed when a process is about to block: killed there, it held nothing."""
    content = scenario(
        # Longer than the tick after which a wait is one that others can see.
        delays={"write": {"sleep_us": 250_000}},
        processes=[{"role": "trader", "count": 2, "operations": 4}],
        table={"store": "sysv_shm", "lock": {"kind": "sysv_sem", "undo": False}},
        faults=[{"kind": "kill", "process": "trader", "step": "wait", "at": 1, "most": 1}],
    )
    document = run(tmp_path, content)
    assert document["faults"][0]["step"] == "wait"
    assert sorted(each["phase"] for each in document["processes"]) == ["done", "run"]
    assert document["findings"] == []


@pytest.mark.parametrize("name", ["PIPE", "INT"])
def test_a_signal_that_is_survived_costs_nothing(tmp_path: Path, name: str) -> None:
    """SIGPIPE and SIGINT are ignored by a process of the lab: it goes on at its step."""
    fault = {"kind": "kill", "process": "trader-0", "step": "write", "at": 3, "signal": name}
    document = run(tmp_path, scenario(faults=[fault]))
    assert document["findings"] == []
    assert history(document, "trader-0") == history(document, "trader-1") == 30


def test_what_is_no_order_is_taken_and_left(tmp_path: Path) -> None:
    """A broker that finds zeros in its channel does no trade for them, and goes on."""
    content = scenario(
        channels={"orders": {"kind": "sysv_queue"}, "fills": {"kind": "fifo", "per": "client"}},
        processes=[
            {"role": "client", "count_orders": 10, "orders": "orders", "fills": "fills"},
            {"role": "broker", "orders": "orders", "fills": "fills", "balance": 100_000},
        ],
        faults=[{"kind": "fill", "channel": "orders", "messages": 3, "process": "client-0",
                 "step": "send", "at": 5}],
    )  # fmt: skip
    document = run(tmp_path, content)
    assert [each["kind"] for each in document["findings"]] == ["job_corrupted"]
    assert process(document, "client-0")["phase"] == "done"
    assert history(document, "broker-0") == 13 + 10


def test_a_spool_of_its_own_path_is_on_no_small_disk(tmp_path: Path) -> None:
    """What shall outlive the run cannot lie on a disk that ends with it: refused, at its place."""
    path = tmp_path / "scenario.yaml"
    path.write_text(
        "system: spooler\nspool: {path: spool}\nchannels: {jobs: {kind: unix_seqpacket}}\n"
        "processes:\n  - {role: submitter, to: jobs}\n  - {role: spooler, source: jobs}\n"
        "  - {role: spool_printer}\nfaults:\n  - {kind: disk_full, after: 0.1}\n"
    )
    done = launch("run", str(path), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert f"{path}:9:5: faults.0: the spool has a path of its own" in done.err


def test_an_interrupted_run_holds_nobody(tmp_path: Path) -> None:
    """SIGTERM while a process stands until a sign that will never come: it goes on and finishes."""
    content = scenario(
        processes=[{"role": "trader", "count": 2, "operations": 0}],
        deadlines={"run": 0, "finish": 50},
        faults=[
            {"kind": "pause", "process": "trader", "step": "check", "at": 2, "until": "never"},
            {"kind": "sign", "process": "trader-1", "step": "check", "at": 9, "gives": "never"},
        ],
    )
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    words = ("run", str(path), "--out", str(tmp_path / "runs"), "--json", "--log", "events")
    launcher = subprocess.Popen(
        command(*words), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert launcher.stderr is not None
    try:
        # One of them stands; it has the lock that the other waits for.
        assert any("pause" in line for line in launcher.stderr)
        launcher.send_signal(signal.SIGTERM)
        out, _ = launcher.communicate(timeout=PATIENCE)
    finally:
        launcher.kill()
        launcher.wait()
    document = json.loads(out)
    assert launcher.returncode == 143
    assert [each["kind"] for each in document["findings"]] == []
    assert {each["phase"] for each in document["processes"]} == {"done"}
