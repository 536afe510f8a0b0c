"""A System V semaphore that keeps its deadlines, whatever its package was built with.

The Linux wheel of sysv_ipc 1.2.0 ignores every timeout (SEMAPHORE_TIMEOUT_SUPPORTED is False), so
its calls are used without blocking only; whoever must wait does so in semtimedop(2).
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable

import sysv_ipc

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel import libc
from common.kernel.waits import TICK, Wait

REMOVED = "somebody removed it while it was in use: ipcrm, or another program's clean-up"


class Semaphore:
    """One counting semaphore, opened by its key; ``what`` names it in messages.

    ``undo`` has the kernel take this process's changes back when it ends: for locks only, since a
    producer that ends would take its items back. ``drains`` lets ``wait`` give up, with False,
    once ``wait.finishing`` is set and the value is 0. ``take`` and ``give`` are the bare calls:
    they never block and raise sysv_ipc's exceptions (``BusyError`` where they would block).
    Raises ``ObjectVanished`` when there is no such semaphore, ``NotPermitted`` when it is closed
    to this user.
    """

    def __init__(
        self, key: int, wait: Wait, what: str, *, undo: bool = False, drains: bool = False
    ) -> None:
        try:
            # Never IPC_CREAT on opening: it would set a live semaphore back to 0.
            self._handle = sysv_ipc.Semaphore(key)
        except sysv_ipc.ExistentialError:
            raise ObjectVanished(f"{what}: there is no semaphore with key {key:#x}") from None
        except sysv_ipc.PermissionsError:
            raise NotPermitted(f"{what}: semaphore {key:#x} is closed to this user") from None
        self._handle.block = False
        self._handle.undo = undo
        self._id = self._handle.id
        self._flags = libc.SEM_UNDO if undo else 0
        self._wait = wait
        self._what = what
        self._drains = drains
        # Made when first needed: most semaphores of most processes are never waited for.
        self._take_within_a_tick: Callable[[], bool] | None = None
        self.take = self._handle.acquire
        self.give = self._handle.release

    @property
    def value(self) -> int:
        """The value now; raises ``ObjectVanished``."""
        try:
            return self._handle.value
        except sysv_ipc.ExistentialError:
            raise self.vanished() from None

    def wait(self) -> bool:
        """Take one, blocking while the value is 0; False only where ``drains`` gives up.

        Raises ``WaitExpired`` and ``ObjectVanished``.
        """
        try:
            self.take()
        except sysv_ipc.BusyError:
            return self.stand()
        except sysv_ipc.ExistentialError:
            raise self.vanished() from None
        return True

    def stand(self) -> bool:
        """Take one by blocking at once: the slow half of ``wait``."""
        # Nearly every wait is over within a tick: only a longer one is published and timed.
        patient = not (self._wait.finishing or self._wait.refuses_full)
        if patient and self._wait.seconds > 10 * TICK:
            quick = self._take_within_a_tick
            if quick is None:
                quick = libc.timed_semop(self._id, [(0, -1, self._flags)], TICK)
                self._take_within_a_tick = quick
            try:
                if quick():
                    return True
            except OSError as error:
                raise self._explained(error) from None
        return self._block(-1)

    def post(self) -> None:
        """Give one; raises ``ObjectVanished``."""
        try:
            self.give()
        except sysv_ipc.ExistentialError:
            raise self.vanished() from None
        except ValueError:
            raise KernelObjectError(f"{self._what}: it is at its greatest value") from None

    def wait_zero(self) -> None:
        """Block until the value is 0 (a start gate); raises ``WaitExpired``, ``ObjectVanished``."""
        # In one call: whoever stands at a gate looks at nothing before it opens, and a thousand
        # who wake at every tick take the time in which the others start.
        self._block(0, math.inf)

    def close(self) -> None:
        """Let go of the handle; the semaphore stays (the kernel keeps nothing open for it)."""

    def vanished(self) -> ObjectVanished:
        """Return the error that says that the semaphore was removed."""
        return ObjectVanished(f"{self._what}: its semaphore no longer exists", REMOVED)

    def _block(self, change: int, most: float | None = None) -> bool:
        operations = [(0, change, self._flags)]
        with self._wait.standing(self._what) as deadline:
            while True:
                gives_up = self._drains and self._wait.finishing
                try:
                    seconds = 0 if gives_up else deadline.tick(most)
                    if libc.semtimedop(self._id, operations, seconds):
                        return True
                except OSError as error:
                    raise self._explained(error) from None
                if gives_up:
                    return False

    def _explained(self, error: OSError) -> KernelObjectError:
        if error.errno in (errno.EIDRM, errno.EINVAL):
            return self.vanished()
        return KernelObjectError(f"{self._what}: {error.strerror}")


def set_value(key: int, value: int) -> None:
    """Set a semaphore of nobody who waits: the launcher puts it back to how it made it."""
    sysv_ipc.Semaphore(key).value = value


def get_value(key: int) -> int | None:
    """Return the value of a semaphore that this process has not open; None when it is gone."""
    try:
        found: int = sysv_ipc.Semaphore(key).value
    except sysv_ipc.Error:
        return None
    return found


def last_pid(key: int) -> int | None:
    """Return who changed a semaphore last, None while its value is above 0 or when it is gone."""
    try:
        semaphore = sysv_ipc.Semaphore(key)
        return None if semaphore.value else semaphore.last_pid
    except sysv_ipc.Error:
        return None
