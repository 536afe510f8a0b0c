"""How a grading file becomes items that can be judged, or all that is wrong with it.

What would make points a matter of luck is refused here: processes that run freely beside each
other, faults that strike by the clock.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from common.errors import ScenarioError
from common.grading import luck, shapes
from common.kinds import nearest
from common.scenario import nodes, source
from common.scenario.load import load
from common.scenario.plan import Deadlines, Plan, plan
from common.scenario.schedule import Token
from common.scenario.settings import Setting
from common.scenario.values import Path, Reading
from common.system import System

# The seed of what has none: a drawn one would make points a matter of luck.
SEED = 1
# What only one strategy can be told.
_OWNERS = (("depth", "pct"), ("preemptions", "exhaustive"), ("reduce", "exhaustive"))


class Walk(NamedTuple):
    """Schedules to be walked: at most so many, chosen by a strategy."""

    schedules: int
    strategy: str = "exhaustive"
    preemptions: int | None = None
    depth: int = 3
    reduce: bool | None = None


@dataclasses.dataclass(frozen=True)
class Item:
    """One thing that is asked for; ``settings`` are those of the grading file, without deadlines.

    ``text`` is that of the scenario's file, read before a submission could change it.

    ``weights`` has one for each of the ``tokens``; ``into`` are the paths of the submission here.
    """

    name: str
    number: int
    points: float
    scenario: str
    file: FilePath
    text: str
    variant: str
    seed: int
    settings: tuple[Setting, ...]
    deadlines: tuple[Setting, ...]
    walk: Walk | None
    tokens: tuple[Token, ...]
    weights: tuple[float, ...]
    credit: str
    costs: Mapping[str, float]
    hidden: bool
    into: tuple[str, ...]
    seconds: Deadlines

    def plan(self, values: list[Setting], systems: Mapping[str, System], seed: int) -> Plan:
        """Return its plan with the ``values`` of a submission; raises ``ScenarioError``."""
        given = [*self.settings, *self.deadlines, *values]
        return plan(load(self.file, systems, given, text=self.text), self.variant, seed, systems)


class SubmissionPlan(NamedTuple):
    """How a submission is built and what of it is put in; paths in ``into`` are dotted.

    ``directory`` is that of the grading file; ``given`` are files to be put into the copy, by name.
    """

    directory: FilePath
    build: tuple[str, ...]
    command: tuple[str, ...]
    into: tuple[str, ...]
    seconds: float
    reference: FilePath | None
    given: Mapping[str, FilePath]


class Grading(NamedTuple):
    """A grading file without an error."""

    title: str
    source: str
    submission: SubmissionPlan | None
    items: list[Item]
    hidden_until: str


def read(path: FilePath, systems: Mapping[str, System]) -> Grading:
    """Read the grading file at ``path``; raises ``ScenarioError`` with every complaint."""
    shown = source.shown(path)
    tree, complaints = nodes.compose(source.read(path), shown)
    if not isinstance(tree, nodes.Mapping):
        place = nodes.Place(shown, 1, 1) if tree is None else tree.place
        hint = "a grading file has a list of items"
        raise ScenarioError(complaints or [place.complaint("", "this grades nothing", hint)])
    reading = Reading(complaints)
    values = shapes.FILE.read(tree, (), reading) or {}
    reader = _Reader(path.parent, systems, values, reading)
    items = reader.items()
    submission = reader.submission()
    if reading.complaints:
        once = sorted(
            set(reading.complaints), key=lambda each: (each.source, each.line, each.column)
        )
        raise ScenarioError(once)
    until = shapes.HIDDEN_UNTIL[values.get("hidden_until", "published")]
    return Grading(values.get("title", path.stem), shown, submission, items, until)


class _Reader:
    def __init__(
        self,
        directory: FilePath,
        systems: Mapping[str, System],
        values: dict[str, Any],
        reading: Reading,
    ) -> None:
        self.directory = directory
        self.systems = systems
        self.values = values
        self.reading = reading
        self.complain = reading.complain
        self.given = values.get("submission") or {}
        self.deadlines = self._deadlines()

    def submission(self) -> SubmissionPlan | None:
        """Return what is said of the submission; None where there is none."""
        given = self.given
        path: Path = ("submission",)
        if "submission" not in self.values:
            return None
        reference = None
        if "reference" in given:
            reference = self.directory / given["reference"]
            if not reference.exists():
                self.complain(
                    (*path, "reference"), f"there is no {given['reference']} beside this file"
                )
        if "command" in given and "into" not in given:
            hint = "such as processes.trader.command"
            self.complain(path, "a command is put `into` some place, and none is named", hint)
        if "build" in given and "command" not in given:
            self.complain((*path, "build"), "what is built is not used", "name its `command`")
        return SubmissionPlan(
            self.directory,
            tuple(given.get("build", ())),
            tuple(given.get("command", ())),
            tuple(given.get("into", ())),
            given.get("seconds", 60.0),
            reference,
            self._given_files(),
        )

    def _given_files(self) -> dict[str, FilePath]:
        found: dict[str, FilePath] = {}
        for name, word in self.given.get("with", {}).items():
            file, place = self.directory / word, ("submission", "with", name)
            parts = FilePath(name).parts
            if FilePath(name).is_absolute() or ".." in parts or not parts:
                self.complain(place, f"{name} lies outside of the submission", "such as lab.h")
            elif "*" in file.name:
                several = {f"{name}/{each.name}": each for each in file.parent.glob(file.name)}
                if not any(each.is_file() for each in several.values()):
                    self.complain(place, f"there is no file like {word} beside this file")
                found |= {name: each for name, each in several.items() if each.is_file()}
                continue
            elif not file.is_file():
                self.complain(place, f"there is no file {word} beside this file")
            found[name] = file
        return found

    def items(self) -> list[Item]:
        """Return the items that could be read."""
        found = []
        names: dict[str, int] = {}
        for at, values in enumerate(self.values.get("items", [])):
            path = ("items", at)
            if values is None or not {"name", "scenario", "points"} <= values.keys():
                continue
            if values["name"] in names:
                self.complain((*path, "name"), f"item {names[values['name']]} has this name, too")
            names.setdefault(values["name"], at + 1)
            if self.reading.sound(path):
                item = self._item(at, values)
                found += [item] if item is not None else []
        return found

    def _item(self, at: int, values: dict[str, Any]) -> Item | None:
        path = ("items", at)
        self._check_schedules(path, values)
        settings = [*self._settings(("submission", "set"), self.given.get("set", {}))]
        settings += self._settings((*path, "set"), values.get("set", {}))
        if "expect" in values:
            place = self.reading.keys[*path, "expect"].place
            settings.append(Setting("expect", place, values["expect"]))
        word = values["scenario"]
        file = _file(word, self.directory)
        if not file.is_file():
            hint = "a shipped one, such as exchange/two_traders, or a .yaml beside this file"
            self.complain((*path, "scenario"), f"there is no scenario {word!r}", hint)
            return None
        into = tuple(values.get("into", self.given.get("into", ())))
        try:
            text = source.read(file)
            given = [*settings, *self.deadlines, *self._stand_ins(into)]
            scenario = load(file, self.systems, given, text=text)
        except ScenarioError as error:
            self.reading.complaints += error.complaints
            return None
        tokens = tuple(values.get("schedules", ()))
        variant = values.get("variant") or (tokens[0].variant if tokens else None)
        variant = variant or next(iter(scenario.variants))
        if variant not in scenario.variants:
            hint = nearest(variant, scenario.variants)
            self.complain((*path, "variant"), f"{word} has no variant {variant!r}", hint)
            return None
        own = scenario.variants[variant].values.get("seed", SEED)
        planned = plan(scenario, variant, values.get("seed", own), self.systems)
        self._check_places(at, into, planned)
        led = "walk" in values or bool(tokens) or planned.schedule is not None
        for reason, hint in luck.reasons(planned, self.systems, led=led, walked="walk" in values):
            self.complain(path, reason, hint)
        walk = values.get("walk")
        return Item(
            name=values["name"],
            number=at + 1,
            points=values["points"],
            scenario=word if not FilePath(word).suffix else str(file),
            file=file,
            text=text,
            variant=variant,
            seed=planned.seed,
            settings=tuple(settings),
            deadlines=tuple(self.deadlines),
            walk=None if walk is None else Walk(**walk),
            tokens=tokens,
            weights=tuple(values.get("weights", [1.0] * len(tokens))),
            credit=values.get("credit", shapes.ALL if walk is not None else shapes.SHARE),
            costs={**self.values.get("costs", {}), **values.get("costs", {})},
            hidden=values.get("hidden", False),
            into=into,
            seconds=planned.deadlines,
        )

    def _check_schedules(self, path: Path, values: dict[str, Any]) -> None:
        walk, tokens = values.get("walk"), values.get("schedules")
        if walk is not None and tokens is not None:
            self.complain((*path, "walk"), "an item walks, or replays schedules", "make two items")
        if "weights" in values and len(values["weights"]) != len(tokens or []):
            reason = f"{len(values['weights'])} weights for {len(tokens or [])} schedules"
            self.complain((*path, "weights"), reason, "one for each")
        elif "weights" in values and not sum(values["weights"]):
            self.complain((*path, "weights"), "no schedule counts anything", "more than 0")
        if tokens is not None and "seed" in values:
            self.complain((*path, "seed"), "a token has its own seed", "leave this one out")
        for name, owner in (
            ("depth", "pct"),
            ("preemptions", "exhaustive"),
            ("reduce", "exhaustive"),
        ):
            strategy = (walk or {}).get("strategy", "exhaustive")
            if walk and name in walk and strategy != owner:
                reason = f"means nothing to the strategy {strategy}"
                self.complain((*path, "walk", name), reason, f"only to {owner}")

    def _check_places(self, at: int, into: tuple[str, ...], planned: Plan) -> None:
        """Complain where the submission would be put beside everything that the scenario has."""
        own: Path = ("items", at, "into")
        place = own if own in self.reading.nodes else ("items", at, "scenario")
        for each in into:
            head, _, rest = each.partition(".")
            group = rest.partition(".")[0]
            known = [group.name for group in planned.groups]
            if head == "processes" and group not in known and not group.isdigit():
                reason = f"the submission goes into {each}, and there is no such group here"
                hint = f"{nearest(group, known)}; an item may have its own `into`"
                self.complain(place, reason, hint)

    def _stand_ins(self, into: tuple[str, ...]) -> list[Setting]:
        """Return settings that put some program into the places of one that is not there yet."""
        if "command" not in self.given:
            return []
        place = self.reading.nodes["submission", "command"].place
        return [Setting(path, place, nodes.Scalar(place, sys.executable)) for path in into]

    def _settings(self, path: Path, values: Mapping[str, Any]) -> list[Setting]:
        return [
            Setting(name, self.reading.keys[*path, name].place, node)
            for name, node in values.items()
        ]

    def _deadlines(self) -> list[Setting]:
        given = dict(self.values.get("deadlines") or {})
        settings = []
        for name, value in given.items():
            node = self.reading.nodes["deadlines", name]
            settings.append(Setting(f"deadlines.{name}", node.place, node))
            if name == "run" and "wait" not in given:
                text = nodes.Scalar(node.place, f"{value:g}")
                settings.append(Setting("deadlines.wait", node.place, text))
        return settings


def _file(word: str, directory: FilePath) -> FilePath:
    """Return the file of a scenario: a shipped one by its name, another beside the grading file."""
    configs = FilePath(__file__).resolve().parents[2] / "configs"
    return directory / word if FilePath(word).suffix else configs / f"{word}.yaml"
