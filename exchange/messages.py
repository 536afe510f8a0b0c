"""Messages of the order desk: an order and its fill, 64 bytes each, little-endian, no padding."""

from __future__ import annotations

import struct
from typing import NamedTuple

SIZE = 64

# a letter that says what it is, padding, item, client's name, buying, row, done, padding, amount,
# rate; the letter comes first, since a slot that begins with `*` is one that was taken
_LAYOUT = struct.Struct("<c7xQ24sBBB5xdd")
LETTER = b"o"
assert _LAYOUT.size == SIZE


class Order(NamedTuple):
    """An order of ``client``; as a fill, ``done`` and ``rate`` say what came of it."""

    item: int
    client: str
    buying: bool
    row: int
    done: bool
    amount: float
    rate: float


def pack(order: Order) -> bytes:
    """Return the message."""
    return _LAYOUT.pack(
        LETTER,
        order.item, order.client.encode(), order.buying, order.row, order.done, order.amount,
        order.rate,
    )  # fmt: skip


def unpack(message: bytes) -> Order:
    """Return the order in ``message``."""
    _letter, item, client, buying, row, done, amount, rate = _LAYOUT.unpack(message)
    return Order(item, client.rstrip(b"\0").decode(), bool(buying), row, bool(done), amount, rate)
