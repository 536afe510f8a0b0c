"""Signals: their numbers, where they come from, what they carry, and what they do by default."""

from __future__ import annotations

import errno
import json
import mmap
import os
import platform
import resource
import signal
import sys
from collections import Counter
from pathlib import Path

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import PATIENCE, Child, Lab, Tell
from common.claims.observing import facts, signals_in
from common.kernel.libc import signals

# The first signal of the kernel's real-time half; the C library keeps two or three of them.
FIRST_REALTIME = 32
STANDARD = range(1, FIRST_REALTIME)
# How a target says that it is alive: it ends with this status when it gets the probe.
PROBE, ALIVE = signal.SIGRTMIN, 7
VALUES = (0, 11, 22, 33, 44)
# The slide's table: number, name, what it does by default (an empty cell is the one above it).
TABLE = {
    1: ("SIGHUP", "terminate"), 2: ("SIGINT", "terminate"), 3: ("SIGQUIT", "terminate"),
    4: ("SIGILL", "terminate"), 8: ("SIGFPE", "terminate"), 9: ("SIGKILL", "terminate"),
    11: ("SIGSEGV", "terminate"), 13: ("SIGPIPE", "terminate"), 14: ("SIGALRM", "terminate"),
    15: ("SIGTERM", "terminate"), 17: ("SIGCHLD", "ignore"), 19: ("SIGSTOP", "stop"),
    18: ("SIGCONT", "continue"), 10: ("SIGUSR1", "terminate"), 12: ("SIGUSR2", "terminate"),
}  # fmt: skip


@claim("B43", 38, "A signal's type is a small integer from 1 to 30.")
def numbers(lab: Lab) -> Shown:
    """A process that has ended and is not reaped is sent every number: nothing can happen to it."""
    target = lab.fork(lambda tell: None)
    os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOWAIT)
    taken = []
    for number in range(1, 129):
        try:
            os.kill(target.pid, number)
            taken.append(number)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
    standard = [number for number in taken if number < FIRST_REALTIME]
    lab.note(f"kill() takes the numbers {taken[0]} to {taken[-1]}, and says EINVAL to any other")
    lab.note(f"{standard[-1]} is {signal.Signals(standard[-1]).name}")
    lab.note(f"for programs the real-time ones are {signal.SIGRTMIN} to {signal.SIGRTMAX}")
    return holds(
        taken == list(range(1, 31)),
        f"{taken[0]} to {taken[-1]}",
        f"standard ones are {standard[0]} to {standard[-1]}, real-time ones the rest",
    )


@claim("B44", 38, "A signal tells no more than its number, and that it came.")
def information(lab: Lab) -> Shown:
    """A process sends another five numbers with sigqueue(); the receiver looks at what came."""

    def receiver(tell: Tell) -> None:
        awaited = signals.SignalSet([PROBE])
        signals.sigprocmask(signal.SIG_BLOCK, awaited)
        tell(json.dumps("ready"))
        for _ in VALUES:
            tell(json.dumps(signals.sigtimedwait(awaited, PATIENCE)))

    target = lab.fork(receiver)
    facts(target)
    for value in VALUES:
        signals.sigqueue(target.pid, PROBE, value)
    came = [signals.Info(*facts(target)) for _ in VALUES]
    for info in came:
        lab.note(f"signal {info.number} from pid {info.pid}, uid {info.uid}: value {info.value}")
    more = [info.value for info in came] == list(VALUES) and {
        (info.pid, info.uid) for info in came
    } == {(os.getpid(), os.getuid())}
    return holds(
        not more,
        "values " + " ".join(str(info.value) for info in came),
        "siginfo_t says who sent it, why, and a value where sigqueue() sent it",
    )


@claim("B45", 38, "Most signals end the process; it can block, handle or ignore all but two.")
@claim("B46", 40, "The table of fifteen signals: number, name and default action.")
@claim("B67", 76, "By default a signal ends, stops until SIGCONT, or is ignored.")
def defaults(lab: Lab) -> dict[str, Shown]:
    """Each standard signal is sent to a process of its own that lets it do what it does.

    Those that leave a process alive are also sent to one that is stopped. Then another process
    tries to ignore, to handle and to block all of them; and a stopped one is told to terminate.
    """
    found = {number: _action(lab, number) for number in STANDARD}
    counts = Counter(found.values())
    for action in counts:
        named = [_name(number) for number in STANDARD if found[number] == action]
        lab.note(f"{action}: {', '.join(named)}")
    ends = counts["terminate"] + counts["core dump"]
    free, waited = _exceptions(lab), _stopped_is_told(lab)
    lab.note(f"cannot be ignored, handled or blocked: {', '.join(map(_name, free))}")
    lab.note(f"SIGTERM to a stopped process: {waited}")
    table = {number: (_name(number), found[number]) for number in TABLE}
    wrong = [
        f"{number} {name}: {action}"
        for number, (name, action) in sorted(table.items())
        if (name, action.replace("core dump", "terminate")) != TABLE[number]
    ]
    dumps = "" if counts["core dump"] else " (no core dump can be made here)"
    return {
        "B45": holds(
            ends > len(STANDARD) / 2 and free == [signal.SIGKILL, signal.SIGSTOP],
            f"{ends} of {len(STANDARD)} end it",
            "the two are " + " and ".join(map(_name, free)),
        ),
        "B46": holds(
            not wrong,
            f"{len(TABLE) - len(wrong)} of {len(TABLE)} as in the table",
            f"as numbered on {platform.machine()}; MIPS, SPARC and Alpha number some otherwise"
            if not wrong
            else "; ".join(wrong),
        ),
        "B67": Shown(
            actions_verdict(set(counts)),
            ", ".join(f"{action} {count}" for action, count in counts.most_common()),
            "some leave a core dump as they end it, and SIGCONT continues; a stopped process "
            f"{waited}{dumps}",
        ),
    }


def actions_verdict(actions: set[str]) -> str:
    """Judge the three actions of the slide by those that were seen."""
    three = {"terminate", "stop", "ignore"}
    if not three <= actions:
        return FAILS
    return HOLDS if actions == three else DEPENDS


@claim("B47", 40, "SIGCHLD is ignored by default.")
def child_ended(lab: Lab) -> Shown:
    """A process whose child ends, with SIGCHLD as it is by default, then told to ignore it."""

    def parent(tell: Tell) -> None:
        for setting in (signal.SIG_DFL, signal.SIG_IGN):
            signal.signal(signal.SIGCHLD, setting)
            pid = os.fork()
            if not pid:
                os._exit(0)
            # Waiting takes a child that is left; where none is left it returns when all ended.
            try:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                stat = Path(f"/proc/{pid}/stat").read_text()
                tell(json.dumps(stat.rpartition(")")[2].split()[0]))
                os.waitpid(pid, 0)
            except ChildProcessError:
                tell(json.dumps("ECHILD"))

    target = lab.fork(parent)
    kept, none = facts(target), facts(target)
    lived = target.ended() == 0
    lab.note(f"by default (SIG_DFL) the parent goes on; its child is left in state {kept}")
    lab.note(f"with SIG_IGN no child is left: waitid() says {none}")
    return holds(
        lived and kept == "Z",
        f"default: state {kept}; SIG_IGN: {none}",
        "nothing happens to the parent, yet the child stays a zombie, unless SIG_IGN is set",
    )


@claim("B48", 40, "SIGPIPE comes from a write to a pipe that nobody reads.")
def broken_pipe(lab: Lab) -> Shown:
    """Two processes write into a pipe whose read end is closed: one by default, one ignoring."""

    def writer(setting: signal.Handlers) -> int | None:
        reading, writing = os.pipe()
        os.close(reading)

        def write(tell: Tell) -> None:
            signal.signal(signal.SIGPIPE, setting)
            try:
                os.write(writing, b"x")
            except BrokenPipeError:
                os._exit(errno.EPIPE)

        child = lab.fork(write)
        os.close(writing)
        return child.ended()

    default, ignoring = writer(signal.SIG_DFL), writer(signal.SIG_IGN)
    lab.note(f"the writer that leaves it alone ended with {default}")
    lab.note(f"the one that ignores it got {errno.errorcode.get(ignoring or 0)}")
    return holds(
        default == -signal.SIGPIPE and ignoring == errno.EPIPE,
        f"killed by {-(default or 0)}; ignored: {errno.errorcode.get(ignoring or 0)}",
        "Python ignores it at its start and raises BrokenPipeError instead",
    )


@claim("B50", 42, "Signals come from hardware, from the system's events, from the user, or kill().")
def sources(lab: Lab) -> Shown:
    """A page without a file below it is read; a timer ends; ctrl-c is typed at a terminal; kill().

    Each in a process of its own, which says why the signal came (si_code).
    """
    empty = lab.directory / "empty"
    empty.write_bytes(b"")
    empty_fd = os.open(empty, os.O_RDWR)
    os.ftruncate(empty_fd, mmap.PAGESIZE)
    page = mmap.mmap(empty_fd, mmap.PAGESIZE)
    os.ftruncate(empty_fd, 0)

    def fault(tell: Tell) -> None:
        signals.dump_no_core()
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        page[0]

    hardware = lab.fork(fault).ended()
    master, slave = os.openpty()
    number = {"timer": signal.SIGALRM, "ctrl-c": signal.SIGINT, "kill()": signal.SIGTERM}
    came: dict[str, signals.Info] = {}
    for source, expected in number.items():

        def wait(tell: Tell, source: str = source, expected: int = expected) -> None:
            awaited = signals.SignalSet([expected])
            signals.sigprocmask(signal.SIG_BLOCK, awaited)
            if source == "ctrl-c":
                os.login_tty(slave)
            if source == "timer":
                signal.setitimer(signal.ITIMER_REAL, 0.001)
            tell(json.dumps("ready"))
            tell(json.dumps(signals.sigtimedwait(awaited, PATIENCE)))

        target = lab.fork(wait)
        facts(target)
        if source == "ctrl-c":
            os.write(master, b"\x03")
        if source == "kill()":
            target.kill(expected)
        came[source] = signals.Info(*facts(target))
    lab.note(f"hardware: a page fault without a page ended its process by {-(hardware or 0)}")
    for source, info in came.items():
        lab.note(f"{source}: signal {info.number}, si_code {info.code}")
    kernel = {source for source, info in came.items() if info.code == signals.SI_KERNEL}
    asked = came["kill()"]
    return holds(
        hardware == -signal.SIGBUS
        and kernel == {"timer", "ctrl-c"}
        and (asked.code, asked.pid) == (signals.SI_USER, os.getpid()),
        "SIGBUS, SIGALRM, SIGINT, SIGTERM",
        "si_code tells them apart: the kernel's own have SI_KERNEL, kill() has SI_USER and a pid",
    )


def _action(lab: Lab, number: int) -> str:
    """Return what ``number`` does to a process that has not said anything about it."""
    target = _target(lab)
    target.kill(number)
    target.kill(PROBE)
    how = os.waitid(os.P_PID, target.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
    assert how is not None
    if how.si_code == os.CLD_DUMPED:
        return "core dump"
    if how.si_code == os.CLD_KILLED:
        return "terminate"
    if how.si_code == os.CLD_STOPPED:
        return "stop"
    if how.si_status != ALIVE:
        raise RuntimeError(f"the target of {_name(number)} failed with status {how.si_status}")
    # Nothing happened to one that runs: does anything happen to one that is stopped?
    stopped = _target(lab)
    _stop(stopped)
    stopped.kill(number)
    return "ignore" if stopped.state() == "T" else "continue"


def _target(lab: Lab) -> Child:
    """Start a process that lets every signal do its default, and ends ALIVE at the PROBE."""

    def wait(tell: Tell) -> None:
        # In a group of its own: in an orphaned one the terminal's stop signals are ignored.
        os.setpgid(0, 0)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {PROBE})
        if _dumps_here():
            os.chdir(lab.directory)
            # A dump without any memory in it.
            Path("/proc/self/coredump_filter").write_text("0")
            most = resource.getrlimit(resource.RLIMIT_CORE)[1]
            resource.setrlimit(resource.RLIMIT_CORE, (most, most))
        else:
            signals.dump_no_core()
        tell(json.dumps("ready"))
        signal.sigwait({PROBE})
        sys.stdout.flush()
        os._exit(ALIVE)

    target = lab.fork(wait)
    facts(target)
    return target


def _dumps_here() -> bool:
    """Say whether a core dump of ours would stay in its process's working directory."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    return not any(mark in pattern for mark in "|/@")


def _stop(child: Child) -> None:
    child.kill(signal.SIGSTOP)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)


def _exceptions(lab: Lab) -> list[int]:
    """Return the standard signals that cannot be ignored, nor handled, nor blocked."""

    def refuse(tell: Tell) -> None:
        signals.sigprocmask(signal.SIG_BLOCK, signals.SignalSet().fill())
        blocked = signals_in(os.getpid(), "SigBlk")
        free = []
        for number in STANDARD:
            refused = 0
            for handler in (1, lambda _: None):
                try:
                    signals.sigaction(number, handler)
                except OSError:
                    refused += 1
            if refused == 2 and number not in blocked:
                free.append(number)
        tell(json.dumps(free))

    return list(facts(lab.fork(refuse)))


def _stopped_is_told(lab: Lab) -> str:
    """Return what SIGTERM does to a stopped process."""
    target = _target(lab)
    _stop(target)
    target.kill(signal.SIGTERM)
    state, pending = target.state(), signals_in(target.pid, "ShdPnd")
    target.kill(signal.SIGCONT)
    if state == "T" and signal.SIGTERM in pending and target.ended() == -signal.SIGTERM:
        return "keeps SIGTERM pending until SIGCONT"
    return f"was in state {state} after SIGTERM"


def _name(number: int) -> str:
    return signal.Signals(number).name
