"""A named POSIX semaphore that counts, and keeps its deadlines in CLOCK_MONOTONIC.

A free one costs no system call (futex(7)). sem_timedwait(3) counts in CLOCK_REALTIME, which may be
set: it is asked for short waits only. A semaphore that was unlinked keeps working for those who
have it open, so its removal is not noticed (sem_unlink(3)).
"""

from __future__ import annotations

from collections.abc import Callable

import posix_ipc

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel.waits import Wait


class Semaphore:
    """One counting semaphore, opened by its name; ``what`` names it in messages.

    ``wait`` takes one, blocking while the value is 0, and raises ``WaitExpired``; with ``drains``
    it gives up, with False, once ``wait.finishing`` is set and the value is 0. ``post`` gives one.
    Raises what :func:`opened` raises.
    """

    def __init__(self, name: str, wait: Wait, what: str, *, drains: bool = False) -> None:
        self._handle = opened(name, what)
        self.wait, self.post = _calls(self._handle, wait, what, drains)
        self.close = self._handle.close

    @property
    def value(self) -> int:
        """The value now."""
        return self._handle.value


def opened(name: str, what: str) -> posix_ipc.Semaphore:
    """Open a semaphore by its name.

    Raises ``ObjectVanished`` when there is none, ``NotPermitted`` when it is closed to this user,
    and ``KernelObjectError`` when it cannot be opened for another reason.
    """
    try:
        return posix_ipc.Semaphore(name)
    except posix_ipc.ExistentialError:
        raise ObjectVanished(f"{what}: there is no POSIX semaphore {name}") from None
    except posix_ipc.PermissionsError:
        raise NotPermitted(f"{what}: POSIX semaphore {name} is closed to this user") from None
    except OSError as error:
        # ELOOP: somebody put a link in its place, which sem_open(3) does not follow.
        raise KernelObjectError(f"{what}: POSIX semaphore {name}: {error.strerror}") from None


def _calls(
    handle: posix_ipc.Semaphore, wait: Wait, what: str, drains: bool
) -> tuple[Callable[[], bool], Callable[[], None]]:
    # Closures: no attribute is looked up where it is free.
    take, give, busy = handle.acquire, handle.release, posix_ipc.BusyError

    def stand() -> bool:
        with wait.standing(what) as deadline:
            while True:
                # Told to finish means that nothing more comes: then one look is enough.
                gives_up = drains and wait.finishing
                try:
                    take(0 if gives_up else deadline.tick())
                except (busy, posix_ipc.SignalError):
                    if gives_up:
                        return False
                    continue
                return True

    def take_one() -> bool:
        try:
            take(0.0)  # a float: nothing has to be converted
        except busy:
            return stand()
        return True

    def post() -> None:
        try:
            give()
        except (posix_ipc.Error, OSError) as error:
            raise KernelObjectError(f"{what}: {error}") from None

    return take_one, post


def set_value(name: str, value: int) -> None:
    """Set a semaphore of nobody who waits; there is no call for it, so it is taken and given."""
    semaphore = posix_ipc.Semaphore(name)
    while semaphore.value > value:
        semaphore.acquire(0)
    while semaphore.value < value:
        semaphore.release()
    semaphore.close()


def get_value(name: str) -> int | None:
    """Return the value of a semaphore that this process has not open; None when it is gone."""
    try:
        semaphore = posix_ipc.Semaphore(name)
    except (posix_ipc.Error, OSError):
        return None
    found: int = semaphore.value
    semaphore.close()
    return found
