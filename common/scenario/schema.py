"""What a scenario file may hold: every key, its type, and its meaning.

Kinds, their options and the roles are found where they live; nothing is listed here twice.
"""

from __future__ import annotations

from collections.abc import Mapping

from common import kinds
from common.scenario import spool
from common.scenario.commands import CommandShape
from common.scenario.declared import fields_of
from common.scenario.fault_shapes import RESTART, trigger_fields
from common.scenario.groups import LEVELS, PLAIN
from common.scenario.numbers import Integer, Number
from common.scenario.plan import GRANULARITIES, RECOVERIES
from common.scenario.shapes import Anything, Choice, Field, ListOf, MapOf, Record
from common.scenario.values import Shape, Text, Word
from common.system import GRAIN, LARGEST_EXACT, System, TableLayout

# Names go into records (32 bytes), messages (24) and file names.
NAME = Text(r"[A-Za-z0-9_-]{1,24}", "1 to 24 letters, digits, _ or -")
STEP = Text(r"[a-z_]{1,24}", "the name of a step, such as read")
LONGEST_NAME = 24
SPAWN = ("fork", "exec")
VERDICTS = ("valid", "anomaly", "undecided")
MOST_PROCESSES = 10_000
# The object of a record is one byte.
MOST_CHANNELS = 255
LARGEST_SEED = 2**63 - 1
DAY = 86_400.0

ANYTHING = Anything()

_RECOVERY: dict[str, tuple[str, dict[str, Field]]] = {
    "none": ("Nothing: it stays as it is, and nobody is told.", {}),
    "intent": (
        "Who changes the table says so before, behind it: the next holder undoes or finishes it.",
        {
            "half_done": Field(
                Word(RECOVERIES[1:], "way to end it"),
                "Whether a half-done operation is undone or finished.",
                default=RECOVERIES[1],
            )
        },
    ),
}
_RECOVERIES = (lambda kind: _RECOVERY[kind][1], lambda kind: _RECOVERY[kind][0])

DELAY = Record(
    {
        "sleep_us": Field(Integer(0, 10_000_000), "Microseconds to sleep."),
        "jitter_us": Field(Integer(0, 10_000_000), "Sleep up to so many microseconds longer."),
        "yields": Field(Integer(0, 10_000), "How often to give the processor away."),
        "spin_us": Field(Integer(0, 10_000_000), "Microseconds to keep the processor busy."),
    },
    "a delay",
    minimum=1,
)

DEADLINES = Record(
    {
        "start": Field(Number(0.1, DAY), "Seconds until every process is ready.", default=15.0),
        "run": Field(
            Number(0, DAY * 366), "Seconds until all are done; 0: no limit.", default=60.0
        ),
        "finish": Field(Number(0.1, DAY), "Seconds to finish when told to.", default=10.0),
        "wait": Field(Number(0.1, DAY), "Seconds for any single wait.", default=20.0),
        "starvation": Field(
            Number(0.01, DAY),
            "Seconds of a wait for a lock that others get again and again meanwhile.",
            default=2.0,
        ),
    },
    "deadlines",
)


def roles(systems: Mapping[str, System]) -> dict[str, System]:
    """Return the system of each role; no role is imported."""
    return {
        role: system
        for system in reversed(list(systems.values()))
        for role in kinds.names(system.roles)
    }


def layout(systems: Mapping[str, System]) -> TableLayout | None:
    """Return the layout of the shared table: that of the first system that has one."""
    return next((system.table for system in systems.values() if system.table is not None), None)


def system_names(systems: Mapping[str, System]) -> ListOf:
    """Return the shape of ``system``, which decides what the rest may hold."""
    return ListOf(Word(tuple(systems), "system"), minimum=1, alone=True)


def scenario(
    systems: Mapping[str, System],
    chosen: Mapping[str, System],
    steps: tuple[str, ...] = (),
) -> Record:
    """Return the shape of a scenario of the ``chosen`` systems.

    ``steps`` are the names of steps that may be delayed, where they are known already.
    """
    step_names = Word(steps, "step") if steps else NAME
    delays = MapOf(DELAY, step_names, "step")
    return Record(
        {
            "system": Field(system_names(systems), "The system, or the list of systems.", True),
            "about": Field(Text(), "What the scenario shows, in one sentence."),
            "seed": Field(Integer(0, LARGEST_SEED), "Repeats random choices; drawn when absent."),
            "spawn": Field(
                Word(SPAWN, "way to start a process"),
                "How processes are made: forked, or programs of their own.",
                default="fork",
            ),
            "table": Field(_table(layout(chosen)), "The table that processes share."),
            "channels": Field(_channels(), "The channels between processes, by name."),
            "paper": Field(
                Record({"lock": _lock("What guards the paper.")}, "the paper"),
                "One paper that all printers print on.",
            ),
            "spool": Field(spool.SPOOL, "The spool: jobs on disk, with a promise for each."),
            "processes": Field(
                ListOf(_process(chosen, delays), minimum=1), "The processes, in groups.", True
            ),
            "delays": Field(delays, "Delays of all processes, by step; they widen races."),
            "schedule": Field(
                ListOf(
                    MapOf(ListOf(STEP, minimum=1, alone=True), NAME, "process", 1, 1), minimum=1
                ),
                "The order in which processes pass their steps; without it they run freely.",
            ),
            "faults": Field(ListOf(_fault()), "What shall go wrong, and when."),
            "deadlines": Field(DEADLINES, "Seconds that a phase or a wait may take."),
            "expect": Field(_expect(), "What the run must show."),
            "variants": Field(
                variants(_expect()), "Settings to compare, by name; the first is run alone."
            ),
        },
        "a scenario",
    )


def variants(expect: Shape = ANYTHING) -> MapOf:
    """Return the shape of ``variants``; what they change is judged where it ends up."""
    setting = MapOf(ANYTHING, Text(), "setting")
    variant = Record(
        {
            "set": Field(setting, "Values to change, by dotted path, such as table.lock."),
            "expect": Field(expect, "What this variant must show."),
        },
        "a variant",
    )
    return MapOf(variant, NAME, "variant", minimum=1)


def _choice(
    package: str,
    what: str,
    common: Mapping[str, Field] | None = None,
    *,
    shorthand: bool = True,
) -> Choice:
    return Choice(
        "kind",
        what,
        kinds.names(package),
        lambda kind: fields_of(kinds.load(package, kind).Options),
        lambda kind: kinds.about(kinds.load(package, kind)),
        common or {},
        shorthand,
    )


def _lock(about: str) -> Field:
    return Field(_choice(kinds.LOCKS, "lock"), about, default="none")


def _table(table: TableLayout | None) -> Shape:
    rows, fields = (table.rows, table.fields) if table else ((), ())
    exact = table.exact if table else ()
    cells = {
        field: Field(
            Number(0, LARGEST_EXACT, GRAIN) if field in exact else Number(0, 1e12),
            f"The first {field} of this row.",
        )
        for field in fields
    }
    row = Record(cells, "a row", minimum=1)
    return Record(
        {
            "store": Field(_choice(kinds.TABLES, "store"), "Where the table is kept.", True),
            "lock": _lock("What guards the table."),
            "granularity": Field(
                Word(GRANULARITIES, "granularity"),
                "What one lock guards: the whole table, or one row.",
                default=GRANULARITIES[0],
            ),
            "recovery": Field(
                Choice("kind", "recovery", tuple(_RECOVERY), *_RECOVERIES),
                "What becomes of an operation that a dead holder of the lock left half done.",
                default="none",
            ),
            "rows": Field(
                Record({name: Field(row, f"The row {name}.") for name in rows}, "the table"),
                "First contents that differ from the system's own.",
            ),
        },
        "the table",
    )


def _channels() -> MapOf:
    common = {
        "lock": _lock("What guards a channel in shared memory."),
        "per": Field(NAME, "Made once for each process of this group, which receives from it."),
    }
    channel = _choice(kinds.CHANNELS, "channel", common)
    return MapOf(channel, NAME, "channel", maximum=MOST_CHANNELS)


def _process(chosen: Mapping[str, System], delays: MapOf) -> Choice:
    systems = roles(chosen)
    return Choice(
        "role",
        "role",
        tuple(systems),
        lambda role: fields_of(kinds.load(systems[role].roles, role).Options),
        lambda role: kinds.about(kinds.load(systems[role].roles, role)),
        {
            "count": Field(Integer(1, MOST_PROCESSES), "How many processes.", default=1),
            "name": Field(NAME, "The name of the group; the role when absent."),
            "delays": Field(delays, "Delays of these processes, by step."),
            "spawn": Field(Word(SPAWN, "way to start a process"), "How these are made."),
            "command": Field(
                CommandShape(),
                "A program that takes the role: its path, or a list of it and its arguments.",
            ),
            "level": Field(
                Word(LEVELS, "level"),
                "What that program knows: `plain` the table and its key, `recorded` the history.",
                default=PLAIN,
            ),
            "restart": Field(RESTART, "Start one anew that was killed or failed, so often."),
        },
        shorthand=False,
    )


def _fault() -> Choice:
    fields = trigger_fields(NAME, STEP)
    return _choice(kinds.FAULTS, "fault", fields, shorthand=False)


def _expect() -> Record:
    finding = ListOf(Word(kinds.findings(), "finding"))
    return Record(
        {
            "verdict": Field(Word(VERDICTS, "verdict"), "The verdict.", required=True),
            "findings": Field(finding, "Findings that must all show."),
            "any": Field(finding, "Findings of which at least one must show."),
        },
        "an expectation",
        shorthand="verdict",
    )
