"""Did jobs move as they may? Legal transitions, and the first in line first."""

from __future__ import annotations

from collections.abc import Iterator

from common.history.case import Case
from common.kernel.spool import FINAL, INCOMING, LEGAL, PENDING, PROCESSING
from common.kernel.spool.entry import Entry, pid_of
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance
from common.verdict.spool.replay import Move, Replay
from common.verdict.wording import many


def illegal(case: Case) -> list[Instance]:
    """Return the moves that no job may make, and the jobs that lie where no move put them."""
    replay = Replay(case)
    told = [*_wrong_moves(replay), *_misplaced(replay)]
    told += [
        f"{replay.name(item)} lies on a paper, and nobody had accepted it."
        for item in sorted(replay.copies.keys() - replay.ways.keys())
    ]
    if replay.garbled:
        told.append(f"{many(replay.garbled, 'line')} of the spool's journal cannot be read.")
    return [Instance(1.0, sentence) for sentence in told]


def _wrong_moves(replay: Replay) -> Iterator[str]:
    lies: dict[int, str] = {}
    for move in replay.moves:
        name, place = replay.name(move.item), lies.get(move.item)
        told = f"{move.who} moved {name} from {_state(move.source)} to {move.after.state}"
        if place is not None and move.source != place:
            yield f"{told}, but it was {_state(place)}."
        elif place is None and not move.found and _state(move.source) != INCOMING:
            yield f"{told}, and nobody had accepted it."
        elif not move.found and move.after.state not in LEGAL.get(_state(move.source), ()):
            yield f"{told}, which no job may do."
        elif _taken_from_the_living(replay, move):
            yield f"{told}, as its printer had died; it had not."
        lies[move.item] = move.after.path


def _taken_from_the_living(replay: Replay, move: Move) -> bool:
    """Tell whether a job was taken from a printer of this run that ended as it should."""
    if move.before is None or move.before.state != PROCESSING or "died" not in move.why:
        return False
    pid = pid_of(move.before.tail)
    return any(
        process.pid == pid and process.signal is None and process.exit == 0
        for process in replay.case.outcome.processes
    )


def _misplaced(replay: Replay) -> Iterator[str]:
    for item, found in replay.final.items():
        place = str(found[0]["path"])
        if item not in replay.ways:
            # What earlier runs finished stays where it is.
            if found[0]["state"] not in FINAL:
                yield f"{replay.name(item)} lies in the spool ({place}), and nobody accepted it."
        elif len(found) == 1 and replay.ways[item][-1].after.path != place:
            after = replay.ways[item][-1].after
            yield f"{replay.name(item)} is {after.state} by the journal, and lies at {place}."


def _state(path: str) -> str:
    return path.partition("/")[0]


def reordered(case: Case) -> Result:
    """Return the jobs that a printer took while another stood before them in the line."""
    replay = Replay(case)
    line: dict[int, Entry] = {}
    told = []
    for move in replay.moves:
        if move.claim and move.item in line:
            first = min(line.values(), key=lambda each: each.place)
            if first.place < line[move.item].place:
                why = "was more urgent" if first.rank < line[move.item].rank else "had come before"
                told.append(
                    f"{move.who} took {replay.name(move.item)} while {replay.name(first.item)}, "
                    f"which {why}, was pending."
                )
        if move.after.state == PENDING and not replay.vanished(move):
            line[move.item] = move.after
        else:
            line.pop(move.item, None)
    measures = {"jobs_reordered": len(told)}
    if not told:
        return Result(measures=measures)
    every = [Instance(1.0, sentence) for sentence in told]
    lead = f"{many(len(told), 'job')} went before the first in line."
    cases = (every[0], every[0], every[-1])
    found = finding("job_reordered", len(told), float(len(told)), cases, lead)
    return Result([found], measures=measures)
