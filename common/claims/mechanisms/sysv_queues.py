"""System V message queues: their calls, their messages, and how processes come to share one."""

from __future__ import annotations

import os
import struct
import subprocess

import sysv_ipc

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, run_program
from common.claims.lab import Lab, Tell
from common.kernel import existing
from common.kernel.libc.sysv_calls import (
    IPC_CREAT,
    IPC_EXCL,
    IPC_NOWAIT,
    IPC_PRIVATE,
    msg_remove,
    msg_set,
    msg_stat,
    msgget,
    msgrcv,
    msgsnd,
)

SIZE = 128
# The program of the lecture's own message structure, in other words.
STRUCTURE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/msg.h>
struct order { long type; double amount; char text[100]; };
int main(int count, char **words)
{
    struct order order;
    memset(&order, 0, sizeof order);
    order.type = 7;
    order.amount = 3.72;
    strcpy(order.text, "buy dollars");
    if (msgsnd(atoi(words[1]), &order, sizeof order - sizeof order.type, IPC_NOWAIT))
        return 1;
    printf("%zu", sizeof order);
    return 0;
}
"""


@claim("A59", 400, "A queue is used with msgget, msgsnd and msgrcv.")
@claim("B129", 128, "A process puts a message onto a queue, which another process reads.")
@claim("B134", 130, "A queue must be made with msgget before it is used.")
@claim("B135", 130, "msgsnd sends, and msgrcv receives.")
def calls(lab: Lab) -> Shown:
    """A key without a queue is tried; then one process makes and sends, and another receives."""
    key = names.new_key()
    before = attempt(lambda: msgget(key))
    lab.note(f"msgget of {key:#x}, which nobody made: {before or 'found'}")
    lab.intend("sysv_queue", key)

    def send(tell: Tell) -> None:
        msgsnd(msgget(key, IPC_CREAT | IPC_EXCL | 0o600), 1, b"Did you get this?")

    def receive(tell: Tell) -> None:
        type, text = msgrcv(msgget(key), SIZE, 0, IPC_NOWAIT)
        tell(f"{type} {text.decode()}")

    sent = lab.fork(send).ended() == 0
    lab.note(f"one process made it and sent: {sent}")
    got = lab.fork(receive).told()
    lab.note(f"another received type and text: {got!r}")
    # The package's own call on the other side: it is one queue, whoever calls.
    sysv_ipc.MessageQueue(key).send(b"from the package", type=2)
    raw = msgrcv(msgget(key), SIZE, 0, IPC_NOWAIT)
    lab.note(f"sent by the package sysv_ipc, received by the C library's call: {raw}")
    return holds(
        before == "ENOENT" and sent and got == "1 Did you get this?" and raw[0] == 2,
        f"{before}, then {got!r}",
        "msgget makes the queue or finds it by its key; the id that it returns serves the others",
    )


@claim("A61", 417, "A message is a structure of one's own: a long, a double, 100 characters, …")
def structure(lab: Lab) -> Shown:
    """A C program sends such a structure (without a compiler a process does), and it is read."""
    queue = msgget(lab.maker.sysv_queue())
    program = lab.compile(STRUCTURE)
    if program is None:
        size = struct.calcsize("@ld100s0l")
        data = struct.pack("@d100s4x", 3.72, b"buy dollars")
        lab.fork(lambda tell: msgsnd(queue, 7, data)).ended()
        lab.note("there is no C compiler: a process sends the same bytes")
    else:
        said, ending = run_program(program, queue)
        lab.note(f"the C program: sizeof is {said} bytes, {ending}")
        size = int(said or 0)
    type, data = msgrcv(queue, SIZE, 0, IPC_NOWAIT)
    amount, text = struct.unpack_from("@d100s", data)
    lab.note(f"received: type {type}, {len(data)} bytes: {amount} and {text.rstrip(bytes(1))!r}")
    right = (type, amount, text.rstrip(b"\0")) == (7, 3.72, b"buy dollars")
    return holds(
        right and len(data) == size - struct.calcsize("@l"),
        f"{len(data)} bytes of {size}",
        "the size that is given to msgsnd leaves out the type; padding at the end is sent along",
    )


@claim("A65", 430, "msgctl removes a queue (IPC_RMID), sets or reads its head (IPC_SET, IPC_STAT).")
def control(lab: Lab) -> Shown:
    """A queue's head is read, changed, and read; it is removed while a receiver is blocked."""
    queue = msgget(lab.maker.sysv_queue())
    msgsnd(queue, 2, b"four")
    first = msg_stat(queue)
    lab.note(f"IPC_STAT: {first.qnum} message of {first.cbytes} bytes from process {first.lspid}")
    msg_set(queue, qbytes=100, mode=0o640)
    second = msg_stat(queue)
    full = attempt(lambda: msgsnd(queue, 2, bytes(100), IPC_NOWAIT))
    lab.note(f"IPC_SET: capacity {second.qbytes} bytes, mode {second.owner.mode:03o}; then {full}")

    def receive(tell: Tell) -> None:
        tell("receiving")
        tell(attempt(lambda: msgrcv(queue, SIZE, 1)) or "received")

    receiver = lab.fork(receive)
    receiver.told()
    receiver.asleep()
    msg_remove(queue)
    woken = receiver.told()
    lab.note(f"IPC_RMID: the blocked receiver got {woken}")
    read = (first.qnum, first.cbytes, first.lspid) == (1, 4, os.getpid())
    changed = (second.qbytes, second.owner.mode, full) == (100, 0o640, "EAGAIN")
    return holds(
        read and changed and woken == "EIDRM",
        f"1 message, {second.qbytes} bytes, {woken}",
        "removing asks nobody: who is blocked is told, and the messages are lost",
    )


@claim("B131", 128, "Processes must share a common key to get at the queue.")
def common_key(lab: Lab) -> Shown:
    """Processes with the key, with another key, and with nothing but an id try to send."""
    key = lab.maker.sysv_queue()
    wrong = names.new_key()
    private = msgget(IPC_PRIVATE, IPC_CREAT | 0o600)
    try:

        def tries(tell: Tell) -> None:
            tell(attempt(lambda: msgsnd(msgget(key), 1, b"x", IPC_NOWAIT)) or "sent")
            tell(attempt(lambda: msgsnd(msgget(wrong), 1, b"x", IPC_NOWAIT)) or "sent")
            tell(attempt(lambda: msgsnd(private, 1, b"x", IPC_NOWAIT)) or "sent")

        sender = lab.fork(tries)
        said = [str(sender.told()) for _ in range(3)]
    finally:
        msg_remove(private)
    lab.note(f"with the key: {said[0]}; with another key: {said[1]}")
    lab.note(f"into a queue without any key (IPC_PRIVATE), by its id: {said[2]}")
    return shared(*said)


def shared(key: str, wrong: str, id: str) -> Shown:
    """Judge who could send: DEPENDS where the id alone was enough as well."""
    verdict = FAILS if key != "sent" or wrong == "sent" else DEPENDS if id == "sent" else HOLDS
    return Shown(
        verdict,
        f"key: {key}, other key: {wrong}, id: {id}",
        "a key is for those who were told nothing else; an inherited id does without",
    )


@claim("B132", 128, "msgsnd(0xa01, *msgp, 0) sends into the queue with the key 0xa01.")
def by_key(lab: Lab) -> Shown:
    """A message is sent with the key, then with the id; a C program tries three arguments."""
    key = lab.maker.sysv_queue()
    # Should somebody's queue have this very number as its id, nothing is sent into that.
    while any(row["msqid"] == key for row in existing.listed("msg")):
        key = lab.maker.sysv_queue()
    queue = msgget(key)
    refused = attempt(lambda: msgsnd(key, 1, b"x", IPC_NOWAIT))
    lab.note(f"msgsnd({key:#x}, …), the key: {refused or 'sent'}")
    right = attempt(lambda: msgsnd(queue, 1, b"x", IPC_NOWAIT))
    lab.note(f"msgsnd({queue}, …), the id: {right or 'sent'}")
    compiles = _compiles(lab, "msgsnd(0, &m, 0)")
    if compiles is not None:
        lab.note(f"with three arguments, without the size, it compiles: {compiles}")
    return holds(
        not refused and compiles is not False,
        f"key: {refused or 'sent'}, id: {right or 'sent'}",
        "the first argument is the id that msgget returns; and the size of the message is missing",
    )


def _compiles(lab: Lab, call: str) -> bool | None:
    source = f"#include <sys/msg.h>\nint main(void) {{ long m[2]; return {call}; }}"
    try:
        return None if lab.compile(source) is None else True
    except subprocess.CalledProcessError:
        return False


@claim("B133", 128, "Messages have an explicit length, and different types.")
@claim("B140", 136, "Queues are more versatile than pipes: messages are structured entities.")
def structured(lab: Lab) -> Shown:
    """Three messages of different length and type go through a queue, and through a pipe."""
    queue = msgget(lab.maker.sysv_queue())
    sent = [(3, b"abc"), (1, b""), (2, bytes(range(100)))]
    for type, data in sent:
        msgsnd(queue, type, data, IPC_NOWAIT)
    came = [msgrcv(queue, SIZE, 0, IPC_NOWAIT) for _ in sent]
    lab.note(f"queue: types and lengths {[(type, len(data)) for type, data in came]}")
    reading, writing = os.pipe()
    for _, data in sent:
        os.write(writing, data)
    read = len(os.read(reading, SIZE))
    lab.note(f"pipe: one read gives {read} bytes, whoever wrote them in how many parts")
    parts = 1 if read == sum(len(data) for _, data in sent) else 0
    return holds(
        came == sent,
        f"{len(came)} messages; pipe: {read} bytes in {parts or 'several'} read",
        "each receive gives one message as it was sent, with its length and type",
    )
