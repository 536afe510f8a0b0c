"""A bounded buffer as a monitor: one mutex, and two condition variables to wait for room or a job.

The same slots as the ring's, without counting semaphores: who finds the buffer full gives the mutex
back and sleeps until somebody signals "there is room", and then looks again, since another may have
been faster (Hoare, "Monitors", 1974; Mesa's rule to look again: Lampson and Redell, 1980;
pthread_cond_wait(3p)). Mutex and conditions lie beside the slots in shared memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import slots
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.libc import pthreads
from common.kernel.libc.bare import forbid
from common.kernel.locks import Address, _line, pthread_mutex
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: memory stays attached.
TELLS_REMOVAL = False

# Who is killed in a wait for room leaves a condition that whoever signals it waits for, too.
WAITERS_MUST_LIVE = True

# The objects of a limited number that one channel makes: slots, and mutex with conditions.
OBJECTS = {"sysv_shm": 2}

# The points of a send or receive that a delay can be declared at.
STEPS = ("check", "read", "write", "release")

_MUTEX, _ROOM, _FILLED = range(3)


@dataclass(frozen=True)
class Options:
    """How much the buffer holds."""

    slots: int = option(8, about="messages that the buffer holds", minimum=1, maximum=1 << 20)


def facts(options: Options) -> Facts:
    """Return how it behaves (pthread_cond_wait(3p))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as the mutex was had",
        waiting="sleeps in futex(2), by pthread_cond_clockwait",
        limits="as long as it was made; messages of any size that was declared",
        persists="until it is removed and nobody has it attached",
        named="the keys of its segments",
        sender_dies="the mutex held for ever, if it was inside: every waiter's deadline passes; if "
        "it waited for room, who signals may wait for it without end (glibc knows no dead waiters)",
        receiver_dies="nobody is told; what it did not take waits for another; killed inside, it "
        "leaves the mutex held for ever, and every waiter's deadline passes",
    )


def check(options: Options, message_size: int) -> str:
    """Return "": a segment takes messages of any size that memory has room for."""
    return ""


def guarded(options: Options) -> bool:
    """Return that the buffer keeps its users apart by its own mutex; its lock does not."""
    return True


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create slots, mutex and conditions; the mutex is its own, whatever ``lock`` is."""
    memory = slots.make(options.slots, message_size, maker)
    lines = _line.make_rows(3, maker, lambda _address: None)
    _prepare(lines)
    return {"memory": memory, "lines": lines}


def reset(address: Address) -> None:
    """Empty the buffer, and make mutex and conditions anew: nobody may be using them."""
    slots.clear(address["memory"])
    _prepare(address["lines"])


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Monitor:
    """Open the buffer; both ends are the same object. Raises ``ObjectVanished``."""
    return Monitor(address, wait, what, at)


class Monitor:
    """One process's handle of the buffer.

    The step hook is called at ``check`` (alone inside, with room or a message), ``read`` (the
    position is read), ``write`` (the message is copied, the position not yet written) and
    ``release`` (before the other side is told and the mutex given back).
    """

    def __init__(self, address: Address, wait: Wait, what: str, at: At | None) -> None:
        held = f"the mutex of {what}"
        room, filled = f"room in {what}", f"messages in {what}"
        lines = [_line.Line(place, what) for place in address["lines"]]
        self._lines = lines[_ROOM:]
        self._mutex = pthread_mutex.MutexLock(lines[_MUTEX], wait, held)
        pointers = [line.pointer for line in lines]
        self._conditions = [
            pthreads.Condition(pointers[number], pointers[_MUTEX]) for number in (_ROOM, _FILLED)
        ]
        self._slots = ring = slots.Slots(address["memory"])
        cells, owner = ring.cells, self._mutex.owner

        def has_room() -> bool:
            return cells[slots.TAIL] - cells[slots.HEAD] < ring.count

        def has_any() -> bool:
            return cells[slots.TAIL] > cells[slots.HEAD]

        # One step takes the mutex and finds what it waits for: nobody else passes meanwhile.
        self.sending = Touch(
            changes=(held, room), ready=lambda: not owner() and has_room(), takes=held
        )
        self.receiving = Touch(
            changes=(held, filled),
            ready=lambda: not owner() and (has_any() or wait.finishing),
            takes=held,
        )
        self._touches = slots.Touches(what, ring.count)
        self._sent = Touch(changes=(held, filled), gives=held)
        self._received = Touch(changes=(held, room), gives=held)
        self._has_room, self._has_any = has_room, has_any
        self._wait, self._what, self._at = wait, what, at
        self.window: Window | None = None

    def send(self, message: bytes, priority: int = 0) -> None:
        """Send one message; a monitor knows no priority."""
        at, ring = self._at, self._slots
        if len(message) > ring.size:
            raise KernelObjectError(f"{self._what} takes messages of up to {ring.size} bytes")
        room, filled = self._conditions
        self._mutex.acquire()
        self._until(self._has_room, room, "room", drains=False)
        entered = time.monotonic_ns()
        if at is not None:
            at("check", self._touches.read_tail)
        tail = ring.cells[slots.TAIL]
        if at is not None:
            at("read", self._touches.fill[tail % ring.count])
        ring.fill(tail, message)
        if at is not None:
            at("write", self._touches.move_tail)
        ring.cells[slots.TAIL] = tail + 1
        self.window = Window(entered, time.monotonic_ns(), tail, tail + 1)
        if at is not None:
            at("release", self._sent)
        filled.signal()
        self._mutex.release()

    def receive(self) -> bytes | None:
        """Return the oldest message."""
        at, ring = self._at, self._slots
        room, filled = self._conditions
        self._mutex.acquire()
        if not self._until(self._has_any, filled, "a message", drains=True):
            self._mutex.release()
            return None
        entered = time.monotonic_ns()
        if at is not None:
            at("check", self._touches.read_head)
        head = ring.cells[slots.HEAD]
        if at is not None:
            at("read", self._touches.look[head % ring.count])
        message = ring.look(head)
        if at is not None:
            at("write", self._touches.move_head)
        ring.cells[slots.HEAD] = head + 1
        self.window = Window(entered, time.monotonic_ns(), head, head + 1)
        if at is not None:
            at("release", self._received)
        room.signal()
        self._mutex.release()
        return message

    def abandon(self) -> None:
        """Give the mutex back, if this process holds it."""
        self._mutex.abandon()

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Let go of the memory; later calls are refused."""
        for condition in self._conditions:
            forbid(condition.signal, condition.broadcast)
        self._mutex.close()
        for line in self._lines:
            line.close()
        self._slots.close()

    def _until(
        self, true: Callable[[], bool], condition: pthreads.Condition, what: str, *, drains: bool
    ) -> bool:
        """Hold the mutex until ``true``; False, where ``drains``, when it is time to finish.

        Whoever is woken looks again. Raises ``WaitExpired``, with the mutex given back.
        """
        if true():
            return True
        try:
            with self._wait.standing(f"{what} in {self._what}") as deadline:
                while not true():
                    if drains and self._wait.finishing:
                        return False
                    condition.wait(deadline.tick())
        except BaseException:
            self._mutex.release()
            raise
        return True


def _prepare(lines: Sequence[Address]) -> None:
    """Make mutex and conditions, in their lines, as new."""
    for number, place in enumerate(lines):
        with _line.line(place) as line:
            if number == _MUTEX:
                pthreads.init_mutex(line.address, robust=False)
            else:
                pthreads.init_condition(line.address)
