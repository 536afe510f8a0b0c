"""The processes under supervision, however many descriptors the launcher has."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from pathlib import Path

from common.history.outcome import ProcessOutcome
from common.kernel import libc
from common.process.members import Member
from tests.conftest import Fork

# select(2) takes none of them.
HIGH = 1024


def test_a_death_is_told_by_a_descriptor_above_1023(fork: Fork, tmp_path: Path) -> None:
    """In a run of over five hundred processes a pidfd is too high for select(2)."""

    def supervise() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(HIGH + 1, min(hard, 2 * HIGH)), hard))
        launcher, pid = os.getpid(), os.fork()
        if not pid:
            libc.prctl_die_with_parent(signal.SIGKILL, launcher)
            signal.pause()
        member = Member(ProcessOutcome("one-0", "works", "", 0, pid), "one", tmp_path)
        member.pidfd = fcntl.fcntl(os.pidfd_open(pid), fcntl.F_DUPFD_CLOEXEC, HIGH)
        os.kill(pid, signal.SIGKILL)
        assert member.death() == "was killed by signal 9 (Killed)"

    assert fork(supervise).ended() == 0
