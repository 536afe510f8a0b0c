"""Tables, locks and channels that other programs make: waited for, looked at, used and left."""

from __future__ import annotations

import os
import selectors
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError
from common.kernel import existing, foreign
from common.kernel.foreign import Awaited
from common.kernel.objects import Maker
from common.process import addresses
from common.process.members import Members
from common.process.others import Others
from common.scenario.load import load
from common.scenario.plan import plan
from run import SYSTEMS
from tests.process.programs import launched, outcome, program, run, scenario

ROWS = (3.73, 3.72, 10000, 3.932, 3.944, 10000, 4.551, 4.552, 10000, 3.24, 3.25, 5000)
TABLE = struct.pack("12d", *ROWS)

EXCHANGE = """
system: exchange
table: {{store: {store}, lock: {lock}}}
deadlines: {{start: {start}}}
delays: {{write: {{yields: 5}}}}
processes:
  - {{role: trader, count: 2, operations: 40}}
"""
OFFICE = "  - {role: teller, name: office, lines: [], command: ./office}\n"
SPOOLER = """
system: spooler
channels:
  jobs: {{{channel}}}
deadlines: {{start: {start}}}
processes:
  - {{role: producer, jobs: 3, to: jobs}}
  - {{role: printer, source: jobs}}
"""

Made = sysv_ipc.SharedMemory | sysv_ipc.Semaphore | sysv_ipc.MessageQueue


@pytest.fixture
def theirs() -> Iterator[list[Made]]:
    """Yield a list for what a test makes as another program does; it is removed at the end."""
    made: list[Made] = []
    yield made
    for each in made:
        each.remove()


def segment(theirs: list[Made], content: bytes) -> str:
    """Make a segment with this content; returns the store of a scenario that waits for it."""
    key = names.new_key()
    memory = sysv_ipc.SharedMemory(key, sysv_ipc.IPC_CREX, mode=0o600, size=len(content))
    theirs.append(memory)
    memory.write(content)
    memory.detach()
    return f"{{kind: sysv_shm, key: {key}, made_by: other}}"


def mapped(path: Path, by: str = "other") -> str:
    """Return the store of a scenario that waits for a file."""
    return f"{{kind: mmap_file, path: {path}, anywhere: true, made_by: {by}}}"


def file(path: Path, content: bytes) -> str:
    """Make a file with this content; returns the store of a scenario that waits for it."""
    path.write_bytes(content)
    path.chmod(0o600)
    return mapped(path)


def exchange(store: str, lock: str = "sysv_sem", start: float = 60) -> str:
    """Return a scenario of two traders."""
    return EXCHANGE.format(store=store, lock=lock, start=start)


def sums_are_right(document: dict[str, Any]) -> bool:
    """Say whether all that was traded is in the stocks, and nothing else."""
    missing = document["measures"]["missing"].values()
    return document["measures"]["operations"] == 80 and not any(missing)


def test_ours_trade_on_a_segment_of_a_program_outside_the_run(
    tmp_path: Path, theirs: list[Made]
) -> None:
    """It stays when the run ends: its maker may go on with it."""
    document = run(tmp_path, exchange(segment(theirs, TABLE)))
    assert sums_are_right(document), document
    (made,) = theirs
    memory = sysv_ipc.attach(made.id)
    stock = struct.unpack("12d", memory.read(96))[5]
    # Else it is there as long as this process, though it is removed.
    memory.detach()
    assert stock == document["final"]["EURO"]["stock"] != 10000


@pytest.mark.parametrize("by", ["other", "office"])
def test_ours_trade_in_a_file_that_another_program_made(tmp_path: Path, by: str) -> None:
    """Made before the run by one outside it, or by a program of it; both times it stays."""
    path = tmp_path / "exchange.dat"
    if by == "other":
        text = exchange(file(path, TABLE))
    else:
        program(
            tmp_path, "office",
            f"import os, struct\nwith open('{path}', 'xb') as file:\n"
            f"    file.write(struct.pack('12d', *{ROWS}))\n",
        )  # fmt: skip
        text = exchange(mapped(path, by)) + OFFICE
    document = run(tmp_path, text)
    assert sums_are_right(document), document
    stock = document["final"]["EURO"]["stock"]
    assert struct.unpack("12d", path.read_bytes()[:96])[5] == stock != 10000


def test_ours_take_the_lock_of_a_program_outside_the_run(
    tmp_path: Path, theirs: list[Made]
) -> None:
    """A semaphore that was given its value, and never used, is free; it stays."""
    key = names.new_key()
    lock = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600)
    theirs.append(lock)
    lock.value = 1
    asked = f"{{kind: sysv_sem, key: {key}, made_by: other}}"
    document = run(tmp_path, exchange("sysv_shm", asked))
    assert sums_are_right(document), document
    assert lock.value == 1
    assert lock.o_time, "it was used"


def queue_of(theirs: list[Made], directory: Path) -> tuple[str, str, str | int]:
    """Make a queue; returns the channel of a scenario, and the kind and name of the object."""
    key = names.new_key()
    theirs.append(sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=0o600))
    return f"kind: sysv_queue, key: {key}, made_by: other", "sysv_queue", key


def fifo_of(theirs: list[Made], directory: Path) -> tuple[str, str, str | int]:
    """Make a FIFO, likewise."""
    path = str(directory / "fifo")
    os.mkfifo(path, 0o600)
    return f"kind: fifo, path: {path}, made_by: other", "fifo", path


@pytest.mark.parametrize("make", [queue_of, fifo_of])
def test_ours_print_through_a_channel_of_a_program_outside_the_run(
    tmp_path: Path,
    theirs: list[Made],
    make: Callable[[list[Made], Path], tuple[str, str, str | int]],
) -> None:
    """Every job comes out, and the channel stays."""
    channel, kind, name = make(theirs, tmp_path)
    document = run(tmp_path, SPOOLER.format(channel=channel, start=60))
    assert (document["findings"], document["leaks"]) == ([], [])
    assert outcome(document, "printer-0")["summary"]["printed"] == 3
    assert existing.find(kind, name) is not None


def test_ours_print_through_a_queue_that_a_program_of_the_run_made(tmp_path: Path) -> None:
    """It is waited for, and what its maker leaves the launcher removes, and says so."""
    program(
        tmp_path, "sender",
        "import os, sysv_ipc\n"
        "key = int(os.environ['LAB_CHANNEL_JOBS_KEY'], 16)\n"
        "sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX).send('to be printed', type=1)\n",
    )  # fmt: skip
    key = names.new_key()
    document = run(
        tmp_path,
        f"""
system: spooler
channels:
  jobs: {{kind: sysv_queue, key: {key}, made_by: sender}}
processes:
  - role: producer
    name: sender
    to: jobs
    jobs: 1
    format: text
    text: to be printed
    command: ./sender
  - {{role: printer, source: jobs, format: text}}
""",
    )
    assert document["findings"] == []
    assert any("sender left its sysv_queue" in remark for remark in document["remarks"])
    assert existing.find("sysv_queue", key) is None


NEVER = {
    "sysv_shm": lambda path: exchange(
        f"{{kind: sysv_shm, key: {path}, made_by: other}}", start=0.1
    ),
    "sysv_sem": lambda path: exchange(
        "sysv_shm", f"{{kind: sysv_sem, key: {path}, made_by: other}}", start=0.1
    ),
    "file": lambda path: exchange(mapped(path), start=0.1),
    "sysv_queue": lambda path: SPOOLER.format(
        channel=f"kind: sysv_queue, key: {path}, made_by: other", start=0.1
    ),
    "fifo": lambda path: SPOOLER.format(
        channel=f"kind: fifo, path: {path}, made_by: other", start=0.1
    ),
}


def refused(directory: Path, text: str) -> str:
    """Run what cannot begin; returns the one sentence that says why."""
    done = launched(directory, text)
    assert (done.status, done.out) == (4, ""), done
    (said,) = done.err.splitlines()
    return said


@pytest.mark.parametrize("kind", NEVER)
def test_what_nobody_makes_is_waited_for_until_the_deadline(tmp_path: Path, kind: str) -> None:
    """One sentence: what was waited for, how long, who was to make it, and the mend."""
    name: object = names.new_key() if kind.startswith("sysv") else tmp_path / "never"
    said = refused(tmp_path, NEVER[kind](name))
    shown = existing.shown(name) if isinstance(name, int) else name
    assert said.startswith(f"waited 0.1 s for {kind} {shown}, which a program outside this run is")
    assert "start its maker, or deadlines.start" in said


def test_a_segment_that_is_too_small_for_the_table_is_refused_at_once(
    tmp_path: Path, theirs: list[Made]
) -> None:
    """It will not grow."""
    said = refused(tmp_path, exchange(segment(theirs, TABLE[:-1])))
    assert "has 95 bytes, 96 are needed" in said


def test_a_file_that_stays_too_small_is_told_with_its_sizes(tmp_path: Path) -> None:
    """It may grow, and is waited for."""
    store = file(tmp_path / "exchange.dat", TABLE[:-1])
    said = refused(tmp_path, exchange(store, start=0.1))
    assert "waited 0.1 s" in said
    assert "it has 95 of 96 bytes" in said


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (bytes(96), "the row DOLLAR of an exchange (it holds [0.0, 0.0, 0.0])"),
        (TABLE[:40] + struct.pack("d", float("nan")) + TABLE[48:], "the row EURO of an exchange"),
        (b"no exchange at all, but some text.".ljust(96, b"."), "the row DOLLAR of an exchange"),
    ],
    ids=["zeros", "no number", "text"],
)
@pytest.mark.parametrize("store", ["sysv_shm", "mmap_file"])
def test_what_holds_no_table_is_told_with_what_it_holds(
    tmp_path: Path, theirs: list[Made], content: bytes, told: str, store: str
) -> None:
    """Nobody trades on it; who fills it has until the deadline."""
    made = segment(theirs, content) if store == "sysv_shm" else file(tmp_path / "t", content)
    said = refused(tmp_path, exchange(made, start=0.1))
    assert f"waited 0.1 s for {told}" in said


def test_a_table_that_a_program_of_the_run_fills_with_other_rates_is_told(
    tmp_path: Path, maker: Maker
) -> None:
    """The rows of the scenario are what its stock is judged by: it is waited for in vain."""
    path = tmp_path / "exchange.dat"
    program(tmp_path, "office", "")
    text = scenario(tmp_path, exchange(mapped(path, "office")) + OFFICE)
    planned = plan(load(text, SYSTEMS), None, 1, SYSTEMS)
    others = Others(planned, addresses.make(planned, maker, tmp_path), maker)
    others.expect()
    with selectors.DefaultSelector() as selector:
        nobody = Members(planned, selector, lambda *_, **__: None)
        assert "which office is to make" in others.missing(nobody)
        file(path, struct.pack("12d", *[1.0] * 12))
        told = "the row DOLLAR with [3.73, 3.72, 10000.0] (it holds [1.0, 1.0, 1.0])"
        assert others.missing(nobody) == told
        with path.open("r+b") as filled:
            filled.write(TABLE)
        assert others.missing(nobody) == ""


def test_a_semaphore_without_its_first_value_is_waited_for(
    tmp_path: Path, theirs: list[Made]
) -> None:
    """Its maker stands between semget(2) and SETVAL: at the deadline just that is said."""
    key = names.new_key()
    theirs.append(sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600))
    asked = f"{{kind: sysv_sem, key: {key}, made_by: other}}"
    said = refused(tmp_path, exchange("sysv_shm", asked, start=0.1))
    assert f"waited 0.1 s for sysv_sem {key:#x}" in said
    assert "it has no value yet" in said


def test_a_semaphore_is_there_once_it_has_a_value_or_was_used(theirs: list[Made]) -> None:
    """A value above 0 was set, and so was one that somebody has taken since: sem_otime."""
    key = names.new_key()
    awaited = Awaited("sysv_sem", key)
    lock = sysv_ipc.Semaphore(key, sysv_ipc.IPC_CREX, mode=0o600)
    theirs.append(lock)
    assert foreign.look(awaited) is None
    lock.value = 1
    assert foreign.look(awaited) is not None
    lock.acquire()
    assert (lock.value, lock.o_time > 0) == (0, True)
    assert foreign.look(awaited) is not None


def test_a_queue_without_room_for_a_message_is_refused(theirs: list[Made]) -> None:
    """A sender would wait for room that never comes."""
    key = names.new_key()
    queue = sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=0o600)
    theirs.append(queue)
    queue.max_size = 63
    with pytest.raises(KernelObjectError, match="63 bytes, 64 are needed"):
        foreign.look(Awaited("sysv_queue", key, 64))
    queue.max_size = 64
    assert foreign.look(Awaited("sysv_queue", key, 64)) is not None
