"""A named pipe (FIFO): a stream of frames of one size, in which each write of a frame is whole.

Writes of up to PIPE_BUF bytes are atomic (pipe(7)), and so is a read of one frame, so that many
may write and many may read. The lecture: all clients write into the server's FIFO, the server
answers into each client's own. With priorities there is one FIFO for each.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, NotPermitted, ObjectVanished, WaitExpired
from common.kernel import asking
from common.kernel.channels import At, Channel, Facts
from common.kernel.foreign import Awaited
from common.kernel.frames import NOT_OPEN, Reader, Writer, close_all, drain
from common.kernel.locks import Address
from common.kernel.unframed import UnframedReader, UnframedWriter
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: a FIFO lives on without its name.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False


@dataclass(frozen=True)
class Options:
    """How many priorities the channel tells apart, and whether a receiver reads ahead."""

    priorities: int = option(
        1, about="how many priorities are told apart, one FIFO for each", minimum=1, maximum=16
    )
    batch: bool = option(
        False, about="read many frames at once: faster, for a channel that one process receives"
    )
    framing: str = option(
        "record",
        about="records of one size; or nothing: a write of any size up to it, and a read gets what "
        "is there, as the lecture's programs do",
        choices=("record", "none"),
    )
    path: str | None = asking.path("the FIFO", "the lecture's is /tmp/fifo")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (fifo(7), pipe(7))."""
    return Facts(
        bounded=True,
        boundaries=options.framing == "record",
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as sent; with priorities the most urgent FIFO first",
        waiting="sleeps in poll(2)",
        limits="records of up to PIPE_BUF = 4096 bytes stay whole; 65536 bytes in all (pipe(7))",
        persists="its name until it is unlinked, its contents until nobody has it open",
        named="a path",
        sender_dies="a whole record or nothing, up to PIPE_BUF; of a longer one, of a program that "
        "is not ours, a part: dropped if nothing stands behind it, else what does is shifted",
        receiver_dies="senders are told (EPIPE) once none is left; what it did not take "
        + (
            "is lost as far as it had read ahead"
            if options.batch
            else "waits for another as long as anybody has it open"
        ),
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if message_size > select.PIPE_BUF:
        return (
            f"a message of {message_size} bytes is over PIPE_BUF = {select.PIPE_BUF}: "
            "records of several writers would be mixed"
        )
    if options.path is not None and options.priorities > 1:
        return "a path is that of one FIFO: priorities: 1"
    if options.framing == "none" and (options.batch or options.priorities > 1):
        return "framing: none reads one write at a time, from one FIFO: no batch, priorities: 1"
    if options.batch and options.priorities > 1:
        return "batch reads ahead of more urgent messages: it goes with one priority only"
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create the FIFOs, the most urgent first."""
    paths = [maker.fifo("channel", options.path) for _ in range(options.priorities)]
    return _address(options, paths, message_size)


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.path is None else [Awaited("fifo", options.path)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a FIFO that another program makes."""
    assert options.path is not None
    return _address(options, [options.path], size)


def told(address: Address) -> dict[str, Any]:
    """Return what another program is told of it: the path, and those of all priorities."""
    return {**address, "path": address["paths"][0]}


def _address(options: Options, paths: list[str], size: int) -> dict[str, Any]:
    return {
        "paths": paths,
        "message_size": size,
        "batch": options.batch,
        "framing": options.framing,
    }


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Open one end; never blocks. Raises ``ObjectVanished`` when its path is gone.

    A sender that comes before any receiver gets its end when it first sends: it fails when none
    came within its deadline. Raises ``NotPermitted`` and ``KernelObjectError`` for a path that is
    not ours or not a FIFO.
    """
    paths, size = address["paths"], address["message_size"]
    if mode == "send":
        ends = _open_all(paths, os.O_WRONLY, what)
        kind = Writer if address["framing"] == "record" else UnframedWriter
        return kind(
            ends, size, wait, what, open_late=lambda level: _await_reader(paths[level], wait, what)
        )
    # Read and write (fifo(7)): a reader that is itself a writer never sees end-of-file between
    # two writers, which would wake it again and again.
    ends = _open_all(paths, os.O_RDWR, what)
    if address["framing"] == "none":
        return UnframedReader(ends, size, wait, what)
    # Up to PIPE_BUF bytes, which is what the kernel keeps in one page.
    return Reader(ends, size, wait, what, select.PIPE_BUF // size if address["batch"] else 1)


def keep_open(address: Address) -> Callable[[], None]:
    """Have senders go on though no receiver is there; returns what ends that.

    It is open for reading then: what stands in it stays, and nobody who writes gets EPIPE, nor
    ENXIO who opens it. Whoever reads until end-of-file still finds that.
    """
    opened: list[int] = []
    for path in address["paths"]:
        with contextlib.suppress(KernelObjectError):  # removed: who comes next will say so
            opened.append(_open(path, os.O_RDONLY, path))
    return lambda: close_all(opened)


def reset(address: Address) -> None:
    """Read away whatever stands in the FIFOs."""
    for path in address["paths"]:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        drain(fd)
        os.close(fd)


def _open_all(paths: list[str], access: int, what: str) -> list[int]:
    opened: list[int] = []
    try:
        for path in paths:
            opened.append(_open(path, access, what))
    except BaseException:
        close_all(opened)
        raise
    return opened


def _await_reader(path: str, wait: Wait, what: str) -> int:
    pause = 0.001
    with wait.standing(f"a reader of {what}") as deadline:
        while (fd := _open(path, os.O_WRONLY, what)) == NOT_OPEN:
            try:
                left = deadline.tick()
            except WaitExpired as error:
                raise KernelObjectError(
                    f"nobody opened {what} for reading within {deadline.seconds:g} s"
                ) from error
            # A pause, not synchronisation: a FIFO without a reader gives nothing to poll, and a
            # blocking open knows no deadline, since os.open goes on after a signal.
            time.sleep(min(pause, left))
            pause *= 2
    return fd


def _open(path: str, access: int, what: str) -> int:
    """Open without waiting; NOT_OPEN when a write end finds no reader (ENXIO)."""
    try:
        fd = os.open(path, access | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError as error:
        raise ObjectVanished(f"the FIFO of {what} was removed: {path}") from error
    except PermissionError as error:
        raise NotPermitted(f"the FIFO of {what} may not be opened: {path}") from error
    except OSError as error:
        if error.errno == errno.ENXIO:
            return NOT_OPEN
        raise KernelObjectError(f"{what}: {error}") from error
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise KernelObjectError(f"{path}, where {what} should be, is not a FIFO")
    return fd
