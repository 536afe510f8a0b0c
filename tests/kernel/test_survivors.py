"""Who outlived a dead run is ended where it is proven to be of it; nobody else is touched."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common import names
from common.kernel import survivors
from common.kernel.ledger import FILE, Ledger, LedgerState, read_ledger
from common.kernel.leftovers import remove_dead
from tests.conftest import Child, Fork, Signpost

SLEEPER = [sys.executable, "-c", "import os, signal; os.write(1, b'r'); signal.pause()"]
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a process of nobody's run, killed at the end of the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(**options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            SLEEPER, start_new_session=True, stdout=subprocess.PIPE, **options
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.read(1) == b"r"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def dead_run(fork: Fork, directory: Path, work: Callable[[Ledger], object]) -> LedgerState:
    """Let a run write its ledger and be killed; returns what the ledger says."""
    directory.mkdir(0o700)

    def launch() -> None:
        work(Ledger.create(directory, scenario="x", run_dir="/"))
        os.kill(os.getpid(), signal.SIGKILL)

    assert fork(launch).ended() == -signal.SIGKILL
    return read_ledger(directory)


def lives(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is None


def test_a_process_of_the_ledger_that_lives_on_is_ended(
    fork: Fork, tmp_path: Path, start: Start
) -> None:
    """By its pid and its start time; it is told, and has gone when it is."""
    state = dead_run(fork, tmp_path / "run", lambda ledger: None)
    process = start()
    at = names.start_time(process.pid)
    with (tmp_path / "run" / FILE).open("a") as file:
        line = {"event": "process", "pid": process.pid, "start": at, "name": "teller-1"}
        file.write(json.dumps(line) + "\n")
    state = read_ledger(tmp_path / "run")
    said = remove_dead(state)
    assert said == [f"ended process {process.pid}, which teller-1 had left"]
    assert process.wait() == -signal.SIGKILL
    assert remove_dead(state) == []


@pytest.mark.parametrize("change", [1, -1])
def test_a_pid_that_was_used_again_is_somebody_elses(
    fork: Fork, tmp_path: Path, start: Start, change: int
) -> None:
    """The number is in the ledger, the start time is another: not touched, nor its session."""
    dead_run(fork, tmp_path / "run", lambda ledger: None)
    process = start()
    at = names.start_time(process.pid)
    assert at is not None
    with (tmp_path / "run" / FILE).open("a") as file:
        line = {"event": "process", "pid": process.pid, "start": at + change, "name": "teller-1"}
        file.write(json.dumps(line) + "\n")
    said = remove_dead(read_ledger(tmp_path / "run"))
    assert not any(sentence.startswith("ended") for sentence in said)
    assert lives(process)


def test_a_process_that_is_older_than_the_launcher_is_not_of_its_run(
    fork: Fork, tmp_path: Path, start: Start
) -> None:
    """Even where a ledger names its pid and its start: no run has started what was there before."""
    process = start()
    wait_for_a_tick(process.pid)
    state = dead_run(
        fork,
        tmp_path / "run",
        lambda ledger: ledger.process(process.pid, names.start_time(process.pid), "teller-1"),
    )
    assert remove_dead(state) == []
    assert lives(process)


def wait_for_a_tick(pid: int) -> None:
    """Return once a process that starts now has a later start time than ``pid``."""
    while True:
        other = subprocess.Popen(["true"])
        later = names.standing(other.pid)
        other.wait()
        if later is not None and later.start > (names.start_time(pid) or 0):
            return


def test_who_was_started_by_a_process_of_the_run_is_ended_by_its_mark(
    fork: Fork, tmp_path: Path, start: Start
) -> None:
    """In whatever session it may be: its environment has the run's own directory."""
    directory = tmp_path / "run"
    state = dead_run(fork, directory, lambda ledger: None)
    process = start(env=survivors.environment(directory))
    assert remove_dead(state) == [f"ended process {process.pid}, which the run had left"]
    assert process.wait() == -signal.SIGKILL


@pytest.mark.parametrize("mark", ["{}-2", "{}/", "/x{}", ""])
def test_a_mark_that_is_another_directory_proves_nothing(
    fork: Fork, tmp_path: Path, start: Start, mark: str
) -> None:
    """Not a part of the name, nor a longer one: the whole of it."""
    directory = tmp_path / "run"
    state = dead_run(fork, directory, lambda ledger: None)
    other = {survivors.MARK: mark.format(directory), "X": f"{survivors.MARK}={directory}"}
    process = start(env=other)
    assert remove_dead(state) == []
    assert lives(process)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be another user")
@pytest.mark.parametrize("ids", [(65534, 65534, 65534), (65534, 65534, 0), (0, 65534, 65534)])
def test_a_process_of_another_user_is_not_touched_whatever_it_says_of_itself(
    fork: Fork, tmp_path: Path, signpost: Callable[[], Signpost], ids: tuple[int, int, int]
) -> None:
    """It has the mark of our run, and root could kill it: all its user ids must be ours."""
    directory, there = tmp_path / "run", signpost()
    state = dead_run(fork, directory, lambda ledger: None)
    program = (
        f"import os, signal; os.setresuid{ids}; os.write({there._write}, b'r'); signal.pause()"
    )

    def intrude() -> None:
        os.set_inheritable(there._write, True)
        environment = survivors.environment(directory)
        os.execve(sys.executable, [sys.executable, "-c", program], environment)

    child = fork(intrude)
    there.see("r")
    assert remove_dead(state) == []
    assert child_lives(child)


def child_lives(child: Child) -> bool:
    return names.start_time(child.pid) is not None


def test_a_session_of_an_unreaped_leader_is_the_runs_own(
    fork: Fork, tmp_path: Path, signpost: Callable[[], Signpost]
) -> None:
    """The leader is dead, and its number still its own: who is in its session goes, unmarked."""
    told = signpost()
    reading, writing = os.pipe()

    def lead() -> None:
        os.setsid()
        os.write(writing, b"%d\n" % os.spawnve(os.P_NOWAIT, sys.executable, SLEEPER, {}))
        told.show("r")

    state = dead_run(fork, tmp_path / "run", lambda ledger: None)
    leader = fork(lead)
    told.see("r")
    os.waitid(os.P_PID, leader.pid, os.WEXITED | os.WNOWAIT)
    with os.fdopen(reading, "rb") as said:
        os.close(writing)
        pid = int(said.readline())
    standing = names.standing(leader.pid)
    assert standing is not None
    assert standing.zombie
    with (tmp_path / "run" / FILE).open("a") as file:
        line = {"event": "process", "pid": leader.pid, "start": standing.start, "name": "sh"}
        file.write(json.dumps(line) + "\n")
    state = read_ledger(tmp_path / "run")
    assert remove_dead(state) == [f"ended process {pid}, which sh had left"]
    assert names.start_time(pid) is None


def test_a_session_whose_leader_is_gone_is_told_and_not_touched(
    fork: Fork, tmp_path: Path, signpost: Callable[[], Signpost]
) -> None:
    """Its number may have been given to somebody else's session since: nobody can tell."""
    reading, writing = os.pipe()

    def lead() -> None:
        os.setsid()
        pid = os.spawnve(os.P_NOWAIT, sys.executable, SLEEPER, {})
        os.write(writing, b"%d\n" % pid)

    dead_run(fork, tmp_path / "run", lambda ledger: None)
    leader = fork(lead)
    with os.fdopen(reading, "rb") as said:
        os.close(writing)
        pid = int(said.readline())
    at = names.standing(leader.pid)
    assert at is not None
    leader.ended()
    with (tmp_path / "run" / FILE).open("a") as file:
        line = {"event": "process", "pid": leader.pid, "start": at.start, "name": "sh"}
        file.write(json.dumps(line) + "\n")
    try:
        [sentence] = remove_dead(read_ledger(tmp_path / "run"))
        assert sentence.startswith(f"process {pid} in session {leader.pid} may come from sh")
        assert names.start_time(pid) is not None
    finally:
        os.kill(pid, signal.SIGKILL)


def test_after_a_reboot_no_process_is_looked_for(fork: Fork, tmp_path: Path, start: Start) -> None:
    """Pids and start times begin anew: whoever has one now is somebody else."""
    directory = tmp_path / "run"
    state = dead_run(fork, directory, lambda ledger: None)
    process = start(env=survivors.environment(directory))
    text = (directory / FILE).read_text().replace(state.header.boot, "another boot")
    (directory / FILE).write_text(text)
    assert remove_dead(read_ledger(directory)) == []
    assert lives(process)


def test_nobody_is_ended_while_the_launcher_lives(tmp_path: Path, start: Start) -> None:
    """Whoever calls."""
    ledger = Ledger.create(tmp_path, scenario="x", run_dir="/")
    process = start(env=survivors.environment(tmp_path))
    try:
        assert survivors.end_dead(read_ledger(tmp_path)) == []
        assert lives(process)
    finally:
        ledger.close()


def test_a_process_that_forks_while_it_is_looked_for_is_followed(
    fork: Fork, tmp_path: Path
) -> None:
    """It hands its work on to a new process again and again: all of them end."""
    directory = tmp_path / "run"
    state = dead_run(fork, directory, lambda ledger: None)
    reading, writing = os.pipe()
    # Each child is started, and then starts the next, in a session of its own.
    program = (
        f"import os\nfor _ in range(12):\n if os.fork(): break\n os.setsid()\n"
        f"os.write({writing}, b'r')\nimport signal; signal.pause()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=survivors.environment(directory), pass_fds=[writing]
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        assert said.read(1) == b"r"
        remove_dead(state)
        # The end of the pipe: nobody who could write into it is left.
        said.read()
    assert process.wait() == -signal.SIGKILL
