"""Remembers whether this process holds a lock, where the lock itself does not know its owner."""

from __future__ import annotations

from collections.abc import Callable

from common.errors import KernelObjectError

Call = Callable[[], object]


def owning(
    take: Call, give: Call, what: str
) -> tuple[Callable[[], None], Callable[[], None], Callable[[], None]]:
    """Return acquire, release and abandon over ``take``, which waits, and ``give``."""
    # Closures: no attribute is looked up where the lock is free.
    held = False

    def acquire() -> None:
        nonlocal held
        take()
        held = True

    def release() -> None:
        nonlocal held
        if not held:
            # To give what one has not taken lets two processes in, or breaks the lock.
            raise KernelObjectError(f"{what}: released, but this process does not hold it")
        held = False
        give()

    def abandon() -> None:
        nonlocal held
        held = False

    return acquire, release, abandon
