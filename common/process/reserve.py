"""Descriptors kept back for the end of a run: who has none left can still clean up, and say so."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import MachineError
from common.process.members import Members

# To read and list /proc, one in the other, while objects are removed.
SPARE = 4


@contextmanager
def held(members: Members) -> Iterator[None]:
    """Hold descriptors back while a run lasts, and let go of them however it ends.

    Raises ``MachineError``, naming the limit, in the place of any EMFILE or ENFILE in between:
    nobody is listened to then any more, for who connects would take what is let go.
    """
    spare: list[int] = []
    try:
        while len(spare) < SPARE:
            spare.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        yield
    except (OSError, MachineError) as error:
        refused = _exhausted(error)
        if refused is None:
            raise
        if members.reception is not None:
            members.reception.close()
            members.reception = None
        raise refused from None
    finally:
        for fd in spare:
            os.close(fd)


def _exhausted(error: Exception) -> MachineError | None:
    # Who makes one sentence of a system call's error has it as its context.
    cause = error if isinstance(error, OSError) else error.__context__
    number = cause.errno if isinstance(cause, OSError) else None
    if number == errno.ENFILE:
        return MachineError("no process of this machine may open any more files", "fs.file-max")
    if number != errno.EMFILE:
        return None
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MachineError(
        f"the launcher ran out of open files: {files} are allowed to a process (RLIMIT_NOFILE)",
        "raise ulimit -n, or start fewer processes",
    )
