"""Sockets of the UNIX domain: names in the file system, datagrams, records, the lecture's pair."""

from __future__ import annotations

import errno
import json
import socket
import stat
import subprocess
from functools import partial
from pathlib import Path

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.observing import facts

DATAGRAMS = 20_000
SERVER_LINE = b"This is the string from the server.\n"
CLIENT_LINE = b"This is the first string from the client.\n"

# Both programs of the slides in one, mended where they would not run, with their path an argument:
# the client still does not look at what connect() returns.
PAIR = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
static void print_line(int s) {
    FILE *stream = fdopen(s, "r");
    int c;
    while ((c = fgetc(stream)) != EOF) {
        putchar(c);
        if (c == '\n') break;
    }
    fflush(stdout);
}
int main(int argc, char **argv) {
    struct sockaddr_un name = {AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    socklen_t size = sizeof name.sun_family + strlen(argv[2]);
    strcpy(name.sun_path, argv[2]);
    if (!strcmp(argv[1], "server")) {
        char *line = "This is the string from the server.\n";
        unlink(argv[2]);
        if (bind(s, (struct sockaddr *)&name, size) || listen(s, 5)) return 1;
        puts("listening");
        fflush(stdout);
        s = accept(s, 0, 0);
        send(s, line, strlen(line), 0);
        print_line(s);
    } else {
        char *line = "This is the first string from the client.\n";
        connect(s, (struct sockaddr *)&name, size);
        print_line(s);
        send(s, line, strlen(line), MSG_NOSIGNAL);
    }
    return 0;
}
"""


@claim("B149", 138, "UNIX sockets are named by paths, for processes of one system.")
@claim("B158", 144, "A UNIX connection has one or two path names.")
def path_names(lab: Lab) -> dict[str, Shown]:
    """Two clients connect to a server's path, one of them without a name of its own, one with."""
    path, own = str(lab.directory / "server"), str(lab.directory / "client")
    server = _server(path)

    def client(tell: Tell, name: str | None) -> None:
        end = socket.socket(socket.AF_UNIX)
        if name is not None:
            end.bind(name)
        end.connect(path)
        tell(json.dumps(len([each for each in (end.getsockname(), end.getpeername()) if each])))

    counts = []
    for name in (None, own):
        counts.append(facts(lab.fork(partial(client, name=name))))
        lab.note(f"a client that binds {name!r}: {counts[-1]} path names in the connection")
    pair = sum(bool(end.getsockname()) for end in socket.socketpair())
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind(f"\0{path}")
    lab.note(f"a socketpair() has {pair}; Linux also has abstract names, without a file")
    mode = Path(path).stat().st_mode
    lab.note(f"ls -l shows the server's path as {stat.filemode(mode)}")
    server.close()
    return {
        "B149": holds(
            stat.S_ISSOCK(mode) and min(counts) > 0,
            stat.filemode(mode),
            "the name is a file of type s; Linux has abstract names besides",
        ),
        "B158": holds(
            counts == [1, 2],
            f"{counts[0]} or {counts[1]}",
            f"a client need not bind a name; a socketpair() has {pair}",
        ),
    }


@claim("B153", 140, "Datagram sockets use UDP: neither delivery nor order is guaranteed.")
def datagrams(lab: Lab) -> Shown:
    """20,000 datagrams are sent to a receiver that does not read, by UDP and in the UNIX domain.

    The UNIX sender is a process that sleeps when there is no room; then the receivers read.
    """
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(udp.getsockname())
    for number in range(DATAGRAMS):
        sender.send(b"%d" % number)
    udp.setblocking(False)
    kept = []
    try:
        while True:
            kept.append(int(udp.recv(16)))
    except BlockingIOError:
        lab.note(f"UDP on loopback: {len(kept)} of {DATAGRAMS} kept, all sends succeeded")
    path = str(lab.directory / "datagrams")
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    unix.bind(path)

    def send(tell: Tell) -> None:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        end.connect(path)
        end.setblocking(False)
        sent = 0
        try:
            while sent < DATAGRAMS:
                end.send(b"%d" % sent)
                sent += 1
        except BlockingIOError:
            pass
        tell(json.dumps(sent))
        end.setblocking(True)
        for number in range(sent, DATAGRAMS):
            end.send(b"%d" % number)

    child = lab.fork(send)
    queued = facts(child)
    child.asleep()
    unix.settimeout(PATIENCE)
    got = [int(unix.recv(16)) for _ in range(DATAGRAMS)]
    in_order = got == list(range(DATAGRAMS))
    lab.note(f"UNIX: after {queued} a send says EAGAIN; a sender that may block sleeps")
    lab.note(f"UNIX: {len(got)} of {DATAGRAMS} received, in order: {in_order}")
    return Shown(
        datagram_verdict(len(kept), len(got) if in_order else 0),
        f"UDP {len(kept)}, UNIX {len(got)} of {DATAGRAMS}",
        "UDP drops what finds no room; in the UNIX domain the sender waits, and order is kept",
    )


def datagram_verdict(udp: int, unix: int) -> str:
    """Judge "not guaranteed" by how many of DATAGRAMS came, by UDP and in the UNIX domain."""
    lost = [came < DATAGRAMS for came in (udp, unix)]
    return HOLDS if all(lost) else DEPENDS if any(lost) else FAILS


@claim("B154", 140, "A sequential packet socket is a stream that keeps record boundaries.")
def records(lab: Lab) -> Shown:
    """Three records, one that is read into too small a buffer, one too large, and an empty one."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    other.settimeout(PATIENCE)
    sent = [b"Hello", b"Hello", b"How about an answer?"]
    for record in sent:
        one.send(record)
    got = [other.recv(100) for _ in sent]
    lab.note(f"sent three, received {got}")
    one.send(b"Hello")
    part, _, flags, _ = other.recvmsg(4)
    cut = bool(flags & socket.MSG_TRUNC)
    lab.note(f"a record of 5 bytes received into 4: {part!r}, MSG_TRUNC {cut}, the rest is gone")
    limit = one.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    try:
        one.send(b"x" * (limit + 1))
        large = "sent"
    except OSError as error:
        large = errno.errorcode[error.errno or 0]
    lab.note(f"a record of {limit + 1} bytes, more than the buffer: {large}")
    one.send(b"")
    empty = other.recv(100)
    one.close()
    end = other.recv(100)
    lab.note(f"an empty record is received as {empty!r}, and so is the end: {end!r}")
    return holds(
        got == sent,
        f"{len(got)} records of {len(sent)}",
        "what does not fit the reader's buffer is cut off; an empty record looks like the end",
    )


@claim("B159", 146, "listen() says how many connection requests can be queued.")
def backlog(lab: Lab) -> Shown:
    """Servers that listen(1) and listen(5) and never accept; clients connect until one cannot."""
    queued = {}
    for number in (1, 5):
        path = str(lab.directory / f"listen{number}")
        server = _server(path, number)
        clients, why = [], 0
        while not why:
            clients.append(socket.socket(socket.AF_UNIX))
            clients[-1].setblocking(False)
            why = clients[-1].connect_ex(path)
        queued[number] = len(clients) - 1
        server.close()
        lab.note(f"listen({number}): {queued[number]} connect, the next one {errno.errorcode[why]}")
    return Shown(
        backlog_verdict(queued),
        ", ".join(f"listen({number}): {count}" for number, count in queued.items()),
        "the kernel refuses when more than that number wait, so one more can",
    )


def backlog_verdict(queued: dict[int, int]) -> str:
    """Judge "how many" by the connections that were queued for each argument of listen()."""
    if all(count == number for number, count in queued.items()):
        return HOLDS
    grows = [queued[number] for number in sorted(queued)]
    return DEPENDS if grows == sorted(set(grows)) else FAILS


@claim("B163", 150, "The server: bind, listen(5), accept, send a line, print the client's line.")
@claim("B165", 152, "The client: connect, print the server's line, send a line.")
def lecture_pair(lab: Lab) -> dict[str, Shown]:
    """The C programs of the slides, each with a counterpart here; then the client alone."""
    program = lab.compile(PAIR)
    path = str(lab.directory / "mysocket")
    if program is None:
        lab.note("there is no C compiler: both sides are played by processes of the experiment")

    def start(role: str) -> subprocess.Popen[bytes]:
        assert program is not None
        return subprocess.Popen([program, role, path], stdout=subprocess.PIPE)

    if program is None:
        server = lab.fork(lambda tell: _serve_line(tell, path))
        facts(server)
        heard, printed = _ask_line(path), facts(server).encode()
    else:
        running = start("server")
        assert running.stdout is not None
        running.stdout.readline()
        heard = _ask_line(path)
        printed = running.communicate(timeout=PATIENCE)[0]
    left = Path(path).exists()
    lab.note(f"the server printed {printed!r}; its client heard {heard!r}")
    lab.note(f"the server has ended, its socket's file is {'still there' if left else 'gone'}")
    server_works = heard == SERVER_LINE and printed == CLIENT_LINE
    if program is None:
        shown, got, silent = heard, printed, "not tried without a compiler"
    else:
        Path(path).unlink()
        listening = lab.fork(lambda tell: _serve_line(tell, path))
        facts(listening)
        shown = start("client").communicate(timeout=PATIENCE)[0]
        got = facts(listening).encode()
        alone = start("client")
        said = alone.communicate(timeout=PATIENCE)[0]
        silent = f"without a server it prints {said!r} and exits with {alone.returncode}"
    lab.note(f"the client printed {shown!r}; its server got {got!r}")
    lab.note(f"the client {silent}")
    return {
        "B163": holds(
            server_works,
            f"{len(heard)} and {len(printed)} bytes",
            "both lines came through; the socket's file stays behind, and char c misses EOF",
        ),
        "B165": holds(
            shown == SERVER_LINE and got == CLIENT_LINE,
            f"{len(shown)} and {len(got)} bytes",
            f"both lines came through; {silent}",
        ),
    }


@claim("B164", 150, "unlink(ADDRESS) first, so that bind() will not fail.")
def stolen_name(lab: Lab) -> Shown:
    """A server lives at a path; a second one binds it, as it is, then after unlink()."""
    path = str(lab.directory / "mysocket")

    def serve(tell: Tell) -> None:
        listening = _server(path)
        tell(json.dumps("listening"))
        listening.accept()

    first = lab.fork(serve)
    facts(first)
    second = socket.socket(socket.AF_UNIX)
    without = _bind(second, path)
    lab.note(f"bind() where a server lives: {without}")
    Path(path).unlink()
    after = _bind(second, path)
    second.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect(path)
    second.settimeout(PATIENCE)
    second.accept()[0].close()
    lives = first.ended(0) is None
    lab.note(f"after unlink(): {after}; a client now reaches the second server")
    lab.note(f"the first one {'lives, and nobody can reach it any more' if lives else 'ended'}")
    second.close()
    dead = _bind(socket.socket(socket.AF_UNIX), path)
    lab.note(f"bind() over the file that a dead server left: {dead}")
    return Shown(
        unlink_verdict(without, after, stolen=lives),
        f"{without}; after unlink() {after}",
        "bind() succeeds, and takes the name from a server that lives: it hears nothing of it",
    )


def unlink_verdict(without: str, after: str, *, stolen: bool) -> str:
    """Judge "so that bind will not fail" by what bind() said and who lost a name."""
    if after != "bound":
        return FAILS
    return DEPENDS if stolen or without == "bound" else HOLDS


def _server(path: str, backlog: int = 5) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(backlog)
    return listening


def _bind(one: socket.socket, path: str) -> str:
    try:
        one.bind(path)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "bound"


def _serve_line(tell: Tell, path: str) -> None:
    """Do what the lecture's server does."""
    listening = _server(path)
    tell(json.dumps("listening"))
    end = listening.accept()[0]
    end.sendall(SERVER_LINE)
    tell(json.dumps(end.makefile().readline()))


def _ask_line(path: str) -> bytes:
    """Do what the lecture's client does; returns the line that it hears."""
    end = socket.socket(socket.AF_UNIX)
    end.settimeout(PATIENCE)
    end.connect(path)
    heard = end.makefile("rb").readline()
    end.sendall(CLIENT_LINE)
    return heard
