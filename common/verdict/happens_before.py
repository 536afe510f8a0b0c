"""Was one access certainly over before another began? By what hands an order to another process.

The happens-before relation (Lamport, 1978), as a race detector needs it: a process does one thing
after another; who takes a lock comes after all who gave it back before; who takes an item from a
channel comes after whoever put it there. That one thing merely was earlier orders nothing.

The start of the processes and their end order none of them: they pass the gate together, and only
the launcher touches the table before and after. But who is started in the place of another comes
after all that this one did: the launcher has seen its end (wait(2)).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from common.history import record, scratch
from common.history.case import Case
from common.history.merge import History, Positions
from common.history.operations import Effect

Times = npt.NDArray[np.int64]
Locks = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]
NEVER = np.iinfo(np.int64).max

# Pairs that are followed at once, times processes.
BLOCK = 1 << 20


def locks_held(history: History, which: int, begin: int, end: int) -> tuple[Locks, Locks]:
    """Return which lock some records of one process held at their first and at their last access.

    Locks are numbers as in the records (docs/history.md).
    """
    return locks_at(history, which, slice(begin, end))


def locks_at(history: History, which: int, at: slice | Positions) -> tuple[Locks, Locks]:
    """Return the same of the records at ``at``, counted from 0."""
    kinds = history.cells("kind", which, at).astype(np.int64)
    kinds //= record.HELD_FIRST
    return kinds.astype(np.uint8), (kinds >> 8).astype(np.uint8)


class _Passing(NamedTuple):
    """Messages of one process to another: ``arrived`` is the earliest of this and later ones."""

    sender: int
    receiver: int
    sent: Times
    arrived: Times


class _Hands(NamedTuple):
    """When each process took a lock and when it gave it back, in ascending order."""

    taken: dict[int, Times]
    given: dict[int, Times]


class HappensBefore:
    """The order between the processes of one run, from its records alone."""

    def __init__(self, case: Case) -> None:
        self._processes = len(case.history.processes)
        self._hands = _hands(case.history) if case.history.locked else []
        self._passings = [*_passings(case.history), *_lives(case)]
        goes_out: dict[int, list[Times]] = {}
        comes_in: dict[int, list[Times]] = {}
        for hands in self._hands:
            for which, times in hands.given.items():
                goes_out.setdefault(which, []).append(times)
            for which, times in hands.taken.items():
                comes_in.setdefault(which, []).append(times)
        for passing in self._passings:
            goes_out.setdefault(passing.sender, []).append(passing.sent)
            comes_in.setdefault(passing.receiver, []).append(passing.arrived)
        self._goes_out = {which: np.sort(np.concatenate(all_)) for which, all_ in goes_out.items()}
        self._comes_in = {which: np.sort(np.concatenate(all_)) for which, all_ in comes_in.items()}

    @property
    def nothing(self) -> bool:
        """Whether no process hands anything on: then no two of them are ordered."""
        return not self._goes_out or not self._comes_in

    def ordered(self, before: Positions, left: Times, after: Positions, entered: Times) -> Flags:
        """Return for each pair whether its first operation happened before its second one.

        The first is of process ``before`` and was over when it ``left``; the second is of process
        ``after``, another one, and began when it ``entered``. Processes are places in the history.
        """
        found = np.zeros(len(left), np.bool_)
        possible = np.flatnonzero(self._possible(before, left, after, entered))
        size = max(1, BLOCK // max(1, self._processes))
        for start in range(0, len(possible), size):
            chosen = possible[start : start + size]
            pairs = (each[chosen] for each in (before, left, after, entered))
            found[chosen] = self._followed(*pairs)
        return found

    def _possible(self, before: Positions, left: Times, after: Positions, entered: Times) -> Flags:
        """Return whether something went out of one process before something came into the other."""
        out, into = np.full(len(left), NEVER), np.full(len(left), -1)
        for which, times in self._goes_out.items():
            mine = before == which
            out[mine] = _next(times, left[mine])
        for which, times in self._comes_in.items():
            mine = after == which
            at = np.searchsorted(times, entered[mine], side="right")
            into[mine] = np.concatenate([[-1], times])[at]
        possible: Flags = out <= into
        return possible

    def _followed(self, before: Positions, left: Times, after: Positions, entered: Times) -> Flags:
        """Follow what goes out of the first process of each pair until it comes to the second."""
        found = np.zeros(len(left), np.bool_)
        # When each process (a row each) is first ordered after the first operation of each pair.
        reached = np.full((self._processes, len(left)), NEVER)
        reached[before, np.arange(len(left))] = left
        going = np.arange(len(left))
        while len(going):
            known = reached.copy()
            self._step(reached)
            # What comes later than the second operation does not matter.
            reached[reached > entered[going]] = NEVER
            there = reached[after[going], np.arange(len(going))] != NEVER
            found[going[there]] = True
            goes_on = ~there & (reached != known).any(0)
            going, reached = going[goes_on], reached[:, goes_on]
        return found

    def _step(self, reached: Times) -> None:
        """Let every process hand on its order once, by each lock and each message."""
        for hands in self._hands:
            given = np.full(reached.shape[1], NEVER)
            for which, times in hands.given.items():
                np.minimum(given, _next(times, reached[which]), out=given)
            for which, times in hands.taken.items():
                mine = reached[which]
                np.minimum(mine, _next(times, given), out=mine)
        for sender, receiver, sent, arrived in self._passings:
            mine = reached[receiver]
            at = np.searchsorted(sent, reached[sender])
            np.minimum(mine, np.append(arrived, NEVER)[at], out=mine)


def _next(times: Times, at: Times) -> Times:
    """Return for each moment the first of ``times`` that is no earlier; NEVER if there is none."""
    return np.append(times, NEVER)[np.searchsorted(times, at)]


def _hands(history: History) -> list[_Hands]:
    taken: dict[tuple[int, int], scratch.Growing] = {}
    given: dict[tuple[int, int], scratch.Growing] = {}
    for which, begin, end in history.slices():
        first, last = locks_held(history, which, begin, end)
        numbers = np.flatnonzero(np.bincount(last))
        if not numbers.any():
            continue
        entered, left = (
            history.cells(name, which, slice(begin, end)) for name in ("entered", "left")
        )
        # Who took the lock after its first access had it, for all that is known, when it left; and
        # who was refused did not come to take it.
        start = history.bounds[which]
        took = (left != 0) & ((first == last) | ~history.refused[start + begin : start + end])
        since = np.where(first == last, entered, left)
        for number in numbers[numbers != record.NO_LOCK].tolist():
            here = (last == number) & took
            for found, times in ((taken, since), (given, left)):
                found.setdefault((number, which), scratch.Growing(np.int64)).append(times[here])
    every: dict[int, _Hands] = {}
    for (number, which), growing in taken.items():
        hands = every.setdefault(number, _Hands({}, {}))
        hands.taken[which] = growing.array()
        hands.given[which] = given[number, which].array()
    return list(every.values())


def _passings(history: History) -> Iterator[_Passing]:
    takes, fills = history.select(Effect.TAKE), history.select(Effect.DELIVER)
    # What is printed was taken from a channel before; an answer arrives without that.
    papers = [code for code, each in history.operations.items() if each.place == "paper"]
    fills = fills[~np.isin(history.codes[fills], papers)]
    if not len(takes) + len(fills):
        return
    offers = history.select(Effect.OFFER, Effect.PASS)
    for channel in np.unique(history.objects[takes]).tolist():
        sent, got = (each[history.objects[each] == channel] for each in (offers, takes))
        yield from _grouped(history, sent, got, "entered")
    # An answer was sent after what was asked for was done: that is the last record of its item.
    works = np.sort(np.concatenate([takes, history.select(Effect.UPDATE)]))
    yield from _grouped(history, works, fills, "left")


def _lives(case: Case) -> Iterator[_Passing]:
    """Yield the order of those that were started in the place of another, once that was gone."""
    history = case.history
    places = {each.index: at for at, each in enumerate(history.processes) if len(each.records)}
    lives: dict[int, list[tuple[int, int]]] = {}
    for process in case.outcome.processes:
        if process.index in places:
            first = process.index if process.first is None else process.first
            lives.setdefault(first, []).append((process.life, places[process.index]))
    for each in lives.values():
        for (_, dead), (_, next_one) in pairwise(sorted(each)):
            # What was in flight when it died has no end; at most two records can be.
            last = history.cells("left", dead, slice(-3, None)).max(keepdims=True)
            begun = history.cells("entered", next_one, slice(0, 1))
            yield _Passing(dead, next_one, last, begun)


def _grouped(history: History, sends: Positions, gets: Positions, stamp: str) -> Iterable[_Passing]:
    """Pair what was sent with what was received by item, and group the pairs by their processes."""
    items, wanted = history.gather("item", sends), history.gather("item", gets)
    order = np.lexsort((history.gather(stamp, sends), items))
    at = np.searchsorted(items[order], wanted, side="right") - 1
    gets, at, wanted = gets[at >= 0], at[at >= 0], wanted[at >= 0]
    same = items[order][at] == wanted
    gets, sends = gets[same], sends[order][at[same]]
    sent, arrived = _unordered(history, stamp, sends), history.gather("left", gets)
    sender, receiver = _owner(history, sends), _owner(history, gets)
    pair = sender * len(history.processes) + receiver
    for number in np.unique(pair[sender != receiver]).tolist():
        here = np.flatnonzero(pair == number)
        here = here[np.argsort(sent[here], kind="stable")]
        earliest = np.minimum.accumulate(arrived[here][::-1])[::-1]
        one, other = divmod(number, len(history.processes))
        yield _Passing(one, other, sent[here], earliest)


def _owner(history: History, positions: Positions) -> Positions:
    owner: Positions = np.searchsorted(history.bounds, positions, side="right") - 1
    return owner


def _unordered(history: History, name: str, positions: Positions) -> Times:
    """Return one cell of records in any order."""
    order = np.argsort(positions, kind="stable")
    found = np.empty(len(positions), np.int64)
    found[order] = history.gather(name, positions[order])
    return found
