"""Locks on files: what the kinds share beside the calls by which they take and give one.

They bind who asks for them and nobody else: who does not ask reads and writes the file as ever
(advisory). None of the calls knows a timeout, so a timer interrupts those that wait.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from common.errors import KernelObjectError
from common.kernel import touch
from common.kernel.libc import files
from common.kernel.locks import Lock, Quick
from common.kernel.waits import Wait, ticking

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# struct flock: type, whence, start, length, pid; aligned to its end.
_RANGE = struct.Struct("@hhlli0l")


class Mode(NamedTuple):
    """One way to hold a lock: alone, or together with other readers.

    ``take`` takes it at once or raises ``BlockingIOError``; ``stand`` blocks until it has it
    (True) or a signal came (False); ``free`` looks whether ``take`` would do.
    """

    take: Callable[[], object]
    stand: Callable[[], bool]
    free: Callable[[], bool]


class Commands(NamedTuple):
    """The commands of fcntl(2) of one kind of record lock: without waiting, waiting, looking."""

    now: int
    waiting: int
    look: int


class FileLock:
    """The lock of one handle; ``acquire`` and ``release`` are closures over the bare calls.

    A handle holds it in one mode at a time: who asks for the other one changes it.
    """

    def __init__(
        self,
        mode: Mode,
        give: Callable[[], object],
        wait: Wait,
        what: str,
        close: Callable[[], None],
        reading: FileLock | None = None,
    ) -> None:
        self.acquire, self.release, self._forget, self.quick = _calls(mode, give, wait, what)
        self.taking, self.giving = touch.of_lock(what, mode.free)
        self.close = close
        self._reading = reading

    @property
    def reading(self) -> Lock:
        """The same lock, held together with other readers."""
        return self._reading or self

    def abandon(self) -> None:
        """Let go of it, in whichever mode and however it was taken."""
        self._forget()
        if self._reading is not None:
            self._reading._forget()


def make_ranges(kind: str, count: int, maker: Maker) -> list[dict[str, Any]]:
    """Make one file whose bytes, which need not exist, are ``count`` locks."""
    path = maker.lock_file(kind)
    inode = os.stat(path).st_ino  # noqa: PTH116
    return [{"path": path, "inode": inode, "at": at} for at in range(count)]


def range_lock(
    fd: int, commands: Commands, at: int, wait: Wait, what: str, close: Callable[[], None]
) -> FileLock:
    """Return the lock on byte ``at`` of an open file."""

    def mode(type: int) -> Mode:
        wanted = _range(type, at)
        return Mode(
            partial(fcntl.fcntl, fd, commands.now, wanted),
            files.waiting_fcntl(fd, commands.waiting, wanted),
            lambda: _in_the_way(fd, commands, wanted)[0] == fcntl.F_UNLCK,
        )

    give = partial(fcntl.fcntl, fd, commands.now, _range(fcntl.F_UNLCK, at))
    reading = FileLock(mode(fcntl.F_RDLCK), give, wait, what, close)
    return FileLock(mode(fcntl.F_WRLCK), give, wait, what, close, reading)


def in_the_way(fd: int, commands: Commands, at: int) -> int | None:
    """Return who keeps byte ``at`` from whoever has ``fd`` open: a pid, or None for nobody.

    It is -1 where the lock belongs to no process (F_OFD_GETLK, fcntl(2)).
    """
    type, pid = _in_the_way(fd, commands, _range(fcntl.F_WRLCK, at))
    return None if type == fcntl.F_UNLCK else pid


def _in_the_way(fd: int, commands: Commands, wanted: bytes) -> tuple[int, int]:
    type, _, _, _, pid = _RANGE.unpack(fcntl.fcntl(fd, commands.look, wanted))
    return type, pid


def _range(type: int, at: int) -> bytes:
    return _RANGE.pack(type, os.SEEK_SET, at, 1, 0)


def _calls(
    mode: Mode, give: Callable[[], object], wait: Wait, what: str
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None], Quick]:
    # Closures: no attribute is looked up and no call is forwarded where the lock is free.
    take, block = mode.take, mode.stand
    held = False

    def explain(error: Exception) -> Exception:
        assert isinstance(error, OSError)
        if error.errno == errno.EDEADLK:
            return KernelObjectError(
                f"{what}: refused, for whoever has it waits for a lock of this process (EDEADLK)",
                "let every process take its locks in one and the same order",
            )
        return KernelObjectError(f"{what}: {error.strerror}")

    def stand() -> None:
        with wait.standing(what) as deadline, ticking(deadline):
            try:
                while not block():
                    deadline.tick()
            except OSError as error:
                raise explain(error) from None

    def acquire() -> None:
        nonlocal held
        try:
            take()
        except BlockingIOError:
            stand()
        except OSError as error:
            raise explain(error) from None
        held = True

    def release() -> None:
        nonlocal held
        if not held:
            raise KernelObjectError(f"{what}: released, but this process does not hold it")
        held = False
        give()

    def forget() -> None:
        nonlocal held
        held = False
        give()

    quick = Quick(take, BlockingIOError, stand, give, (OSError,), explain)
    return acquire, release, forget, quick
