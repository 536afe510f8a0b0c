"""How did one finding come about? Its operations and those around them, step by step.

Pure functions of a stored run: the verb ``explain`` prints what is told here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from common.history.case import Case
from common.history.operations import Effect
from common.report.locking import late_lock
from common.report.order import Placed, Step, arrange
from common.report.paper import tell_pages
from common.report.prevention import prevention
from common.report.scene import Scene
from common.report.standstill import standstill
from common.report.text import number
from common.verdict.delivery import traffic
from common.verdict.finding import Finding, Witness
from common.verdict.halves import is_second

SENDS, TAKES = (Effect.OFFER, Effect.PASS), (Effect.TAKE,)
RATES = (Effect.SET, Effect.SNAPSHOT)
_MOVES = {
    Effect.OFFER: ("offers", "to"),
    Effect.TAKE: ("takes", "from"),
    Effect.PASS: ("passes on", "to"),
    Effect.DELIVER: ("delivers", "on"),
}


def tell(case: Case, finding: Finding, which: str) -> dict[str, Any]:
    """Return the story of a finding's ``first``, ``worst`` or ``last`` case, JSON-able.

    ``rows`` are its steps in time order, those of 12 operations at most (``left_out`` counts the
    others). ``at_ns`` is the time of a stamp since the gate; ``from_ns`` and ``to_ns`` bound an
    access, None where nothing does. ``in_order`` says that a row came after the one above it for
    certain, ``switch`` that it is another process's.
    ``exact`` says that a schedule tells the order of all of them.
    """
    chosen = getattr(finding, which)
    witnesses = list(dict.fromkeys(_position(case, each) for each in chosen.witnesses))
    effects = {case.history.operation(at).effect for at in witnesses}
    # Of the two halves of one operation the first is told: the other is in another row.
    told = [at for at in witnesses if not is_second(case, at)]
    scene = Scene(case, told, finding.kind == "starvation")
    if finding.kind == "deadlock":
        rows = [each.row(process, "", None) for process, each in standstill(case)]
    else:
        rows = [_row(case, each) for each in _operations(scene, effects)]
    for above, row in zip([*rows[:1], *rows], rows, strict=False):
        row["switch"] = above["process"] != row["process"]
    exact = bool(case.outcome.trace) and all(row["at_ns"] is not None for row in rows)
    return {
        "kind": finding.kind,
        "count": finding.count,
        "which": which,
        "amount": chosen.amount,
        "sentence": chosen.sentence,
        "processes": list(dict.fromkeys(row["process"] for row in rows)),
        "rows": rows,
        "exact": exact,
        "left_out": scene.left_out,
        "prevention": prevention(case, finding.kind, witnesses),
    }


def _operations(scene: Scene, effects: set[Effect]) -> list[Placed]:
    """Return the steps of the operations that bear witness, and of those around them."""
    if Effect.PAGE in effects:
        tell_pages(scene)
    elif effects & set(_MOVES):
        _jobs(scene)
    elif effects:
        _accesses(scene, effects)
    placed = arrange(scene.steps, scene.pairs, scene.sources())
    _write_out([each.step for each in placed])
    return placed


def _position(case: Case, witness: Witness) -> int:
    names = [process.name for process in case.history.processes]
    return case.history.bounds[names.index(witness.process)] + witness.seq - 1


def _row(case: Case, placed: Placed) -> dict[str, Any]:
    at = placed.step.position
    operation, seq = case.history.operation(at).name, case.history.record(at)["seq"]
    return placed.row(case.process(at), operation, seq)


def _write_out(steps: Sequence[Step]) -> None:
    """Put the values into the texts, with as many digits as tell them all apart."""
    values = {step.value for step in steps if step.value is not None}
    digits = next((n for n in range(4, 9) if len({number(v, n) for v in values}) == len(values)), 9)
    for step in steps:
        if step.value is not None:
            step.text = step.text.format(number(step.value, digits))


def _accesses(scene: Scene, effects: set[Effect]) -> None:
    """Tell of a row of the table: updates of its stock, or changes and views of its rates."""
    case, history = scene.case, scene.case.history
    row = int(history.objects[scene.witnesses[0]])
    for opening in (case.outcome.initial or [])[row : row + 1]:
        scene.written("stock", [Effect.UPDATE], row, "v4", opening[-1])
        scene.written("sell", [Effect.SET], row, "v0", opening[0])
        scene.written("buy", [Effect.SET], row, "v1", opening[1])
    same = history.select(*effects, *(RATES if effects & set(RATES) else ()))
    same = same[history.objects[same] == row]
    scene.perform(scene.choose(scene.around(same)), _act)


def _act(scene: Scene, position: int) -> None:
    """Add the steps of an update, a change or a view."""
    history = scene.case.history
    found, operation = history.record(position), history.operation(position)
    goal = operation.name
    match operation.effect:
        case Effect.UPDATE if history.refused[position]:
            goal += f" {number(found['v0'], 9)}, refused"
            moments = [("checks", "stock" if operation.sign < 0 else "rate", "v1")]
        case Effect.UPDATE:
            goal += f" {number(found['v0'], 9)}"
            moments = [("reads", "stock", "v3"), ("writes", "stock", "v4")]
            if position in scene.witnesses:
                # What adds to the row checks something else: its rate.
                checked = "stock" if operation.sign < 0 else "rate"
                moments.insert(0, ("checks", checked, "v1"))
        case Effect.SET:
            moments = [("writes", "sell", "v0"), ("writes", "buy", "v1")]
        case _:
            moments = [("reads", "sell", "v0"), ("reads", "buy", "v1")]
    steps = [_access(position, *moment[:2], found[moment[2]]) for moment in moments]
    late = late_lock(scene.case, position)
    if late and not scene.case.outcome.trace and position in scene.witnesses:
        # It was taken after the first access and before the last.
        steps.insert(-1, Step(position, "takes", f"takes {late}"))
    scene.add(position, goal, steps)


def _access(position: int, action: str, variable: str, value: float) -> Step:
    name = "" if variable == "stock" else f"{variable} "
    step = Step(position, action, f"{action} {name}{{}}", None, variable, value)
    step.writes = step.late = action == "writes"
    step.mark = action.removesuffix("s")
    return step


def _jobs(scene: Scene) -> None:
    """Tell of the ways of some jobs: offered, taken, passed on, delivered."""
    history, jobs = scene.case.history, traffic(scene.case)
    items = {int(history.record(at)["item"]) for at in scene.witnesses} - {0}
    candidates = [at for item in sorted(items) for at in jobs.of(item, jobs.every)]
    for witness in scene.witnesses:
        found, effect = history.record(witness), history.operation(witness).effect
        channel = scene.case.channel(found["object"])
        # With `per` one index is many channels; where the kernel synchronises nobody is inside.
        if (
            effect is Effect.DELIVER
            or channel is None
            or channel.per
            or not _framed(scene, witness)
        ):
            continue
        for end, effects in (("tail", SENDS), ("head", TAKES)):
            scene.written(f"{end} {found['object']}", effects, found["object"], "v4", 0.0)
            there = history.select(*effects)
            there = there[history.objects[there] == found["object"]]
            if effect in effects:
                candidates += scene.around(there)
            elif found["v3"] != found["v4"]:
                # Who took what stood at the position that was written twice.
                candidates += there[history.gather("v3", there) == found["v3"]].tolist()
    scene.perform(scene.choose(candidates), _move)
    sent = np.sort(np.concatenate([jobs.offers, jobs.passes]))
    places = {step.position: step for step in scene.steps if step.action in ("offers", "passes on")}
    for taken in [step for step in scene.steps if step.action == "takes"]:
        found = history.record(taken.position)
        ways = [at for at in jobs.of(found["item"], sent) if history.objects[at] == found["object"]]
        # Of several copies, nobody knows which was taken.
        if len(ways) == 1 and ways[0] in places:
            scene.pairs.append((places[ways[0]], taken))


def _framed(scene: Scene, position: int) -> bool:
    found = scene.case.history.record(position)
    return bool(found["asked"] != found["entered"])


def _move(scene: Scene, position: int) -> None:
    """Add the steps of offering, taking, passing on or delivering a job."""
    found, place = scene.case.history.record(position), scene.case.place(position)
    operation = scene.case.history.operation(position)
    effect = operation.effect
    if effect is Effect.UPDATE:
        # The work that an order asked for.
        work = f"{operation.name} {number(found['v0'])} {place}"
        text = f"does {scene.case.job(found['item'])}: {work}"
        scene.add(position, "", [Step(position, "does", text, mark="write")])
        return
    action, link = _MOVES[effect]
    framed = effect is not Effect.DELIVER and _framed(scene, position)
    inside = framed and position in scene.witnesses
    text = f"{action} {scene.case.job(found['item'])}" + ("" if inside else f" {link} {place}")
    if found["v0"] != found["v1"]:
        text += f", checksum {number(found['v1'])}, declared {number(found['v0'])}"
    mark = "print" if effect is Effect.DELIVER else "write" if effect in SENDS else "read"
    steps = [Step(position, action, text, mark=mark)]
    # A slot has one position only.
    if framed and found["v3"] != found["v4"]:
        end = f"{'tail' if effect in SENDS else 'head'} {found['object']}"
        # The ring's own steps: the position is read, the message copied, the position written.
        read = Step(position, "reads", "reads position {}", None, end, found["v3"], mark="check")
        write = Step(position, "writes", "writes position {}", None, end, found["v4"], mark="write")
        write.writes = write.late = True
        steps[0].mark = "read"
        steps = [read, *steps, write]
    scene.add(position, place if framed else "", steps)
