"""The lecture's slot of 27 bytes: letters handed over one at a time, `*` meaning "taken".

The lecture's server writes a to z and waits until the first byte is `*`; its client reads the
letters and writes the `*`. With sync ``star`` this is all there is: both sides look again and
again (busy waiting is the point of this kind), two producers can both see the `*` and overwrite
each other, and a consumer can read letters half written. With sync ``semaphores`` the slot is
guarded by ``put`` and ``get``, and the `*` is only a mark.

Layout: letters in bytes 0 to 25, byte 26 unused, the rest of the message from byte 32 on.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError
from common.kernel import asking
from common.kernel.asking import LAB
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.sysv import Semaphore, set_value
from common.kernel.tables import sysv_shm
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether a waiter is told of the removal (with sync "star" nobody is: memory stays attached).
TELLS_REMOVAL = True

# The objects of a limited number that one channel makes, with sync "semaphores".
OBJECTS = {"sysv_sem": 2, "sysv_shm": 1}

_LETTERS = 26
_SLOT = 27
_REST = 32
_TAKEN = ord("*")

# There is one position only, and every sender and receiver is at it.
THE_SLOT = 0.0

# The points of a send or receive that a delay can be declared at.
STEPS = ("write", "read")


@dataclass(frozen=True)
class Options:
    """How the two sides wait for each other."""

    sync: str = option(
        "star",
        about="what says whose turn it is: the star in the slot, or the semaphores put and get",
        choices=("star", "semaphores"),
    )
    key: int | None = asking.key("the segment", "the lecture's is 5678")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (the lecture: server and client with `*`)."""
    waits = options.sync == "semaphores"
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=waits,
        many_receivers=waits,
        kept=True,
        order="one at a time",
        waiting="sleeps in semtimedop(2)" if waits else "looks again and again",
        limits="one message",
        persists="until it is removed and nobody has it attached",
        named="the keys of its segment and semaphores",
        sender_dies="a slot that it had, and that nobody gives back: the others wait for ever"
        if waits
        else "letters half written, which are taken for a message",
        receiver_dies="nobody is told; what it did not take waits for another"
        + ("; killed inside, it leaves a slot that all wait for, for ever" if waits else ""),
    )


def tells_removal(options: Options) -> bool:
    """Return whether who waits is told: memory stays attached, semaphores are gone."""
    return options.sync == "semaphores"


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if options.made_by != LAB and options.sync == "semaphores":
        return "who makes the slot knows the star only: sync: star"
    if message_size < _LETTERS:
        return f"a message of {message_size} bytes has no room for the slot's {_LETTERS} letters"
    return ""


def guarded(options: Options) -> bool:
    """Return whether the slot keeps its users apart by itself; its lock does not."""
    return options.sync == "semaphores"


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create the slot, free to be written, and with sync ``semaphores`` put = 1 and get = 0."""
    memory = sysv_shm.make(
        sysv_shm.Options(key=options.key), _REST + message_size - _LETTERS, maker
    )
    opened = sysv_shm.attach(memory)
    opened.bytes[0] = _TAKEN
    opened.close()
    address: dict[str, Any] = {"memory": memory, "message_size": message_size}
    if options.sync == "semaphores":
        # No undo: it would take a producer's post back when it exits.
        address |= {"put": maker.sysv_sem(1), "get": maker.sysv_sem(0)}
    return address


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not: the lecture's 27 bytes."""
    whole = _SLOT if size == _LETTERS else _REST + size - _LETTERS
    return [] if options.key is None else [Awaited("sysv_shm", options.key, whole)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a slot that another program makes."""
    return {"memory": {"key": options.key, "fresh": False}, "message_size": size}


def told(address: Address) -> dict[str, Any]:
    """Return what another program is told of it: the key of the segment, and of the semaphores."""
    said = {"key": address["memory"]["key"], "message_size": address["message_size"]}
    return said | {f"{name}_key": address[name] for name in ("put", "get") if name in address}


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Slot:
    """Open the slot; both ends are the same object. Raises ``ObjectVanished``."""
    return Slot(address, wait, what, at)


def reset(address: Address) -> None:
    """Make the slot free again."""
    opened = sysv_shm.attach(address["memory"])
    used = _REST + address["message_size"] - _LETTERS
    opened.bytes[:used] = bytes(used)
    opened.bytes[0] = _TAKEN
    opened.close()
    if "put" in address:
        set_value(address["put"], 1)
        set_value(address["get"], 0)


class Slot:
    """One process's handle of the slot.

    The step hook is called at ``write`` (the slot is seen free, nothing is written) and ``read``
    (the slot is seen full, nothing is read). In ``window`` the positions are values of byte 0.
    """

    def __init__(self, address: Address, wait: Wait, what: str, at: At | None) -> None:
        self.window: Window | None = None
        self._wait = wait
        self._what = what
        self._at = at
        # Every message has this size.
        self.exact = self._size = int(address["message_size"])
        self._memory = sysv_shm.attach(address["memory"])
        self._bytes = self._memory.bytes
        self._until_free: Callable[[], object] = self._watch_for_star
        self._until_full: Callable[[], bool] = self._watch_for_letter
        # The star and the letters themselves tell the other side: nothing is left to say.
        self._tell_filled: Callable[[], None] = _nothing
        self._tell_taken: Callable[[], None] = _nothing
        slot = self._bytes
        self.sending = Touch(reads=(what,), ready=lambda: slot[0] == _TAKEN)
        self.receiving = Touch(reads=(what,), ready=lambda: slot[0] != _TAKEN or wait.finishing)
        self._fill = self._empty = Touch(changes=(what,))
        if "put" in address:
            put = Semaphore(address["put"], wait, f"room in {what}, the free slot")
            get = Semaphore(address["get"], wait, f"letters in {what}", drains=True)
            self._until_free, self._tell_filled = put.wait, get.post
            self._until_full, self._tell_taken = get.wait, put.post
            room, filled = f"room in {what}", f"letters in {what}"
            self.sending = Touch(changes=(room,), ready=lambda: put.value > 0)
            self.receiving = Touch(changes=(filled,), ready=lambda: get.value > 0 or wait.finishing)
            self._fill = Touch(changes=(what, filled))
            self._empty = Touch(changes=(what, room))

    def send(self, message: bytes, priority: int = 0) -> None:
        """Send one message of exactly the channel's size, which must not begin with `*`."""
        if len(message) != self._size:
            raise KernelObjectError(
                f"{self._what} takes messages of exactly {self._size} bytes, not {len(message)}"
            )
        if message[0] == _TAKEN:
            raise KernelObjectError(f"{self._what}: a message that begins with * looks taken")
        self._until_free()
        slot = self._bytes
        entered = time.monotonic_ns()
        if self._at is not None:
            self._at("write", self._fill)
        for n in range(_LETTERS):  # as in the lecture: one letter after another
            slot[n] = message[n]
        slot[_REST : _REST + self._size - _LETTERS] = message[_LETTERS:]
        self.window = Window(entered, time.monotonic_ns(), THE_SLOT, THE_SLOT)
        self._tell_filled()

    def receive(self) -> bytes | None:
        """Return what stands in the slot, and mark it taken."""
        if not self._until_full():
            return None
        slot = self._bytes
        entered = time.monotonic_ns()
        if self._at is not None:
            self._at("read", self._empty)
        message = bytes(slot[:_LETTERS]) + bytes(slot[_REST : _REST + self._size - _LETTERS])
        slot[0] = _TAKEN
        self.window = Window(entered, time.monotonic_ns(), THE_SLOT, THE_SLOT)
        self._tell_taken()
        return message

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()

    def _watch_for_star(self) -> None:
        if self._bytes[0] == _TAKEN:
            return
        with self._wait.standing(f"room in {self._what}, the star") as deadline:
            while self._bytes[0] != _TAKEN:
                deadline.tick()
                os.sched_yield()

    def _watch_for_letter(self) -> bool:
        if self._bytes[0] != _TAKEN:
            return True
        with self._wait.standing(f"letters in {self._what}") as deadline:
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough.
                finishing = self._wait.finishing
                if self._bytes[0] != _TAKEN:
                    return True
                if finishing:
                    return False
                deadline.tick()
                os.sched_yield()


def _nothing() -> None:
    """Tell the other side nothing."""
