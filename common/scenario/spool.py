"""What a scenario says of its spool, and what must fit to it.

What becomes of a job when its printer dies, or when printing it fails, is disputed among users of
every spooler: nothing is assumed here, and both are said in the scenario.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from common.kernel.spool import POLICIES, PROMISES
from common.scenario.groups import Group
from common.scenario.numbers import Integer, Number
from common.scenario.shapes import Field, Record
from common.scenario.values import Reading, Text, Word

SPOOL = Record(
    {
        "promise": Field(
            Word(PROMISES, "promise"),
            "How often a job is printed whose printer dies: again, or not again.",
            True,
        ),
        "on_error": Field(
            Word(POLICIES, "error policy"),
            "What becomes of a job whose printing fails: it is given up, printed again behind the "
            "others, or first, kept with its printer stopped, or held for a person.",
            True,
        ),
        "retries": Field(
            Integer(0, 1000), "How often a job is printed again after a failure.", default=3
        ),
        "back_off": Field(
            Number(0, 3600), "Seconds that such a job is held before; 0: none.", default=0.0
        ),
        "path": Field(
            Text(), "Where it outlives the run, below the directory of the scenario's runs."
        ),
    },
    "a spool",
)


def check(values: Mapping[str, Any], members: list[Group], reading: Reading) -> None:
    """Complain in ``reading`` of a spool that nobody fills or empties, or that is missing."""
    declared = ("spool",) in reading.nodes
    uses = {group.spool for group in members}
    for group in members:
        if group.spool and not declared:
            reading.complain(
                ("processes", group.index, "role"),
                f"the role {group.chosen.kind} needs a spool, and the scenario has none",
                "add spool: {promise: at_least_once, on_error: retry}",
            )
    if not declared or not reading.sound(("processes",)):
        return
    for use, who in (("send", "puts a job into"), ("receive", "takes a job from")):
        if use not in uses:
            reading.complain(("spool",), f"nobody {who} the spool", at_key=True)
    if values.get("schedule"):
        reason = "the moves of a spool cannot be led: who waits there sleeps in the kernel"
        reading.complain(("schedule",), reason, "leave the schedule out", at_key=True)
    inside = PurePath((values.get("spool") or {}).get("path") or "spool")
    if inside.is_absolute() or not inside.parts or ".." in inside.parts:
        reading.complain(
            ("spool", "path"),
            f"{str(inside)!r} leads out of the directory of the runs",
            "a path that does not begin with / and has no .. in it",
        )
