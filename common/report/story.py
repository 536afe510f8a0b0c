"""How did one finding come about? Its operations and those around them, step by step.

Pure functions of a stored run: the verb ``explain`` prints what is told here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.report.order import Placed, Step, arrange
from common.report.prevention import prevention
from common.verdict.delivery import traffic
from common.verdict.finding import Finding, Witness
from common.verdict.wording import number

# A table with more operations, or more columns, is no longer read.
OPERATIONS, PROCESSES = 12, 5

SENDS, MOVES = (Effect.OFFER, Effect.PASS), (Effect.OFFER, Effect.TAKE, Effect.PASS, Effect.DELIVER)
RATES = (Effect.SET, Effect.SNAPSHOT)
STOCK, SELL, BUY = "stock", "sell", "buy"

Moment = tuple[str, str, float, bool]


def tell(case: Case, finding: Finding, which: str) -> dict[str, Any]:
    """Return the story of a finding's ``first``, ``worst`` or ``last`` case, JSON-able.

    ``rows`` are its steps in time order, at most those of 12 operations (``left_out`` counts the
    others); ``at_ns`` is the time of a stamp since the gate, ``from_ns`` and ``to_ns`` bound an
    access; ``in_order`` says that a row came after the row above it for certain.
    """
    chosen = getattr(finding, which)
    witnesses = list(dict.fromkeys(_position(case, each) for each in chosen.witnesses))
    effects = {case.history.operation(at).effect for at in witnesses}
    scene = Scene(case, witnesses)
    if Effect.PAGE in effects:
        scene.pages()
    elif effects & set(MOVES):
        scene.jobs()
    elif effects:
        scene.row(effects)
    placed = arrange(scene.steps, scene.pairs, scene.sources())
    rows = [_row(case, each) for each in placed]
    for above, row in zip([None, *rows], rows, strict=False):
        row["switch"] = above is not None and above["process"] != row["process"]
    return {
        "kind": finding.kind,
        "count": finding.count,
        "which": which,
        "amount": chosen.amount,
        "sentence": chosen.sentence,
        "processes": list(dict.fromkeys(row["process"] for row in rows)),
        "rows": rows,
        "left_out": scene.left_out,
        "prevention": prevention(case, finding.kind, witnesses),
    }


def _position(case: Case, witness: Witness) -> int:
    names = [process.name for process in case.history.processes]
    return case.history.bounds[names.index(witness.process)] + witness.seq - 1


def _row(case: Case, placed: Placed) -> dict[str, Any]:
    step, position = placed.step, placed.step.position
    return {
        "process": case.process(position),
        "operation": case.history.operation(position).name,
        "seq": case.history.record(position)["seq"],
        "step": step.action,
        "text": step.text,
        "value": step.value,
        "at_ns": step.at,
        "from_ns": placed.earliest,
        "to_ns": placed.latest,
        "line": step.line,
        "in_order": placed.in_order,
    }


@dataclass
class Scene:
    """The steps of the operations that a story is about; ``left_out`` were too many."""

    case: Case
    witnesses: list[int]
    steps: list[Step] = field(default_factory=list)
    pairs: list[tuple[Step, Step]] = field(default_factory=list)
    left_out: int = 0
    opening: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)

    def row(self, effects: set[Effect]) -> None:
        """Tell of a row of the table: updates of its stock, or changes and views of its rates."""
        history, case = self.case.history, self.case
        about = {*effects, *(RATES if effects & set(RATES) else ())}
        number = int(history.objects[self.witnesses[0]])
        opening = (case.outcome.initial or [])[number : number + 1]
        for variable, effect, cell, field_ in (
            (STOCK, Effect.UPDATE, "v4", -1), (SELL, Effect.SET, "v0", 0), (BUY, Effect.SET, "v1", 1),
        ):  # fmt: skip
            if opening:
                self._values(variable, [effect], number, cell, opening[0][field_])
        same = history.select(*about)
        same = same[history.objects[same] == number]
        for position in self._choose(self._around(same)):
            found = history.record(position)
            operation = history.operation(position)
            moments: list[Moment]
            match operation.effect:
                case Effect.UPDATE:
                    # What adds to the row checks something else: its rate.
                    check = STOCK if operation.sign < 0 else "rate"
                    moments = [
                        ("checks", check, found["v1"], False),
                        ("reads", STOCK, found["v3"], False),
                        ("writes", STOCK, found["v4"], True),
                    ]
                case Effect.SET:
                    moments = [("writes", SELL, found["v0"], True)]
                    moments += [("writes", BUY, found["v1"], True)]
                case _:
                    moments = [("reads", SELL, found["v0"], False)]
                    moments += [("reads", BUY, found["v1"], False)]
            goal = operation.name
            if operation.effect is Effect.UPDATE:
                goal += f" {_told(found['v0'])}"
            self._operation(position, goal, [_access(position, *each) for each in moments])
        self._in_turn()

    def jobs(self) -> None:
        """Tell of the ways of some jobs: offered, taken, passed on, delivered."""
        history, moved = self.case.history, traffic(self.case)
        items = {int(history.record(at)["item"]) for at in self.witnesses} - {0}
        candidates = [at for item in sorted(items) for at in moved.of(item, moved.every)]
        for witness in self.witnesses:
            found, channel = history.record(witness), self.case.channel(history.objects[witness])
            effect = history.operation(witness).effect
            if effect not in (*SENDS, Effect.TAKE) or channel is None or channel.per:
                continue
            if found["asked"] == found["entered"]:
                continue
            for variable, side in (("tail", SENDS), ("head", (Effect.TAKE,))):
                there = history.select(*side)
                there = there[history.objects[there] == found["object"]]
                name = f"{variable} {found['object']}"
                self._values(name, side, found["object"], "v4", 0.0)
                if effect in side:
                    candidates += self._around(there)
                elif found["v3"] != found["v4"]:
                    # Who took what stood at the position that was written twice.
                    candidates += there[history.gather("v3", there) == found["v3"]].tolist()
        for position in self._choose(candidates):
            self._move(position)
        self._in_turn()
        placed = [step for step in self.steps if step.action in ("offers", "passes on")]
        for taken in self.steps:
            if taken.action == "takes":
                ways = [each for each in placed if self._same(each, taken)]
                # Of several copies, nobody knows which was taken.
                self.pairs += [(ways[0], taken)] if len(ways) == 1 else []

    def pages(self) -> None:
        """Tell of the lines of the paper around the place where a job was cut in two."""
        history = self.case.history
        every = history.select(Effect.PAGE)
        every = every[history.objects[every] == history.objects[self.witnesses[0]]]
        every = every[np.argsort(history.gather("v2", every), kind="stable")]
        items = np.array([history.record(at)["item"] for at in every.tolist()], dtype=np.uint64)
        own = np.flatnonzero(items == history.record(self.witnesses[0])["item"])
        gaps = np.flatnonzero(np.diff(own) > 1)
        cut = int(own[gaps[0]]) if len(gaps) else int(own[0])
        start = max(int(own[0]), cut - OPERATIONS // 3)
        chosen = every[start : min(start + OPERATIONS, int(own[-1]) + 1)].tolist()
        self.left_out = int(own[-1]) + 1 - int(own[0]) - len(chosen)
        ends = list(accumulate(len(f"{one}\n".encode()) for one in self.case.paper_lines or []))
        prints: dict[int, list[Step]] = {}
        printed: list[Step] = []
        for position in chosen:
            found = history.record(position)
            page = Step(position, "prints", f"prints page {found['v0']:.0f} of {found['v1']:.0f}")
            page.value = found["v0"]
            page.line = int(np.searchsorted(ends, found["v2"], side="right")) + 1
            whole = self._print_of(position)
            if whole is None:
                page.text += f", {self.case.job(found['item'])}"
            else:
                prints.setdefault(whole, []).append(page)
            frame = self._stamps(position, None)
            self._chain([frame[0], page, *frame[1:]])
            printed.append(page)
        for position, own_pages in prints.items():
            frame = self._stamps(position, self.case.job(history.record(position)["item"]))
            self.steps += [step for step in frame if step not in self.steps]
            for page in own_pages:
                self.pairs += [(step, page) for step in frame[:-1]] + [(page, frame[-1])]
        # The kernel appends whole pages: where they lie is the order in which they were written.
        self.pairs += list(zip(printed, printed[1:], strict=False))

    def sources(self) -> list[tuple[Step | None, Step]]:
        """Pair each read whose value was written only once with the write; None: the opening."""
        found: list[tuple[Step | None, Step]] = []
        for step in self.steps:
            values = self.opening.get(step.variable or "")
            if values is None or step.writes:
                continue
            same = np.flatnonzero(values == step.value)
            if len(same) != 1:
                continue
            if same[0] == 0:
                found.append((None, step))
            found += [
                (other, step)
                for other in self.steps
                if other.writes
                and other.variable == step.variable
                and other.value == step.value
                and other.position != step.position
            ]
        return found

    def _values(
        self, variable: str, effects: Sequence[Effect], number: int, cell: str, first: float
    ) -> None:
        # Nobody knows what an operation wrote that was cut off: then no value names its writer.
        history = self.case.history
        flying = history.select(*effects, done=False)
        if not (history.objects[flying] == number).any():
            done = history.select(*effects)
            done = done[history.objects[done] == number]
            self.opening[variable] = np.append(first, history.gather(cell, done))

    def _around(self, same: Positions) -> list[int]:
        """Return those of ``same`` that overlap the witnesses or lie between, nearest first."""
        history = self.case.history
        frames = [history.record(at) for at in self.witnesses]
        start = min(found["entered"] for found in frames)
        end = max(found["left"] or found["entered"] for found in frames)
        entered, left = (history.gather(stamp, same) for stamp in ("entered", "left"))
        inside = (entered <= end) & (left >= start)
        same, left = same[inside], left[inside]
        ends = np.array([found["left"] or found["entered"] for found in frames])
        far = np.min(np.abs(left[:, None] - ends[None, :]), axis=1)
        # Whoever handled a value that the witnesses handled belongs to their story.
        values = [found[cell] for found in frames for cell in ("v3", "v4")]
        kin = np.isin(history.gather("v3", same), values)
        kin |= np.isin(history.gather("v4", same), values)
        nearest: list[int] = same[np.lexsort((far, ~kin))].tolist()
        return nearest

    def _choose(self, candidates: Sequence[int]) -> list[int]:
        wanted = list(dict.fromkeys([*self.witnesses, *candidates]))
        chosen: list[int] = []
        columns: set[str] = set()
        for position in wanted:
            name = self.case.process(position)
            if len(chosen) < OPERATIONS and (name in columns or len(columns) < PROCESSES):
                chosen.append(position)
                columns.add(name)
        self.left_out = len(wanted) - len(chosen)
        return sorted(chosen)

    def _move(self, position: int) -> None:
        """Add the steps of offering, taking, passing on or delivering a job."""
        history = self.case.history
        found, effect = history.record(position), history.operation(position).effect
        place = self.case.place(position)
        action, link = {
            Effect.OFFER: ("offers", "to"), Effect.TAKE: ("takes", "from"),
            Effect.PASS: ("passes on", "to"), Effect.DELIVER: ("delivers", "on"),
        }[effect]  # fmt: skip
        text = f"{action} {self.case.job(found['item'])}"
        framed = found["asked"] != found["entered"] and effect is not Effect.DELIVER
        if not framed or position not in self.witnesses:
            text += f" {link} {place}"
        if found["left"] and found["v0"] != found["v1"]:
            text += f", checksum {_told(found['v1'])}, declared {_told(found['v0'])}"
        moved = Step(position, action, text)
        steps = [moved]
        # A slot has one position only; where the kernel synchronises there is none.
        if framed and found["v3"] != found["v4"] and found["left"]:
            side = f"{'tail' if effect in SENDS else 'head'} {found['object']}"
            texts = [f"reads position {_told(found['v3'])}", f"writes position {_told(found['v4'])}"]
            steps.insert(0, Step(position, "reads", texts[0], None, side, found["v3"]))
            steps.append(Step(position, "writes", texts[1], None, side, found["v4"], True, True))
        self._operation(position, place if framed else None, steps)

    def _operation(self, position: int, goal: str | None, accesses: list[Step]) -> None:
        if self.case.history.in_flight[position]:
            accesses = accesses[:1]
            accesses[0].text = "is cut off: what it did was not recorded"
            accesses[0].value = accesses[0].variable = None
        witness = goal is not None and position in self.witnesses
        frame = self._stamps(position, goal if witness else None)
        *opening, closing = frame
        ended = bool(closing.at)
        self._chain([*opening, *accesses, *([closing] if ended else [])])

    def _stamps(self, position: int, goal: str | None) -> list[Step]:
        """Return the steps that have a time: asking if there was a lock to ask for, going in, out.

        They are shown for an operation with a ``goal``.
        """
        found, gate = self.case.history.record(position), self.case.outcome.gate_ns
        asked, entered, left = (found[f"{name}"] - gate for name in ("asked", "entered", "left"))
        text = f"enters: {goal}"
        steps = []
        if self._lock(position) and found["entered"] > found["asked"] > 0:
            text = f"enters after {(entered - asked) / 1000:,.1f} µs: {goal}"
            steps.append(Step(position, "asks", "asks", asked))
        steps.append(Step(position, "enters", text, entered if found["entered"] else None))
        steps.append(Step(position, "leaves", "leaves", left if found["left"] else None))
        for step in steps:
            step.shown = goal is not None and step.at is not None
        return steps

    def _lock(self, position: int) -> bool:
        plan = self.case.plan
        match self.case.history.operation(position).place:
            case "table":
                return plan.table is not None and plan.table.lock.kind != "none"
            case "paper":
                return plan.paper is not None and plan.paper.lock.kind != "none"
            case _:
                # Whoever comes to a channel waits for room or for a message, lock or not.
                return True

    def _chain(self, steps: list[Step]) -> None:
        self.steps += steps
        self.pairs += zip(steps, steps[1:], strict=False)

    def _in_turn(self) -> None:
        """Add that the operations of one process follow one another."""
        by_process: dict[str, list[Step]] = {}
        for step in self.steps:
            by_process.setdefault(self.case.process(step.position), []).append(step)
        for steps in by_process.values():
            steps.sort(key=lambda step: step.position)
            self.pairs += zip(steps, steps[1:], strict=False)

    def _same(self, placed: Step, taken: Step) -> bool:
        history = self.case.history
        one, other = history.record(placed.position), history.record(taken.position)
        return (one["item"], one["object"]) == (other["item"], other["object"])

    def _print_of(self, page: int) -> int | None:
        """Return the print job in which a page lies."""
        history, found = self.case.history, self.case.history.record(page)
        prints = history.select(Effect.DELIVER)
        cuts = history.bounds
        which = int(np.searchsorted(cuts, page, side="right"))
        prints = prints[(prints > page) & (prints < cuts[which])]
        for position in prints[:1].tolist():
            if history.record(position)["item"] == found["item"]:
                return int(position)
        return None


def _access(position: int, action: str, variable: str, value: float, writes: bool) -> Step:
    shown = f"{action} {_told(value)}" if variable == STOCK else f"{action} {variable} {_told(value)}"
    return Step(position, action, shown, None, variable, value, writes, late=writes)


def _told(value: float) -> str:
    return number(value, 9)
