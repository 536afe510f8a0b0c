"""Deeds of a process at its step, signs that order steps, and what is done to a table outside."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.history.merge import load_history
from common.history.outcome import ProcessOutcome
from common.process.members import Member, Members
from exchange import SYSTEM
from tests.launching import launch

LOCK = {"kind": "sysv_sem", "undo": True}


def scenario(*faults: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return two traders under a lock, each of whom does two trades in one currency."""
    traders = [
        {"role": "trader", "name": name, "operations": 2, "currencies": ["DOLLAR"]}
        for name in ("one", "two")
    ]
    return {
        "system": "exchange",
        "table": {"store": "sysv_shm", "lock": LOCK},
        "processes": traders,
        "faults": list(faults),
        "deadlines": {"wait": 20},
    } | changes


def run(tmp_path: Path, content: dict[str, Any], *words: str) -> dict[str, Any]:
    """Run a scenario; returns its document."""
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    done = launch("run", str(path), "--out", str(tmp_path / "runs"), "--json", *words)
    document = done.document
    assert document["leaks"] == []
    return document


def refused(tmp_path: Path, content: dict[str, Any]) -> str:
    """Return why a scenario is refused."""
    path = tmp_path / "scenario.yaml"
    path.write_text(yaml.safe_dump(content))
    done = launch("run", str(path), "--out", str(tmp_path / "runs"))
    assert done.status == 2, done.err
    return done.err


def at(kind: str, process: str, step: str, **options: Any) -> dict[str, Any]:
    """Return a fault at a step."""
    return {"kind": kind, "process": process, "step": step} | options


def ended(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return how a process ended."""
    return next(each for each in document["processes"] if each["name"] == name)


def first_record(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the first operation of a process."""
    operations = {operation.code: operation for operation in SYSTEM.operations}
    history = load_history(Path(document["run_dir"]) / "history", operations)
    which = [each.name for each in history.processes].index(name)
    return history.record(history.bounds[which])


# Signs


def test_who_pauses_stands_until_the_sign_is_given(tmp_path: Path) -> None:
    """Whoever comes first: the second trader begins when the first one has done all its trades."""
    document = run(
        tmp_path,
        scenario(
            at("pause", "two-0", "acquire", until="done"),
            # Time enough for one that does not stand.
            at("slow", "one-0", "acquire", at=2, seconds=0.3),
            at("sign", "one-0", "release", at=2, gives="done"),
        ),
    )
    told = {(each["kind"], each["process"]): each["at_ns"] for each in document["faults"]}
    assert first_record(document, "two-0")["entered"] > told["sign", "one-0"]


def test_a_sign_that_was_given_before_makes_nobody_stand(tmp_path: Path) -> None:
    """Given once it is given for good."""
    document = run(
        tmp_path,
        scenario(
            at("sign", "one-0", "acquire", gives="early"),
            at("pause", "one-0", "release", at=2, until="early"),
            at("pause", "two-0", "release", at=2, until="early"),
        ),
    )
    assert ended(document, "one-0")["phase"] == ended(document, "two-0")["phase"] == "done"


def test_a_pause_may_have_an_end_of_its_own(tmp_path: Path) -> None:
    """Where the sign does not come, it goes on after its seconds."""
    document = run(
        tmp_path,
        scenario(
            at("pause", "two-0", "acquire", until="never", seconds=0.05),
            at("sign", "one-0", "acquire", at=99, gives="never"),
        ),
    )
    assert ended(document, "two-0")["phase"] == "done"


def test_a_fault_strikes_not_before_its_sign(tmp_path: Path) -> None:
    """Each passing counts, and only those after the sign strike."""
    document = run(
        tmp_path,
        scenario(
            at("sign", "one-0", "release", at=2, gives="late"),
            at("kill", "one-0", "release", every=1, most=1, since="late"),
        ),
    )
    (kill,) = [each for each in document["faults"] if each["kind"] == "kill"]
    (sign,) = [each for each in document["faults"] if each["kind"] == "sign"]
    assert kill["at_ns"] > sign["at_ns"]
    assert ended(document, "one-0")["signal"] == signal.SIGKILL


def test_a_sign_that_nobody_gives_is_refused(tmp_path: Path) -> None:
    """With the nearest that somebody gives."""
    why = refused(
        tmp_path,
        scenario(
            at("pause", "two-0", "acquire", until="insid"),
            at("sign", "one-0", "check", gives="inside"),
        ),
    )
    assert "nobody gives the sign 'insid': did you mean 'inside'?" in why


def test_pauses_and_signs_are_no_faults_that_struck(tmp_path: Path) -> None:
    """What is said of the run is what went wrong in it."""
    document = run(
        tmp_path,
        scenario(
            at("pause", "two-0", "acquire", until="a"),
            at("sign", "one-0", "acquire", gives="a"),
            at("kill", "one-0", "release", at=2),
        ),
    )
    (said,) = [each for each in document["disturbances"] if each.startswith("faults that struck")]
    assert said == "faults that struck: 1 kill; the first: kill one-0 at release"


def test_who_is_slow_stands_so_long_at_its_step(tmp_path: Path) -> None:
    """It does not go on before: what it writes then comes after its seconds."""
    document = run(tmp_path, scenario(at("slow", "one-0", "write", seconds=0.05)))
    (slow,) = document["faults"]
    assert first_record(document, "one-0")["left"] - slow["at_ns"] >= 50_000_000


# Deeds of the process itself


def test_a_helper_lives_on_and_ends_with_the_run(tmp_path: Path) -> None:
    """Its pid is told, it is no zombie's and nobody's when the run is over, and nothing leaks."""
    document = run(
        tmp_path,
        scenario(at("fork", "one-0", "release", seconds=600), at("kill", "one-0", "release")),
    )
    (fork,) = [each for each in document["faults"] if each["kind"] == "fork"]
    helper = fork["did"]["helper"]
    assert not Path(f"/proc/{helper}/maps").exists() or not Path(f"/proc/{helper}/maps").read_text()


def test_only_who_is_of_a_process_is_its_helper() -> None:
    """A pid is data from outside: a process of another session is neither watched nor killed."""
    other = subprocess.Popen(["sleep", "600"], start_new_session=True)
    mine = subprocess.Popen(["sleep", "600"], start_new_session=True)
    members = Members(None, None, lambda *_: None)  # type: ignore[arg-type]
    outcome = ProcessOutcome("one-0", "trader", "exchange", 0, mine.pid)
    for pid in (other.pid, os.getpid(), 1, 1 << 30):
        members.adopt(Member(outcome, "one", Path()), pid)
    members.kill()
    assert other.poll() is None
    assert mine.poll() is None
    for each in (other, mine):
        each.kill()
        each.wait()


def test_who_became_another_program_did_not_crash(tmp_path: Path) -> None:
    """It ends with that program, its lock is given back then, and the other one goes on."""
    document = run(tmp_path, scenario(at("exec", "one-0", "release", seconds=0.05)))
    assert (ended(document, "one-0")["exit"], ended(document, "one-0")["struck"]) == (0, "exec")
    assert ended(document, "two-0")["phase"] == "done"
    assert document["findings"] == []


def test_a_lock_that_is_no_file_cannot_be_reopened(tmp_path: Path) -> None:
    """Refused, naming the lock."""
    why = refused(tmp_path, scenario(at("reopen", "one-0", "write")))
    assert "the table's lock is no file that could be opened: it is sysv_sem" in why


# What is done to a table from outside


def test_a_replaced_file_is_another_one_of_the_same_contents(tmp_path: Path) -> None:
    """Both inodes are told; who looks for the table afterwards finds that it was replaced."""
    content = scenario(at("replace", "one-0", "read"))
    content["table"]["store"] = "mmap_file"
    document = run(tmp_path, content)
    (struck,) = document["faults"]
    assert struck["inode"] != struck["inode_before"]
    assert {finding["kind"] for finding in document["findings"]} == {"object_vanished"}


@pytest.mark.parametrize("kind", ["replace"])
def test_a_segment_cannot_be_replaced(kind: str, tmp_path: Path) -> None:
    """It has no name that another could be given."""
    assert "there is no table in a file" in refused(tmp_path, scenario(at(kind, "one-0", "read")))


def test_what_a_stranger_writes_is_told_and_leaves_a_doubt(tmp_path: Path) -> None:
    """The value that was there, and the one that nothing recorded explains."""
    document = run(tmp_path, scenario(at("overwrite", "one-0", "read", value=5000.0)))
    (struck,) = document["faults"]
    assert (struck["row"], struck["written"]) == ("DOLLAR", 5000.0)
    assert any("5,000" in doubt for doubt in document["doubts"])


def test_a_field_that_the_table_has_not_is_not_written(tmp_path: Path) -> None:
    """The run goes on, and says why the fault could not strike."""
    document = run(tmp_path, scenario(at("overwrite", "one-0", "read", row=4)))
    (struck,) = document["faults"]
    assert struck["failed"] == "the table has no field 2 in row 4"
    assert document["findings"] == []
