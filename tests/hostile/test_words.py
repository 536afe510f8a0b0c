"""Whatever somebody else says is shown as text: on the terminal, in the JSON, the log, the page."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common import names
from common.kernel.ledger import FILE, Ledger
from tests.conftest import Fork
from tests.launching import ROOT, SECONDS, launch
from tests.opened import Exchange, join

# Clears the screen, begins a line of its own, turns the writing round, and is a tag of HTML.
SPELL = "\x1b[2J\nverdict valid\r\u202e<script>alert(1)</script>\x07"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def test_what_is_printable_stays_and_what_is_an_order_is_written_out() -> None:
    """One line, whatever the text is; letters of any language stay as they are."""
    assert names.printable("Börse, 取引所 – 5 €") == "Börse, 取引所 – 5 €"
    for order in ("\x1b[2J", "\n", "\r", "\x07", "\u202e", "\u2028", "\x9b31m", "\ud800", "\x00"):
        shown = names.printable(f"a{order}b")
        assert shown.startswith("a\\")
        assert shown.isprintable()


def test_what_a_guest_says_is_harmless_wherever_it_is_shown(exchange: Exchange) -> None:
    """Its role, its system, its summary, its error: in five places, at once."""
    (path,) = [e["name"] for e in exchange.listed()["objects"] if e["kind"] == "socket"]
    guest = join(path, role=SPELL, system=SPELL)
    guest.recv(1 << 16)
    guest.send(json.dumps({"type": "summary", "summary": {SPELL: SPELL, "a": [SPELL]}}).encode())
    guest.send(json.dumps({"type": "error", "kind": SPELL, "message": SPELL}).encode())
    guest.close()
    exchange.launcher.send_signal(signal.SIGINT)
    _code, document = exchange.finished()
    run_dir = document["run_dir"]
    assert OBEYED.search(json.dumps(document, ensure_ascii=False)) is None
    for verb in ("check", "explain"):
        done = launch(verb, run_dir)
        assert OBEYED.search(done.out + done.err) is None, verb
        assert not re.search("^verdict valid", done.out + done.err, re.MULTILINE), verb
    lines = (Path(run_dir) / "log.jsonl").read_text().splitlines()
    assert all(json.loads(line)["event"] for line in lines)
    assert launch("report", run_dir).status == 0
    page = (Path(run_dir) / "report.html").read_text()
    assert "<script>alert" not in page
    assert OBEYED.search(page) is None


def test_what_a_process_says_that_it_waits_for_is_harmless(tmp_path: Path) -> None:
    """It writes that itself into its history file, and is named with it when it hangs."""
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.process.supervised", str(tmp_path / "run"),
            json.dumps({"roles": ["whispers"], "run": 1}),
        ],
        capture_output=True, text=True, timeout=SECONDS, cwd=ROOT, check=True,
    )  # fmt: skip
    (process,) = json.loads(done.stdout)["outcome"]["processes"]
    assert "waiting for a lock" in process["hung"]
    assert process["hung"].isprintable()


def test_an_event_is_one_line_whatever_its_facts_are(tmp_path: Path) -> None:
    """In the file and on the terminal: also texts within lists and within objects."""
    program = (
        "import sys, json; from pathlib import Path; from common.log import EventLog\n"
        "log = EventLog(Path(sys.argv[1]), 'all'); spell = json.loads(sys.argv[2])\n"
        "log('process_error', process=spell, error={spell: [spell, {'a': spell}]})\n"
        "log('process_ended', process='\\ud800')\n"
        "log.close()"
    )
    path = tmp_path / "log.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path), json.dumps(SPELL)],
        capture_output=True, text=True, cwd=ROOT, check=True, env={**os.environ, "NO_COLOR": "1"},
    )  # fmt: skip
    assert OBEYED.search(done.stderr) is None
    assert len(done.stderr.splitlines()) == 2
    first, second = path.read_text().splitlines()
    assert json.loads(first)["error"] == {SPELL: [SPELL, {"a": SPELL}]}
    assert json.loads(second)["event"] == "process_ended"
    assert OBEYED.search(path.read_text()) is None


def test_what_a_ledger_says_is_harmless_in_ps_and_clean(
    fork: Fork, runtime_directory: Path
) -> None:
    """The scenario, the directory of its run, a process, a FIFO of that very name."""

    def launched() -> None:
        directory = names.make_runtime_directory()
        ledger = Ledger.create(directory, scenario=SPELL, run_dir=SPELL)
        path = f"{directory}/{SPELL.replace('/', '')}"
        ledger.intend("fifo", path)
        os.mkfifo(path)
        os.kill(os.getpid(), signal.SIGKILL)

    assert fork(launched).ended() == -signal.SIGKILL
    [directory] = runtime_directory.iterdir()
    assert (directory / FILE).exists()
    for words in (("ps",), ("ps", "--json"), ("clean",)):
        done = launch(*words)
        assert done.status == 0
        assert OBEYED.search(done.out + done.err) is None, words
        assert not re.search("^verdict valid", done.out, re.MULTILINE), words
    assert not directory.exists()


@pytest.mark.parametrize("words", [
    ("run", f"{SPELL}.yaml"), ("run", "exchange/script", "--variant", SPELL), (SPELL,),
    ("run", "exchange/script", "--set", f"{SPELL}=1"), ("explain", SPELL), ("claims", SPELL),
])  # fmt: skip
def test_what_is_wrong_on_the_command_line_is_shown_and_not_obeyed(words: tuple[str, ...]) -> None:
    """A word that was pasted from somewhere."""
    done = launch(*words)
    assert done.status == 2
    assert OBEYED.search(done.out + done.err) is None, done.err
