"""A lock file: whoever makes it (O_CREAT | O_EXCL) has the lock, and removes it to give it back.

The holder's pid stands in it, so that who has it can be told, also once that process is dead; only
in the instant before it is written nobody knows. A killed holder leaves the file behind. Whoever
removes it from outside lets a second process in: the first is told when it gives the lock back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel import touch
from common.kernel.locks import HELD, Address, Facts, Lock, Quick
from common.kernel.locks._owning import owning
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# Where it is gone it is free: its removal gives it back in its holder's place.
FREED_BY_REMOVAL = True

# It is a file that any process may open.
A_FILE = True

# What tells who has it.
ASKED_BY = "the pid in it"

# The objects of a limited number that one lock makes.
OBJECTS: dict[str, int] = {}

# How long a waiter sleeps before it looks again (s): longer each time, by this factor.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE = 0.0001, 1.5, 0.02

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LONGEST_PID = 16


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (open(2), O_EXCL)."""
    shortest, longest = FIRST_PAUSE * 1000, LONGEST_PAUSE * 1000
    return Facts(
        holder_dies=HELD,
        counts=False,
        inherited=False,
        waiting=f"sleeps and looks again, after {shortest:g} ms at first, at last each "
        f"{longest:g} ms",
        order="none: whoever looks at the right moment",
        limits="an inode a lock while it is held",
        persists="until its holder, or anybody else, removes the file; a reboot does not",
        named="a path",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Choose the path of one lock: there is no file while nobody has it."""
    return {"path": maker.coming_and_going("lock")}


def attach(address: Address, wait: Wait, what: str) -> LockFile:
    """Open the lock; raises ``ObjectVanished`` and ``NotPermitted`` for its directory."""
    directory = os.path.dirname(address["path"])  # noqa: PTH120
    if not os.path.isdir(directory):  # noqa: PTH112
        raise ObjectVanished(f"{what}: the directory of its file, {directory}, is gone")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise NotPermitted(f"{what}: the directory of its file, {directory}, is closed to us")
    return LockFile(address["path"], wait, what)


def reset(address: Address) -> None:
    """Remove the file, if it is there."""
    Path(address["path"]).unlink(missing_ok=True)


def holder(address: Address) -> int | None:
    """Return the process whose pid stands in the file, whether it lives or not."""
    try:
        fd = os.open(address["path"], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    written = os.read(fd, _LONGEST_PID)
    os.close(fd)
    return int(written) if written.isdigit() else None


def value(address: Address) -> int | None:
    """Return 1 when it is free, 0 when it is held."""
    return int(not os.path.lexists(address["path"]))


class LockFile:
    """The lock of one process."""

    def __init__(self, path: str, wait: Wait, what: str) -> None:
        take, give, forget = _calls(path, what)
        stand = _standing(take, wait, what)

        def enter() -> None:
            try:
                take()
            except FileExistsError:
                stand()

        self.acquire, self.release, self._disown = owning(enter, give, what)
        self.quick = Quick(take, FileExistsError, stand, give, (), lambda error: error)
        self.taking, self.giving = touch.of_lock(what, lambda: not os.path.lexists(path))
        self._forget = forget

    @property
    def reading(self) -> Lock:
        """Itself: a lock file knows no readers."""
        return self

    def abandon(self) -> None:
        """Forget that it is held; the file stays until it is reset."""
        self._disown()
        self._forget()

    def close(self) -> None:
        """Let go of the handle; a file that this process made stays."""
        self._forget()


def _calls(
    path: str, what: str
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None]]:
    # The file that this process made stays open while it has the lock: its inode cannot become
    # another file's, and whether it still has its name is seen by its number of links.
    mine = -1

    def take() -> None:
        nonlocal mine
        try:
            made = os.open(path, _FLAGS, 0o600)
        except FileExistsError:
            raise
        except FileNotFoundError:
            raise ObjectVanished(f"{what}: the directory of its file is gone") from None
        except OSError as error:
            raise KernelObjectError(f"{what}: {error.strerror}") from None
        pid = b"%d" % os.getpid()
        try:
            # Half a pid would be another process's.
            told = os.write(made, pid) == len(pid)
            why = "its disk is full"
        except OSError as error:
            told, why = False, str(error.strerror)
        if not told:
            os.unlink(path)  # noqa: PTH108
            os.close(made)
            raise KernelObjectError(f"{what}: the pid cannot be written into its file: {why}")
        mine = made

    def give() -> None:
        nonlocal mine
        if mine < 0:
            raise KernelObjectError(f"{what}: released, but this process has not made its file")
        there = os.fstat(mine).st_nlink
        os.close(mine)
        mine = -1
        if not there:
            raise ObjectVanished(
                f"{what}: somebody removed its file while this process had it: another process "
                "may have gone in"
            )
        os.unlink(path)  # noqa: PTH108

    def forget() -> None:
        nonlocal mine
        if mine >= 0:
            os.close(mine)
        mine = -1

    return take, give, forget


def _standing(take: Callable[[], None], wait: Wait, what: str) -> Callable[[], None]:
    def stand() -> None:
        with wait.standing(what) as deadline:
            pause = FIRST_PAUSE
            while True:
                # How this lock is waited for: nobody wakes who waits for a file to go.
                time.sleep(min(pause, deadline.tick()))
                try:
                    return take()
                except FileExistsError:
                    pause = min(pause * GROWTH, LONGEST_PAUSE)

    return stand
