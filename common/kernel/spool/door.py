"""A door before which processes wait for news: a System V semaphore, 0 open, 1 shut.

Whoever is about to make news opens it, under the spool's lock; who has looked under the same lock
and found nothing shuts it, and then waits for zero. So no news is missed, and who is killed after
opening it has only made others look once more.
"""

from __future__ import annotations

import errno

import sysv_ipc

from common.errors import KernelObjectError, ObjectVanished
from common.kernel import libc
from common.kernel.sysv import REMOVED
from common.kernel.waits import TICK, Wait

OPEN, SHUT = 0, 1


class Door:
    """One door, by its key; raises ``ObjectVanished`` when its semaphore is gone."""

    def __init__(self, key: int, what: str) -> None:
        self._what = what
        try:
            # Never IPC_CREAT on opening: it would set a live semaphore back to 0.
            self._handle = sysv_ipc.Semaphore(key)
        except sysv_ipc.ExistentialError:
            raise self._vanished() from None
        self._id = self._handle.id

    def open(self) -> None:
        """Let everybody look who waits."""
        self._set(OPEN)

    def shut(self) -> None:
        """Nothing is there: who comes now waits."""
        self._set(SHUT)

    def stand(self, wait: Wait, seconds: float) -> None:
        """Wait until it is open, at most so many seconds, or until told to finish."""
        with wait.standing(self._what):
            left = seconds
            while left > 0 and not wait.finishing:
                pause = min(left, TICK)
                try:
                    if libc.semtimedop(self._id, [(0, 0, 0)], pause):
                        return
                except OSError as error:
                    if error.errno in (errno.EIDRM, errno.EINVAL):
                        raise self._vanished() from None
                    raise KernelObjectError(f"{self._what}: {error.strerror}") from None
                left -= pause

    def _set(self, value: int) -> None:
        try:
            self._handle.value = value
        except sysv_ipc.ExistentialError:
            raise self._vanished() from None

    def _vanished(self) -> ObjectVanished:
        return ObjectVanished(f"{self._what}: its semaphore no longer exists", REMOVED)
