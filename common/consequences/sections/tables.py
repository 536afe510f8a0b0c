"""What becomes of a table whose object is cut, replaced, removed, or written by a stranger."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Hashable
from types import ModuleType
from typing import Any

from common import kinds
from common.consequences import reading
from common.consequences.cell import Asked, Column, Row, Seen, Without
from common.consequences.reading import failure, strike
from common.consequences.rows import rows as rows_of
from common.history.case import Case
from common.kernel.tables import Facts
from common.verdict.wording import many

NUMBER = 4
TITLE = "Tables: what they lie in is struck while one process is inside and one waits"
ROW = "table"
SHARED_MEMORY = "/dev/shm"
COLUMNS = (
    Column("cut", "file cut to 0", "table_truncated", "the file was cut to nothing"),
    Column("grown", "cut and grown back", "table_grown_back", "it was cut and grown back at once"),
    Column("replaced", "file replaced", "table_replaced", "another file got its name (rename)"),
    Column("removed", "removed", "table_removed", "it was removed"),
    Column("foreign", "a stranger writes", "table_overwritten", "a stranger wrote into it"),
    Column("full", "disk full when it is made", "table_made", "its disk was full when it was made"),
)
_VARIANTS = {
    "cut": "cut", "grown": "zeros", "replaced": "two_worlds", "removed": "nameless",
    "foreign": "foreign", "full": "made",
}  # fmt: skip
# The fault of each column in which anybody could have died of it, or been told.
_DEEDS = {
    "cut": "truncate", "grown": "truncate", "replaced": "replace", "removed": "remove",
    "foreign": "overwrite",
}  # fmt: skip


def rows() -> list[Row]:
    """Return every kind of table."""
    return rows_of(kinds.TABLES, _difference)


def _difference(module: ModuleType, options: Any) -> Hashable:
    return None


def ask(row: Row, column: Column) -> Asked | Without:
    """Return the run: a file that outlives its run is one of its own for each kind."""
    if column.name != "full":
        return Asked(_VARIANTS[column.name], (store(row),))
    facts = _facts(row)
    if facts.outlives:
        return Asked(_VARIANTS[column.name], (store(row, "full/"),), "full")
    if SHARED_MEMORY in facts.limits:
        return Asked(_VARIANTS[column.name], (store(row),), SHARED_MEMORY)
    return Without(f"it lies on no disk: {facts.limits}")


def store(row: Row, directory: str = "") -> str:
    """Return the setting that keeps the table in this kind, a file in ``directory``."""
    if not _facts(row).outlives:
        return f"table.store={row.value}"
    # What one kind leaves behind is not what the next one begins with.
    return f"table.store={row.value[:-1]}, path: {directory}{row.kind}.dat}}"


def _facts(row: Row) -> Facts:
    module = kinds.load(kinds.TABLES, row.kind)
    facts: Facts = module.facts(module.Options(**row.options))
    return facts


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return who died of it, who was told, and whether anybody can see it afterwards."""
    processes = case.outcome.processes
    dead = [each.name for each in processes if each.signal == signal.SIGBUS]
    told = [each.name for each in processes if failure(each) == "ObjectVanished"]
    if dead:
        word, clause = "SIGBUS", f"{' and '.join(dead)} died of SIGBUS"
    elif told:
        word, clause = "told", f"{' and '.join(told)} could not go on, and said so"
    else:
        word, clause = "goes on", "the processes went on, and were told nothing"
    if dead or told:
        later = reading.rest(case, strike(case, _DEEDS[column.name]))
        word, clause = f"{word} {later}", f"{clause}, the last of them {later} later"
    after, why = _afterwards(case, document)
    sentence = f"{row.label}: {column.what}; {clause}; {why}."
    return Seen(f"{word}, {after}", sentence, _differs(row, column, bool(dead), bool(told)))


def refused(row: Row, column: Column, document: dict[str, Any]) -> Seen:
    """Return what was said where there was no room for it, and what was left."""
    left = " and ".join(document["left"])
    after = f"{left} was left" if left else "nothing was left"
    why = document["refused"].split(":")[0]
    sentence = f"{row.label}: {column.what}; refused before anything was started ({why}); {after}."
    differs = "" if os.strerror(errno.ENOSPC) in why else "it was refused for another reason"
    return Seen("refused", sentence, f"{left} was left" if left else differs)


def _afterwards(case: Case, document: dict[str, Any]) -> tuple[str, str]:
    if case.outcome.vanished is not None:
        return "missed", f"who looks for it afterwards finds: {case.outcome.vanished}"
    found = sorted(reading.found(document))
    if found:
        return "damaged", f"the history shows {' and '.join(found)}"
    doubts = document["doubts"]
    if doubts:
        return "in doubt", f"the history leaves {many(len(doubts), 'doubt')}: {doubts[0]}"
    return "unseen", "nobody can see it"


def _differs(row: Row, column: Column, dead: bool, told: bool) -> str:
    """Return how what was seen is not what memory, or a file, is."""
    if column.name == "full":
        return "it was made where there was no room for it"
    mapped = bool(getattr(kinds.load(kinds.TABLES, row.kind), "MAPPED", False))
    if column.name != "cut":
        return "whoever has it open could not go on" if dead or told else ""
    if dead is not mapped:
        return f"it is {'' if mapped else 'not '}memory, and {'nobody' if mapped else 'some'} died"
    return ""
