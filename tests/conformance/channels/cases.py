"""Every kind of channel with every choice of its options, and processes that use one for a test."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, NamedTuple

import pytest

from common import kinds
from common.errors import LabError, WaitExpired
from common.kernel.channels import At, Channel, Facts, Touch
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import inspect
from tests.conftest import Child, Fork

SIZE = 64
WHAT = "channel orders"
Part = tuple[str, dict[str, Any]]

# Who has it open is not told of its removal: what is told comes from the channel itself.
LOCK: Part = ("posix_sem", {})
# A dead holder gives it back: what stays shut is the channel's own.
GIVEN_BACK: Part = ("sysv_sem", {"undo": True})
# How long a test waits where it claims that the wait ends without success.
SHORT = 0.2
LONG = 60.0
# So long a tick that only the kernel's own wake-up can end a wait before the test's time is up.
NEVER = 1000.0
# The number of the last message of a sender that does not know how many it will send.
LAST = 999_999
# What is made to fail: these have tests of their own.
BROKEN: dict[str, dict[str, Any]] = {"one_slot": {"sync": "star"}, "ring": {"undo": True}}

Work = Callable[[Wait], Any]


class Case(NamedTuple):
    """A kind of channel with one setting of its options."""

    kind: str
    options: dict[str, Any]

    @property
    def module(self) -> Any:
        return kinds.load(kinds.CHANNELS, self.kind)

    @property
    def facts(self) -> Facts:
        found: Facts = self.module.facts(self.module.Options(**self.options))
        return found

    @property
    def tells_removal(self) -> bool:
        """Tell whether who has it open is told; a module may say so for its options."""
        asked = getattr(self.module, "tells_removal", None)
        told: bool = (
            asked(self.module.Options(**self.options)) if asked else self.module.TELLS_REMOVAL
        )
        return told

    @property
    def counted(self) -> dict[str, int]:
        """Return how many objects of a limited number are made, beside the lock's."""
        asked = getattr(self.module, "counted", None)
        options = self.module.Options(**self.options)
        found: dict[str, int] = asked(options) if asked else self.module.OBJECTS
        return found

    @property
    def walkable(self) -> bool:
        """Tell whether all that was sent can be received at once."""
        return bool(getattr(self.module, "WALKABLE", True))

    def fits(self, size: int) -> bool:
        return not self.module.check(self.module.Options(**self.options), size)

    def __str__(self) -> str:
        return "-".join([self.kind, *map(str, self.options.values())])


def _cases() -> Iterator[Case]:
    """Yield each kind as it is by default, and with each other value of a switch or a choice."""
    for kind in kinds.names(kinds.CHANNELS):
        found = fields(kinds.load(kinds.CHANNELS, kind).Options)
        values: list[tuple[str, Any]] = [
            (field.name, value)
            for field in found
            for value in (
                (not field.default,) if isinstance(field.default, bool)
                else (word for word in field.metadata["choices"] if word != field.default)
            )
        ]  # fmt: skip
        broken = BROKEN.get(kind, {})
        default = {field.name: field.default for field in found}
        if not any(default[name] == value for name, value in broken.items()):
            yield Case(kind, {})
        yield from (
            Case(kind, {name: value}) for name, value in values if broken.get(name) != value
        )


CASES = list(_cases())
PRIORITIES = [
    case for case in CASES
    if not case.options and any(f.name == "priorities" for f in fields(case.module.Options))
]  # fmt: skip


def every(chosen: Callable[[Facts], object] = lambda _facts: True) -> pytest.MarkDecorator:
    """Give the test a channel of every case whose facts are ``chosen``, as ``made``."""
    return given([case for case in CASES if chosen(case.facts)])


def given(cases: list[Case]) -> pytest.MarkDecorator:
    """Give the test a channel of each of ``cases``, as ``made``."""
    return pytest.mark.parametrize("made", cases, indirect=True, ids=str)


# Nothing is lost, and each message is received as it was sent.
def whole(facts: Facts) -> bool:
    return facts.bounded and facts.boundaries


def message(number: int, sender: int = 0, size: int = SIZE) -> bytes:
    """Return a message that names itself, and that differs from others in every part."""
    head = f"{sender}:{number:06d}:".encode()
    letters = bytes(65 + (number + n) % 26 for n in range(26))
    return (head + letters * (size // 26 + 1))[:size]


class Made:
    """A channel of one case; ``open`` attaches one end by what a child would be told."""

    def __init__(self, case: Case, maker: Maker, size: int = SIZE, guard: Part = LOCK) -> None:
        self.case = case
        self.module = case.module
        self.facts = case.facts
        self.maker = maker
        self.size = size
        chosen = self.module.Options(**case.options)
        kind, settings = guard
        locks = kinds.load(kinds.LOCKS, kind)
        lock = {"kind": kind, "at": locks.make(locks.Options(**settings), maker)}
        self.address = self.module.make(chosen, size, lock, maker)
        self._ends: list[tuple[str, Channel]] = []

    def open(self, mode: str, wait: Wait, at: At | None = None) -> Channel:
        told = json.loads(json.dumps(self.address))
        opened: Channel = self.module.attach(told, mode, wait, WHAT, at)
        self._ends.append((mode, opened))
        return opened

    def ends(self, wait: Wait) -> tuple[Channel, Channel]:
        """Return a sender and a receiver of this process."""
        receiver = self.open("receive", wait)
        return self.open("send", wait), receiver

    def finish(self, wait: Wait) -> None:
        """Let every sender go, and tell the receivers to finish, as the launcher does."""
        for each in [each for each in self._ends if each[0] == "send"]:
            self._ends.remove(each)
            each[1].close()
        wait.finishing = True

    def close(self) -> None:
        while self._ends:
            self._ends.pop()[1].close()


Build = Callable[..., Made]


class Worker:
    """A forked process that answers: ``work`` runs in it, told to finish by SIGTERM."""

    def __init__(self, fork: Fork, work: Work, seconds: float, telling: bool) -> None:
        reading, writing = os.pipe()
        self._child: Child = fork(lambda: _live(work, Wait(seconds), writing, telling))
        os.close(writing)
        self._said = os.fdopen(reading)
        self.signal = self._child.kill
        assert self._next() == ["ready", None]

    def until_waiting(self) -> str:
        """Block until it says that it waits, and the kernel that it sleeps; returns for what."""
        kind, what = self._next()
        assert kind == "waits", what
        # Between its word and its system call it runs: woken there, it proves nothing.
        while inspect.letter(self._child.pid) == "R":
            os.sched_yield()
        return str(what)

    def was_killed(self) -> bool:
        """Wait for its end; tell whether it was killed."""
        return self._child.ended() == -signal.SIGKILL

    def killed(self) -> None:
        self.signal(signal.SIGKILL)
        assert self._child.ended() == -signal.SIGKILL

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

    signal.signal(signal.SIGTERM, finish)
    signal.signal(signal.SIGUSR2, lambda _number, _frame: None)
    if telling:
        wait.publish = lambda what: say("waits", what) if what else None
    say("ready")
    try:
        say("result", work(wait))
    except LabError as error:
        say("result", [type(error).__name__, str(error)])


Start = Callable[..., Worker]


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
    return list(iter(receiver.receive, None))


def send_many(made: Made, count: int, sender: int = 0) -> Work:
    def work(wait: Wait) -> None:
        channel = made.open("send", wait)
        for number in range(count):
            channel.send(message(number, sender, made.size))

    return work


def die_at(made: Made, mode: str, step: str) -> Work:
    """Send or receive one message, and be killed before ``step``."""

    def work(wait: Wait) -> None:
        def at(name: str, _touch: Touch | None = None, /) -> None:
            if name == step:
                os.kill(os.getpid(), signal.SIGKILL)

        end = made.open(mode, wait, at)
        if mode == "send":
            end.send(message(LAST))
        else:
            end.receive()

    return work


def send_until_it_waited(made: Made, sender: int = 0) -> Work:
    """Send until one send had to wait, and then the last; returns how many were before that."""

    def work(wait: Wait) -> int:
        waited: list[str] = []
        publish = wait.publish

        def note(what: str) -> None:
            waited.extend([what] if what else [])
            if publish is not None:
                publish(what)

        wait.publish = note
        channel = made.open("send", wait)
        count = 0
        while not waited:
            channel.send(message(count, sender, made.size))
            count += 1
        channel.send(message(LAST, sender, made.size))
        return count

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
