"""Types of System V messages: what a receiver can ask for, and what they are good for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt
from common.claims.lab import Lab, Tell
from common.kernel.libc.sysv_calls import IPC_NOWAIT, msg_stat, msgget, msgrcv, msgsnd

SIZE = 64
# The types in the order in which messages are sent; each one's text is its place.
TYPES = (3, 1, 2, 1, 3, 2, 5)
Sent = list[tuple[int, int]]


def _fill(queue: int, types: tuple[int, ...] = TYPES) -> Sent:
    sent = [(type, place) for place, type in enumerate(types, 1)]
    for type, place in sent:
        msgsnd(queue, type, str(place).encode(), IPC_NOWAIT)
    return sent


def _drain(queue: int, type: int) -> Sent:
    """Ask for ``type`` until nothing comes; returns type and place of each message."""
    came: Sent = []
    while True:
        try:
            got, text = msgrcv(queue, SIZE, type, IPC_NOWAIT)
        except OSError:
            return came
        came.append((got, int(text)))


def _said(messages: Sent) -> str:
    return " ".join(f"{type}({place})" for type, place in messages) or "nothing"


@claim("A48", 342, "A System V read can return a message of any desired priority.")
@claim("A62", 426, "Type 0 gives the oldest message of the queue.")
@claim("A63", 427, "A type above 0 gives the oldest message of this type.")
@claim("A64", 428, "A type below 0 gives the oldest message of the lowest type.")
@claim("B130", 128, "Messages have a type, by which processes select the one they want.")
@claim("B142", 136, "Type 0: any, in order; above 0: this type; below 0: the lowest up to |type|.")
def selection(lab: Lab) -> dict[str, Shown]:
    """A queue with types 3 1 2 1 3 2 5 is emptied by another process with type 0, 2, -3 and -9."""
    queue = msgget(lab.maker.sysv_queue())
    came: dict[int, Sent] = {}
    sent: Sent = []
    for asked in (0, 2, -3, -9):
        sent = _fill(queue)

        def receive(tell: Tell, asked: int = asked) -> None:
            for type, place in _drain(queue, asked):
                tell(f"{type} {place}")

        reader = lab.fork(receive)
        came[asked] = []
        while (line := reader.told()) is not None:
            type, place = map(int, line.split())
            came[asked].append((type, place))
        lab.note(f"type {asked} gives {_said(came[asked])} of {_said(sent)}")
        _drain(queue, 0)
    return judged(sent, came)


def judged(sent: Sent, came: dict[int, Sent]) -> dict[str, Shown]:
    """Judge what came for the types that were asked for; places say the age."""
    lowest = sorted(sent)
    any_type = came[0] == sent
    one_type = came[2] == [each for each in sent if each[0] == 2]
    up_to = came[-3] == [each for each in lowest if each[0] <= 3] and came[-9] == lowest
    left = len(sent) - len(came[-3])
    # Of a negative type the sentence says nothing but "the lowest": then none could be left.
    negative = HOLDS if came[-3] == lowest else DEPENDS if up_to else FAILS
    return {
        "A48": holds(
            one_type and came[2] != sent[: len(came[2])],
            _said(came[2]),
            "by type, past older messages of other types; a POSIX queue gives its first only",
        ),
        "A62": holds(any_type, _said(came[0]), "in the order in which they were sent"),
        "A63": holds(one_type, _said(came[2]), "the older one first, the others stay"),
        "A64": Shown(
            negative,
            f"-3: {_said(came[-3])}, {left} left",
            "the lowest type comes first, but only types up to the absolute value count",
        ),
        "B130": holds(one_type and up_to, _said(came[2]), "the receiver names a type or a limit"),
        "B142": holds(
            any_type and one_type and up_to,
            f"-3 gives {len(came[-3])} of {len(sent)}",
            "as it says, for all three",
        ),
    }


@claim("A60", 413, "The type is the priority, and must be above 0.")
def above_zero(lab: Lab) -> Shown:
    """Types 0 and -1 are sent; then types 1 9 1 9 5 are sent, and read without asking for one."""
    queue = msgget(lab.maker.sysv_queue())
    refused = [attempt(partial(msgsnd, queue, kind, b"0", IPC_NOWAIT)) for kind in (0, -1)]
    lab.note(f"type 0: {refused[0] or 'sent'}, type -1: {refused[1] or 'sent'}")
    _drain(queue, 0)
    sent = _fill(queue, (1, 9, 1, 9, 5))
    came = _drain(queue, 0)
    lab.note(f"sent {_said(sent)}, came {_said(came)}")
    return prioritised(refused == ["EINVAL"] * 2, sent, came)


def prioritised(refused: bool, sent: Sent, came: Sent) -> Shown:
    """Judge a type's range, and whether it ordered messages that were read without asking."""
    verdict = FAILS if not refused else DEPENDS if came == sent else HOLDS
    return Shown(
        verdict,
        f"types {' '.join(str(type) for type, _ in came)}",
        "above 0 it must be; but it orders nothing by itself: the reader may ask for the lowest",
    )


@claim("B143", 136, "A type can say a priority, an urgency, or who shall have the message.")
def uses(lab: Lab) -> Shown:
    """Two readers take their own type each; then urgent messages keep coming before others."""
    recipients = msgget(lab.maker.sysv_queue())

    def reader(number: int) -> Callable[[Tell], object]:
        def receive(tell: Tell) -> None:
            for _ in range(2):
                type, text = msgrcv(recipients, SIZE, number)
                tell(f"{type} {text.decode()}")

        return receive

    readers = {number: lab.fork(reader(number)) for number in (1, 2)}
    _fill(recipients, (2, 1, 1, 2))
    got = {number: [each.told(), each.told()] for number, each in readers.items()}
    for number, lines in got.items():
        lab.note(f"reader {number} got type and place: {', '.join(map(str, lines))}")
    right = got == {1: ["1 2", "1 3"], 2: ["2 1", "2 4"]}
    urgent, others = 0, 0
    _fill(recipients, (9,) * 5)
    for _ in range(50):
        msgsnd(recipients, 1, b"0", IPC_NOWAIT)
        type, _ = msgrcv(recipients, SIZE, -9, IPC_NOWAIT)
        urgent, others = urgent + (type == 1), others + (type == 9)
    lab.note(f"of 50 reads with type -9, {urgent} were urgent (1); {others} of 5 others (9) came")
    return holds(
        right and urgent == 50,
        f"{urgent} of 50 urgent",
        f"by agreement alone; while urgent ones keep coming, {others} of 5 others are read: "
        "they starve",
    )


@claim("B144", 136, "The kernel does not help with naming a recipient.")
def no_recipient(lab: Lab) -> Shown:
    """A message of type A is taken by B; another is sent to a process that has ended."""
    queue = msgget(lab.maker.sysv_queue())
    meant = lab.fork(lambda tell: None)
    meant.ended()
    sent = attempt(lambda: msgsnd(queue, meant.pid, b"for you alone", IPC_NOWAIT))
    lab.note(f"a message of type {meant.pid}, a process that has ended: {sent or 'sent'}")
    thief = lab.fork(lambda tell: tell(str(msgrcv(queue, SIZE, 0, IPC_NOWAIT)[0])))
    stolen = thief.told()
    lab.note(f"process {thief.pid} asked for any type, and got type {stolen}")
    status = msg_stat(queue)
    lab.note(
        f"all that the kernel writes down: last sender {status.lspid}, receiver {status.lrpid}"
    )
    return holds(
        not sent and stolen == str(meant.pid),
        f"type {stolen} went to process {thief.pid}",
        "nobody checks whether there is such a recipient, or who reads its messages",
    )
