"""Was each trade that was turned down turned down with reason? By what its own record holds.

The lecture's checks: ``balance < amount * rate`` before a purchase, ``stock < amount`` before a
sale. The balance follows from the records before (:mod:`common.verdict.balance`); whether a stock
was really there is the business of :mod:`common.verdict.sightings`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import History, Positions, States
from common.history.operations import Effect
from common.verdict import balance, unseen
from common.verdict.wording import many, number

# A row's last field is its stock; what stands before it are rates.
_RATES = slice(0, -1)


def check(case: Case) -> list[str]:
    """Return a doubt for each process that refused what its own records allowed."""
    history = case.history
    updates = [code for code, each in history.operations.items() if each.effect is Effect.UPDATE]
    if not history.tallies[:, States.REFUSED, updates].any():
        return []
    known = _rates(case)
    doubts = []
    for which, process in enumerate(history.processes):
        if not history.tallies[which, States.REFUSED, updates].any():
            continue
        count, first = 0, ""
        for at, affordable, held in _refused(case, which, known):
            if not len(at):
                continue
            count += len(at)
            first = first or _told(case, int(at[0]), bool(affordable[0]), float(held[0]))
        if count:
            doubts.append(
                f"{process.name} refused {many(count, 'operation')} without reason: {first}"
            )
    return doubts


Odd = tuple[Positions, npt.NDArray[np.bool_], npt.NDArray[np.float64]]


def _refused(case: Case, which: int, known: dict[int, set[float]] | None) -> Iterator[Odd]:
    """Yield where a process refused without reason, in parts.

    With each place whether what it checked allowed it (else no such rate was ever there), and its
    balance then.
    """
    history = case.history
    signs, mine = np.zeros(256), np.zeros(256, np.bool_)
    for code, operation in history.operations.items():
        signs[code], mine[code] = operation.sign, operation.effect is Effect.UPDATE
    held = balance.openings(case)[which]
    index = history.processes[which].index
    ended = any(each.index == index and each.phase == "done" for each in case.outcome.processes)
    for place, begin, end in history.slices():
        if place != which:
            continue
        here = np.arange(begin, end) + history.bounds[which]
        here = here[mine[history.codes[here]]]
        done = here[history.done[here]]
        course = balance.course(history, which, done, held)
        held = float(course[-1])
        refused = here[history.refused[here]]
        if not ended:
            # Who died while it wrote a refusal down has not said what it saw.
            refused = refused[history.gather("left", refused) != 0]
        within = refused - history.bounds[which]
        amount, checked = (history.cells(name, which, within) for name in ("v0", "v1"))
        then = course[np.searchsorted(done, refused)]
        buying = signs[history.codes[refused]] > 0
        allowed = np.where(buying, then >= amount * checked, checked >= amount)
        # Nor may nonsense be a reason: nan is less than nothing, and not more.
        allowed |= ~(amount > 0) | ~np.isfinite(checked)
        # Who has looked at nothing has no time of it.
        allowed |= history.gather("left", refused) == 0
        strange = allowed | (buying & _unknown(history, refused, checked, known))
        yield refused[strange], allowed[strange], then[strange]


def _unknown(
    history: History,
    refused: Positions,
    checked: npt.NDArray[np.float64],
    known: dict[int, set[float]] | None,
) -> npt.NDArray[np.bool_]:
    """Say of each refusal whether the rate that it checked was never in its row."""
    found = np.zeros(len(refused), np.bool_)
    if known is not None:
        rows = history.objects[refused]
        for row in np.unique(rows).tolist():
            there = np.isin(checked, list(known.get(row, ())))
            found |= (rows == row) & ~there
    return found


def _rates(case: Case) -> dict[int, set[float]] | None:
    """Return by row all rates that ever were in it; None where nobody can know them all."""
    history = case.history
    guests = any(process.guest for process in case.outcome.processes)
    if guests or unseen.on_table(case.plan) or case.outcome.initial is None:
        return None
    if any(history.by_object(Effect.SET, done=False)):
        # Nobody recorded what was on its way when its process died.
        return None
    found = {row: set(opening[_RATES]) for row, opening in enumerate(case.outcome.initial)}
    for row, positions in history.by_object(Effect.SET).items():
        for name in ("v0", "v1"):
            found.setdefault(row, set()).update(np.unique(history.gather(name, positions)).tolist())
    return found


def _told(case: Case, at: int, allowed: bool, held: float) -> str:
    """Say what the record of a refusal holds."""
    history = case.history
    found, operation = history.record(at), history.operation(at)
    what = f"{operation.name} {found['seq']:,} asked for {number(found['v0'])} {case.place(at)}"
    if not found["left"]:
        return f"{what}, and had looked at nothing"
    if operation.sign < 0:
        return f"{what} and saw {number(found['v1'])}"
    said = f"{what} at {number(found['v1'])}"
    if not allowed:
        return f"{said}, a rate that was never there"
    return f"{said} with a balance of {number(held)}"
