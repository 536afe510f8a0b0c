"""What must be in stock where programs traded that wrote no history: the balance sheet.

A plain program is known by its lines alone: they say what it makes of each row. So first stock,
recorded updates and lines say what must be there in the end, exactly; what is missing was lost, and
nobody can be named for it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from common.history import sections
from common.history.case import Case
from common.history.operations import Effect
from common.history.sections import Sections
from common.scenario.plan import ProcessPlan
from common.verdict import printed, unseen
from common.verdict.amounts import UNIT, exact, total
from common.verdict.evidence import Result, finding
from common.verdict.finding import Instance
from common.verdict.lineage import Lineage, trace_sections
from common.verdict.wording import many, number, span, were


def judge(case: Case) -> Result:
    """Return what is missing of each row as lost updates, and what cannot be said.

    ``total`` is the sum of what is missing, too much or too little; the measures are those of
    :mod:`common.verdict.properties.lost_update`, ``lost`` what the records alone explain.
    """
    result = Result(measures={"missing": {}, "lost": {}, "lost_updates": 0})
    programs = unseen.on_table(case.plan)
    rows, finals = case.outcome.initial or [], case.outcome.final or []
    if len(rows) != len(finals) or not rows:
        result.doubts.append("the table's last contents are unknown: nothing says what was lost")
        return result
    if any(each.program is None or each.program.changes is None for each in programs):
        result.doubts.append(
            f"what {unseen.names(programs)} did to the table cannot be seen, and nothing says "
            "what it should have done: only a teller's lines do"
        )
        programs = []
    done = {each.name for each in case.outcome.processes if each.phase == "done"}
    unfinished = [each for each in programs if each.name not in done]
    if unfinished:
        result.doubts.append(
            f"{unseen.names(unfinished)} did not end as it should: how much of its lines was done "
            "cannot be told, and so not what should be in stock"
        )
        programs = []
    updates = sections.of(case.history, Effect.UPDATE)
    flying = case.history.by_object(Effect.UPDATE, done=False)
    nothing = np.empty(0, np.int64)
    cases = []
    for row, (initial, final) in enumerate(zip(rows, finals, strict=True)):
        spoiled = _not_finite(case, row, initial, final)
        if spoiled is not None:
            cases.append(spoiled)
        elif programs:
            mine = updates.get(row, Sections(case.history, nothing))
            lineage = trace_sections(mine, nothing, initial[-1], final[-1])
            cases += _missing(case, programs, row, lineage, result)
            if row in flying:
                result.doubts.append(
                    f"{case.row(row)}: {many(len(flying[row]), 'update')} {were(len(flying[row]))} "
                    "in flight when a process died: whether it was done cannot be told here"
                )
    if cases:
        cases.sort(key=lambda each: -each.amount)
        lead = f"The balance sheet is wrong in {many(len(cases), 'row')}."
        found = finding("lost_update", len(cases), sum(each.amount for each in cases),
                        (cases[0], cases[0], cases[-1]), lead)  # fmt: skip
        result.findings.append(found)
        result.measures["lost_updates"] = len(cases)
    return result


def check(case: Case) -> list[str]:
    """Return a doubt for each program that printed a balance which its lines do not make.

    Or a line that means to tell one, and does not.
    """
    doubts = []
    for process in case.plan.processes:
        program = process.program
        if program is None or not process.plain or program.balance is None:
            continue
        said = printed.read(case.outputs.get(process.name, ""))
        if said.strange is not None:
            doubts.append(f"{process.name} printed {said.strange!r}, which tells no balance")
        if said.balance is not None and abs(float(said.balance) - program.balance) > said.slack:
            doubts.append(
                f"{process.name} printed a balance of {said.balance}, but its lines make it "
                f"{program.balance:.6f}"
            )
    return doubts


def untried(case: Case) -> list[str]:
    """Return why a right balance sheet proves nothing of the locks."""
    programs = unseen.on_table(case.plan)
    plan = case.plan
    others = sum(len(process.records) > 0 for process in case.history.processes)
    if plan.table is None or plan.table.lock.kind != "none":
        return []
    if not programs or len(programs) + others < 2:
        return []
    return [
        f"the balance sheet is right, but nothing guards the table, and nobody saw whether "
        f"{unseen.names(programs)} ever met another: these programs wrote no history"
    ]


def _missing(
    case: Case, programs: list[ProcessPlan], row: int, lineage: Lineage, result: Result
) -> list[Instance]:
    """Return what is missing of a row, if anything is, and note it in the measures."""
    name = case.row(row)
    changes = [each.program.changes[row] for each in programs if each.program is not None
               and each.program.changes is not None]  # fmt: skip
    units = exact(np.array(changes, np.float64))
    if lineage.missing is None or units is None:
        result.doubts += [f"{name}: {doubt}" for doubt in lineage.doubts]
        return []
    promised = total(units)
    # Where nothing was recorded of the row, all of its change is theirs.
    missing = lineage.missing + promised
    attributed = 0 if lineage.lost is None else lineage.lost_sum()
    result.measures["missing"][name] = missing / UNIT
    result.measures["lost"][name] = attributed / UNIT
    if not missing:
        return []
    outcome = case.outcome
    initial, final = (rows[row][-1] for rows in (outcome.initial or [], outcome.final or []))
    recorded = 0 if not len(lineage.delta) else total(lineage.delta)
    parts = [f"{number(initial)} {name} at first", f"{number(promised / UNIT)} by the lines of "
             f"{unseen.names(programs)}"]  # fmt: skip
    if recorded or len(lineage.positions):
        parts.append(f"{number(recorded / UNIT)} by recorded trades")
    should = final + missing / UNIT
    told = (
        f"{', '.join(parts)} make {number(should)}; {number(final)} are there: "
        f"{number(abs(missing) / UNIT)} are {'missing' if missing > 0 else 'too much'}."
    )
    back = _put_back(case, row, lineage)
    if back:
        told += back
    elif attributed:
        told += (
            f" The records lay {number(attributed / UNIT)} of it to updates that wrote over each "
            f"other; {number((missing - attributed) / UNIT)} nobody can be named for."
        )
    else:
        told += " Nobody can be named: who wrote over whom stands in no history."
    return [Instance(abs(missing) / UNIT, told)]


def _put_back(case: Case, row: int, lineage: Lineage) -> str:
    """Tell of a first stock that was read again after others had been written ("": of none).

    So it is when a program fills the table anew while others trade.
    """
    history, positions = case.history, lineage.positions
    first = (case.outcome.initial or [])[row][-1]
    read, written = (history.gather(name, positions) for name in ("v3", "v4"))
    entered, left = (history.gather(name, positions) for name in ("entered", "left"))
    wrote = np.flatnonzero(written != first)
    if not len(wrote):
        return ""
    before = wrote[np.argmin(left[wrote])]
    again = np.flatnonzero((read == first) & (entered > left[before]))
    if not len(again):
        return ""
    at = again[np.argmin(entered[again])]
    return (
        f" {case.process(int(positions[at]))} read the first {number(first)} again, "
        f"{span(int(entered[at] - left[before]))} after {case.process(int(positions[before]))} had "
        f"written {number(float(written[before]))}: somebody put the row back to its beginning."
    )


def _not_finite(
    case: Case, row: int, initial: Sequence[float], final: Sequence[float]
) -> Instance | None:
    if math.isfinite(final[-1]) and exact(np.array([final[-1]])) is not None:
        return None
    told = (
        f"{case.row(row)}: the stock is {final[-1]!r} in the end, which no purchase and no sale of "
        f"a whole or exact amount makes ({number(initial[-1])} at first)."
    )
    return Instance(abs(initial[-1]), told)
