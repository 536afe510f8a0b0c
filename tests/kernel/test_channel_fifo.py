"""What only a FIFO does: its two ends come, go and die by themselves."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import KernelObjectError, WaitExpired
from common.kernel import waits
from common.kernel.channels import Channel, fifo
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import inspect

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
# A deadline that no test lives to see: what ends before it ended for another reason.
NEVER = 1000.0

Open = Callable[..., Channel]


def frame(number: int) -> bytes:
    return b"%063d\n" % number


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return fifo.make(fifo.Options(), SIZE, LOCK, maker)


@pytest.fixture
def open_end(address: dict[str, Any]) -> Iterator[Open]:
    """Yield a function that opens ends; all are closed afterwards."""
    ends: list[Channel] = []

    def opened(mode: str, wait: Wait, **changed: Any) -> Channel:
        ends.append(fifo.attach(address | changed, mode, wait, WHAT))
        return ends[-1]

    yield opened
    for end in ends:
        end.close()


def fill(sender: Channel) -> None:
    try:
        while True:
            sender.send(frame(0))
    except WaitExpired:
        return


def hold_open(address: dict[str, Any], opened: Any) -> Callable[[], None]:
    """Return the work of a reader that opens its end, says so, and reads nothing."""

    def work() -> None:
        reader = fifo.attach(address, "receive", Wait(NEVER), WHAT)
        opened.show("o")
        signal.pause()
        reader.close()

    return work


def test_opening_never_blocks_and_sending_gives_up_at_the_deadline(open_end: Open) -> None:
    """Nobody ever opens it for reading: ENXIO until the deadline, then an error that says it."""
    sender = open_end("send", Wait(SHORT))
    with pytest.raises(KernelObjectError, match=f"nobody opened {WHAT} for reading within 0.2 s"):
        sender.send(frame(0))


def test_a_sender_may_come_before_its_reader(
    address: dict[str, Any], open_end: Open, fork: Any, signpost: Any
) -> None:
    """It waits, says for what, and sends once a reader is there."""
    waits_for_reader = signpost()

    def work() -> None:
        def tell(what: str) -> None:
            if what == f"a reader of {WHAT}":
                waits_for_reader.show("w")

        sender = fifo.attach(address, "send", Wait(NEVER, tell), WHAT)
        sender.send(frame(1))
        sender.send(frame(2))

    sending = fork(work)
    waits_for_reader.see("w")
    receiver = open_end("receive", Wait(NEVER))
    assert [receiver.receive(), receiver.receive()] == [frame(1), frame(2)]
    assert sending.ended() == 0


def test_a_dead_reader_is_told_at_once(
    address: dict[str, Any], open_end: Open, fork: Any, signpost: Any
) -> None:
    """EPIPE is an error by name, long before the deadline; SIGPIPE kills nobody."""
    opened = signpost()
    reading = fork(hold_open(address, opened))
    opened.see("o")
    sender = open_end("send", Wait(NEVER))
    sender.send(frame(0))
    reading.kill()
    reading.ended()
    with pytest.raises(KernelObjectError, match=f"nobody reads {WHAT} any more"):
        sender.send(frame(1))


def test_a_dying_reader_wakes_a_writer_that_waits_for_room(
    address: dict[str, Any],
    open_end: Open,
    fork: Any,
    signpost: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The kernel wakes it: no tick and no deadline is near."""
    opened, waiting = signpost(), signpost()
    reading = fork(hold_open(address, opened))
    opened.see("o")
    sender = open_end("send", Wait(SHORT))
    fill(sender)
    monkeypatch.setattr(waits, "TICK", NEVER)

    def work() -> None:
        blocked = fifo.attach(
            address, "send", Wait(NEVER, lambda what: waiting.show("w") if what else None), WHAT
        )
        with pytest.raises(KernelObjectError, match="nobody reads"):
            blocked.send(frame(0))

    sending = fork(work)
    waiting.see("w")
    while inspect.letter(sending.pid) != "S":
        os.sched_yield()
    reading.kill()
    assert sending.ended() == 0


def test_what_a_dead_writer_sent_is_kept(
    address: dict[str, Any], open_end: Open, fork: Any
) -> None:
    """A reader sees no end of file between two writers; each one's messages are whole."""
    receiver = open_end("receive", Wait(SHORT))
    for number in range(3):
        writing = fork(lambda: fifo.attach(address, "send", Wait(SHORT), WHAT).send(frame(0)))
        assert writing.ended() == 0
        assert receiver.receive() == frame(0), number
        with pytest.raises(WaitExpired):
            receiver.receive()


@pytest.mark.parametrize("batch", [False, True])
def test_a_part_of_a_record_is_dropped_and_counted(
    address: dict[str, Any], open_end: Open, batch: bool
) -> None:
    """What is not a whole frame is never a message; what others write then is whole."""
    receiver = open_end("receive", Wait(SHORT), batch=batch)
    with pytest.raises(WaitExpired):
        receiver.receive()
    foreign = os.open(address["paths"][0], os.O_WRONLY)
    os.write(foreign, b"half a record")
    os.close(foreign)
    with pytest.raises(WaitExpired):
        receiver.receive()
    open_end("send", Wait(SHORT)).send(frame(1))
    assert receiver.receive() == frame(1)
    assert receiver.cut_short == 1  # type: ignore[attr-defined]


def test_a_part_is_no_end_for_who_finishes(address: dict[str, Any], open_end: Open) -> None:
    """Told to finish, a receiver drops the part at the end, and all before it has come."""
    wait = Wait(SHORT)
    receiver, sender = open_end("receive", wait), open_end("send", wait)
    sender.send(frame(0))
    foreign = os.open(address["paths"][0], os.O_WRONLY)
    os.write(foreign, b"half")
    os.close(foreign)
    wait.finishing = True
    assert [receiver.receive(), receiver.receive()] == [frame(0), None]
    assert receiver.cut_short == 1  # type: ignore[attr-defined]


def test_what_stands_behind_a_part_is_shifted(address: dict[str, Any], open_end: Open) -> None:
    """Frames have no marks: a part that another's record follows cannot be told from it."""
    receiver, sender = open_end("receive", Wait(SHORT)), open_end("send", Wait(SHORT))
    foreign = os.open(address["paths"][0], os.O_WRONLY)
    os.write(foreign, b"half")
    os.close(foreign)
    sender.send(frame(1))
    assert receiver.receive() == b"half" + frame(1)[:-4]
    assert "shifted" in fifo.facts(fifo.Options()).sender_dies


@pytest.mark.parametrize("size", [SIZE - 1, SIZE + 1])
def test_a_frame_of_another_size_is_refused_at_send(open_end: Open, size: int) -> None:
    """One frame of another length would shift all that come after it."""
    receiver, sender = open_end("receive", Wait(SHORT)), open_end("send", Wait(SHORT))
    with pytest.raises(KernelObjectError, match=f"exactly {SIZE} bytes, not {size}"):
        sender.send(bytes(size))
    sender.send(frame(1))
    assert receiver.receive() == frame(1)


def test_records_over_pipe_buf_are_refused() -> None:
    """Those of several writers would be mixed."""
    assert fifo.check(fifo.Options(), select.PIPE_BUF) == ""
    assert "PIPE_BUF" in fifo.check(fifo.Options(), select.PIPE_BUF + 1)


def test_a_receiver_that_reads_ahead_keeps_order_and_drains(open_end: Open) -> None:
    """Frames that came with an earlier one come first, and finishing waits for them."""
    wait = Wait(SHORT)
    receiver = open_end("receive", wait, batch=True)
    sender = open_end("send", wait)
    for number in range(200):
        sender.send(frame(number))
    assert receiver.receive() == frame(0)
    sender.send(frame(200))
    wait.finishing = True
    taken = list(iter(receiver.receive, None))
    assert taken == [frame(number) for number in range(1, 201)]


def test_reading_ahead_keeps_what_came_before_a_part(
    address: dict[str, Any], open_end: Open
) -> None:
    """Of what one read got the whole frames are messages."""
    receiver = open_end("receive", Wait(SHORT), batch=True)
    foreign = os.open(address["paths"][0], os.O_WRONLY)
    os.write(foreign, frame(0) + frame(1) + b"half")
    os.close(foreign)
    assert [receiver.receive(), receiver.receive()] == [frame(0), frame(1)]
    assert receiver.cut_short == 1  # type: ignore[attr-defined]


def test_a_fifo_that_is_kept_open_ends_for_who_reads_to_its_end(address: dict[str, Any]) -> None:
    """The launcher that waits for another receiver is no writer: a program sees end-of-file."""
    end = fifo.keep_open(address)
    writing = os.open(address["paths"][0], os.O_WRONLY | os.O_NONBLOCK)
    reading = os.open(address["paths"][0], os.O_RDONLY | os.O_NONBLOCK)
    os.write(writing, b"all")
    os.close(writing)
    assert [os.read(reading, 10), os.read(reading, 10)] == [b"all", b""]
    os.close(reading)
    end()


def test_reading_ahead_does_not_go_with_priorities() -> None:
    """What was read ahead would leave before what is more urgent."""
    assert "priority" in fifo.check(fifo.Options(priorities=2, batch=True), SIZE)


def test_a_path_that_is_no_fifo_is_refused(address: dict[str, Any], tmp_path: Path) -> None:
    """Neither a regular file nor a link, even to a FIFO, is taken for the channel."""
    planted, link = tmp_path / "planted", tmp_path / "link"
    planted.write_bytes(frame(0))
    link.symlink_to(address["paths"][0])
    for path in (planted, link):
        with pytest.raises(KernelObjectError):
            fifo.attach(address | {"paths": [str(path)]}, "receive", Wait(SHORT), WHAT)
