"""Sockets: endpoints of a two-way connection, their families, types and calls."""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from common.claims.claim import DEPENDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.observing import facts
from common.kernel.libc import posix_calls

# Numbers of <linux/socket.h>: Python names only those that it was built with.
FAMILIES = {
    "UNIX": 1, "INET": 2, "INET6": 10, "IPX": 4, "NETLINK": 16, "X25": 9, "AX25": 3,
    "APPLETALK": 5, "ATMPVC": 8,
}  # fmt: skip
TYPES = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
LOOPBACK = ("127.0.0.1", 0)


@claim("B146", 138, "Sockets join two processes, point to point and both ways.")
@claim("B147", 138, "A socket is an endpoint with a name, a type and one or more processes.")
def endpoint(lab: Lab) -> dict[str, Shown]:
    """A process connects to a server's socket; each says a line; a third one inherits an end."""
    path = str(lab.directory / "endpoint")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(path)
    listening.listen()

    def client(tell: Tell) -> None:
        end = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        end.connect(path)
        end.sendall(b"from the client")
        tell(json.dumps(end.recv(100).decode()))

    other = lab.fork(client)
    end = _accepted(listening)
    there = end.recv(100).decode()
    end.sendall(b"from the server")
    back = facts(other)
    lab.note(f"the server got {there!r}, the client got {back!r}, over one connection")

    def heir(tell: Tell) -> None:
        tell(json.dumps(_inode(end)))

    here, inherited = _inode(end), facts(lab.fork(heir))
    kind = end.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE)
    name = end.getsockname()
    lab.note(f"its name {name!r}, its type {socket.SocketKind(kind).name}")
    lab.note(f"a child holds the same one: {here} and {inherited}")
    return {
        "B146": holds(
            (there, back) == ("from the client", "from the server"),
            "2 ways",
            "one connection carried a line in each direction",
        ),
        "B147": holds(
            name == path and kind == socket.SOCK_STREAM and here == inherited,
            f"{socket.SocketKind(kind).name}, 2 processes",
            "getsockname() says the name, SO_TYPE the type; a child inherits it",
        ),
    }


@claim("B148", 138, "Nine common domains, UNIX and INET to APPLETALK and ATMPVC.")
def families(lab: Lab) -> Shown:
    """A socket of each of the nine families is opened, of any type that it has."""
    opened = []
    for name, number in FAMILIES.items():
        why = 0
        for kind in TYPES:
            try:
                socket.socket(number, kind).close()
            except OSError as error:
                why = error.errno or 0
            else:
                opened.append(name)
                lab.note(f"{name} ({number}): opened as {kind.name}")
                break
        else:
            lab.note(f"{name} ({number}): {errno.errorcode[why]}")
    missing = [name for name in FAMILIES if name not in opened]
    return holds(
        not missing,
        f"{len(opened)} of {len(FAMILIES)}",
        f"this kernel has no {', '.join(missing)}" if missing else "this kernel has all of them",
    )


@claim("B150", 138, "The Internet domain joins different systems, by TCP/IP.")
@claim("B151", 140, "What is sent through a stream arrives, and in order: A, B, C.")
@claim("B152", 140, "Stream sockets use TCP.")
def streams(lab: Lab) -> dict[str, Shown]:
    """Over a stream of each domain a process sends A, B, C and then 10,000 numbers, one by one."""
    numbers = "".join(f"{number}," for number in range(10_000))
    protocols, names, came = {}, {}, {}
    for family in (socket.AF_UNIX, socket.AF_INET):
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.bind(str(lab.directory / "stream") if family == socket.AF_UNIX else LOOPBACK)
        listening.listen()
        address = listening.getsockname()

        def send(tell: Tell, family: int = family, address: Any = address) -> None:
            end = socket.socket(family, socket.SOCK_STREAM)
            end.connect(address)
            for item in ("A", "B", "C", *numbers.split(",")[:-1]):
                end.sendall(item.encode() + (b"," if item.isdigit() else b""))

        lab.fork(send)
        end = _accepted(listening)
        came[family.name] = _all(end)
        protocols[family.name] = end.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL)
        names[family.name] = end.getsockname()
    for name, text in came.items():
        lab.note(f"{name}: {text[:7]}…, {len(text)} bytes in all")
        lab.note(f"{name}: SO_PROTOCOL {protocols[name]}, name {names[name]!r}")
    tcp = [name for name, protocol in protocols.items() if protocol == socket.IPPROTO_TCP]
    return {
        "B150": holds(
            "AF_INET" in tcp and names["AF_INET"][0] == LOOPBACK[0],
            f"protocol {protocols['AF_INET']} (TCP) at {LOOPBACK[0]}",
            "its name is a machine's address and a port there; here it is this machine's own",
        ),
        "B151": holds(
            all(text == "ABC" + numbers for text in came.values()),
            ", ".join(f"{name} {len(text)} bytes" for name, text in came.items()),
            "every byte came, in the order of sending",
        ),
        "B152": Shown(
            protocol_verdict(protocols),
            ", ".join(f"{name}: {number}" for name, number in protocols.items()),
            "SO_PROTOCOL is 6, TCP, for the Internet's streams; a UNIX stream has no protocol",
        ),
    }


def protocol_verdict(protocols: dict[str, int]) -> str:
    """Judge "streams use TCP" by the protocol of a stream of each domain."""
    tcp = [protocol == socket.IPPROTO_TCP for protocol in protocols.values()]
    return holds(all(tcp), "", "").verdict if len(set(tcp)) == 1 else DEPENDS


@claim("B155", 140, "A raw socket gives access to the protocols below.")
def raw(lab: Lab) -> Shown:
    """A raw socket listens while a UDP datagram is sent on loopback: it sees the packet itself."""
    try:
        listening = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    except PermissionError as error:
        why = errno.errorcode[error.errno or 0]
        lab.note(f"socket(AF_INET, SOCK_RAW, IPPROTO_UDP): {why}")
        return Shown(DEPENDS, why, "only with CAP_NET_RAW (root): a plain user is refused")
    listening.bind(("127.0.0.1", 0))
    listening.settimeout(PATIENCE)
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(LOOPBACK)
    words = secrets.token_bytes(16)
    receiver.sendto(words, receiver.getsockname())
    # It sees every UDP packet of the machine's loopback: ours is the one with our words.
    while not (packet := listening.recv(65536)).endswith(words):
        pass
    header = (packet[0] & 0xF) * 4
    port = int.from_bytes(packet[header + 2 : header + 4], "big")
    lab.note(f"{len(words)} bytes were sent; the raw socket got {len(packet)}: the IP header of")
    lab.note(f"{header} bytes, the UDP header of 8 with port {port}, and the data")
    return holds(
        packet[9] == socket.IPPROTO_UDP and port == receiver.getsockname()[1],
        f"{len(packet)} bytes for {len(words)}",
        "the headers of IP and UDP came along; a plain user would be refused (CAP_NET_RAW)",
    )


@claim("B156", 142, "The calls: socket, bind, listen, accept, connect, send, recv.")
@claim("B160", 146, "accept() blocks until a client connects.")
@claim("B162", 148, "A client's steps: socket(), connect(), then read() and write().")
def calls(lab: Lab) -> dict[str, Shown]:
    """A server makes the five calls of its side, and sleeps in accept(); then a client comes."""
    path = str(lab.directory / "calls")

    def serve(tell: Tell) -> None:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listening.bind(path)
        listening.listen(5)
        tell(json.dumps(["socket", "bind", "listen"]))
        end = listening.accept()[0]
        tell(json.dumps("accept"))
        tell(json.dumps(f"recv {end.recv(100).decode()}"))
        end.send(b"answer")

    server = lab.fork(serve)
    done = facts(server)
    slept = server.asleep()
    lab.note(f"the server has done {', '.join(done)} and sleeps in accept(): {slept}")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(path)
    done += ["connect", facts(server)]
    os.write(client.fileno(), b"question")
    done.append(facts(server))
    answer = os.read(client.fileno(), 100)
    done.append("send")
    lab.note(f"then: {', '.join(done[3:])}; the client read {answer.decode()!r} with read()")
    whole = done == [
        "socket", "bind", "listen", "connect", "accept", "recv question", "send",
    ]  # fmt: skip
    return {
        "B156": holds(
            whole and answer == b"answer",
            f"{len(done)} calls",
            "each did its part (the third argument of socket() is the protocol, not flags)",
        ),
        "B160": holds(
            slept and done[4] == "accept",
            "asleep, then accepted",
            "the server was in state S until a client connected",
        ),
        "B162": holds(answer == b"answer", "4 steps", "read() and write() work on its descriptor"),
    }


@claim("B157", 144, "int socket(int domain, int type, int protocol).")
def arguments(lab: Lab) -> Shown:
    """Sockets of two domains and types are opened; the kernel is asked what they are."""
    asked = {(socket.AF_INET, socket.SOCK_STREAM), (socket.AF_UNIX, socket.SOCK_DGRAM)}
    options = (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL)
    seen = set()
    for family, kind in sorted(asked):
        one = socket.socket(family, kind, 0)
        domain, type_, protocol = (one.getsockopt(socket.SOL_SOCKET, each) for each in options)
        seen.add((domain, type_))
        lab.note(f"socket({family.name}, {kind.name}, 0): protocol {protocol}")
    return holds(
        seen == asked,
        f"{len(seen)} of {len(asked)} as asked",
        "protocol 0 takes the usual one; the slide's SOCK_DGRA is a slip for SOCK_DGRAM",
    )


@claim("B161", 146, "Send and receive with read() and write(), or with snd() and rcv().")
def names(lab: Lab) -> Shown:
    """Data passes by write() and read(); then the C library is asked for the other names."""
    one, other = socket.socketpair()
    os.write(one.fileno(), b"x")
    passes = os.read(other.fileno(), 1) == b"x"
    found = {name: posix_calls.offered(name) for name in ("snd", "rcv", "send", "recv")}
    lab.note("write() and read(): " + ("work" if passes else "do not work"))
    for name, there in found.items():
        lab.note(f"{name}(): {'in the C library' if there else 'no such function'}")
    offered = [name for name in found if found[name]]
    return holds(
        passes and found["snd"] and found["rcv"],
        f"there are {' and '.join(offered)}",
        "the other two are called send() and recv()",
    )


def _accepted(listening: socket.socket) -> socket.socket:
    listening.settimeout(PATIENCE)
    end = listening.accept()[0]
    end.settimeout(PATIENCE)
    return end


def _inode(end: socket.socket) -> str:
    return str(Path(f"/proc/self/fd/{end.fileno()}").readlink())


def _all(end: socket.socket) -> str:
    """Return all that comes until the other side closes."""
    parts = []
    while part := end.recv(1 << 16):
        parts.append(part)
    return b"".join(parts).decode()
