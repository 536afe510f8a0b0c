"""What becomes of a lock when something happens to its holder, and who learns of it."""

from __future__ import annotations

from collections.abc import Hashable
from types import ModuleType
from typing import Any

from common import kinds
from common.consequences import reading
from common.consequences.cell import Asked, Column, Row, Seen, Without
from common.consequences.reading import Entry, entries, failure, members, strike
from common.consequences.rows import options_of
from common.consequences.rows import rows as rows_of
from common.history.case import Case
from common.kernel.locks import FREED, HELD, NOTHING, TOLD, Facts

NUMBER = 1
TITLE = "Locks: the holder, or the lock, is struck while two others wait"
ROW = "lock"
COLUMNS = (
    Column("killed", "holder killed", "holder_killed", "the holder was killed"),
    Column("asked", "holder told to end", "holder_asked_to_end", "the holder got SIGTERM"),
    Column("stopped", "holder stopped 0.2 s", "holder_stopped", "the holder was stopped for 0.2 s"),
    Column(
        "outside", "stopped outside it", "holder_stopped_outside",
        "one process was stopped before it took the lock",
    ),
    Column("slow", "holder slow 0.2 s", "holder_slow", "the holder took 0.2 s longer"),
    Column(
        "storm", "signals to a waiter, 0.2 s", "waiter_stormed",
        "one who waited was interrupted by signals for 0.2 s",
    ),
    Column(
        "forked", "helper forked, then killed", "holder_forked",
        "the holder forked a helper that lives for 0.5 s, and was killed",
    ),
    Column(
        "exec", "holder execs 0.2 s", "holder_execs",
        "the holder became another program, which ended after 0.2 s",
    ),
    Column(
        "reopened", "its file reopened", "lock_file_reopened",
        "the holder opened and closed the lock's file once more",
    ),
    Column("removed", "lock removed", "lock_removed", "the lock was removed from outside"),
    Column("who", "who has it is told by", "holder_asked_to_end", "somebody asked who has it"),
)  # fmt: skip

# The fault of each column that is looked at.
_DEEDS = {
    "killed": "kill", "asked": "kill", "stopped": "stop", "outside": "stop", "slow": "slow",
    "storm": "slow", "forked": "kill", "exec": "exec", "reopened": "reopen", "removed": "remove",
    "who": "kill",
}  # fmt: skip

# Where nobody ever gets the lock a wait of so long says as much as a longer one: beyond the time
# that the helper, or the other program, lasts.
IN_VAIN = "deadlines.wait=0.3"
_OUTLASTS = {"killed": IN_VAIN, "forked": "deadlines.wait=0.8", "exec": "deadlines.wait=0.5"}

# The fault that keeps the holder inside for a while, or its lock with another one.
_LASTS = {"stopped": "stop", "slow": "slow", "storm": "slow", "forked": "fork", "exec": "exec"}

# Of a time that something was to last this much has passed in any case: clocks tick.
_NEARLY = 0.9


def rows() -> list[Row]:
    """Return every lock, with each choice that changes what becomes of it."""
    return rows_of(kinds.LOCKS, _difference)


def _difference(module: ModuleType, options: Any) -> Hashable:
    facts: Facts = module.facts(options)
    return facts.holder_dies, facts.inherited


def ask(row: Row, column: Column) -> Asked | Without:
    """Return the variant by what the lock says of itself."""
    module = kinds.load(kinds.LOCKS, row.kind)
    facts = _facts(row)
    where = (f"table.lock={row.value}",)
    if column.name == "reopened":
        if not getattr(module, "A_FILE", False):
            return Without("it is no file that could be opened")
        return Asked("lost" if getattr(module, "LOST_BY_REOPENING", False) else "kept", where)
    if column.name == "removed":
        if facts.holder_dies == NOTHING:
            return Without("there is no object")
        if hasattr(module, "descriptors"):
            return Without("it has no name by which it could be removed")
        freed = getattr(module, "FREED_BY_REMOVAL", False)
        return Asked("lost" if freed else "told" if module.TELLS_REMOVAL else "nameless", where)
    if facts.holder_dies == NOTHING:
        return Asked("nothing", where)
    always = {
        "asked": "given_back", "who": "given_back", "stopped": "kept", "slow": "kept",
        "storm": "kept", "outside": "goes_on",
    }  # fmt: skip
    if column.name in always:
        return Asked(always[column.name], where)
    if column.name == "forked" and facts.inherited:
        return Asked("inherited", where)
    if facts.holder_dies == HELD:
        return Asked("held", (*where, _OUTLASTS[column.name]))
    return Asked({FREED: "freed", TOLD: "told"}[facts.holder_dies], where)


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return who got the lock, when, and who was told what."""
    struck = strike(case, _DEEDS[column.name])
    if not struck:
        return Seen("never struck", "The fault never struck.", "it did not happen")
    if column.name == "who":
        return _told(row, case, struck)
    came = _outcome(case, column, struck)
    word, told = _words(case, column, came)
    who = _who(row, case, struck, came)
    whole = _table(document)
    sentence = " ".join(filter(None, (f"{row.label}: {column.what}; {told}.", who, whole)))
    differs = _differs(row, column, came)
    if column.name == "storm" and came.how == "kept" and not _interrupted(case):
        differs = "no signal came while it waited"
    return Seen(f"{word}!" if "broken" in whole else word, sentence, differs)


class _Came:
    """What became of the waiters: ``how`` in a word, ``after`` which time (ns)."""

    def __init__(self, how: str, after: int = 0, who: str = "") -> None:
        self.how, self.after, self.who = how, after, who


def _outcome(case: Case, column: Column, struck: dict[str, Any]) -> _Came:
    at = struck["at_ns"]
    waiters = members(case, "waiter")
    if any(failure(waiter) == "ObjectVanished" for waiter in waiters):
        return _Came("gone")
    inside = entries(case, "waiter")
    if not inside:
        hung = any(failure(waiter) == "WaitExpired" for waiter in waiters)
        return _Came("held" if hung else "lost")
    first = inside[0]
    if column.name == "outside":
        return _passed(case, at, first)
    if first.entered < at:
        return _Came("open")
    after = first.entered - max(at, first.asked)
    if any(entry.process.summary.get("recovered") for entry in inside):
        return _Came("told", after, first.process.name)
    if column.name in ("reopened", "removed"):
        # The holder stays inside until another one was there, or until its time is over.
        came_out = reading.records(case, "holder-0")[1:]
        beside = not came_out or first.entered < int(came_out[0]["left"])
        return _Came("beside" if beside else "kept", after, first.process.name)
    kept = _lasted(case, column, first.entered)
    return _Came("kept" if kept else "freed", after, first.process.name)


def _passed(case: Case, at: int, first: Entry) -> _Came:
    """Return whether the others had done their work when the one that stood outside went on."""
    done = [one for each in members(case, "waiter") for one in reading.records(case, each.name)]
    came_back = reading.records(case, "holder-0")[1:]
    every = all(one["left"] < back["entered"] for one in done for back in came_back)
    how = "passed" if came_back and every else "stood"
    return _Came(how, first.entered - max(at, first.asked), first.process.name)


def _interrupted(case: Case) -> bool:
    """Tell whether a signal struck who waited for the lock, while it waited."""
    storms = [told["at_ns"] for told in case.outcome.faults if told["kind"] == "signals"]
    waits = [entry for entry in entries(case, "waiter") if entry.process.name == "waiter-0"]
    return any(entry.asked < at < entry.entered for entry in waits for at in storms)


def _lasted(case: Case, column: Column, entered: int) -> bool:
    """Tell whether what was to last for a while had lasted so long when somebody got the lock."""
    kind = _LASTS.get(column.name)
    if kind is None:
        return False
    seconds = float(reading.told_option(case, kind, "seconds"))
    return bool(entered - strike(case, kind)["at_ns"] >= seconds * _NEARLY * 1e9)


def _words(case: Case, column: Column, came: _Came) -> tuple[str, str]:
    """Return what a cell says, and the same as a clause."""
    after, who = reading.time(came.after), came.who
    patience = case.plan.deadlines.wait
    until = {
        "stopped": "when the holder went on", "slow": "when the holder went on",
        "forked": "when the helper had ended", "exec": "when that program had ended",
    }.get(column.name, "when the holder gave it back")  # fmt: skip
    return {
        "held": ("HELD", f"both waiters waited {patience:g} s in vain"),
        "lost": ("nobody", "no waiter came to its work"),
        "passed": (f"goes on {after}", f"{who} got it after {after}, and all did their work"),
        "stood": ("STOPPED", f"{who} got it after {after}, and not all did their work"),
        "open": ("no lock", "nobody had to wait"),
        "gone": ("told: gone", "whoever waited was told that it is gone"),
        "told": (
            f"told {after}", f"{who} got it after {after}, and was told that its holder had died"
        ),
        "beside": (f"LOST {after}", f"{who} got it after {after}, with the holder still inside"),
        "kept": (f"kept {after}", f"{who} got it after {after}, {until}"),
        "freed": (
            f"{'given' if column.name == 'asked' else 'freed'} {after}",
            f"{who} got it after {after}, and was told nothing",
        ),
    }[came.how]  # fmt: skip


def _who(row: Row, case: Case, struck: dict[str, Any], came: _Came) -> str:
    """Return who could be told to have the lock, as the launcher asked at the strike and after."""
    module = kinds.load(kinds.LOCKS, row.kind)
    if not module.EXCLUDES or came.how in ("passed", "stood"):
        return ""
    holder = members(case, "holder")[0].pid
    if struck.get("holders", [None])[0] != holder:
        return "Nobody could tell who had it."
    by = f"Who had it was told by {module.ASKED_BY}"
    left = case.outcome.lock_holders[:1] == [holder] and came.how == "held"
    return f"{by}, also when it was dead." if left else f"{by}."


def _told(row: Row, case: Case, struck: dict[str, Any]) -> Seen:
    """Return by what the launcher could tell who had the lock, when its holder was struck."""
    by = getattr(kinds.load(kinds.LOCKS, row.kind), "ASKED_BY", "")
    holder = members(case, "holder")[0]
    told = struck.get("holders", [None])[0]
    if told == holder.pid:
        word, clause = by, f"{by or 'nothing'} told that it was {holder.name}"
    elif told is None:
        word, clause = "nobody", "nobody could tell who had it"
    else:
        word, clause = "WRONG", f"process {told} was told to have it, and {holder.name} had it"
    differs = "" if (told == holder.pid) is bool(by) else f"it says that {by or 'nobody'} tells"
    return Seen(word, f"{row.label}: {clause}.", differs)


def _table(document: dict[str, Any]) -> str:
    broken = {"lost_update", "negative_stock", "torn_read"} & reading.found(document)
    missing = document["measures"].get("missing", {})
    if broken or any(missing.values()):
        return "The table is broken: an update was lost."
    return "The table is whole."


def _differs(row: Row, column: Column, came: _Came) -> str:
    """Return how what was seen is not what the lock says of itself."""
    said = _said(row, column)
    return "" if came.how in said else f"it says {' or '.join(said)}, and was {came.how}"


def _said(row: Row, column: Column) -> tuple[str, ...]:
    module, facts = kinds.load(kinds.LOCKS, row.kind), _facts(row)
    if column.name == "reopened":
        return ("beside",) if getattr(module, "LOST_BY_REOPENING", False) else ("kept",)
    if column.name == "removed":
        if getattr(module, "FREED_BY_REMOVAL", False):
            return ("beside",)
        return ("gone",) if module.TELLS_REMOVAL else ("kept",)
    if column.name == "outside":
        return ("passed",)
    if facts.holder_dies == NOTHING:
        return ("open",)
    if column.name in ("stopped", "slow", "storm"):
        return ("kept",)
    if column.name == "asked":
        return ("freed",)
    if facts.holder_dies == HELD:
        return ("held",)
    if facts.holder_dies == TOLD:
        return ("told",)
    inherited = column.name == "forked" and facts.inherited
    return ("kept",) if column.name == "exec" or inherited else ("freed",)


def _facts(row: Row) -> Facts:
    facts: Facts = kinds.load(kinds.LOCKS, row.kind).facts(options_of(kinds.LOCKS, row))
    return facts
