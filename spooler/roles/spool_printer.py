"""Takes jobs from a spool and prints them; what becomes of a failed one is the spool's policy.

To take a job is to rename it, so that no two printers have it. A printer that is killed leaves its
job in `processing`: any printer that looks for work puts it right, as the spool promises. A
`filter` is a program that prints each job, and says by its exit status what becomes of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from common.errors import KernelObjectError, MachineError, ProcessError
from common.history import record
from common.kernel.spool import ABORTED, COMPLETED, STOPPED
from common.kernel.spool import spool as spools
from common.kernel.spool.entry import Entry
from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from spooler import filtering, policy
from spooler.messages import Job, checksum
from spooler.operations import CLAIM, PRINT
from spooler.policy import Fate
from spooler.printing import line_printer, page_printer, page_text, sheet_of
from spooler.submission import job_of

T = TypeVar("T")

# Seconds between two looks at a disk that was full.
FIRST_PAUSE, LONGEST_PAUSE = 0.001, 0.1
# Seconds that a filter may take for one job: less than a printer has to finish.
TIME_LIMIT = 5.0

SPOOL = "receive"
STEPS = ("take", "move", "acquire", "print", "complete", "release")


@dataclass(frozen=True)
class Options:
    """What it prints with; it works until it is told to finish and nothing is left to come back."""

    filter: list[str] = option(
        [],
        about="A program and its arguments, started for each job: the pages are its standard "
        "input, what it writes is printed, and its exit status has the meaning of CUPS.",
        program=True,
    )
    time_limit: float = option(
        TIME_LIMIT,
        about="Seconds that the filter may take for one job; then it is killed, and has failed.",
        minimum=0.01, maximum=86_400,
    )  # fmt: skip


def check(options: Options) -> dict[str, str]:
    """Return what is wrong with the filter."""
    if not options.filter:
        needless = options.time_limit != TIME_LIMIT
        return {"time_limit": "is that of a filter, and there is none"} if needless else {}
    try:
        filtering.program(options.filter)
    except ProcessError as error:
        return {"filter": str(error)}
    return {}


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the spool and the paper; returns what to do once the gate is open."""
    spool = context.spool()
    paper, lock = context.paper()
    sheet, print_page = sheet_of(context), page_printer(context, paper)
    print_line, program = line_printer(context, paper), None
    if options.filter:
        program = filtering.Filter(options.filter, options.time_limit, context.name, context.wait)
    clock, at = context.clock, context.at
    sheet_touch = None if sheet else Touch(changes=("the paper",))
    taken = printed = 0
    stopped = False

    def patiently(do: Callable[[], T]) -> T:
        """Do what writes into the journal; where the disk is full, wait for room."""
        try:
            return do()
        except MachineError:
            pause = FIRST_PAUSE
        with context.wait.standing("room on the disk of the spool") as deadline:
            while True:
                # No call waits for room on a disk: look again, ever more seldom.
                time.sleep(min(pause, deadline.tick()))
                pause = min(2 * pause, LONGEST_PAUSE)
                try:
                    return do()
                except MachineError:
                    continue

    def say(state: str) -> None:
        patiently(partial(spool.printer, state))

    def leave(entry: Entry, state: str, why: str, **changes: Any) -> Entry | None:
        return patiently(partial(spool.finish, entry, state, why, **changes))

    def take() -> spools.Look:
        if at is not None:
            at("take", spool.touch)
        return patiently(spool.claim)

    def print_pages(entry: Entry, job: Job) -> tuple[int, Fate | None]:
        """Print what there is; returns how many pages, and what becomes of the job.

        None: somebody canceled it.
        """
        for number in range(1, job.pages + 1):
            if not spool.has(entry):
                return number - 1, None
            try:
                if at is not None:
                    at("print", sheet_touch)
                print_page(job, number)
            except OSError as error:
                return number - 1, policy.after_error(spool.address, entry, number - 1, error)
        return job.pages, Fate(COMPLETED, "printed", {})

    def have_printed(entry: Entry, job: Job, owner: str) -> tuple[int, Fate | None]:
        """Have the filter print a job; returns what ``print_pages`` does."""
        pages: set[int] = set()

        def put(line: bytes) -> None:
            if at is not None:
                at("print", sheet_touch)
            page = print_line(line)
            if page is not None and page.item == job.item and 0 < page.number <= job.pages:
                pages.add(page.number)

        assert program is not None
        arguments = filtering.told(entry, job, owner, spool.called(entry))
        text = b"".join(page_text(job, number) for number in range(1, job.pages + 1))
        try:
            ended = program.run(arguments, text, put, partial(spool.has, entry))
        except OSError as error:
            return len(pages), policy.after_error(spool.address, entry, len(pages), error)
        if ended is None:
            return len(pages), None
        return len(pages), policy.after_filter(spool.address, entry, len(pages), *ended)

    def work(entry: Entry) -> str:
        """Print a job; returns its next state, "" where somebody canceled it."""
        nonlocal taken, printed
        asked = clock()
        try:
            body = spool.body(entry)
            job = job_of(body)
        except (KernelObjectError, ProcessError) as unreadable:
            return moved(leave(entry, ABORTED, f"{spools.UNREADABLE}: {unreadable}"))
        seen, priority = float(checksum(job)), float(job.priority)
        cell = context.begin(CLAIM, record.SPOOL, job.item, asked, asked, seen)
        context.end(cell, seen, priority, 0.0, 0.0, clock())
        taken += 1
        if at is not None:
            at("acquire", lock.taking if lock else None)
        asked = clock()
        if lock is not None:
            lock.acquire()
        entered = clock()
        if program is None:
            pages, fate = print_pages(entry, job)
        else:
            pages, fate = have_printed(entry, job, str(body.get("owner", "")))
        if pages == job.pages:
            cell = context.begin(PRINT, sheet, job.item, asked, entered, seen)
            context.end(cell, seen, priority, 0.0, 0.0, clock())
            printed += 1
        if at is not None:
            at("release", lock.giving if lock else None)
        if lock is not None:
            lock.release()
        if fate is None:
            return ""
        if fate.state == COMPLETED and at is not None:
            at("complete", spool.touch)
        return moved(leave(entry, fate.state, fate.why, **fate.changes))

    def stand(entry: Entry) -> None:
        """Be stopped until the job that did it is moved on by somebody, or told to finish."""
        nonlocal stopped
        stopped = True
        say(spools.STOPPED)
        while not context.finishing:
            still = any(
                each.item == entry.item and each.state == STOPPED for each in spool.look_for_news()
            )
            if not still:
                say(spools.READY)
                stopped = False
                return
            spool.await_news()

    def serve() -> dict[str, Any]:
        say(spools.READY)
        while True:
            look = take()
            if look.entry is not None:
                if work(look.entry) == STOPPED:
                    stand(look.entry)
            elif context.finishing and look.nothing_left:
                break
            else:
                spool.await_jobs(look)
            if stopped and context.finishing:
                break
        say(spools.GONE)
        return {"taken": taken, "printed": printed}

    return serve


def moved(entry: Entry | None) -> str:
    """Return the state in which a job is now, "" where somebody else has moved it."""
    return "" if entry is None else entry.state
