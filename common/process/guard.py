"""Whoever is left when the launcher is killed, for what its children had started themselves.

A child of ours is killed by the kernel with its launcher (prctl(2), PR_SET_PDEATHSIG), what it
started is not, nor what a shell put in the background. The guard waits for the end of the launcher
(pidfd_open(2)), whatever the cause, and then ends who is left, as ``run.py clean`` would, and
itself. The objects stay for ``clean`` and for the next start.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
from pathlib import Path

from common.errors import LabError, MachineError
from common.kernel import libc, survivors
from common.kernel.ledger import Ledger, read_ledger
from common.names import start_time
from common.process.interrupts import SIGNALS

NAME = "guard"


class Guard:
    """A process beside the run of this ``directory``, until ``dismiss``."""

    def __init__(self, directory: Path, ledger: Ledger) -> None:
        """Start it; raises ``MachineError`` when there is no room for one more process."""
        libc.command_line()
        try:
            launcher = os.pidfd_open(os.getpid())
            self._pid = os.fork()
        except OSError as error:
            raise MachineError(
                f"cannot start the guard of the run: {error.strerror}",
                "see ulimit -u, ulimit -n and kernel.pid_max",
            ) from None
        if not self._pid:
            try:
                _keep_watch(launcher, directory)
            finally:
                os._exit(0)
        os.close(launcher)
        ledger.process(self._pid, start_time(self._pid), NAME)

    def dismiss(self) -> None:
        """End it: the run is over, and nobody is left."""
        # It may have been killed by another, but not reaped: the number is still its own.
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _keep_watch(launcher: int, directory: Path) -> None:
    # In the guard: away from the terminal, with no descriptor but its own.
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    # Out of the way of the standard streams, should they have been closed.
    watched = fcntl.fcntl(launcher, fcntl.F_DUPFD, 3)
    null = os.open(os.devnull, os.O_RDWR)
    for place in (0, 1, 2):
        os.dup2(null, place)
    os.closerange(3, watched)
    os.closerange(watched + 1, 1 << 30)
    libc.set_title(f"{NAME} {directory.name}")
    poll = select.poll()
    poll.register(watched, select.POLLIN)
    poll.poll()
    with contextlib.suppress(LabError, OSError):
        survivors.end_dead(read_ledger(directory))
