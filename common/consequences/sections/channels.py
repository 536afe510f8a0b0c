"""What becomes of messages when an end of a channel, or the channel, is struck; who is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from types import ModuleType
from typing import Any

from common import kinds
from common.consequences import reading
from common.consequences.arrivals import WORDS, Count, full, refusing
from common.consequences.cell import Asked, Column, Row, Seen, Without
from common.consequences.reading import failure, members
from common.consequences.rows import options_of
from common.consequences.rows import rows as rows_of
from common.history.case import Case
from common.kernel.channels import Facts
from common.kernel.waits import TICK

NUMBER = 3
TITLE = "Channels: an end, or the channel, is struck"
ROW = "channel"
COLUMNS = (
    Column("sent", "sender killed after 3", "sender_killed", "the sender was killed between two"),
    Column(
        "sending", "killed in a large message", "sender_killed_in_a_message",
        "the sender was killed in a large message, the channel being full",
    ),
    Column(
        "waiting", "killed waiting for room", "sender_killed_waiting",
        "the sender was killed while it waited for room",
    ),
    Column(
        "putting", "sender killed inside", "sender_killed_inside",
        "one sender was killed with a place taken and not filled",
    ),
    Column("stopped", "receiver stands still", "receiver_stopped", "the receiver stood still"),
    Column(
        "full", "full, and no waiting", "channel_full",
        "the channel was full, and its sender did not wait for room",
    ),
    Column(
        "filled", "filled by a stranger", "channel_filled",
        "somebody else filled the channel with what are no jobs",
    ),
    Column(
        "storm", "signals to a receiver", "receiver_stormed",
        "the receiver was interrupted by signals while it waited",
    ),
    Column(
        "taken", "receiver killed with a job", "receiver_killed_with_a_job",
        "the receiver was killed with a job taken and not printed",
    ),
    Column(
        "getting", "receiver killed inside", "receiver_killed_inside",
        "the receiver was killed with an item claimed and not taken, and replaced",
    ),
    Column(
        "getting_undo", "the same with SEM_UNDO", "receiver_killed_counting_undo",
        "the receiver was killed with an item claimed and not taken, the counts being undone",
    ),
    Column("gone", "receiver gone", "receiver_gone", "the receiver was killed, the sender went on"),
    Column("never", "sender never came", "sender_never_came", "the sender died before its first"),
    Column("removed", "channel removed", "channel_removed", "the channel was removed from outside"),
    Column("large", "100 kB a message", "large_message", "messages of 100,064 bytes were sent"),
)  # fmt: skip

_LARGE = {
    "sending": 100_000, "stopped": 50_000, "full": 100_000, "gone": 50_000, "large": 100_000,
}  # fmt: skip
# What fits everywhere: under PIPE_BUF.
_SMALL = 3000
# What guards a channel in shared memory here: a lock that outlives nobody.
_GUARD = "lock: {kind: sysv_sem, undo: true}"
# Where one is killed inside the channel's own steps, and what it says then.
_INSIDE = ("putting", "getting", "getting_undo")
_FOR_EVER = "for ever"
# Of a job beside its body.
_JOB = 64
# A refusal that takes longer than half a tick (ns) was a wait.
_AT_ONCE = int(TICK / 2 * 1e9)


def rows() -> list[Row]:
    """Return every channel, with each choice that changes what a fault does to it.

    Choices by which a channel loses or tears messages without any fault are left out.
    """
    every = rows_of(kinds.CHANNELS, _difference)
    return [
        row
        for row in every
        if _sound(row) or not any(_sound(other) for other in every if other.kind == row.kind)
    ]


def _difference(module: ModuleType, options: Any) -> Hashable:
    facts: Facts = module.facts(options)
    return facts.bounded, facts.boundaries, facts.kept, facts.sender_dies, facts.many_senders


def _sound(row: Row) -> bool:
    module, options = kinds.load(kinds.CHANNELS, row.kind), options_of(kinds.CHANNELS, row)
    if not module.facts(options).boundaries:
        return False
    guarded = module.guarded(options) if hasattr(module, "guarded") else True
    return guarded and (not hasattr(module, "mend") or not module.mend(options, "sysv_sem"))


def ask(row: Row, column: Column) -> Asked | Without:
    """Return the variant by what the channel says of itself."""
    module, facts = kinds.load(kinds.CHANNELS, row.kind), _facts(row)
    options = options_of(kinds.CHANNELS, row)
    value = row.value
    if getattr(module, "GUARDED", True):
        value = f"{value[:-1]}, {_GUARD}}}"
    settings = [f"channels.jobs={value}"]
    body = _LARGE.get(column.name)
    why = module.check(options, _JOB + body) if body else ""
    if why and column.name == "large":
        return Without(f"refused: {why}")
    if why:
        settings.append(f"processes.producer.body={_SMALL}")
    if column.name == "removed" and not _named(facts):
        return Without("it has no name by which it could be removed")
    if column.name in _INSIDE:
        return _inside(row, column, facts, settings)
    if column.name in ("sending", "waiting") and getattr(module, "WAITERS_MUST_LIVE", False):
        return Asked("stuck", (*settings, "deadlines.run=2"))
    if column.name in ("sending", "waiting", "stopped", "full") and not facts.bounded:
        return Asked("unbounded", tuple(settings))
    if column.name == "removed":
        return Asked("told" if _tells(row) else "nameless", tuple(settings))
    variant = {
        "sent": "kept", "sending": "whole", "waiting": "whole", "stopped": "waits",
        "full": "refused", "taken": "lost", "gone": "gone", "never": "ended", "large": "whole",
        "filled": "strange", "storm": "kept",
    }[column.name]  # fmt: skip
    return Asked(variant, tuple(settings))


def _inside(row: Row, column: Column, facts: Facts, settings: list[str]) -> Asked | Without:
    """Return the run in which one is killed between claiming a place, or an item, and using it."""
    module, said = kinds.load(kinds.CHANNELS, row.kind), _leaves(column, facts)
    if not _shared(module):
        return Without("nobody is ever inside: it is in the kernel, which a call enters and leaves")
    if column.name == "putting":
        return Asked("stuck" if _FOR_EVER in said else "room_less", tuple(settings))
    if column.name == "getting_undo":
        names = {field.name for field in dataclasses.fields(module.Options)}
        if "undo" not in names:
            return Without("it has no counts that are undone")
        settings[0] = settings[0][:-1] + ", undo: true}"
        return Asked("twice", tuple(settings))
    if _FOR_EVER in said:
        return Asked("stuck", tuple(settings))
    return Asked("behind" if "stays behind" in said else "kept", tuple(settings))


def _leaves(column: Column, facts: Facts) -> str:
    """Return what the channel says of who is killed inside."""
    return facts.sender_dies if column.name == "putting" else facts.receiver_dies


def _shared(module: ModuleType) -> bool:
    return "write" in getattr(module, "STEPS", ())


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return how many messages arrived, who was told what, and when."""
    count = Count(case)
    word, clause = WORDS[column.name](case, count)
    whole = f"{row.label}: {column.what}; {clause}."
    return Seen(word, whole, _differs(row, column, case, count))


def _differs(row: Row, column: Column, case: Case, count: Count) -> str:
    """Return how what was seen is not what the channel says of itself."""
    facts = _facts(row)
    module = kinds.load(kinds.CHANNELS, row.kind)
    stuck = getattr(module, "WAITERS_MUST_LIVE", False)
    if column.name == "sent" and facts.kept and count.lost:
        return "it says that messages outlive their sender, and some were lost"
    if column.name in ("sending", "waiting"):
        if count.hung is not stuck:
            return f"a dead sender {'stopped' if count.hung else 'did not stop'} its receiver"
        if column.name == "sending" and bool(count.cut) is not facts.sender_dies.startswith("half"):
            return f"{count.cut} messages were cut, and it says: {facts.sender_dies}"
    if column.name == "stopped" and bool(full(case)) is not facts.bounded:
        return f"it says that senders {'' if facts.bounded else 'never '}wait when it is full"
    if column.name == "full":
        refused = reading.refusals(case, "producer-0")
        if (told := bool(full(case) or refused)) is not facts.bounded:
            return f"a full one {'refused' if told else 'never refused'} who does not wait"
        if refusing(refused) > _AT_ONCE:
            return f"who does not wait was kept {reading.time(refusing(refused))} each time"
        if facts.bounded and (count.lost or count.cut):
            return "what it refused, or a part of it, was in it all the same"
    if column.name in ("putting", "getting"):
        stuck = _FOR_EVER in _leaves(column, facts)
        if stuck is not (count.hung or count.vain):
            return f"it says: {_leaves(column, facts)}"
    if column.name == "gone" and facts.bounded:
        told = failure(members(case, "producer")[0]) not in ("", "WaitExpired")
        if told is not facts.receiver_dies.startswith("senders are told"):
            return f"its sender was {'' if told else 'not '}told that nobody receives"
    if column.name == "storm" and not _interrupted(case):
        return "no signal came while it waited"
    if column.name == "removed":
        told = any(failure(each) == "ObjectVanished" for each in case.outcome.processes)
        if told is not _tells(row):
            return f"its users were {'' if told else 'not '}told of its removal"
    return ""


def _interrupted(case: Case) -> bool:
    """Tell whether a signal struck the receiver while it waited for the first message."""
    taken, sent = (reading.records(case, name) for name in ("printer-0", "producer-0"))
    storms = [told["at_ns"] for told in case.outcome.faults if told["kind"] == "signals"]
    return any(taken[0]["asked"] < at < sent[0]["asked"] for at in storms if taken and sent)


def _named(facts: Facts) -> bool:
    return not facts.named.startswith(("no name", "a port"))


def _tells(row: Row) -> bool:
    module = kinds.load(kinds.CHANNELS, row.kind)
    if hasattr(module, "tells_removal"):
        return bool(module.tells_removal(options_of(kinds.CHANNELS, row)))
    return bool(module.TELLS_REMOVAL)


def _facts(row: Row) -> Facts:
    facts: Facts = kinds.load(kinds.CHANNELS, row.kind).facts(options_of(kinds.CHANNELS, row))
    return facts
