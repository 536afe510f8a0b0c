"""Processes: each has its own memory; how the ends of a pipe come from one to another."""

from __future__ import annotations

import contextlib
import mmap
import os
import re
import socket
import subprocess
import time
from pathlib import Path

from common.claims.claim import Shown, claim, holds
from common.claims.lab import PATIENCE, Child, Lab, Tell, Work
from common.claims.mechanisms.pipes import at_once

# The lecture's example: the parent writes, the child echoes; like it, it goes on without a pipe.
HELLO = """
#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

int main(void) {
    int ends[2] = {-1, -1};
    char line[80];
    if (pipe(ends) < 0) perror("pipe error");
    pid_t child = fork();
    if (child < 0) { perror("fork error"); return 1; }
    if (child > 0) {
        close(ends[0]);
        write(ends[1], "hello world\\n", 12);
    } else {
        close(ends[1]);
        ssize_t got = read(ends[0], line, sizeof line);
        if (got > 0) write(1, line, got);
    }
    return 0;
}
"""


def start_stranger(lab: Lab, work: Work) -> Child:
    """Start a process that is no relative of this one: its parent has ended.

    Its first line told is the pid of the process that has adopted it; then it does ``work``.
    """

    def parent(tell: Tell) -> None:
        mine = os.getpid()
        if os.fork():
            return
        end = time.monotonic() + PATIENCE
        while os.getppid() == mine and time.monotonic() < end:
            os.sched_yield()
        tell(str(os.getppid()))
        work(tell)

    child = lab.fork(parent)
    child.ended()
    return child


@claim("A13", 72, "A pipe has no name, only descriptors.")
def nameless(lab: Lab) -> Shown:
    """A child inherits a pipe's descriptor; another process looks for a name of it in /proc."""
    reading, writing = os.pipe()
    link = str(Path(f"/proc/self/fd/{reading}").readlink())
    named = os.path.lexists(link)
    lab.note(f"/proc/self/fd/{reading} is a link to {link}; a file of that name: {named}")
    lab.fork(lambda tell: os.write(writing, b"by descriptor")).ended()
    inherited = at_once(reading)
    lab.note(f"a child wrote to the descriptor that it inherited: {inherited!r}")
    number, mine = writing, os.getpid()

    def by_number(tell: Tell) -> None:
        os.closerange(reading, writing + 1)
        fd = os.open(f"/proc/{mine}/fd/{number}", os.O_WRONLY)
        os.write(fd, b"through /proc")

    lab.fork(by_number).ended()
    opened = at_once(reading)
    lab.note(f"a process without it opened /proc/{mine}/fd/{number} and wrote: {opened!r}")
    also = "; Linux opens it through /proc/PID/fd/N all the same" if opened else ""
    return holds(
        inherited == b"by descriptor" and not named,
        link,
        f"no file has that name, and a child that inherits the descriptor needs none{also}",
    )


@claim("B8", 12, "Only relatives can share a pipe: parent and child, or siblings.")
@claim("B29", 28, "Pipes are restricted to one family, because they rely on inheritance.")
def without_kinship(lab: Lab) -> Shown:
    """A stranger (its parent ended before the pipe was made) gets one end over a UNIX socket.

    It opens the other end by its number under /proc.
    """
    path = lab.maker.socket_path("stranger")
    mine = os.getpid()

    def take(tell: Tell) -> None:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            tell("ready")
            connection, _ = server.accept()
            words, fds, _, _ = socket.recv_fds(connection, 100, 1)
            tell(os.read(fds[0], 100).decode())
            fd = os.open(f"/proc/{mine}/fd/{words.decode()}", os.O_WRONLY)
            os.write(fd, b"from the stranger")
            tell("written")

    stranger = start_stranger(lab, take)
    adopted = stranger.told()
    stranger.told()
    reading, writing = os.pipe()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        os.write(writing, b"to the stranger")
        socket.send_fds(client, [str(writing).encode()], [reading])
        passed = stranger.told()
    lab.note(f"the stranger's parent is process {adopted}, ours is process {mine}")
    lab.note(f"it was sent the read end (SCM_RIGHTS) and read: {passed}")
    written = stranger.told()
    back = at_once(reading) if written else b""
    lab.note(f"it opened /proc/{mine}/fd/{writing} and wrote: {back!r}")
    return _kinship(adopted not in (None, str(mine)), passed == "to the stranger", back != b"")


def _kinship(stranger: bool, passed: bool, opened: bool) -> Shown:
    ways = [way for way, worked in (("SCM_RIGHTS", passed), ("/proc/PID/fd", opened)) if worked]
    return holds(
        not (stranger and ways),
        " and ".join(ways) or "no way",
        "a descriptor can be sent over a UNIX socket, or opened under /proc, by any process of "
        "the user" if ways else "neither a descriptor sent nor /proc/PID/fd gave it the pipe",
    )  # fmt: skip


@claim("B1", 6, "Processes live in separate address spaces.")
def own_memory(lab: Lab) -> Shown:
    """A child writes to a variable of its parent's, at the same address, and to a shared page."""
    private = bytearray(b"parent's")
    shared = mmap.mmap(-1, mmap.PAGESIZE)

    def change(tell: Tell) -> None:
        private[:] = b"child's."
        shared[:5] = b"child"
        tell(f"{id(private):#x} {private.decode()}")

    child = lab.fork(change)
    address, _, there = (child.told() or " ").partition(" ")
    child.ended()
    lab.note(f"in the child the variable at {address} is {there!r}")
    lab.note(f"in the parent the one at {id(private):#x} is {private.decode()!r} afterwards")
    lab.note(f"a page mapped MAP_SHARED holds {shared[:5]!r} in the parent")
    return holds(
        there == "child's." and private == b"parent's",
        f"{private.decode()} and {there}",
        "the same address in two processes is two places; only memory that is asked for is shared",
    )


@claim("B19", 16, "A pipe is made first, then fork(): the child inherits its descriptors.")
@claim("B24", 22, "After fork() both have both ends; after the closes the pipe leads one way.")
def inherited(lab: Lab) -> dict[str, Shown]:
    """The ends of one pipe are counted in /proc of parent and child, before and after closing."""
    reading, writing = os.pipe()
    waiting, going = os.pipe()

    def use(tell: Tell) -> None:
        tell("born")
        os.read(waiting, 1)
        os.close(writing)
        tell("closed")
        tell(os.read(reading, 100).decode())

    link = os.readlink(f"/proc/self/fd/{reading}")  # noqa: PTH115
    child = lab.fork(use)
    child.told()
    both = [_ends(pid, link) for pid in (os.getpid(), child.pid)]
    lab.note(f"after fork() the parent has {_words(both[0])}, the child {_words(both[1])}")
    os.close(reading)
    os.write(going, b".")
    child.told()
    one = [_ends(pid, link) for pid in (os.getpid(), child.pid)]
    lab.note(f"after the closes the parent has {_words(one[0])}, the child {_words(one[1])}")
    os.write(writing, b"hello")
    got = child.told()
    lab.note(f"the parent wrote, the child read {got!r}")
    return {
        "B19": holds(
            got == "hello", f"{link} in both", "the child used an end that it was never handed"
        ),
        "B24": holds(
            both == [["read", "write"]] * 2 and one == [["write"], ["read"]] and got == "hello",
            f"{sum(map(len, both))} ends, then {sum(map(len, one))}",
            "fork() copies the table of descriptors; each side closes the end that it does not use",
        ),
    }


def _ends(pid: int, link: str) -> list[str]:
    """Return which ends of the pipe ``link`` a process has open, from /proc (proc(5))."""
    found = []
    for number in os.listdir(f"/proc/{pid}/fd"):  # noqa: PTH208
        # The descriptor that lists them is among them, and closed by now.
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"/proc/{pid}/fd/{number}") != link:  # noqa: PTH115
                continue
            about = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
            flags = int(re.findall(r"flags:\s*(\d+)", about)[0], 8)
            found.append("read" if flags & os.O_ACCMODE == os.O_RDONLY else "write")
    return sorted(found)


def _words(ends: list[str]) -> str:
    return f"the {' and the '.join(ends)} end" if ends else "none"


@claim("B23", 20, "pipe() gives the descriptors 3 and 4.")
def numbers(lab: Lab) -> Shown:
    """A process with 0, 1 and 2 open makes a pipe; then one that has one file more open."""
    found = []
    for more in (0, 1):
        hearing, telling = os.pipe()

        def make(tell: Tell, more: int = more, telling: int = telling) -> None:
            nothing = os.open(os.devnull, os.O_RDWR)
            for fd in (0, 2):
                os.dup2(nothing, fd)
            os.dup2(telling, 1)
            os.closerange(3, 1 + max(map(int, os.listdir("/proc/self/fd"))))  # noqa: PTH208
            for _ in range(more):
                os.dup(0)
            os.write(1, str(os.pipe()).encode())

        lab.fork(make).ended()
        os.close(telling)
        found.append(os.read(hearing, 100).decode())
        lab.note(f"with {3 + more} descriptors open, pipe() gives {found[-1]}")
    return holds(
        found[0] == "(3, 4)",
        f"{found[0]}, with one more open {found[1]}",
        "the lowest free numbers: 3 and 4 where only standard input, output and error are open",
    )


@claim("B25", 24, "Two ways need two pipes, made before fork().")
def two_ways(lab: Lab) -> Shown:
    """A parent asks a child and waits for the answer: in one pipe, then in a pair of them."""
    reading, writing = os.pipe()
    os.write(writing, b"price?")
    own = at_once(reading)
    lab.note(f"with one pipe the asker reads {own!r}: its own question, before any answer")
    (asked, asking), (answered, answering) = os.pipe(), os.pipe()
    child = lab.fork(lambda tell: os.write(answering, os.read(asked, 100) + b" 3.73"))
    os.write(asking, b"price?")
    os.close(answering)
    answer = os.read(answered, 100)
    child.ended()
    lab.note(f"with a second pipe for the way back it reads {answer!r}")
    return holds(
        own == b"price?" and answer == b"price? 3.73",
        f"{own.decode()!r}, then {answer.decode()!r}",
        "in one pipe a process takes its own words back; each direction needs its own",
    )


@claim("B22", 18, "Example: the parent writes hello into a pipe, the child reads and echoes it.")
def hello(lab: Lab) -> Shown:
    """The example as a C program (without a compiler: its calls from Python); then without room."""
    program = lab.compile(HELLO)
    if program is None:
        reading, writing = os.pipe()
        child = lab.fork(lambda tell: tell(os.read(reading, 80).decode().strip()))
        os.write(writing, b"hello world\n")
        said = f"{child.told()}\n"
        lab.note("there is no C compiler here: the same calls, made from Python")
    else:
        said = _run([program])
        lab.note("the child, which nobody waits for, is heard until it closes its output")
        crowded = f'ulimit -n 4; exec "{program}"'
        lab.note(f"with no descriptor left it goes on: {_run(['sh', '-c', crowded])!r}")
    lab.note(f"the program's output: {said!r}")
    return holds(
        said == "hello world\n",
        said.strip(),
        "the child prints what the parent wrote; it ought to stop when pipe() fails, and to wait",
    )


def _run(words: list[str]) -> str:
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
        check=True,
    ).stdout  # fmt: skip
