"""A POSIX message queue: whole messages, kept by the kernel, always the most urgent first.

Lecture (POSIX message queues): "a read on posix message queue always returns the oldest message on
the highest priority"; "no need for reader when a message is written"; "Posix message queues allow
to alarm the reader when a message is placed into the queue", to "avoid polling". The alarm comes
when a message enters an empty queue, once for each registration, and for one process at a time
(mq_notify(3)).
"""

from __future__ import annotations

import contextlib
import errno
import select
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import posix_ipc

from common.errors import KernelObjectError, NotPermitted, ObjectVanished
from common.kernel import limits
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.locks import Address
from common.kernel.waits import Deadline, Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal: an unlinked queue works on for those (mq_unlink).
TELLS_REMOVAL = False

# The objects of a limited number that one channel makes.
OBJECTS = {"posix_queue": 1}

# The kernel synchronises: there is nothing here for a lock to guard.
GUARDED = False

# What the kernel alarms a waiting receiver with: blocked, so that it interrupts nothing.
ALARM = signal.SIGRTMIN + 3


@dataclass(frozen=True)
class Options:
    """How much the queue holds, how many priorities it tells apart, and how processes wait."""

    capacity: int = option(10, about="messages that the queue holds (mq_maxmsg)", minimum=1)
    priorities: int = option(
        1,
        about="how many priorities are told apart; with 1 messages leave as they came",
        minimum=1,
        maximum=32768,
    )
    waiting: str = option(
        "poll",
        about="poll(2) on the descriptor, as Linux has it; mq_timedsend and mq_timedreceive; or "
        "mq_notify, which alarms one receiver, and others poll",
        choices=("poll", "timed", "notify"),
    )


_WAITING = {
    "poll": "sleeps in poll(2), as only Linux has it",
    "timed": "sleeps in mq_timedsend(3) or mq_timedreceive(3), which count in CLOCK_REALTIME",
    "notify": "one receiver waits for the alarm of mq_notify(3); others, and senders, poll(2)",
}


def facts(options: Options) -> Facts:
    """Return how it behaves (mq_overview(7))."""
    return Facts(
        bounded=True,
        boundaries=True,
        many_senders=True,
        many_receivers=True,
        kept=True,
        order="as sent; with priorities the most urgent first, which starves the others",
        waiting=_WAITING[options.waiting],
        limits="fs.mqueue.msg_max messages of fs.mqueue.msgsize_max bytes, fs.mqueue.queues_max "
        "queues, and RLIMIT_MSGQUEUE bytes for all queues of a user",
        persists="until it is unlinked and nobody has it open, or the machine reboots",
        named="a POSIX IPC name",
        sender_dies="a whole message or nothing",
        receiver_dies="nobody is told; what it did not take waits for another",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    try:
        largest, most = limits.mqueue("msgsize_max"), limits.mqueue("msg_max")
    except OSError:
        return "this kernel has no POSIX message queues"
    if largest is not None and message_size > largest:
        return f"a message of {message_size} bytes is over fs.mqueue.msgsize_max = {largest}"
    if most is not None and options.capacity > most:
        return f"capacity {options.capacity} is over fs.mqueue.msg_max = {most}"
    size, allowed = charge(options, message_size), limits.queue_bytes_allowed()
    if allowed is not None and size > allowed:
        return (
            f"a queue of {options.capacity} messages of {message_size} bytes counts {size} bytes, "
            f"over RLIMIT_MSGQUEUE = {allowed} (ulimit -q)"
        )
    return ""


def charge(options: Options, message_size: int) -> int:
    """Return how many bytes one such queue counts for its user (RLIMIT_MSGQUEUE)."""
    return limits.queue_bytes(options.capacity, message_size)


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Make the queue. Raises ``MachineError`` naming the limit that is in the way."""
    return {
        "name": maker.posix_queue(options.capacity, message_size),
        "message_size": message_size,
        "priorities": options.priorities,
        "waiting": options.waiting,
    }


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> PosixQueue:
    """Open the queue. Raises ``ObjectVanished`` and ``NotPermitted``."""
    return PosixQueue(_open(address["name"], mode, what), address, wait, what)


def reset(address: Address) -> None:
    """Take out every message."""
    queue = _open(address["name"], "receive", address["name"])
    queue.block = False
    with contextlib.suppress(posix_ipc.BusyError):
        while True:
            queue.receive()
    queue.close()


def _open(name: str, mode: str, what: str) -> posix_ipc.MessageQueue:
    # For its own end only: receiving from a queue that is open to send is EBADF.
    try:
        return posix_ipc.MessageQueue(name, read=mode != "send", write=mode == "send")
    except posix_ipc.ExistentialError:
        raise ObjectVanished(f"{what}: there is no POSIX message queue {name}") from None
    except posix_ipc.PermissionsError:
        raise NotPermitted(f"{what}: POSIX message queue {name} is closed to this user") from None
    except OSError as error:
        raise KernelObjectError(f"{what}: {error}") from None


class PosixQueue:
    """One process's end of the queue.

    ``send(message, priority=0)`` takes a priority outside the range as the nearest inside it;
    ``receive()`` returns the oldest of the most urgent messages. See ``Channel``.
    """

    window: Window | None = None

    def __init__(
        self, queue: posix_ipc.MessageQueue, address: Address, wait: Wait, what: str
    ) -> None:
        # O_NONBLOCK belongs to the open description: this one is nobody else's.
        queue.block = False
        self._queue = queue
        self._wait = wait
        self._what = what
        self._size: int = address["message_size"]
        self._highest: int = address["priorities"] - 1
        self._waiting: str = address["waiting"]
        if self._waiting == "notify" and sum(1 for _ in Path("/proc/self/task").iterdir()) > 1:
            # The alarm is for the process: another thread, which has it not blocked, would take it,
            # and die of it. No process of a run has more than one.
            self._waiting = "poll"
        self.sending = Touch(
            changes=(what,), ready=lambda: queue.current_messages < queue.max_messages
        )
        self.receiving = Touch(
            changes=(what,), ready=lambda: queue.current_messages > 0 or wait.finishing
        )
        self.send, self.receive = self._calls()

    def _calls(self) -> tuple[Callable[..., None], Callable[[], bytes | None]]:
        # Closures: nothing is looked up where the queue has room, or has a message.
        send_now, receive_now, busy = self._queue.send, self._queue.receive, posix_ipc.BusyError
        highest, errors = self._highest, (posix_ipc.Error, OSError, ValueError)

        def send(message: bytes, priority: int = 0) -> None:
            level = min(max(priority, 0), highest) if priority else 0
            try:
                try:
                    send_now(message, None, level)
                except busy:
                    self._send_when_room(message, level)
            except errors as error:
                raise self._explained(error) from error

        def receive() -> bytes | None:
            try:
                try:
                    return receive_now()[0]
                except busy:
                    return self._receive_when_any()
            except errors as error:
                raise self._explained(error) from error

        return send, receive

    def abandon(self) -> None:
        """Nothing is held."""

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Close the descriptor; the kernel drops a registration with it. Harmless twice."""
        with contextlib.suppress(posix_ipc.ExistentialError, OSError):
            self._queue.close()

    def _send_when_room(self, message: bytes, level: int) -> None:
        queue = self._queue
        with (
            self._wait.standing(f"room in {self._what}") as deadline,
            self._sleeping(select.POLLOUT, deadline) as sleep,
        ):
            while True:
                try:
                    queue.send(message, sleep(), level)
                except (posix_ipc.BusyError, posix_ipc.SignalError):
                    continue
                return

    def _receive_when_any(self) -> bytes | None:
        queue = self._queue
        with (
            self._wait.standing(f"a message in {self._what}") as deadline,
            self._sleeping(select.POLLIN, deadline) as sleep,
        ):
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough.
                finishing = self._wait.finishing
                try:
                    return queue.receive(0 if finishing else sleep())[0]
                except (posix_ipc.BusyError, posix_ipc.SignalError):
                    if finishing:
                        return None

    @contextlib.contextmanager
    def _sleeping(self, event: int, deadline: Deadline) -> Iterator[Callable[[], float | None]]:
        """Yield what sleeps until it is worth a try, and returns how long the try may block (s)."""
        if self._waiting == "timed":
            self._queue.block = True
            try:
                yield deadline.tick
            finally:
                self._queue.block = False
            return
        poll = select.poll()
        poll.register(self._queue.mqd, event)

        def poll_a_tick() -> None:
            poll.poll(deadline.tick() * 1000)

        if self._waiting == "notify" and event == select.POLLIN:
            with self._alarmed(deadline, poll_a_tick) as sleep:
                yield sleep
            return
        yield poll_a_tick

    @contextlib.contextmanager
    def _alarmed(
        self, deadline: Deadline, otherwise: Callable[[], None]
    ) -> Iterator[Callable[[], None]]:
        """Yield what waits for the kernel's alarm, or does ``otherwise`` if another process has it.

        It returns at once when it has registered: a message that came before tells nobody, so the
        queue is looked into between registering and waiting, and between waiting and waiting.
        """
        queue = self._queue
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {ALARM})
        registered = False

        def sleep() -> None:
            nonlocal registered
            if not registered:
                try:
                    queue.request_notification(ALARM)
                except posix_ipc.BusyError:
                    # EBUSY: the one registration is another's.
                    otherwise()
                else:
                    registered = True
            elif signal.sigtimedwait({ALARM}, deadline.tick()) is not None:
                registered = False  # by its alarm a registration ends

        try:
            yield sleep
        finally:
            if registered:
                queue.request_notification(None)
            while signal.sigtimedwait({ALARM}, 0) is not None:
                pass
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, ValueError):
            return KernelObjectError(f"{self._what} takes messages of up to {self._size} bytes")
        if getattr(error, "errno", None) == errno.EBADF:
            return KernelObjectError(f"{self._what} was opened for the other direction, or closed")
        return KernelObjectError(f"{self._what}: {error}")
