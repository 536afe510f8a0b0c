"""The table in a POSIX shared memory object: allocated whole, and found by its name."""

from __future__ import annotations

import os
from pathlib import Path

import posix_ipc
import pytest

from common.errors import MachineError, ObjectVanished
from common.kernel.objects import Maker
from common.kernel.tables import posix_shm

SIZE = 96


def shown(address: dict[str, object]) -> Path:
    return Path("/dev/shm" + str(address["name"]))


def test_it_is_allocated_and_ours_alone(maker: Maker) -> None:
    """A hole is a SIGBUS at a store when /dev/shm is full; nobody else may open it."""
    status = shown(posix_shm.make(posix_shm.Options(), SIZE, maker)).stat()
    assert (status.st_size, status.st_mode & 0o777) == (SIZE, 0o600)
    assert status.st_blocks > 0


def test_a_table_that_does_not_fit_is_refused_when_it_is_made(maker: Maker) -> None:
    """Not when a process comes to write there."""
    with pytest.raises(MachineError, match="posix_shm"):
        posix_shm.make(posix_shm.Options(), 1 << 50, maker)
    assert maker.objects() == []


def test_an_object_that_was_cut_has_vanished(maker: Maker) -> None:
    """To map it would end in a SIGBUS."""
    address = posix_shm.make(posix_shm.Options(), SIZE, maker)
    os.truncate(shown(address), 40)
    with pytest.raises(ObjectVanished, match="cut from 96 to 40"):
        posix_shm.attach(address)


def test_another_object_of_its_name_is_not_it(maker: Maker) -> None:
    """Whoever made that one did not mean it for this run."""
    address = posix_shm.make(posix_shm.Options(), SIZE, maker)
    kept = posix_shm.attach(address)
    posix_ipc.unlink_shared_memory(str(address["name"]))
    other = posix_ipc.SharedMemory(str(address["name"]), posix_ipc.O_CREX, size=SIZE)
    other.close_fd()
    try:
        with pytest.raises(ObjectVanished, match="replaced"):
            posix_shm.attach(address)
    finally:
        other.unlink()
    kept.close()
