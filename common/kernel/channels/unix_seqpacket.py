"""A UNIX seqpacket socket: a connection for each sender, boundaries kept by the kernel.

The lecture: sequential packet sockets "are similar to a stream socket, with the exception that
record boundaries are preserved". A message without bytes would look like the end of its
connection, so there is none.
"""

from __future__ import annotations

import functools
import itertools
import os
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.errors import KernelObjectError, PeerLost
from common.kernel import asking, sockets
from common.kernel.channels import At, Channel, Facts, Touch
from common.kernel.connections import Receiver, Sender
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.sockets import CLOSED
from common.kernel.waits import Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: connections live on without the path.
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS: dict[str, int] = {}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# Order is kept among the messages of one sender; connections are read in any order.
ONE_LINE = False

# A receiver can answer on the connection that a message came by: a socket works both ways.
ANSWERS = True

# So many messages of one connection, then it is another one's turn.
_IN_A_ROW = 64

# A receiver inherits the socket that the launcher bound; a sender finds it by its name.
INHERITED = ("receive", "answer")


@dataclass(frozen=True)
class Options:
    """Where the socket is, and who makes it."""

    path: str | None = asking.path("the socket", "the lecture's is mysocket")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (unix(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as each sender sent; who accepts a sender's connection gets all that comes on it",
        waiting="sleeps in poll(2)",
        limits="a message, and a buffer for each sender, of about net.core.wmem_default bytes",
        persists="its name until it is unlinked, its contents until nobody has it open",
        named="a path of at most 107 bytes",
        sender_dies="a whole message or nothing",
        receiver_dies="senders are told once nobody listens, else they connect to who does; what "
        "it did not take from its connections is lost",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    return sockets.most_in_one(message_size)


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Bind the listening socket."""
    made = sockets.make_unix(socket.SOCK_SEQPACKET, maker, options.path)
    return made | {"message_size": message_size}


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.path is None else [Awaited("socket", options.path)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a socket that another program makes."""
    return {"path": options.path, "message_size": size}


def descriptors(address: Address, mode: str) -> list[int]:
    """Return the listening socket for a receiver; a sender connects by the path."""
    return [address["fd"]] if mode == "receive" and "fd" in address else []


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Channel:
    """Open one end; never blocks. Raises ``ObjectVanished`` when its path is gone."""
    size = address["message_size"]
    if mode == "receive":
        return PacketReceiver(sockets.inherited(address, what), size, wait, what)
    sockets.present(address["path"], what)

    def dial() -> socket.socket:
        return sockets.dial(address, socket.SOCK_SEQPACKET, wait, what)

    return PacketSender(dial, size, wait, what)


def reset(address: Address) -> None:
    """Send away whoever stands in line; the others drop their connections themselves."""
    sockets.empty(address["fd"])


class PacketSender(Sender):
    """Sends each message as one record."""

    def __init__(self, dial: Callable[[], socket.socket], size: int, wait: Wait, what: str) -> None:
        super().__init__(dial, wait, what)
        self.send = self._call(size)
        self._size = size
        # What a step touches in which the answer to what was sent is awaited.
        self.answering = Touch(changes=(f"answers of {what}",), ready=self._answered)

    def answer(self) -> bytes:
        """Return what the receiver answers to what was sent last, on the same connection.

        Raises ``WaitExpired``, and ``PeerLost`` when it hung up or died before it answered.
        """
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        with self._wait.standing(f"an answer of {self._what}") as deadline:
            while not poll.poll(deadline.tick() * 1000):
                pass
        try:
            answer = os.read(self.fd, self._size)
        except ConnectionError:
            answer = b""
        if not answer:
            self._hang_up()
            raise PeerLost(f"who serves {self._what} closed the connection before it answered")
        return answer

    def _answered(self) -> bool:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(0))

    def _call(self, size: int) -> Callable[..., None]:
        # A closure: only the descriptor is looked up, since it changes with the connection.
        write, put, what = os.write, self.put, self._what

        def send(message: bytes, priority: int = 0) -> None:
            if not 0 < len(message) <= size:
                if message:
                    raise sockets.too_long(what, size, len(message))
                raise KernelObjectError(f"{what}: an empty message would look like the end")
            try:
                write(self.fd, message)
            except OSError:
                # Not connected, no room, or nobody there: put finds out.
                put(message, 0)

        return send


class PacketReceiver(Receiver):
    """Receives records, some of one connection before the next."""

    def __init__(self, listener: socket.socket, size: int, wait: Wait, what: str) -> None:
        super().__init__(listener, wait, what, lingers=False)
        self._size = size
        self._heard = CLOSED
        # What a step touches in which the last message is answered.
        self.replying = Touch(changes=(f"answers of {what}",))

    def reply(self, message: bytes) -> None:
        """Answer the message that was received last; that its sender has gone is no error.

        Raises ``KernelObjectError`` for a sender that reads no answers.
        """
        if self._heard not in self._lines:
            return
        try:
            os.write(self._heard, message)
        except ConnectionError:
            self._drop(self._heard)
        except BlockingIOError:
            raise KernelObjectError(f"{self._what}: a sender does not read its answers") from None

    def hang_up(self) -> None:
        """Close the connection of the message that was received last."""
        if self._heard in self._lines:
            self._drop(self._heard)

    def _take(self, fd: int) -> bytes | None:
        came: list[bytes] = []
        ended = False
        try:
            # One byte more than there may be: what is longer would be cut without a word.
            read = functools.partial(os.read, fd, self._size + 1)
            came.extend(itertools.islice(iter(read, b""), _IN_A_ROW))
            ended = len(came) < _IN_A_ROW
        except BlockingIOError:
            pass  # what was read before is in the list
        except ConnectionError:
            ended = True
        if came and max(map(len, came)) > self._size:
            # Not ours; what it sent before is as doubtful.
            self.cut_short += 1
            came, ended = [], True
        if came:
            self._heard = fd
        if ended:
            self._drop(fd)
        self._ahead = iter([(message,) for message in came])
        return next(self._ahead, (None,))[0]
