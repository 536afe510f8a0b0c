"""A hostile process of the same user at the report socket cannot disturb the run."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Fork
from tests.launching import still_there
from tests.opened import Exchange, join


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


def flood(path: str) -> None:
    """Join, and say 1 GB of things that are written down, until the launcher has had enough."""
    guest = join(path)
    guest.recv(1 << 16)
    summary = b'{"type": "summary", "summary": {"text": "%s"}}' % (b"x" * 60_000)
    sent = 0
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        while sent < 1 << 30:
            sent += guest.send(summary, socket.MSG_NOSIGNAL)
    guest.close()
    assert sent < 1 << 27


def refused_again_and_again(path: str) -> None:
    """Come back with nonsense after every refusal."""
    for _ in range(500):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(path)
            with contextlib.suppress(OSError):
                stranger.send(b"\x1b[2Jnonsense")
                stranger.recv(100)


def join_again_and_again(path: str) -> None:
    """Be a new guest more often than anybody needs."""
    program = (
        "import os, socket, sys\n"
        "for _ in range(300):\n"
        "    if os.fork() == 0:\n"
        "        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        '        s.connect(sys.argv[1]); s.send(b\'{"type": "join"}\'); s.recv(100)\n'
        "        os._exit(0)\n"
        "    os.wait()"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True)


def count_beyond_all_numbers(path: str) -> None:
    """Report whole numbers that have no place in a double, and a summary of a thousand keys."""
    guest = join(path)
    guest.recv(1 << 16)
    number = int("1" * 4000)
    deep = {str(key): {"a": {"b": {"c": number}}} for key in range(10)}
    for report in (
        {"type": "progress", "done": number},
        {"type": "summary", "summary": {"balance": number, "done": number}},
        {"type": "summary", "summary": deep},
    ):
        guest.send(json.dumps(report).encode())
    guest.close()


def one_gigabyte_at_once(path: str) -> None:
    """Send as much as the kernel takes in one message: more than that it refuses to the sender."""
    guest = join(path)
    guest.recv(1 << 16)
    with pytest.raises(OSError, match="Message too long"):
        guest.send(bytes(1 << 30))
    guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
    size = 1 << 20
    while size:
        with contextlib.suppress(OSError):
            guest.send(b'{"type": "error", "message": "' + b"x" * size + b'"}')
            break
        size //= 2
    guest.close()


@pytest.mark.parametrize(
    "attack",
    [
        flood, refused_again_and_again, join_again_and_again, count_beyond_all_numbers,
        one_gigabyte_at_once,
    ],
)  # fmt: skip
def test_a_flood_costs_neither_the_disk_nor_the_run(
    exchange: Exchange, attack: Callable[[str], None]
) -> None:
    """The log stays small, the tellers are judged as if nothing had been."""
    (path,) = [e["name"] for e in exchange.listed()["objects"] if e["kind"] == "socket"]
    attack(path)
    exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == 130
    tellers = [process for process in document["processes"] if not process["guest"]]
    assert [process["exit"] for process in tellers] == [0, 0, 0]
    assert len(document["processes"]) < 300
    log = Path(document["run_dir"]) / "log.jsonl"
    assert log.stat().st_size < 1 << 20
    assert document["verdict"] in ("valid", "undecided")
    assert "checker" not in json.dumps(document["doubts"])
    assert still_there(document["objects"]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be another user")
def test_another_user_is_refused_even_where_he_can_reach_the_socket(
    exchange: Exchange, fork: Fork
) -> None:
    """The kernel says who he is (SO_PEERCRED); what he sends is not even read."""
    run = exchange.listed()
    (path,) = [e["name"] for e in run["objects"] if e["kind"] == "socket"]
    directory = Path(path).parent
    for place, mode in ((directory.parent, 0o711), (directory, 0o711), (Path(path), 0o777)):
        place.chmod(mode)

    def intrude() -> None:
        os.setresuid(65534, 65534, 65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
            stranger.connect(path)
            with contextlib.suppress(BrokenPipeError):
                stranger.send(b'{"type": "join", "role": "teller", "system": "exchange"}')
            with contextlib.suppress(ConnectionResetError):
                assert stranger.recv(100) == b""

    assert fork(intrude).ended() == 0
    directory.chmod(0o700)
    directory.parent.chmod(0o700)
    exchange.launcher.send_signal(signal.SIGINT)
    code, document = exchange.finished()
    assert code == 130
    assert not any(process["guest"] for process in document["processes"])
    assert '"uid": 65534' in (Path(document["run_dir"]) / "log.jsonl").read_text()
