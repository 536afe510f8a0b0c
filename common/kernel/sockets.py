"""Sockets as channels use them: the launcher binds, receivers inherit, senders find a path or port.

A UNIX socket needs no check of who calls (SO_PEERCRED): it lies in the run's directory of mode
0700, and connecting takes permission to search that (unix(7)), so that only this user and root
can. A port of 127.0.0.1 is open to every user of the machine: whoever calls there must first show
the channel's token, which only its processes are told.
"""

from __future__ import annotations

import errno
import os
import secrets
import socket
import stat
import struct
import time
from typing import TYPE_CHECKING, Any

from common.errors import (
    KernelObjectError,
    MachineError,
    NotPermitted,
    ObjectVanished,
    PeerLost,
)
from common.kernel.locks import Address
from common.kernel.waits import TICK, Wait

if TYPE_CHECKING:
    from common.kernel.objects import Maker

HERE = "127.0.0.1"
TOKEN_BYTES = 16
# How many callers may stand in line; the kernel cuts it to net.core.somaxconn (listen(2)).
LINE = 1 << 15
# What the kernel keeps of a send buffer for itself (unix_dgram_sendmsg).
_RESERVED = 32
# No descriptor.
CLOSED = -1


def make_unix(type: int, maker: Maker, asked: str | None = None) -> dict[str, Any]:
    """Bind a UNIX socket of ``type``, listening if it can; returns ``path`` and ``fd``.

    It lies in the run's directory, or at the path that is ``asked`` for.
    """
    path, bound = maker.socket("channel", type, asked)
    return {"path": path, "fd": _handed_on(bound, maker)}


def make_loopback(type: int, maker: Maker, buffer: int | None = None) -> dict[str, Any]:
    """Bind a port of 127.0.0.1 that the kernel chooses; returns ``port``, ``fd`` and ``token``.

    ``buffer`` asks for so many bytes to receive into (SO_RCVBUF, which the kernel doubles).
    Raises ``MachineError`` where there is no loopback.
    """
    bound = socket.socket(socket.AF_INET, type)
    try:
        bound.bind((HERE, 0))
    except OSError as error:
        bound.close()
        raise MachineError(
            f"cannot bind a port of {HERE}: {error.strerror}", "ip link set lo up; ip addr show lo"
        ) from None
    if buffer is not None:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    port: int = bound.getsockname()[1]
    return {"port": port, "fd": _handed_on(bound, maker), "token": secrets.token_hex(TOKEN_BYTES)}


def _handed_on(bound: socket.socket, maker: Maker) -> int:
    if bound.type != socket.SOCK_DGRAM:
        bound.listen(LINE)
        # Of the open file description, and so for every receiver: another may be faster.
        bound.setblocking(False)
    return maker.inherit(bound.detach())


def empty(fd: int) -> None:
    """Take out whatever stands in a socket: callers in line, or datagrams."""
    opened = socket.socket(fileno=os.dup(fd))
    try:
        while True:
            if opened.type == socket.SOCK_DGRAM:
                opened.recv(1, socket.MSG_DONTWAIT)  # it is cut, and gone
            else:
                opened.accept()[0].close()
    except BlockingIOError:
        return
    finally:
        opened.close()


def inherited(address: Address, what: str) -> socket.socket:
    """Return a duplicate of the socket that the launcher bound.

    Raises ``ObjectVanished`` when it, or the path by which senders find it, is gone.
    """
    if "path" in address:
        present(address["path"], what)
    if "fd" not in address:
        raise KernelObjectError(
            f"{what}: another program makes its socket and receives from it",
            "made_by: lab, or give the receiving role to that program",
        )
    try:
        opened = socket.socket(fileno=os.dup(address["fd"]))
    except OSError:
        raise ObjectVanished(f"{what}: its socket is closed, or was not handed on") from None
    name = address["path"] if "path" in address else (HERE, address["port"])
    if opened.getsockname() != name:
        opened.close()
        raise ObjectVanished(f"{what}: descriptor {address['fd']} is another socket by now")
    return opened


def present(path: str, what: str) -> None:
    """Raise ``ObjectVanished`` when there is no socket at ``path``."""
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        raise ObjectVanished(f"the socket of {what} was removed: {path}") from None
    if not stat.S_ISSOCK(mode):
        raise KernelObjectError(f"{path}, where {what} should be, is not a socket")


def block_for_a_tick(opened: socket.socket) -> None:
    """Have its calls block, for a tick at most (socket(7)); every user of the socket has it so."""
    opened.setblocking(True)
    tick = struct.pack("@ll", 0, int(TICK * 1_000_000))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, tick)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, tick)


def dial(address: Address, type: int, wait: Wait, what: str) -> socket.socket:
    """Connect to the channel's socket; returns a socket that never blocks.

    Raises ``WaitExpired`` when the line is full for too long, ``ObjectVanished``, ``NotPermitted``,
    and ``KernelObjectError`` when nobody has the other end open.
    """
    unix = "path" in address
    calling = socket.socket(socket.AF_UNIX if unix else socket.AF_INET, type)
    name = address["path"] if unix else (HERE, address["port"])
    try:
        if not unix:
            # A connect(2) of TCP can be waited for, with the socket's own timeout.
            calling.settimeout(wait.seconds)
        else:
            calling.setblocking(False)
        _connect(calling, name, wait, what)
        calling.setblocking(False)
        if not unix and calling.getsockname() == calling.getpeername():
            # A port that nobody has may be drawn for the caller, which then meets itself.
            raise ConnectionRefusedError
    except OSError as error:
        calling.close()
        raise _explained(error, name, what) from None
    except BaseException:
        calling.close()
        raise
    return calling


def _connect(calling: socket.socket, name: Any, wait: Wait, what: str) -> None:
    try:
        calling.connect(name)
    except BlockingIOError:
        pause = 0.001
        with wait.standing(f"a place in the line of {what}") as deadline:
            while True:
                # A pause, not synchronisation: a full line of a UNIX socket cannot be polled for.
                time.sleep(min(pause, deadline.tick()))
                pause *= 2
                try:
                    return calling.connect(name)
                except BlockingIOError:
                    continue


def _explained(error: OSError, name: Any, what: str) -> KernelObjectError:
    if isinstance(error, FileNotFoundError):
        return ObjectVanished(f"the socket of {what} was removed: {name}")
    if isinstance(error, PermissionError):
        return NotPermitted(f"the socket of {what} may not be opened: {name}")
    if isinstance(error, ConnectionRefusedError):
        return nobody(what)
    return KernelObjectError(f"{what}: cannot connect to {name}: {error.strerror or error}")


def nobody(what: str) -> KernelObjectError:
    """Return the error that says that the other end is closed for good."""
    return PeerLost(f"nobody receives from {what} any more: its last receiver closed it or died")


def failed(error: OSError, what: str, size: int) -> KernelObjectError:
    """Return the lab's error for a send that the kernel refused."""
    if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ECONNREFUSED, errno.ENOTCONN):
        return nobody(what)
    if error.errno == errno.EMSGSIZE:
        return KernelObjectError(f"{what}: a message of {size} bytes is over what the kernel takes")
    return KernelObjectError(f"{what}: {error.strerror}")


def too_long(what: str, size: int, length: int) -> KernelObjectError:
    """Return the error for a message that is longer than its channel's."""
    return KernelObjectError(f"{what} takes messages of up to {size} bytes, not {length}")


def most_in_one(message_size: int) -> str:
    """Return why a UNIX socket does not take so many bytes as one message ("" when it does)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asked:
        most = asked.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - _RESERVED
    if message_size <= most:
        return ""
    return (
        f"a message of {message_size} bytes is over {most}, what one send may have: "
        f"net.core.wmem_default less {_RESERVED}"
    )
