"""A ring of slots in shared memory, with the semaphores ``put`` and ``get`` and a mutex.

The lecture's shared buffer: ``put`` counts free slots, ``get`` filled ones, and the mutex guards
the positions. Without the mutex (lock ``none``) two processes read one position and take one slot.

Layout: head and tail, 8 bytes each, which grow without wrapping (slot = position % slots); then
the slots: length, 8 bytes, and the message, rounded up to 8. A position is one aligned load or
store; the copy of a message is many and not atomic.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import kinds
from common.errors import KernelObjectError
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.locks import Address, Lock
from common.kernel.sysv import Semaphore, set_value
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal.
TELLS_REMOVAL = True

# The objects of a limited number that one channel makes (its lock is not counted).
OBJECTS = {"sysv_sem": 2, "sysv_shm": 1}

# The points of a send or receive that a delay can be declared at.
STEPS = ("acquire", "check", "read", "write", "release")

_HEAD, _TAIL, _FIRST_SLOT = range(3)  # cells of 8 bytes


@dataclass(frozen=True)
class Options:
    """How long the ring is."""

    # 32767 is SEMVMX, the highest value of a System V semaphore (semop(2)).
    slots: int = option(8, about="messages that the ring holds", minimum=1, maximum=32767)
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
        waiting="sleeps in semtimedop(2)",
        limits="as long as it was made; messages of any size that was declared",
        persists="until it is removed and nobody has it attached",
        named="the keys of its segment and semaphores",
        sender_dies="a slot that is reserved and never filled: the others wait for it for ever",
    )


def check(options: Options, message_size: int) -> str:
    """Return "": a segment takes messages of any size that memory has room for."""
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create segment and semaphores; ``lock`` guards the positions."""
    width = 1 + -(-message_size // 8)
    cells = _FIRST_SLOT + options.slots * width
    memory = sysv_shm.make(sysv_shm.Options(), cells * 8, maker)
    address = {
        "memory": memory,
        "put": maker.sysv_sem(options.slots),
        "get": maker.sysv_sem(0),
        "lock": lock,
        "slots": options.slots,
        # It takes a producer's posts back when it ends: jobs that nobody is told of.
        "undo": options.undo,
        "message_size": message_size,
    }
    _clear(address)
    return address


def reset(address: Address) -> None:
    """Empty the ring: positions, slots, semaphores and lock are as they were made."""
    _clear(address)
    set_value(address["put"], address["slots"])
    set_value(address["get"], 0)
    guard = address["lock"]
    kinds.load(kinds.LOCKS, guard["kind"]).reset(guard["at"])


def _clear(address: Address) -> None:
    size, slots = address["message_size"], address["slots"]
    width = 1 + -(-size // 8)
    opened = sysv_shm.attach(address["memory"])
    used = (_FIRST_SLOT + slots * width) * 8
    opened.bytes[:used] = bytes(used)
    with opened.bytes.cast("q") as view:
        # A slot that a race leaves unfilled reads as zeros of full length, which no checksum takes.
        for slot in range(slots):
            view[_FIRST_SLOT + slot * width] = size
    opened.close()


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Ring:
    """Open the ring; both ends are the same object. Raises ``ObjectVanished``."""
    return Ring(address, wait, what, at)


class _Touches:
    """What the steps between reserving a slot and telling the other side touch."""

    def __init__(self, what: str, slots: int) -> None:
        tail, head = f"tail of {what}", f"head of {what}"
        self.read_tail, self.move_tail = Touch(reads=(tail,)), Touch(changes=(tail,))
        self.read_head, self.move_head = Touch(reads=(head,)), Touch(changes=(head,))
        names = [f"slot {number} of {what}" for number in range(slots)]
        self.fill = [Touch(changes=(name,)) for name in names]
        self.look = [Touch(reads=(name,)) for name in names]


class Ring:
    """One process's handle of the ring.

    The step hook is called at ``acquire`` (room, or a message, is reserved), ``check`` (alone in
    the ring), ``read`` (the position is read), ``write`` (the message is copied, the position not
    yet written) and ``release`` (before the lock is given and the other side told).
    """

    def __init__(self, address: Address, wait: Wait, what: str, at: At | None) -> None:
        self.window: Window | None = None
        self._what = what
        self._at = at
        self._size: int = address["message_size"]
        self._slots: int = address["slots"]
        self._width = 1 + -(-self._size // 8)
        undo: bool = address["undo"]
        self._put = Semaphore(address["put"], wait, f"room in {what}", undo=undo)
        self._get = Semaphore(address["get"], wait, f"a message in {what}", undo=undo, drains=True)
        guard = address["lock"]
        what_lock = f"the lock of {what}"
        self._lock: Lock = kinds.load(kinds.LOCKS, guard["kind"]).attach(
            guard["at"], wait, what_lock
        )
        self._memory = sysv_shm.attach(address["memory"])
        self._bytes = self._memory.bytes
        self._cells = self._bytes.cast("q")
        put, get = self._put, self._get
        room, filled = f"room in {what}", f"messages in {what}"
        self.sending = Touch(changes=(room,), ready=lambda: put.value > 0)
        self.receiving = Touch(changes=(filled,), ready=lambda: get.value > 0 or wait.finishing)
        self._touches = _Touches(what, self._slots)
        # Who gives the lock back also tells the other side, before its next step.
        lock = (what_lock,) if self._lock.giving else ()
        gives = what_lock if self._lock.giving else ""
        self._sent = Touch(changes=(*lock, filled), gives=gives)
        self._received = Touch(changes=(*lock, room), gives=gives)

    def send(self, message: bytes, priority: int = 0) -> None:
        """Send one message; a ring knows no priority."""
        if len(message) > self._size:
            raise KernelObjectError(f"{self._what} takes messages of up to {self._size} bytes")
        self._put.wait()
        at, cells = self._at, self._cells
        if at is not None:
            at("acquire", self._lock.taking)
        self._lock.acquire()
        entered = time.monotonic_ns()
        if at is not None:
            at("check", self._touches.read_tail)
        tail = cells[_TAIL]
        if at is not None:
            at("read", self._touches.fill[tail % self._slots])
        slot = _FIRST_SLOT + tail % self._slots * self._width
        cells[slot] = len(message)
        self._bytes[slot * 8 + 8 : slot * 8 + 8 + len(message)] = message
        if at is not None:
            at("write", self._touches.move_tail)
        cells[_TAIL] = tail + 1
        left = time.monotonic_ns()
        if at is not None:
            at("release", self._sent)
        self._lock.release()
        self._get.post()
        self.window = Window(entered, left, tail, tail + 1)

    def receive(self) -> bytes | None:
        """Return the oldest message."""
        if not self._get.wait():
            return None
        at, cells = self._at, self._cells
        if at is not None:
            at("acquire", self._lock.taking)
        self._lock.acquire()
        entered = time.monotonic_ns()
        if at is not None:
            at("check", self._touches.read_head)
        head = cells[_HEAD]
        if at is not None:
            at("read", self._touches.look[head % self._slots])
        slot = _FIRST_SLOT + head % self._slots * self._width
        message = bytes(self._bytes[slot * 8 + 8 : slot * 8 + 8 + cells[slot]])
        if at is not None:
            at("write", self._touches.move_head)
        cells[_HEAD] = head + 1
        left = time.monotonic_ns()
        if at is not None:
            at("release", self._received)
        self._lock.release()
        self._put.post()
        self.window = Window(entered, left, head, head + 1)
        return message

    def abandon(self) -> None:
        """Let go of the ring's lock."""
        self._lock.abandon()

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Let go of memory and lock."""
        self._cells.release()
        self._memory.close()
        self._lock.close()
