"""What a command between two pipes does: it ends with its launcher, and how it ended is told."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common import kinds, names
from common.errors import KernelObjectError, WaitExpired
from common.kernel import commands
from common.kernel.channels import Channel, popen
from common.kernel.ledger import read_ledger
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork, Signpost
from tests.kernel.ends import WHAT, in_child

SIZE = 64
SHORT = 0.2
NEVER = 1000.0

Make = Callable[..., dict[str, Any]]


def frame(number: int) -> bytes:
    return b"%063d\n" % number


@pytest.fixture
def make(maker: Maker) -> Make:
    def begin(command: str, lock: str = "sysv_sem") -> dict[str, Any]:
        module = kinds.load(kinds.LOCKS, lock)
        guard = {"kind": lock, "at": module.make(module.Options(), maker)}
        return popen.make(popen.Options(command=command), SIZE, guard, maker)

    return begin


def ended(pid: int) -> None:
    """Wait until a process has ended, as its parent or not."""
    poll = select.poll()
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    poll.register(pidfd, select.POLLIN)
    assert poll.poll(PATIENCE * 1000), f"{pid} does not end"
    os.close(pidfd)


def test_messages_pass_through_the_command(make: Make, maker: Maker, fork: Fork) -> None:
    """What comes out is what the filter made of it, and its end is the end of the channel."""
    address = make("tr 0-9 a-j")

    def send_all(end: Channel) -> None:
        for number in range(500):
            end.send(frame(number))

    sending = fork(in_child(popen, address, "send", NEVER, send_all))

    def receive_all(end: Channel) -> None:
        table = bytes.maketrans(b"0123456789", b"abcdefghij")
        for number in range(500):
            assert end.receive() == frame(number).translate(table)
        assert end.receive() is None

    receiving = fork(in_child(popen, address, "receive", NEVER, receive_all))
    maker.let_go()
    assert sending.ended() == 0
    assert receiving.ended() == 0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("exit 3", "failed with exit status 3"),
        ("kill -9 $$", "was killed by signal 9"),
        ("no-such-command-at-all 2>/dev/null", "failed with exit status 127"),
        ("cat >/dev/null; exit 1", "failed with exit status 1"),
    ],
)
def test_a_command_that_fails_is_told(
    command: str, told: str, make: Make, maker: Maker, fork: Fork
) -> None:
    """Whoever receives is told how it ended, at once, and not left to wait."""
    address = make(command)

    def receive(end: Channel) -> None:
        with pytest.raises(KernelObjectError, match=told):
            end.receive()

    receiving = fork(in_child(popen, address, "receive", NEVER, receive))
    maker.let_go()
    assert receiving.ended() == 0


def test_a_command_that_ends_well_ends_the_channel(make: Make, maker: Maker, fork: Fork) -> None:
    """One that takes one message only: the next send fails and names it."""
    address = make(f"head -c {SIZE}")
    sender = popen.attach(address, "send", Wait(NEVER), WHAT)
    sender.send(frame(0))

    def receive(end: Channel) -> None:
        assert [end.receive(), end.receive()] == [frame(0), None]

    assert fork(in_child(popen, address, "receive", NEVER, receive)).ended() == 0
    with pytest.raises(KernelObjectError, match=r"nobody reads channel orders.*head -c 64"):
        sender.send(frame(1))
    sender.close()


def test_a_command_that_ends_within_a_message_is_told(make: Make, maker: Maker, fork: Fork) -> None:
    """It wrote less than it read: what is left is no message."""
    address = make(f"head -c {SIZE + 10}")
    sender = popen.attach(address, "send", Wait(NEVER), WHAT)
    sender.send(frame(0))
    sender.send(frame(1))

    def receive(end: Channel) -> None:
        assert end.receive() == frame(0)
        with pytest.raises(KernelObjectError, match="ended after 10 bytes of a message of 64"):
            end.receive()

    assert fork(in_child(popen, address, "receive", NEVER, receive)).ended() == 0
    sender.close()


def test_receivers_take_turns_where_the_command_cuts(make: Make, maker: Maker, fork: Fork) -> None:
    """It writes 100 bytes at a time: two receivers get whole messages all the same."""
    address = make("dd obs=100 status=none")
    reading, writing = os.pipe()

    def send_all(end: Channel) -> None:
        for number in range(600):
            end.send(frame(number))

    def receive_all(end: Channel) -> None:
        while (message := end.receive()) is not None:
            os.write(writing, message)

    children = [
        fork(in_child(popen, address, "receive", NEVER, receive_all, writing)) for _ in range(2)
    ]
    children.append(fork(in_child(popen, address, "send", NEVER, send_all)))
    maker.let_go()
    os.close(writing)
    with os.fdopen(reading, "rb") as said:
        taken = sorted(iter(lambda: said.read(SIZE), b""))
    assert taken == [frame(number) for number in range(600)]
    assert [child.ended() for child in children] == [0, 0, 0]


def test_who_has_part_of_a_message_keeps_the_others_out(make: Make) -> None:
    """Its wait is over before the rest comes: the rest is still its own, until it lets go."""
    address = make("dd obs=100 status=none")
    first = popen.attach(address, "receive", Wait(SHORT), WHAT)
    second = popen.attach(address, "receive", Wait(SHORT), WHAT)
    sender = popen.attach(address, "send", Wait(SHORT), WHAT)
    sender.send(frame(0))
    sender.send(frame(1))
    assert first.receive() == frame(0)
    with pytest.raises(WaitExpired, match=f"a message in {WHAT}"):
        first.receive()  # 36 bytes of it have come
    with pytest.raises(WaitExpired):
        second.receive()
    sender.send(frame(2))
    sender.send(frame(3))
    with pytest.raises(WaitExpired, match=f"the lock of {WHAT}"):
        second.receive()
    assert first.receive() == frame(1)
    assert second.receive() == frame(2)
    for end in (first, second, sender):
        end.close()


def test_who_is_told_to_finish_waits_for_what_is_under_way(make: Make, signpost: Any) -> None:
    """A message that the command has in its hands is no empty channel; afterwards it is."""
    address = make(f"head -c {SIZE}; read x; cat")
    wait = Wait(SHORT)
    receiver = popen.attach(address, "receive", wait, WHAT)
    sender = popen.attach(address, "send", Wait(SHORT), WHAT)
    wait.finishing = True
    assert receiver.receive() is None
    sender.send(frame(0))
    assert receiver.receive() == frame(0)
    sender.send(frame(1))  # up to its end of line, `read` takes it, and gives nothing
    with pytest.raises(WaitExpired):
        receiver.receive()
    sender.close()
    receiver.close()


def test_the_command_is_in_the_ledger_and_ends_with_the_objects(make: Make, maker: Maker) -> None:
    """With all that it started itself; it is reaped, too."""
    address = make("sleep 1000 & printf '%063d\\n' $!; wait")
    receiver = popen.attach(address, "receive", Wait(NEVER), WHAT)
    grandchild = int(receiver.receive() or b"")
    receiver.close()
    [process] = read_ledger(maker.directory).processes
    assert process.pid == address["pid"]
    assert names.start_time(address["pid"]) == process.start
    maker.remove_all()
    ended(grandchild)
    assert not Path(f"/proc/{address['pid']}").exists()
    assert maker.leaks() == []


def test_the_command_is_killed_with_its_launcher(fork: Fork, signpost: Any) -> None:
    """Killed by what nobody can catch, and it reads nothing: prctl(2), PR_SET_PDEATHSIG."""
    started: Signpost = signpost()
    reading, writing = os.pipe()

    def launcher() -> None:
        null = os.open(os.devnull, os.O_RDWR)
        os.write(
            writing, b"%d\n" % commands.start("echo here; exec sleep 1000", null, started._write)
        )
        signal.pause()

    child = fork(launcher)
    with os.fdopen(reading, "rb") as said:
        os.close(writing)
        pid = int(said.readline())
    for letter in "here\n":
        started.see(letter)
    child.kill()
    child.ended()
    ended(pid)


def test_a_command_has_the_signals_that_it_is_used_to(make: Make) -> None:
    """SIGPIPE is ignored in Python, and must not be in a filter: `yes` would write on and on."""
    ignored = "sed -n 's/^SigIgn:[[:space:]]*/0x/p' /proc/self/status"
    address = make(f"printf '%063d\\n' $({ignored})")
    receiver = popen.attach(address, "receive", Wait(NEVER), WHAT)
    assert not int(receiver.receive() or b"") >> signal.SIGPIPE - 1 & 1
    receiver.close()


def test_nothing_to_run_is_refused() -> None:
    """An empty command, and one that no argument can carry."""
    assert "nothing to run" in popen.check(popen.Options(command="  "), SIZE)
    assert "nothing to run" in popen.check(popen.Options(command="cat\0"), SIZE)
    assert "PIPE_BUF" in popen.check(popen.Options(), select.PIPE_BUF + 1)
