"""POSIX message queues: order by priority, life without readers, attributes, limits and time."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from functools import partial
from pathlib import Path

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, without_privileges
from common.claims.lab import LONG_ENOUGH, Lab, Tell
from common.claims.mechanisms._kinds_of_objects import NEW, draw
from common.kernel import libc
from common.kernel.libc import mqueue, sysv_calls

# Bytes of the messages that are sent here.
SIZE = 64
# Queues of a user, more than fit into the limit that is set here.
MANY = 4


@claim("A44", 334, "A POSIX queue is a list that is ordered by priority.")
@claim("A47", 340, "A read always returns the oldest message of the highest priority.")
def priorities(lab: Lab) -> Shown:
    """Messages of the priorities 1 9 1 9 5 are sent in this order; another process takes them."""
    name = lab.maker.posix_queue(5, SIZE)
    queue = mqueue.mq_open(name, os.O_RDWR)
    sent = [("first", 1), ("second", 9), ("third", 1), ("fourth", 9), ("fifth", 5)]
    for text, priority in sent:
        mqueue.mq_send(queue, text.encode(), priority)

    def receive(tell: Tell) -> None:
        for _ in sent:
            data, priority = mqueue.mq_receive(queue, SIZE)
            tell(f"{data.decode()} {priority}")

    reader = lab.fork(receive)
    came = [str(reader.told()) for _ in sent]
    lab.note(f"sent: {', '.join(f'{text} {priority}' for text, priority in sent)}")
    lab.note(f"came: {', '.join(came)}")
    return holds(came == in_order(sent), ", ".join(came), "by priority, and by age among equals")


def in_order(sent: list[tuple[str, int]]) -> list[str]:
    """Return messages in the order of the sentence: the highest priority first, then the oldest."""
    return [f"{text} {priority}" for text, priority in sorted(sent, key=lambda each: -each[1])]


@claim("A45", 336, "A queue needs no reader when a message is written to it.")
def no_reader(lab: Lab) -> Shown:
    """One message each to queues, a pipe and a FIFO that nobody reads."""
    posix = mqueue.mq_open(lab.maker.posix_queue(2, SIZE), os.O_WRONLY)
    system_v = sysv_calls.msgget(lab.maker.sysv_queue())
    reading, writing = os.pipe()
    os.close(reading)
    fifo = lab.maker.fifo("unread")
    said = {
        "POSIX queue": attempt(lambda: mqueue.mq_send(posix, b"x", 0, 0)),
        "System V queue": attempt(lambda: sysv_calls.msgsnd(system_v, 1, b"x", libc.IPC_NOWAIT)),
        "pipe": attempt(lambda: os.write(writing, b"x")),
        "FIFO": attempt(lambda: os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)),
    }
    for what, refused in said.items():
        lab.note(f"{what} without a reader: {refused or 'sent'}")
    return holds(
        not said["POSIX queue"] and not said["System V queue"],
        f"queues: {said['POSIX queue'] or said['System V queue'] or 'sent'}, "
        f"pipe: {said['pipe'] or 'sent'}, FIFO: {said['FIFO'] or 'opened'}",
        "the message lies in the kernel; a pipe wants its reader now",
    )


@claim("A46", 337, "The writer can exit, and a reader reads the message later.")
def persistent(lab: Lab) -> Shown:
    """A process sends into both kinds of queue and ends; then another one starts and receives."""
    name, key = lab.maker.posix_queue(2, SIZE), lab.maker.sysv_queue()

    def send(tell: Tell) -> None:
        mqueue.mq_send(mqueue.mq_open(name, os.O_WRONLY), b"from the dead")
        sysv_calls.msgsnd(sysv_calls.msgget(key), 1, b"from the dead")

    def receive(tell: Tell) -> None:
        tell(mqueue.mq_receive(mqueue.mq_open(name, os.O_RDONLY), SIZE, 0)[0].decode())
        tell(sysv_calls.msgrcv(sysv_calls.msgget(key), SIZE, 0, libc.IPC_NOWAIT)[1].decode())

    writer = lab.fork(send)
    ended = writer.ended()
    lab.note(f"the writer ended with {ended}: process {writer.pid} is {writer.state() or 'reaped'}")
    reader = lab.fork(receive)
    got = [reader.told(), reader.told()]
    lab.note(f"a reader started then: POSIX {got[0]!r}, System V {got[1]!r}")
    return holds(
        ended == 0 and got == ["from the dead"] * 2,
        f"{got.count('from the dead')} of 2 messages",
        "queues belong to the kernel: no process needs to have one open",
    )


@claim("A50", 346, "Queues have mq_open, mq_close, mq_unlink, mq_getattr and mq_setattr.")
def calls(lab: Lab) -> Shown:
    """Each of the five is called, and what it changes is looked at."""
    name = draw(lab, "posix_queue")
    queue = mqueue.mq_open(name, NEW, 0o600, 2, SIZE)
    before = mqueue.mq_setattr(queue, os.O_NONBLOCK, 9, 9)
    after = mqueue.mq_getattr(queue)
    lab.note(f"mq_setattr gives back {before}; mq_getattr then says {after}")
    empty = attempt(lambda: mqueue.mq_receive(queue, SIZE))
    mqueue.mq_unlink(name)
    unlinked = attempt(lambda: mqueue.mq_open(name, os.O_RDWR))
    usable = attempt(lambda: mqueue.mq_send(queue, b"x"))
    lab.note(f"unlinked: opening it {unlinked}, sending by the old descriptor {usable or 'works'}")
    mqueue.mq_close(queue)
    closed = attempt(lambda: mqueue.mq_getattr(queue))
    lab.note(f"closed: mq_getattr {closed}")
    return holds(
        before == (0, 2, SIZE, 0) and after == (os.O_NONBLOCK, 2, SIZE, 0)
        and [empty, unlinked, usable, closed] == ["EAGAIN", "ENOENT", "", "EBADF"],
        f"then {empty}, {unlinked}, {closed}",
        "mq_setattr changes O_NONBLOCK only; an unlinked queue lives until it is closed",
    )  # fmt: skip


@claim("A51", 358, "mq_attr has mq_flags, mq_maxmsg, mq_msgsize and mq_curmsg.")
def attributes(lab: Lab) -> Shown:
    """The attributes are read after three messages; the names are tried with the C compiler."""
    queue = mqueue.mq_open(lab.maker.posix_queue(5, SIZE), os.O_RDWR)
    for _ in range(3):
        mqueue.mq_send(queue, b"x")
    found = mqueue.mq_getattr(queue)
    lab.note(f"after 3 messages: {found}")
    if found != (0, 5, SIZE, 3):
        return Shown(FAILS, str(tuple(found)), "the four numbers are not what the names say")
    known = {}
    for last in ("mq_curmsg", "mq_curmsgs"):
        fields = f"a.mq_flags = a.mq_maxmsg = a.mq_msgsize = a.{last}"
        source = f"#include <mqueue.h>\nint main(void) {{ struct mq_attr a; return {fields} = 0; }}"
        try:
            if lab.compile(source) is None:
                why = "the meaning of the four; without a C compiler their names were not tried"
                return Shown(HOLDS, str(tuple(found)), why)
            known[last] = True
        except subprocess.CalledProcessError:
            known[last] = False
        lab.note(f"a program with {last} {'compiles' if known[last] else 'does not compile'}")
    return holds(
        known["mq_curmsg"],
        f"curmsgs {found.curmsgs} of {found.maxmsg}",
        "the fourth is called mq_curmsgs" if known["mq_curmsgs"] else "as the compiler says",
    )


@claim("A52", 359, "The user says how many messages a queue holds, and how long they may be.")
def limits(lab: Lab) -> Shown:
    """A plain user asks for a small queue, for too much, and for queue after queue."""
    most, longest = (
        int(Path("/proc/sys/fs/mqueue", file).read_text()) for file in ("msg_max", "msgsize_max")
    )
    with without_privileges():
        name = draw(lab, "posix_queue")
        queue = mqueue.mq_open(name, NEW, 0o600, 3, SIZE)
        small = mqueue.mq_getattr(queue)
        mqueue.mq_close(queue)
        mqueue.mq_unlink(name)
        many, large = _make(name, most + 1, SIZE), _make(name, 1, longest + 1)
        attempt(lambda: mqueue.mq_unlink(name))
        # The limit is the user's: a lower one of this process's own leaves others theirs.
        hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)[1]
        room = min(2 * most * longest, hard) if hard >= 0 else 2 * most * longest
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (room, hard))
        made: list[str] = []
        try:
            refused = ""
            while not refused and len(made) < MANY:
                made.append(draw(lab, "posix_queue"))
                refused = _make(made[-1], most, longest)
        finally:
            for name in made:
                attempt(partial(mqueue.mq_unlink, name))
    lab.note(f"asked for 3 of {SIZE} bytes: {small}")
    lab.note(f"{most + 1} messages: {many or 'made'}; {longest + 1} bytes: {large or 'made'}")
    lab.note(
        f"RLIMIT_MSGQUEUE of {room} bytes, {most} x {longest} each: {refused} after {len(made) - 1}"
    )
    return granted(small[1:3] == (3, SIZE), [many, large], refused, f"{most} x {longest} bytes")


def granted(small: bool, beyond: list[str], refused: str, limit: str) -> Shown:
    """Judge whether a small queue was as it was asked for, and one beyond the limits as well."""
    verdict = FAILS if not small else HOLDS if not any(beyond) and not refused else DEPENDS
    return Shown(
        verdict,
        f"at most {limit}: {'/'.join(sorted(set(beyond)))}, then {refused or 'no end'}",
        "up to the limits in /proc/sys/fs/mqueue; and all queues of a user have to fit into "
        "RLIMIT_MSGQUEUE (EMFILE, 'too many open files')",
    )


def _make(name: str, messages: int, size: int) -> str:
    return attempt(lambda: mqueue.mq_close(mqueue.mq_open(name, NEW, 0o600, messages, size)))


@claim("A53", 365, "mq_send takes a priority, an unsigned number.")
def range_of_priorities(lab: Lab) -> Shown:
    """Messages of the lowest and of the highest priority, and one above it."""
    queue = mqueue.mq_open(lab.maker.posix_queue(3, SIZE), os.O_RDWR)
    highest = os.sysconf("SC_MQ_PRIO_MAX") - 1
    said = {
        priority: attempt(partial(mqueue.mq_send, queue, b"x", priority, 0))
        for priority in (0, highest, highest + 1)
    }
    for priority, refused in said.items():
        lab.note(f"priority {priority}: {refused or 'sent'}")
    got = [mqueue.mq_receive(queue, SIZE)[1] for refused in said.values() if not refused]
    return holds(
        got == [highest, 0],
        f"0 to {highest}, then {said[highest + 1] or 'sent'}",
        "the highest comes first; how many there are is _SC_MQ_PRIO_MAX",
    )


@claim("A54", 368, "mq_timedsend and mq_timedreceive end in time if O_NONBLOCK is not set.")
def timed(lab: Lab) -> Shown:
    """Both at a full and at an empty queue with a limit, then with O_NONBLOCK."""
    queue = mqueue.mq_open(lab.maker.posix_queue(1, SIZE), os.O_RDWR)
    limit = LONG_ENOUGH / 2
    said, waited = [], []

    def both() -> None:
        for full, call in (
            (False, lambda: mqueue.mq_receive(queue, SIZE, limit)),
            (True, lambda: mqueue.mq_send(queue, b"x", 0, limit)),
        ):
            if full:
                mqueue.mq_send(queue, b"x")
            begun = time.monotonic()
            said.append(attempt(call))
            waited.append(time.monotonic() - begun)
            lab.note(f"{'full' if full else 'empty'}: {said[-1]} after {waited[-1]:.2f} s")
        mqueue.mq_receive(queue, SIZE)

    both()
    mqueue.mq_setattr(queue, os.O_NONBLOCK)
    both()
    return holds(
        said == ["ETIMEDOUT"] * 2 + ["EAGAIN"] * 2 and min(waited[:2]) > limit * 0.9,
        f"{said[0]} after {min(waited[:2]):.2f} s",
        "the time is one of the wall clock, not a duration; with O_NONBLOCK: " + said[-1],
    )


@claim("A55", 371, "mq_receive gives the message and its priority.")
def received(lab: Lab) -> Shown:
    """A message of priority 7, into a buffer that is too small, then into one that is not."""
    queue = mqueue.mq_open(lab.maker.posix_queue(1, SIZE), os.O_RDWR)
    mqueue.mq_send(queue, b"short", 7)
    small = attempt(lambda: mqueue.mq_receive(queue, SIZE - 1))
    got = mqueue.mq_receive(queue, SIZE, 0)
    lab.note(f"a buffer of {SIZE - 1} bytes for 5: {small or 'taken'}; one of {SIZE}: {got}")
    return holds(
        got == (b"short", 7),
        f"{got[0].decode()!r}, {got[1]}",
        f"the buffer must have room for the longest message the queue takes, else {small}"
        if small else "a buffer that is as long as the message is enough",
    )  # fmt: skip
