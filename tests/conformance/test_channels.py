"""Every kind of channel through one contract, over real kernel objects and forked processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

import pytest

from common import kinds
from common.errors import KernelObjectError, LabError, ObjectVanished, WaitExpired
from common.kernel import libc, waits
from common.kernel.channels import Channel
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import inspect
from tests.conftest import limited

SIZE = 64
WHAT = "channel orders"
LOCK = "sysv_sem"
# A sync that busy-waits and races by design is not under this contract; it has tests of its own.
SETTINGS: dict[str, dict[str, Any]] = {"one_slot": {"sync": "semaphores"}}
KINDS = kinds.names(kinds.CHANNELS)
MODULES = {kind: kinds.load(kinds.CHANNELS, kind) for kind in KINDS}
PRIORITY_KINDS = [
    kind
    for kind, module in MODULES.items()
    if "priorities" in {field.name for field in fields(module.Options)}
]
REMOVAL_KINDS = [kind for kind, module in MODULES.items() if module.TELLS_REMOVAL]
# How long a test waits where it claims that the wait ends without success.
SHORT = 0.2
LONG = 60.0
# So long a tick that only the kernel's own wake-up can end a wait before the test's time is up.
NEVER = 1000.0

Fork = Callable[[Callable[[], object]], Any]
Work = Callable[[Wait], Any]


def message(number: int, sender: int = 0) -> bytes:
    """Return a message that names itself, and that differs from others in every part."""
    head = f"{sender}:{number:06d}:".encode()
    return head + bytes(65 + (number + n) % 26 for n in range(SIZE - len(head)))


class Made:
    """A channel of one kind; ``open`` attaches one end by what a child would be told."""

    def __init__(self, kind: str, maker: Maker, size: int, options: dict[str, Any]) -> None:
        self.module = MODULES[kind]
        self.maker = maker
        chosen = self.module.Options(**(SETTINGS.get(kind, {}) | options))
        assert self.module.check(chosen, size) == ""
        locks = kinds.load(kinds.LOCKS, LOCK)
        guard = {"kind": LOCK, "at": locks.make(locks.Options(), maker)}
        self.address = self.module.make(chosen, size, guard, maker)
        self._ends: list[Channel] = []

    def open(self, mode: str, wait: Wait) -> Channel:
        told = json.loads(json.dumps(self.address))
        self._ends.append(self.module.attach(told, mode, wait, WHAT, None))
        return self._ends[-1]

    def ends(self, wait: Wait) -> tuple[Channel, Channel]:
        """Return a sender and a receiver of this process."""
        receiver = self.open("receive", wait)
        return self.open("send", wait), receiver

    def close(self) -> None:
        while self._ends:
            self._ends.pop().close()


Build = Callable[..., Made]


@pytest.fixture
def build(maker: Maker) -> Iterator[Build]:
    """Yield a function that makes a channel of a kind; every end is closed afterwards."""
    channels: list[Made] = []

    def begin(kind: str, size: int = SIZE, **options: Any) -> Made:
        channels.append(Made(kind, maker, size, options))
        return channels[-1]

    yield begin
    for channel in channels:
        channel.close()


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, build: Build) -> Made:
    return build(request.param)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that nothing but the kernel's wake-up can end."""
    monkeypatch.setattr(waits, "TICK", NEVER)


class Worker:
    """A forked process that answers: ``work`` runs in it, told to finish by SIGTERM."""

    def __init__(self, fork: Fork, work: Work, seconds: float, telling: bool) -> None:
        reading, writing = os.pipe()
        self._child = fork(lambda: _live(work, Wait(seconds), writing, telling))
        os.close(writing)
        self._said = os.fdopen(reading)
        self.signal = self._child.kill
        assert self._next() == ["ready", None]

    def until_waiting(self) -> str:
        """Block until it says that it waits, and the kernel that it sleeps; returns for what."""
        kind, what = self._next()
        assert kind == "waits"
        # Between its word and its system call it runs: woken there, it proves nothing.
        while inspect.state(self._child.pid) != inspect.STATES["S"]:
            os.sched_yield()
        return str(what)

    def result(self) -> Any:
        """Return what ``work`` returned, or the name and text of what it raised, once it ended."""
        while (said := self._next())[0] == "waits":
            pass
        self._child.ended()
        return said[1]

    def close(self) -> None:
        self._said.close()

    def _next(self) -> list[Any]:
        said: list[Any] = json.loads(self._said.readline() or '["died", "without a word"]')
        return said


def _live(work: Work, wait: Wait, writing: int, telling: bool) -> None:
    def say(kind: str, what: Any = None) -> None:
        os.write(writing, json.dumps([kind, what]).encode() + b"\n")

    def finish(_number: int, _frame: object) -> None:
        wait.finishing = True

    # A test that runs into its limit ends the runner at once; nothing may wait or spin on.
    libc.prctl_die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGUSR1, lambda _number, _frame: None)
    if telling:
        wait.publish = lambda what: say("waits", what) if what else None
    say("ready")
    try:
        say("result", work(wait))
    except LabError as error:
        say("result", [type(error).__name__, str(error)])


Start = Callable[..., Worker]


@pytest.fixture
def start(fork: Fork) -> Iterator[Start]:
    """Yield a function that starts a worker; ``telling`` has it say when it waits."""
    workers: list[Worker] = []

    def begin(work: Work, seconds: float = LONG, telling: bool = False) -> Worker:
        workers.append(Worker(fork, work, seconds, telling))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()


def fill(sender: Channel) -> list[bytes]:
    """Send until the channel is full; returns what it took."""
    sent: list[bytes] = []
    try:
        while True:
            sender.send(message(len(sent)))
            sent.append(message(len(sent)))
    except WaitExpired:
        return sent


def drain(receiver: Channel) -> list[bytes]:
    """Receive until the channel is empty (its wait must be told to finish)."""
    taken = []
    while (one := receiver.receive()) is not None:
        taken.append(one)
    return taken


def send_many(made: Made, count: int, sender: int = 0) -> Work:
    def work(wait: Wait) -> None:
        channel = made.open("send", wait)
        for number in range(count):
            channel.send(message(number, sender))

    return work


def receive_until_told(made: Made) -> Work:
    def work(wait: Wait) -> list[str]:
        return [one.decode() for one in drain(made.open("receive", wait))]

    return work


def receive_one(made: Made) -> Work:
    def work(wait: Wait) -> str | None:
        one = made.open("receive", wait).receive()
        return None if one is None else one.decode()

    return work


# What it costs


def test_a_channel_makes_what_it_is_counted_for(made: Made) -> None:
    """The machine is asked for just these, and for its lock, before the run."""
    lock = kinds.load(kinds.LOCKS, LOCK).OBJECTS
    assert limited(made.maker) == Counter(made.module.OBJECTS) + Counter(lock)


# Delivery


def test_messages_of_one_sender_arrive_whole_and_in_order(made: Made, start: Start) -> None:
    """Far more messages than fit at once leave as they came, byte for byte."""
    receiver = made.open("receive", Wait(LONG))
    sending = start(send_many(made, 2000))
    assert [receiver.receive() for _ in range(2000)] == [message(n) for n in range(2000)]
    assert sending.result() is None


def test_nothing_is_lost_or_doubled_among_many(made: Made, start: Start) -> None:
    """Three senders, two receivers: every message reaches one, each sender's in its order."""
    receivers = [start(receive_until_told(made)) for _ in range(2)]
    senders = [start(send_many(made, 400, sender)) for sender in range(3)]
    assert [sender.result() for sender in senders] == [None] * 3
    for receiver in receivers:
        receiver.signal(signal.SIGTERM)
    taken = [receiver.result() for receiver in receivers]
    sent = [message(number, sender).decode() for sender in range(3) for number in range(400)]
    assert sorted(taken[0] + taken[1]) == sorted(sent)
    for share in taken:
        for sender in range(3):
            own = [one for one in share if one.startswith(f"{sender}:")]
            assert own == sorted(own)


def test_a_process_that_ends_takes_nothing_back(made: Made, start: Start) -> None:
    """What it sent stays, what it took is gone, and the channel holds as much as before."""
    sender, receiver = made.ends(Wait(SHORT))
    room = len(fill(sender))
    assert len([receiver.receive() for _ in range(room)]) == room
    sending = start(send_many(made, 1))
    assert sending.result() is None
    taking = start(receive_one(made))
    assert taking.result() == message(0).decode()
    assert len(fill(sender)) == room


# Waiting


def test_a_full_channel_keeps_the_deadline(made: Made) -> None:
    """A send that finds no room fails by its name, and what was sent before is all there."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = fill(sender)
    before = time.monotonic()
    with pytest.raises(WaitExpired, match=WHAT):
        sender.send(message(0))
    assert time.monotonic() - before >= SHORT
    wait.finishing = True
    assert drain(receiver) == sent


def test_an_empty_channel_keeps_the_deadline(made: Made) -> None:
    """A receive that finds nothing fails by its name, and the next one works."""
    sender, receiver = made.ends(Wait(SHORT))
    before = time.monotonic()
    with pytest.raises(WaitExpired, match=WHAT):
        receiver.receive()
    assert time.monotonic() - before >= SHORT
    sender.send(message(1))
    assert receiver.receive() == message(1)


@pytest.mark.usefixtures("patient")
def test_a_send_wakes_a_waiting_receiver(made: Made, start: Start) -> None:
    """The kernel wakes it: no tick and no deadline is near."""
    receiving = start(receive_one(made), seconds=NEVER, telling=True)
    assert WHAT in receiving.until_waiting()
    made.open("send", Wait(LONG)).send(message(7))
    assert receiving.result() == message(7).decode()


@pytest.mark.usefixtures("patient")
def test_a_receive_wakes_a_waiting_sender(made: Made, start: Start) -> None:
    """The kernel wakes it once there is room: no tick and no deadline is near."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = fill(sender)
    sending = start(send_many(made, 1, sender=9), seconds=NEVER, telling=True)
    assert WHAT in sending.until_waiting()
    for one in sent:
        assert receiver.receive() == one
    assert sending.result() is None
    assert receiver.receive() == message(0, sender=9)


def test_signals_neither_lose_nor_double_what_is_received(made: Made, start: Start) -> None:
    """A receiver that is interrupted in each of its waits gets every message once."""

    def work(wait: Wait) -> list[str]:
        receiver = made.open("receive", wait)
        return [(receiver.receive() or b"").decode() for _ in range(20)]

    receiving = start(work, telling=True)
    sender: Channel | None = None
    for number in range(20):
        receiving.until_waiting()
        receiving.signal(signal.SIGUSR1)
        sender = sender or made.open("send", Wait(LONG))
        sender.send(message(number))
        receiving.signal(signal.SIGUSR1)
    assert receiving.result() == [message(number).decode() for number in range(20)]


def test_signals_neither_lose_nor_double_what_is_sent(made: Made, start: Start) -> None:
    """A waiting sender that is interrupted, and told to finish, still sends what it began."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = fill(sender)
    sending = start(send_many(made, 1, sender=9), telling=True)
    sending.until_waiting()
    for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGUSR1):
        sending.signal(number)
    first = [receiver.receive() for _ in sent]
    assert sending.result() is None
    wait.finishing = True
    assert first + drain(receiver) == [*sent, message(0, sender=9)]


def test_finishing_drains_the_channel_first(made: Made) -> None:
    """A receiver that is told to finish gets all there is, then None, again and again."""
    wait = Wait(SHORT)
    sender, receiver = made.ends(wait)
    sent = fill(sender)
    wait.finishing = True
    assert drain(receiver) == sent
    assert receiver.receive() is None


def test_a_waiting_receiver_hears_that_it_should_finish(made: Made, start: Start) -> None:
    """SIGTERM in the middle of a wait on an empty channel ends it with None."""
    receiving = start(receive_one(made), telling=True)
    receiving.until_waiting()
    receiving.signal(signal.SIGTERM)
    assert receiving.result() is None


def test_an_idle_receiver_leaves_the_processor_alone(made: Made, start: Start) -> None:
    """Several ticks of waiting cost a small part of the time waited, after a sender left too."""

    def work(wait: Wait) -> float:
        receiver = made.open("receive", wait)
        made.module.attach(made.address, "send", wait, WHAT).close()
        before = time.process_time()
        with pytest.raises(WaitExpired):
            receiver.receive()
        return time.process_time() - before

    assert start(work, seconds=6 * waits.TICK).result() < 2 * waits.TICK


# What fits


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_message_passes_and_one_byte_more_is_refused(kind: str, build: Build) -> None:
    """``check`` draws the line where the kernel does."""
    module = MODULES[kind]
    options = module.Options(**SETTINGS.get(kind, {}))
    fits, too_big = SIZE, 1 << 16
    if module.check(options, too_big) == "":
        fits = too_big
    else:
        while too_big - fits > 1:
            middle = (fits + too_big) // 2
            fits, too_big = (fits, middle) if module.check(options, middle) else (middle, too_big)
        assert str(too_big) in module.check(options, too_big)
    sender, receiver = build(kind, size=fits).ends(Wait(LONG))
    largest = (message(0) * (fits // SIZE + 1))[:fits]
    sender.send(largest)
    assert receiver.receive() == largest


def test_a_message_too_big_is_refused_at_send(made: Made) -> None:
    """It never enters the channel, where it would stand in the way of those that fit."""
    sender, receiver = made.ends(Wait(SHORT))
    with pytest.raises(KernelObjectError, match=WHAT):
        sender.send(message(0) + b"!")
    sender.send(message(1))
    assert receiver.receive() == message(1)


# Priority


@pytest.mark.parametrize("kind", PRIORITY_KINDS)
def test_the_most_urgent_leaves_first(kind: str, build: Build) -> None:
    """Higher priorities overtake lower ones; equals keep their order; out of range is nearest."""
    sender, receiver = build(kind, priorities=3).ends(Wait(LONG))
    for number, priority in enumerate([0, -1, 1, 2, 0, 99, 1]):
        sender.send(message(number), priority)
    order = [3, 5, 2, 6, 0, 1, 4]
    assert [receiver.receive() for _ in order] == [message(number) for number in order]


@pytest.mark.parametrize("kind", PRIORITY_KINDS)
def test_a_waiting_receiver_takes_any_priority(kind: str, build: Build, start: Start) -> None:
    """The one that wakes it need not be of the most urgent level."""
    made = build(kind, priorities=3)
    for priority in range(3):
        receiving = start(receive_one(made), telling=True)
        receiving.until_waiting()
        made.open("send", Wait(LONG)).send(message(priority), priority)
        assert receiving.result() == message(priority).decode()


@pytest.mark.parametrize("kind", KINDS)
def test_without_levels_a_priority_changes_nothing(kind: str, build: Build) -> None:
    """A kind without priorities, or with one, ignores what the sender asks for."""
    sender, receiver = build(kind).ends(Wait(LONG))
    for priority in (0, 5):
        sender.send(message(priority), priority)
        assert receiver.receive() == message(priority)


# Removal


def test_a_removed_channel_is_named_to_who_comes_late(made: Made) -> None:
    """Nothing of it is left, and opening it says so."""
    assert made.maker.objects()
    made.maker.remove_all()
    assert made.maker.leaks() == []
    with pytest.raises(ObjectVanished):
        made.open("receive", Wait(SHORT))


@pytest.mark.parametrize("mode", ["send", "receive"])
@pytest.mark.parametrize("kind", REMOVAL_KINDS)
def test_removal_ends_a_wait(kind: str, mode: str, build: Build, start: Start) -> None:
    """Where the kernel tells those who wait on a removed object, they tell who it was."""
    made = build(kind)
    if mode == "send":
        fill(made.open("send", Wait(SHORT)))
    waiting = start(
        send_many(made, 1) if mode == "send" else receive_one(made), seconds=NEVER, telling=True
    )
    waiting.until_waiting()
    made.maker.remove_all()
    error, text = waiting.result()
    assert error == "ObjectVanished"
    assert WHAT in text


@pytest.mark.parametrize("kind", REMOVAL_KINDS)
def test_using_a_removed_channel_says_so(kind: str, build: Build) -> None:
    """Not only a wait: the next send or receive as well."""
    made = build(kind)
    sender, receiver = made.ends(Wait(SHORT))
    made.maker.remove_all()
    with pytest.raises(ObjectVanished, match=WHAT):
        sender.send(message(0))
    with pytest.raises(ObjectVanished, match=WHAT):
        receiver.receive()
