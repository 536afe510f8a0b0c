"""Entries with a command that could not be started, led or judged are refused where they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from common.errors import ScenarioError
from common.scenario.load import load
from common.scenario.plan import plan
from exchange import SYSTEM as EXCHANGE
from spooler import SYSTEM as SPOOLER

SYSTEMS = {"exchange": EXCHANGE, "spooler": SPOOLER}
HEAD = "system: [exchange, spooler]\ntable: {store: sysv_shm, lock: sysv_sem}\nprocesses:\n"


def refused(tmp_path: Path, text: str, *settings: str) -> str:
    """Return what is said of a scenario; ``prog`` is a program beside it."""
    prog = tmp_path / "prog"
    prog.write_text("#!/bin/sh\n")
    prog.chmod(0o700)
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(path, SYSTEMS, settings)
    return str(caught.value)


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("{role: trader, operations: 1, command: ./nope}", "4:44: .*there is no program ./nope"),
        ("{role: trader, operations: 1, command: [./nope, x]}", "4:45: .*no program ./nope"),
        ("{role: trader, operations: 1, command: .}", "is a directory"),
        ("{role: trader, operations: 1, command: ./s.yaml}", r"not executable \(chmod \+x"),
        ("{role: trader, operations: 1, command: []}", "names no program"),
        ("{role: trader, operations: 1, command: {a: b}}", "a word is wanted"),
        ("{role: trader, operations: 1, level: plain}", "no program is named"),
        ("{role: trader, operations: 1, command: ./prog, spawn: exec}", "leave spawn out"),
        (
            "{role: trader, operations: 1, command: ./prog, delays: {read: {yields: 1}}}",
            "no steps to be delayed",
        ),
        ("{role: trader, operations: 1, command: ./prog, level: seen}", "no level 'seen'"),
    ],
)
def test_an_entry_that_cannot_be_started_is_refused_at_its_place(
    tmp_path: Path, entry: str, wanted: str
) -> None:
    """Missing, a directory, not executable, no program at all: each with the mend."""
    said = refused(tmp_path, f"{HEAD}  - {entry}\n")
    assert re.search(wanted, said), said


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ("[sell POUND 2501]", "up to 5002 POUND are sold of 5000"),
        ("[sell POUND 3000, buy EURO 1]", "up to 6000 POUND are sold of 5000"),
        ("[buy EURO 250]", "it costs 986, and the balance is 1000"),
        ("[buy EURO 200, buy EURO 100]", "it costs 394.4, and the balance is 211.2"),
    ],
)
def test_lines_that_might_be_refused_by_luck_are_refused(
    tmp_path: Path, lines: str, wanted: str
) -> None:
    """Two tellers with the same lines: what they could sell together must be there at first."""
    text = f"{HEAD}  - {{role: teller, count: 2, lines: {lines}, command: ./prog}}\n"
    if wanted.startswith("it costs 986"):
        # 250 * 3.944 = 986 can be paid: this one must load.
        prog = tmp_path / "prog"
        prog.write_text("#!/bin/sh\n")
        prog.chmod(0o700)
        path = tmp_path / "s.yaml"
        path.write_text(text)
        load(path, SYSTEMS)
        return
    said = refused(tmp_path, text)
    assert wanted in said
    assert "luck" in said


def test_what_others_may_sell_counts_too(tmp_path: Path) -> None:
    """A trader of ours may sell what a line of theirs needs; nobody knows what a broker sells."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: teller, lines: [sell POUND 100], command: ./prog}}\n"
        "  - {role: trader, operations: 1000}\n",
    )
    assert "up to 11100 POUND" in said


def test_rates_that_change_make_a_balance_luck(tmp_path: Path) -> None:
    """Beside a rate_setter nobody can say what a line costs."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: teller, lines: [buy EURO 1], command: ./prog}}\n"
        "  - {role: rate_setter, changes: 1}\n",
    )
    assert "changes the rates while teller trades" in said


def test_a_plain_program_keeps_no_intent_record(tmp_path: Path) -> None:
    """Where it would be needed: on a table with recovery."""
    head = HEAD.replace("lock: sysv_sem", "lock: {kind: sysv_sem, undo: true}, recovery: intent")
    text = f"{head}  - {{role: trader, operations: 1, command: ./prog}}\n"
    said = refused(tmp_path, text)
    assert re.search(r"4:35: .*keeps no intent record", said), said
    assert "level: recorded" in said


def test_a_plain_program_cannot_be_scheduled(tmp_path: Path) -> None:
    """It has no steps."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: trader, operations: 1, command: ./prog}}\n"
        "schedule:\n  - {trader-0: read}\n",
    )
    assert "no steps, and nobody can lead it" in said


@pytest.mark.parametrize(
    "rest",
    [
        "delays: {write: {yields: 1}, read: {yields: 1}}\n",
        "schedule:\n  - {trader-0: read}\n  - {trader-1: [read, write]}\n",
        "schedule:\n  - {trader-0: read}\ndelays: {write: {yields: 1}}\n",
        "faults: [{kind: kill, process: trader-0, step: write, at: 2}]\n",
    ],
)
def test_a_forgotten_level_is_told_once_and_nothing_that_follows_from_it(
    tmp_path: Path, rest: str
) -> None:
    """That the program has no steps is the cause of every other complaint."""
    text = f"{HEAD}  - {{role: trader, count: 2, operations: 1, command: ./prog}}\n{rest}"
    said = refused(tmp_path, text)
    assert said.count("\n") == 0, said
    assert "trader is a plain program: it has no steps" in said
    assert "(level: recorded, " in said


def test_a_step_that_the_role_does_not_have_is_told_all_the_same(tmp_path: Path) -> None:
    """It does not follow from the level: no trader has it."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: trader, operations: 1, command: ./prog}}\n"
        "delays: {move: {yields: 1}}\n",
    )
    assert "no process has a step 'move'" in said


@pytest.mark.parametrize("kind", ["pipe", "socketpair", "popen"])
def test_what_is_inherited_no_other_program_can_open(tmp_path: Path, kind: str) -> None:
    """A descriptor has no name: the complaint says which kinds have one."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: producer, jobs: 1, to: jobs, command: ./prog}}\n"
        f"  - {{role: printer, source: jobs}}\nchannels: {{jobs: {kind}}}\n",
    )
    assert "inherited as an open descriptor" in said
    assert "sysv_queue" in said


def test_a_program_receives_at_a_socket_that_it_makes_itself(tmp_path: Path) -> None:
    """The launcher's listening socket is inherited; the mend is made_by."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: producer, jobs: 1, to: jobs}}\n"
        "  - {role: printer, source: jobs, command: ./prog}\nchannels: {jobs: unix_stream}\n",
    )
    assert "made_by: printer" in said


@pytest.mark.parametrize(
    ("store", "wanted"),
    [
        ("{kind: sysv_shm, key: 77, made_by: nobody}", "no program 'nobody' among"),
        ("{kind: sysv_shm, made_by: other}", "without its key or path"),
        ("{kind: mmap_file, made_by: other}", "anywhere: true"),
        ("{kind: mmap_file, path: /x}", "leads out of the directory"),
        ("{kind: sysv_shm, key: 77, made_by: many}", "one plain program makes an object"),
    ],
)
def test_an_object_needs_a_maker_and_a_name(tmp_path: Path, store: str, wanted: str) -> None:
    """Who makes it must exist, be one, and say under which name."""
    said = refused(
        tmp_path,
        f"system: exchange\ntable: {{store: {store}}}\nprocesses:\n"
        "  - {role: teller, name: many, count: 2, lines: [], command: ./prog}\n",
    )
    assert wanted in said


@pytest.mark.parametrize("path", ["mysocket", "/tmp/../etc/x"])
def test_a_path_is_absolute(tmp_path: Path, path: str) -> None:
    """Relative to what it would be, nobody could say."""
    said = refused(
        tmp_path,
        f"{HEAD}  - {{role: producer, jobs: 1, to: jobs}}\n  - {{role: printer, source: jobs}}\n"
        f"channels: {{jobs: {{kind: fifo, path: {path}}}}}\n",
    )
    assert "is no absolute path" in said


@pytest.mark.parametrize(
    ("kind", "path", "wanted"),
    [
        (
            "unix_stream",
            "/tmp/" + 103 * "s",
            "a path of 108 bytes: that of a socket has at most 107",
        ),
        ("unix_dgram", "/tmp/" + 52 * "é", "a path of 109 bytes: that of a socket has at most 107"),
        ("fifo", 41 * ("/" + 99 * "f"), "a path of 4100 bytes: that of a fifo has at most 4095"),
        ("fifo", "/tmp/" + 300 * "f", "a path with a name of 300 bytes: a name has at most 255"),
    ],
)
def test_a_path_that_no_kernel_takes_is_refused_in_its_place(
    tmp_path: Path, kind: str, path: str, wanted: str
) -> None:
    """Told with line and column before anything is made; bytes count, not letters."""
    said = refused(
        tmp_path,
        "system: spooler\nprocesses:\n"
        "  - {role: producer, jobs: 1, to: jobs}\n  - {role: printer, source: jobs}\n"
        f"channels:\n  jobs:\n    kind: {kind}\n    path: {path}\n",
    )
    assert f"s.yaml:8:11: channels.jobs.path: {wanted}" in said


def test_the_longest_path_that_a_kernel_takes_is_none_too_long(tmp_path: Path) -> None:
    """One byte less than is refused; nothing is made here."""
    path = tmp_path / "s.yaml"
    path.write_text(
        "system: spooler\nprocesses:\n"
        "  - {role: producer, jobs: 1, to: jobs}\n  - {role: printer, source: jobs}\n"
        f"channels: {{jobs: {{kind: unix_stream, path: /tmp/{102 * 's'}}}}}\n"
    )
    load(path, SYSTEMS)


def test_the_file_of_a_table_has_no_name_that_is_too_long(tmp_path: Path) -> None:
    """A name of 255 bytes is the longest of any file."""
    said = refused(
        tmp_path,
        "system: exchange\nprocesses: [{role: trader, operations: 1}]\n"
        f"table: {{store: {{kind: mmap_file, path: {256 * 'x'}}}}}\n",
    )
    assert "s.yaml:3:40: table.store.path: a path with a name of 256 bytes" in said


def test_where_a_program_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the scenario, then in the working directory; from the command line there alone."""
    beside, here = tmp_path / "beside", tmp_path / "here"
    for folder in (beside, here):
        folder.mkdir()
        for name in ("prog", folder.name):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(0o700)
    path = beside / "s.yaml"
    path.write_text(f"{HEAD}  - {{role: trader, operations: 1, command: ./prog}}\n")
    monkeypatch.chdir(here)

    def words(*settings: str) -> list[str]:
        planned = plan(load(path, SYSTEMS, settings), None, 1, SYSTEMS)
        program = planned.processes[0].program
        assert program is not None
        assert program.directory == str(Path(program.words[0]).parent)
        return program.words

    assert words() == [str(beside / "prog")]
    assert words("processes.0.command=./prog") == [str(here / "prog")]
    assert words("processes.0.command=[./here, 1, two]") == [str(here / "here"), "1", "two"]
