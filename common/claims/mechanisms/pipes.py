"""Pipes: a byte stream between relatives, without a name."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from common.claims.claim import Shown, claim, holds
from common.claims.lab import LONG_ENOUGH, Lab, Tell


@claim("A37", 239, "pipe(fd) gives fd[0] to read and fd[1] to write: one way only.")
@claim("B15", 14, "A pipe is an array of two descriptors: [0] to read, [1] to write.")
@claim("B20", 16, "Data flows one way only.")
def ends(lab: Lab) -> Shown:
    """A pipe; each of its ends is used in the wrong direction, then in the right one."""
    reading, writing = os.pipe()
    wrong = []
    for what, call in (
        ("write to fd[0]", lambda: os.write(reading, b"x")),
        ("read from fd[1]", lambda: os.read(writing, 1)),
    ):
        try:
            call()
        except OSError as error:
            wrong.append(errno.errorcode[error.errno or 0])
            lab.note(f"{what}: {wrong[-1]}")
    os.write(writing, b"x")
    back = os.read(reading, 1)
    return holds(
        wrong == ["EBADF", "EBADF"] and back == b"x",
        " and ".join(wrong),
        "each end refuses the other direction",
    )


@claim("B17", 14, "The typical size of a pipe's buffer is 512 bytes, the minimum of POSIX.")
def capacity(lab: Lab) -> Shown:
    """A pipe that nobody reads, filled without blocking; its bytes are counted."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filled = 0
    try:
        while True:
            filled += os.write(writing, b"x" * 512)
    except BlockingIOError:
        lab.note(f"writes of 512 bytes are refused (EAGAIN) after {filled} bytes")
    said = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    lab.note(f"F_GETPIPE_SZ says {said}")
    os.close(reading)
    return holds(
        filled == 512,
        f"{filled} bytes",
        "512 is _POSIX_PIPE_BUF, up to which POSIX promises that a write stays whole",
    )


@claim("B26", 24, "A reader gets no end-of-file while one process keeps the write end open.")
@claim("B27", 24, "So always close the end that is not used.")
def kept_open(lab: Lab) -> Shown:
    """A writer writes and closes; another process inherited the write end and keeps it a while."""
    reading, writing = os.pipe()
    begun = time.monotonic()

    def keep(tell: Tell) -> None:
        # It inherited the write end, as every child does, and does not use it.
        os.close(reading)
        time.sleep(LONG_ENOUGH)

    keeper = lab.fork(keep)
    os.write(writing, b"all there is")
    os.close(writing)
    first = os.read(reading, 100)
    lab.note(f"the reader got {first!r}; the writer has closed its end")
    end = os.read(reading, 100)
    after = time.monotonic() - begun
    lab.note(f"end-of-file came after {after:.2f} s, when the idle process ended")
    keeper.ended()
    return holds(
        end == b"" and after >= LONG_ENOUGH,
        f"{after:.2f} s",
        f"end-of-file came only when a process that kept the write end {LONG_ENOUGH:g} s ended",
    )
