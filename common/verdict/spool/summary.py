"""What became of the jobs in a spool: counts for programs, sentences for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from common.kernel.spool import ABORTED, BY_HAND, CANCELED, FAILED, FINAL, OK, STATES, STATUSES
from common.verdict.spool.replay import Move, Replay
from common.verdict.wording import many, were

# So many jobs are named, and the others counted.
NAMED = 5


def summary(replay: Replay) -> dict[str, Any]:
    """Return the figures of a spool, and sentences for people (``told``).

    ``accepted`` in this run and ``found`` from earlier ones, ``states`` in the end, jobs that were
    ``printed_again`` and their ``extra_copies``, and how many were ``unaccepted``, as their senders
    know; ``aborted`` and ``left`` are the jobs themselves. ``filters``: how often the program that
    was to print a job ended with each status (minus the signal that killed it).
    """
    found = [item for item in replay.ways if replay.found(item)]
    # Of a lost one the journal's last word is not true.
    states = {item: replay.state(item) for item in replay.ways if item not in replay.gone}
    again = [item for item in replay.ways if replay.printed(item) > 1]
    aborted = [item for item, state in states.items() if state == ABORTED]
    left = [item for item, state in states.items() if state not in FINAL]
    counts = Counter(states.values())
    unaccepted = _refusals(replay)
    ends = {item: ends for item, way in replay.ways.items() if (ends := _ends(way))}
    filters = Counter(status for each in ends.values() for status in each)
    return {
        "promise": replay.spool.address["promise"],
        "accepted": len(replay.ways) - len(found),
        "found": len(found),
        "states": {state: counts[state] for state in STATES if counts[state]},
        "printed_again": len(again),
        "extra_copies": sum(replay.printed(item) - 1 for item in again),
        "unaccepted": sum(count for count, _ in unaccepted),
        "aborted": aborted,
        "left": left,
        "filters": {str(status): filters[status] for status in sorted(filters)},
        "told": [*_unaccepted(replay, unaccepted), *_found(replay, found, states),
                 *_again(replay, again),
                 *_filtered(replay, ends, filters),
                 *_aborted(replay, aborted), *_canceled(replay), *_left(replay, left, states)],
    }  # fmt: skip


def _refusals(replay: Replay) -> list[tuple[int, str]]:
    """Return how many jobs of each sender were not accepted, and why the first was not."""
    summaries = [process.summary for process in replay.case.outcome.processes]
    found = [(each.get("unaccepted"), str(each.get("why_not", ""))) for each in summaries]
    return [(count, why) for count, why in found if type(count) is int and count > 0]


def _unaccepted(replay: Replay, refusals: list[tuple[int, str]]) -> Iterable[str]:
    count = sum(each for each, _ in refusals)
    if count:
        total = count + len(replay.ways) - sum(replay.found(item) for item in replay.ways)
        why = next((f": {why}" for _, why in refusals if why), "")
        yield (
            f"{count:,} of {many(total, 'job')} {were(count)} not accepted, and their senders know "
            f"it{why}"
        )


def _found(replay: Replay, found: list[int], states: dict[int, str]) -> Iterable[str]:
    if found:
        over = sum(states.get(item) in FINAL for item in found)
        yield (
            f"{many(len(found), 'job')} of an earlier run lay in the spool; {over} of them "
            f"{were(over)} finished in this one"
        )


def _again(replay: Replay, again: list[int]) -> Iterable[str]:
    if again and not replay.at_most_once:
        yield (
            f"{many(len(again), 'job')} {were(len(again))} printed again, as at least once allows: "
            f"{_names(replay, again)}"
        )


def _aborted(replay: Replay, aborted: list[int]) -> Iterable[str]:
    if aborted:
        why = replay.ways[aborted[0]][-1].why
        yield (
            f"{many(len(aborted), 'job')} {were(len(aborted))} aborted: "
            f"{_names(replay, aborted)}; the first: {why}"
        )


def _canceled(replay: Replay) -> Iterable[str]:
    count = sum(
        move.after.state == CANCELED and move.who.startswith(BY_HAND) for move in replay.moves
    )
    if count:
        yield f"{many(count, 'job')} {were(count)} canceled by hand"


def _ends(way: list[Move]) -> list[int]:
    return [move.status for move in way if move.status is not None]


def _filtered(replay: Replay, ends: dict[int, list[int]], filters: Counter[int]) -> Iterable[str]:
    """Tell what the program said of the jobs that it was to print, and of which it was not 0."""
    if not filters:
        return
    how = ", ".join(f"{_status(each)} {many(filters[each], 'time')}" for each in sorted(filters))
    yield f"the filter of the printers ended {many(filters.total(), 'time')}: {how}"
    said = {item: each for item, each in ends.items() if set(each) != {OK}}
    if said:
        shown = [
            f"{replay.name(item)} ({', then '.join(map(str, each))})" for item, each in said.items()
        ]
        more = f" and {len(shown) - NAMED:,} more" if len(shown) > NAMED else ""
        yield (
            f"the filter ended with another status than 0 (ok) at {', '.join(shown[:NAMED])}{more}"
        )


def _status(status: int) -> str:
    if status < 0:
        return f"killed by signal {-status}"
    return f"{status} ({STATUSES[status if status < len(STATUSES) else FAILED]})"


def _left(replay: Replay, left: list[int], states: dict[int, str]) -> Iterable[str]:
    if left:
        counts = Counter(states[item] for item in left)
        how = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        lasting = replay.case.plan.spool is not None and replay.case.plan.spool.path is not None
        end = "; the next run finds them" if lasting else ""
        verb = "is" if len(left) == 1 else "are"
        yield (
            f"{many(len(left), 'job')} {verb} left in the spool ({how}): "
            f"{_names(replay, left)}{end}"
        )


def _names(replay: Replay, items: list[int]) -> str:
    shown = ", ".join(replay.name(item) for item in items[:NAMED])
    more = len(items) - NAMED
    return f"{shown} and {more:,} more" if more > 0 else shown
