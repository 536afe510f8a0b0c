"""Every kind of shared memory through one contract: a new kind is one file."""

from __future__ import annotations

import contextlib
import itertools
import mmap
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sysv_ipc

from common import kinds
from common.errors import ObjectVanished
from common.kernel import existing
from common.kernel.ledger import Ledger
from common.kernel.objects import Maker
from tests.conftest import Fork, Signpost, limited

# Four rows of the lecture's struct Currency { double sell, buy; double stock; }.
SIZE = 96
ROWS = struct.Struct("12d")
# Enough memory that a hundred processes have a cell each.
PROCESSES = 100
# Two values that differ in each of their eight bytes.
ONE, OTHER = struct.unpack("2d", bytes(range(0x11, 0x19)) + bytes(range(0x21, 0x29)))

Posts = Callable[[], Signpost]


class Outside:
    """The object as a program sees it that knows its name, and twelve doubles."""

    def __init__(self, maker: Maker) -> None:
        [entry] = maker.objects()
        self.kind: str = entry["kind"]
        self.name = int(entry["name"], 16) if self.kind in existing.SYSV else str(entry["name"])

    def read(self) -> tuple[float, ...]:
        if isinstance(self.name, int):
            segment = sysv_ipc.SharedMemory(self.name)
            there = bytes(segment.read(SIZE))
            segment.detach()
        else:
            there = existing.path(self.kind, self.name).read_bytes()
        return ROWS.unpack_from(there)

    def write(self, *values: float) -> None:
        if isinstance(self.name, int):
            segment = sysv_ipc.SharedMemory(self.name)
            segment.write(ROWS.pack(*values))
            segment.detach()
        else:
            with existing.path(self.kind, self.name).open("r+b") as file:
                file.write(ROWS.pack(*values))

    @property
    def exists(self) -> bool:
        return existing.find(self.kind, self.name) is not None

    def remove(self) -> None:
        found = existing.find(self.kind, self.name)
        assert found is not None
        existing.remove(self.kind, self.name, found)


class Opener(NamedTuple):
    """Opens the memory of a test as often as it is asked to."""

    kind: str
    address: dict[str, Any]

    @property
    def module(self) -> Any:
        return kinds.load(kinds.TABLES, self.kind)

    def __call__(self) -> Any:
        return self.module.attach(self.address)


def opened(kind: str, size: int, maker: Maker) -> Opener:
    module = kinds.load(kinds.TABLES, kind)
    return Opener(kind, module.make(module.Options(), size, maker))


@pytest.fixture(params=kinds.names(kinds.TABLES))
def opener(request: pytest.FixtureRequest, maker: Maker) -> Opener:
    return opened(request.param, SIZE, maker)


@pytest.fixture(params=kinds.names(kinds.TABLES))
def wide(request: pytest.FixtureRequest, maker: Maker) -> Opener:
    """A table with a cell for each of many processes."""
    return opened(request.param, PROCESSES * 8, maker)


@pytest.fixture
def next_run(maker: Maker, tmp_path: Path) -> Iterator[Maker]:
    """Another run of the same scenario."""
    directory = tmp_path / "next"
    directory.mkdir(0o700)
    ledger = Ledger.create(directory, scenario="test", run_dir=str(tmp_path))
    following = Maker(ledger, directory, maker.base)
    yield following
    following.remove_all()
    assert following.leaks() == []
    ledger.close()
    shutil.rmtree(directory)


def test_a_table_makes_what_it_is_counted_for(opener: Opener, maker: Maker) -> None:
    """The machine is asked for just these before the run."""
    assert limited(maker) == opener.module.OBJECTS


def test_new_memory_is_fresh_zeroed_and_large_enough(opener: Opener, maker: Maker) -> None:
    """sysv_ipc alone would fill it with blanks; sizes are rounded up, never down."""
    assert opener.address["fresh"] is True
    memory = opener()
    assert len(memory.cells) * 8 >= SIZE
    assert memory.cells.tolist() == [0.0] * len(memory.cells)
    assert Outside(maker).read() == (0.0,) * 12
    memory.close()


# Access


def test_the_cells_are_the_bytes_in_the_layout_of_a_c_struct(opener: Opener, maker: Maker) -> None:
    """A program that knows twelve doubles and nothing else reads and writes the same values."""
    memory, outside = opener(), Outside(maker)
    values = (3.73, 3.72, 10000.0) * 4
    for at, value in enumerate(values):
        memory.cells[at] = value
    assert outside.read() == values
    outside.write(*reversed(values))
    assert memory.cells[:12].tolist() == [*reversed(values)]
    memory.close()


def test_cells_are_counted_and_sliced_as_a_sequence_is(opener: Opener) -> None:
    """From the end as well, with a step, and never past it; a slice shows what is stored later."""
    memory = opener()
    cells, count = memory.cells, len(memory.cells)
    for at in range(12):
        cells[at] = float(at)
    assert [cells[at] for at in range(12)] == [float(at) for at in range(12)]
    part = cells[3:9]
    assert (len(part), part.tolist(), part[1:3].tolist()) == (6, [3, 4, 5, 6, 7, 8], [4, 5])
    assert cells[2:11:3].tolist() == [2, 5, 8]
    cells[4] = 44.0
    assert (part[1], part[-1]) == (44.0, 8.0)
    cells[-1] = 7.5
    assert cells[count - 1] == 7.5
    for past in (count, -count - 1):
        with pytest.raises(IndexError):
            cells[past]
        with pytest.raises(IndexError):
            cells[past] = 1.0
    del part
    memory.close()


def test_a_cell_holds_every_double_as_it_is(opener: Opener) -> None:
    """The greatest, the smallest, the signed zero, the infinite, to the last bit."""
    memory = opener()
    for value in (1.7976931348623157e308, 5e-324, -0.0, float("-inf"), 10000 + 2**-30):
        memory.cells[5] = value
        assert struct.pack("d", memory.cells[5]) == struct.pack("d", value)
    memory.cells[5] = 3
    assert memory.cells[5] == 3.0
    memory.close()


def test_what_one_process_stores_another_sees(opener: Opener, fork: Fork) -> None:
    """Each has attached it on its own, as processes of different programs do."""
    mine = opener()

    def store() -> None:
        memory = opener()
        memory.cells[2] = 9876.5
        memory.close()

    assert fork(store).ended() == 0
    assert mine.cells[2] == 9876.5
    mine.close()


def test_a_cell_is_stored_and_read_whole(opener: Opener, fork: Fork) -> None:
    """One process stores two values in turn, another never sees a third one, of parts of both."""
    memory, over = opener(), mmap.mmap(-1, 1)
    memory.cells[1] = ONE

    def store() -> None:
        cells = opener().cells
        for value in itertools.cycle((OTHER, ONE)):
            cells[1] = value
            if over[0]:
                return

    child = fork(store)
    cells, last, changes, reads = memory.cells, ONE, 0, 0
    # Read under load: as often as that, and until it has changed before our eyes again and again.
    while reads < 50_000 or changes < 100:
        value = cells[1]
        assert value in (ONE, OTHER)
        changes += value != last
        last, reads = value, reads + 1
    over[0] = 1
    assert child.ended() == 0
    memory.close()


def test_a_hundred_processes_have_it_attached(wide: Opener, fork: Fork, signpost: Posts) -> None:
    """Each writes its own cell and sees those of all the others; then all let go."""
    came, go = signpost(), signpost()
    expected = [number + 0.5 for number in range(PROCESSES)]

    def work(number: int) -> None:
        memory = wide()
        memory.cells[number] = number + 0.5
        came.show("c")
        go.see("g")
        assert memory.cells[:PROCESSES].tolist() == expected
        memory.close()

    children = [fork(partial(work, number)) for number in range(PROCESSES)]
    for _ in children:
        came.see("c")
    for _ in children:
        go.show("g")
    assert [child.ended() for child in children] == [0] * PROCESSES


# Closing


def test_contents_stay_while_nobody_is_attached(opener: Opener) -> None:
    """Closing is not removing."""
    memory = opener()
    memory.cells[11] = 1.5
    memory.close()
    again = opener()
    assert again.cells[11] == 1.5
    again.close()


def test_what_was_closed_cannot_be_read_or_written(opener: Opener) -> None:
    """Reading a view of detached memory is a segmentation fault; a released one is refused."""
    memory = opener()
    cells = memory.cells
    memory.close()
    with pytest.raises(ValueError, match="released"):
        cells[0]
    with pytest.raises(ValueError, match="released"):
        cells[0] = 1.0
    with pytest.raises(ValueError, match="released"):
        cells[:2].tolist()
    memory.close()


def test_a_slice_that_outlives_its_memory_is_no_segmentation_fault_and_no_other_file(
    opener: Opener, fork: Fork
) -> None:
    """It keeps the memory, or is refused. In a child: a segmentation fault would end the test."""

    def keep() -> None:
        memory = opener()
        kept = memory.cells[2:3]
        memory.close()
        # Whatever number this file has in the process, the cells were never in it.
        other = os.open(__file__, os.O_RDONLY)
        with contextlib.suppress(ValueError):
            assert kept[0] == 0.0
        os.close(other)

    assert fork(keep).ended() == 0


def test_attaching_and_closing_leaves_no_descriptor(opener: Opener) -> None:
    """However often."""
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for _ in range(10):
        opener().close()
    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


# The end


def test_what_is_not_there_cannot_be_attached(opener: Opener, maker: Maker) -> None:
    """The message is about the object that vanished, not a system call's."""
    Outside(maker).remove()
    name = opener.address.get("key") or opener.address.get("name") or opener.address["path"]
    shown = f"{name:#x}" if isinstance(name, int) else name
    with pytest.raises(ObjectVanished, match=shown):
        opener()


def test_who_has_it_attached_when_it_is_removed_goes_on(
    opener: Opener, maker: Maker, fork: Fork, signpost: Posts
) -> None:
    """The kernel keeps it until the last one lets go; nobody is told, and nobody new comes in."""
    mine, told, may = opener(), signpost(), signpost()

    def go_on() -> None:
        memory = opener()
        told.show("a")
        may.see("g")
        assert memory.cells[3] == 31.5
        memory.cells[4] = 41.5
        memory.close()

    child = fork(go_on)
    told.see("a")
    outside = Outside(maker)
    outside.remove()
    assert not outside.exists
    mine.cells[3] = 31.5
    may.show("g")
    assert child.ended() == 0
    assert mine.cells[4] == 41.5
    with pytest.raises(ObjectVanished):
        opener()
    mine.close()


def test_contents_carry_on_in_the_next_run_just_where_the_kind_says_so(
    opener: Opener, maker: Maker, next_run: Maker
) -> None:
    """``facts.outlives``: the next run finds the stock of this one, or a table of zeros."""
    outlives = opener.module.facts(opener.module.Options()).outlives
    memory = opener()
    memory.cells[2] = 4321.0
    memory.close()
    maker.remove_all()
    address = opener.module.make(opener.module.Options(), SIZE, next_run)
    assert address["fresh"] is not outlives
    again = opener.module.attach(address)
    assert again.cells[2] == (4321.0 if outlives else 0.0)
    again.close()


def test_what_stays_after_the_run_is_declared_and_everything_else_is_gone(
    opener: Opener, maker: Maker
) -> None:
    """Removed with the run, or told as kept: never a leak, never removed."""
    [before] = maker.objects()
    outside = Outside(maker)
    memory = opener()
    memory.close()
    maker.remove_all()
    maker.remove_all()
    assert maker.leaks() == []
    kept = before.get("kept", False)
    assert kept is opener.module.facts(opener.module.Options()).outlives
    assert maker.objects() == ([before] if kept else [])
    assert outside.exists is kept
