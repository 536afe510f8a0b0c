"""Remote procedure calls: what happens in one, what can fail, and who makes the stubs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import xmlrpc.client
import xmlrpc.server
from collections.abc import Callable
from typing import Any

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Child, Lab, Tell
from common.claims.observing import facts

# What a server does between receiving a call and replying to it; where it can be killed.
WORK, REPLY = "before the work", "before the reply"
NOTHING = "nothing"

# The steps of the lecture, and the same ones back.
STEPS = [
    "client calls stub", "client stub marshals", "client kernel sends", "server stub receives",
    "server stub unmarshals", "server procedure runs", "server stub marshals",
    "server kernel sends", "client stub receives", "client stub unmarshals", "client goes on",
]  # fmt: skip

# What each system of the lecture's list would leave on a machine: a program of its own.
SYSTEMS = {
    "Sun RPC": "rpcinfo", "DBUS": "dbus-daemon", "CORBA": "omniNames", "DCOM": "midl",
    "WCF": "svcutil", "JRMI": "rmiregistry", "MPI": "mpirun",
}  # fmt: skip

INTERFACE = "program OFFICE { version FIRST { int SELL(int) = 1; } = 1; } = 0x20000001;\n"

Log = Callable[[str], object]


@claim("B178", 160, "The caller's arguments are passed to the remote procedure; the caller waits.")
def caller_waits(lab: Lab) -> Shown:
    """A client calls a procedure that does not return until the experiment lets it."""
    office = _Office(lab, "waits")
    gate, leave = os.pipe()

    def serve(tell: Tell) -> None:
        def work(amount: int) -> int:
            tell(json.dumps(amount))
            os.read(gate, 1)
            return amount * 2

        office.serve(work)

    server = lab.fork(serve)
    client = lab.fork(lambda tell: tell(json.dumps(office.call(21))))
    argument = facts(server)
    waits = client.asleep() and client.ended(0) is None
    lab.note(f"the procedure runs in process {server.pid} with the argument {argument}")
    lab.note(f"its caller, process {client.pid}, {'waits in state S' if waits else 'goes on'}")
    os.write(leave, b"x")
    result = facts(client)
    lab.note(f"then it returns, and the caller has {result}")
    return holds(
        argument == 21 and waits and result == 42,
        f"{argument} there, {result} back",
        "the caller slept in recv() until the reply came",
    )


@claim("B179", 160, "RPC is mostly user-space libraries: Sun RPC, CORBA, DCOM, XMLRPC, ….")
def user_space(lab: Lab) -> Shown:
    """One of the list, XML-RPC, is called: two Python processes and a socket; then who is here."""
    server = xmlrpc.server.SimpleXMLRPCServer(("127.0.0.1", 0), logRequests=False)
    server.register_function(lambda base, exponent: base**exponent, "pow")
    server.timeout = PATIENCE
    address = server.server_address

    def call(tell: Tell) -> None:
        stub = xmlrpc.client.ServerProxy(f"http://{address[0]!s}:{address[1]}")
        tell(json.dumps(stub.pow(2, 10)))

    client = lab.fork(call)
    server.handle_request()
    result = facts(client)
    server.server_close()
    marshalled = xmlrpc.client.dumps((2, 10), "pow").encode()
    lab.note(
        f"XML-RPC: pow(2, 10) = {result}, marshalled by a library into {len(marshalled)} bytes"
    )
    here = [name for name, program in SYSTEMS.items() if shutil.which(program)]
    gone = [name for name in SYSTEMS if name not in here]
    lab.note(f"installed here besides: {', '.join(here) or 'none'}; not: {', '.join(gone)}")
    works = result == 1024
    return Shown(
        (DEPENDS if gone else HOLDS) if works else FAILS,
        f"XML-RPC works; {len(gone)} of {len(SYSTEMS)} others not here",
        "a library over a socket is all of it (the kernel's own for NFS is an exception); of the "
        f"list there is no trace here of {', '.join(gone)}",
    )


@claim("B180", 162, "The steps: stub, marshalling, sending, unmarshalling, procedure, and back.")
def steps(lab: Lab) -> Shown:
    """One call; client and server append each step to one file, which keeps their order."""
    office = _Office(lab, "steps")
    journal = lab.directory / "journal"
    fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def log(step: str) -> None:
        os.write(fd, f"{step}\n".encode())

    def work(amount: int) -> int:
        log("server procedure runs")
        return 10_000 - amount

    lab.fork(lambda tell: office.serve(work, log))

    def call(tell: Tell) -> None:
        log("client calls stub")
        left = office.call(100, log=log)
        log("client goes on")
        tell(json.dumps(left))

    left = facts(lab.fork(call))
    seen = journal.read_text().splitlines()
    for number, step in enumerate(seen, 1):
        lab.note(f"{number}. {step}")
    return holds(
        seen == STEPS and left == 9_900,
        f"{len(seen)} steps",
        "in the lecture's order; the reply takes the same steps back",
    )


@claim("B181", 164, "Remote calls can fail, and the caller cannot know whether the work was done.")
def unknown(lab: Lab) -> Shown:
    """Two servers are killed during a call: one before it does the work, one before it replies."""
    heard, stocks = [], []
    for when in (WORK, REPLY):
        office = _Office(lab, when.replace(" ", "-"))
        server = _seller(lab, office, killed=when)
        heard.append(office.call(10))
        ended = server.ended()
        stocks.append(office.stock())
        lab.note(f"server killed {when} (ended with {ended}): the caller hears {heard[-1]}")
        lab.note(f"the stock was {office.START} and is {stocks[-1]}")
    return holds(
        heard == [NOTHING] * 2 and stocks[0] != stocks[1],
        f"{heard[0]} both times; stock {stocks[0]} and {stocks[1]}",
        "the caller sees the same end of the connection, whether the work was done or not",
    )


@claim("B182", 164, "Idempotent procedures are easily handled.")
def retried(lab: Lab) -> Shown:
    """A server is killed after its work and before its reply; the caller calls a second one.

    A sale is called so without and with a request's number, and the setting of a stock.
    """
    stocks = {}
    for name, request, procedure in (
        ("sale", None, "sell"), ("numbered sale", "request 1", "sell"), ("setting", None, "set"),
    ):  # fmt: skip
        office = _Office(lab, name.replace(" ", "-"))
        _seller(lab, office, killed=REPLY, procedure=procedure)
        first = office.call(10, request)
        again = _seller(lab, office, procedure=procedure)
        second = office.call(10, request)
        again.ended()
        stocks[name] = office.stock()
        lab.note(f"{name} of 10: {first} heard, called again: {second}; stock {stocks[name]}")
    start = _Office.START
    return holds(
        stocks["setting"] == 10 and stocks["sale"] == start - 20,
        f"set to {stocks['setting']}; sold {start - stocks['sale']} instead of 10",
        "setting twice is as setting once; a sale needs a number that the server remembers: "
        f"then it sold {start - stocks['numbered sale']}",
    )


@claim("B183", 166, "Most RPC systems use an IDL; the most common tool is RPCGEN.")
def interface_language(lab: Lab) -> Shown:
    """An interface of one procedure is given to rpcgen, and what that makes to the C compiler."""
    generator = shutil.which("rpcgen")
    if generator is None:
        lab.note("there is no rpcgen on this machine")
        return holds(False, "no rpcgen", "nothing here makes stubs so; JSON and XML need none")
    source = lab.directory / "office.x"
    source.write_text(INTERFACE)
    done = subprocess.run(
        [generator, "-h", "office.x"], cwd=lab.directory, capture_output=True, timeout=PATIENCE
    )
    lab.note(f"rpcgen made {len(done.stdout)} bytes of C, with status {done.returncode}")
    try:
        program = lab.compile(done.stdout.decode() + "int main(void) { return 0; }\n")
    except subprocess.CalledProcessError as error:
        why = error.stderr.decode().splitlines()[0].partition("error: ")[2]
        lab.note(f"the compiler: {why}")
        return holds(False, why, "the C library has dropped Sun RPC: its code does not compile")
    if program is None:
        lab.note("there is no C compiler to try it with")
        return Shown(DEPENDS, "rpcgen is here", "whether its code compiles was not tried")
    return holds(done.returncode == 0, "its code compiles", "rpcgen and its library are here")


class _Office:
    """A service with one procedure, its client's stub and its server's, and its stock in a file."""

    START = 100

    def __init__(self, lab: Lab, name: str) -> None:
        self._state = lab.directory / f"{name}.state"
        self._write(self.START, [])
        self._path = str(lab.directory / name)
        # All its servers inherit this: a call waits here until one of them accepts it.
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self._path)
        self._listening.listen()

    def call(self, amount: int, request: str | None = None, log: Log = lambda step: None) -> Any:
        """Call the procedure, as its client's stub; returns NOTHING when no reply comes."""
        message = json.dumps({"amount": amount, "request": request}).encode()
        log("client stub marshals")
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(PATIENCE)
        end.connect(self._path)
        log("client kernel sends")
        _send(end, message)
        reply = _receive(end)
        if reply is None:
            return NOTHING
        log("client stub receives")
        result = json.loads(reply)
        log("client stub unmarshals")
        return result

    def serve(self, procedure: Callable[..., int], log: Log = lambda step: None) -> None:
        """Serve one call, as the server's stub."""
        end = self._listening.accept()[0]
        message = _receive(end)
        assert message is not None
        log("server stub receives")
        arguments = json.loads(message)
        log("server stub unmarshals")
        names = {"request": arguments["request"]} if arguments["request"] else {}
        result = procedure(arguments["amount"], **names)
        reply = json.dumps(result).encode()
        log("server stub marshals")
        log("server kernel sends")
        _send(end, reply)

    def change(self, procedure: str, amount: int, request: str | None) -> int:
        """Do the work, once for each request that has a name; returns the stock."""
        stock, known = json.loads(self._state.read_text())
        if request is None or request not in known:
            stock = amount if procedure == "set" else stock - amount
            self._write(stock, [*known, request])
        return int(stock)

    def stock(self) -> int:
        """Return the stock as its file says."""
        return int(json.loads(self._state.read_text())[0])

    def _write(self, stock: int, known: list[str | None]) -> None:
        self._state.write_text(json.dumps([stock, known]))


def _seller(lab: Lab, office: _Office, killed: str | None = None, procedure: str = "sell") -> Child:
    """Start a server of one call, which is killed (SIGKILL) at a point of it."""

    def work(amount: int, request: str | None = None) -> int:
        if killed == WORK:
            os.kill(os.getpid(), signal.SIGKILL)
        stock = office.change(procedure, amount, request)
        if killed == REPLY:
            os.kill(os.getpid(), signal.SIGKILL)
        return stock

    return lab.fork(lambda tell: office.serve(work))


def _send(end: socket.socket, message: bytes) -> None:
    end.sendall(struct.pack("!I", len(message)) + message)


def _receive(end: socket.socket) -> bytes | None:
    """Return the next message; None when the other side ended."""
    stream = end.makefile("rb")
    with contextlib.suppress(ConnectionResetError):
        if len(length := stream.read(4)) == 4:
            size = struct.unpack("!I", length)[0]
            return message if len(message := stream.read(size)) == size else None
    return None
