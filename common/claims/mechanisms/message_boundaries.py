"""Message boundaries: where a stream loses them, and what keeps them."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import termios
import time
from collections.abc import Callable, Sequence

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Lab

MESSAGES = (b"Hello", b"Hello", b"How about an answer?")
# The sizes of the lecture's three reads.
SIZES = (4, 9, 100)
LIMIT = 20


@claim("B173", 156, "A byte stream may give Hell, oHelloHow, … or all three messages as one.")
def no_boundaries(lab: Lab) -> Shown:
    """Three messages go through a pipe, a UNIX stream and TCP; readers take them in two ways."""
    split = [b"Hell", b"oHelloHow", b" about an answer?"]
    joined = [b"".join(MESSAGES)]
    seen: dict[str, tuple[list[bytes], list[bytes]]] = {}
    for name, make in (("pipe", _pipe), ("UNIX stream", _unix), ("TCP", _tcp)):
        writing, reading = make()
        found = []
        for sizes in (SIZES, (100,)):
            for message in MESSAGES:
                os.write(writing, message)
            _arrived(reading, len(joined[0]))
            found.append([os.read(reading, size) for size in sizes])
            lab.note(f"{name}: read {', '.join(map(str, sizes))}: {found[-1]}")
        seen[name] = found[0], found[1]
    lost = [name for name, found in seen.items() if found == (split, joined)]
    return holds(
        len(lost) == len(seen),
        joined[0].decode() if lost else "boundaries kept",
        f"the size of the read decides, not that of the write: {', '.join(lost)}",
    )


@claim("B174", 156, "The mend: limit the length of messages.")
def framings(lab: Lab) -> Shown:
    """The messages, none above the limit, go through a pipe: as they are, padded, with a length."""
    plain = _through(MESSAGES, lambda fd: os.read(fd, LIMIT))
    padded = [message.ljust(LIMIT, b"\0") for message in MESSAGES]
    fixed = [part.rstrip(b"\0") for part in _through(padded, lambda fd: os.read(fd, LIMIT))]

    def framed(fd: int) -> bytes:
        return os.read(fd, *struct.unpack("!H", os.read(fd, 2)))

    prefixed = _through([struct.pack("!H", len(each)) + each for each in MESSAGES], framed)
    lab.note(f"no message above {LIMIT} bytes, each read takes up to {LIMIT}: {plain}")
    lab.note(f"each padded to {LIMIT} bytes: {fixed}")
    lab.note(f"each after its length in two bytes: {prefixed}")
    whole = [part == list(MESSAGES) for part in (plain, fixed, prefixed)]
    return Shown(
        framing_verdict(*whole),
        f"limit alone: {len(plain)} parts, the first {len(plain[0])} bytes",
        "a limit alone marks no end: records of one size or a length before each do; with many "
        "writers they must also fit PIPE_BUF",
    )


def framing_verdict(plain: bool, fixed: bool, prefixed: bool) -> str:
    """Judge the mend by whether messages came whole: limited, padded to the limit, with lengths."""
    if plain:
        return HOLDS
    return DEPENDS if fixed and prefixed else FAILS


def _through(parts: Sequence[bytes], take: Callable[[int], bytes]) -> list[bytes]:
    """Send ``parts`` through a pipe, close it, and return all that ``take`` gets of it."""
    reading, writing = os.pipe()
    for part in parts:
        os.write(writing, part)
    os.close(writing)
    taken = []
    while _available(reading):
        taken.append(take(reading))
    os.close(reading)
    return taken


def _pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    return writing, reading


def _unix() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


def _tcp() -> tuple[int, int]:
    listening = socket.create_server(("127.0.0.1", 0))
    writer = socket.create_connection(listening.getsockname())
    return writer.detach(), listening.accept()[0].detach()


def _available(fd: int) -> int:
    """Return how many bytes can be read at once (ioctl FIONREAD)."""
    count: int = struct.unpack("@i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
    return count


def _arrived(fd: int, size: int) -> None:
    end = time.monotonic() + PATIENCE
    while _available(fd) < size:
        if time.monotonic() > end:
            raise TimeoutError(f"{size} bytes did not arrive within {PATIENCE:g} s")
        os.sched_yield()
