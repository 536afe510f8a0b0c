"""A System V message queue: whole messages, kept by the kernel, by type most urgent first.

The lecture: "Msg type can be used to specify e.g. priorities, urgency, designate recipient", and
msgrcv has three modes: type 0 takes any message, a negative type the oldest of the lowest type up
to it, so the most urgent priority gets the lowest type; a positive type takes this one only. With
``by_recipient`` one queue serves all processes of a group, and the type is the receiver's number:
"Kernel does not help with recipient specification", so anybody could take anybody's messages.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sysv_ipc

from common.errors import KernelObjectError, LabError, MachineError, NotPermitted, ObjectVanished
from common.kernel import asking
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.foreign import Awaited
from common.kernel.locks import Address
from common.kernel.waits import Deadline, Wait, ticking
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal.
TELLS_REMOVAL = True

# The objects of a limited number that one channel makes.
OBJECTS = {"sysv_queue": 1}

_LIMITS = Path("/proc/sys/kernel")

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# What all receivers of one queue have in common (see ``Touch``).
ALL = "the queue of several receivers"


@dataclass(frozen=True)
class Options:
    """How much the queue holds, and how many priorities it tells apart."""

    capacity: int | None = option(
        None,
        about="bytes of messages that the queue holds (msg_qbytes); empty: kernel.msgmnb",
        minimum=1,
    )
    priorities: int = option(
        1, about="how many priorities are told apart; with 1 messages leave as they came", minimum=1
    )
    by_recipient: bool = option(
        False,
        about="one queue for all that it is made `per`: the type of a message is its receiver",
    )
    key: int | None = asking.key("the queue", "the lecture's is 1234")
    made_by: str = asking.maker()


def facts(options: Options) -> Facts:
    """Return how it behaves (msgop(2), msgget(2))."""
    order = "as sent; with priorities the lowest type first, which starves the others"
    if options.by_recipient:
        order = "as sent to each receiver; a queue full of one receiver's makes all senders wait"
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order=order,
        waiting="sleeps in msgsnd(2) or msgrcv(2), which know no timeout: a timer interrupts them",
        limits="kernel.msgmax bytes a message, kernel.msgmnb a queue, kernel.msgmni queues",
        persists="until it is removed, or its IPC namespace ends",
        named="a key_t; the id in each process",
        sender_dies="a whole message or nothing",
        receiver_dies="nobody is told; what it did not take waits for another",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do). See msgget(2)."""
    try:
        largest = int((_LIMITS / "msgmax").read_text())
        whole = int((_LIMITS / "msgmnb").read_text())
    except FileNotFoundError:
        return "this kernel has no System V message queues"
    if message_size > largest:
        return f"a message of {message_size} bytes is over kernel.msgmax = {largest}"
    if options.capacity is not None and options.capacity > whole:
        return f"capacity {options.capacity} is over kernel.msgmnb = {whole}"
    if options.by_recipient and options.priorities > 1:
        return "a type says who receives or how urgent it is: by_recipient goes with one priority"
    if message_size > (options.capacity or whole):
        holds = options.capacity or f"kernel.msgmnb = {whole}"
        return f"a message of {message_size} bytes never fits in a queue of {holds} bytes"
    return ""


def check_ends(options: Options, per: bool, senders: int, receivers: int) -> str:
    """Return why it cannot be used so ("" when it can)."""
    if options.by_recipient and not per:
        return "by_recipient numbers the processes of a group: it needs `per: GROUP`"
    return ""


def objects(options: Options, count: int) -> int:
    """Return how many queues serve a channel that is made for ``count`` processes."""
    return 1 if options.by_recipient else count


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Make the queue. Raises ``MachineError`` when its capacity is refused."""
    return make_for(options, message_size, [""], lock, maker)[""]


def make_for(
    options: Options, message_size: int, owners: Sequence[str], lock: Address, maker: Maker
) -> dict[str, dict[str, Any]]:
    """Make a queue for each owner; with ``by_recipient`` one, with a type for each."""
    size = {"message_size": message_size}
    if not options.by_recipient:
        return {
            owner: {"key": _make(options, maker), **size, "priorities": options.priorities}
            for owner in owners
        }
    key = _make(options, maker)
    return {
        owner: {"key": key, **size, "priorities": 1, "recipient": number}
        for number, owner in enumerate(owners, 1)
    }


def _make(options: Options, maker: Maker) -> int:
    key = maker.sysv_queue(options.key)
    if options.capacity is not None:
        queue = sysv_ipc.MessageQueue(key)
        try:
            queue.max_size = options.capacity
        except sysv_ipc.PermissionsError as error:
            raise MachineError(
                f"a queue of {options.capacity} bytes is refused to this user",
                "only lowering is always permitted; see sysctl kernel.msgmnb",
            ) from error
    return key


def awaited(options: Options, size: int) -> list[Awaited]:
    """Return what another program makes, where the lab does not."""
    return [] if options.key is None else [Awaited("sysv_queue", options.key, size)]


def named(options: Options, size: int) -> dict[str, Any]:
    """Return the address of a queue that another program makes."""
    return {"key": options.key, "message_size": size, "priorities": options.priorities}


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Queue:
    """Open the queue; both modes are the same object. Raises ``ObjectVanished``."""
    return Queue(address, wait, what)


def reset(address: Address) -> None:
    """Take out every message."""
    queue = sysv_ipc.MessageQueue(address["key"], max_message_size=address["message_size"])
    while queue.current_messages:
        queue.receive(False)


class Queue:
    """One process's handle of the queue.

    ``send(message, priority=0)`` takes a priority outside the range as the nearest inside it;
    ``receive()`` returns the oldest of the most urgent messages. See ``Channel``.
    """

    window: Window | None = None

    def __init__(self, address: Address, wait: Wait, what: str) -> None:
        self._wait = wait
        self._what = what
        self._key: int = address["key"]
        self._size: int = address["message_size"]
        levels: int = address["priorities"]
        recipient: int = address.get("recipient", 0)
        # The types of what is sent, from the most urgent to the normal, and what msgrcv asks for.
        self._types = (recipient, recipient) if recipient else (1, levels)
        self._wanted = recipient or (-levels if levels > 1 else 0)
        try:
            # The size is explicit: the package's own limit of 2048 bytes is below the kernel's.
            queue = sysv_ipc.MessageQueue(address["key"], max_message_size=self._size)
        except sysv_ipc.Error as error:
            raise self._explained(error) from error
        self._send, self._receive = queue.send, queue.receive
        # All messages of a channel have one size.
        most = queue.max_size // self._size
        # Room is everybody's where one queue serves all.
        touched = (what, ALL) if recipient else (what,)
        self.sending = Touch(changes=touched, ready=lambda: queue.current_messages < most)
        mine = self._any_of_mine if recipient else lambda: queue.current_messages > 0
        self.receiving = Touch(changes=touched, ready=lambda: mine() or wait.finishing)
        self.send, self.receive = self._calls()

    def _calls(self) -> tuple[Callable[..., None], Callable[[], bytes | None]]:
        # Closures: nothing is looked up where the queue has room, or has a message.
        send_now, receive_now, busy = self._send, self._receive, sysv_ipc.BusyError
        (first, last), wanted = self._types, self._wanted

        def send(message: bytes, priority: int = 0) -> None:
            kind = min(max(last - priority, first), last) if priority else last
            try:
                try:
                    send_now(message, False, kind)
                except busy:
                    self._send_when_room(message, kind)
            except (sysv_ipc.Error, OSError, ValueError) as error:
                raise self._explained(error) from error

        def receive() -> bytes | None:
            try:
                try:
                    return receive_now(False, wanted)[0]
                except busy:
                    return self._receive_when_any()
            except (sysv_ipc.Error, OSError) as error:
                raise self._explained(error) from error

        return send, receive

    def _any_of_mine(self) -> bool:
        # Nothing tells what types stand in a queue. With no room to receive into, msgrcv says that
        # a message of this type is too big (E2BIG), and leaves it, or that there is none.
        try:
            sysv_ipc.MessageQueue(self._key, max_message_size=0).receive(False, self._wanted)
        except sysv_ipc.BusyError:
            return False
        except sysv_ipc.Error as error:
            raise self._explained(error) from error
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise self._explained(error) from error
        return True

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Do nothing: a key and an id need no closing."""

    def _send_when_room(self, message: bytes, kind: int) -> None:
        os.sched_yield()  # one turn for the other side costs less than to sleep and be woken
        with suppress(sysv_ipc.BusyError):
            return self._send(message, False, kind)
        with self._wait.standing(f"room in {self._what}") as deadline, ticking(deadline):
            while True:
                try:
                    return self._send(message, True, kind)
                except sysv_ipc.Error as error:
                    _go_on(error, deadline)

    def _receive_when_any(self) -> bytes | None:
        os.sched_yield()
        with suppress(sysv_ipc.BusyError):
            return self._receive(False, self._wanted)[0]
        with self._wait.standing(f"a message in {self._what}") as deadline, ticking(deadline):
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough.
                block = not self._wait.finishing
                try:
                    return self._receive(block, self._wanted)[0]
                except sysv_ipc.BusyError:
                    return None
                except sysv_ipc.Error as error:
                    _go_on(error, deadline)

    def _explained(self, error: Exception) -> LabError:
        number = getattr(error, "errno", None)
        if isinstance(error, sysv_ipc.ExistentialError) or number == errno.EINVAL:
            return ObjectVanished(f"the message queue of {self._what} was removed")
        if isinstance(error, sysv_ipc.PermissionsError):
            return NotPermitted(f"the message queue of {self._what} is closed to this user")
        if isinstance(error, ValueError):
            return KernelObjectError(f"{self._what} takes messages of up to {self._size} bytes")
        if number == errno.E2BIG:
            return KernelObjectError(
                f"{self._what}: a message of more than {self._size} bytes stands in the queue",
                "its sender is not ours; it blocks the queue until somebody takes it",
            )
        return KernelObjectError(f"{self._what}: {error}")


def _go_on(error: sysv_ipc.Error, deadline: Deadline) -> None:
    # The package has no class of its own for EINTR: it is the plain Error. Nothing was sent or
    # received then (msgop(2) is never restarted), so the call is simply made again.
    if type(error) is not sysv_ipc.Error:
        raise error
    deadline.tick()
