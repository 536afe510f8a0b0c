"""Whoever a program leaves in any way is ended with the run; what it makes and leaves is named."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import sysv_ipc

from common import names
from common.kernel import abandoned, existing
from common.kernel.ledger import Ledger
from tests.process.programs import program, run

ONE = """
system: exchange
table: {{store: {{kind: sysv_shm, key: {key}}}, lock: sysv_sem}}
processes:
  - {{role: teller, name: theirs, lines: [], command: ./theirs}}
expect: {{verdict: anomaly}}
"""
# It leaves its session, its parents, its environment and its descriptors behind (daemon(7)).
DAEMON = """
import os, time
ready, tell = os.pipe()
if not os.fork():
    os.setsid()
    if os.fork():
        os._exit(0)
    {then}
    with open("daemon", "a") as file:
        print(os.getpid(), file=file)
    os.write(tell, b"x")
    os.closerange(0, 100)
    os.execve("/bin/sleep", ["sleep", "600"], {{}})
os.read(ready, 1)
os.wait()
"""
# Each of a chain is the child of the launcher only after its parent has ended.
CHAIN = """
    for _ in range(30):
        with open("daemon", "a") as file:
            print(os.getpid(), file=file)
        if not os.fork():
            os.setsid()
        else:
            {last}
            os.execve("/bin/sleep", ["sleep", "600"], {{}})
"""
# Two that fork and end without a pause, in a session of their own.
RACE = """
    for _ in range(2):
        if not os.fork():
            os.closerange(0, 100)
            os.environ.clear()
            while True:
                if os.fork():
                    os._exit(0)
"""


def key() -> str:
    """Return a key that nobody has."""
    return hex(names.new_key())


def alive(pids: list[int]) -> list[int]:
    """Return those that still live."""
    return [pid for pid in pids if names.start_time(pid) is not None]


@pytest.mark.parametrize(
    "then", ["", CHAIN.format(last="os.write(tell, b'x')").strip(), RACE.strip()]
)
def test_a_daemon_that_hides_is_ended_and_said(tmp_path: Path, then: str) -> None:
    """Nothing that it shows says whose it is; that it became the launcher's child does."""
    program(tmp_path, "theirs", DAEMON.format(then=then))
    document = run(tmp_path, ONE.format(key=key()))
    pids = [int(line) for line in (tmp_path / "daemon").read_text().split()]
    assert alive(pids) == []
    said = [re.fullmatch(r"ended process (\d+), which .*", each) for each in document["remarks"]]
    ended = {int(each[1]) for each in said if each}
    assert ended
    # By the kernel: whose program is in that directory, and is of nobody.
    assert processes_in(tmp_path) == []
    assert not [each for each in document["remarks"] if each.startswith("could not end")]


def processes_in(directory: Path) -> list[int]:
    """Return the living processes whose working directory this is."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink() == directory:
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def test_what_a_program_makes_for_itself_and_leaves_is_named(tmp_path: Path) -> None:
    """The kernel says who made a segment, and who used a queue or semaphore last: none removed."""
    program(
        tmp_path,
        "theirs",
        """
import sysv_ipc
made = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=4096)
queue = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX)
queue.send(b"x")
semaphore = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=1)
semaphore.acquire()
print(made.id, queue.id, semaphore.id)
""",
    )
    document = run(tmp_path, ONE.format(key=key()))
    shm, queue, semaphore = Path(document["run_dir"], "theirs-0.out").read_text().split()
    try:
        assert existing.listed("shm")
        for kind, letter, id in (
            ("sysv_shm", "m", shm), ("sysv_queue", "q", queue), ("sysv_sem", "s", semaphore),
        ):  # fmt: skip
            said = f"left by theirs-0: {kind} (id {id}): ipcrm -{letter} {id}"
            assert said in document["remarks"]
    finally:
        sysv_ipc.remove_shared_memory(int(shm))
        sysv_ipc.remove_message_queue(int(queue))
        sysv_ipc.remove_semaphore(int(semaphore))


def test_a_table_that_was_replaced_is_told_and_left(tmp_path: Path) -> None:
    """The object at the key is another's: it is named with both ids, once, and not removed."""
    program(
        tmp_path,
        "theirs",
        """
import os, sysv_ipc
key = int(os.environ["LAB_TABLE_KEY"], 16)
old = sysv_ipc.SharedMemory(key)
old.remove()
print(old.id, sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, size=131072).id)
""",
    )
    wanted = key()
    document = run(tmp_path, ONE.format(key=wanted))
    old, new = Path(document["run_dir"], "theirs-0.out").read_text().split()
    try:
        told = [each for each in document["remarks"] if f"ipcrm -m {new}" in each]
        assert len(told) == 1
        assert told[0].startswith(
            f"sysv_shm {int(wanted, 16):#010x} is no longer the one that this run made (id {old})"
        )
        assert document["verdict"] != "valid"
    finally:
        sysv_ipc.remove_shared_memory(int(new))


@pytest.mark.parametrize("alone", [True, False])
def test_a_new_file_in_dev_shm_is_perhaps_theirs_if_no_other_run_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    """Nobody knows who made a file: with another run beside it nothing is said."""
    monkeypatch.setattr(abandoned, "_alone", lambda: alone)
    ledger = Ledger.create(tmp_path, scenario="test", run_dir="")
    path = Path("/dev/shm") / f"theirs-{names.new_token()}"
    try:
        ledger.process(1, 1, "theirs-0", foreign=True)
        census = abandoned.Census()
        path.touch()
        said = [each for each in census.left(ledger) if str(path) in each]
        assert said == [f"perhaps left by a program of this run: file {path}: ls -l {path}"] * alone
        assert path.exists()
    finally:
        ledger.close()
        path.unlink(missing_ok=True)


def test_without_a_program_nothing_is_said(tmp_path: Path) -> None:
    """Our own processes make nothing that is not in the ledger: what is new is another's."""
    ledger = Ledger.create(tmp_path, scenario="test", run_dir="")
    census = abandoned.Census()
    made = sysv_ipc.SharedMemory(None, sysv_ipc.IPC_CREX, size=4096)
    try:
        ledger.process(os.getpid(), None, "trader-0")
        assert census.left(ledger) == []
        ledger.process(os.getpid(), None, "theirs-0", foreign=True)
        assert f"left by theirs-0: sysv_shm (id {made.id}): ipcrm -m {made.id}" in census.left(
            ledger
        )
    finally:
        made.detach()
        made.remove()
        ledger.close()
