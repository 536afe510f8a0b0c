"""The dialogue under a schedule, word by word, with a C trader at the other end."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.history import record
from common.kernel.objects import Maker
from common.kernel.tables import sysv_shm
from tests.compiled import needs_compiler

pytestmark = needs_compiler

STEPS = ["acquire", "check", "read", "write", "release"]


class Led:
    """A trader that buys once, and the launcher's end of its report socket."""

    def __init__(self, program: Path, maker: Maker, directory: Path) -> None:
        self.record = directory / "trader-0.rec"
        path = str(directory / "report")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(path)
        listener.listen(1)
        listener.settimeout(60)
        table = maker.sysv_shm(4096)
        memory = sysv_shm.attach({"key": table})
        memory.cells[:12] = memoryview(bytearray(struct.pack("12d", *[3, 4, 1000] * 4))).cast("d")
        memory.close()
        self.process = subprocess.Popen(
            [program],
            env={
                "LAB_REPORT": path, "LAB_RECORD": str(self.record), "LAB_TURNS": "1",
                "LAB_GATE": hex(maker.sysv_sem(0)), "LAB_TABLE_KEY": hex(table),
                "LAB_TABLE_KIND": "sysv_shm", "LAB_LOCK_KIND": "sysv_sem",
                "LAB_LOCK_0_KEY": hex(maker.sysv_sem(1)), "LAB_OPTION_OPERATIONS": "1",
                "LAB_OPTION_SELL_SHARE": "0", "LAB_NAME": "trader-0",
            },
        )  # fmt: skip
        self.connection, _ = listener.accept()
        self.connection.settimeout(60)
        listener.close()
        assert json.loads(self.hear()) == {"type": "ready"}

    def hear(self) -> bytes:
        """Return what it says next."""
        return self.connection.recv(4096)

    def pass_on(self, until: str, known: list[str]) -> None:
        """Let it pass until it stands at a step, which is not passed."""
        while True:
            said = self.hear()
            if said[:1] == b"@":
                known.append(json.loads(said[1:])[0])
                continue
            assert said[:1] == b"#", said
            assert said[3:] == b"+"
            if known[int.from_bytes(said[1:3], "little")] == until:
                return
            self.connection.send(b"g")

    def first_record(self) -> tuple[float, ...]:
        """Return the cells of its first record."""
        return record.RECORD.unpack_from(self.record.read_bytes(), record.HEADER_SIZE)


@pytest.fixture
def led(programs: Path, maker: Maker, tmp_path: Path) -> Iterator[Led]:
    """Yield a trader that says it is ready."""
    trader = Led(programs / "trader", maker, tmp_path)
    yield trader
    trader.connection.close()
    if trader.process.poll() is None:
        trader.process.kill()
    trader.process.wait()


def test_steps_are_told_once_and_walked_again(led: Led) -> None:
    """Five steps in order; free ones are passed without asking, and told in front of the next."""
    known: list[str] = []
    led.pass_on("release", known)
    assert known == STEPS
    led.connection.send(b"g")
    summary = json.loads(led.hear())
    assert summary["summary"]["done"] == 1
    led.connection.send(b"a" + bytes([1, 2, 3]))
    assert led.hear() == b"#\0\0+"
    led.connection.send(b"g")
    assert led.hear() == b"!\x03\x01\x02\x03#\x04\0+"
    led.connection.send(b"g")
    assert json.loads(led.hear()) == summary
    led.connection.send(b"x")
    assert led.process.wait(60) == 0


def test_who_leaves_keeps_no_lock_and_begins_from_nothing(led: Led) -> None:
    """Sent away before its write, its record has no end, though the walk before had one there."""
    known: list[str] = []
    led.pass_on("release", known)
    led.connection.send(b"g")
    led.hear()
    assert led.first_record()[record.LEFT] > 0
    led.connection.send(b"a")
    led.pass_on("write", known)
    led.connection.send(b"x")
    assert json.loads(led.hear()) == {"type": "left"}
    assert led.first_record()[record.KIND] > 0
    assert led.first_record()[record.LEFT] == 0
    led.connection.send(b"x")
    assert led.process.wait(60) == 0


def test_stopped_before_its_trade_it_withdraws(led: Led) -> None:
    """Its record is taken back, and what it did is nothing."""
    led.pass_on("acquire", [])
    led.connection.send(b"s")
    assert json.loads(led.hear())["summary"] == {"balance": 1000.0, "done": 0}
    assert led.first_record() == (0.0,) * 10


def test_it_answers_when_it_is_asked_to_look(led: Led) -> None:
    """Asked again while the lock is free it could go on; told to finish, it ends afterwards."""
    led.pass_on("acquire", [])
    for word in (b"l", b"f"):
        led.connection.send(word)
        assert led.hear() == b"+"
    led.connection.send(b"g")
    assert led.hear()[:1] == b"@"
    assert led.record.exists()
