"""Shared data: how fast it is, and what happens where nobody synchronizes."""

from __future__ import annotations

import functools
import mmap
import os
import time
from collections.abc import Callable

import posix_ipc

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import ending, run_program
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.mechanisms.shared_memory import attached, new_segment
from common.kernel.libc import memory
from common.kernel.libc import sysv_calls as sysv

PAGE = mmap.PAGESIZE
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
# Bytes of the lecture's segment: 26 letters, and one that nobody uses.
SLOT = 27
TAKEN = ord("*")
# Round trips that are timed, messages of a stream, and the bytes of each.
TRIPS, MESSAGES, BYTES = 300, 1000, 64
LARGE = 16 << 20
# Bytes behind the message that say which turn it is.
GO, BACK = BYTES, BYTES + 1
# The lecture's client, with the key as its argument.
CLIENT = """
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
int main(int argc, char **argv) {
    char *start = shmat(shmget(atoi(argv[1]), 27, 0666), NULL, 0), *s;
    setbuf(stdout, NULL);
    for (s = start; *s != 'z'; s++) putchar(*s);
    putchar('\\n');
    *start = '*';
    return 0;
}
"""


def server(segment: int, tell: Tell) -> None:
    """Write a to z, then wait until the first byte is a star, as the lecture's server does."""
    slot = attached(segment, SLOT)
    for at, letter in enumerate(LETTERS):
        slot[at] = letter
    tell("written")
    end = time.monotonic() + PATIENCE
    # It looks again and again, which is the point here; the lecture's looks once a second.
    while slot[0] != TAKEN and time.monotonic() < end:
        os.sched_yield()
    tell("answered" if slot[0] == TAKEN else "alone")


def client(lab: Lab, program: str | None, key: int) -> str:
    """Read until z, then write the star: the program in C, or the same here; returns the text."""
    if program is not None:
        return run_program(program, key)[0].strip()
    slot, read = attached(sysv.shmget(key, SLOT), SLOT), bytearray()
    while slot[len(read)] != LETTERS[-1]:
        read.append(slot[len(read)])
    slot[0] = TAKEN
    return read.decode()


@claim("B91", 100, "The server makes 27 bytes, writes a to z and waits until the first one is `*`.")
@claim("B92", 102, "The client prints what the server wrote, until z, then writes the `*`.")
def handshake(lab: Lab) -> dict[str, Shown]:
    """The server in Python, the client in C; then the client again, and on a segment of zeros."""
    program = lab.compile(CLIENT)
    lab.note("the client is a C program" if program else "no C compiler: the client is in Python")
    segment, key = new_segment(lab, SLOT)
    serving = lab.fork(functools.partial(server, segment))
    serving.told()
    printed = client(lab, program, key)
    answered = serving.told() == "answered" and serving.ended() == 0
    left = bytes(attached(segment, SLOT))
    lab.note(f"the client printed {printed}; the server saw the star: {answered}")
    again = client(lab, program, key)
    lab.note(f"a second client, after the server's end, printed {again}")
    both = [lab.fork(functools.partial(server, segment)) for _ in range(2)]
    for each in both:
        each.told()
    client(lab, program, key)
    satisfied = [each.told() for each in both].count("answered")
    lab.note(f"two servers and one client: {satisfied} servers think that it was theirs")
    early = _too_early(lab, program)
    return {
        "B91": holds(
            answered and left[:26] == b"*" + LETTERS[1:],
            f"{SLOT} bytes, {len(LETTERS)} used",
            "it works for one server and one client; the segment stays, with the star in it",
        ),
        "B92": client_verdict(printed, early),
    }


def _too_early(lab: Lab, program: str | None) -> str:
    # A client that comes before the server wrote anything: nothing but a z would stop it.
    segment, key = new_segment(lab, SLOT)

    def run_on() -> None:
        address = sysv.shmat(segment)
        while memory.load(address) != b"z":
            address += 1

    if program is not None:
        printed, end = run_program(program, key)
        lab.note(f"a client before the server: it printed {len(printed)} bytes, then {end}")
    else:
        end = ending(lab, run_on)
        lab.note(f"a client before the server: it ends in {end}")
    return end


def client_verdict(printed: str, early: str) -> Shown:
    """Return the verdict from what a client printed, and how one that came too early ended."""
    letters = LETTERS.decode()
    if printed not in (letters, letters[:-1]):
        return Shown(FAILS, printed, "it printed something else than the server wrote")
    if printed == letters and early == "exit 0":
        return Shown(HOLDS, printed, "every letter, and it waited for the server")
    why = f"z itself is never printed; before the server it runs past the end of all ({early})"
    return Shown(DEPENDS, printed, why)


@claim("B107", 114, "No synchronization is provided, for example to wait for data.")
def no_waiting(lab: Lab) -> Shown:
    """A reader attaches before a writer has written; then the shipped one-slot scenario is run."""
    segment, _ = new_segment(lab)
    reader = lab.fork(lambda tell: tell(str(attached(segment)[0])))
    said, status = reader.told(), reader.ended()
    lab.note(f"nobody has written yet; the reader is given {said} at once, and ends: {status == 0}")
    document = lab.run("spooler/one_slot", "star")
    found = ", ".join(each["kind"] for each in document["findings"]) or "nothing"
    lab.note(f"two producers and a printer at the lecture's slot, with the star: {found}")
    return holds(
        said == "0" and status == 0,
        f"read {said} before there was anything",
        "a load never waits: whoever reads shared memory must be told when",
    )


@claim("B108", 114, "Integrity may be violated, such as a negative stock.")
@claim("B109", 114, "Applications must use other means of synchronization.")
@claim("B169", 154, "Shared memory: do your own concurrency control.")
def negative_stock(lab: Lab) -> dict[str, Shown]:
    """Four tellers sell what is scarce: without a lock, then with each kind that excludes."""
    without = lab.run("exchange/negative_stock", "unlocked")
    found = {each["kind"]: each["count"] for each in without["findings"]}
    lab.note(f"without a lock: {found or 'nothing'}")
    verdicts = {}
    for lock in ("sysv_sem", "posix_sem"):
        document = lab.run("exchange/negative_stock", "locked", table__lock=lock)
        verdicts[lock] = document["verdict"]
        lab.note(f"with {lock}: {verdicts[lock]}")
    negative = found.get("negative_stock", 0)
    # Every unlocked table has data races: what counts here is the harm that was done.
    harm = sum(count for kind, count in found.items() if kind != "data_race")
    safe = all(verdict == "valid" for verdict in verdicts.values())
    need = holds(
        harm > 0 and safe,
        f"{harm} times harm without, none with" if safe else str(verdicts),
        "the memory does nothing by itself; with a semaphore around each trade nothing is lost",
    )
    return {
        "B108": holds(
            negative > 0,
            f"{negative} times negative",
            "between a teller's check and its change another one sells the same stock",
        ),
        "B109": need,
        "B169": need,
    }


@claim("B106", 114, "It is good for sharing large amounts of data, and very fast.")
def large(lab: Lab) -> Shown:
    """16 MiB that another process has made are handed over: in place, and through a pipe.

    Timed is what the receiver needs from the other's word until it has looked at every byte.
    """
    data, made = mmap.mmap(-1, LARGE), b"x" * LARGE

    def fill(tell: Tell) -> None:
        data.write(made)
        tell("filled")

    filled = lab.fork(fill)
    data.find(b"y")  # every page is mapped here, too, before anything is timed
    told = filled.told()
    begun = time.perf_counter()
    whole = told == "filled" and data.find(b"\0") == -1
    in_place = time.perf_counter() - begun
    reading, writing = os.pipe()

    def send(tell: Tell) -> None:
        tell("made")
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            rest = memoryview(made)
            while rest:
                rest = rest[pipe.write(rest) :]

    sender = lab.fork(send)
    os.close(writing)
    sender.told()
    begun = time.perf_counter()
    parts = list(iter(lambda: os.read(reading, 1 << 16), b""))
    intact = all(part.find(b"\0") == -1 for part in parts)
    piped = time.perf_counter() - begun
    got = sum(map(len, parts))
    lab.note(f"in shared memory {LARGE >> 20} MiB are there, whole: {whole}")
    lab.note(f"{got >> 20} MiB came through a pipe, copied in and out, whole: {intact}")
    return holds(
        whole and in_place < piped,
        f"{LARGE >> 20} MiB in {in_place * 1000:.1f} ms; by a pipe {piped * 1000:.1f} ms",
        "nothing is copied: what one stores the other one has, and only looks at it",
    )


@claim("B80", 92, "It is the fastest way to communicate, but not necessarily the easiest.")
def fastest(lab: Lab) -> Shown:
    """Messages of 64 bytes, there and back and as a stream: memory alone, with semaphores, pipes.

    The best of all round trips counts, since others use the machine too; no figure is promised.
    """
    page, data = mmap.mmap(-1, PAGE), b"x" * BYTES
    go, back = (posix_ipc.Semaphore(lab.maker.posix_sem(0)) for _ in range(2))
    there, here = os.pipe(), os.pipe()

    def by_looking(turn: int) -> None:
        page[:BYTES] = data
        page[GO] = turn
        _look(page, BACK, turn)

    def by_semaphores(_: int) -> None:
        page[:BYTES] = data
        go.release()
        back.acquire(PATIENCE)

    def by_pipes(_: int) -> None:
        os.write(there[1], data)
        os.read(here[0], BYTES)

    def answer(_: Tell) -> None:
        for turn in range(1, TRIPS + 1):
            _look(page, GO, turn % 256)
            page[BACK] = turn % 256
        for _turn in range(TRIPS + MESSAGES):
            go.acquire(PATIENCE)
            back.release()
        for _turn in range(TRIPS):
            os.write(here[1], os.read(there[0], BYTES))
        left = BYTES * MESSAGES
        while left:
            left -= len(os.read(there[0], 1 << 16))
        os.write(here[1], data)

    lab.fork(answer)
    trips = {"memory": by_looking, "with semaphores": by_semaphores, "pipes": by_pipes}
    best: dict[str, float] = {}
    streams: dict[str, float] = {}
    for name, trip in trips.items():
        best[name] = min(_timed(trip, turn % 256) for turn in range(1, TRIPS + 1))
        if trip is by_semaphores:
            streams[name] = sum(_timed(trip, turn) for turn in range(MESSAGES))
    streams["pipes"] = sum(_timed(os.write, there[1], data) for _ in range(MESSAGES))
    streams["pipes"] += _timed(os.read, here[0], BYTES)
    for name, seconds in best.items():
        lab.note(f"{name}: a round trip takes {seconds * 1e6:.1f} µs")
    for name, seconds in streams.items():
        lab.note(f"{name}: a stream of {_rate(seconds)}")
    return fastest_verdict(best, streams)


def fastest_verdict(best: dict[str, float], streams: dict[str, float]) -> Shown:
    """Return the verdict from the seconds of a round trip, and of a whole stream, by each way."""
    fast = best["memory"] < best["pipes"]
    throughout = streams["with semaphores"] < streams["pipes"]
    return Shown(
        FAILS if not fast else HOLDS if throughout else DEPENDS,
        f"a trip: memory {best['memory'] * 1e6:.1f} µs, pipes {best['pipes'] * 1e6:.1f} µs; "
        f"a stream: semaphores {_rate(streams['with semaphores'])}, "
        f"pipes {_rate(streams['pipes'])}",
        "to look at memory is the shortest way; to sleep for it takes semaphores, and a pair of "
        "them for each message makes the slower stream"
        if not throughout
        else "to look at memory is the shortest way, and a stream with semaphores was no slower",
    )


def _rate(seconds: float) -> str:
    return f"{MESSAGES * BYTES / seconds / 1e6:.1f} MB/s"


def _look(page: mmap.mmap, at: int, value: int) -> None:
    # Busy waiting; it lets others run, so that it also ends on one processor.
    end = time.monotonic() + PATIENCE
    while page[at] != value and time.monotonic() < end:
        os.sched_yield()


def _timed(work: Callable[..., object], *arguments: object) -> float:
    begun = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begun
