"""What a sender or receiver that is killed leaves in every kind of channel, by the kind's own word.

A fact that names a harm is held to it: each is seen at one of the kind's steps, and no other is.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from common.errors import KernelObjectError, LabError, WaitExpired
from common.kernel.channels import Channel
from common.kernel.waits import Wait
from tests.conformance.channels.cases import (
    CASES,
    GIVEN_BACK,
    LAST,
    LONG,
    WHAT,
    Build,
    Case,
    Made,
    Start,
    die_at,
    drain,
    fill,
    given,
    message,
    whole,
)

# Long enough for whoever need not wait.
MOMENT = 0.05
# How the facts call what is seen when a process was killed inside.
STUCK, LESS_ROOM, BEHIND = "for ever", "a slot of room less", "stays behind"
# How they call whether senders are told of a receiver's death, and what becomes of the rest.
TOLD, NOT_TOLD, WAITS, LOST = "senders are told", "nobody is told", "waits for another", "is lost"

STEPPED = [case for case in CASES if whole(case.facts) and hasattr(case.module, "STEPS")]
# A command has what is under way in its own hands: its step is the receiver's.
OURS = [case for case in STEPPED if case.kind != "popen"]


@pytest.mark.parametrize("case", OURS, ids=str)
def test_a_sender_killed_inside_leaves_what_the_kind_says(
    case: Case, build: Build, start: Start
) -> None:
    """At each of its steps: others stuck, less room, a message that nobody is told of, nothing."""
    room, seen = _room(build(case)), set[str]()
    for step in case.module.STEPS:
        made = build(case, guard=GIVEN_BACK)
        wait = Wait(MOMENT)
        sender, receiver = made.ends(wait)
        if start(die_at(made, "send", step)).was_killed():
            seen.update(_harm(made, wait, sender, receiver, room, 0))
    assert _said(case.facts.sender_dies, STUCK, LESS_ROOM, BEHIND) == seen


@pytest.mark.parametrize("case", OURS, ids=str)
def test_a_receiver_killed_inside_leaves_what_the_kind_says(
    case: Case, build: Build, start: Start
) -> None:
    """At each of its steps, with one message in the channel; the next receiver takes its place."""
    room, seen = _room(build(case)), set[str]()
    for step in case.module.STEPS:
        made = build(case, guard=GIVEN_BACK)
        wait = Wait(MOMENT)
        sender = made.open("send", wait)
        sender.send(message(0))
        if start(die_at(made, "receive", step)).was_killed():
            receiver = made.open("receive", wait)
            seen.update(_harm(made, wait, sender, receiver, room, 1))
    assert _said(case.facts.receiver_dies, STUCK, LESS_ROOM, BEHIND) == seen


def test_a_ring_of_one_slot_is_shut_by_one_death(build: Build, start: Start) -> None:
    """The last slot of room is gone: senders wait in vain, as the ring says."""
    (case,) = [case for case in CASES if case.kind == "ring" and not case.options]
    made = build(case, guard=GIVEN_BACK, slots=1)
    sender = made.open("send", Wait(MOMENT))
    assert start(die_at(made, "send", "read")).was_killed()
    with pytest.raises(WaitExpired, match="room in"):
        sender.send(message(0))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_senders_are_told_of_the_last_receivers_death_where_the_kind_says(
    case: Case, build: Build, start: Start
) -> None:
    """With the third message at the latest; elsewhere they send on, until it is full."""
    made = build(case)
    with _killed_receiver(made, start, alone=True) as sender:
        error = ""
        try:
            for number in range(10, 13):
                sender.send(message(number))
                if made.case.kind == "popen":
                    # The command writes when it likes; nobody reading, that is its end.
                    os.waitid(os.P_PID, made.address["pid"], os.WEXITED | os.WNOWAIT)
        except WaitExpired:
            pass
        except KernelObjectError as told:
            error = str(told)
    assert _said(case.facts.receiver_dies, TOLD, NOT_TOLD) == {TOLD if error else NOT_TOLD}
    assert not error or WHAT in error


@pytest.mark.parametrize("case", [c for c in CASES if c.facts.boundaries], ids=str)
def test_another_receiver_finds_what_the_kind_says(case: Case, build: Build, start: Start) -> None:
    """What a dead one had not taken is there or lost; the last of what is sent then is received."""
    made = build(case)
    wait = Wait(LONG)
    with _killed_receiver(made, start, alone=False) as sender:
        if case.kind != "one_slot":
            # The first of them may be lost where only its answer tells.
            sender.send(message(10))
            sender.send(message(11))
        receiver = made.open("receive", wait)
        made.finish(wait)
        taken = drain(receiver)
    there = WAITS if message(1) in taken else LOST
    assert there in case.facts.receiver_dies
    assert (LOST in case.facts.receiver_dies) is (there == LOST)
    assert len(set(taken)) == len(taken)
    if case.kind != "one_slot":
        assert taken[-1] == message(11)


@given([case for case in CASES if hasattr(case.module, "keep_open")])
def test_senders_are_told_once_no_receiver_will_come(made: Made, start: Start) -> None:
    """As long as it is kept open they go on; then they are told."""
    with contextlib.ExitStack() as kept, _killed_receiver(made, start, alone=True) as sender:
        kept.callback(made.module.keep_open(made.address))
        sender.send(message(10))
        kept.close()
        with pytest.raises(KernelObjectError, match="nobody re"):
            sender.send(message(11))


def _room(made: Made) -> int:
    """Return how many messages fit."""
    sender, _receiver = made.ends(Wait(MOMENT))
    return len(fill(sender))


def _harm(
    made: Made, wait: Wait, sender: Channel, receiver: Channel, room: int, there: int
) -> Iterator[str]:
    """Yield what others find who use a channel after a death; ``there`` stood in it before."""
    sent: list[bytes] = []
    taken: list[bytes] = []
    try:
        while len(sent) + there <= room:
            sender.send(message(len(sent) + 1))
            sent.append(message(len(sent) + 1))
    except WaitExpired:
        pass
    made.finish(wait)
    try:
        taken = drain(receiver)
    except LabError:
        yield STUCK
        return
    theirs = [one for one in taken if one not in (message(0), message(LAST))]
    if not sent and not theirs:
        yield STUCK
        return
    assert theirs == sent[: len(theirs)]
    if len(theirs) < len(sent):
        yield BEHIND
    # What the dead one had taken out has left its place.
    if len(sent) < room - (there if message(0) in taken else 0):
        yield LESS_ROOM


def _said(fact: str, *words: str) -> set[str]:
    return {word for word in words if word in fact}


@contextlib.contextmanager
def _killed_receiver(made: Made, start: Start, *, alone: bool) -> Iterator[Channel]:
    """Kill the only receiver when it has taken the first of what stood there; yields the sender.

    ``alone``: nobody keeps the channel open, as when nobody will be started in its place.
    """

    def work(wait: Wait) -> None:
        made.open("receive", wait).receive()
        assert wait.publish is not None
        wait.publish("its end")
        signal.pause()

    keep_open = None if alone else getattr(made.module, "keep_open", None)
    end = keep_open(made.address) if keep_open is not None else lambda: None
    receiving = start(work, telling=True)
    receiving.until_waiting()
    sender = made.open("send", Wait(MOMENT))
    if alone:
        made.maker.let_go()
    # Whoever reads ahead finds them all there.
    receiving.signal(signal.SIGSTOP)
    count = 1 if made.case.kind == "one_slot" else 3
    for number in range(count):
        sender.send(message(number))
    receiving.signal(signal.SIGCONT)
    while receiving.until_waiting() != "its end":
        pass
    if count == 1:
        sender.send(message(1))
    receiving.killed()
    try:
        yield sender
    finally:
        end()
