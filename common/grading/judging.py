"""What does a submission do in one item? Walks and replays schedules, each in its own process."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from common import kinds, pipeline
from common.errors import ScenarioError
from common.exploration.explore import Budget, explore
from common.exploration.strategies import Options
from common.grading import means, passing, shapes, warden, words
from common.grading import work as work_done
from common.grading.leading import Leader
from common.grading.reading import Item
from common.grading.submission import Prepared
from common.grading.warden import Ended, GraderFailed, Wrong
from common.grading.words import HANG, LEAK
from common.history import store
from common.kernel.rooms import room
from common.report.exploration import exploration_document
from common.scenario.plan import Plan
from common.scenario.schedule import Move, Schedule, Token, write_token
from common.system import System, operations_of
from common.verdict.finding import FAILURES
from common.verdict.wording import many

# What the lab's own code raises when it is wrong, or not whole: no submission has done that.
_OURS = {
    "AssertionError", "AttributeError", "ImportError", "IndexError", "KeyError", "MemoryError",
    "ModuleNotFoundError", "NameError", "NotImplementedError", "RecursionError", "SyntaxError",
    "TypeError", "UnboundLocalError",
}  # fmt: skip
# What the lab meets where somebody has meddled with its objects or its files; where a submission
# was put in, it is the one that has.
_MEDDLED = {
    "NotPermitted", "ObjectVanished", "OSError", "PeerLost", "StoredRunError", "WaitExpired",
}  # fmt: skip
# What judging and removing may take beside the deadlines of an item (s).
SLACK = 60.0


@dataclass(frozen=True)
class Loss:
    """Why points were lost: what was found, a sentence, and how to see it again."""

    kinds: tuple[str, ...]
    sentence: str
    seed: int
    token: str | None = None
    command: str | None = None


@dataclass
class Seen:
    """What came of one item: the share of it that was lost, failures beside that, and why.

    ``said`` tells what was done, in words.
    """

    lost: float = 0.0
    failures: set[str] = field(default_factory=set)
    losses: list[Loss] = field(default_factory=list)
    said: str = ""


def warm_up() -> None:
    """Import what each piece of work would import anew: they are forks of this process."""
    importlib.import_module("structlog")
    for kind in kinds.names(kinds.PROPERTIES):
        kinds.load(kinds.PROPERTIES, kind)


def judge(item: Item, submission: Prepared, systems: Mapping[str, System]) -> Seen:
    """Judge one item; raises ``GraderFailed`` when nothing can be said of the submission."""
    if submission.rejected:
        return Seen(1.0, losses=[Loss((), submission.rejected, item.seed)])
    judging = _Judging(item, submission, systems)
    try:
        if item.walk is not None:
            return judging.walk()
        return judging.replays()
    except ScenarioError as error:
        # Without a submission the file was found right.
        return Seen(1.0, losses=[Loss((), f"it cannot be put in: {error}", item.seed)])
    except Wrong as wrong:
        return judging.failed(wrong)
    except Ended:
        if not judging.values:
            raise
        told = "it ended the process that judges it, or spoke in its place"
        return Seen(1.0, losses=[Loss((), told, item.seed)])


class _Judging:
    def __init__(self, item: Item, submission: Prepared, systems: Mapping[str, System]) -> None:
        self.item = item
        self.systems = systems
        self.values = submission.values(item.into)
        # As a student would write it.
        self.told = [*item.settings, *submission.told(item.into)]

    # Walks

    def walk(self) -> Seen:
        """Walk the schedules of an item."""
        item, walk = self.item, self.item.walk
        assert walk is not None
        plan = item.plan(self.values, self.systems, item.seed)
        options = Options(preemptions=walk.preemptions, depth=walk.depth, seed=item.seed)
        budget = Budget(walk.schedules, item.seconds.run, item.seconds.run)

        def work(out: Path) -> warden.Document:
            explored = explore(
                plan, self.systems, out, out, walk.strategy, options, budget, reduce=walk.reduce
            )
            return exploration_document(explored, out)

        found = self._alone(work, 2 * item.seconds.run)
        if found["undecided"]:
            raise GraderFailed(f"a checker failed in {many(found['undecided'], 'schedule')}")
        if found["unrepeatable"] and not self.values:
            raise GraderFailed(f"a schedule of {item.name} was not the same when it was repeated")
        return self._walked(found, plan)

    def _walked(self, found: warden.Document, plan: Plan) -> Seen:
        item = self.item
        assert item.walk is not None
        walked = many(found["schedules"], "schedule")
        all_of = "all " if found["complete"] else ""
        seen = Seen(said=f"{all_of}{walked} walked ({item.walk.strategy}), none does harm")
        if found["unrepeatable"]:
            kinds = tuple(found["unrepeatable"])
            told = (
                f"{', '.join(kinds)} was seen, and not again under the same schedule: a program "
                "that draws its own random numbers, or looks at the time, cannot be graded"
            )
            return Seen(1.0, losses=[self._loss(kinds, told)])
        self._unfinished(found, seen)
        findings = found["findings"]
        if plan.expect.verdict != "valid":
            missing = [kind for kind in plan.expect.findings if kind not in findings]
            if plan.expect.any and not set(plan.expect.any) & findings.keys():
                missing.append(" or ".join(plan.expect.any))
            if missing:
                seen.lost = 1.0
                told = f"no schedule shows {' and '.join(missing)}: {found['proof']}"
                seen.losses.append(self._loss((), told))
            return seen
        harmful = sum(each["schedules"] for each in found["outcomes"] if each["findings"])
        if harmful:
            share = harmful / found["schedules"]
            seen.lost = share if item.credit == shapes.SHARE else 1.0
            seen.losses.insert(0, self._shortest(found, harmful))
        elif found["doubted"]:
            share = found["doubted"] / found["schedules"]
            seen.lost = share if item.credit == shapes.SHARE else 1.0
            told = f"in {found['doubted']:,} of {walked}: {words.plain(found['doubt'])}"
            seen.losses.insert(0, self._loss((), told))
        elif not seen.losses:
            # Nothing that did harm: it must have done something.
            self._replay(plan, Schedule(), seen, 1.0)
        return seen

    def _unfinished(self, found: warden.Document, seen: Seen) -> None:
        """Note why a walk ended before its time."""
        assert self.item.walk is not None
        walked = many(found["schedules"], "schedule")
        if found["broken"]:
            self._excuse(found["broken"])
            kind = words.failure(found["broken"])
            seen.failures.add(kind)
            sentence = f"after {walked}: {words.plain(found['broken'])}"
            seen.losses.append(self._loss((kind,), sentence, found["broken_by"] or None))
        elif not found["complete"] and found["schedules"] < self.item.walk.schedules:
            seen.failures.add(HANG)
            sentence = f"{self.item.walk.schedules} schedules had no end within {self._run_s()}"
            seen.losses.append(self._loss((HANG,), sentence))
        if found["leaks"]:
            seen.failures.add(LEAK)
            seen.losses.append(self._loss((LEAK,), words.left(found["leaks"])))

    def _shortest(self, found: warden.Document, harmful: int) -> Loss:
        """Return the shortest schedule that does harm, with the sentence of its finding."""
        findings = found["findings"]
        # An access without an order is behind most harm: the harm itself says more.
        kind = min(
            findings,
            key=lambda each: (
                each == "data_race", findings[each]["operations"], findings[each]["switches"],
                len(findings[each]["steps"]), each,
            ),
        )  # fmt: skip
        moves = [Move(*move) for move in findings[kind]["steps"]]
        plan = self.item.plan(self.values, self.systems, self.item.seed)
        run = self._run(plan, Schedule([list(move) for move in moves], exact=True))
        told = [each for each in run["document"]["findings"] if each["kind"] == kind]
        counts = f"{kind} in {findings[kind]['schedules']:,} of {found['schedules']:,} schedules"
        if harmful > findings[kind]["schedules"]:
            counts += f", harm in {harmful:,}"
        sentence = counts + (f": {words.plain(told[0]['explanation'])}" if told else "")
        return self._loss(tuple(sorted(findings)), sentence, findings[kind]["token"])

    # Replays

    def replays(self) -> Seen:
        """Replay the tokens of an item, or run its scenario once where that can end in one way."""
        item = self.item
        seen = Seen(said="what it was asked to do came out as it must")
        if not item.tokens:
            plan = item.plan(self.values, self.systems, item.seed)
            self._replay(plan, plan.schedule, seen, 1.0)
            return seen
        of, kept_out = sum(item.weights), list[str]()
        for token, weight in zip(item.tokens, item.weights, strict=True):
            plan = item.plan(self.values, self.systems, token.seed)
            moves = [list(move) for move in token.moves]
            kept_out.append(self._replay(plan, Schedule(moves, exact=True), seen, weight / of))
        if seen.lost and item.credit == shapes.ALL:
            seen.lost = 1.0
        count = len(item.tokens)
        right = f"{count - len(seen.losses)} of {many(count, 'schedule')}"
        seen.said = f"{right} came out right"
        told = [each for each in kept_out if each]
        if told and not seen.losses:
            seen.said += f"; in {len(told)} a process was kept out: {told[0]}"
        return seen

    def _replay(self, plan: Plan, schedule: Schedule | None, seen: Seen, share: float) -> str:
        """Run once, led by ``schedule`` where there is one; note what is lost.

        Returns who was kept from following it, in words.
        """
        run = self._run(plan, schedule)
        document = run["document"]
        if document["measures"].get("checker_failed"):
            raise GraderFailed(f"a checker failed: {'; '.join(document['doubts'])}")
        programs = {process.name for process in plan.processes if process.program is not None}
        for process in document["processes"]:
            error = process["error"] or {}
            if process["name"] not in programs and error.get("kind") in _OURS:
                told = f"{process['name']} failed: {error['kind']}: {error['message']}"
                raise GraderFailed(f"{self.item.name}: {told}")
        kinds = [finding["kind"] for finding in document["findings"]]
        if run["late"]:
            kinds.append(HANG)
        kept_out: str = run["kept_out"]
        if document["as_expected"] and not run["late"] and not run["short"]:
            return kept_out
        failures = set(kinds) & set(shapes.FAILURES.values())
        promised = {*plan.expect.findings, *plan.expect.any}
        seen.failures |= failures - promised
        if not failures - promised:
            # What else is wrong then, comes of it.
            seen.lost += share
        moves = [Move(*move) for move in run["moves"]]
        if run["late"] and schedule is not None:
            moves = [Move(*move) for move in schedule.moves] if schedule.exact else []
        token = write_token(Token(plan.variant, plan.seed, moves)) if moves else None
        # Whoever did less than was asked for may have done no harm by it.
        as_expected = document["as_expected"] and not run["late"]
        why = run["short"] if as_expected else self._why(document, run["late"])
        loss = self._loss(tuple(kinds), words.plain(why), token, plan.seed)
        seen.losses.append(loss)
        return kept_out

    def _run(self, plan: Plan, schedule: Schedule | None) -> warden.Document:
        def work(out: Path) -> warden.Document:
            leader = None if schedule is None else Leader(schedule, plan.deadlines.run)
            document = pipeline.perform(plan, self.systems, out, lead=leader)
            case = store.load_case(
                Path(document["run_dir"]), operations_of(list(self.systems.values()))
            )
            done = {"document": document, "short": work_done.shortfall(case, self.systems)}
            if leader is None:
                return {**done, "moves": [], "late": False, "kept_out": ""}
            done["short"] = done["short"] or passing.unpassed(case, self.systems, leader.passed)
            led = {"moves": leader.moves, "late": leader.late, "kept_out": leader.kept_out}
            return {**done, **led}

        return self._alone(work, plan.deadlines.run)

    def _alone(self, work: Callable[[Path], warden.Document], seconds: float) -> warden.Document:
        allowed = self.item.seconds
        net = allowed.start + seconds + allowed.finish + 2 * allowed.wait + SLACK
        with room() as out:
            try:
                return warden.alone(partial(work, out), net)
            finally:
                # Before the room is given back: what came of a full disk says nothing.
                means.check_room(own=Path(out))

    # Words

    def failed(self, wrong: Wrong) -> Seen:
        """Return what is lost when a run came to nothing; raises ``GraderFailed``."""
        if wrong.kind == "TooLittleTime":
            seen = Seen(failures={HANG})
            told = f"not even one schedule had an end within {self._run_s()}"
            seen.losses.append(self._loss((HANG,), told))
        elif wrong.kind in ("ProcessError", "ProcessLost"):
            self._excuse(wrong.message)
            kind = words.failure(wrong.message)
            told = words.plain(wrong.message).removeprefix("nothing was walked: ")
            seen = Seen(failures={kind}, losses=[self._loss((kind,), told)])
        elif wrong.kind in ("UsageError", "ScheduleMisfit") and self.values:
            seen = Seen(
                1.0, losses=[self._loss((), f"it cannot be judged: {words.plain(wrong.message)}")]
            )
        elif wrong.kind in _MEDDLED and self.values:
            told = f"it meddled with what the lab needs: {words.plain(wrong.message)}"
            seen = Seen(1.0, losses=[self._loss((), told)])
        else:
            raise GraderFailed(f"{self.item.name}: {wrong.message}")
        return seen

    def _excuse(self, message: str) -> None:
        """Raise ``GraderFailed`` when a process failed and all are the lab's own."""
        plan = self.item.plan(self.values, self.systems, self.item.seed)
        if " failed: " in message and not any(each.program for each in plan.processes):
            raise GraderFailed(f"{self.item.name}: {message}")

    def _why(self, document: dict[str, Any], late: bool) -> str:
        findings = document["findings"]
        hung = [each["name"] for each in document["processes"] if each["hung"] is not None]
        if late or hung:
            return f"{', '.join(hung) or 'it'} did not come to an end within {self._run_s()}"
        if document["leaks"]:
            return words.left(document["leaks"])
        if findings and document["expected"]["verdict"] == "valid":
            # A failure is the cause of what else is wrong.
            first = next((each for each in findings if each["kind"] in FAILURES), findings[0])
            return f"{first['kind']}: {words.plain(first['explanation'])}"
        if document["verdict"] == "undecided" and document["doubts"]:
            return words.plain(document["doubts"][0])
        wanted = ", ".join(document["expected"]["findings"] or document["expected"]["any"])
        found = ", ".join(each["kind"] for each in findings) or document["verdict"]
        return f"{wanted or document['expected']['verdict']} should show here, and it is: {found}"

    def _run_s(self) -> str:
        return f"{self.item.seconds.run:g} s"

    def _loss(
        self,
        kinds: tuple[str, ...],
        sentence: str,
        token: str | None = None,
        seed: int | None = None,
    ) -> Loss:
        seed = self.item.seed if seed is None else seed
        return Loss(kinds, sentence, seed, token, words.command(self.item, self.told, seed, token))
