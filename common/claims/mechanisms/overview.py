"""Overview: the families of IPC, each carrying something between two processes."""

from __future__ import annotations

import fcntl
import functools
import mmap
import os
import signal
import socket
import struct
import time
from collections.abc import Callable

import posix_ipc
import sysv_ipc

from common import kinds
from common.claims.claim import Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.mechanisms.pipes import at_once
from common.kernel import libc

WORDS = b"sell POUND 3"

# What two traders order, in whole units: 50 orders each.
ORDERS = ([+3, -1, +4, -1, +5] * 10, [-2, +7, -1, +8, -2] * 10)

ROUNDS = 200
PIECE, PIECES = 4096, 512


def _signal(lab: Lab) -> bool:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    mine = os.getpid()
    child = lab.fork(lambda tell: os.kill(mine, signal.SIGUSR1))
    came = signal.sigtimedwait({signal.SIGUSR1}, PATIENCE)
    return came is not None and came.si_pid == child.pid


def _pipe(lab: Lab) -> bool:
    reading, writing = os.pipe()
    lab.fork(lambda tell: os.write(writing, WORDS)).ended()
    return at_once(reading) == WORDS


def _fifo(lab: Lab) -> bool:
    path = lab.maker.fifo("orders")
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    lab.fork(lambda tell: os.write(os.open(path, os.O_WRONLY), WORDS)).ended()
    return at_once(reading) == WORDS


def _queue(lab: Lab) -> bool:
    key = lab.maker.sysv_queue()
    lab.fork(lambda tell: sysv_ipc.MessageQueue(key).send(WORDS, block=False)).ended()
    return bool(sysv_ipc.MessageQueue(key).receive(block=False)[0] == WORDS)


def _segment(lab: Lab) -> bool:
    key = lab.maker.sysv_shm(len(WORDS))
    lab.fork(lambda tell: sysv_ipc.SharedMemory(key).write(WORDS)).ended()
    return bool(sysv_ipc.SharedMemory(key).read(len(WORDS)) == WORDS)


def _mapped_file(lab: Lab) -> bool:
    path = lab.directory / "exchange.dat"
    path.write_bytes(bytes(mmap.PAGESIZE))

    def write(tell: Tell) -> None:
        with path.open("r+b") as file:
            mmap.mmap(file.fileno(), 0)[: len(WORDS)] = WORDS

    lab.fork(write).ended()
    return path.read_bytes().startswith(WORDS)


def _semaphore(lab: Lab) -> bool:
    """A waiter goes on when the other process posts, and not before."""
    name = lab.maker.posix_sem(0)
    order: list[str] = []
    child = lab.fork(lambda tell: (tell("waits"), _acquire(name), tell("goes on")))
    order.append(str(child.told()))
    slept = child.asleep()
    posix_ipc.Semaphore(name).release()
    return slept and child.told() == "goes on" and order == ["waits"]


def _acquire(name: str) -> bool:
    """Wait for the semaphore; it raises ``posix_ipc.BusyError`` when nobody posts in time."""
    posix_ipc.Semaphore(name).acquire(PATIENCE)
    return True


def _call(lab: Lab, family: socket.AddressFamily) -> bool:
    """One process serves, another calls it with arguments and waits for the result."""
    with socket.socket(family) as server:
        if family == socket.AF_UNIX:
            server.bind(lab.maker.socket_path("office"))
        else:
            server.bind(("127.0.0.1", 0))
        server.listen()
        address = server.getsockname()

        def serve(tell: Tell) -> None:
            connection, _ = server.accept()
            price, amount = struct.unpack("!2d", connection.recv(16, socket.MSG_WAITALL))
            connection.sendall(struct.pack("!d", price * amount))

        lab.fork(serve)
    with socket.socket(family) as caller:
        caller.settimeout(PATIENCE)
        caller.connect(address)
        caller.sendall(struct.pack("!2d", 3.25, 4.0))
        return struct.unpack("!d", caller.recv(8, socket.MSG_WAITALL)) == (13.0,)


# As the slide has them: within one machine, then over a network.
LOCAL: dict[str, Callable[[Lab], bool]] = {
    "signals": _signal,
    "pipes": _pipe,
    "FIFOs": _fifo,
    "message queues": _queue,
    "shared memory": _segment,
    "memory mapped files": _mapped_file,
    "semaphores": _semaphore,
}
FAMILIES = {
    "message passing": ("pipes", "FIFOs", "message queues"),
    "synchronization": ("semaphores",),
    "shared memory": ("shared memory", "memory mapped files"),
    "RPC": ("remote procedure calls",),
}


@claim("A2", 16, "The tools: message passing, synchronization, shared memory, RPC.")
@claim("B5", 10, "The mechanisms: seven local ones, and RPC and sockets between machines.")
def carried(lab: Lab) -> dict[str, Shown]:
    """Each mechanism takes something from one process to another: words, a wake-up, a result."""
    worked = {}
    for name, carry in LOCAL.items():
        worked[name] = carry(lab)
        lab.note(f"{name}: {'carried' if worked[name] else 'did not carry'} it")
    try:
        remote = _call(lab, socket.AF_INET)
        lab.note(f"a call over TCP (127.0.0.1): {'answered' if remote else 'not answered'}")
    except OSError as error:
        remote = False
        lab.note(f"there is no network here, not even a loopback: {error}")
    here = _call(lab, socket.AF_UNIX)
    lab.note(f"a call over a UNIX socket: {'answered' if here else 'not answered'}")
    # A call is a call over either: a machine without a network shows it over the local one.
    worked["remote procedure calls"] = worked["sockets"] = remote or here
    for package in (kinds.CHANNELS, kinds.LOCKS, kinds.TABLES):
        lab.note(f"the lab's {package.rpartition('.')[2]}: {', '.join(kinds.names(package))}")
    families = [name for name, parts in FAMILIES.items() if all(worked[part] for part in parts)]
    total = sum(worked.values())
    return {
        "A2": holds(
            len(families) == len(FAMILIES), f"{len(families)} of 4", "; ".join(families) or "none"
        ),
        "B5": holds(
            total == len(worked),
            f"{total} of {len(worked)}",
            "all are here" + ("; sockets also join processes of one machine" if here else ""),
        ),
    }


@claim("A9", 35, "Processes share through the file system, through the kernel, or through memory.")
def three_places(lab: Lab) -> Shown:
    """Two traders give the same 100 orders: to a locked file, to a pipe, to shared memory."""
    stocks = {"a file": _by_file(lab), "a pipe": _by_pipe(lab), "shared memory": _by_memory(lab)}
    for place, stock in stocks.items():
        lab.note(f"through {place}: the stock is {stock}")
    right = 5000 + sum(map(sum, ORDERS))
    lab.note(f"5000 and all orders make {right}")
    return holds(
        set(stocks.values()) == {right},
        ", ".join(map(str, stocks.values())),
        "the same orders come to the same stock, wherever the shared information is kept",
    )


def _traders(lab: Lab, work: Callable[[list[int]], object]) -> None:
    first, second = (lab.fork(functools.partial(_trade, work, orders)) for orders in ORDERS)
    first.ended()
    second.ended()


def _trade(work: Callable[[list[int]], object], orders: list[int], _: Tell) -> None:
    work(orders)


def _by_file(lab: Lab) -> int:
    path = lab.directory / "stock"
    path.write_text("5000")

    def work(orders: list[int]) -> None:
        with path.open("r+") as file:
            for order in orders:
                fcntl.lockf(file, fcntl.LOCK_EX)
                file.seek(0)
                # Old digits never stay behind: the stock keeps its four.
                stock = int(file.read()) + order
                file.seek(0)
                file.write(f"{stock:4}")
                file.flush()
                fcntl.lockf(file, fcntl.LOCK_UN)

    _traders(lab, work)
    return int(path.read_text())


def _by_pipe(lab: Lab) -> int:
    reading, writing = os.pipe()

    def work(orders: list[int]) -> None:
        for order in orders:
            os.write(writing, struct.pack("q", order))

    _traders(lab, work)
    orders: list[int] = [order for (order,) in struct.iter_unpack("q", at_once(reading))]
    return 5000 + sum(orders)


def _by_memory(lab: Lab) -> int:
    key, lock = lab.maker.sysv_shm(8), lab.maker.sysv_sem(1)
    memory, guard = sysv_ipc.SharedMemory(key), sysv_ipc.Semaphore(lock).id
    memory.write(struct.pack("q", 5000))

    def work(orders: list[int]) -> None:
        for order in orders:
            libc.semtimedop(guard, [(0, -1, libc.SEM_UNDO)], PATIENCE)
            (stock,) = struct.unpack("q", memory.read(8))
            memory.write(struct.pack("q", stock + order))
            libc.semtimedop(guard, [(0, 1, libc.SEM_UNDO)], None)

    _traders(lab, work)
    (stock,) = struct.unpack("q", memory.read(8))
    return int(stock)


@claim("B4", 8, "On one or more machines; the method depends on bandwidth, latency, type of data.")
def measured(lab: Lab) -> Shown:
    """A pipe, a UNIX socket and TCP: round trips of 24 bytes, then pieces of 4096 one way.

    Two messages are sent at once over a pipe and a datagram socket: the type of data.
    """
    ways: dict[str, Callable[[], _Way]] = {
        "pipe": _pipes, "UNIX socket": _sockets, "TCP": _tcp
    }  # fmt: skip
    figures = []
    for name, make in ways.items():
        try:
            microseconds, megabytes = _figures(lab, make())
        except OSError as error:
            lab.note(f"{name}: not here ({error})")
            continue
        figures.append(f"{name} {microseconds:.0f} µs and {megabytes:.0f} MB/s")
        lab.note(f"{name}: a round trip of 24 bytes {microseconds:.1f} µs, {megabytes:.0f} MB/s")
    stream, messages = os.pipe(), socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for piece in (b"sell", b"buy"):
        os.write(stream[1], piece)
        messages[1].send(piece)
    read, received = os.read(stream[0], 100), messages[0].recv(100)
    lab.note(f"two messages: one read of a pipe gives {read!r}, of a datagram socket {received!r}")
    differ = len(figures) > 1 and read != received
    return holds(
        differ,
        "; ".join(figures),
        "latency, bandwidth and the kind of data (stream or messages) differ by the method",
    )


# What reads and what writes, for this process and for the other.
_End = tuple[int, int]
_Way = tuple[_End, _End]


def _pipes() -> _Way:
    (a, b), (c, d) = os.pipe(), os.pipe()
    return (c, b), (a, d)


def _sockets() -> _Way:
    ours, theirs = (end.detach() for end in socket.socketpair())
    return (ours, ours), (theirs, theirs)


def _tcp() -> _Way:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        caller = socket.create_connection(server.getsockname(), PATIENCE)
        caller.setblocking(True)
        called, _ = server.accept()
    for end in (caller, called):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    ours, theirs = caller.detach(), called.detach()
    return (ours, ours), (theirs, theirs)


def _figures(lab: Lab, way: _Way) -> tuple[float, float]:
    """Return the time of a round trip (µs) and the bandwidth one way (MB/s)."""
    (reading, writing), (other_reading, other_writing) = way

    def echo(tell: Tell) -> None:
        for _ in range(ROUNDS):
            os.write(other_writing, os.read(other_reading, 24))
        left = PIECE * PIECES
        while left:
            left -= len(os.read(other_reading, PIECE))
        os.write(other_writing, b".")

    child = lab.fork(echo)
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        os.write(writing, bytes(24))
        os.read(reading, 24)
    turned = time.perf_counter()
    for _ in range(PIECES):
        os.write(writing, bytes(PIECE))
    os.read(reading, 1)
    done = time.perf_counter()
    child.ended()
    return (turned - begun) / ROUNDS * 1e6, PIECE * PIECES / (done - turned) / 1e6
