#!/usr/bin/env python3
"""A recorded trader in Python that knows nothing of the lab but docs/protocol.md.

Standard library only. Tables: sysv_shm (through ctypes: Python's library has no System V calls),
posix_shm, mmap_file. Locks: none, sysv_sem, sysv_semset, record_lock, ofd_lock, flock. It takes
part in schedules and walks; faults and delays that wait for its steps it does not look for.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import random
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

BUY, SELL = 1, 2
REFUSED, HELD_FIRST, HELD_LAST = 1 << 16, 1 << 17, 1 << 25
HEADER, RECORD, WINDOW = 4096, 80, 256 * 80
IPC_NOWAIT, SEM_UNDO, GETVAL = 0o4000, 0x1000, 12
TICK = 0.1

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
environment = os.environ


class Failed(Exception):
    """Something went wrong; told to the launcher in one sentence."""


class Stop(Exception):
    """A schedule ends the work before the next trade."""


class Leave(Exception):
    """A schedule goes on without this process."""


def number(name: str, otherwise: float = 0) -> float:
    """Return a variable as a number; keys are hexadecimal."""
    text = environment.get(name) or str(otherwise)
    return int(text, 16) if text.startswith("0x") else float(text)


def whole(name: str) -> int:
    """Return a variable that is a whole number."""
    return int(number(name))


class Report:
    """The launcher's end of the report socket, and the dialogue under a schedule."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(environment["LAB_REPORT"])
        self.leads = environment.get("LAB_TURNS") == "1"
        self.finishing = False
        self._known: dict[str, int] = {}
        self._free = b""
        self._passed = bytearray()

    def say(self, **facts: object) -> None:
        """Send one report; what was passed without asking goes before it."""
        self._send(json.dumps(facts).encode())

    def step(
        self,
        name: str,
        reads: tuple[str, ...] = (),
        changes: tuple[str, ...] = (),
        *,
        takes: str = "",
        gives: str = "",
        ready: Callable[[], bool] | None = None,
        begins: bool = False,
    ) -> None:
        """Stand at a step until this process may pass."""
        if not self.leads:
            return
        text = json.dumps([name, reads, changes, takes, gives, ready is not None, begins])
        if text not in self._known:
            self._known[text] = len(self._known)
            self._send(b"@" + text.encode())
        at = self._known[text]
        can_go = ready is None or ready()
        if can_go and at < 255 and at in self._free and len(self._passed) < 255:
            self._passed.append(at)
            return
        self._send(b"#" + at.to_bytes(2, "little") + (b"+" if can_go else b"-"))
        while (word := self.socket.recv(16)) != b"g":
            if word in (b"l", b"f"):
                self.finishing |= word == b"f"
                self.socket.send(b"+" if ready is None or ready() else b"-")
            elif word == b"s" and begins:
                raise Stop
            elif word == b"s":
                raise Failed(f"stopped at {name}, in the middle of its work")
            else:
                raise Leave

    def again(self) -> bool:
        """Wait for whether everything is to be done again."""
        word = self.socket.recv(256) if self.leads else b""
        self._free = word[1:]
        return word[:1] == b"a"

    def _send(self, message: bytes) -> None:
        passed, self._passed = self._passed, bytearray()
        ahead = b"!" + bytes([len(passed)]) + passed if passed else b""
        self.socket.send(ahead + message)


class History:
    """The history file: docs/history.md."""

    def __init__(self) -> None:
        capacity = max(1, whole("LAB_CAPACITY"))
        size = HEADER + -(-capacity // 256) * WINDOW
        self._path = environment["LAB_RECORD"]
        self._map(size, os.O_CREAT | os.O_EXCL)
        name, role = environment["LAB_NAME"].encode(), environment["LAB_ROLE"].encode()
        struct.pack_into(
            "<8sIIII32s32s", self._memory, 0,
            b"LABHIST1", RECORD, HEADER, os.getpid(), whole("LAB_INDEX"), name[:32], role[:32],
        )  # fmt: skip
        self.count = 0

    def _map(self, size: int, how: int = 0) -> None:
        file = os.open(self._path, os.O_RDWR | how, 0o600)
        os.posix_fallocate(file, 0, size)  # a full disk is an error here, and no SIGBUS later
        self._memory = mmap.mmap(file, size)
        self._cells = memoryview(self._memory).cast("d")
        os.close(file)

    def begin(self, kind: float, item: float, amount: float) -> None:
        """Declare an operation: from now on it is in flight."""
        if HEADER + (self.count + 1) * RECORD > len(self._memory):
            self._map(len(self._memory) + WINDOW)
        self._at = (HEADER + self.count * RECORD) // 8
        self.count += 1
        self._cells[self._at + 1] = item
        self._cells[self._at + 2] = amount
        self._cells[self._at] = kind  # last of the three: from now on it is there

    def end(self, kind: float, *values: float) -> None:
        """Complete it: asked, entered, v1 to v4, left."""
        self._cells[self._at] = kind
        for cell, value in enumerate(values, self._at + 3):
            self._cells[cell] = value  # ``left`` comes last

    def withdraw(self) -> None:
        """Take back an operation that was never begun."""
        self.count -= 1
        for cell in range(10):
            self._cells[self._at + cell] = 0.0

    def rewind(self) -> None:
        """Forget every record."""
        start = HEADER // 8
        for cell in range(start, start + self.count * 10):
            self._cells[cell] = 0.0
        self.count = 0

    def publish(self, what: str) -> None:
        """Write what this process waits for where the launcher reads it; "" for nothing."""
        since = time.monotonic_ns() if what else 0
        struct.pack_into("<q128s", self._memory, 88, since, what.encode()[:127])


def semop(key: int, member: int, change: int, flags: int, seconds: float) -> int:
    """Do one operation on a semaphore; returns 0 or the error number."""
    found = libc.semget(ctypes.c_int(key), 0, 0)
    if found < 0:
        return ctypes.get_errno()
    operation = ctypes.create_string_buffer(struct.pack("@HhH", member, change, flags))
    most = ctypes.create_string_buffer(struct.pack("@ll", 0, int(seconds * 1e9)))
    if libc.semtimedop(found, operation, ctypes.c_size_t(1), most) == 0:
        return 0
    return ctypes.get_errno()


class Lock:
    """One lock of the table."""

    def __init__(self, row: int, name: str, history: History, report: Report) -> None:
        self.kind = environment["LAB_LOCK_KIND"]
        self.what = name
        self.number = int(environment["LAB_LOCK_NUMBERS"].split()[row])
        self.held = False
        self._report = report
        self._history = history
        prefix = f"LAB_LOCK_{row}_"
        self._key, self._member = whole(prefix + "KEY"), whole(prefix + "ROW")
        self._undo = SEM_UNDO if whole(prefix + "UNDO") else 0
        self._at = whole(prefix + "AT")
        known = ("none", "sysv_sem", "sysv_semset", "record_lock", "ofd_lock", "flock")
        if self.kind not in known:
            raise Failed(f"{name}: this program takes only {', '.join(known)}")
        if environment.get("LAB_TABLE_RECOVERY"):
            raise Failed("this program keeps no intent record (table.recovery)")
        self._fd = os.open(environment[prefix + "PATH"], os.O_RDWR) if self._file else -1

    @property
    def _file(self) -> bool:
        return self.kind in ("record_lock", "ofd_lock", "flock")

    def take(self) -> float:
        """Take it; returns since when this process had to wait, or 0."""
        if self._tried(0):
            return 0.0
        asked = time.monotonic()
        until = asked + number("LAB_WAIT", 10)
        self._history.publish(self.what)
        while not self._tried(TICK):
            if time.monotonic() > until:
                raise Failed(f"waited {number('LAB_WAIT', 10):g} s for {self.what}, in vain")
        self._history.publish("")
        return asked

    def _tried(self, seconds: float) -> bool:
        if self._file:
            try:
                self._lock(take=True)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                time.sleep(seconds / 100)  # these know no timeout: look again
                return False
        elif self.kind != "none":
            flags = self._undo | (0 if seconds else IPC_NOWAIT)
            wrong = semop(self._key, self._member, -1, flags, seconds)
            if wrong in (errno.EAGAIN, errno.EINTR):
                return False
            if wrong:
                raise Failed(f"{self.what}: {os.strerror(wrong)}")
        self.held = True
        return True

    def give(self) -> None:
        """Give it back."""
        self.held = False
        if self._file:
            self._lock(take=False)
        elif self.kind != "none" and (
            wrong := semop(self._key, self._member, 1, self._undo | IPC_NOWAIT, 0)
        ):
            raise Failed(f"{self.what}: {os.strerror(wrong)}")

    def abandon(self) -> None:
        """Let go of what only its owner can free; the launcher resets the rest."""
        if self.held and self._file:
            self._lock(take=False)
        self.held = False

    def free(self) -> bool:
        """Say whether it could be taken now; nobody else runs meanwhile."""
        if self.held:
            return False
        if not self._file:
            found = libc.semget(ctypes.c_int(self._key), 0, 0)
            return bool(libc.semctl(found, self._member, GETVAL) > 0)
        took = self._tried(0)
        if took:
            self.give()
        return took

    def _lock(self, *, take: bool) -> None:
        if self.kind == "flock":
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB if take else fcntl.LOCK_UN)
            return
        command = fcntl.F_OFD_SETLK if self.kind == "ofd_lock" else fcntl.F_SETLK
        type = fcntl.F_WRLCK if take else fcntl.F_UNLCK
        fcntl.fcntl(self._fd, command, struct.pack("@hhlli0l", type, 0, self._at, 1, 0))


def table_cells(rows: int) -> memoryview:
    """Map the table; returns its doubles, each read and written whole."""
    kind, size = environment["LAB_TABLE_KIND"], rows * 24
    if kind == "sysv_shm":
        found = libc.shmget(ctypes.c_int(whole("LAB_TABLE_KEY")), ctypes.c_size_t(size), 0)
        at = libc.shmat(found, None, 0) if found >= 0 else None
        if at in (None, ctypes.c_void_p(-1).value):
            raise Failed(f"the table: {os.strerror(ctypes.get_errno())}")
        return memoryview((ctypes.c_char * size).from_address(at)).cast("B").cast("d")
    if kind not in ("posix_shm", "mmap_file"):
        raise Failed(f"this program does not know a table of kind {kind}")
    posix = kind == "posix_shm"
    path = "/dev/shm" + environment["LAB_TABLE_NAME"] if posix else environment["LAB_TABLE_PATH"]
    file = os.open(path, os.O_RDWR)
    cells = memoryview(mmap.mmap(file, size)).cast("d")
    os.close(file)
    return cells


class Trader:
    """A teller with a private balance, who buys and sells as the lecture does."""

    def __init__(self, report: Report, history: History) -> None:
        self.report = report
        self._history = history
        self._names = environment["LAB_TABLE_ROWS"].split()
        self._cells = table_cells(len(self._names))
        count = whole("LAB_LOCKS")
        one = count == 1
        self.locks = [
            Lock(n, "the table's lock" if one else f"the lock of {name}", history, report)
            for n, name in enumerate(self._names[:count])
        ]

    def work(self) -> dict[str, object]:
        """Do what the scenario asks for; returns the summary."""
        source = random.Random(environment["LAB_SEED"])
        chosen = environment.get("LAB_OPTION_CURRENCIES", "").split()
        rows = [self._names.index(name) for name in chosen] or list(range(len(self._names)))
        self._balance = number("LAB_OPTION_BALANCE", 1000)
        operations = whole("LAB_OPTION_OPERATIONS")
        done = tried = 0
        while not self.report.finishing and (tried < operations or not operations):
            selling = source.random() < number("LAB_OPTION_SELL_SHARE", 0.5)
            # A fraction of its own, in multiples of 2**-30, names the trade in every later stock.
            amount = 1 + int(source.random() * number("LAB_OPTION_LARGEST", 10))
            amount += (source.getrandbits(30) | 1) / 2**30
            tried += 1
            try:
                done += self._trade(SELL if selling else BUY, source.choice(rows), amount, tried)
            except Stop:
                self._history.withdraw()
                break
        return {"balance": self._balance, "done": done}

    def _trade(self, code: int, row: int, amount: float, sequence: int) -> bool:
        cells, step, lock = self._cells, self.report.step, self.locks[row % len(self.locks)]
        field = "sell" if code == SELL else "buy"
        rate_cell, stock_cell = row * 3 + (code == BUY), row * 3 + 2
        stock_name, rate_name = f"{self._names[row]}.stock", f"{self._names[row]}.{field}"
        kind = code + 256 * row + lock.number * (HELD_FIRST + HELD_LAST)
        excludes = lock.kind != "none"
        self._history.begin(kind, whole("LAB_INDEX") * 2.0**32 + sequence, amount)

        if excludes:
            step("acquire", (), (lock.what,), takes=lock.what, ready=lock.free, begins=True)
        else:
            step("acquire", begins=True)
        asked = lock.take()
        entered = time.monotonic()
        reads = (rate_name,) if code == BUY else (stock_name, rate_name)
        step("check", reads)
        checked = cells[rate_cell if code == BUY else stock_cell]
        allowed = self._balance >= amount * checked if code == BUY else checked >= amount
        rate = read = written = 0.0
        if allowed:
            rate = cells[rate_cell]
            self._balance += amount * rate if code == SELL else -(amount * rate)
            step("read", (stock_name,))
            read = cells[stock_cell]
            written = read - amount if code == SELL else read + amount
            step("write", (), (stock_name,))
            cells[stock_cell] = written
        left = time.monotonic()
        if excludes:
            step("release", (), (lock.what,), gives=lock.what)
        else:
            step("release")
        lock.give()
        kind += 0 if allowed else REFUSED
        self._history.end(kind, asked or entered, entered, checked, rate, read, written, left)
        return allowed


def pass_gate(history: History) -> None:
    """Wait for zero on the gate, as long as the others may take to get ready."""
    until = time.monotonic() + number("LAB_START", 10)
    history.publish("the start gate")
    while wrong := semop(whole("LAB_GATE"), 0, 0, 0, TICK):
        if wrong not in (errno.EAGAIN, errno.EINTR) or time.monotonic() > until:
            raise Failed(f"the start gate: {os.strerror(wrong)}")
    history.publish("")


def main() -> int:
    """Take part in a run; returns the exit status."""
    if "LAB_REPORT" not in environment:
        print("this program is started by the lab: level: recorded", file=sys.stderr)
        return 2
    report = Report()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keyboard's signals are the launcher's
    signal.signal(signal.SIGTERM, lambda _number, _frame: setattr(report, "finishing", True))
    try:
        history = History()
        trader = Trader(report, history)
        report.say(type="ready")
        pass_gate(history)
        while True:
            try:
                report.say(type="summary", summary=trader.work())
            except Leave:
                report.say(type="left")
            for lock in trader.locks:
                lock.abandon()
            if not report.again():
                return 0
            history.rewind()
            report.finishing = False
    except (Failed, OSError) as error:
        report.say(type="error", kind="ProcessError", message=str(error))
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
