"""The table that is read and written by system calls: the file of ``mmap_file``, not mapped."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from common.errors import KernelObjectError, ObjectExists, ObjectVanished
from common.kernel.objects import Maker
from common.kernel.tables import mmap_file, plain_file
from tests.conftest import Fork

SIZE = 96


def test_both_kinds_of_file_are_one_table(maker: Maker) -> None:
    """Without a path of their own; what the one stores the other reads, at once."""
    address = plain_file.make(plain_file.Options(), SIZE, maker)
    assert Path(address["path"]) == maker.base / mmap_file.Options().path
    plain, mapped = plain_file.attach(address), mmap_file.attach(address)
    plain.cells[2] = 1234.5
    assert mapped.cells[2] == 1234.5
    mapped.cells[3] = 5432.25
    assert plain.cells[3] == 5432.25
    assert len(plain.cells) == len(mapped.cells)
    plain.close()
    mapped.close()


def test_a_run_of_the_other_kind_does_not_share_it_at_the_same_time(maker: Maker) -> None:
    """One run holds the file, however it uses it."""
    plain_file.make(plain_file.Options(), SIZE, maker)
    maker.patience = 0.05
    with pytest.raises(ObjectExists, match=f"process {os.getpid()}"):
        mmap_file.make(mmap_file.Options(), SIZE, maker)


@pytest.mark.parametrize("path", ["/etc/passwd", "../exchange.dat", "", "."])
def test_a_path_out_of_the_directory_is_refused(maker: Maker, path: str) -> None:
    """As for a file that is mapped."""
    with pytest.raises(KernelObjectError, match="not inside"):
        plain_file.make(plain_file.Options(path), SIZE, maker)
    assert maker.objects() == []


def test_a_cell_that_was_cut_off_has_vanished_and_nobody_is_killed(
    maker: Maker, fork: Fork
) -> None:
    """Where a mapping's reader is killed by SIGBUS, a call only finds too few bytes."""
    address = plain_file.make(plain_file.Options(), SIZE, maker)

    def work() -> None:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        memory = plain_file.attach(address)
        os.truncate(address["path"], 20)
        assert memory.cells[1] == 0.0
        for at in (2, 3):
            with pytest.raises(ObjectVanished, match=r"exchange\.dat was cut"):
                memory.cells[at]

    assert fork(work).ended() == 0
    with pytest.raises(ObjectVanished, match="cut from 4096 to 20"):
        plain_file.attach(address)


def test_a_file_of_odd_length_has_its_whole_doubles_only(maker: Maker) -> None:
    """Its last bytes are no cell."""
    (maker.base / "exchange.dat").write_bytes(bytes(5003))
    memory = plain_file.attach(plain_file.make(plain_file.Options(), SIZE, maker))
    assert len(memory.cells) == 625
    assert memory.cells[-1] == 0.0
    memory.close()


def test_a_cell_is_read_and_written_by_one_call_of_eight_bytes(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two calls, or a longer one, would not be one access to one cell."""
    made: list[tuple[str, int, int]] = []
    pread, pwrite = os.pread, os.pwrite

    def read(fd: int, count: int, at: int) -> bytes:
        made.append(("read", count, at))
        return pread(fd, count, at)

    def write(fd: int, eight: bytes, at: int) -> int:
        made.append(("write", len(eight), at))
        return pwrite(fd, eight, at)

    memory = plain_file.attach(plain_file.make(plain_file.Options(), SIZE, maker))
    monkeypatch.setattr(plain_file, "_read", read)
    monkeypatch.setattr(plain_file, "_write", write)
    memory.cells[3] = 1.5
    assert memory.cells[3] == 1.5
    assert memory.cells[4:6].tolist() == [0.0, 0.0]
    assert made == [("write", 8, 24), ("read", 8, 24), ("read", 8, 32), ("read", 8, 40)]
    memory.close()
