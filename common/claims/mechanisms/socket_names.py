"""Names and handles of sockets: addresses with ports, and pathnames."""

from __future__ import annotations

import socket
import stat

from common import names
from common.claims.claim import Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell


@claim("A22", 89, "A TCP or UDP socket is named by address and port; its handle is a descriptor.")
def internet(lab: Lab) -> Shown:
    """On the loopback device another process sends to an address and a port, by TCP and UDP."""
    got, handles = {}, []
    for kind, type in (("TCP", socket.SOCK_STREAM), ("UDP", socket.SOCK_DGRAM)):
        with socket.socket(socket.AF_INET, type) as own:
            own.bind(("127.0.0.1", 0))
            name = own.getsockname()

            def send(tell: Tell, type: int = type, name: tuple[str, int] = name) -> None:
                with socket.socket(socket.AF_INET, type) as other:
                    other.connect(name)
                    other.sendall(b"by name")

            own.settimeout(PATIENCE)
            if type == socket.SOCK_STREAM:
                own.listen(1)
                lab.fork(send)
                with own.accept()[0] as connection:
                    connection.settimeout(PATIENCE)
                    got[kind] = connection.recv(64)
            else:
                lab.fork(send)
                got[kind] = own.recv(64)
            handles.append(own.fileno())
            lab.note(f"{kind}: descriptor {handles[-1]} is {name[0]}:{name[1]}; {got[kind]!r} came")
    return holds(
        set(got.values()) == {b"by name"} and min(handles) >= 0,
        f"{name[0]}:{name[1]}, descriptor {handles[-1]}",
        "address and port are all that the sender was told",
    )


@claim("A23", 91, "A UNIX socket is named by a pathname; its handle is a descriptor.")
def unix(lab: Lab) -> Shown:
    """Another process sends to a path in a directory, and then to a name without a file."""
    got, found = {}, False
    path = str(lab.directory / "named")
    # A name that begins with a zero byte is an abstract one, of Linux alone (unix(7)).
    for name in (path, f"\0lab-{names.new_token()}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.bind(name)
            own.settimeout(PATIENCE)

            def send(tell: Tell, name: str = name) -> None:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
                    other.sendto(b"by name", name)

            lab.fork(send)
            got[name] = own.recv(64)
            lab.note(f"descriptor {own.fileno()} is {name!r}; {got[name]!r} came")
    found = stat.S_ISSOCK((lab.directory / "named").stat().st_mode)
    lab.note(f"the path is a file of type socket: {found}")
    return holds(
        got[path] == b"by name" and found,
        "a file of type socket",
        "on Linux a name may also begin with a zero byte, and is no file then",
    )
