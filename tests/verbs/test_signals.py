"""Interruption, murder of the launcher, ``ps``, ``clean`` and ``trade``: nothing stays behind."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.launching import ROOT, SECONDS, command, launch, still_there

OPEN = str(ROOT / "configs/exchange/open_for_business.yaml")
QUICK = ("--set", "delays.acquire.sleep_us=2000", "--set", "delays.acquire.jitter_us=2000")


class Exchange:
    """An open exchange in a launcher of its own, known to be trading."""

    def __init__(self, out: Path, *words: str) -> None:
        self.out = out
        self.launcher = subprocess.Popen(
            command("run", OPEN, *QUICK, "--out", str(out), "--json", "--log", "events", *words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.launcher.stderr is not None
        for line in self.launcher.stderr:
            if "gate_open" in line:
                break

    def listed(self) -> dict[str, Any]:
        """Return what ``ps`` says of this run."""
        runs = launch("ps", "--json").document["runs"]
        (run,) = [run for run in runs if run["pid"] == self.launcher.pid]
        found: dict[str, Any] = run
        return found

    def finished(self) -> tuple[int, dict[str, Any]]:
        """Wait for the end; returns status and document."""
        out, err = self.launcher.communicate(timeout=SECONDS)
        assert "Traceback" not in err, err
        return self.launcher.returncode, json.loads(out) if out else {}


@pytest.fixture
def exchange(tmp_path: Path) -> Iterator[Exchange]:
    """Yield an open exchange; whatever a test leaves of it is killed and cleaned."""
    opened = Exchange(tmp_path)
    yield opened
    if opened.launcher.poll() is None:
        opened.launcher.kill()
    opened.launcher.communicate()
    launch("clean")


def ended(pid: int, seconds: float) -> bool:
    """Return whether a process of somebody else ends within ``seconds``."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    done = bool(poll.poll(seconds * 1000))
    os.close(descriptor)
    return done


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_ends_with_a_verdict(
    exchange: Exchange, number: signal.Signals, status: int
) -> None:
    """Ctrl-C and SIGTERM let the tellers finish: a judged run, status 128 + signal, no leaks."""
    exchange.launcher.send_signal(number)
    code, document = exchange.finished()
    assert code == status
    assert document["interrupted"] == number
    assert [process["exit"] for process in document["processes"]] == [0, 0, 0]
    assert not document["findings"]
    assert document["leaks"] == []
    assert still_there(document["objects"]) == []


def test_an_interruption_while_clients_wait_for_brokers(tmp_path: Path) -> None:
    """Groups that send to each other are told to finish too: nobody waits for the other."""
    launcher = subprocess.Popen(
        command(
            "run", str(ROOT / "configs/exchange/order_desk.yaml"), "--variant", "locked",
            "--set", "processes.client.count_orders=1000000", "--out", str(tmp_path), "--json",
            "--log", "events",
        ),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert launcher.stderr is not None
    for line in launcher.stderr:
        if "gate_open" in line:
            break
    launcher.send_signal(signal.SIGINT)
    out, err = launcher.communicate(timeout=SECONDS)
    assert launcher.returncode == 130, err
    document = json.loads(out)
    assert [process["exit"] for process in document["processes"]] == [0] * 7
    assert document["findings"] == []
    assert still_there(document["objects"]) == []


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


def test_ps_lists_a_live_run_with_commands_that_work(exchange: Exchange) -> None:
    """``ps`` names the run, its processes and its objects; each shown command finds its object."""
    run = exchange.listed()
    assert run["alive"]
    assert run["scenario"] == "exchange/open_for_business"
    assert len(run["processes"]) == 3
    assert {entry["kind"] for entry in run["objects"]} == {"sysv_shm", "sysv_sem", "socket"}
    for entry in run["objects"]:
        shown = subprocess.run(entry["command"].split(), capture_output=True, check=False)
        assert shown.returncode == 0, entry
    for process in run["processes"]:
        title = Path(f"/proc/{process['pid']}/cmdline").read_bytes()
        assert title.startswith(process["name"].encode())


def test_clean_leaves_a_live_run_alone(exchange: Exchange) -> None:
    """``clean`` beside a live run removes nothing of it: it still ends valid."""
    before = exchange.listed()["objects"]
    launch("clean")
    assert exchange.listed()["objects"] == before
    exchange.launcher.send_signal(signal.SIGINT)
    assert exchange.finished()[0] == 130


def test_children_die_with_a_murdered_launcher_and_clean_removes_the_rest(
    exchange: Exchange,
) -> None:
    """After kill -9 the children are gone within 2 s; ``clean`` removes every object."""
    run = exchange.listed()
    exchange.launcher.kill()
    exchange.launcher.wait()
    assert all(ended(process["pid"], 2) for process in run["processes"])
    dead = exchange.listed()
    assert not dead["alive"]
    assert len(dead["objects"]) == len(run["objects"])
    cleaned = launch("clean", "--json")
    assert cleaned.status == 0
    assert still_there(run["objects"]) == []
    assert not Path(run["directory"]).exists()
    assert all(run["pid"] != other["pid"] for other in launch("ps", "--json").document["runs"])


MURDER = """
import os, runpy, signal, sys
from common.kernel import ledger
stop, sys.argv = int(sys.argv[1]), sys.argv[2:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
real, count = ledger.Ledger._write, 0
def write(self, **event):
    global count
    count += 1
    if count == stop:
        os.kill(os.getpid(), signal.SIGKILL)
    real(self, **event)
    if count == -stop:
        os.kill(os.getpid(), signal.SIGKILL)
ledger.Ledger._write = write
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("side", [1, -1], ids=["before the entry", "after the entry"])
def test_killed_at_every_entry_of_the_ledger(side: int, tmp_path: Path) -> None:
    """Kill -9 of the launcher at each write of the ledger, then ``clean``: nothing is left.

    The points are found by counting until a run passes without reaching one.
    """
    point = 0
    while True:
        point += 1
        launcher = subprocess.Popen(
            [
                sys.executable, "-c", MURDER, str(side * point), str(ROOT / "run.py"), "run",
                str(ROOT / "configs/receipts.yaml"), "--variant", "locked",
                "--set", "processes.trader.operations=2", "--out", str(tmp_path), "--json",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        launcher.communicate(timeout=SECONDS)
        if launcher.returncode != -signal.SIGKILL:
            break
        runs = launch("ps", "--json").document["runs"]
        own = [run for run in runs if run["pid"] == launcher.pid]
        assert all(ended(p["pid"], 10) for run in own for p in run["processes"])
        launch("clean")
        assert still_there([entry for run in own for entry in run["objects"]]) == []
        assert not any(Path(run["directory"]).exists() for run in own)
    assert launcher.returncode == 0
    assert point > 15


def test_keep_leaves_the_objects_for_ipcs_and_clean_takes_them(tmp_path: Path) -> None:
    """``--keep`` leaves the objects to look at; ``ps`` shows them, ``clean`` removes them."""
    run = launch(
        "run",
        str(ROOT / "configs/exchange/script.yaml"),
        "--keep",
        "--out",
        str(tmp_path),
        "--json",
    ).document
    assert still_there(run["objects"]) == run["objects"]
    launch("clean")
    assert still_there(run["objects"]) == []


def test_a_teller_from_the_keyboard_takes_part(exchange: Exchange) -> None:
    """``trade`` joins, trades, shows its balance and refuses nonsense; the run judges it too."""
    lines = ["buy EURO 10", "sell POUND 100", "buy EURO nan", "buy EUOR 1", "sell POUND -5"]
    done = subprocess.run(
        command("trade", str(exchange.out / "exchange/open_for_business/latest")),
        input="\n".join([*lines, "help", "table", "quit", ""]),
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "done; balance 960.56" in done.stdout
    assert "done; balance 1284.56" in done.stdout
    assert "'nan' is not an amount" in done.stdout
    assert "did you mean 'EURO'?" in done.stdout
    assert "'-5' is not an amount" in done.stdout
    assert "STERLIN" in done.stdout
    exchange.launcher.send_signal(signal.SIGINT)
    _code, document = exchange.finished()
    (guest,) = [process for process in document["processes"] if process["guest"]]
    assert round(guest["summary"]["balance"], 2) == 1284.56
    assert document["verdict"] == "valid", document["doubts"]


@pytest.mark.parametrize(
    ("at", "status"), [(0, 130), (1, 130), (2, 3)], ids=["gate", "table", "lock"]
)
def test_an_object_removed_from_outside_leaves_the_run_undecided(
    exchange: Exchange, at: int, status: int
) -> None:
    """Removing the gate, the table or its lock (ipcrm) during a run: object_vanished, no leak.

    Whoever has a segment attached keeps it, and nobody needs the gate any more: these two only
    the launcher misses, at the end. The lock's waiters are told at once.
    """
    found = [e for e in exchange.listed()["objects"] if e["kind"].startswith("sysv")]
    flag = {"sysv_shm": "-m", "sysv_sem": "-s"}[found[at]["kind"]]
    subprocess.run(["ipcrm", flag, str(found[at]["id"])], check=True)
    if status == 130:
        exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == status
    assert [finding["kind"] for finding in document["findings"]] == ["object_vanished"]
    assert document["verdict"] == "undecided"
    assert document["leaks"] == []


def join(path: str) -> socket.socket:
    """Connect as a guest and ask to take part."""
    guest = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    guest.settimeout(SECONDS)
    guest.connect(path)
    guest.send(b'{"type": "join", "role": "teller", "system": "exchange"}')
    return guest


def nonsense(path: str) -> None:
    """Say what is no report at all, and what is none that a stranger may make."""
    for message in (b"\xff\x00garbage", b'{"type": "ready", "process": "x", "event": "y"}', b"[]"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(path)
            stranger.send(message)
            assert stranger.recv(100) == b"", "the launcher closes the connection"


def silence(path: str) -> None:
    """Connect a hundred times and never say a word."""
    strangers = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(100)]
    for stranger in strangers:
        stranger.connect(path)
    for stranger in strangers:
        stranger.close()


def leave_at_once(path: str) -> None:
    """Join and close before the answer comes."""
    for _ in range(20):
        join(path).close()


def die_at_once(path: str) -> None:
    """Join from a process that is killed in the same moment."""
    program = (
        "import os, socket, sys\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1])\n"
        'sent = s.send(b\'{"type": "join"}\'); os.kill(os.getpid(), 9)'
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program, path], check=False)


def lie(path: str) -> None:
    """Join, and report what no role reports: wrong types, not a number, control characters."""
    guest = join(path)
    guest.recv(1 << 16)
    for report in (
        b'{"type": "progress", "done": true}',
        b'{"type": "progress", "done": -1}',
        b'{"type": "summary", "summary": {"balance": "x", "balances": 5, "nan": NaN}}',
        b'{"type": "summary", "summary": {"balance": [[[["deep"]]]]}}',
        b'{"type": "error", "kind": "\\u001b[31m", "message": "\\ud800 \\n \\u001b[2J"}',
        b'{"type": "ready"}' + b" " * 200_000,
    ):
        with contextlib.suppress(OSError):
            guest.send(report)
    guest.close()


@pytest.mark.parametrize("attack", [nonsense, silence, leave_at_once, die_at_once, lie])
def test_the_report_socket_withstands(exchange: Exchange, attack: Callable[[str], None]) -> None:
    """Whatever a process of the same user does to the report socket, the run goes on to its end."""
    (path,) = [e["name"] for e in exchange.listed()["objects"] if e["kind"] == "socket"]
    attack(path)
    exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == 130
    tellers = [process for process in document["processes"] if not process["guest"]]
    assert [process["exit"] for process in tellers] == [0, 0, 0]
    text = json.dumps(document["processes"])
    assert "\\u001b" not in text
    assert "NaN" not in text
    assert still_there(document["objects"]) == []


def test_one_process_is_one_guest(exchange: Exchange) -> None:
    """A process that joins twice is admitted once."""
    (path,) = [e["name"] for e in exchange.listed()["objects"] if e["kind"] == "socket"]
    first = join(path)
    assert first.recv(1 << 16)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as second:
        second.connect(path)
        # Closed before it has said a word, or after: either way it is not let in.
        with contextlib.suppress(BrokenPipeError):
            second.send(b'{"type": "join", "role": "teller", "system": "exchange"}')
        with contextlib.suppress(ConnectionResetError):
            assert second.recv(1 << 16) == b""
    first.close()
    exchange.launcher.send_signal(signal.SIGINT)
    _code, document = exchange.finished()
    assert [process["guest"] for process in document["processes"]].count(True) == 1


def test_a_teller_killed_before_the_interruption_is_named(exchange: Exchange) -> None:
    """A crash is not forgotten because Ctrl-C came after it: process_crashed, not valid."""
    victim = exchange.listed()["processes"][0]
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


def test_a_full_disk_costs_the_log_and_not_the_kernel_objects(tmp_path: Path) -> None:
    """When the log cannot be written any more the run still ends, and removes what it made."""
    program = (
        "import os, runpy, sys\n"
        "from common import log\n"
        "def full(self, line): raise OSError(28, 'No space left on device')\n"
        "real = os.write\n"
        "def write(fd, data):\n"
        "    if b'gate_open' in data or b'process_ended' in data: full(0, 0)\n"
        "    return real(fd, data)\n"
        "log.os.write = write\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [
            sys.executable, "-c", program, str(ROOT / "run.py"), "run",
            str(ROOT / "configs/exchange/script.yaml"), "--out", str(tmp_path), "--json",
        ],
        capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert still_there(json.loads(done.stdout)["objects"]) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_any_point_leaves_nothing(number: signal.Signals, tmp_path: Path) -> None:
    """A signal at each write of the ledger, from the first to the last: the run cleans up.

    The autouse fixture asserts that the runtime directory is empty; the points are found by
    counting until a run passes without reaching one.
    """
    program = MURDER.replace("signal.SIGKILL", f"signal.{number.name}")
    point = 0
    while True:
        point += 1
        launcher = subprocess.Popen(
            [
                sys.executable, "-c", program, str(point), str(ROOT / "run.py"), "run",
                str(ROOT / "configs/exchange/script.yaml"), "--out", str(tmp_path), "--json",
            ],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )  # fmt: skip
        out, err = launcher.communicate(timeout=SECONDS)
        assert "Traceback" not in err, err
        runs = launch("ps", "--json").document["runs"]
        assert all(run["pid"] != launcher.pid for run in runs)
        if launcher.returncode == 0:
            break
        assert launcher.returncode == 128 + number, err
        assert still_there(json.loads(out)["objects"]) == []
    assert point > 8
