"""A teller at the keyboard joins a run that is going on."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess

from tests.launching import SECONDS, command
from tests.opened import Exchange, join


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
