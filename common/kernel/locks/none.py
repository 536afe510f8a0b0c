"""No lock at all: every process goes in at once.

For the variants that show what is lost without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.kernel.locks import NOTHING, Address, Facts, Lock, Quick
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether one process at a time is inside, and whether a waiter is told of the object's removal.
EXCLUDES = False
TELLS_REMOVAL = False

# The objects of a limited number that one lock makes.
OBJECTS: dict[str, int] = {}


@dataclass(frozen=True)
class Options:
    """None."""


def facts(options: Options) -> Facts:
    """Return how it behaves."""
    return Facts(
        holder_dies=NOTHING,
        counts=False,
        inherited=False,
        waiting="nobody ever waits",
        order="none",
        limits="none",
        persists="there is no object",
        named="it has no name",
    )


def make(options: Options, maker: Maker) -> dict[str, Any]:
    """Make nothing."""
    return {}


def attach(address: Address, wait: Wait, what: str) -> NoLock:
    """Return a lock that lets everybody in."""
    return NoLock()


def reset(address: Address) -> None:
    """Do nothing: it is always free."""


def holder(address: Address) -> int | None:
    """Return None: nobody ever holds it."""
    return None


def value(address: Address) -> int | None:
    """Return None: it has no value."""
    return None


class NoLock:
    """Acquire and release do nothing, as cheaply as a call can."""

    taking = giving = None

    def __init__(self) -> None:
        self.acquire = self.release = _nothing
        self.quick = Quick(None, (), _nothing, None, (), lambda error: error)

    @property
    def reading(self) -> Lock:
        """Itself."""
        return self

    def abandon(self) -> None:
        """Nothing is held."""

    def close(self) -> None:
        """Nothing is open."""


def _nothing() -> None:
    pass
