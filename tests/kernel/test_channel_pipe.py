"""What a pipe does because it has no name: ends are inherited, and who is left alone is told."""

from __future__ import annotations

import os
import select
from typing import Any

import pytest

from common.errors import KernelObjectError, ObjectVanished
from common.kernel.channels import Channel, pipe
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork
from tests.kernel.ends import WHAT, in_child

SIZE = 64
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
# A deadline that no test lives to see: what ends before it ended for another reason.
NEVER = 1000.0


def frame(number: int) -> bytes:
    return b"%063d\n" % number


def send_for_ever(sender: Channel) -> None:
    while True:
        sender.send(frame(0))


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return pipe.make(pipe.Options(), SIZE, LOCK, maker)


def test_each_end_is_given_to_who_needs_it(address: dict[str, Any]) -> None:
    """No process is given the end that it will not use; all is close-on-exec and non-blocking."""
    sends, receives = pipe.descriptors(address, "send"), pipe.descriptors(address, "receive")
    assert set(sends).isdisjoint(receives)
    assert not any(os.get_inheritable(fd) for fd in sends + receives)
    assert not any(os.get_blocking(fd) for fd in sends + receives)


def test_a_handle_owns_a_duplicate(address: dict[str, Any]) -> None:
    """Closing it leaves what was inherited open, for another handle."""
    for _ in range(2):
        receiver = pipe.attach(address, "receive", Wait(SHORT), WHAT)
        sender = pipe.attach(address, "send", Wait(SHORT), WHAT)
        sender.send(frame(1))
        assert receiver.receive() == frame(1)
        sender.close()
        receiver.close()


def test_without_a_reader_a_send_fails_at_once(
    address: dict[str, Any], maker: Maker, fork: Fork
) -> None:
    """The launcher has closed its copies, the only reader ended: EPIPE, far from the deadline."""

    def send_until_told(sender: Channel) -> None:
        with pytest.raises(KernelObjectError, match=f"nobody reads {WHAT} any more"):
            send_for_ever(sender)

    reading = fork(in_child(pipe, address, "receive", NEVER, lambda end: end.receive()))
    sending = fork(in_child(pipe, address, "send", NEVER, send_until_told))
    maker.let_go()
    assert sending.ended() == 0
    assert reading.ended() == 0


def test_the_launchers_copy_keeps_the_reader_alive(
    address: dict[str, Any], maker: Maker, fork: Fork
) -> None:
    """Why it lets go: as long as it has the reading end nobody is told."""
    reading = fork(in_child(pipe, address, "receive", NEVER, lambda _end: None))
    assert reading.ended() == 0
    sender = pipe.attach(address, "send", Wait(NEVER), WHAT)
    sender.send(frame(0))
    maker.let_go()
    with pytest.raises(KernelObjectError, match="nobody reads"):
        sender.send(frame(1))
    sender.close()


def test_when_the_last_writer_has_gone_the_channel_has_ended(
    address: dict[str, Any], maker: Maker, fork: Fork
) -> None:
    """End of file, after all that was sent, without being told to finish."""

    def receive_all(end: Channel) -> None:
        assert [end.receive() for _ in range(4)] == [frame(0), frame(1), frame(2), None]

    def send_three(end: Channel) -> None:
        for number in range(3):
            end.send(frame(number))

    reading = fork(in_child(pipe, address, "receive", NEVER, receive_all))
    writing = fork(in_child(pipe, address, "send", NEVER, send_three))
    maker.let_go()
    assert writing.ended() == 0
    assert reading.ended() == 0


def test_another_file_under_its_number_is_not_taken_for_it(address: dict[str, Any]) -> None:
    """The number of a closed descriptor is soon given to something else."""
    [fd] = pipe.descriptors(address, "receive")
    kept = os.dup(fd)
    null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.dup2(null, fd, inheritable=False)
    with pytest.raises(ObjectVanished, match="not the one that was inherited"):
        pipe.attach(address, "receive", Wait(SHORT), WHAT)
    os.dup2(kept, fd, inheritable=False)
    os.close(kept)
    os.close(null)


def test_reading_ahead_keeps_order_and_drains(maker: Maker) -> None:
    """Frames that came with an earlier one come first, and finishing waits for them."""
    address = pipe.make(pipe.Options(batch=True), SIZE, LOCK, maker)
    wait = Wait(SHORT)
    receiver = pipe.attach(address, "receive", wait, WHAT)
    sender = pipe.attach(address, "send", wait, WHAT)
    for number in range(200):
        sender.send(frame(number))
    wait.finishing = True
    assert list(iter(receiver.receive, None)) == [frame(number) for number in range(200)]
    sender.close()
    receiver.close()


def test_records_over_pipe_buf_are_refused() -> None:
    """Those of several writers would be mixed."""
    assert pipe.check(pipe.Options(), select.PIPE_BUF) == ""
    assert "PIPE_BUF" in pipe.check(pipe.Options(), select.PIPE_BUF + 1)
