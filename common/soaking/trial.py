"""One run of the soak, by a real launcher: started, struck, awaited, and looked at afterwards."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common import names
from common.errors import LabError, StoredRunError
from common.kernel import existing, libc
from common.kernel.ledger import Entry, read_ledger
from common.pipeline import judge_run
from common.report.document import exit_status
from common.soaking.drawing import Draft, Fate
from common.soaking.promise import objections
from common.system import System

LAUNCHER = Path(__file__).resolve().parents[2] / "run.py"
# What each process of a trial has in its environment.
MARK = "LAB_SOAK"
# A launcher that has not ended by then never will (s); endless ones are ended much earlier.
DEADLINE = 300.0
# How long those may take to be gone that a dead launcher leaves (s).
PATIENCE = 10.0
TICK = 0.01
# Raised by the first signal that asks the launcher to finish; it answers with 128 + that.
ASKING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class Report:
    """What came of a trial; ``unexpected`` says what should not be, ``leaks`` what was left."""

    number: int
    line: str
    seconds: float = 0.0
    status: int = 0
    fate: str = ""
    verdict: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    processes: int = 0
    restarts: int = 0
    unexpected: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)


class Trial:
    """A drawn run in ``directory``, which it makes; ``perform`` returns its report."""

    def __init__(self, draft: Draft, directory: Path, systems: Mapping[str, System]) -> None:
        self.draft = draft
        self.directory = directory
        self.systems = systems
        self.report = Report(draft.number, draft.line())
        self._sent: list[signal.Signals] = []
        self._mark = f"{MARK}={directory}".encode()

    def perform(self) -> Report:
        """Run it and look at all that it leaves; a SIGTERM to this process ends it early."""
        begun = time.monotonic()
        self.directory.mkdir(parents=True)
        launcher = self._start()
        try:
            self._attend(launcher)
        except KeyboardInterrupt:
            # The soak is asked to stop, and so is its run.
            self._sent.append(signal.SIGTERM)
            launcher.send_signal(signal.SIGCONT)
            launcher.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                launcher.wait(DEADLINE)
        finally:
            if launcher.poll() is None:
                self.report.unexpected.append(f"the launcher did not end within {DEADLINE:g} s")
                launcher.kill()
                launcher.wait()
        self.report.status = launcher.returncode
        self._look(launcher)
        self.report.seconds = round(time.monotonic() - begun, 3)
        return self.report

    def _start(self) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(LAUNCHER), *self.draft.words()]
        words += ["--out", str(self.directory / "out"), "--json"]
        core, launcher = min(os.sched_getaffinity(0)), os.getpid()

        def prepare() -> None:
            libc.prctl_die_with_parent(signal.SIGKILL, launcher)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if self.draft.one_core:
                os.sched_setaffinity(0, {core})

        told, said = self._file("document.json"), self._file("stderr.txt")
        with told.open("wb") as out, said.open("wb") as err:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=err, preexec_fn=prepare,
                start_new_session=True, env={**os.environ, MARK: str(self.directory)},
            )  # fmt: skip

    def _file(self, name: str) -> Path:
        return self.directory / name

    def _attend(self, launcher: subprocess.Popen[bytes]) -> None:
        """Wait for the end of the launcher; do to it what was drawn."""
        pidfd = os.pidfd_open(launcher.pid)
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)

        def ended_within(seconds: float) -> bool:
            return bool(poll.poll(max(0.0, seconds) * 1000))

        try:
            fate = self.draft.fate
            if fate is not None and self._begun(launcher.pid, fate, ended_within):
                self.report.fate = fate.signal.name
                self._sent.append(fate.signal)
                signal.pidfd_send_signal(pidfd, fate.signal)
                if fate.signal == signal.SIGSTOP:
                    ended_within(fate.moment / 3)
                    signal.pidfd_send_signal(pidfd, signal.SIGCONT)
            if ended_within(DEADLINE):
                launcher.wait()
        finally:
            os.close(pidfd)

    def _begun(self, pid: int, fate: Fate, ended_within: Callable[[float], bool]) -> bool:
        """Wait until the time of a fate has come; False when the launcher has ended before."""
        while fate.since == "ledger" and not self._directories(pid):
            if ended_within(TICK):
                return False
        return not ended_within(fate.moment)

    @staticmethod
    def _directories(pid: int) -> list[Path]:
        return [path for path in names.runtime_directories() if names.maker_pid(path) == pid]

    # Afterwards

    def _look(self, launcher: subprocess.Popen[bytes]) -> None:
        entries = self._entries(launcher.pid)
        killed = launcher.returncode == -signal.SIGKILL
        left = self.left_processes()
        if left:
            self.report.leaks += [f"process {pid} goes on" for pid in left]
        if killed:
            self._clean()
        self.report.leaks += [
            f"{entry.kind} {existing.shown(entry.name)}"
            for entry in entries
            if not entry.kept and existing.find(entry.kind, entry.name, entry.id) is not None
        ]
        self.report.leaks += [f"directory {path}" for path in self._directories(launcher.pid)]
        self._read_words()
        run_dir = next(iter(self._file("out").rglob("plan.json")), None)
        self._read_document(None if run_dir is None else run_dir.parent)

    def _entries(self, pid: int) -> list[Entry]:
        """Return what the ledger of a dead launcher names; another's start may have swept it."""
        found: list[Entry] = []
        for directory in self._directories(pid):
            with suppress(StoredRunError):
                found += read_ledger(directory).entries
        return found

    def left_processes(self, patience: float = PATIENCE) -> list[int]:
        """Return who of this run goes on, ``patience`` seconds after its launcher at the latest."""
        deadline = time.monotonic() + patience
        while True:
            left = [int(each.name) for each in Path("/proc").iterdir() if self._marked(each)]
            if not left or time.monotonic() > deadline:
                return left
            _await_end(left[0])

    def _marked(self, process: Path) -> bool:
        if not process.name.isdigit():
            return False
        try:
            return self._mark in (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def _clean(self) -> None:
        """Let the verb remove what the killed launcher left; what it leaves must not be there."""
        done = subprocess.run(
            [sys.executable, str(LAUNCHER), "clean", "--json"],
            capture_output=True, text=True, check=False, timeout=DEADLINE,
        )  # fmt: skip
        if done.returncode or "Traceback" in done.stderr:
            self.report.unexpected.append(f"clean: status {done.returncode}: {done.stderr[-400:]}")
            return
        told = json.loads(done.stdout)
        self.report.unexpected += [
            f"clean: {line}" for line in told["removed"] if line.startswith("left")
        ]

    def _read_words(self) -> None:
        """Look at what the launcher and its processes have said, and at the exit status."""
        for path in (self._file("stderr.txt"), *self._file("out").rglob("stderr.txt")):
            text = path.read_text(errors="replace")
            interrupted = signal.SIGINT in self._sent and text.endswith("\nKeyboardInterrupt\n")
            if interrupted and not self._file("out").exists():
                # While the interpreter still read its modules: nothing had begun.
                continue
            if "Traceback" in text or "Fatal Python error" in text:
                self.report.unexpected.append(f"{path.name}: {text[-600:]}")
        status, known = self.report.status, {0, 1, 3, 4}
        # Before the run and after it nobody catches a signal: there is nothing to put in order.
        known |= {-number for number in self._sent}
        known |= {128 + number for number in self._sent if number in ASKING}
        if status not in known:
            said = self._file("stderr.txt").read_text(errors="replace")[-400:]
            self.report.unexpected.append(f"exit status {status}: {said}")

    def _read_document(self, run_dir: Path | None) -> None:
        text = self._file("document.json").read_text()
        signaled = self.report.status < 0
        asked = bool(set(self._sent) & set(ASKING))
        if signaled or (not text and asked):
            self._judge_what_is_left(run_dir)
            return
        try:
            document = json.loads(text)
        except ValueError:
            said = self._file("stderr.txt").read_text(errors="replace")[-400:]
            self.report.unexpected.append(f"no whole document: {text[-100:]!r}; {said}")
            return
        self._note(document)
        if exit_status(document) != self.report.status:
            self.report.unexpected.append(
                f"exit status {self.report.status}, and the document says {exit_status(document)}"
            )
        self.report.leaks += [
            f"{leak['kind']} {leak['name']} (it says)" for leak in document["leaks"]
        ]
        for entry in document["objects"]:
            kind = entry["kind"]
            name = int(entry["name"], 0) if kind in existing.SYSV else entry["name"]
            if not entry.get("kept") and existing.find(kind, name) is not None:
                self.report.leaks.append(f"{kind} {entry['name']}")
        self.report.unexpected += objections(
            self.draft.plan, document, self.draft.allowed, as_it_is=self.draft.as_it_is
        )
        again = judge_run(Path(document["run_dir"]), self.systems)
        if _essence(again) != _essence(document):
            self.report.unexpected.append("judged again, the stored run has another verdict")

    def _judge_what_is_left(self, run_dir: Path | None) -> None:
        """A run that was cut off must be judged or refused in words, whatever is there of it."""
        if run_dir is not None:
            with suppress(LabError):
                judge_run(run_dir, self.systems)

    def _note(self, document: Mapping[str, Any]) -> None:
        self.report.verdict = document["verdict"]
        self.report.findings = [finding["kind"] for finding in document["findings"]]
        self.report.faults = dict(Counter(fault["kind"] for fault in document["faults"]))
        self.report.processes = len(document["processes"])
        self.report.restarts = document["restarts"]


def _essence(document: Mapping[str, Any]) -> list[Any]:
    """Return of a document what a stored run must give again."""
    findings = [(each["kind"], each["count"], each["total"]) for each in document["findings"]]
    return [document["verdict"], findings, document["doubts"], document["operations"]]


def _await_end(pid: int) -> None:
    """Wait for the end of a process, a tick at most: there may be others, and new ones."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(TICK * 1000)
    finally:
        os.close(pidfd)
