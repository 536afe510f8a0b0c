"""`run.py grade` leaves nothing behind: no process, no directory, also when it is interrupted."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.launching import SECONDS, Finished, command, launch
from tests.verbs.exercises import graded, program


def test_no_process_of_a_submission_lives_on(tmp_path: Path) -> None:
    """It starts others in sessions of their own, and one of those again: all are ended."""
    pids = tmp_path / "pids"
    script = (
        f"#!/bin/sh\n: > {pids}\nsetsid sh -c 'echo $$ >> {pids}; exec sleep 1000' &\n"
        f"(setsid sh -c 'setsid sh -c \"echo \\$\\$ >> {pids}; exec sleep 1000\" & wait' &)\n"
        f"while [ $(wc -l < {pids}) -lt 2 ]; do :; done 2> /dev/null\n"
    )
    file, directory = program(tmp_path, script)
    graded(file, directory)
    found = [int(line) for line in pids.read_text().split()]
    assert len(found) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


def test_a_build_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its seconds it is over, with all that it started."""
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh], seconds: 0.5")
    pid = tmp_path / "pid"
    (directory / "build.sh").write_text(f"setsid sh -c 'echo $$ > {pid}; exec sleep 1000'\n")
    document = graded(file, directory)
    assert "`sh build.sh` did not end within 0.5 s" in document["tests"][0]["output"]
    assert not pid.exists() or not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_what_a_killed_grader_left_is_removed(tmp_path: Path, room: Path) -> None:
    """`ps` and `doctor` name it, `clean` removes it, also what was closed; links stay links."""
    door, kept = tmp_path / "door", tmp_path / "kept"
    os.mkfifo(door)
    kept.mkdir()
    (kept / "file").touch()
    script = (
        f"#!/bin/sh\nln -s {kept} link; mkdir closed closed/a; chmod 0 closed\n"
        f"echo $$ > {door}\nexec sleep 1000\n"
    )
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh]")
    (directory / "build.sh").write_text(script)
    with subprocess.Popen(
        command("grade", str(file), "--submission", str(directory)), stdout=subprocess.DEVNULL
    ) as grader:
        pid = int(door.read_text())
        (left,) = room.iterdir()
        alive = launch("ps", "--json").document["graders"]
        assert {"directory": str(left), "pid": grader.pid, "alive": True} in alive
        launch("clean")
        assert left.exists()
        grader.kill()
        grader.wait(timeout=SECONDS)
    # It is nobody's child any more.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert f"grader {grader.pid}  (dead; `run.py clean` removes what it left)" in launch("ps").out
    assert f"{left} of a grading was left by a dead run" in launch("doctor").out
    assert f"removed directory {left} of a dead grader" in launch("clean").out
    assert list(room.iterdir()) == []
    assert (kept / "file").exists()


@pytest.mark.parametrize("what", ["link", "another's", "open", "elsewhere", "file"])
def test_what_is_no_dead_graders_directory_stays(what: str, tmp_path: Path, room: Path) -> None:
    """A link of that name, another user's, one that others may enter, another namespace's."""
    uid = os.geteuid() + (what == "another's")
    namespace = (
        "1" if what == "elsewhere" else re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    )
    left = room / f"lab-grade-{uid}-{namespace}-{2**22 + 1}-1-abcdefgh"
    if what == "link":
        (tmp_path / "kept").mkdir(mode=0o700)
        (tmp_path / "kept/file").touch()
        left.symlink_to(tmp_path / "kept")
    elif what == "file":
        left.touch(0o700)
    else:
        left.mkdir(mode=0o755 if what == "open" else 0o700)
    assert launch("clean").status == 0
    assert os.path.lexists(left)
    assert what != "link" or (tmp_path / "kept/file").exists()


def test_an_interruption_ends_it_all(tmp_path: Path, room: Path) -> None:
    """SIGTERM in the middle of an item: status 143, no results, no process, nothing left."""
    door = tmp_path / "door"
    os.mkfifo(door)
    file, directory = program(tmp_path, f"#!/bin/sh\necho $$ > {door}\nexec sleep 1000\n", run=60)
    results = tmp_path / "results.json"
    words = ("--submission", str(directory), "--json", str(results))
    with subprocess.Popen(
        command("grade", str(file), *words), stderr=subprocess.PIPE, text=True
    ) as grader:
        pid = int(door.read_text())
        grader.send_signal(signal.SIGTERM)
        _, err = grader.communicate(timeout=SECONDS)
    assert Finished(grader.returncode, "", err).status == 143
    assert "Traceback" not in err
    assert not results.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert list(room.iterdir()) == []
