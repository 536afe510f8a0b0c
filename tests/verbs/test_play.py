"""`run.py play`: a person chooses who goes on, and the verdict is that of any other run."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.launching import ROOT, SECONDS, Finished, command, launch

SALES = str(ROOT / "configs/exchange/two_sales.yaml")
CROSSED = str(ROOT / "configs/mutants/opposite_order.yaml")


def played(out: Path, answers: str, *words: str, scenario: str = SALES) -> Finished:
    """Play with these answers, one a line."""
    done = subprocess.run(
        command("play", scenario, "--out", str(out), *words),
        input="\n".join(answers.split()) + "\n",
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def test_the_stock_can_be_driven_negative(tmp_path: Path) -> None:
    """Both check 10 before either takes from it: -7, found and explained, as expected."""
    done = played(tmp_path, "1 2 2 2 1 1", "--variant", "scarce")
    assert done.status == 0
    assert "negative_stock" in done.out
    assert "turn 2: POUND.stock 10\n" in done.out
    assert "POUND       stock 10 -> -7" in done.out


def test_the_token_plays_it_again(tmp_path: Path) -> None:
    """The line at the end is a command: the same run, the same finding."""
    done = played(tmp_path, "1 2 2 2 1 1", "--variant", "scarce")
    token = re.search(r"--schedule (\S+)", done.out)
    assert token is not None
    again = launch("run", SALES, "--schedule", token[1], "--out", str(tmp_path), "--json")
    assert again.status == 0
    assert again.document["final"]["POUND"]["stock"] == -7


def test_undo_takes_the_last_choice_back(tmp_path: Path) -> None:
    """One sale written, taken back, and the other one first: 93 is what it wrote."""
    done = played(tmp_path, "1 1 1 u 2 2 2 q")
    assert "turn 4: POUND.stock 90\n" in done.out
    assert "turn 3: POUND.stock 100\n" in done.out
    assert "wrote POUND.stock 93" in done.out


def test_values_are_hidden_until_they_are_foretold(tmp_path: Path) -> None:
    """A right guess and a wrong one: the value is revealed after each, and both are counted."""
    done = played(tmp_path, "1 100 1 7 q", "--predict")
    assert "turn 1: POUND.stock ?" in done.out
    assert "what will ten-0 see in POUND.stock?" in done.out
    assert "  right: 100" in done.out
    assert "  no: 100" in done.out
    assert "1 of 2 values were right" in done.out


def test_a_write_is_foretold_before_it_happens(tmp_path: Path) -> None:
    """Asked what it will write, a person answers 90; nothing is written before."""
    done = played(tmp_path, "1 100 1 100 1 90 q", "--predict")
    assert "what will ten-0 write to POUND.stock? > 90\n  right: 90" in done.out
    assert "3 of 3 values were right" in done.out


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ("tne-0", "did you mean 'ten-0'?"),
        ("9", "'9' is nobody here"),
        ("u", "nothing was chosen yet"),
        ("?", "that process passes the step"),
    ],
)
def test_what_cannot_be_done_is_said(answer: str, reply: str, tmp_path: Path) -> None:
    """The game goes on after it."""
    done = played(tmp_path, f"{answer} r")
    assert reply in done.out
    assert "verdict" in done.out


def test_who_waits_cannot_go(tmp_path: Path) -> None:
    """Before a taken lock: who has it is shown, and choosing the waiter does nothing."""
    done = played(tmp_path, "1 2 r", "--variant", "locked")
    assert "waits for the table's lock, which ten-0 has" in done.out
    assert "seven-0 cannot go now" in done.out
    assert done.status == 0


def test_a_person_can_make_a_deadlock(tmp_path: Path) -> None:
    """Each takes its first lock: nobody can go on, and the circle is in the verdict."""
    done = played(tmp_path, "1 2 .", "--variant", "broken", scenario=CROSSED)
    assert "nobody can go on: this is a deadlock" in done.out
    assert re.search(r"deadlock × 1\n\s+Nobody can go on: ", done.out)


def test_control_c_ends_the_game_and_not_the_judgement(tmp_path: Path) -> None:
    """At a terminal: what was done so far is judged, and nothing is left behind."""
    control, terminal = pty.openpty()
    game = subprocess.Popen(
        command("play", SALES, "--out", str(tmp_path)),
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    _until(control, rb"who goes\?")
    os.write(control, b"1\n")
    _until(control, rb"(?s)turn 2.*who goes\?")
    game.send_signal(signal.SIGINT)
    shown = _until(control, rb"play it again")
    os.close(control)
    assert game.wait(SECONDS) in (0, 1, 3, 130)
    assert b"left behind nothing" in shown
    assert b"Traceback" not in shown


def _until(terminal: int, wanted: bytes) -> bytes:
    shown = b""
    while not re.search(wanted, shown):
        shown += os.read(terminal, 4096)
    return shown
