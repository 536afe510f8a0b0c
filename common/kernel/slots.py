"""Slots in shared memory, taken and filled in turn: the lecture's shared buffer, without its locks.

Layout: head and tail, 8 bytes each, which grow without wrapping (slot = position % slots); then
the slots: length, 8 bytes, and the message, rounded up to 8; then cells that a user has for itself.
A position is one aligned load or store; the copy of a message is many and not atomic. Who uses them
keeps others out meanwhile.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from common.kernel.locks import Address
from common.kernel.tables import sysv_shm
from common.kernel.touch import Touch

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Cells of 8 bytes.
HEAD, TAIL, FIRST = range(3)


def make(slots: int, message_size: int, maker: Maker, extra: int = 0) -> dict[str, Any]:
    """Make empty slots, and ``extra`` cells of zeros; returns their address."""
    cells = FIRST + slots * (1 + -(-message_size // 8)) + extra
    memory = sysv_shm.make(sysv_shm.Options(), cells * 8, maker)
    address = {"memory": memory, "slots": slots, "message_size": message_size}
    clear(address)
    return address


def clear(address: Address) -> None:
    """Empty the slots, positions and all, but no extra cells; nobody may be using them."""
    size, slots = address["message_size"], address["slots"]
    width = 1 + -(-size // 8)
    opened = sysv_shm.attach(address["memory"])
    used = (FIRST + slots * width) * 8
    opened.bytes[:used] = bytes(used)
    with opened.bytes.cast("q") as view:
        # A slot that a race leaves unfilled reads as zeros of full length, which no checksum takes.
        for slot in range(slots):
            view[FIRST + slot * width] = size
    opened.close()


class Slots:
    """The slots as one process has them open.

    ``cells`` holds the positions HEAD and TAIL, ``extra`` are the cells behind the slots.
    ``fill(position, message)`` copies a message into the slot of a position, ``look(position)``
    returns the one that is there.
    """

    def __init__(self, address: Address) -> None:
        self.count: int = address["slots"]
        self.size: int = address["message_size"]
        self._memory = sysv_shm.attach(address["memory"])
        self._bytes = self._memory.bytes
        self.cells = self._bytes.cast("q")
        self.extra = self.cells[FIRST + self.count * (1 + -(-self.size // 8)) :]
        self.fill, self.look = self._calls()

    def _calls(self) -> tuple[Callable[[int, bytes], None], Callable[[int], bytes]]:
        # Closures over one call of C each: length and message together.
        slot, view, size, count = (
            struct.Struct(f"@q{self.size}s"),
            self._bytes,
            self.size,
            self.count,
        )
        first, width = FIRST * 8, 8 + -(-size // 8) * 8
        put, get = slot.pack_into, slot.unpack_from

        def fill(position: int, message: bytes) -> None:
            put(view, first + position % count * width, len(message), message)

        def look(position: int) -> bytes:
            length, message = get(view, first + position % count * width)
            whole: bytes = message
            return whole if length == size else whole[:length]

        return fill, look

    def close(self) -> None:
        """Let go of the memory."""
        self.extra.release()
        self.cells.release()
        self._memory.close()


class Touches:
    """What the steps between reserving a slot and telling the other side touch."""

    def __init__(self, what: str, slots: int) -> None:
        tail, head = f"tail of {what}", f"head of {what}"
        self.read_tail, self.move_tail = Touch(reads=(tail,)), Touch(changes=(tail,))
        self.read_head, self.move_head = Touch(reads=(head,)), Touch(changes=(head,))
        names = [f"slot {number} of {what}" for number in range(slots)]
        self.fill = [Touch(changes=(name,)) for name in names]
        self.look = [Touch(reads=(name,)) for name in names]
