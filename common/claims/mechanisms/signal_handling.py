"""Signal handlers: how one is set, when and where it runs, and what it interrupts."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import Lab, Tell
from common.claims.observing import facts, signals_in
from common.kernel.libc import signals, sysv_calls

USR1, USR2 = signal.SIGUSR1, signal.SIGUSR2
# Standard and real-time, in an order that is neither of the two that may come out.
SIX = (USR2, signal.SIGRTMIN + 1, signal.SIGHUP, signal.SIGTERM, signal.SIGRTMIN, USR1)


@claim("B53", 54, "A signal is ignored, ends the process, or is caught; then the flow goes on.")
def reactions(lab: Lab) -> Shown:
    """Three processes asleep in read() ignore, suffer and catch SIGUSR1.

    Then SIGUSR1 is caught in read() and in msgrcv(), each with and without SA_RESTART.
    """
    queue = sysv_calls.msgget(lab.maker.sysv_queue())

    def read(fd: int) -> str:
        return signals.read_once(fd, 1).decode()

    def receive(fd: int) -> str:
        return sysv_calls.msgrcv(queue, 1)[1].decode()

    def after(
        handler: Callable[[signals.Info], object] | int, flags: int = 0,
        call: Callable[[int], str] = read,
    ) -> str:  # fmt: skip
        """Return what a process does that gets SIGUSR1 in ``call``, and then what it waits for."""
        reading, writing = os.pipe()

        def target(tell: Tell) -> None:
            signals.sigaction(USR1, handler, None, flags)
            tell(json.dumps("ready"))
            try:
                tell(json.dumps(f"goes on with {call(reading)}"))
            except InterruptedError as error:
                tell(json.dumps(errno.errorcode[error.errno or 0]))

        child = lab.fork(target)
        facts(child)
        child.asleep()
        child.kill(USR1)
        if handler == 0:
            return f"killed by {-(child.ended() or 0)}"
        # kill() has woken it if it was to be woken: asleep again, the call goes on.
        while (state := child.state()) not in ("S", "Z"):
            os.sched_yield()
        if state == "S" and call is receive:
            sysv_calls.msgsnd(queue, 1, b"x")
        elif state == "S":
            os.write(writing, b"x")
        return str(facts(child))

    def caught(_: signals.Info) -> None:
        pass

    seen = {
        "ignored (SIG_IGN), read()": after(1),
        "default (SIG_DFL), read()": after(0),
        "caught, read()": after(caught),
        "caught with SA_RESTART, read()": after(caught, signals.SA_RESTART),
        "caught, msgrcv()": after(caught, 0, receive),
        "caught with SA_RESTART, msgrcv()": after(caught, signals.SA_RESTART, receive),
    }
    for what, came in seen.items():
        lab.note(f"{what}: {came}")
    ignored, default, *flows = seen.values()
    three = ignored == "goes on with x" and default == f"killed by {USR1}"
    broken = flows.count("EINTR")
    return Shown(
        (DEPENDS if broken else HOLDS) if three else FAILS,
        f"{broken} of {len(flows)} calls broken off",
        "a sleeping call is broken off with EINTR; SA_RESTART begins some again, never msgrcv()",
    )


@claim("B66", 72, "Of the pending signals that are not blocked the lowest is taken, then the next.")
def order(lab: Lab) -> Shown:
    """A process has six pending signals and frees all: handlers without a mask, then with a full.

    The frame of each handler tells by its address when the kernel made it: stacks grow downwards.
    """

    def target(tell: Tell) -> None:
        for mask in (signals.SignalSet(), signals.SignalSet().fill()):
            ran: list[signals.Info] = []
            for number in SIX:
                signals.sigaction(number, ran.append, mask)
            signals.sigprocmask(signal.SIG_BLOCK, signals.SignalSet(SIX))
            for number in SIX:
                os.kill(os.getpid(), number)
            signals.sigprocmask(signal.SIG_UNBLOCK, signals.SignalSet(SIX))
            tell(json.dumps(ran))

    child = lab.fork(target)
    stacked = [signals.Info(*each) for each in facts(child)]
    masked = [signals.Info(*each).number for each in facts(child)]
    ran = [info.number for info in stacked]
    taken = [info.number for info in sorted(stacked, key=lambda info: -info.address)]
    lab.note(f"sent: {_words(SIX)}")
    lab.note(f"without a mask frames were made for {_words(taken)}, each below the last")
    lab.note(f"so the handlers ran in the order {_words(ran)}")
    lab.note(f"with a full sa_mask they ran in the order {_words(masked)}")
    return Shown(
        order_verdict(ran, masked),
        f"{_words(ran)}; with a full mask {_words(masked)}",
        "the lowest is taken first, but its handler is interrupted by the next before it begins, "
        "unless sa_mask blocks that",
    )


def order_verdict(ran: Sequence[int], masked: Sequence[int]) -> str:
    """Judge "lowest first" by the orders in which handlers ran, without a mask and with a full."""
    rising = sorted(SIX)
    rises = (list(ran) == rising, list(masked) == rising)
    return HOLDS if all(rises) else DEPENDS if any(rises) else FAILS


@claim("B68", 78, "signal() takes SIG_IGN, SIG_DFL, or the address of a handler.")
def three_settings(lab: Lab) -> Shown:
    """Three processes set SIGUSR1 by the C library's signal(), and raise it."""

    def after(setting: int) -> tuple[bool, bool, int | None]:
        def target(tell: Tell) -> None:
            signals.c_signal(USR1, setting)
            tell(json.dumps([USR1 in signals_in(os.getpid(), of) for of in ("SigIgn", "SigCgt")]))
            os.kill(os.getpid(), USR1)

        child = lab.fork(target)
        ignored, caught = facts(child)
        return ignored, caught, child.ended()

    seen = {
        "SIG_IGN": after(1), "SIG_DFL": after(0), "a handler": after(signals.do_nothing()),
    }  # fmt: skip
    for what, (ignored, caught, status) in seen.items():
        lab.note(f"{what}: SigIgn {ignored:d}, SigCgt {caught:d}, then it ended with {status}")
    expected = [(True, False, 0), (False, False, -USR1), (False, True, 0)]
    return holds(
        list(seen.values()) == expected,
        "ignored, killed, caught",
        "SigIgn and SigCgt in /proc/PID/status show the setting",
    )


@claim("B69", 78, "When the handler returns, control goes back to where it was interrupted.")
def goes_back(lab: Lab) -> Shown:
    """A process is interrupted in the middle of a sum, by a handler set with signal() as in C."""

    def target(tell: Tell) -> None:
        steps: list[str] = []
        signals.sigaction(USR1, lambda info: steps.append("handler"))
        for number in range(4):
            steps.append(str(number))
            if number == 1:
                # A process that sends itself a signal has received it when kill() returns.
                os.kill(os.getpid(), USR1)
        signals.c_signal(USR2, signals.do_nothing())
        flags = signals.flags(USR2)
        os.kill(os.getpid(), USR2)
        kept = USR2 in signals_in(os.getpid(), "SigCgt")
        tell(json.dumps([steps, bool(flags & signals.SA_RESTART), kept]))

    steps, restart, kept = facts(lab.fork(target))
    lab.note(" → ".join(steps))
    lab.note(f"signal() of this C library: SA_RESTART {restart}, handler set afterwards {kept}")
    return holds(
        steps == ["0", "1", "handler", "2", "3"],
        " → ".join(steps),
        f"signal() sets SA_RESTART: {'yes' if restart else 'no'}; "
        f"the handler stays set: {'yes' if kept else 'no'}",
    )


@claim("B71", 82, "A handler usually works on the stack of what it interrupts.")
def same_stack(lab: Lab) -> Shown:
    """A process raises a signal; where its frame lies is compared with the map of its memory."""

    def target(tell: Tell) -> None:
        came: list[signals.Info] = []
        signals.sigaction(USR1, came.append)
        os.kill(os.getpid(), USR1)
        tell(json.dumps([came[0].address, Path("/proc/self/maps").read_text()]))

    address, maps = facts(lab.fork(target))
    where = "nowhere"
    for line in maps.splitlines():
        start, end = (int(word, 16) for word in line.split()[0].split("-"))
        if start <= address < end:
            where = line.split()[-1]
            lab.note(f"the frame at {address:#x} lies in {start:#x}-{end:#x} {where}")
            lab.note(f"that is {end - address} bytes below the top of the stack")
    return holds(
        where == "[stack]",
        f"{address:#x} in {where}",
        "the kernel pushed the handler's frame on the process's own stack; sigaltstack(2) and "
        "SA_ONSTACK choose another",
    )


@claim("B72", 84, "A handler can be interrupted by another handler.")
@claim("B73", 86, "The type being handled is blocked, so a handler does not interrupt itself.")
def nested(lab: Lab) -> dict[str, Shown]:
    """A handler of SIGUSR1 raises SIGUSR2; then one raises SIGUSR1, without and with SA_NODEFER."""

    def target(tell: Tell) -> None:
        steps: list[str] = []
        depth = most = 0
        raised = False

        def outer(_: signals.Info) -> None:
            steps.append("S begins")
            os.kill(os.getpid(), USR2)
            steps.append("S ends")

        def inner(_: signals.Info) -> None:
            steps.append("T runs")

        def again(_: signals.Info) -> None:
            nonlocal depth, most, raised
            depth += 1
            most = max(most, depth)
            if not raised:
                raised = True
                os.kill(os.getpid(), USR1)
            depth -= 1

        signals.sigaction(USR1, outer)
        signals.sigaction(USR2, inner)
        os.kill(os.getpid(), USR1)
        depths = []
        for flags in (0, signals.SA_NODEFER):
            most, raised = 0, False
            signals.sigaction(USR1, again, None, flags)
            os.kill(os.getpid(), USR1)
            depths.append(most)
        tell(json.dumps([steps, depths]))

    steps, (usual, nodefer) = facts(lab.fork(target))
    lab.note(" → ".join(steps))
    lab.note(f"a handler that raises its own signal: {usual} deep; with SA_NODEFER {nodefer}")
    return {
        "B72": holds(
            steps == ["S begins", "T runs", "S ends"],
            " → ".join(steps),
            "the second ran in the middle of the first, which then went on",
        ),
        "B73": holds(
            usual == 1,
            f"depth {usual}",
            f"it ran again only when it had returned; SA_NODEFER lifts that (depth {nodefer})",
        ),
    }


def _words(numbers: Sequence[int]) -> str:
    return " ".join(str(int(number)) for number in numbers)
