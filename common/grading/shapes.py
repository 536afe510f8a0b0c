"""What a grading file may hold: every key, its type, and its meaning."""

from __future__ import annotations

from typing import NamedTuple

from common import kinds
from common.errors import UsageError
from common.scenario.nodes import Node, Scalar
from common.scenario.numbers import Integer, Number
from common.scenario.schedule import Token, read_token
from common.scenario.schema import DAY, LARGEST_SEED, NAME
from common.scenario.shapes import Anything, Field, ListOf, MapOf, Record
from common.scenario.values import Boolean, Path, Reading, Text, Word, WrongValue, read_scalar

STRATEGIES = kinds.names("common.exploration.strategies")
# How points fall: with the first schedule that does harm, or in proportion to how many do.
ALL, SHARE = "all", "share"
# Until when a student sees nothing of a hidden item, with Gradescope's word for it.
HIDDEN_UNTIL = {"published": "after_published", "due_date": "after_due_date", "never": "hidden"}
# What a failure is called in a grading file, and the finding that it is.
FAILURES = {"crash": "process_crashed", "hang": "process_hung", "leak": "leak"}

MOST_ITEMS = 500
MOST_SCHEDULES = 1_000_000
ANYTHING = Anything()
POINTS = Number(0, 1_000_000)
WORDS = ListOf(Text(), minimum=1, alone=True)


class Schedule(NamedTuple):
    """A token as ``explore`` and ``play`` print it."""

    def read(self, node: Node, path: Path, reading: Reading) -> Token | None:
        """Return what the token says, or None after a complaint."""
        return read_scalar(self._token, node, path, reading)

    def _token(self, node: Scalar) -> Token:
        try:
            return read_token(node.text)
        except UsageError as error:
            # Within brackets YAML ends a word at a comma.
            raise WrongValue(error.message, f"{error.hint}; within [ ] put it in quotes") from None


class Never(NamedTuple):
    """A key that people expect here, and why it is not."""

    reason: str
    hint: str

    def read(self, node: Node, path: Path, reading: Reading) -> None:
        """Complain."""
        reading.nodes[path] = node
        reading.complain(path, self.reason, self.hint, at_key=True)


SETTINGS = MapOf(ANYTHING, Text(), "setting")

WALK = Record(
    {
        "schedules": Field(Integer(1, MOST_SCHEDULES), "How many schedules at most.", True),
        "strategy": Field(Word(STRATEGIES, "strategy"), "How they are chosen.", default=""),
        "preemptions": Field(Integer(0, 1000), "exhaustive: at most so many switches away."),
        "depth": Field(Integer(1, 100), "pct: the depth of the bugs to look for."),
        "reduce": Field(Boolean(), "exhaustive: walk orders that look alike once."),
        "seconds": Field(
            Never("a walk's budget is a number of schedules, never seconds",
                  "schedules: 50; `deadlines: {run: 20}` bounds one that hangs"), "",
        ),
    },
    "a walk",
    shorthand="schedules",
)  # fmt: skip

COSTS = Record({name: Field(POINTS, f"What a {name} costs.") for name in FAILURES}, "costs")

ITEM = Record(
    {
        "name": Field(Text(), "What the item asks for.", True),
        "scenario": Field(Text(), "A shipped scenario, or a YAML file beside this one.", True),
        "variant": Field(NAME, "Its variant; the scenario's first when absent."),
        "points": Field(POINTS, "What it is worth.", True),
        "seed": Field(Integer(0, LARGEST_SEED), "Of the amounts, and of random schedules."),
        "set": Field(SETTINGS, "Values to change, by dotted path."),
        "expect": Field(ANYTHING, "What it must show, if not what the scenario promises."),
        "walk": Field(WALK, "Schedules to be walked, so many at most."),
        "schedules": Field(ListOf(Schedule(), minimum=1, alone=True), "Tokens to be replayed."),
        "weights": Field(ListOf(Number(0, 1_000_000), minimum=1), "What each schedule counts."),
        "credit": Field(Word((ALL, SHARE), "kind of credit"), "How points fall."),
        "costs": Field(COSTS, "Points that a failure costs; the whole item when absent."),
        "hidden": Field(Boolean(), "Whether students see it only later.", default=False),
        "into": Field(ListOf(Text(), alone=True), "Where the submission goes, in this scenario."),
    },
    "an item",
)

SUBMISSION = Record(
    {
        "build": Field(WORDS, "The command that builds it, in a copy of its directory."),
        "command": Field(WORDS, "The program that takes a role; then it goes `into` its places."),
        "with": Field(
            MapOf(Text(), Text(), "file"),
            "Files that are put beside it before the build: each a path beside this file; with "
            "a * in its name all that are like it, into the directory that is named.",
        ),
        "into": Field(
            ListOf(Text(), minimum=1, alone=True),
            "Dotted paths: of the command, or of the values that a submission may set.",
        ),
        "set": Field(SETTINGS, "Values that go with it, by dotted path."),
        "seconds": Field(Number(0.1, DAY), "How long the build may take.", default=60.0),
        "reference": Field(Text(), "A solution that gets all points: a path beside this file."),
    },
    "the submission",
)

DEADLINES = Record(
    {
        "start": Field(Number(0.1, DAY), "Seconds until every process is ready."),
        "run": Field(Number(0.1, DAY), "Seconds that one run, or one walk, may take."),
        "finish": Field(Number(0.1, DAY), "Seconds to finish when told to."),
        "wait": Field(Number(0.1, DAY), "Seconds for any single wait, and for one step."),
    },
    "deadlines",
)

FILE = Record(
    {
        "title": Field(Text(), "What is graded."),
        "submission": Field(SUBMISSION, "What is put in whose place, and how it is built."),
        "items": Field(ListOf(ITEM, minimum=1, maximum=MOST_ITEMS), "What is asked for.", True),
        "costs": Field(COSTS, "Points that a failure costs in an item that does not say."),
        "deadlines": Field(DEADLINES, "Seconds that a phase may take, in every item."),
        "hidden_until": Field(
            Word(tuple(HIDDEN_UNTIL), "moment"), "When hidden items are shown.",
            default="published",
        ),
    },
    "a grading file",
)  # fmt: skip
