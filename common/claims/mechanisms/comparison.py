"""The mechanisms side by side: who can use them, in which directions, and where."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable
from typing import Any

import sysv_ipc

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.observing import facts

MESSAGES = (b"Hello", b"Hello", b"How about an answer?")


@claim("B167", 154, "A pipe serves only parent and child, in one direction.")
def pipe_relatives(lab: Lab) -> Shown:
    """A process that was there before the pipe, and so inherited nothing of it, writes into it."""
    asked, answer = os.pipe()

    def stranger(tell: Tell) -> None:
        os.close(answer)
        # Where the pipe is comes as words; its end is opened by name, or not at all.
        name = os.read(asked, 100).decode()
        try:
            os.write(os.open(name, os.O_WRONLY), b"from a stranger")
        except OSError as error:
            tell(json.dumps(errno.errorcode[error.errno or 0]))
        else:
            tell(json.dumps("wrote"))

    child = lab.fork(stranger)
    reading, writing = os.pipe()
    os.write(answer, f"/proc/{os.getpid()}/fd/{writing}".encode())
    did = facts(child)
    os.set_blocking(reading, False)
    came = os.read(reading, 100) if did == "wrote" else b""
    lab.note(
        f"a process that inherited no end of it opened /proc/PID/fd/{writing}: {did}, {came!r}"
    )
    refused = _refusals(reading, writing)
    lab.note(f"write to the read end, read from the write end: {refused}")
    return Shown(
        relatives_verdict(reached=bool(came), one_way=refused == ["EBADF", "EBADF"]),
        f"stranger: {did}; other way: {' '.join(refused)}",
        "one way it is; but /proc/PID/fd or a UNIX socket gives its ends to any process of the "
        "same user",
    )


def relatives_verdict(*, reached: bool, one_way: bool) -> str:
    """Judge the two halves: only for relatives (a stranger did not reach it), and one way."""
    halves = (not reached, one_way)
    return HOLDS if all(halves) else DEPENDS if any(halves) else FAILS


@claim("B168", 154, "A FIFO serves unrelated processes, in one direction.")
def fifo_strangers(lab: Lab) -> Shown:
    """Two processes that inherit nothing of it open a FIFO by its path, one for each direction."""
    path = lab.maker.fifo("strangers")

    def write(tell: Tell) -> None:
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, b"by its path")
        tell(json.dumps(_refusal(lambda: os.read(fd, 1))))

    def read(tell: Tell) -> None:
        fd = os.open(path, os.O_RDONLY)
        tell(json.dumps([os.read(fd, 100).decode(), _refusal(lambda: os.write(fd, b"x"))]))

    reader, writer = lab.fork(read), lab.fork(write)
    came, back = facts(reader)
    forth = facts(writer)
    lab.note(f"the reader got {came!r}; its own write: {back}; the writer's read: {forth}")
    return holds(
        came == "by its path" and back == forth == "EBADF",
        f"{len(came)} bytes; other way: {back}",
        "its path is all that they share; Linux lets one process open it both ways, for itself",
    )


@claim("B170", 154, "A message queue keeps messages apart.")
def queue_messages(lab: Lab) -> Shown:
    """Three messages are sent to a queue, all before the first is received."""
    queue = sysv_ipc.MessageQueue(lab.maker.sysv_queue())
    for message in MESSAGES:
        queue.send(message)
    got = [queue.receive(block=False)[0] for _ in range(queue.current_messages)]
    lab.note(f"sent {len(MESSAGES)}, received {got}")
    return holds(
        got == list(MESSAGES),
        f"{len(got)} of {len(MESSAGES)}",
        "each receive gave one whole message, however large its buffer",
    )


@claim("B171", 154, "Sockets go both ways, far or near; TCP has no message boundary.")
@claim("B176", 156, "Sockets are portable: they also serve processes of one machine.")
def sockets_anywhere(lab: Lab) -> dict[str, Shown]:
    """One program asks and answers: over TCP, and within the machine; TCP gets three messages."""
    told = {}
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, str(lab.directory / "anywhere")),
    ):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.bind(address)
        listening.listen()

        where: Any = listening.getsockname()

        def ask(tell: Tell, family: int = family, name: Any = where) -> None:
            end = socket.socket(family, socket.SOCK_STREAM)
            end.connect(name)
            end.sendall(b"question")
            tell(json.dumps(end.recv(100).decode()))
            for message in MESSAGES:
                end.sendall(message)

        child = lab.fork(ask)
        listening.settimeout(PATIENCE)
        end = listening.accept()[0]
        end.settimeout(PATIENCE)
        question = end.recv(100).decode()
        end.sendall(b"answer")
        answer = facts(child)
        child.ended()
        size = sum(map(len, MESSAGES))
        end.settimeout(None)
        joined = end.recv(size, socket.MSG_WAITALL)
        told[family.name] = question, answer, joined
        lab.note(f"{family.name}: {question}, {answer}; then one receive gave {joined!r}")
    tcp, near = told["AF_INET"], told["AF_UNIX"]
    whole = b"".join(MESSAGES)
    return {
        "B171": holds(
            tcp[:2] == near[:2] == ("question", "answer") and tcp[2] == whole,
            f"{len(MESSAGES)} messages in one receive",
            "a question and an answer went over each; TCP gave the messages as one",
        ),
        "B176": holds(
            tcp == near,
            "the same dialogue twice",
            "only the address differs between the network's domain and the machine's own",
        ),
    }


def _refusals(reading: int, writing: int) -> list[str]:
    return [_refusal(lambda: os.write(reading, b"x")), _refusal(lambda: os.read(writing, 1))]


def _refusal(call: Callable[[], object]) -> str:
    """Return the error that ``call`` ends with, by its name."""
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "no error"
