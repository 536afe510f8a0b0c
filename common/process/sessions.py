"""Whoever a program leaves in its session when it ends: found by the kernel's word, and ended."""

from __future__ import annotations

import contextlib
import os
import signal

from common import names


def end_rest(leader: int) -> list[int]:
    """Kill all who are in the session of ``leader`` beside itself; returns their pids.

    The leader must not have been reaped: until then its number is nobody else's (setsid(2)).
    """
    ended = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == leader:
            continue
        with contextlib.suppress(OSError):
            found = names.standing(int(entry.name))
            if found is None or found.zombie or found.session != leader:
                continue
            # The descriptor is of one process for ever; then it is looked whether it is this one.
            pidfd = os.pidfd_open(found.pid)
            try:
                if names.start_time(found.pid) == found.start:
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                    ended.append(found.pid)
            finally:
                os.close(pidfd)
    return ended
