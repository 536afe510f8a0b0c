"""Keys and POSIX names that another user was faster to take: refused, not used, not followed.

The planter is uid 65534, who asks for the name is a plain user (uid 64321).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError, NotPermitted, ObjectExists
from common.kernel import existing, foreign
from common.kernel.foreign import Awaited
from common.kernel.ledger import Ledger, remove_directory
from common.kernel.locks import posix_sem
from common.kernel.objects import Maker
from common.kernel.tables import posix_shm
from common.kernel.waits import Wait
from tests.hostile.test_places import THEM, US, As, as_user, mine, shared

__all__ = ["as_user", "shared"]
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become two other users")


@contextmanager
def making() -> Iterator[Maker]:
    """Yield a maker of this user's, in a runtime directory of its own that goes with it."""
    os.environ.pop("XDG_RUNTIME_DIR", None)
    directory = names.make_runtime_directory()
    ledger = Ledger.create(directory, scenario="x", run_dir="/")
    try:
        yield Maker(ledger, directory, directory)
    finally:
        ledger.close()
        remove_directory(directory)


PLANT: dict[str, Callable[[int, int], object]] = {
    "sysv_shm": lambda key, mode: sysv_ipc.SharedMemory(
        key, sysv_ipc.IPC_CREX, mode=mode, size=4096
    ),
    "sysv_sem": lambda key, mode: sysv_ipc.Semaphore(
        key, sysv_ipc.IPC_CREX, mode=mode, initial_value=1
    ),
    "sysv_queue": lambda key, mode: sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=mode),
}
ASK: dict[str, Callable[[Maker, int], object]] = {
    "sysv_shm": lambda maker, key: maker.sysv_shm(96, key),
    "sysv_sem": lambda maker, key: maker.sysv_sem(1, key),
    "sysv_queue": lambda maker, key: maker.sysv_queue(key),
}


@pytest.mark.parametrize("mode", [0o666, 0o600], ids=["open", "closed"])
@pytest.mark.parametrize("kind", PLANT)
def test_an_object_that_another_user_planted_at_our_key_is_refused(
    kernel_clean: None, as_user: As, kind: str, mode: int
) -> None:
    """Open to all or closed: whoever makes it, or waits for it, gets none of it; it stays."""
    key = names.new_key()
    as_user(THEM, lambda: PLANT[kind](key, mode))
    planted = existing.find(kind, key)
    assert planted is not None

    def ask() -> None:
        with making() as maker:
            with pytest.raises(NotPermitted, match=f"somebody else's.*uid {THEM}"):
                ASK[kind](maker, key)
            with pytest.raises(NotPermitted, match=f"not made by this user: uid {THEM}"):
                foreign.look(Awaited(kind, key, 96))
            with pytest.raises(NotPermitted):
                maker.foreign.expect(Awaited(kind, key, 96), "office")
            maker.remove_all()
            assert maker.leaks() == []

    try:
        as_user(US, ask)
        assert existing.find(kind, key) == planted
    finally:
        existing.remove(kind, key, planted)


OPEN: dict[str, Callable[[dict[str, Any]], object]] = {
    "posix_shm": posix_shm.attach,
    "posix_sem": lambda address: posix_sem.attach(address, Wait(1.0), "the till"),
}


@pytest.mark.parametrize("kind", OPEN)
def test_a_link_in_dev_shm_is_not_followed(as_user: As, shared: Path, kind: str) -> None:
    """Planted at the very name that a run draws: it makes nothing, opens nothing, and stays."""
    victim = mine(shared, "home") / "victim"
    token = names.new_token()
    link = existing.path(kind, f"/lab-{token}-0")
    as_user(THEM, lambda: link.symlink_to(victim))
    address = {"name": f"/lab-{token}-0", "size": 8, "inode": victim.stat().st_ino}

    def ask() -> None:
        with making() as maker:
            maker._token = token
            with pytest.raises(ObjectExists, match=token):
                maker.posix_shm(4096) if kind == "posix_shm" else maker.posix_sem(1)
            with pytest.raises(KernelObjectError, match=r"levels of symbolic links"):
                OPEN[kind](address)
            assert posix_sem.value(address) is None
            maker.remove_all()

    try:
        as_user(US, ask)
        assert link.is_symlink()
        assert victim.read_text() == "precious"
    finally:
        link.unlink(missing_ok=True)
