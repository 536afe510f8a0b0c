"""How many messages of a run arrived, and what was told to whom: the words for channels."""

from __future__ import annotations

import itertools
from typing import Any

from common.consequences import reading
from common.consequences.reading import failure, members, strike
from common.history.case import Case
from common.verdict.delivery import Traffic, traffic
from common.verdict.wording import many


class Count:
    """How many messages were sent, taken, printed, lost, doubled and cut."""

    def __init__(self, case: Case) -> None:
        found: Traffic = traffic(case)
        items = [set(found.items(each).tolist()) for each in _ways(found)]
        self.sent, self.taken, self.printed = (len(each) for each in items)
        self.lost = len(items[0] - items[2])
        self.doubled = len(found.deliveries) - self.printed
        receiver = members(case, "printer")[0]
        self.cut = int(receiver.summary.get("cut_short", 0))
        self.vain = any(failure(each) == "WaitExpired" for each in case.outcome.processes)
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


def _sent(case: Case, count: Count) -> tuple[str, str]:
    if count.hung:
        return "STUCK", "the receiver waits for ever"
    if count.cut:
        clause = f"{many(count.sent, 'message')} arrived, and of one a part, which was dropped"
        return f"all {count.sent}, cut 1", clause
    arrived = count.sent - count.lost
    return count.arrived, f"{arrived} of {many(count.sent, 'message')} arrived, and nothing else"


def _waited(case: Case, count: Count) -> tuple[str, str]:
    at = full(case)
    if not at:
        lost = f"{count.lost} of {many(count.sent, 'message')} were lost"
        return f"never, {count.arrived}", f"the sender never had to wait, and {lost}"
    fits, fitted = _fitted(case, at)
    return fits, f"{fitted}, then the sender waited; {count.arrived} arrived when it went on"


def _refused(case: Case, count: Count) -> tuple[str, str]:
    begun, refused = full(case), reading.refusals(case, "producer-0")
    # Who waits after a refusal waits for something else, the receiver having been let go.
    if begun and not (refused and refused[0]["asked"] < begun):
        fits, fitted = _fitted(case, begun)
        clause = f"{fitted}, and a part of the next, whose rest had to be waited for"
        return f"begun, {fits}", f"{clause}; {count.arrived} arrived, none cut"
    if not refused:
        lost = f"{count.lost} of {many(count.sent, 'message')} were lost"
        return f"never, {count.arrived}", f"the sender was never refused, and {lost}"
    fits, fitted = _fitted(case, int(refused[0]["asked"]))
    times, after = many(len(refused), "time"), f"{refusing(refused) / 1000:,.0f} µs"
    clause = f"{fitted}, then the sender was refused {times}, after {after} (median)"
    return f"refused, {fits}", f"{clause}; {count.arrived} arrived, and nothing of another"


def _taken(case: Case, count: Count) -> tuple[str, str]:
    gone = count.taken - count.printed
    lost = f"{many(gone, 'job')} taken and not printed, the channel has it no more"
    if failure(members(case, "producer")[0]):
        after = reading.rest(case, strike(case, "kill"))
        return f"{count.arrived}, told {after}", f"{lost}; the sender was told {after} later"
    return f"{count.arrived}, never told", f"{lost}, and its sender is never told"


def _gone(case: Case, count: Count) -> tuple[str, str]:
    sender = members(case, "producer")[0]
    more, error = many(count.sent - 1, "message"), sender.error or {}
    # It went on when the other was dead for certain.
    went_on = strike(case, "slow")["at_ns"] + reading.told_option(case, "slow", "seconds") * 1e9
    after = reading.time(case.outcome.ended_ns - max(strike(case, "kill")["at_ns"], int(went_on)))
    if failure(sender) == "WaitExpired":
        word = f"vain {after}, {count.sent - 1}"
        return word, f"it sent {more} more, and then {error['message']}; lost: {count.lost}"
    if sender.error is not None:
        clause = f"it sent {more} more, and was told {after} later: {error['message']}"
        return f"told {after}, {count.sent - 1}", clause
    return f"never told, {count.sent - 1}", f"it sent {more} more, and was never told"


def _never(case: Case, count: Count) -> tuple[str, str]:
    receiver = members(case, "printer")[0]
    if count.hung:
        return "HANGS", "the receiver waited in vain"
    after = reading.rest(case, strike(case, "kill"))
    told = "ended" if receiver.phase == "done" else "failed"
    return f"{told} {after}", f"the receiver {told} {after} later"


def _removed(case: Case, count: Count) -> tuple[str, str]:
    told = [
        f"{each.role} was told ({(each.error or {})['message']})"
        for each in case.outcome.processes
        if failure(each) == "ObjectVanished"
    ]
    if told:
        after = reading.rest(case, strike(case, "remove"))
        return f"told {after}", f"{' and '.join(told)}, {after} later"
    return f"goes on, {count.arrived}", f"nobody was told, and {count.arrived} arrived"


def _large(case: Case, count: Count) -> tuple[str, str]:
    return count.arrived, f"{count.arrived} arrived, whole"


def _inside(case: Case, count: Count) -> tuple[str, str]:
    if count.hung or count.vain:
        waits = [each.name for each in case.outcome.processes if each.hung or each.error]
        return "STUCK", f"{' and '.join(waits)} waited in vain, without end"
    return count.arrived, f"{count.arrived} arrived, though nobody was told"


def _filled(case: Case, count: Count) -> tuple[str, str]:
    strange = int(strike(case, "fill")["messages"])
    waited = "the sender waited for room, and " if full(case) else ""
    # What is no job at all is not one that came twice.
    arrived = f"LOST {count.lost} of {count.sent}" if count.lost else f"all {count.sent}"
    clause = f"a stranger sent {many(strange, 'message')}; {waited}{arrived} arrived"
    return f"{arrived}, {strange} strange", clause


def _stormed(case: Case, count: Count) -> tuple[str, str]:
    told = [each for each in case.outcome.faults if each["kind"] == "signals"]
    sent = sum(int(each["sent"]) for each in told)
    return count.arrived, f"{many(sent, 'signal')} were sent; {count.arrived} arrived"


def refusing(refused: list[dict[str, Any]]) -> int:
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


def full(case: Case) -> int:
    """Return when the sender found the channel full (ns); 0: never."""
    signs = [each for each in case.outcome.faults if each["kind"] == "sign"]
    return next((each["at_ns"] for each in signs if each["step"] == "wait" and _sends(each)), 0)


def _sends(told: dict[str, Any]) -> bool:
    return str(told["process"]).startswith("producer")


def _bytes(size: int) -> str:
    return f"{size:,} B" if size < 10_000 else f"{size // 1000:,} kB"


WORDS = {
    "sent": _sent, "sending": _sent, "waiting": _sent, "stopped": _waited, "full": _refused,
    "taken": _taken, "gone": _gone, "never": _never, "removed": _removed, "large": _large,
    "putting": _inside, "getting": _inside, "getting_undo": _inside, "filled": _filled,
    "storm": _stormed,
}  # fmt: skip
