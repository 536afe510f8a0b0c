"""A ring of slots in shared memory, with the semaphores ``put`` and ``get`` and a mutex.

The lecture's shared buffer: ``put`` counts free slots, ``get`` filled ones, and the mutex guards
the positions. Without the mutex (lock ``none``) two processes read one position and take one slot.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from common import kinds
from common.errors import KernelObjectError
from common.kernel import posix, slots, sysv
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.locks import Address, Lock
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal.
TELLS_REMOVAL = True

# The objects of a limited number that one channel makes at most (its lock is not counted).
OBJECTS = {"sysv_sem": 2, "posix_sem": 2, "sysv_shm": 1}

# The points of a send or receive that a delay can be declared at.
STEPS = ("acquire", "check", "read", "write", "release")

SYSV, POSIX = "sysv", "posix"

Counter = sysv.Semaphore | posix.Semaphore


@dataclass(frozen=True)
class Options:
    """How long the ring is, and what counts its slots."""

    # 32767 is SEMVMX, the highest value of a System V semaphore (semop(2)).
    slots: int = option(8, about="messages that the ring holds", minimum=1, maximum=32767)
    semaphores: str = option(
        SYSV,
        about="what counts free and filled slots; a free POSIX semaphore costs no system call",
        choices=(SYSV, POSIX),
    )
    undo: bool = option(
        False,
        about="the kernel takes back what a process that ends did to put and get (SEM_UNDO): wrong",
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (the lecture: producer, shared buffer, consumer)."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as slots were reserved",
        waiting="sleeps in "
        + ("semtimedop(2)" if options.semaphores == SYSV else "sem_timedwait(3)"),
        limits="as long as it was made; messages of any size that was declared",
        persists="until it is removed and nobody has it attached",
        named="the keys of its segment and semaphores",
        sender_dies="a slot of room less, for good (after the last of them senders wait in vain); "
        "killed before it tells of its message (release), one is never told of: the last one there "
        "stays behind",
        receiver_dies="nobody is told; what it did not take waits for another; killed inside, the "
        "last message there stays behind, or, where it had taken one, a slot of room less is left",
    )


def tells_removal(options: Options) -> bool:
    """Return whether who waits is told: a POSIX semaphore works on for those who have it open."""
    return options.semaphores == SYSV


def counted(options: Options) -> dict[str, int]:
    """Return the objects that a ring with these options makes."""
    return {("sysv_sem" if options.semaphores == SYSV else "posix_sem"): 2, "sysv_shm": 1}


def check(options: Options, message_size: int) -> str:
    """Return "": a segment takes messages of any size that memory has room for."""
    if options.undo and options.semaphores != SYSV:
        return "undo is System V's (SEM_UNDO, semop(2)): a POSIX semaphore knows none"
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create slots and semaphores; ``lock`` guards the positions."""
    counter = maker.sysv_sem if options.semaphores == SYSV else maker.posix_sem
    return {
        "memory": slots.make(options.slots, message_size, maker),
        "semaphores": options.semaphores,
        "put": counter(options.slots),
        "get": counter(0),
        "lock": lock,
        # It takes a producer's posts back when it ends: jobs that nobody is told of.
        "undo": options.undo,
    }


def reset(address: Address) -> None:
    """Empty the ring: positions, slots, semaphores and lock are as they were made."""
    set_value = sysv.set_value if address["semaphores"] == SYSV else posix.set_value
    slots.clear(address["memory"])
    set_value(address["put"], address["memory"]["slots"])
    set_value(address["get"], 0)
    guard = address["lock"]
    kinds.load(kinds.LOCKS, guard["kind"]).reset(guard["at"])


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Ring:
    """Open the ring; both ends are the same object. Raises ``ObjectVanished``."""
    return Ring(address, wait, what, at)


class Ring:
    """One process's handle of the ring.

    The step hook is called at ``acquire`` (room, or a message, is reserved), ``check`` (alone in
    the ring), ``read`` (the position is read), ``write`` (the message is copied, the position not
    yet written) and ``release`` (before the lock is given and the other side told).
    """

    def __init__(self, address: Address, wait: Wait, what: str, at: At | None) -> None:
        room, filled = f"room in {what}", f"messages in {what}"
        put, get = _semaphores(address, wait, what)
        guard = address["lock"]
        what_lock = f"the lock of {what}"
        lock: Lock = kinds.load(kinds.LOCKS, guard["kind"]).attach(guard["at"], wait, what_lock)
        self._lock = lock
        self._slots = slots.Slots(address["memory"])
        self._close = (put.close, get.close)
        self.sending = Touch(changes=(room,), ready=lambda: put.value > 0)
        self.receiving = Touch(changes=(filled,), ready=lambda: get.value > 0 or wait.finishing)
        # Who gives the lock back also tells the other side, before its next step.
        held = (what_lock,) if lock.giving else ()
        gives = what_lock if lock.giving else ""
        sent = Touch(changes=(*held, filled), gives=gives)
        received = Touch(changes=(*held, room), gives=gives)
        marks = _Marks(at, lock.taking, slots.Touches(what, self._slots.count), sent, received)
        self.send, self.receive, self._window = _calls(self._slots, lock, put, get, what, marks)

    @property
    def window(self) -> Window | None:
        """The critical section of the last call; None before the first."""
        return self._window()

    def abandon(self) -> None:
        """Let go of the ring's lock."""
        self._lock.abandon()

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Let go of memory, semaphores and lock."""
        self._slots.close()
        self._lock.close()
        for close in self._close:
            close()


class _Marks(NamedTuple):
    """The step hook, and what each step touches."""

    at: At | None
    taking: Touch | None
    touches: slots.Touches
    sent: Touch
    received: Touch


def _semaphores(address: Address, wait: Wait, what: str) -> tuple[Counter, Counter]:
    room, filled = f"room in {what}", f"a message in {what}"
    if address["semaphores"] == POSIX:
        return (
            posix.Semaphore(address["put"], wait, room),
            posix.Semaphore(address["get"], wait, filled, drains=True),
        )
    undo = address["undo"]
    return (
        sysv.Semaphore(address["put"], wait, room, undo=undo),
        sysv.Semaphore(address["get"], wait, filled, undo=undo, drains=True),
    )


def _calls(
    ring: slots.Slots, lock: Lock, put: Counter, get: Counter, what: str, marks: _Marks
) -> tuple[Callable[..., None], Callable[[], bytes | None], Callable[[], Window | None]]:
    # Closures: nothing is looked up twice where there is room, or a message.
    wait_put, post_put, wait_get, post_get = put.wait, put.post, get.wait, get.post
    acquire, release, clock = lock.acquire, lock.release, time.monotonic_ns
    cells, fill, look, size, count = ring.cells, ring.fill, ring.look, ring.size, ring.count
    at, taking, touches, sent, received = marks
    entered = left = position = 0

    def send(message: bytes, priority: int = 0) -> None:
        nonlocal entered, left, position
        if len(message) > size:
            raise KernelObjectError(f"{what} takes messages of up to {size} bytes")
        wait_put()
        if at is not None:
            at("acquire", taking)
        acquire()
        entered = clock()
        if at is not None:
            at("check", touches.read_tail)
        tail = cells[slots.TAIL]
        if at is not None:
            at("read", touches.fill[tail % count])
        fill(tail, message)
        if at is not None:
            at("write", touches.move_tail)
        cells[slots.TAIL] = tail + 1
        left, position = clock(), tail
        if at is not None:
            at("release", sent)
        release()
        post_get()

    def receive() -> bytes | None:
        nonlocal entered, left, position
        if not wait_get():
            return None
        if at is not None:
            at("acquire", taking)
        acquire()
        entered = clock()
        if at is not None:
            at("check", touches.read_head)
        head = cells[slots.HEAD]
        if at is not None:
            at("read", touches.look[head % count])
        message = look(head)
        if at is not None:
            at("write", touches.move_head)
        cells[slots.HEAD] = head + 1
        left, position = clock(), head
        if at is not None:
            at("release", received)
        release()
        post_put()
        return message

    def window() -> Window | None:
        return Window(entered, left, position, position + 1) if left else None

    return send, receive, window
