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
from common.errors import ChannelFull, KernelObjectError, LabError, ObjectVanished, WaitExpired
from common.kernel import commands, limits
from common.kernel.channels import At, Channel, Facts, Touch, Window
from common.kernel.frames import Writer, drain, duplicate
from common.kernel.locks import Address, Lock
from common.kernel.waits import TICK, Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: its pipes end with the command.
TELLS_REMOVAL = True

# The objects of a limited number that one channel makes (its lock is not counted).
OBJECTS = {"posix_sem": 1}

# What went in may be in the command's hands: nobody can tell whether something will come out.
WALKABLE = False

# The point of a receive that a delay can be declared at.
STEPS = ("read",)


# The longest command; what is longer belongs into a file.
LONGEST = 1000


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
        receiver_dies="senders are told once none is left: the command that writes on is ended by "
        "SIGPIPE; what it did not take waits for another as long as anybody has its end open",
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
    if len(options.command) > LONGEST:
        return f"a command of {len(options.command)} characters is over {LONGEST}"
    return ""


def mend(options: Options, lock: str) -> str:
    """Return what would keep receivers from reading parts of one message."""
    return "" if lock != "none" else "with a lock, receivers read whole messages, one at a time"


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
    """Return what a process needs: its end, and what tells that the command has ended."""
    return [address[mode]["fd"], address["pidfd"]["fd"]]


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Take one end. Raises ``ObjectVanished`` where it is not open in this process.

    Both fail at once when the command has failed, and with ``ObjectVanished`` when it was killed.
    When it ended well a sender fails, and for a receiver the channel has ended.
    """
    try:
        under_way = posix_ipc.Semaphore(address["under_way"])
    except posix_ipc.ExistentialError:
        name = address["under_way"]
        raise ObjectVanished(f"{what}: there is no POSIX semaphore {name}") from None
    fd = duplicate(address[mode]["fd"], address[mode]["inode"], what)
    command = Command(address, what)
    if mode == "send":
        return Input(fd, command, under_way, address, wait, what)
    return Output(fd, command, under_way, address, wait, what, at)


def reset(address: Address) -> None:
    """Read away what has come out, and count nothing as under way."""
    drain(address["receive"]["fd"])
    under_way = posix_ipc.Semaphore(address["under_way"])
    while under_way.value:
        under_way.acquire(0)
    under_way.close()
    guard = address["lock"]
    kinds.load(kinds.LOCKS, guard["kind"]).reset(guard["at"])


class Command:
    """The command, watched by a process that is not its parent."""

    def __init__(self, address: Address, what: str) -> None:
        self.line: str = address["command"]
        self._told = f"the command of {what}, {self.line!r}"
        self._pid: int = address["pid"]
        self._pidfd = duplicate(address["pidfd"]["fd"], address["pidfd"]["inode"], what)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)

    def close(self) -> None:
        """Watch it no longer."""
        os.close(self._pidfd)

    def has_ended(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for its end."""
        return bool(self._poll.poll(seconds * 1000))

    def failure(self, part: int = 0, size: int = 0) -> LabError | None:
        """Return what is wrong with how it ended, ``part`` bytes of ``size`` into a message."""
        status = commands.exit_status(self._pid)
        if status is None:
            return ObjectVanished(f"{self._told}, was ended from outside")
        if status < 0:
            return ObjectVanished(f"{self._told}, was killed by signal {-status}")
        if status:
            return KernelObjectError(f"{self._told}, failed with exit status {status}")
        if part:
            return KernelObjectError(
                f"{self._told}, ended after {part} bytes of a message of {size}",
                "it must write as much of each message as it reads",
            )
        return None


class Input(Writer):
    """The standard input of the command, for one sender."""

    def __init__(
        self,
        fd: int,
        command: Command,
        under_way: posix_ipc.Semaphore,
        address: Address,
        wait: Wait,
        what: str,
    ) -> None:
        gone = f"its command {command.line!r} has ended or closed its standard input"
        super().__init__([fd], address["message_size"], wait, what, gone=gone)
        self._command = command
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
            except LabError as error:
                with contextlib.suppress(posix_ipc.BusyError):
                    take(0)
                # A pipe that nobody reads: the end of the command follows at once, or never.
                full = isinstance(error, WaitExpired | ChannelFull) or len(message) != self._size
                if not full and self._command.has_ended(TICK):
                    raise self._command.failure() or error from None
                raise

        return send

    def close(self) -> None:
        """Close the descriptors and the count; harmless twice."""
        if self._fds:
            super().close()
            self._command.close()
            self._under_way.close()


class Output:
    """The standard output of the command, for one receiver.

    The step hook is called at ``read`` (part of a message is read, the rest has not come).
    """

    def __init__(
        self,
        fd: int,
        command: Command,
        under_way: posix_ipc.Semaphore,
        address: Address,
        wait: Wait,
        what: str,
        at: At | None,
    ) -> None:
        self.window: Window | None = None
        self._fd = fd
        self._command = command
        self._under_way = under_way
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
        """Close the descriptors and the lock; harmless twice."""
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        self._command.close()
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
        with self._wait.standing(f"the end of {self._command.line!r}") as deadline:
            while not self._command.has_ended(deadline.tick()):
                pass
        # Without turns the rest went to another receiver: that is what is to be seen then.
        missed = len(part) if self._lock.taking is not None else 0
        failure = self._command.failure(missed, self._size)
        if failure is not None:
            raise failure
