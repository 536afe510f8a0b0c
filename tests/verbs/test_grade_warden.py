"""Whoever watches over a grading takes any descriptor."""

from __future__ import annotations

import os
import resource
import signal

from common.grading import warden
from common.kernel import libc
from tests.conftest import Fork


def test_an_end_is_seen_by_a_descriptor_above_1023(fork: Fork) -> None:
    """A grader that has inherited a thousand open files still waits for its child, and kills it."""

    def grade() -> None:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2048), hard))
        while os.dup(0) < 1023:
            pass
        grader, pid = os.getpid(), os.fork()
        if not pid:
            libc.prctl_die_with_parent(signal.SIGKILL, grader)
            signal.pause()
        assert warden._status(pid, 0.01) == -signal.SIGKILL

    assert fork(grade).ended() == 0
