from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common.errors import StoredRunError
from common.history import mapped, merge, record, scratch
from common.history.merge import History, States, load_history
from common.history.operations import Effect
from common.history.recorder import Recorder
from exchange.operations import BUY, READ_ROW, SELL
from tests.verdict.scenes import OPERATIONS

HOUR = 3_600_000_000_000


def recorder(directory: Path, name: str, index: int = 0) -> Recorder:
    return Recorder(directory / f"{name}.rec", name, "trader", index, 256)


def write(to: Recorder, number: int, code: int = BUY, *, ended: bool = True) -> int:
    """Record operation ``number``; its values tell it from any other."""
    at = HOUR + 1000 * number
    cell = to.begin(code, number % 4, number << 32 | 7, at + 1, at + 2, number + 0.5)
    if ended:
        to.end(cell, number + 1.5, number + 2.5, number + 3.5, number + 4.5, at + 3)
    return cell


def load(directory: Path) -> History:
    return load_history(directory, OPERATIONS)


def test_every_field_comes_back_as_it_was_recorded(tmp_path: Path) -> None:
    """Times to the nanosecond, values to the bit."""
    to = recorder(tmp_path, "trader-1", 3)
    to.refuse(write(to, 5, SELL))
    history = load(tmp_path)
    (process,) = history.processes
    assert (process.pid, process.index, process.name, process.role) == (
        os.getpid(), 3, "trader-1", "trader",
    )  # fmt: skip
    expected = {
        "asked": HOUR + 5001, "entered": HOUR + 5002, "left": HOUR + 5003, "item": 5 << 32 | 7,
        "v0": 5.5, "v1": 6.5, "v2": 7.5, "v3": 8.5, "v4": 9.5, "object": 1, "seq": 1,
    }  # fmt: skip
    assert history.record(0) == expected
    expected |= {"code": SELL, "outcome": 1, "process": 0}
    assert {name: history.column(name).tolist()[0] for name in expected} == expected


def test_columns_join_all_processes_by_their_index(tmp_path: Path) -> None:
    """A position counts through the processes in the order of their index, not of their names."""
    for name, index, count in (("b", 0, 3), ("a", 1, 2), ("c", 2, 0)):
        to = recorder(tmp_path, name, index)
        for number in range(count):
            write(to, 10 * index + number)
    history = load(tmp_path)
    assert len(history) == 5
    assert [process.name for process in history.processes] == ["b", "a", "c"]
    assert history.column("process").tolist() == [0, 0, 0, 1, 1]
    assert history.column("seq").tolist() == [1, 2, 3, 1, 2]
    assert history.column("v0").tolist() == [0.5, 1.5, 2.5, 10.5, 11.5]
    assert [history.process_at(position).name for position in range(5)] == [*"bbbaa"]


@pytest.mark.parametrize("name", ["asked", "left", "item", "v4", "process"])
def test_gathering_some_records_equals_picking_from_the_column(tmp_path: Path, name: str) -> None:
    """Whichever processes the positions fall on."""
    for index in range(3):
        to = recorder(tmp_path, f"t{index}", index)
        for number in range(4):
            write(to, 10 * index + number)
    history = load(tmp_path)
    for chosen in ([], [0], [11], [3, 4], [0, 2, 9, 11], list(range(12))):
        positions = np.array(chosen, np.int64)
        assert history.gather(name, positions).tolist() == history.column(name)[positions].tolist()


def test_a_file_that_grew_is_read_to_its_end(tmp_path: Path) -> None:
    """More than one window of records."""
    to = recorder(tmp_path, "t")
    for number in range(3 * record.WINDOW_RECORDS + 1):
        write(to, number)
    history = load(tmp_path)
    assert history.column("v0").tolist() == [n + 0.5 for n in range(3 * record.WINDOW_RECORDS + 1)]


def test_files_are_mapped_and_not_copied(tmp_path: Path) -> None:
    """The records of a process are a view of its file."""
    write(recorder(tmp_path, "t"), 1)
    assert not load(tmp_path).processes[0].records.flags.owndata


def test_operations_are_selected_by_effect_and_by_what_became_of_them(tmp_path: Path) -> None:
    """Refused ones are neither done nor in flight."""
    to = recorder(tmp_path, "t")
    write(to, 0)
    to.refuse(write(to, 1))
    write(to, 2, READ_ROW)
    write(to, 3, SELL, ended=False)
    history = load(tmp_path)
    assert history.select(Effect.UPDATE).tolist() == [0]
    assert history.select(Effect.UPDATE, Effect.SNAPSHOT).tolist() == [0, 2]
    assert history.select(Effect.UPDATE, done=False).tolist() == [3]
    assert history.select(Effect.SET).tolist() == []
    assert history.refused.tolist() == [False, True, False, False]


def test_what_was_only_declared_did_not_happen(tmp_path: Path) -> None:
    """The first record without an end was perhaps in flight; nothing after it was begun."""
    to = recorder(tmp_path, "t")
    write(to, 0)
    to.declare([float(BUY)] * 3, [1, 2, 3], [1.0, 2.0, 3.0])
    history = load(tmp_path)
    assert history.column("v0").tolist() == [0.5, 1.0]
    assert history.in_flight.tolist() == [False, True]


def test_what_was_withdrawn_is_gone(tmp_path: Path) -> None:
    """A process that finished early leaves nothing in flight."""
    to = recorder(tmp_path, "t")
    write(to, 0)
    to.withdraw(to.declare([float(BUY)] * 3, [1, 2, 3], [1.0, 2.0, 3.0]).start)
    assert len(load(tmp_path)) == 1


def spoil(path: Path, at: int, kind: float) -> None:
    with path.open("r+b") as file:
        file.seek(record.HEADER_SIZE + at * record.RECORD_SIZE + 8 * record.KIND)
        file.write(np.float64(kind).tobytes())


@pytest.mark.parametrize("kind", [77.0, 1.5, -1.0, 1e9, float("nan"), float("inf")])
def test_an_unknown_operation_is_refused(tmp_path: Path, kind: float) -> None:
    """A history of another version, or of a system that is not there, is not guessed at."""
    to = recorder(tmp_path, "t")
    for number in range(3):
        write(to, number)
    spoil(tmp_path / "t.rec", 1, kind)
    with pytest.raises(StoredRunError, match=r"t\.rec: record 2 is of the unknown kind"):
        load(tmp_path)


def test_a_file_that_is_not_a_history_is_refused(tmp_path: Path) -> None:
    """Its name alone does not make it one."""
    (tmp_path / "x.rec").write_bytes(b"something else".ljust(8192, b"."))
    with pytest.raises(StoredRunError, match="not a history file of this version"):
        load(tmp_path)


@pytest.mark.parametrize("size", [0, 100, record.HEADER_SIZE, 3 * record.HEADER_SIZE])
def test_a_process_that_died_before_its_header_has_no_history(tmp_path: Path, size: int) -> None:
    """A file just created, or allocated and not yet written, is no error."""
    (tmp_path / "x.rec").write_bytes(bytes(size))
    write(recorder(tmp_path, "t"), 1)
    assert [process.name for process in load(tmp_path).processes] == ["t"]


def test_a_record_cut_in_the_middle_is_left_out(tmp_path: Path) -> None:
    """A file copied from a full disk ends somewhere; its whole records stand."""
    to = recorder(tmp_path, "t")
    for number in range(3):
        write(to, number)
    os.truncate(tmp_path / "t.rec", record.HEADER_SIZE + 2 * record.RECORD_SIZE + 40)
    assert len(load(tmp_path)) == 2


def test_a_missing_directory_is_an_error_of_the_stored_run(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(StoredRunError, match="nowhere"):
        load(tmp_path / "nowhere")


def test_a_name_cut_inside_a_character_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    """32 bytes are 31 of the name and half of its last letter."""
    Recorder(tmp_path / "t.rec", "x" * 31 + "é", "r", 0, 1)
    assert load(tmp_path).processes[0].name == "x" * 31 + "\N{REPLACEMENT CHARACTER}"


def test_numpy_starts_no_threads() -> None:
    """The launcher forks, and a fork beside threads is not safe."""
    program = "import common.verdict.judge, os; print(len(os.listdir('/proc/self/task')))"
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_NUM_THREADS"}
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True,
        env=environment, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert found.stdout == "1\n"


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have everything done in chunks of three records, and every array in a file."""
    monkeypatch.setattr(scratch, "LARGE", 1)
    for module in (scratch, merge, mapped):
        monkeypatch.setattr(module, "CHUNK", 3)


CELLS = [
    "asked", "entered", "left", "item", "v0", "v1", "v2", "v3", "v4", "process", "held_first",
    "held_last",
]  # fmt: skip
FIELDS = [*CELLS, "seq", "code", "object", "outcome"]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", FIELDS)
def test_chunks_are_seams_that_nobody_sees(name: str, tmp_path: Path) -> None:
    """A column that was joined from many parts, in a file, holds what each record holds."""
    for index in range(3):
        to = recorder(tmp_path, f"t{index}", index)
        for number in range(5 * index):
            write(to, 10 * index + number)
    history = load(tmp_path)
    column = history.column(name).tolist()
    assert len(column) == 15
    if name in history.record(0):
        assert column == [history.record(at)[name] for at in range(15)]


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", CELLS)
def test_gathering_many_chunks_equals_picking_from_the_column(name: str, tmp_path: Path) -> None:
    """Neighbours and records far from each other, across processes."""
    for index in range(3):
        to = recorder(tmp_path, f"t{index}", index)
        for number in range(9):
            write(to, 10 * index + number)
    history = load(tmp_path)
    for chosen in (range(27), range(0, 27, 2), [0, 1, 2, 3, 5, 6, 7, 8, 20, 26]):
        positions = np.array(chosen, np.int64)
        gathered = history.gather(name, positions)
        assert gathered.tolist() == history.column(name)[positions].tolist()
        assert gathered.dtype == history.column(name).dtype


@pytest.mark.usefixtures("tiny")
def test_positions_by_object_are_those_of_the_object(tmp_path: Path) -> None:
    """Each operation is with its own object only, in ascending order."""
    for index in range(2):
        to = recorder(tmp_path, f"t{index}", index)
        for number in range(9):
            write(to, 10 * index + number, READ_ROW if number == 4 else BUY)
    history = load(tmp_path)
    chosen = history.select(Effect.UPDATE)
    expected = {row: chosen[history.objects[chosen] == row].tolist() for row in range(4)}
    found = history.by_object(Effect.UPDATE)
    assert {row: positions.tolist() for row, positions in found.items()} == expected


@pytest.mark.usefixtures("tiny")
def test_a_chunk_is_of_one_process(tmp_path: Path) -> None:
    """What is replayed process by process needs no more than its chunks, in their order."""
    for index, count in enumerate((4, 0, 7)):
        to = recorder(tmp_path, f"t{index}", index)
        for number in range(count):
            write(to, number)
    chunks = [(which, part.tolist()) for which, part in load(tmp_path).chunks(Effect.UPDATE)]
    assert chunks == [(0, [0, 1, 2]), (0, [3]), (2, [4, 5, 6]), (2, [7, 8, 9]), (2, [10])]


def test_tallies_count_what_each_process_did(tmp_path: Path) -> None:
    """Done, refused and in flight, by code."""
    to = recorder(tmp_path, "t")
    for _ in range(3):
        write(to, 0)
    to.refuse(write(to, 1, SELL))
    write(to, 2, SELL, ended=False)
    (tally,) = load(tmp_path).tallies
    assert (tally[States.DONE, BUY], tally[States.REFUSED, SELL]) == (3, 1)
    assert (tally[States.IN_FLIGHT, SELL], tally.sum()) == (1, 5)
