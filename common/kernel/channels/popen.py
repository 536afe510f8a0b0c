"""A shell command between two pipes, as popen(3) starts it: jobs pass through a filter.

Lecture (popen and pclose): "process I/O". Senders write its standard input, receivers read its
standard output. What comes out is a byte stream: the command reads and writes in pieces of its own,
so a receiver may find part of a message, and receivers take turns under the channel's lock. Without
it they cut messages in pieces: "No way to distinguish between several readers". A semaphore counts
the messages that are under way: a receiver that is told to finish stays until none is, or until the
command has ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import posix_ipc

from common import kinds
from common.errors import KernelObjectError, ObjectVanished
from common.kernel import commands, limits
from common.kernel.channels import At, Channel, Facts, Touch, Window
from common.kernel.frames import Writer, drain, duplicate
from common.kernel.locks import Address, Lock
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: it has no name that could be taken away.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes (its lock is not counted).
OBJECTS = {"posix_sem": 1}

# What went in may be in the command's hands: nobody can tell whether something will come out.
WALKABLE = False

# The point of a receive that a delay can be declared at.
STEPS = ("read",)


@dataclass(frozen=True)
class Options:
    """What jobs pass through."""

    command: str = option(
        "cat",
        about="what `sh -c` runs: a filter that writes one message of the same size for each that "
        "it reads, and ends when its standard input does",
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (popen(3), pipe(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as the command writes",
        waiting="sleeps in poll(2); receivers take turns",
        limits="messages of up to PIPE_BUF = 4096 bytes; two pipes, and what the command holds",
        persists="until the command ends, with its launcher at the latest",
        named="no name: descriptors, inherited or handed on",
        sender_dies="a whole record or nothing, up to PIPE_BUF",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    if not options.command.strip() or "\0" in options.command:
        return "command is empty, or has a zero byte: there is nothing to run"
    if message_size > select.PIPE_BUF:
        return (
            f"a message of {message_size} bytes is over PIPE_BUF = {select.PIPE_BUF}: "
            "records of several writers would be mixed"
        )
    return ""


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Start the command between two pipes. Raises ``MachineError`` when there is no room for it."""
    address: dict[str, Any] = {"lock": lock, "message_size": message_size}
    try:
        stdin, writing = os.pipe()
        reading, stdout = os.pipe()
    except OSError as error:
        raise limits.refusal("pipe", str(error)) from None
    pid = maker.command(options.command, stdin, stdout)
    os.close(stdin)
    os.close(stdout)
    for name, fd in (("send", writing), ("receive", reading), ("pidfd", os.pidfd_open(pid))):
        # Ours only: the command reads and writes as it is used to, and blocks.
        os.set_blocking(fd, False)
        inode = os.fstat(fd).st_ino
        address[name] = {"fd": maker.inherit(fd), "inode": inode}
    address |= {"under_way": maker.posix_sem(0)}
    return address | {"pid": pid, "command": options.command}


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the ends that a process needs: receivers also watch the command."""
    names = ("send",) if mode == "send" else ("receive", "pidfd")
    return [address[name]["fd"] for name in names]


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Take one end. Raises ``ObjectVanished`` where it is not open in this process.

    A sender fails at once when the command has gone. A receiver that finds the end of its output
    is told None if it ended well, and fails otherwise.
    """
    try:
        under_way = posix_ipc.Semaphore(address["under_way"])
    except posix_ipc.ExistentialError:
        name = address["under_way"]
        raise ObjectVanished(f"{what}: there is no POSIX semaphore {name}") from None
    fd = duplicate(address[mode]["fd"], address[mode]["inode"], what)
    if mode == "send":
        return Input(fd, under_way, address, wait, what)
    return Output(fd, under_way, address, wait, what, at)


def reset(address: Address) -> None:
    """Read away what has come out, and count nothing as under way."""
    drain(address["receive"]["fd"])
    under_way = posix_ipc.Semaphore(address["under_way"])
    while under_way.value:
        under_way.acquire(0)
    under_way.close()
    guard = address["lock"]
    kinds.load(kinds.LOCKS, guard["kind"]).reset(guard["at"])


class Input(Writer):
    """The standard input of the command, for one sender."""

    def __init__(
        self, fd: int, under_way: posix_ipc.Semaphore, address: Address, wait: Wait, what: str
    ) -> None:
        gone = f"its command {address['command']!r} has ended or closed its standard input"
        super().__init__([fd], address["message_size"], wait, what, gone=gone)
        self._under_way = under_way
        self.send = self._counted(self.send)

    def _counted(self, write: Callable[..., None]) -> Callable[..., None]:
        post, take = self._under_way.release, self._under_way.acquire

        def send(message: bytes, priority: int = 0) -> None:
            # Before it is written: who is killed in between has receivers wait for the end of
            # output, and nobody leaves with a message under way.
            post()
            try:
                write(message)
            except BaseException:
                with contextlib.suppress(posix_ipc.BusyError):
                    take(0)
                raise

        return send

    def close(self) -> None:
        """Close the descriptor and the count."""
        super().close()
        self._under_way.close()


class Output:
    """The standard output of the command, for one receiver.

    The step hook is called at ``read`` (part of a message is read, the rest has not come).
    """

    def __init__(
        self,
        fd: int,
        under_way: posix_ipc.Semaphore,
        address: Address,
        wait: Wait,
        what: str,
        at: At | None,
    ) -> None:
        self.window: Window | None = None
        self._fd = fd
        self._under_way = under_way
        self._pid: int = address["pid"]
        self._pidfd = duplicate(address["pidfd"]["fd"], address["pidfd"]["inode"], what)
        self._command: str = address["command"]
        self._size: int = address["message_size"]
        self._wait = wait
        self._what = what
        self._at = at
        self._part = b""
        self._inside = False
        guard = address["lock"]
        self._lock: Lock = kinds.load(kinds.LOCKS, guard["kind"]).attach(
            guard["at"], wait, f"the lock of {what}"
        )
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)
        self.sending = Touch(changes=(what,))
        self.receiving = Touch(changes=(what,), ready=lambda: bool(self._poll.poll(0)))
        self._rest = Touch(changes=(what,))

    def send(self, message: bytes, priority: int = 0) -> None:
        """Refuse: this end only receives."""
        raise KernelObjectError(f"{self._what} was opened to receive, not to send")

    def receive(self) -> bytes | None:
        """Return the next message; None once the command has ended well and all was received.

        So it does when told to finish and nothing is under way. Raises ``KernelObjectError`` when
        the command failed, or ended inside a message.
        """
        while True:
            if not self._inside:
                # Looked at outside of the lock: who waits for a message keeps nobody out.
                if not self._until_any():
                    return None
                self._lock.acquire()
                self._inside = True
            entered = time.monotonic_ns()
            ended = self._read()
            # Whose message is not whole when its wait is over stays inside: the rest is its own.
            message, self._part = self._part, b""
            left = time.monotonic_ns()
            self._inside = False
            self._lock.release()
            if len(message) == self._size:
                with contextlib.suppress(posix_ipc.BusyError):
                    self._under_way.acquire(0)
                self.window = Window(entered, left, 0.0, 0.0)
                return message
            if ended:
                self._close_down(message)
                return None

    def abandon(self) -> None:
        """Let go of the lock, and of part of a message."""
        self._inside, self._part = False, b""
        self._lock.abandon()

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Close the descriptors and the lock."""
        os.close(self._fd)
        os.close(self._pidfd)
        self._under_way.close()
        self._lock.close()

    def _until_any(self) -> bool:
        """Wait for output, or its end; False when told to finish and nothing is under way."""
        if self._poll.poll(0):
            return True
        with self._wait.standing(f"a message in {self._what}") as deadline:
            while not self._poll.poll(deadline.tick() * 1000):
                if self._wait.finishing and not self._part and not self._under_way.value:
                    return False
        return True

    def _read(self) -> bool:
        """Read the rest of a message; returns whether the output has ended.

        Reads nothing where another receiver was faster.
        """
        while (missing := self._size - len(self._part)) > 0:
            try:
                data = os.read(self._fd, missing)
            except BlockingIOError:
                if not self._part:
                    return False
                if self._at is not None:
                    self._at("read", self._rest)
                self._until_any()
                continue
            if not data:
                return True
            self._part += data
        return False

    def _close_down(self, part: bytes) -> None:
        """Find out how the command ended, once its output has."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        with self._wait.standing(f"the end of {self._command!r}") as deadline:
            while not poll.poll(deadline.tick() * 1000):
                pass
        status = commands.exit_status(self._pid)
        told = f"the command of {self._what}, {self._command!r}"
        if status is None:
            raise KernelObjectError(f"{told}, has ended, and nobody can tell how")
        if status < 0:
            raise KernelObjectError(f"{told}, was killed by signal {-status}")
        if status:
            raise KernelObjectError(f"{told}, failed with exit status {status}")
        # Without turns the rest went to another receiver: that is what is to be seen then.
        if part and self._lock.taking is not None:
            raise KernelObjectError(
                f"{told}, ended after {len(part)} bytes of a message of {self._size}",
                "it must write as much of each message as it reads",
            )
