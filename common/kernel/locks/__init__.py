"""Locks: one file a kind. Each module has ``Options``, ``make`` and ``attach``.

- ``Options``: a frozen dataclass of :func:`common.options.option` fields; may have none.
- ``make(options, maker) -> Address``: the launcher creates the objects, free to be taken.
- ``attach(address, wait, what) -> Lock``: a child opens them; ``what`` names the lock in messages.
- ``reset(address)``: set the objects back to free, whoever holds them; the launcher asks.
- ``holder(address) -> pid | None``: which process has it, as far as the kernel tells.
- ``value(address) -> int | None``: what it stands at, 1 when free; None where there is no value.
- ``OBJECTS``: how many objects of each kind that the kernel limits by number one lock makes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from common.kernel.touch import Touch

Address = Mapping[str, Any]


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

    def close(self) -> None:
        """Let go of the handle; the object stays."""
