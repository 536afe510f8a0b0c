"""Locks: one file a kind. Each module has ``Options``, ``make`` and ``attach``.

- ``Options``: a frozen dataclass of :func:`common.options.option` fields; may have none.
- ``make(options, maker) -> Address``: the launcher creates the objects, free to be taken.
- ``make_rows(options, count, maker) -> [Address]``, where many locks share an object (a set, a
  file, a page); elsewhere :func:`make_rows` makes them one by one.
- ``attach(address, wait, what) -> Lock``: a child opens them; ``what`` names the lock in messages.
- ``together(locks) -> Lock``, where the kernel takes several locks of one ``make_rows`` at once:
  all or none, and it holds nothing while it waits.
- ``reset(address)``: set the objects back to free; the launcher asks, after every process has
  abandoned its locks.
- ``holder(address) -> pid | None``: which process has it, as far as the kernel tells.
- ``value(address) -> int | None``: what it stands at, 1 when free; None where there is no value.
- ``facts(options) -> Facts``: how it behaves where the kinds differ.
- ``descriptors(address) -> [int]``, where the launcher opens it and children inherit that: the
  launcher's descriptors that a process needs. A handle owns duplicates.
- ``FREED_BY_REMOVAL = True``: an object that is not there is a free lock; to remove it gives the
  lock back in its holder's place.
- ``A_FILE = True``: the lock is a file, and its address has its ``path``.
- ``LOST_BY_REOPENING = True``: its holder loses it when it closes that file, however often it has
  opened it.
- ``ASKED_BY``, where ``holder`` can tell: the call that it asks by.
- ``EXCLUDES`` and ``TELLS_REMOVAL``: whether one process at a time is inside, and whether who has
  it open is told that the object was removed.
- ``OBJECTS``: how many objects of each kind that the kernel limits by number one ``make``, or one
  ``make_rows``, makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from common import kinds
from common.kernel.touch import Touch

if TYPE_CHECKING:
    from common.kernel.objects import Maker

Address = Mapping[str, Any]

# What becomes of a lock whose holder is killed.
FREED = "freed: the next one gets it and is not told"
TOLD = "freed: the next one gets it and is told that its holder died (EOWNERDEAD)"
HELD = "held for ever: every waiter's deadline passes"
NOTHING = "nothing: it excludes nobody"


class Facts(NamedTuple):
    """How a lock behaves, as the conformance suite finds it, and what its manual page promises.

    ``holder_dies`` is one of FREED, TOLD, HELD, NOTHING. ``counts``: a second release makes room
    for two. ``inherited``: a child that the holder forks holds it too, after the holder has died.
    The rest are words: ``waiting`` how a process waits, ``order`` who is served next, ``limits``,
    ``persists`` when the object ends, ``named`` how another process finds it.
    """

    holder_dies: str
    counts: bool
    inherited: bool
    waiting: str
    order: str
    limits: str
    persists: str
    named: str


class Quick(NamedTuple):
    """The bare calls of a lock, for a loop in which a wrapper around them would be felt.

    Use as ``try: take() except busy: stand()``, then ``give()``; who gives what it has not taken
    breaks the lock. ``errors`` are what the bare calls raise when the object is gone; ``explain``
    turns one into the lab's own error. ``take`` and ``give`` are None where there is no lock.
    """

    take: Callable[[], object] | None
    busy: type[Exception] | tuple[type[Exception], ...]
    stand: Callable[[], object]
    give: Callable[[], object] | None
    errors: tuple[type[Exception], ...]
    explain: Callable[[Exception], Exception]


class Lock(Protocol):
    """Mutual exclusion for one process at a time.

    ``acquire`` blocks until the lock is held; it raises ``WaitExpired`` at the deadline of its
    wait and ``ObjectVanished`` when the object was removed. ``release`` gives back what this
    process acquired; it raises ``KernelObjectError`` for a lock that this process does not hold.
    Both are attributes, so that a role can bind them once.
    """

    @property
    def reading(self) -> Lock:
        """What to hold for reading only: many readers at once where it knows them, or itself."""

    @property
    def acquire(self) -> Callable[[], None]:
        """Take the lock."""

    @property
    def release(self) -> Callable[[], None]:
        """Give the lock back."""

    @property
    def quick(self) -> Quick:
        """The bare calls, for loops that are measured."""

    @property
    def taking(self) -> Touch | None:
        """What acquiring touches; None where there is nothing to acquire."""

    @property
    def giving(self) -> Touch | None:
        """What releasing touches."""

    def abandon(self) -> None:
        """Forget that it is held, and let go of it where only its holder can (see ``reset``)."""

    def close(self) -> None:
        """Let go of the handle; the object stays."""


def make_rows(kind: str, options: Mapping[str, Any], count: int, maker: Maker) -> list[Address]:
    """Make ``count`` locks of a kind, each free to be taken."""
    module = kinds.load(kinds.LOCKS, kind)
    chosen = module.Options(**options)
    if hasattr(module, "make_rows"):
        rows: list[Address] = module.make_rows(chosen, count, maker)
        return rows
    return [module.make(chosen, maker) for _ in range(count)]
