"""What becomes of messages when an end of a channel, or the channel, is struck; who is told."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from types import ModuleType
from typing import Any

from common import kinds
from common.consequences import reading
from common.consequences.cell import Asked, Column, Row, Seen, Without
from common.consequences.reading import failure, members, strike
from common.consequences.rows import options_of
from common.consequences.rows import rows as rows_of
from common.history.case import Case
from common.kernel.channels import Facts
from common.kernel.waits import TICK
from common.verdict.delivery import Traffic, traffic
from common.verdict.wording import many

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
    Column("stopped", "receiver stands still", "receiver_stopped", "the receiver stood still"),
    Column(
        "full", "full, and no waiting", "channel_full",
        "the channel was full, and its sender did not wait for room",
    ),
    Column(
        "taken", "receiver killed with a job", "receiver_killed_with_a_job",
        "the receiver was killed with a job taken and not printed",
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
    if column.name in ("sending", "waiting") and getattr(module, "WAITERS_MUST_LIVE", False):
        return Asked("stuck", (*settings, "deadlines.run=2"))
    if column.name in ("sending", "waiting", "stopped", "full") and not facts.bounded:
        return Asked("unbounded", tuple(settings))
    if column.name == "removed":
        return Asked("told" if _tells(row) else "nameless", tuple(settings))
    variant = {
        "sent": "kept", "sending": "whole", "waiting": "whole", "stopped": "waits",
        "full": "refused", "taken": "lost", "gone": "gone", "never": "ended", "large": "whole",
    }[column.name]  # fmt: skip
    return Asked(variant, tuple(settings))


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return how many messages arrived, who was told what, and when."""
    count = _Count(case)
    word, clause = _WORDS[column.name](case, count)
    whole = f"{row.label}: {column.what}; {clause}."
    return Seen(word, whole, _differs(row, column, case, count))


class _Count:
    """How many messages were sent, taken, printed, lost, doubled and cut."""

    def __init__(self, case: Case) -> None:
        found: Traffic = traffic(case)
        items = [set(found.items(each).tolist()) for each in _ways(found)]
        self.sent, self.taken, self.printed = (len(each) for each in items)
        self.lost = len(items[0] - items[2])
        self.doubled = len(found.deliveries) - self.printed
        receiver = members(case, "printer")[0]
        self.cut = int(receiver.summary.get("cut_short", 0))
        self.hung = failure(receiver) == "WaitExpired" or receiver.hung is not None

    @property
    def arrived(self) -> str:
        """Return in a few words what arrived."""
        words = [f"LOST {self.lost} of {self.sent}" if self.lost else f"all {self.sent}"]
        words += [f"doubled {self.doubled}"] if self.doubled else []
        words += [f"cut {self.cut}"] if self.cut else []
        return ", ".join(words)


def _ways(found: Traffic) -> tuple[Any, Any, Any]:
    return found.offers, found.takes, found.deliveries


def _sent(case: Case, count: _Count) -> tuple[str, str]:
    if count.hung:
        return "STUCK", "the receiver waits for ever"
    if count.cut:
        clause = f"{many(count.sent, 'message')} arrived, and of one a part, which was dropped"
        return f"all {count.sent}, cut 1", clause
    arrived = count.sent - count.lost
    return count.arrived, f"{arrived} of {many(count.sent, 'message')} arrived, and nothing else"


def _waited(case: Case, count: _Count) -> tuple[str, str]:
    at = _full(case)
    if not at:
        lost = f"{count.lost} of {many(count.sent, 'message')} were lost"
        return f"never, {count.arrived}", f"the sender never had to wait, and {lost}"
    fits, fitted = _fitted(case, at)
    return fits, f"{fitted}, then the sender waited; {count.arrived} arrived when it went on"


def _refused(case: Case, count: _Count) -> tuple[str, str]:
    begun, refused = _full(case), reading.refusals(case, "producer-0")
    # Who waits after a refusal waits for something else, the receiver having been let go.
    if begun and not (refused and refused[0]["asked"] < begun):
        fits, fitted = _fitted(case, begun)
        clause = f"{fitted}, and a part of the next, whose rest had to be waited for"
        return f"begun, {fits}", f"{clause}; {count.arrived} arrived, none cut"
    if not refused:
        lost = f"{count.lost} of {many(count.sent, 'message')} were lost"
        return f"never, {count.arrived}", f"the sender was never refused, and {lost}"
    fits, fitted = _fitted(case, int(refused[0]["asked"]))
    times, after = many(len(refused), "time"), f"{_refusing(refused) / 1000:,.0f} µs"
    clause = f"{fitted}, then the sender was refused {times}, after {after} (median)"
    return f"refused, {fits}", f"{clause}; {count.arrived} arrived, and nothing of another"


def _taken(case: Case, count: _Count) -> tuple[str, str]:
    gone = count.taken - count.printed
    return count.arrived, f"{many(gone, 'job')} taken and not printed, the channel has it no more"


def _gone(case: Case, count: _Count) -> tuple[str, str]:
    sender = members(case, "producer")[0]
    after, error = many(count.sent - 1, "message"), sender.error or {}
    if failure(sender) == "WaitExpired":
        word = f"vain, {count.sent - 1}"
        return word, f"it sent {after} more, and then {error['message']}; {count.lost} are lost"
    if sender.error is not None:
        return f"told, {count.sent - 1}", f"it sent {after} more, and was told: {error['message']}"
    return f"never told, {count.sent - 1}", f"it sent {after} more, and was never told"


def _never(case: Case, count: _Count) -> tuple[str, str]:
    receiver = members(case, "printer")[0]
    if count.hung:
        return "HANGS", "the receiver waited in vain"
    after = reading.time(case.outcome.ended_ns - strike(case, "kill")["at_ns"])
    told = "ended" if receiver.phase == "done" else "failed"
    return f"{told} {after}", f"the receiver {told} {after} later"


def _removed(case: Case, count: _Count) -> tuple[str, str]:
    told = [
        f"{each.role} was told ({(each.error or {})['message']})"
        for each in case.outcome.processes
        if failure(each) == "ObjectVanished"
    ]
    if told:
        return "told", " and ".join(told)
    return f"goes on, {count.arrived}", f"nobody was told, and {count.arrived} arrived"


def _large(case: Case, count: _Count) -> tuple[str, str]:
    return count.arrived, f"{count.arrived} arrived, whole"


_WORDS = {
    "sent": _sent, "sending": _sent, "waiting": _sent, "stopped": _waited, "full": _refused,
    "taken": _taken, "gone": _gone, "never": _never, "removed": _removed, "large": _large,
}  # fmt: skip


def _refusing(refused: list[dict[str, Any]]) -> int:
    """Return how long a refusal took (ns), the median: from one to the next, nothing is between."""
    gaps = sorted(b["asked"] - a["left"] for a, b in itertools.pairwise(refused))
    return gaps[len(gaps) // 2] if gaps else 0


def _fitted(case: Case, at: int) -> tuple[str, str]:
    """Return in a few words, and as a clause, what the channel held at a time (ns)."""
    before = sum(1 for one in reading.records(case, "producer-0") if one["left"] < at)
    # The first one was taken before the receiver stood.
    held = before - 1
    size = _bytes(held * case.plan.channel("jobs").message_size)
    return f"{held} ({size})", f"{many(held, 'message')} fitted ({size})"


def _full(case: Case) -> int:
    """Return when the sender found the channel full (ns); 0: never."""
    signs = [each for each in case.outcome.faults if each["kind"] == "sign"]
    return next((each["at_ns"] for each in signs if each["step"] == "wait" and _sends(each)), 0)


def _sends(told: dict[str, Any]) -> bool:
    return str(told["process"]).startswith("producer")


def _bytes(size: int) -> str:
    return f"{size:,} B" if size < 10_000 else f"{size // 1000:,} kB"


def _differs(row: Row, column: Column, case: Case, count: _Count) -> str:
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
    if column.name == "stopped" and bool(_full(case)) is not facts.bounded:
        return f"it says that senders {'' if facts.bounded else 'never '}wait when it is full"
    if column.name == "full":
        refused = reading.refusals(case, "producer-0")
        if (told := bool(_full(case) or refused)) is not facts.bounded:
            return f"a full one {'refused' if told else 'never refused'} who does not wait"
        if _refusing(refused) > _AT_ONCE:
            return f"who does not wait was kept {reading.time(_refusing(refused))} each time"
        if facts.bounded and (count.lost or count.cut):
            return "what it refused, or a part of it, was in it all the same"
    if column.name == "removed":
        told = any(failure(each) == "ObjectVanished" for each in case.outcome.processes)
        if told is not _tells(row):
            return f"its users were {'' if told else 'not '}told of its removal"
    return ""


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
