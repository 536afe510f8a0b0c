"""FIFOs: pipes with a name in the file system, which any process may open that is allowed to."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import LONG_ENOUGH, NOBODY, PATIENCE, Lab, Tell
from common.claims.mechanisms.pipes import at_once, refusal
from common.claims.mechanisms.processes import start_stranger

# Where this process may not become another user.
UNTRIED = "could not be tried"

# The lecture's example: a child sends nine digits and a NUL through a FIFO, the parent prints them.
SEND_DIGITS = r"""
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char sent[] = "123456789", got[512] = "";
    setlinebuf(stdout);
    unlink(argv[1]);
    mkfifo(argv[1], 0600);
    if (fork() == 0) {
        int fd = open(argv[1], O_WRONLY);
        write(fd, sent, sizeof sent);
        printf("Child send: %s\n", sent);
    } else {
        int fd = open(argv[1], O_RDONLY);
        int count = read(fd, got, sizeof got);
        printf("Parent receive: %s (%d bytes)\n", got, count);
    }
    return 0;
}
"""


@claim("A14", 73, "A FIFO's name is a pathname; what is used is a descriptor.")
@claim("B30", 28, "A FIFO is a pipe with a path: who knows its name, and may, can use it.")
@claim("B33", 28, "A FIFO has a name and permissions, and is in a directory's listing.")
def by_name(lab: Lab) -> dict[str, Shown]:
    """A stranger opens a FIFO by its path and writes; somebody without permission tries too."""
    path = lab.maker.fifo("orders")
    name = Path(path).name
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def write(tell: Tell) -> None:
        os.close(reading)
        os.write(os.open(path, os.O_WRONLY), b"sell POUND 3")

    adopted = start_stranger(lab, write).told()
    arrived = _await(reading)
    lab.note(f"a process whose parent is {adopted} opened {name} and wrote {arrived!r}")
    listing = {entry.name: entry.stat() for entry in os.scandir(Path(path).parent)}
    mode = stat.filemode(listing[name].st_mode) if name in listing else "nothing"
    lab.note(f"the directory lists it as {mode}")
    with _no_permission(Path(path)):
        who, refused = _outsider(
            lab,
            Path(path).parent,
            lambda place: os.open(name, os.O_RDWR | os.O_NONBLOCK, dir_fd=place),
        )
    lab.note(f"{who} opens it: {refused or 'allowed'}")
    came = arrived == b"sell POUND 3"
    return {
        "A14": holds(came, f"descriptor {reading}", "two processes opened one path and met"),
        "B30": holds(
            came and adopted not in (None, str(os.getpid())) and refused in ("EACCES", UNTRIED),
            refused or "allowed",
            f"a stranger got in by the name alone; {who}: {refused or 'let in, too'}",
        ),
        "B33": holds(mode == "prw-------", mode, "listed with type p, with a mode like a file's"),
    }


@contextlib.contextmanager
def _no_permission(path: Path) -> Iterator[None]:
    # A plain user has nobody else to send: for this moment its own mode gives it nothing.
    if os.geteuid():
        path.chmod(0)
    yield
    path.chmod(0o600)


def _outsider(lab: Lab, directory: Path, attempt: Callable[[int], object]) -> tuple[str, str]:
    """Let user nobody (a plain user: ourselves) try something, given a directory's descriptor.

    Returns who it was, and the name of the error with which it was refused.
    """
    root = os.geteuid() == 0
    place = os.open(directory, os.O_RDONLY)

    def work(tell: Tell) -> None:
        if root:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        tell(refusal(lambda: attempt(place)))

    # Others may search the private directory meanwhile: nobody reaches it but by its descriptor.
    directory.chmod(0o711)
    refused = lab.fork(work).told()
    directory.chmod(0o700)
    who = f"user {NOBODY}" if root else "a user without permission"
    return who, UNTRIED if refused is None else refused


def _await(fd: int) -> bytes:
    """Return what comes in; b"" when nothing does in time."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return at_once(fd) if poll.poll(PATIENCE * 1000) else b""


@claim("A41", 312, "open(fifo, O_WRONLY | O_NONBLOCK) opens the write end without blocking.")
def nonblocking_open(lab: Lab) -> Shown:
    """A FIFO's write end is opened with O_NONBLOCK, without a reader and with one."""
    path = lab.maker.fifo("orders")
    opened: list[int] = []

    def attempt() -> None:
        opened.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))

    alone = refusal(attempt)
    lab.note(f"nobody reads: {alone or 'opened'}")
    os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    joined = refusal(attempt)
    blocking = os.get_blocking(opened[-1]) if opened else None
    lab.note(f"somebody reads: {joined or 'opened'}; the descriptor blocks: {blocking}")
    return _opened(alone, joined, blocking)


def _opened(alone: str, joined: str, blocking: bool | None) -> Shown:
    works = not joined and blocking is False
    verdict = (DEPENDS if alone else HOLDS) if works else FAILS
    return Shown(
        verdict,
        f"{alone or 'opened'} without a reader",
        "it never waits: where nobody has the read end open yet, it fails instead"
        if works and alone
        else "it was opened without waiting" if works else f"with a reader: {joined or 'blocking'}",
    )  # fmt: skip


@claim("A42", 314, "Or set the flag: F_GETFL, flags |= O_NONBLOCK, then F_SETFL with 0.")
def snippet(lab: Lab) -> Shown:
    """The lecture's lines on a FIFO opened for appending; then with the flags in F_SETFL."""
    path = lab.maker.fifo("orders")
    fd = os.open(path, os.O_RDWR | os.O_APPEND)
    flags = fcntl.fcntl(fd, fcntl.F_GETFL, 0)
    lab.note(f"before: blocking {os.get_blocking(fd)}, O_APPEND {bool(flags & os.O_APPEND)}")
    flags |= os.O_NONBLOCK
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    after, blocking = fcntl.fcntl(fd, fcntl.F_GETFL, 0), os.get_blocking(fd)
    lab.note(f"after F_SETFL with 0: blocking {blocking}, O_APPEND {bool(after & os.O_APPEND)}")
    fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    lab.note(f"after F_SETFL with the flags: blocking {os.get_blocking(fd)}")
    return holds(
        not blocking,
        f"blocking {blocking}",
        "it passes 0 and not the flags: nothing is set, and what was set (O_APPEND) is cleared",
    )


@claim("A43", 325, "Many clients write into one FIFO, the server into a FIFO of each client's.")
def one_server(lab: Lab) -> Shown:
    """The shipped order desk: four clients, one FIFO of orders, a FIFO of fills for each client."""
    document = lab.run("exchange/order_desk_fifo", "locked")
    measures = document["measures"]
    count = {name: measures["by_name"].get(name, 0) for name in ("order", "take_order", "fill")}
    broken = {
        what: measures[what]
        for what in ("jobs_lost", "jobs_duplicated", "jobs_corrupted")
        if measures[what]
    }
    whole = os.fpathconf(os.pipe()[1], "PC_PIPE_BUF")
    fifos = sum(each["kind"] == "fifo" for each in document["objects"])
    lab.note(f"{fifos} FIFOs; {count['order']} orders written, {count['take_order']} taken")
    lab.note(f"{count['fill']} fills came back; {broken or 'none lost, repeated or torn'}")
    return holds(
        len(set(count.values())) == 1 and count["order"] > 0 and not broken,
        f"{count['fill']} of {count['order']} answered",
        f"each client got its own answers; writes stay whole up to PIPE_BUF, here {whole} bytes",
    )


@claim("B39", 32, "Use >> to append to a FIFO, and & to run in the background.")
def redirected(lab: Lab) -> Shown:
    """Two lines go into a FIFO by >, two by >>; then a shell writes without & and with it."""
    path = lab.maker.fifo("orders")
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    got = []
    for redirection in (">", ">>"):
        _shell(f"echo one {redirection} '{path}'; echo two {redirection} '{path}'")
        got.append(at_once(reading))
        lab.note(f"two lines by {redirection}: {got[-1]!r} can be read")
    os.close(reading)
    front = lab.fork(lambda tell: (_shell(f"echo front > '{path}'"), tell("prompt")))
    waits = front.told(LONG_ENOUGH) is None
    lab.note(f"nobody reads: without & the prompt is {'not ' * waits}back after {LONG_ENOUGH} s")
    back = lab.fork(lambda tell: (_shell(f"echo back > '{path}' &"), tell("prompt")))
    returned = back.told() == "prompt"
    lab.note(f"with & the prompt is back: {returned}")
    os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if waits:
        lab.note(f"a reader comes, and the prompt is back: {front.told() == 'prompt'}")
    return _advised(got[0] != got[1], waits and returned)


def _advised(append: bool, background: bool) -> Shown:
    verdict = HOLDS if append and background else DEPENDS if append or background else FAILS
    return Shown(
        verdict,
        f">> needed: {'yes' if append else 'no'}; & needed: {'yes' if background else 'no'}",
        f"{'>> and > differ' if append else 'a FIFO has no end to append to, > is the same'}; "
        f"opening it {'blocks until somebody reads' if background else 'did not block'}",
    )


def _shell(line: str) -> int:
    return subprocess.run(["sh", "-c", line], timeout=PATIENCE, check=True).returncode


@claim("B126", 126, "Example: a child sends 123456789 through a FIFO of mode 0600 to its parent.")
@claim("B127", 126, "Its output is: Parent receive, then Child send.")
def send_digits(lab: Lab) -> dict[str, Shown]:
    """The example in C, five times; then each process in turn is held, to see who can be first."""
    program = lab.compile(SEND_DIGITS)
    outputs = []
    for _ in range(5 if program else 0):
        done = subprocess.run(
            [str(program), str(lab.directory / "fifo")], stdout=subprocess.PIPE, text=True,
            timeout=PATIENCE, check=True,
        )  # fmt: skip
        outputs.append(done.stdout.splitlines())
    if outputs:
        lab.note(f"the C program says: {'; '.join(outputs[-1])}")
    else:
        lab.note("there is no C compiler here: the same calls are made from Python only")
    parents = sum(lines[0].startswith("Parent") for lines in outputs)
    lab.note(f"'Parent receive' came first in {parents} of {len(outputs)} free runs")
    held = {held: _first_line(lab, held) for held in ("parent", "child")}
    for who, (first, got) in held.items():
        lab.note(f"the {who} is held: the {first or 'other waits, too: nobody'} is first ({got!r})")
    sent = "Child send: 123456789", "Parent receive: 123456789 (10 bytes)"
    right = all(sorted(lines) == list(sent) for lines in outputs)
    through = all(got == b"123456789\0" for _, got in held.values())
    free = ["parent"] * parents + ["child"] * (len(outputs) - parents)
    return {
        "B126": holds(right and through, "10 bytes", "nine digits and the NUL that ends them"),
        "B127": _order({first for first, _ in held.values() if first} | set(free), free),
    }


def _first_line(lab: Lab, held: str) -> tuple[str, bytes]:
    """Hold one process, the parent before it reads or the child before it prints.

    Returns which of the two printed while the other was held ("" for none), and what went through.
    """
    path = lab.maker.fifo("digits")
    gate, opening = os.pipe()

    def send(tell: Tell) -> None:
        os.write(os.open(path, os.O_WRONLY), b"123456789\0")
        if held == "child":
            os.read(gate, 1)
        tell("Child send")

    def receive(tell: Tell) -> None:
        fd = os.open(path, os.O_RDONLY)
        if held == "parent":
            os.read(gate, 1)
        tell(os.read(fd, 512).hex())

    child, parent = lab.fork(send), lab.fork(receive)
    first = child.told() if held == "parent" else parent.told()
    os.write(opening, b".")
    rest = parent.told() if held == "parent" or first is None else first
    other = "child" if held == "parent" else "parent"
    return (other if first else ""), bytes.fromhex(rest or "")


def _order(first: set[str], free: list[str]) -> Shown:
    if first == {"parent"}:
        return Shown(HOLDS, "", "the parent was first each time, even when it was held")
    verdict = DEPENDS if "parent" in first else FAILS
    why = "both orders happen: a FIFO hands bytes over, it does not order what its users do then"
    return Shown(verdict, f"parent first in {free.count('parent')} free runs of {len(free)}", why)


@claim("B128", 126, "unlink(path) before mkfifo() makes way for it.")
def unlink_first(lab: Lab) -> Shown:
    """An own leftover is in the way, then somebody else's in a directory like /tmp."""
    mine = lab.directory / "mine"
    os.mkfifo(mine, 0o600)
    blocked = refusal(lambda: os.mkfifo(mine, 0o600))
    unlinked = refusal(lambda: os.unlink(mine))  # noqa: PTH108
    made = refusal(lambda: os.mkfifo(mine, 0o600))
    lab.note(f"a leftover of one's own: mkfifo() {blocked}; after unlink() {made or 'made'}")
    place = lab.directory / "tmp"
    place.mkdir()
    os.mkfifo(place / "fifo", 0o600)
    # Sticky, as /tmp: only its owner removes a file. A plain user owns all it has: no write at all.
    place.chmod(0o1777 if os.geteuid() == 0 else 0o555)
    who, others = _outsider(lab, lab.directory, lambda fd: os.unlink("tmp/fifo", dir_fd=fd))
    _, then = _outsider(lab, lab.directory, lambda fd: os.mkfifo("tmp/fifo", 0o600, dir_fd=fd))
    place.chmod(0o700)
    lab.note(f"{who} and a FIFO of somebody else's: unlink() {others}, then mkfifo() {then}")
    fd = os.open(mine, os.O_RDWR)
    os.write(fd, b"9" * 518)
    cut = os.read(fd, 512)
    lab.note(f"a message of 518 bytes, read into the example's 512: {len(cut)}, and no NUL there")
    return _made_way(blocked, not unlinked and not made, others)


def _made_way(blocked: str, own: bool, others: str) -> Shown:
    stayed = others not in ("", UNTRIED)
    verdict = FAILS if not own else DEPENDS if stayed else HOLDS
    return Shown(
        verdict,
        f"own {'removed' if own else blocked}, another's {others or 'removed'}",
        "it removes one's own leftover; another's FIFO stays, and the example, which looks at no "
        "result, goes on with it" if stayed else "it removed what was there",
    )  # fmt: skip
