"""How System V messages are transferred: who waits, what arrives whole, and who gets it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt
from common.claims.lab import LONG_ENOUGH, Lab, Tell
from common.kernel.libc.sysv_calls import (
    IPC_NOWAIT,
    MSG_NOERROR,
    msg_set,
    msg_stat,
    msgget,
    msgrcv,
    msgsnd,
)

SIZE = 128
TEXT = b"Did you get this?\0"
WRITERS, EACH, LENGTH = 8, 60, 5000


def _fill(queue: int) -> int:
    """Make ``queue`` small and fill it; returns the number of messages."""
    msg_set(queue, qbytes=3 * len(TEXT))
    for count in itertools.count():
        if attempt(lambda: msgsnd(queue, 1, TEXT, IPC_NOWAIT)) == "EAGAIN":
            return count
    return 0


@claim("B136", 130, "Non-blocking: the process is not suspended by sending or receiving.")
def nonblocking(lab: Lab) -> Shown:
    """Without blocking, a process receives from an empty queue and sends into a full one."""
    empty, full = msgget(lab.maker.sysv_queue()), msgget(lab.maker.sysv_queue())
    count = _fill(full)

    def tries(tell: Tell) -> None:
        tell(attempt(lambda: msgrcv(empty, SIZE, 0, IPC_NOWAIT)) or "received")
        tell(attempt(lambda: msgsnd(full, 1, TEXT, IPC_NOWAIT)) or "sent")

    child = lab.fork(tries)
    receiving, sending = child.told(), child.told()
    lab.note(f"IPC_NOWAIT at an empty queue: {receiving}; at one with {count} messages: {sending}")
    return holds(
        (receiving, sending) == ("ENOMSG", "EAGAIN"),
        f"{receiving} and {sending}",
        "an error instead of waiting: the program has to look at it",
    )


@claim("B137", 130, "Blocking: the sender waits until the message is transferred or acknowledged.")
def blocking(lab: Lab) -> Shown:
    """A process sends, blocking, into an empty queue that nobody reads, then into a full one."""
    queue = msgget(lab.maker.sysv_queue())

    def send(tell: Tell) -> None:
        tell("sending")
        msgsnd(queue, 1, TEXT)
        tell("sent")

    sender = lab.fork(send)
    sender.told()
    returned = sender.told() == "sent"
    status = msg_stat(queue)
    # Nobody has ever received from the queue: its last receiver is no process.
    before = returned and (status.qnum, status.lrpid) == (1, 0)
    lab.note(f"msgsnd returned: {returned}; {status.qnum} in the queue, receiver {status.lrpid}")
    _fill(queue)
    second = lab.fork(send)
    second.told()
    blocked = second.asleep()
    msgrcv(queue, SIZE, 0, IPC_NOWAIT)
    released = second.told() == "sent"
    lab.note(f"into the full queue: blocked {blocked}, and sent when one was taken: {released}")
    return holds(
        not before,
        f"returned with {status.qnum} message unread",
        "it waits only while the queue is full; there is no acknowledgement"
        if before
        else "it returned only when somebody had received",
    )


@claim(
    "B138", 132, "The example sends its text, 18 bytes, with IPC_NOWAIT, and prints that it did."
)
def unchecked_send(lab: Lab) -> Shown:
    """What the example calls, into a queue with room and into a full one, and what it says."""
    arrived = {}
    for room in (True, False):
        key = lab.maker.sysv_queue()
        queue = msgget(key)
        before = 0 if room else _fill(queue)

        def example(tell: Tell, key: int = key) -> None:
            # As the example: the result is looked at by nobody.
            error = attempt(lambda: msgsnd(msgget(key, 0o666), 1, TEXT, IPC_NOWAIT))
            tell(f'"{TEXT[:-1].decode()}" Sent (msgsnd: {error or "0"})')

        child = lab.fork(example)
        said, ended = child.told(), child.ended()
        arrived[room] = msg_stat(queue).qnum - before
        lab.note(
            f"a queue with{'' if room else 'out'} room: it says {said}, and exits with {ended}"
        )
        lab.note(f"messages that were added: {arrived[room]}")
    data = msgrcv(msgget(key), SIZE, 1, IPC_NOWAIT)[1]
    return sent_as_said(arrived[True], arrived[False], len(data))


def sent_as_said(room: int, full: int, length: int) -> Shown:
    """Judge "Sent" by the messages that were added with room and without."""
    verdict = FAILS if room != 1 or length != 18 else HOLDS if full == 1 else DEPENDS
    return Shown(
        verdict,
        f"{length} bytes; with room {room}, full {full} added",
        "msgsnd's result is not looked at: on a full queue it says Sent, and nothing was",
    )


@claim("B139", 134, "The example receives type 1 into 128 bytes, and prints the text.")
def unchecked_receive(lab: Lab) -> Shown:
    """What the example calls, where there is a queue with the message, and where there is none."""
    key, nobodys = lab.maker.sysv_queue(), names.new_key()
    msgsnd(msgget(key), 1, TEXT)
    printed = []
    for each in (key, nobodys):

        def example(tell: Tell, key: int = each) -> None:
            text, queue = b"", -1
            # As the example: the error of msgget becomes msgrcv's argument, and the buffer stays.
            try:
                queue = msgget(key, 0o666)
            except OSError:
                tell("msgget: -1")
            try:
                text = msgrcv(queue, SIZE, 1)[1]
            except OSError as error:
                tell(f"msgrcv({queue}): {error.strerror}")
            tell(f"prints {text.rstrip(bytes(1)).decode()!r}")

        child = lab.fork(example)
        lines = []
        while (line := child.told()) is not None:
            lines.append(line)
        lab.note(f"{'a queue' if each == key else 'no queue'}: {', '.join(lines)}")
        lab.note(f"exit status {child.ended()}")
        printed.append(lines[-1] if lines else "")
    return printed_as_said(*printed)


def printed_as_said(found: str, missing: str) -> Shown:
    """Judge what was printed with a queue, and without one."""
    verdict = FAILS if found != f"prints {TEXT[:-1].decode()!r}" else DEPENDS
    if verdict == DEPENDS and missing not in ("", "prints ''"):
        verdict = HOLDS
    return Shown(
        verdict,
        f"{found}; without a queue {missing or 'nothing'}",
        "neither result is looked at: without a queue it prints an empty line, as if it had one",
    )


@claim("B141", 136, "There are no partial messages: the transfer is atomic.")
def whole(lab: Lab) -> Shown:
    """Eight processes send long messages at once, one is killed; then a buffer is too small."""
    queue = msgget(lab.maker.sysv_queue())

    def writer(letter: int, messages: int | None) -> Callable[[Tell], object]:
        def write(tell: Tell) -> None:
            for _ in itertools.repeat(None) if messages is None else range(messages):
                msgsnd(queue, letter, bytes([letter]) * LENGTH)

        return write

    letters = range(1, WRITERS)
    for letter in letters:
        lab.fork(writer(letter, EACH))
    endless = lab.fork(writer(WRITERS, None))
    came: Counter[int] = Counter()
    torn = 0

    def take(flags: int) -> None:
        nonlocal torn
        letter, data = msgrcv(queue, LENGTH, 0, flags)
        came[letter] += 1
        torn += data != bytes([letter]) * LENGTH

    while any(came[letter] < EACH for letter in letters):
        take(0)
        if came[WRITERS] == EACH // 2:
            endless.kill()
    endless.kill()
    endless.ended()
    while not attempt(lambda: take(IPC_NOWAIT)):
        pass
    lab.note(f"{came.total()} messages of {LENGTH} bytes by {WRITERS} processes, {torn} torn")
    lab.note(f"of the one that was killed while it sent {came[WRITERS]} whole ones came")
    msgsnd(queue, 1, TEXT)
    small = attempt(lambda: msgrcv(queue, 4, 0, IPC_NOWAIT))
    stays = msg_stat(queue).qnum == 1
    cut = msgrcv(queue, 4, 0, IPC_NOWAIT | MSG_NOERROR)[1]
    lab.note(f"into 4 bytes: {small}, and the message stays: {stays}; with MSG_NOERROR {cut!r}")
    return untorn(torn, came.total(), (small, stays) == ("E2BIG", True))


def untorn(torn: int, all: int, stays: bool) -> Shown:
    """Judge whether messages came whole, and one that does not fit was left alone."""
    return holds(
        torn == 0 and stays,
        f"{torn} torn of {all}",
        "each is there whole or not at all; only a receiver that asks for it (MSG_NOERROR) gets "
        "a piece, and the rest is lost",
    )


@claim("B145", 136, "Messages cannot be broadcast.")
def one_receiver(lab: Lab) -> Shown:
    """Two processes are blocked receiving when one message comes."""
    queue = msgget(lab.maker.sysv_queue())

    def receive(tell: Tell) -> None:
        tell("receiving")
        tell(msgrcv(queue, SIZE)[1].decode())

    readers = [lab.fork(receive) for _ in range(2)]
    for reader in readers:
        reader.told()
        reader.asleep()
    msgsnd(queue, 1, b"to all")
    # The kernel gave it to one within the call: whoever says nothing for so long has nothing.
    got = sum(reader.told(LONG_ENOUGH) == "to all" for reader in readers)
    left = msg_stat(queue).qnum
    lab.note(f"{got} of 2 blocked readers got it; {left} messages are left in the queue")
    waiting = sum(reader.asleep(0) for reader in readers)
    lab.note(f"{waiting} still waits for one")
    return holds(
        got == 1 and left == 0,
        f"{got} of 2 readers",
        "receiving takes a message away: for n readers the sender sends n",
    )
