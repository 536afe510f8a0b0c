"""What the launcher observed of a run, beside the records: stored as ``outcome.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ProcessOutcome:
    """How one process ended.

    ``exit`` is its exit status or None, ``signal`` the signal that killed it or None; ``phase`` the
    last phase it was seen in (``start``, ``ready``, ``run``, ``done``); ``error`` what it said
    before it failed (``kind`` and ``message``) or None; ``hung`` names the phase and the wait when
    a deadline expired, else None; ``holder`` who had the lock that it waited for in vain, and what
    had become of that process, in words, else None; ``summary`` is the role's own report (such as a
    trader's ``balance``); ``cpu_s`` user and system seconds. A ``guest`` joined by itself;
    ``ended_by_launcher`` says that the launcher killed it (its signal is then no crash), ``struck``
    names the signal of the scenario's own fault that ended it. ``life`` is 0 for a process of the
    plan; one that was started in its place counts from 1, and ``first`` is then the index of the
    former. ``level`` is ``plain`` or ``recorded`` for a program that is not the lab's own.
    """

    name: str
    role: str
    system: str
    index: int
    pid: int
    exit: int | None = None
    signal: int | None = None
    phase: str = "start"
    error: dict[str, str] | None = None
    hung: str | None = None
    holder: str | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    cpu_s: float = 0.0
    guest: bool = False
    ended_by_launcher: bool = False
    struck: str | None = None
    life: int = 0
    first: int | None = None
    level: str = ""


@dataclass
class Outcome:
    """A finished run as the launcher saw it.

    ``gate_ns`` is CLOCK_MONOTONIC when the start gate opened, ``ended_ns`` when the last process
    had ended. ``initial`` and ``final`` are the table's rows (lists of doubles) or None without a
    table. ``objects`` lists every kernel object made (``kind``, ``id``, ``name``), ``leaks``
    those still there after the removal; ``vanished`` says why ``final`` could not be read, because
    somebody removed the table meanwhile; ``kept`` says that the objects were left in place on
    request. ``paper`` is the paper's file name in the run directory. ``deadlock`` tells who waited
    for what when nobody could go on (``process``, ``step``, ``waits_for``, ``holder``; ``since`` in
    ns, CLOCK_MONOTONIC, where they ran freely), else it is empty. ``trace`` is the order of steps
    of a run under a schedule (:mod:`common.history.trace`). ``lock_values`` holds what each lock of
    the table stood at in the end (1: free), None for a kind that does not tell; ``lock_holders``
    the pid of who had it in the end, be it dead, or None. ``faults`` are those of the scenario that
    struck, in order: ``kind``, ``process``, ``step``, ``at_ns`` (CLOCK_MONOTONIC), and what each
    kind notes; ``restarts`` how many processes were started anew, and ``given_up`` which ones no
    more, since their limit was reached. ``spool`` is what lay in the spool
    (:func:`common.kernel.spool.making.listing`), None where there is none. ``recoveries`` are those
    of the table's intent record (:mod:`common.process.recoveries`); ``failed`` in one of them says
    why nothing could be recovered, ``untold`` how many more there were.
    ``remarks`` are sentences about objects that other programs made, and about what these left.
    ``unlogged`` is the reason why the log of the run is incomplete, None where it is whole.
    """

    gate_ns: int
    ended_ns: int
    processes: list[ProcessOutcome]
    initial: list[list[float]] | None = None
    final: list[list[float]] | None = None
    paper: str | None = None
    objects: list[dict[str, Any]] = field(default_factory=list)
    leaks: list[dict[str, Any]] = field(default_factory=list)
    interrupted: int | None = None
    vanished: str | None = None
    kept: bool = False
    deadlock: list[dict[str, Any]] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    lock_values: list[int | None] = field(default_factory=list)
    lock_holders: list[int | None] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    restarts: int = 0
    spool: dict[str, Any] | None = None
    given_up: list[str] = field(default_factory=list)
    recoveries: list[dict[str, Any]] = field(default_factory=list)
    unlogged: str | None = None
