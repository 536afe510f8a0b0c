"""Pipes: a byte stream between relatives, without a name."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import select
import signal
import socket
import struct
import termios
from collections.abc import Callable

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import LONG_ENOUGH, PATIENCE, Lab, Tell

# stropts.h: lists the modules of a STREAM (streamio(7) of System V).
I_LIST = 0x5315


def refusal(call: Callable[[], object]) -> str:
    """Return the name of the error with which a call is refused; "" when it is not."""
    try:
        call()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


@claim("A37", 239, "pipe(fd) gives fd[0] to read and fd[1] to write: one way only.")
@claim("B15", 14, "A pipe is an array of two descriptors: [0] to read, [1] to write.")
@claim("B20", 16, "Data flows one way only.")
def ends(lab: Lab) -> Shown:
    """A pipe; each of its ends is used in the wrong direction, then in the right one."""
    reading, writing = os.pipe()
    wrong = []
    for what, call in (
        ("write to fd[0]", lambda: os.write(reading, b"x")),
        ("read from fd[1]", lambda: os.read(writing, 1)),
    ):
        try:
            call()
        except OSError as error:
            wrong.append(errno.errorcode[error.errno or 0])
            lab.note(f"{what}: {wrong[-1]}")
    os.write(writing, b"x")
    back = os.read(reading, 1)
    return holds(
        wrong == ["EBADF", "EBADF"] and back == b"x",
        " and ".join(wrong),
        "each end refuses the other direction",
    )


@claim("B17", 14, "The typical size of a pipe's buffer is 512 bytes, the minimum of POSIX.")
def capacity(lab: Lab) -> Shown:
    """A pipe that nobody reads, filled without blocking; its bytes are counted."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    filled = 0
    try:
        while True:
            filled += os.write(writing, b"x" * 512)
    except BlockingIOError:
        lab.note(f"writes of 512 bytes are refused (EAGAIN) after {filled} bytes")
    said = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    lab.note(f"F_GETPIPE_SZ says {said}")
    os.close(reading)
    return holds(
        filled == 512,
        f"{filled} bytes",
        "512 is _POSIX_PIPE_BUF, up to which POSIX promises that a write stays whole",
    )


@claim("B26", 24, "A reader gets no end-of-file while one process keeps the write end open.")
@claim("B27", 24, "So always close the end that is not used.")
def kept_open(lab: Lab) -> Shown:
    """A writer writes and closes; another process inherited the write end, and is then ended."""
    reading, writing = os.pipe()

    def keep(tell: Tell) -> None:
        # It inherited the write end, as every child does, and does not use it.
        os.close(reading)
        signal.pause()

    keeper = lab.fork(keep)
    os.write(writing, b"all there is")
    os.close(writing)
    first = os.read(reading, 100)
    lab.note(f"the reader got {first!r}; the writer has closed its end")
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    early = bool(waiting.poll(LONG_ENOUGH * 1000))
    lab.note(f"within {LONG_ENOUGH:g} s {'something' if early else 'nothing'} came")
    keeper.kill()
    keeper.ended()
    ended = bool(waiting.poll(PATIENCE * 1000)) and os.read(reading, 100) == b""
    lab.note(f"the idle process is ended: end-of-file {'came' if ended else 'did not come'}")
    return holds(
        not early and ended,
        f"{'some' if early else 'none'} in {LONG_ENOUGH:g} s",
        "end-of-file came only when a process that kept the write end had ended",
    )


@claim("A38", 257, "socketpair() is a full-duplex pipe: each end reads what the other writes.")
@claim("B16", 14, "Some systems have pipes whose both ends read and write.")
def full_duplex(lab: Lab) -> dict[str, Shown]:
    """Two processes, each with one end of a socketpair: a question goes one way, an answer back."""
    ours, theirs = socket.socketpair()

    def answer(tell: Tell) -> None:
        theirs.send(b"answer to " + theirs.recv(100))

    child = lab.fork(answer)
    ours.send(b"question")
    ours.settimeout(PATIENCE)
    back = ours.recv(100)
    child.ended()
    lab.note(f"one end wrote b'question' and read {back!r}")
    reading, _ = os.pipe()
    wrong = refusal(lambda: os.write(reading, b"x"))
    lab.note(f"a pipe's read end, written to: {wrong}")
    both = back == b"answer to question"
    here = Shown(
        DEPENDS if wrong else HOLDS,
        f"write to fd[0]: {wrong or 'taken'}",
        "not on this one, where the pipe with two ways is called socketpair"
        if wrong
        else "on this one both ends read and write",
    )
    return {
        "A38": holds(both, "both ends read and write", "what one end writes the other one reads"),
        "B16": here,
    }


@claim("B9", 12, "A pipe cannot broadcast.")
def shared_out(lab: Lab) -> Shown:
    """One writer puts 300 numbered records (30,000 bytes), three processes read the same pipe."""
    reading, writing = os.pipe()
    heard, reporting = os.pipe()

    def read(tell: Tell) -> None:
        os.close(writing)
        while record := os.read(reading, 100):
            os.write(reporting, f"{os.getpid()}:{record.decode().strip()} ".encode())

    readers = [lab.fork(read) for _ in range(3)]
    os.close(reporting)
    said = b""
    for number in range(300):
        os.write(writing, f"{number:100}".encode())
        # The next one when this one was taken: so the others are asleep, each in its turn.
        said += os.read(heard, 4096)
    os.close(writing)
    while more := os.read(heard, 4096):
        said += more
    got = [re.findall(rf"{reader.pid}:(\d+) ", said.decode()) for reader in readers]
    shares = " + ".join(str(100 * len(numbers)) for numbers in got)
    lab.note(f"the three readers got {shares} bytes of the 30000 that were written")
    every = sorted(int(number) for numbers in got for number in numbers)
    return holds(
        every == list(range(300)),
        f"{shares} bytes",
        "each record went to one reader only: what one takes, the others never see",
    )


@claim("B10", 12, "The bytes in a pipe have no structure.")
def without_structure(lab: Lab) -> Shown:
    """Two writes and one read; then the same in a pipe made with O_DIRECT."""
    joined, packets = (_read_of_two_writes(flags) for flags in (0, os.O_DIRECT))
    lab.note(f"writes of b'sell' and b'buy': one read gives {joined!r}")
    lab.note(f"in a pipe made by pipe2(O_DIRECT): one read gives {packets!r}")
    also = "; with O_DIRECT Linux keeps each write a packet" if packets == b"sell" else ""
    return holds(
        joined == b"sellbuy",
        f"{joined.decode()}",
        f"where one write ended and the next began is lost{also}",
    )


def _read_of_two_writes(flags: int) -> bytes:
    reading, writing = os.pipe2(flags)
    os.write(writing, b"sell")
    os.write(writing, b"buy")
    return os.read(reading, 100)


@claim("B11", 12, "Several readers or writers of a pipe cannot be told apart.")
def anonymous_writers(lab: Lab) -> Shown:
    """Two processes write the same word, then a record that begins with their pid."""
    reading, writing = os.pipe()
    plain = []
    for _ in range(2):
        lab.fork(lambda tell: os.write(writing, b"sell 1")).ended()
        plain.append((at_once(reading), os.fstat(reading).st_uid, os.fstat(reading).st_size))
    asked = refusal(lambda: socket.socket(fileno=os.dup(reading)))
    lab.note(f"reader sees {plain[0][0]!r} and {plain[1][0]!r}, and fstat(2) says the same of both")
    lab.note(f"asked as a socket, whose peer can be known (SO_PEERCRED): {asked}")
    signed = [lab.fork(lambda tell: os.write(writing, b"%d sell 1" % os.getpid())) for _ in "ab"]
    for child in signed:
        child.ended()
    records = re.findall(rb"(\d+) sell 1", at_once(reading))
    lab.note(f"with the pid in each record: {[int(pid) for pid in records]}")
    return holds(
        plain[0] == plain[1] and asked != "",
        f"{plain[0][0].decode()!r} twice",
        "nothing in the pipe says who wrote; a record must carry its sender itself",
    )


@claim("B6", 12, "A pipe is a byte stream: what one process writes another reads at its other end.")
@claim("B12", 12, "A pipe is made of kernel buffers, socket buffers or STREAMS.")
@claim("B13", 14, "A pipe is a structure of the kernel, which holds the data for a time.")
def in_the_kernel(lab: Lab) -> dict[str, Shown]:
    """A writer writes and ends before anybody reads; then what holds its bytes is asked."""
    reading, writing = os.pipe()
    lab.fork(lambda tell: os.write(writing, b"hello")).ended()
    held = struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, b"\0" * 4))[0]
    lab.note(f"the writer has ended; FIONREAD says that {held} bytes wait")
    got, later = at_once(reading), at_once(reading)
    lab.note(f"the first read gives {got!r}, the second finds nothing: {later!r}")
    as_socket = refusal(lambda: socket.socket(fileno=os.dup(reading)))
    as_stream = refusal(lambda: fcntl.ioctl(reading, I_LIST))
    lab.note(f"asked as a socket: {as_socket}; asked as a STREAM (I_LIST): {as_stream}")
    slots = _packets()
    lab.note(f"packets of one byte (O_DIRECT), each in a page of its own: {slots} fit")
    kinds = {
        "kernel buffers": held == 5 and got == b"hello",
        "socket buffers": as_socket == "",
        "STREAMS": as_stream == "",
    }
    return {
        "B6": holds(got == b"hello", got.decode(), "the reader got the writer's bytes in order"),
        "B12": _made_of(kinds, slots),
        "B13": holds(
            held == 5 and got == b"hello" and later == b"",
            f"{held} bytes held",
            "they outlived their writer, and were gone once they had been read",
        ),
    }


def _packets() -> int:
    _, writing = os.pipe2(os.O_DIRECT | os.O_NONBLOCK)
    slots = 0
    while not refusal(lambda: os.write(writing, b"x")):
        slots += 1
    return slots


def _made_of(kinds: dict[str, bool], slots: int) -> Shown:
    true = [kind for kind, here in kinds.items() if here]
    verdict = HOLDS if len(true) == len(kinds) else DEPENDS if true else FAILS
    others = " nor ".join(kind for kind, here in kinds.items() if not here)
    why = f"here it is {' and '.join(true) or 'none of them'}"
    return Shown(verdict, f"{slots} pages", why + (f", not {others}" if true and others else ""))


@claim("B14", 14, "There is no random access (seek) on a pipe.")
def no_seek(lab: Lab) -> Shown:
    """Both ends of a pipe with bytes in it are asked to seek, and to read at a position."""
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    found = [
        refusal(lambda: os.lseek(reading, 1, os.SEEK_SET)),
        refusal(lambda: os.lseek(writing, 0, os.SEEK_SET)),
        refusal(lambda: os.pread(reading, 1, 1)),
    ]
    lab.note(f"lseek(2) on each end, and pread(2): {', '.join(found)}")
    return holds(found == ["ESPIPE"] * 3, found[0], "a pipe has no position: bytes come in order")


@claim("B18", 14, "A read or a write may block on the buffer.")
def blocking(lab: Lab) -> Shown:
    """One process writes a byte more than a pipe holds, another reads an empty pipe."""
    reading, writing = os.pipe()
    empty, filling = os.pipe()
    size = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)

    def write(tell: Tell) -> None:
        os.write(writing, b"x" * size)
        tell("full")
        os.write(writing, b"y")
        tell("written")

    def read(tell: Tell) -> None:
        tell("empty")
        tell(os.read(empty, 100).decode())

    writer, reader = lab.fork(write), lab.fork(read)
    writer.told()
    reader.told()
    slept = writer.asleep() and reader.asleep()
    blocked = slept and writer.told(LONG_ENOUGH) is None and reader.told(0) is None
    lab.note(f"a writer after {size} bytes, a reader of nothing: both asleep after {LONG_ENOUGH} s")
    os.read(reading, size)
    os.write(filling, b"something")
    went_on = (writer.told(), reader.told())
    lab.note(f"after a read the writer had {went_on[0]}; after a write the reader got {went_on[1]}")
    return holds(
        blocked and went_on == ("written", "something"),
        f"after {size} bytes",
        "the writer slept until there was room, the reader until there was something",
    )


def at_once(fd: int) -> bytes:
    """Return what can be read without waiting; b"" when there is nothing."""
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 1 << 16)
    except BlockingIOError:
        return b""
    finally:
        os.set_blocking(fd, True)
