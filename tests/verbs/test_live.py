"""``--live`` on a real pseudo-terminal: drawn while the run goes on, and gone without a trace."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.report.live.screen import BELOW, ENTER, HOME, LEAVE
from tests.launching import ROOT, SECONDS, command, launch

OPEN = str(ROOT / "configs/exchange/open_for_business.yaml")
TWO_TRADERS = str(ROOT / "configs/exchange/two_traders.yaml")
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """A launcher whose standard error is a terminal, and all that was written on it."""

    def __init__(self, *words: str, size: tuple[int, int] = (100, 30), **environment: str) -> None:
        self._master, slave = pty.openpty()
        columns, lines = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.modes = termios.tcgetattr(slave)
        inherited = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
        self.launcher = subprocess.Popen(
            command(*words), stdout=subprocess.PIPE, stderr=slave, text=True,
            env={**inherited, "TERM": "xterm", **environment},
        )  # fmt: skip
        self._slave = slave
        self._bytes = b""

    @property
    def written(self) -> str:
        """All that is on the terminal; a character may still be missing its end."""
        return self._bytes.decode(errors="ignore")

    def see(self, words: str) -> None:
        """Read until a whole frame has ``words``."""
        end = time.monotonic() + SECONDS
        while not any(words in frame for frame in self.frames):
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"never saw {words!r} in {self.written[-2000:]!r}"
            self._bytes += os.read(self._master, 1 << 16)

    def finished(self) -> tuple[int, str]:
        """Read all to the end; returns status and standard output."""
        while self.launcher.poll() is None:
            self._drain(0.05)
        self._drain(0.0)
        assert termios.tcgetattr(self._slave) == self.modes
        assert self.launcher.stdout is not None
        out = self.launcher.stdout.read()
        assert "Traceback" not in self.written, self.written
        return self.launcher.returncode, out

    @property
    def frames(self) -> list[str]:
        """Every frame that was drawn whole, as plain lines."""
        drawn = self.written.split(HOME)[1:]
        whole = [frame.partition(BELOW)[0] for frame in drawn if BELOW in frame]
        # A terminal turns each line feed into two characters.
        return [ESCAPE.sub("", frame).replace("\r", "") for frame in whole]

    def close(self) -> None:
        """End whatever is left."""
        if self.launcher.poll() is None:
            self.launcher.kill()
        self.launcher.wait()
        if self.launcher.stdout is not None:
            self.launcher.stdout.close()
        os.close(self._master)
        os.close(self._slave)
        launch("clean")

    def _drain(self, seconds: float) -> None:
        while select.select([self._master], [], [], seconds)[0]:
            self._bytes += os.read(self._master, 1 << 16)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    """Return a function that opens the unlocked exchange on a terminal of its own."""
    terminals: list[Terminal] = []

    def start(*words: str, **how: Any) -> Terminal:
        given = ("run", OPEN, "--variant", "unlocked", "--out", str(tmp_path), "--live", *words)
        terminals.append(Terminal(*given, **how))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def test_processes_stock_and_findings_are_shown_while_it_runs(opened: Any) -> None:
    """The tellers, the table and a lost update are on the terminal before the run has ended."""
    terminal = opened()
    terminal.see("lost_update: at least")
    assert terminal.launcher.poll() is None
    for word in ("trader-0", "trader-2", "a second", "DOLLAR", "stock", "who had also read"):
        assert word in " ".join(terminal.frames[-1].split()), word
    terminal.launcher.send_signal(signal.SIGINT)
    terminal.finished()


def test_an_interruption_restores_the_terminal_and_is_judged(opened: Any) -> None:
    """Ctrl-C: the first screen is back, nothing is drawn afterwards, and the verdict is printed."""
    terminal = opened("--json")
    terminal.see("trader-0")
    terminal.launcher.send_signal(signal.SIGINT)
    status, out = terminal.finished()
    assert (status, json.loads(out)["interrupted"]) == (130, signal.SIGINT)
    assert (terminal.written.count(ENTER), terminal.written.count(LEAVE)) == (1, 1)
    assert terminal.written.startswith(ENTER)
    assert HOME not in terminal.written.partition(LEAVE)[2]


def test_a_killed_teller_is_told_while_the_others_go_on(opened: Any) -> None:
    """A crash is on the terminal as soon as it happened."""
    terminal = opened()
    terminal.see("trader-1")
    (run,) = [
        r for r in launch("ps", "--json").document["runs"] if r["pid"] == terminal.launcher.pid
    ]
    (teller,) = [each["pid"] for each in run["processes"] if each["name"] == "trader-1"]
    os.kill(teller, signal.SIGKILL)
    terminal.see("process_crashed: trader-1: killed by SIGKILL")
    assert terminal.launcher.poll() is None
    terminal.launcher.send_signal(signal.SIGINT)
    terminal.finished()


def test_it_is_drawn_while_nothing_happens(opened: Any) -> None:
    """Everybody sleeps before the first trade: the table is there all the same."""
    terminal = opened("--set", "delays.acquire.sleep_us=10000000")
    terminal.see("· 0 operations")
    # The second one, of another kind so that both arrive, does not wait for anybody.
    terminal.launcher.send_signal(signal.SIGTERM)
    terminal.launcher.send_signal(signal.SIGINT)
    assert terminal.finished()[0] in (130, 143)


def test_a_small_terminal_without_colour(opened: Any) -> None:
    """NO_COLOR and the terminal's size hold: no line is wider, no frame is higher."""
    terminal = opened(size=(44, 12), NO_COLOR="1")
    terminal.see("process")
    terminal.launcher.send_signal(signal.SIGINT)
    terminal.finished()
    assert not re.search(r"\x1b\[[0-9;]*m", terminal.written)
    for frame in terminal.frames:
        lines = frame.split("\n")
        assert len(lines) <= 12
        assert max(map(len, lines)) <= 44


@pytest.mark.parametrize("verb", ["run", "compare"])
def test_without_a_terminal_it_is_refused(verb: str, tmp_path: Path) -> None:
    """Where nothing can be drawn the error says so, and what to do instead; nothing is run."""
    done = launch(verb, OPEN, "--live", "--out", str(tmp_path))
    assert done.status == 2
    assert "--live draws on a terminal" in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((OPEN, "--log", "events"), "--live and --log events would write over each other"),
        ((TWO_TRADERS,), "this run follows a schedule"),
    ],
)
def test_what_does_not_go_with_it_is_refused(
    words: tuple[str, ...], reason: str, tmp_path: Path
) -> None:
    """Two that write on one terminal, and a run that a schedule leads."""
    terminal = Terminal("run", *words, "--live", "--out", str(tmp_path))
    status, _out = terminal.finished()
    terminal.close()
    assert status == 2
    assert reason in terminal.written
    assert list(tmp_path.iterdir()) == []
