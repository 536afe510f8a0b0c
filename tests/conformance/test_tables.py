"""Every kind of shared memory through one contract: a new kind is one file."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from common import kinds
from common.errors import ObjectVanished
from common.kernel import existing
from common.kernel.objects import Maker
from tests.conftest import Fork, limited

# Four rows of the lecture's struct Currency { double sell, buy; double stock; }.
SIZE = 96
ROWS = struct.Struct("12d")


class Opener(NamedTuple):
    """Opens the memory of a test as often as it is asked to."""

    kind: str
    address: dict[str, Any]

    def __call__(self) -> Any:
        return kinds.load(kinds.TABLES, self.kind).attach(self.address)


@pytest.fixture(params=kinds.names(kinds.TABLES))
def opener(request: pytest.FixtureRequest, maker: Maker) -> Opener:
    module = kinds.load(kinds.TABLES, request.param)
    return Opener(request.param, module.make(module.Options(), SIZE, maker))


def test_a_table_makes_what_it_is_counted_for(opener: Opener, maker: Maker) -> None:
    """The machine is asked for just these before the run."""
    assert limited(maker) == kinds.load(kinds.TABLES, opener.kind).OBJECTS


def test_new_memory_is_fresh_zeroed_and_large_enough(opener: Opener) -> None:
    """sysv_ipc alone would fill it with blanks; sizes are rounded up, never down."""
    assert opener.address["fresh"] is True
    memory = opener()
    assert len(memory.bytes) >= SIZE
    assert not any(memory.bytes)
    memory.close()


def test_the_cells_are_the_bytes_in_the_layout_of_a_c_struct(opener: Opener) -> None:
    """A program that knows twelve doubles and nothing else reads and writes the same values."""
    memory = opener()
    values = [3.73, 3.72, 10000.0] * 4
    for at, value in enumerate(values):
        memory.cells[at] = value
    assert list(ROWS.unpack_from(memory.bytes)) == values
    ROWS.pack_into(memory.bytes, 0, *reversed(values))
    assert memory.cells[:12].tolist() == values[::-1]
    assert memory.cells.format == "d"
    assert len(memory.cells) == len(memory.bytes) // 8
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


def test_contents_stay_while_nobody_is_attached(opener: Opener) -> None:
    """Closing is not removing."""
    memory = opener()
    memory.cells[11] = 1.5
    memory.close()
    again = opener()
    assert again.cells[11] == 1.5
    again.close()


def test_what_was_closed_cannot_be_read(opener: Opener) -> None:
    """Reading a view of detached memory is a segmentation fault; a released one is refused."""
    memory = opener()
    memory.close()
    with pytest.raises(ValueError, match="released"):
        memory.cells[0]
    with pytest.raises(ValueError, match="released"):
        memory.bytes[0]
    memory.close()


def test_a_slice_that_outlives_its_memory_is_no_segmentation_fault(
    opener: Opener, fork: Fork
) -> None:
    """In a child, because a segmentation fault would end the test."""

    def keep() -> None:
        memory = opener()
        kept = memory.cells[2:3]
        memory.close()
        assert kept[0] == 0.0

    assert fork(keep).ended() == 0


def test_what_is_not_there_cannot_be_attached(opener: Opener, maker: Maker) -> None:
    """The message is about the object that vanished, not a system call's."""
    maker.remove_all()
    with contextlib.suppress(KeyError):
        Path(opener.address["path"]).unlink()
    with pytest.raises(ObjectVanished):
        opener()


def test_what_stays_after_the_run_is_declared_and_everything_else_is_gone(
    opener: Opener, maker: Maker
) -> None:
    """Removed with the run, or told as kept: never a leak, never removed."""
    [before] = maker.objects()
    memory = opener()
    memory.close()
    maker.remove_all()
    maker.remove_all()
    assert maker.leaks() == []
    kept = before.get("kept", False)
    assert maker.objects() == ([before] if kept else [])
    name = opener.address["path" if kept else "key"]
    assert (existing.find(before["kind"], name) is not None) is kept
