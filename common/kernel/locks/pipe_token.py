"""A byte in a pipe: who reads it has the lock, and writes it back. It is lost with a killed holder.

The pipe has no name: the processes inherit both of its ends (pipe(2)). It is how make(1) shares its
jobs out (the jobserver of GNU make), with a byte for each. Nobody can tell who has the byte.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import termios
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import limits, touch
from common.kernel.frames import drain, duplicate
from common.kernel.locks import HELD, Address, Facts, Lock, Quick
from common.kernel.locks._owning import owning
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = True
TELLS_REMOVAL = False

# The objects of a limited number that one lock makes.
OBJECTS: dict[str, int] = {}

TOKEN = b"."


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves (pipe(7))."""
    return Facts(
        holder_dies=HELD,
        counts=True,
        inherited=False,
        waiting="sleeps in poll(2)",
        order="none: all who wait are woken, and whoever reads first has it",
        limits="two descriptors a lock in every process; 65536 bytes, so as many tokens (pipe(7))",
        persists="until nobody has the pipe open; a byte that was read is nowhere but in its "
        "reader's memory",
        named="no name: two descriptors, inherited or handed on",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make one pipe with the byte in it. Raises ``MachineError`` without descriptors left."""
    try:
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise limits.refusal("pipe", str(error)) from None
    os.write(writing, TOKEN)
    return {
        "inode": os.fstat(reading).st_ino,
        "read": maker.inherit(reading, stays=True),
        "write": maker.inherit(writing, stays=True),
    }


def descriptors(address: Address) -> list[int]:
    """Return what a process must inherit to open the lock: both ends."""
    return [address["read"], address["write"]]


def attach(address: Address, wait: Wait, what: str) -> PipeToken:
    """Open the lock; raises ``ObjectVanished`` where its ends are not open in this process."""
    ends = [duplicate(fd, address["inode"], what) for fd in descriptors(address)]
    return PipeToken(ends[0], ends[1], wait, what)


def reset(address: Address) -> None:
    """Put back the one byte, whatever is in the pipe."""
    drain(address["read"])
    os.write(address["write"], TOKEN)


def holder(address: Address) -> int | None:
    """Return None: nobody can tell who has the byte."""
    return None


def value(address: Address) -> int | None:
    """Return how many bytes are in the pipe; None where it is not open in this process."""
    try:
        if os.fstat(address["read"]).st_ino != address["inode"]:
            return None
    except OSError:
        return None
    return _waiting(address["read"])


class PipeToken:
    """The lock of one process."""

    def __init__(self, reading: int, writing: int, wait: Wait, what: str) -> None:
        take, give = partial(os.read, reading, 1), partial(os.write, writing, TOKEN)
        stand = _standing(take, reading, wait, what)

        def enter() -> None:
            try:
                take()
            except BlockingIOError:
                stand()

        self.acquire, self.release, self.abandon = owning(enter, give, what)
        self.quick = Quick(take, BlockingIOError, stand, give, (OSError,), _explaining(what))
        self.taking, self.giving = touch.of_lock(what, lambda: _waiting(reading) > 0)
        self._ends = [reading, writing]

    @property
    def reading(self) -> Lock:
        """Itself: one byte is one reader's."""
        return self

    def close(self) -> None:
        """Close this process's ends."""
        while self._ends:
            os.close(self._ends.pop())


def _waiting(fd: int) -> int:
    # How many bytes could be read now (ioctl_tty(2): FIONREAD, also of pipes).
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def _standing(
    take: Callable[[], object], reading: int, wait: Wait, what: str
) -> Callable[[], None]:
    poll = select.poll()
    poll.register(reading, select.POLLIN)

    def stand() -> None:
        with wait.standing(what) as deadline:
            while True:
                poll.poll(deadline.tick() * 1000)
                try:
                    take()
                except BlockingIOError:
                    continue  # another one was faster
                return

    return stand


def _explaining(what: str) -> Callable[[Exception], Exception]:
    return lambda error: KernelObjectError(f"{what}: {error}")
