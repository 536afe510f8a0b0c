"""What a step touches: the shared objects between it and the next one, by name.

A scheduler needs no more than this: two steps of different processes can be reordered without any
effect unless one of them changes what the other touches (Mazurkiewicz's independence).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

# Between the names of locks that are taken at once.
AND = " and "


def locks(words: str) -> list[str]:
    """Return the locks that ``takes`` or ``gives`` names; none for ""."""
    return words.split(AND) if words else []


class Touch:
    """The accesses of a process from one step until its next.

    ``reads`` and ``changes`` name shared objects; to take from a semaphore or queue changes it.
    ``ready`` says whether the access would go through now without blocking (None: always); it
    looks and takes nothing. ``takes`` and ``gives`` name the lock that is acquired or released;
    several that are taken at once are joined by AND (:func:`locks`).
    """

    __slots__ = ("changes", "gives", "reads", "ready", "takes")

    def __init__(
        self,
        reads: tuple[str, ...] = (),
        changes: tuple[str, ...] = (),
        ready: Callable[[], bool] | None = None,
        takes: str = "",
        gives: str = "",
    ) -> None:
        self.reads = reads
        self.changes = changes
        self.ready = ready
        self.takes = takes
        self.gives = gives


class At(Protocol):
    """A step hook: called at each marked point with the step's name and what it touches."""

    def __call__(self, step: str, touch: Touch | None = None, /) -> None:
        """Do what was asked for at this step; returns when the process may pass."""


def of_lock(name: str, free: Callable[[], bool]) -> tuple[Touch, Touch]:
    """Return what acquiring and releasing the lock called ``name`` touch."""
    return Touch(changes=(name,), ready=free, takes=name), Touch(changes=(name,), gives=name)
