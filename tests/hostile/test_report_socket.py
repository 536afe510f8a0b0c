"""A hostile process of the same user at the report socket cannot disturb the run."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import pytest

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
