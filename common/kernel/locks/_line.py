"""Where a lock lies that is nothing but memory: a cache line a row, in a System V segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel.libc import bare
from common.kernel.libc.pthreads import LINE
from common.kernel.tables import sysv_shm

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# The objects of a limited number that the locks of one ``make_rows`` make.
OBJECTS = sysv_shm.OBJECTS

_WORDS = LINE // 4


class Line:
    """The memory of one lock: ``address``, and ``words``, unsigned.

    Raises ``ObjectVanished`` and ``NotPermitted``.
    """

    def __init__(self, place: Mapping[str, Any], what: str = "a lock") -> None:
        try:
            self._memory = sysv_shm.attach(place)
        except ObjectVanished as error:
            raise ObjectVanished(f"{what}: {error.message}", error.hint) from None
        except NotPermitted as error:
            raise NotPermitted(f"{what}: {error.message}", error.hint) from None
        self._closed = False
        offset = place["row"] * LINE
        self.address = bare.address_of(self._memory.bytes) + offset
        self._pointer = bare.pointer(self.address)
        self._every = self._memory.bytes.cast("I")
        self.words = self._every[offset // 4 : offset // 4 + _WORDS]

    @property
    def pointer(self) -> bare.Pointer:
        """What C is given; a ``ValueError`` once it is closed. Who keeps it must forget it then."""
        if self._closed:
            raise ValueError("the memory of this lock was closed")
        return self._pointer

    def close(self) -> None:
        """Detach it; whoever looks at ``words`` afterwards gets a ``ValueError``."""
        self._closed = True
        self.words.release()
        self._every.release()
        self._memory.close()


def make_rows(count: int, maker: Maker, init: Callable[[int], None]) -> list[dict[str, Any]]:
    """Make the lines of ``count`` locks, each made free by ``init(address)``; one segment."""
    segment = sysv_shm.make(sysv_shm.Options(), count * LINE, maker)
    places = [{"key": segment["key"], "row": row} for row in range(count)]
    for place in places:
        with line(place) as made:
            init(made.address)
    return places


@contextmanager
def line(place: Mapping[str, Any]) -> Iterator[Line]:
    """Open a line for a moment."""
    opened = Line(place)
    try:
        yield opened
    finally:
        opened.close()


def look(place: Mapping[str, Any], at: Callable[[Line], int]) -> int | None:
    """Return what ``at`` finds in a line; None when the memory is gone."""
    try:
        with line(place) as opened:
            return at(opened)
    except KernelObjectError:
        return None
