"""Notification by a POSIX queue: when mq_notify(3) alarms, whom, and how."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path

import posix_ipc

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt
from common.claims.lab import PATIENCE, Lab, Tell
from common.kernel.libc import mqueue

SIZE = 64
ALARM = signal.SIGUSR1


def _came() -> bool:
    # Blocked, so that it waits to be fetched; the kernel sends it within mq_send already.
    return signal.sigtimedwait({ALARM}, 0) is not None


@claim("A49", 343, "A POSIX queue can alarm the reader when a message is placed into it.")
def alarms(lab: Lab) -> Shown:
    """A registered process gets two messages; then registers with one left; then has a receiver."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {ALARM})
    queue = mqueue.mq_open(lab.maker.posix_queue(3, SIZE), os.O_RDWR)
    seen = {}

    def send(when: str) -> None:
        mqueue.mq_send(queue, b"x")
        seen[when] = _came()
        lab.note(f"a message {when}: {'an alarm' if seen[when] else 'no alarm'}")

    mqueue.mq_notify(queue, ALARM)
    send("into the empty queue")
    send("after it, not registered again")
    mqueue.mq_notify(queue, ALARM)
    send("into a queue with messages, registered again")
    while mqueue.mq_getattr(queue).curmsgs:
        mqueue.mq_receive(queue, SIZE)

    def receive(tell: Tell) -> None:
        tell("receiving")
        tell(mqueue.mq_receive(queue, SIZE)[0].decode())

    receiver = lab.fork(receive)
    receiver.told()
    receiver.asleep()
    send("while another process is blocked receiving")
    lab.note(f"that process got {receiver.told()!r}, and the registration stays")
    send("into the empty queue once more")
    return alarmed(list(seen.values()))


def alarmed(seen: list[bool]) -> Shown:
    """Judge which messages alarmed: DEPENDS where some did and others did not."""
    verdict = HOLDS if all(seen) else DEPENDS if any(seen) else FAILS
    return Shown(
        verdict,
        f"{sum(seen)} alarms for {len(seen)} messages",
        "only when a message comes into the empty queue, once for each registration, and not "
        "when a receiver waits for it",
    )


@claim("A56", 381, "The notification, which avoids polling, is a signal or a new thread.")
def forms(lab: Lab) -> Shown:
    """A process waits for a signal, and then for a thread that a message has made."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {ALARM})
    name = lab.maker.posix_queue(2, SIZE)
    queue = mqueue.mq_open(name, os.O_RDWR)

    def send(tell: Tell) -> None:
        tell(str(os.getpid()))
        mqueue.mq_send(queue, b"x")

    mqueue.mq_notify(queue, ALARM)
    sender = lab.fork(send)
    info = signal.sigtimedwait({ALARM}, PATIENCE)
    by_signal = info is not None and str(info.si_pid) == sender.told()
    sender.ended()
    lab.note(f"a signal came: {by_signal}, and says who sent the message")
    mqueue.mq_receive(queue, SIZE)
    thread = _thread_of(name)
    by_thread = thread not in ("", str(os.getpid()))
    lab.note(f"a message made the thread {thread or '(none)'} of process {os.getpid()}")
    return both(by_signal, by_thread)


def both(by_signal: bool, by_thread: bool) -> Shown:
    """Judge which forms came: DEPENDS where only one did."""
    came = [form for form, one in (("signal", by_signal), ("thread", by_thread)) if one]
    verdict = (FAILS, DEPENDS, HOLDS)[len(came)]
    why = "the kernel knows signals only; the C library makes the thread, and one to wait for it"
    return Shown(verdict, " and ".join(came) or "nothing came", why)


def _thread_of(name: str) -> str:
    """Return the id of the thread in which a message into the empty queue ``name`` is told of."""
    reading, writing = os.pipe()

    def told(_: object) -> None:
        os.write(writing, Path("/proc/thread-self").readlink().name.encode())

    queue = posix_ipc.MessageQueue(name)
    queue.request_notification((told, None))
    queue.send(b"x")
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    return os.read(reading, 32).decode() if poll.poll(PATIENCE * 1000) else ""


@claim("A57", 390, "The process is registered for the queue; a NULL notification removes that.")
def registration(lab: Lab) -> Shown:
    """Two processes ask for the same queue: while one is registered, after NULL, after its end."""
    queue = mqueue.mq_open(lab.maker.posix_queue(2, SIZE), os.O_RDWR)
    go_reading, go_writing = os.pipe()

    def register(tell: Tell) -> None:
        mqueue.mq_notify(queue, 0)
        tell("registered")
        os.read(go_reading, 1)
        mqueue.mq_notify(queue, None)
        tell("removed")
        os.read(go_reading, 1)

    other = lab.fork(register)
    other.told()
    taken = attempt(lambda: mqueue.mq_notify(queue, 0))
    lab.note(f"another process is registered: mq_notify says {taken or 'done'}")
    os.write(go_writing, b"x")
    other.told()
    free = attempt(lambda: mqueue.mq_notify(queue, 0))
    lab.note(f"it asked with NULL: mq_notify says {free or 'done'}")
    mqueue.mq_notify(queue, None)
    dying = lab.fork(lambda tell: mqueue.mq_notify(queue, 0))
    dying.ended()
    after = attempt(lambda: mqueue.mq_notify(queue, 0))
    lab.note(f"a registered process ended: mq_notify says {after or 'done'}")
    return holds(
        (taken, free) == ("EBUSY", ""),
        f"{taken or 'done'}, after NULL {free or 'done'}",
        "one process for each queue; its registration also ends with the process"
        if not after
        else f"one process for each queue; when it had ended: {after}",
    )
