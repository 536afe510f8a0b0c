"""What goes wrong with handlers: missed signals, lost counts, broken data, the wrong thread."""

from __future__ import annotations

import json
import os
import signal
import subprocess

from common.claims.claim import Shown, claim, holds
from common.claims.lab import LONG_ENOUGH, PATIENCE, Lab, Tell, Work
from common.claims.observing import facts
from common.kernel.libc import signals

USR1 = signal.SIGUSR1
TRIALS = 5
CHILDREN = 50

# Two threads; which of them runs the handler, first when both may, then when the first may not.
THREADS = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static pthread_t first;
static volatile sig_atomic_t ran;
static void handler(int number) { ran = pthread_equal(pthread_self(), first) ? 1 : 2; }
static void *work(void *nothing) {
    for (;;) pause();
}
int main(void) {
    pthread_t worker;
    sigset_t one;
    struct timespec moment = {0, 1000000};
    first = pthread_self();
    signal(SIGUSR1, handler);
    sigemptyset(&one);
    sigaddset(&one, SIGUSR1);
    pthread_create(&worker, 0, work, 0);
    for (int blocked = 0; blocked < 2; blocked++) {
        if (blocked) pthread_sigmask(SIG_BLOCK, &one, 0);
        ran = 0;
        kill(getpid(), SIGUSR1);
        while (!ran) nanosleep(&moment, 0);
        printf("%d ", (int)ran);
    }
    return 0;
}
"""


@claim("B70", 80, "The example with pause() is not reliable: the signal may come just before it.")
@claim("B78", 88, "sigsuspend() is there to wait for a signal.")
def missed(lab: Lab) -> dict[str, Shown]:
    """Ten processes look at a flag that a handler sets, and then wait for the signal.

    It is sent when each has looked and not yet begun to wait: five wait in pause(), five block the
    signal before they look and wait in sigsuspend().
    """

    def woken(suspend: bool, seconds: float) -> int:
        gates = [os.pipe() for _ in range(TRIALS)]
        waiters = [lab.fork(_waiter(reading, suspend)) for reading, _ in gates]
        for child, (_, writing) in zip(waiters, gates, strict=True):
            facts(child)
            child.kill(USR1)
            os.write(writing, b"x")
        woke = sum(child.ended(seconds / TRIALS) == 0 for child in waiters)
        stuck = sum(child.state() == "S" for child in waiters if child.status is None)
        name = "sigsuspend()" if suspend else "pause()"
        lab.note(f"{name}: {woke} of {TRIALS} woke, {stuck} sleep on")
        return woke

    paused, suspended = woken(False, LONG_ENOUGH), woken(True, PATIENCE)
    return {
        "B70": holds(
            paused < TRIALS,
            f"{TRIALS - paused} of {TRIALS} sleep on",
            "the handler had run before pause() began; nor may a handler call printf() or exit()",
        ),
        "B78": holds(
            suspended == TRIALS,
            f"{suspended} of {TRIALS} woke",
            "it frees the signal and sleeps in one step, so none can come between",
        ),
    }


def _waiter(gate: int, suspend: bool) -> Work:
    """Return the work of a process that waits for SIGUSR1, and passes ``gate`` just before."""

    def wait(tell: Tell) -> None:
        came: list[int] = []
        if suspend:
            signal.pthread_sigmask(signal.SIG_BLOCK, {USR1})
        signal.signal(USR1, lambda number, frame: came.append(number))
        if not came:
            tell(json.dumps("has looked"))
            os.read(gate, 1)
            if suspend:
                signals.sigsuspend(signals.SignalSet())
            else:
                signal.pause()

    return wait


@claim("B75", 88, "Handlers run beside the main program, and can corrupt the data that both use.")
def shared_data(lab: Lab) -> Shown:
    """A process sells one unit from a stock of 10; a signal comes between its read and its write.

    The handler sells one, too. Then the same with the signal blocked during the sale.
    """

    def target(tell: Tell) -> None:
        stock = 10

        def sell(interrupt: bool) -> None:
            nonlocal stock
            read = stock
            if interrupt:
                os.kill(os.getpid(), USR1)
            stock = read - 1

        signals.sigaction(USR1, lambda info: sell(False))
        one = signals.SignalSet([USR1])
        left = []
        for blocked in (False, True):
            stock = 10
            if blocked:
                signals.sigprocmask(signal.SIG_BLOCK, one)
            sell(True)
            signals.sigprocmask(signal.SIG_UNBLOCK, one)
            left.append(stock)
        tell(json.dumps(left))

    free, blocked = facts(lab.fork(target))
    lab.note(f"two sales of one unit from 10, the second in a handler: {free} left")
    lab.note(f"the same with the signal blocked from the read to the write: {blocked} left")
    return holds(
        free != 8 and blocked == 8,
        f"{free} left instead of 8",
        f"the handler's sale is overwritten; with the signal blocked {blocked} are left",
    )


@claim("B77", 88, "Signals cannot count events, such as children that end.")
def counting(lab: Lab) -> Shown:
    """Fifty children end while their parent blocks SIGCHLD; its handler calls wait() once.

    Then one more ends, and the handler waits until there is nobody left to wait for.
    """

    def parent(tell: Tell) -> None:
        chld = {signal.SIGCHLD}
        signal.pthread_sigmask(signal.SIG_BLOCK, chld)
        pids: list[int] = []
        reaped: list[int] = []

        def end(count: int) -> None:
            for _ in range(count):
                pids.append(os.fork())
                if not pids[-1]:
                    os._exit(0)
            for pid in pids[-count:]:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

        def once(*_: object) -> None:
            reaped.append(os.wait()[0])

        def until_none(*_: object) -> None:
            try:
                while pid := os.waitpid(-1, os.WNOHANG)[0]:
                    reaped.append(pid)
            except ChildProcessError:
                pass

        counts = []
        for handler, ending in ((once, CHILDREN), (until_none, 1)):
            signal.signal(signal.SIGCHLD, handler)
            end(ending)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, chld)
            signal.pthread_sigmask(signal.SIG_BLOCK, chld)
            counts.append(len(reaped))
        tell(json.dumps(counts))

    first, all_of_them = facts(lab.fork(parent))
    lab.note(f"{CHILDREN} children ended; a handler with one wait() reaped {first}")
    lab.note(f"{CHILDREN - first} were left as zombies")
    lab.note(f"a handler with waitpid() in a loop then reaped the other {all_of_them - first}")
    return holds(
        first < CHILDREN,
        f"{first} of {CHILDREN} reaped",
        "their signals became one; a handler must wait until nobody is left: "
        f"{all_of_them} of {CHILDREN + 1}",
    )


@claim("B166", 154, "A signal sends an integer, and goes badly with threads.")
def threads(lab: Lab) -> Shown:
    """A program of two threads sends itself a signal, while both may take it, then only one."""
    number = signal.SIGUSR2

    def target(tell: Tell) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        tell(json.dumps("ready"))
        tell(json.dumps(signal.sigwait({number})))

    child = lab.fork(target)
    facts(child)
    child.kill(number)
    integer = facts(child)
    lab.note(f"the integer that came: {integer}")
    program = lab.compile(THREADS)
    if program is None:
        lab.note("there is no C compiler: nothing is tried with threads")
        return holds(integer == number, str(integer), "an integer came; threads were not tried")
    done = subprocess.run([program], capture_output=True, timeout=PATIENCE, check=True)
    ran = done.stdout.decode().split()
    lab.note(f"sent to the process, both threads free: thread {ran[0]} ran the handler")
    lab.note(f"sent again while thread 1 blocks it: thread {ran[1]} ran the handler")
    return holds(
        integer == number and ran[0] != ran[1],
        f"{integer}; thread {ran[0]}, then {ran[1]}",
        "kill() names no thread: any that does not block it may run the one handler of all",
    )
