"""What must fit together where a table has recovery: one lock that excludes, and kept to by all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common import kinds
from common.scenario.groups import Group, recovers
from common.scenario.values import Path, Reading

PLACE: Path = ("table", "recovery")


def check(values: Mapping[str, Any], members: list[Group], reading: Reading) -> None:
    """Complain in ``reading`` of everything with which recovery cannot keep its word."""
    if not recovers(values) or not reading.sound(("table",)):
        return
    table = values["table"]
    if table.get("granularity") == "row":
        reading.complain(
            PLACE,
            "there is one intent record for the whole table, and each row has a lock of its own: "
            "two holders would write over each other's intents",
            "granularity: table",
        )
    lock = table.get("lock")
    kind = "none" if lock is None else lock.kind
    if not kinds.load(kinds.LOCKS, kind).EXCLUDES:
        reason = f"with the lock {kind} several are inside at once, and one record is not enough"
        reading.complain(PLACE, reason, "lock: {kind: sysv_sem, undo: true}, or robust_mutex")
    store = table["store"].kind
    if not getattr(kinds.load(kinds.TABLES, store), "MAPPED", False):
        able = [each for each in kinds.names(kinds.TABLES)
                if getattr(kinds.load(kinds.TABLES, each), "MAPPED", False)]  # fmt: skip
        reason = f"a {store} is not memory: there is no store that is whole before the next one"
        reading.complain(PLACE, reason, "store: " + " or ".join(able))
    if table["store"].options.get("made_by", "lab") != "lab":
        reason = "another program makes the table, and the intent record lies behind its rows"
        reading.complain(PLACE, reason, "made_by: lab, or table.recovery: none")
    for group in members:
        if group.plain and group.needs_table:
            reading.complain(
                ("processes", group.index, "command"),
                f"{group.name} is a plain program: it keeps no intent record, and the table has "
                "recovery",
                "level: recorded, or table.recovery: none",
                at_key=True,
            )
        locking = group.chosen.options.get("locking", "proper")
        if locking != "proper":
            reading.complain(
                ("processes", group.index, "locking"),
                f"{locking}: a {group.chosen.kind} like this one changes rows without being their "
                "owner, and the table has recovery",
                "locking: proper, or table.recovery: none",
            )
