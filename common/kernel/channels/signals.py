"""Jobs in a shared buffer, each announced to the receiver by a signal: signals do not count.

Lecture (signal concepts): "Important: Signals are not queued. If a process has a pending signal of
type k, then subsequent signals of type k that are sent to that process are discarded"; "You can't
use signals to count events". The receiver takes one job a signal: with ``realtime: false``, which
is SIGUSR1, jobs whose signal was discarded stay behind. Real-time signals are queued (signal(7)).
The signal is blocked and waited for, so no handler interrupts anybody.

Behind the slots: pid and start time of the receiver, and whether one that dies is replaced.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sysv_ipc

from common import kinds, names
from common.errors import KernelObjectError, ObjectVanished, PeerLost
from common.kernel import slots
from common.kernel.channels import At, Facts, Touch, Window
from common.kernel.locks import Address, Lock
from common.kernel.sysv import Semaphore, set_value
from common.kernel.waits import Wait
from common.options import option

if TYPE_CHECKING:
    from common.kernel.objects import Maker

# Whether who has it open is told of its removal.
TELLS_REMOVAL = True

# The objects of a limited number that one channel makes (its lock is not counted).
OBJECTS = {"sysv_sem": 2, "sysv_shm": 1}

# The points of a send or receive that a delay can be declared at.
STEPS = ("acquire", "check", "read", "write", "release")

_PID, _START, _REPLACED = range(3)
STANDARD, REALTIME = signal.SIGUSR1, signal.SIGRTMIN + 4
# pidfd_send_signal(2): to the thread that was opened, which is the receiver's first. Another thread
# of a process that has more than one would not have the signal blocked. Since Linux 6.9.
_PIDFD_SIGNAL_THREAD = 1


@dataclass(frozen=True)
class Options:
    """How long the buffer is, and which signals announce what is in it."""

    slots: int = option(64, about="messages that the buffer holds", minimum=1, maximum=32767)
    realtime: bool = option(
        True, about="real-time signals, which are queued; false: SIGUSR1, which is not"
    )


def facts(options: Options) -> Facts:
    """Return how it behaves (signal(7), sigtimedwait(2))."""
    pending = "at most RLIMIT_SIGPENDING signals may be pending for a user"
    return Facts(
        # Of what nobody was told nobody makes room: whoever waited for it would wait for ever.
        bounded=options.realtime,
        boundaries=True,
        many_senders=True,
        many_receivers=False,
        kept=True,
        order="as sent" if options.realtime else "as sent; one job a signal, the rest is lost",
        waiting="receivers in sigtimedwait(2), senders in semtimedop(2)",
        limits=pending if options.realtime else "one SIGUSR1 pending at a time",
        persists="until it is removed and nobody has it attached",
        named="the keys of its segment and semaphores; the receiver by its pid",
        sender_dies="a slot of room less, for good (after the last of them senders wait in vain); "
        "killed before it signals (release), a job without a signal: the last one there stays "
        "behind until another receiver comes",
        receiver_dies="senders are told; what it did not take waits for another, which finds it in "
        "the buffer; killed inside, it may leave a slot of room less, for good",
    )


def check(options: Options, message_size: int) -> str:
    """Return why messages of ``message_size`` bytes do not fit ("" when they do)."""
    most = resource.getrlimit(resource.RLIMIT_SIGPENDING)[0]
    if options.realtime and most != resource.RLIM_INFINITY and options.slots > most:
        return f"slots {options.slots} are more signals than may be pending: {most} (ulimit -i)"
    return ""


def check_ends(options: Options, per: bool, senders: int, receivers: int) -> str:
    """Return why so many processes cannot use it ("" when they can)."""
    if receivers > 1:
        return f"a signal is sent to one process, and there are {receivers} receivers"
    return ""


def mend(options: Options, lock: str) -> str:
    """Return what would keep every job: signals that are queued."""
    return "" if options.realtime else "realtime: true; real-time signals are queued, these are not"


def make(options: Options, message_size: int, lock: Address, maker: Maker) -> dict[str, Any]:
    """Create segment and semaphores: room to be taken, and the one receiver's seat."""
    return {
        "memory": slots.make(options.slots, message_size, maker, extra=3),
        "room": maker.sysv_sem(options.slots),
        "seat": maker.sysv_sem(1),
        "lock": lock,
        "realtime": options.realtime,
    }


def attach(address: Address, mode: str, wait: Wait, what: str, at: At | None = None) -> Signals:
    """Open one end. Raises ``ObjectVanished``, and ``KernelObjectError`` for a second receiver."""
    return (Receiver if mode == "receive" else Signals)(address, wait, what, at)


def keep_open(address: Address) -> Callable[[], None]:
    """Have senders go on though the receiver has died; returns what ends that.

    Who takes its seat finds their jobs in the buffer.
    """
    try:
        opened = slots.Slots(address["memory"])
    except ObjectVanished:
        return lambda: None
    opened.extra[_REPLACED] = 1

    def end() -> None:
        opened.extra[_REPLACED] = 0
        opened.close()

    return end


def reset(address: Address) -> None:
    """Empty the buffer; the receiver stays who it is."""
    slots.clear(address["memory"])
    set_value(address["room"], address["memory"]["slots"])
    guard = address["lock"]
    kinds.load(kinds.LOCKS, guard["kind"]).reset(guard["at"])


class Signals:
    """The end that sends.

    The step hook is called at ``acquire`` (there is room), ``check`` (alone in the buffer),
    ``write`` or ``read`` (the position is read) and ``release`` (before the lock is given and the
    other side told).
    """

    def __init__(self, address: Address, wait: Wait, what: str, at: At | None) -> None:
        self.window: Window | None = None
        self._wait = wait
        self._what = what
        self._at = at
        self._waits: bool = address["realtime"]
        self._signal = REALTIME if address["realtime"] else STANDARD
        room = self._room = Semaphore(address["room"], wait, f"room in {what}")
        guard = address["lock"]
        what_lock = f"the lock of {what}"
        self._lock: Lock = kinds.load(kinds.LOCKS, guard["kind"]).attach(
            guard["at"], wait, what_lock
        )
        self._slots = slots.Slots(address["memory"])
        self._target: tuple[int, int, int] = (0, 0, -1)
        self._closed = False
        self._poll = select.poll()
        free, told = f"room in {what}", f"signals of {what}"
        lock = (what_lock,) if self._lock.giving else ()
        gives = what_lock if self._lock.giving else ""
        ready = (lambda: room.value > 0) if self._waits else None
        self.sending = Touch(changes=(free,), ready=ready)
        self.receiving = Touch(changes=(told,))
        head, tail = f"head of {what}", f"tail of {what}"
        self._look_at_tail = Touch(reads=(tail,))
        self._look_at_both = Touch(reads=(head, tail))
        self._fill = Touch(changes=(what, tail))
        self._take = Touch(reads=(what,), changes=(head,))
        self._sent = Touch(changes=(*lock, told), gives=gives)
        self._taken = Touch(changes=(*lock, free), gives=gives)

    def send(self, message: bytes, priority: int = 0) -> None:
        """Place one message and signal the receiver; the buffer knows no priority.

        A full buffer makes its sender wait, or loses the message where signals are (see facts).
        Raises ``KernelObjectError`` when the receiver has ended.
        """
        at, ring = self._at, self._slots
        if len(message) > ring.size:
            raise KernelObjectError(f"{self._what} takes messages of up to {ring.size} bytes")
        if not self._reserved():
            return
        if at is not None:
            at("acquire", self._lock.taking)
        self._lock.acquire()
        entered = time.monotonic_ns()
        if at is not None:
            at("check", self._look_at_tail)
        tail = ring.cells[slots.TAIL]
        if at is not None:
            at("write", self._fill)
        ring.fill(tail, message)
        ring.cells[slots.TAIL] = tail + 1
        receiver = ring.extra[_PID], ring.extra[_START]
        left = time.monotonic_ns()
        if at is not None:
            at("release", self._sent)
        self._lock.release()
        # Whoever comes to receive finds what is there already.
        if receiver[0]:
            try:
                self._tell(*receiver)
            except PeerLost:
                if not ring.extra[_REPLACED]:
                    raise
        self.window = Window(entered, left, tail, tail + 1)

    def receive(self) -> bytes | None:
        """Refuse: this end only sends."""
        raise KernelObjectError(f"{self._what} was opened to send, not to receive")

    def abandon(self) -> None:
        """Let go of the lock."""
        self._lock.abandon()

    def restart(self) -> None:
        """Do nothing: nothing is received ahead."""

    def close(self) -> None:
        """Let go of memory, lock and receiver; harmless twice."""
        if self._closed:
            return
        self._closed = True
        if self._target[2] >= 0:
            os.close(self._target[2])
        self._slots.close()
        self._lock.close()

    def _reserved(self) -> bool:
        if self._waits:
            return self._room.wait()
        try:
            self._room.take()
        except sysv_ipc.BusyError:
            return False
        except sysv_ipc.ExistentialError:
            raise self._room.vanished() from None
        return True

    def _tell(self, pid: int, start: int) -> None:
        if self._target[:2] != (pid, start):
            self._target = pid, start, self._opened(pid, start)
            self._poll.register(self._target[2], select.POLLIN)
        try:
            # A process that has ended, but is not reaped yet, takes signals and does nothing.
            if self._poll.poll(0):
                raise ProcessLookupError
            try:
                signal.pidfd_send_signal(self._target[2], self._signal, None, _PIDFD_SIGNAL_THREAD)
            except OSError as error:
                if isinstance(error, ProcessLookupError):
                    raise
                # A kernel before 6.9: the process, which has one thread if it is the lab's.
                signal.pidfd_send_signal(self._target[2], self._signal)
        except ProcessLookupError:
            raise self._nobody(pid) from None

    def _opened(self, pid: int, start: int) -> int:
        """Return a pidfd of the receiver: never of another process that has its pid by now."""
        if self._target[2] >= 0:
            self._poll.unregister(self._target[2])
            os.close(self._target[2])
            self._target = 0, 0, -1
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            raise self._nobody(pid) from None
        if names.start_time(pid) != start:
            os.close(pidfd)
            raise self._nobody(pid)
        return pidfd

    def _nobody(self, pid: int) -> PeerLost:
        return PeerLost(f"nobody receives from {self._what} any more: {pid} has ended")


class Receiver(Signals):
    """The end that receives: of one process, whose pid the buffer holds."""

    def __init__(self, address: Address, wait: Wait, what: str, at: At | None) -> None:
        super().__init__(address, wait, what, at)
        # With undo: whoever ends leaves the seat to another.
        self._seat = Semaphore(address["seat"], wait, f"the seat at {what}", undo=True)
        try:
            self._seat.take()
        except sysv_ipc.BusyError:
            pid = self._slots.extra[_PID]
            super().close()
            raise KernelObjectError(
                f"{what} has a receiver already, process {pid}", "a signal is sent to one process"
            ) from None
        # Before anybody can send one: unblocked, it would end this process.
        signal.pthread_sigmask(signal.SIG_BLOCK, {self._signal})
        extra, cells = self._slots.extra, self._slots.cells
        self._lock.acquire()
        extra[_START], extra[_PID] = names.start_time(os.getpid()) or 0, os.getpid()
        # Nobody was told of these, or who was is gone.
        self._early = cells[slots.TAIL] - cells[slots.HEAD]
        self._lock.release()
        told = f"signals of {what}"
        self.receiving = Touch(changes=(told,), ready=lambda: self._any() or wait.finishing)

    def send(self, message: bytes, priority: int = 0) -> None:
        """Refuse: this end only receives."""
        raise KernelObjectError(f"{self._what} was opened to receive, not to send")

    def receive(self) -> bytes | None:
        """Return the oldest message, one for each signal."""
        at, ring = self._at, self._slots
        while self._told():
            if at is not None:
                at("acquire", self._lock.taking)
            self._lock.acquire()
            entered = time.monotonic_ns()
            if at is not None:
                at("check", self._look_at_both)
            head, message = ring.cells[slots.HEAD], None
            if head < ring.cells[slots.TAIL]:
                if at is not None:
                    at("read", self._take)
                message = ring.look(head)
                ring.cells[slots.HEAD] = head + 1
            left = time.monotonic_ns()
            if at is not None:
                at("release", self._taken)
            self._lock.release()
            if message is not None:
                self._room.post()
                self.window = Window(entered, left, head, head + 1)
                return message
            # Otherwise the signal was somebody else's.
        return None

    def restart(self) -> None:
        """Forget the signals of what the launcher has taken out."""
        self._early = 0
        while signal.sigtimedwait({self._signal}, 0) is not None:
            pass

    def close(self) -> None:
        """Leave the seat; what is announced to this process stays behind."""
        if self._closed:
            return
        self._slots.extra[_PID] = 0
        self.restart()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {self._signal})
        with contextlib.suppress(sysv_ipc.ExistentialError):  # removed: there is nothing to leave
            self._seat.give()
        super().close()

    def _any(self) -> bool:
        return self._early > 0 or self._signal in signal.sigpending()

    def _told(self) -> bool:
        """Wait for a signal; False when told to finish and there is none."""
        if self._early:
            self._early -= 1
            return True
        if signal.sigtimedwait({self._signal}, 0) is not None:
            return True
        with self._wait.standing(f"a message in {self._what}") as deadline:
            while True:
                # Told to finish means that nothing more will be sent: then one look is enough.
                finishing = self._wait.finishing
                seconds = 0.0 if finishing else deadline.tick()
                if signal.sigtimedwait({self._signal}, seconds) is not None:
                    return True
                if finishing:
                    return False
                # The kernel tells only who waits for a semaphore that it was removed.
                _ = self._room.value
