"""Pending and blocked signals: what lies between the sending of a signal and its receipt."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import Child, Lab, Tell
from common.claims.observing import facts, signals_in
from common.kernel.libc import signals

USR1, USR2, REALTIME = signal.SIGUSR1, signal.SIGUSR2, signal.SIGRTMIN
SENT = 100


@claim("B49", 42, "The kernel delivers a signal by changing state in the target's context.")
@claim("B52", 44, "The pictures: sending sets the target's pending bit, receipt clears it.")
@claim("B56", 56, "A blocked signal is delivered, but not received until it is unblocked.")
@claim("B57", 56, "A pending signal is received at most once.")
@claim("B58", 58, "sigprocmask() sets and clears the mask of blocked signals.")
def one_signal(lab: Lab) -> dict[str, Shown]:
    """A process with a handler for SIGUSR1 blocks it, gets one, and unblocks it twice.

    After each step its bitmaps are read in /proc while it waits for the word to go on.
    """
    reading, writing = os.pipe()

    def target(tell: Tell) -> None:
        runs = 0

        def handler(*_: object) -> None:
            nonlocal runs
            runs += 1

        signal.signal(USR1, handler)
        mask = signals.SignalSet([USR1])
        for how in (None, signal.SIG_BLOCK, None, signal.SIG_UNBLOCK, signal.SIG_BLOCK):
            if how is not None:
                signals.sigprocmask(how, mask)
            tell(json.dumps(runs))
            os.read(reading, 1)
        signals.sigprocmask(signal.SIG_UNBLOCK, mask)
        tell(json.dumps(runs))

    child = lab.fork(target)

    def look(what: str) -> tuple[bool, bool, int]:
        runs = facts(child)
        pending = USR1 in signals_in(child.pid, "SigPnd", "ShdPnd")
        blocked = USR1 in signals_in(child.pid, "SigBlk")
        lab.note(f"{what}: pending {pending:d}, blocked {blocked:d}, handler ran {runs} times")
        return pending, blocked, runs

    first = look("at first")
    os.write(writing, b"x")
    masked = look("after sigprocmask(SIG_BLOCK)")
    child.asleep()
    child.kill(USR1)
    asleep = child.state() == "S"
    at_once = USR1 in signals_in(child.pid, "SigPnd", "ShdPnd")
    os.write(writing, b"x")
    sent = look("after kill(SIGUSR1), and some work of its own")
    os.write(writing, b"x")
    received = look("after SIG_UNBLOCK")
    os.write(writing, b"x")
    look("after SIG_BLOCK")
    os.write(writing, b"x")
    again = facts(child)
    lab.note(f"after SIG_UNBLOCK again: handler ran {again} times")
    return {
        "B49": holds(
            not masked[0] and at_once and asleep,
            f"bit {USR1} of ShdPnd 0 → {at_once:d}",
            "kill() had set it when it returned; the target slept on",
        ),
        "B52": holds(
            (masked[0], sent[0], received[0]) == (False, True, False),
            f"{masked[0]:d} → {sent[0]:d} → {received[0]:d}",
            "the bit before the sending, after it, and after the receipt",
        ),
        "B56": holds(
            sent == (True, True, 0) and received[2] == 1,
            f"handler ran {sent[2]} times, then {received[2]}",
            "it was pending all the while, and the handler ran when it was unblocked",
        ),
        "B57": holds(
            received[2] == again == 1,
            f"received {again} time" + "s" * (again != 1),
            "the receipt cleared the bit: unblocking once more brought nothing",
        ),
        "B58": holds(
            (first[1], masked[1], received[1]) == (False, True, False),
            f"bit {USR1} of SigBlk {first[1]:d} → {masked[1]:d} → {received[1]:d}",
            "/proc/PID/status shows the mask",
        ),
    }


@claim("B51", 42, "A process's control block has a bitmap of pending and one of blocked signals.")
def bitmaps(lab: Lab) -> Shown:
    """A process blocks three signals; one is sent to the process, one to its thread, one thrice."""

    def target(tell: Tell) -> None:
        waiting = {USR1, USR2, REALTIME}
        signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
        os.kill(os.getpid(), USR1)
        # raise(3) sends to the calling thread alone.
        signal.raise_signal(USR2)
        for _ in range(3):
            os.kill(os.getpid(), REALTIME)
        fields = ("ShdPnd", "SigPnd", "SigBlk")
        tell(json.dumps([sorted(signals_in(os.getpid(), field)) for field in fields]))
        tell(json.dumps(_drained(waiting)[REALTIME]))

    child = lab.fork(target)
    process, thread, blocked = facts(child)
    behind = facts(child)
    lab.note(f"pending for the process (ShdPnd): {process}")
    lab.note(f"pending for its thread (SigPnd): {thread}")
    lab.note(f"blocked (SigBlk): {blocked}")
    lab.note(f"signal {REALTIME} was sent 3 times, its one bit set; it was received {behind} times")
    bits = {USR1, REALTIME} <= set(process) | set(thread) and {USR1, USR2, REALTIME} <= set(blocked)
    more = behind > 1 or USR2 in thread
    return Shown(
        (DEPENDS if more else HOLDS) if bits else FAILS,
        f"one bit, {behind} signals",
        "behind it is a queue for real-time signals, and each thread has bitmaps of its own",
    )


@claim("B54", 56, "At most one signal of a type is pending.")
@claim("B55", 56, "Signals are not queued: while one is pending, more of its type are discarded.")
@claim("B76", 88, "One bit for each type says whether it is pending, so they are not queued.")
def hundred(lab: Lab) -> dict[str, Shown]:
    """A process blocks SIGUSR1 and a real-time signal; another sends it 100 of each."""

    def target(tell: Tell) -> None:
        waiting = {USR1, REALTIME}
        signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
        tell(json.dumps("ready"))
        signal.sigwait({USR2})
        tell(json.dumps(_drained(waiting)))

    signal.pthread_sigmask(signal.SIG_BLOCK, {USR2})
    child = lab.fork(target)
    facts(child)
    for number in (USR1, REALTIME):
        for _ in range(SENT):
            child.kill(number)
    bit = USR1 in signals_in(child.pid, "ShdPnd")
    child.kill(USR2)
    received = facts(child)
    standard, realtime = received.get(str(int(USR1)), 0), received.get(str(int(REALTIME)), 0)
    lab.note(f"{SENT} SIGUSR1 sent while it was blocked: {standard} received")
    lab.note(f"{SENT} of signal {REALTIME} sent in the same way: {realtime} received")
    one = holds(
        bit and standard == 1,
        f"{standard} of {SENT}",
        "a standard signal that is pending already is dropped, whoever sends it",
    )
    return {
        "B54": one,
        "B55": Shown(
            queueing_verdict(standard, realtime),
            f"standard {standard}, real-time {realtime} of {SENT}",
            "standard signals are not queued; real-time signals are, each with its value",
        ),
        "B76": one,
    }


def queueing_verdict(standard: int, realtime: int) -> str:
    """Judge "signals are not queued" by how many of SENT came, standard and real-time."""
    if standard == realtime == 1:
        return HOLDS
    return DEPENDS if standard == 1 else FAILS


@claim("B74", 86, "Sets are made by sigemptyset, sigfillset, sigaddset and sigdelset.")
def sets(lab: Lab) -> Shown:
    """Sets are made by each of the four, and set as a process's mask, which the kernel shows."""
    made = signals.SignalSet([USR1, USR2])
    nothing = signals.SignalSet()
    masks: dict[str, signals.SignalSet] = {"sigemptyset": nothing, "sigaddset × 2": made}
    one = signals.SignalSet(made)
    one.delete(USR2)
    masks["sigdelset"] = one
    masks["sigfillset"] = signals.SignalSet().fill()

    def target(tell: Tell) -> None:
        for mask in masks.values():
            signals.sigprocmask(signal.SIG_SETMASK, mask)
            tell(json.dumps(sorted(signals_in(os.getpid(), "SigBlk"))))

    child: Child = lab.fork(target)
    seen = {name: set(facts(child)) for name in masks}
    for name, blocked in seen.items():
        lab.note(f"{name}: {len(blocked)} blocked" + f" {sorted(blocked)}" * (0 < len(blocked) < 5))
    full = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    return holds(
        list(seen.values()) == [set(), {USR1, USR2}, {USR1}, full],
        ", ".join(f"{name} {len(blocked)}" for name, blocked in seen.items()),
        "a full set blocks all but SIGKILL, SIGSTOP and those the C library keeps for itself",
    )


def _drained(waiting: set[signal.Signals]) -> Counter[int]:
    """Take all pending signals of ``waiting``, which are blocked; returns how many of each."""
    counts: Counter[int] = Counter()
    while (info := signal.sigtimedwait(waiting, 0)) is not None:
        counts[info.si_signo] += 1
    return counts
