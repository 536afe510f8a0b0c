"""What becomes of a spool's jobs when a printer, the spooler, a page or the disk fails."""

from __future__ import annotations

from typing import Any

from common.consequences import reading
from common.consequences.cell import Asked, Column, Row, Seen
from common.history.case import Case
from common.kernel.spool import ABORTED, AT_MOST_ONCE, COMPLETED, PROMISES
from common.verdict.wording import many

NUMBER = 6
TITLE = "Spool: a printer, the spooler, a page or the disk fails at the second job"
ROW = "promise"

_PRINTER, _SPOOLER, _PAGE = "spool_printer_killed", "spool_spooler_killed", "spool_page_fails"
_FAILS = "its second page failed, the policy being "
COLUMNS = (
    Column("start", "printer killed at its start", _PRINTER, "its printer was killed before it"),
    Column("middle", "in the middle", _PRINTER, "its printer was killed between its pages"),
    Column(
        "printed", "printed, not completed", _PRINTER,
        "its printer was killed when it was printed, and had not said so",
    ),
    Column(
        "accepting", "spooler killed before it is kept", _SPOOLER,
        "the spooler was killed before it had written it",
    ),
    Column(
        "answering", "kept, not answered", _SPOOLER,
        "the spooler was killed when it was kept, and had not said so",
    ),
    Column("abort", "a page fails: abort", _PAGE, f"{_FAILS}abort"),
    Column("retry", "retry", _PAGE, f"{_FAILS}retry"),
    Column("retry_first", "retry first", _PAGE, f"{_FAILS}retry_first"),
    Column("stop", "stop", _PAGE, f"{_FAILS}stop"),
    Column("hold", "hold", _PAGE, f"{_FAILS}hold"),
    Column(
        "launcher", "launcher killed, next run", "spool_launcher_killed",
        "the launcher was killed between its pages, and the next run began with its jobs",
    ),
    Column("disk", "disk full for 0.1 s", "disk_full", "the disk was full for 0.1 s"),
)  # fmt: skip

# At which step of the second job who dies is killed.
_STEPS = {
    "start": ("print", 3), "middle": ("print", 4), "printed": ("complete", 2),
    "accepting": ("spool", 2), "answering": ("send", 2),
}  # fmt: skip
_DEEDS = ("kill", "device", "disk_full", "stop")
# Where a page fails, what becomes of its job.
_ENDS = {"abort": ABORTED, "stop": "stopped", "hold": "held"}
_POLICIES = (*_ENDS, "retry", "retry_first")


def rows() -> list[Row]:
    """Return the promises."""
    return [Row(promise, label=promise) for promise in PROMISES]


def ask(row: Row, column: Column) -> Asked:
    """Return the run: its variants are the promises."""
    if column.name in _STEPS:
        step, at = _STEPS[column.name]
        return Asked(row.kind, (f"faults.0.step={step}", f"faults.0.at={at}"))
    if column.name in _POLICIES:
        return Asked(row.kind, (f"spool.on_error={column.name}",))
    return Asked(row.kind, again=column.name == "launcher")


def see(row: Row, column: Column, case: Case, document: dict[str, Any]) -> Seen:
    """Return how many jobs were printed, how often, and where the others are."""
    told = [each for each in case.outcome.faults if each["kind"] in _DEEDS]
    if not told:
        return Seen("never struck", "The fault never struck.", "it did not happen")
    if column.name == "launcher":
        return _again(row, column, document)
    spool, lost = document["measures"]["spool"], _lost(document)
    states, again = spool["states"], int(spool["extra_copies"])
    accepted = int(spool["accepted"])
    done = int(states.get(COMPLETED, 0))
    others = [f"{count} {state}" for state, count in states.items() if state != COMPLETED]
    words = [f"all {accepted}" if done == accepted else f"{done} of {accepted}", *others]
    words += [f"LOST {lost}"] if lost else []
    words += [f"{again} twice"] if again else []
    after = reading.rest(case, told[0])
    clause = f"{done} of {many(accepted, 'accepted job')} printed"
    clause += "".join(f", {each}" for each in others)
    clause += f"; {many(again, 'job')} printed twice" if again else "; none printed twice"
    sentence = f"{row.label}: {column.what}; {clause}; all was over {after} later."
    return Seen(", ".join([*words, after]), sentence, _differs(row, column, states, again, lost))


def _again(row: Row, column: Column, document: dict[str, Any]) -> Seen:
    """Return what the next run made of the jobs that it found."""
    spool, lost = document["measures"]["spool"], _lost(document)
    found, aborted = int(spool["found"]), len(spool["aborted"])
    word = f"{found - aborted} of {found}" if aborted else f"all {found}"
    words = [word, *([f"{aborted} aborted"] if aborted else [])]
    sentence = (
        f"{row.label}: {column.what}; it found {many(found, 'job')} of an earlier run, of which it "
        f"printed {found - aborted}; {aborted} aborted."
    )
    # One half printed, one in line.
    differs = f"it was to find 2 jobs, and found {found}" if found != 2 else ""
    if lost or spool["left"] or aborted != (row.kind == AT_MOST_ONCE):
        differs = f"it promises {row.kind}, with {lost} lost and {aborted} aborted"
    return Seen(", ".join(words), sentence, differs)


def _lost(document: dict[str, Any]) -> int:
    return sum(int(f["count"]) for f in document["findings"] if f["kind"] == "job_lost")


def _differs(row: Row, column: Column, states: dict[str, int], again: int, lost: int) -> str:
    """Return how what was seen is not what was promised, or is not what the policy says."""
    once = row.kind == AT_MOST_ONCE
    if lost or again > (0 if once else 1):
        return f"it promises {row.kind}, with {lost} lost and {again} twice"
    end = _end(column, once)
    if end and states.get(end) != 1:
        return f"its job was to be {end}"
    if end == "" and set(states) != {COMPLETED}:
        return "every job was to be printed"
    return ""


def _end(column: Column, once: bool) -> str | None:
    """Return in which state the struck job is to end; "": printed; None: as its disk had room."""
    if column.name in ("accepting", "answering"):
        return ""
    if once:
        return None if column.name == "disk" else ABORTED
    return _ENDS.get(column.name, "")
