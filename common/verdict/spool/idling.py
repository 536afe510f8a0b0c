"""Did a job wait while a printer that could take it was free? Two intervals that overlap too long.

A job waits while it is pending: a held one waits for somebody, a failed one for its back-off. A
printer is free between two jobs, from its first line in the journal to its last, unless it is
stopped; and one that went by itself while jobs were pending was free from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from common.history.case import Case
from common.kernel.spool import PENDING
from common.kernel.spool.spool import GONE, READY, STOPPED
from common.verdict.finding import Instance
from common.verdict.spool.replay import Replay
from common.verdict.wording import span


class Span(NamedTuple):
    """From ``begin`` to ``end`` (ns), of a job or a printer; ``last`` is a printer that went."""

    begin: int
    end: int
    who: str
    last: bool = False


def idled(case: Case) -> list[Instance]:
    """Return the waits of at least ``deadlines.starvation`` seconds of which each is one too many.

    The amount of each is its length in seconds.
    """
    replay = Replay(case)
    least = round(case.plan.deadlines.starvation * 1e9)
    free = [each for each in _free(replay) if each.last or each.end - each.begin >= least]
    if not free:
        return []
    told = []
    for wait in _waiting(replay):
        for printer in free:
            length = min(wait.end, printer.end) - max(wait.begin, printer.begin)
            # Nobody is told of what comes when the last printer has gone.
            saw = wait.begin < printer.begin < wait.end
            if saw if printer.last else length >= least:
                told.append(_instance(wait, printer, length))
                break
    return told


def _instance(wait: Span, printer: Span, length: int) -> Instance:
    how = "had gone by itself" if printer.last else "was free"
    sentence = f"{wait.who} was pending for {span(length)} while {printer.who} {how}."
    return Instance(length / 1e9, sentence)


def _waiting(replay: Replay) -> Iterator[Span]:
    """Yield when each job was pending."""
    gate, ended = replay.case.outcome.gate_ns, replay.case.outcome.ended_ns
    for item, way in replay.ways.items():
        ends = [move.at for move in way[1:]] + [ended]
        for move, end in zip(way, ends, strict=True):
            # One that has vanished did not wait: it was not there.
            if move.after.state == PENDING and not replay.vanished(move):
                # What was there before anybody could take it waits from the gate on.
                yield Span(max(move.at, gate), end, replay.name(item))


def _free(replay: Replay) -> Iterator[Span]:
    """Yield when each printer was free, as far as its own lines tell."""
    paused = _paused(replay)
    for name in dict.fromkeys(line["printer"] for line in replay.printers):
        for each in _between(replay, name):
            if not any(
                each.begin < end and begin < each.end for begin, end in paused.get(name, [])
            ):
                yield each


def _between(replay: Replay, name: str) -> Iterator[Span]:
    outcome = replay.case.outcome
    # When, and what it was from then on: free (READY), busy, stopped, or gone.
    signs = [(line["at"], line["is"]) for line in replay.printers if line["printer"] == name]
    signs += [
        (move.at, "busy" if move.claim else READY)
        for move in replay.moves
        if move.who == name
        and (move.claim or (move.before is not None and _had(replay, move.before.tail, name)))
    ]
    signs.sort()
    for at, (when, sign) in enumerate(signs):
        end = signs[at + 1][0] if at + 1 < len(signs) else when
        if sign == READY:
            yield Span(when, end, name)
        if sign == GONE and not outcome.interrupted and not _was_stopped(signs[:at]):
            yield Span(when, outcome.ended_ns, name, last=True)


def _had(replay: Replay, tail: str, name: str) -> bool:
    pids = {line["pid"] for line in replay.printers if line["printer"] == name}
    return bool(tail) and "." in tail and int(tail.partition(".")[0]) in pids


def _was_stopped(signs: list[tuple[int, str]]) -> bool:
    return bool(signs) and signs[-1][1] == STOPPED


def _paused(replay: Replay) -> dict[str, list[tuple[int, int]]]:
    """Return when a fault of the scenario had stopped each process (SIGSTOP)."""
    found: dict[str, list[tuple[int, int]]] = {}
    seconds = {
        fault.trigger.process: float(fault.options.get("seconds", 0.0))
        for fault in replay.case.plan.faults
        if fault.kind == "stop"
    }
    longest = max(seconds.values(), default=0.0)
    for fault in replay.case.outcome.faults:
        if fault.get("kind") == "stop":
            end = int(fault["at_ns"]) + round(longest * 1e9)
            found.setdefault(str(fault["process"]), []).append((int(fault["at_ns"]), end))
    return found
