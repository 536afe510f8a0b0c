"""System V semaphores: a set of them under one key, and arrays of operations, all done or none."""

from __future__ import annotations

import functools
import os
import time

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, run_program
from common.claims.lab import LONG_ENOUGH, PATIENCE, Lab, Tell
from common.kernel import libc
from common.kernel.libc import sysv_calls as sysv

# The greatest value that Linux lets a System V semaphore have (semop(2): SEMVMX).
LARGEST = 32767
# Rounds and semaphores a set, for the question what a new set holds.
ROUNDS, SET = 20, 100
SEATS, MEALS = 3, 50


def new_set(lab: Lab, values: list[int]) -> int:
    """Make a set with these values; returns its id. The lab removes it."""
    key = names.new_key()
    lab.intend("sysv_sem", key)
    semid = sysv.semget(key, len(values), sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)
    sysv.sem_set_values(semid, values)
    return semid


def tried(semid: int, *operations: tuple[int, int]) -> bool:
    """Do all operations (number, change) if none of them would block; says whether it did."""
    now = [(number, change, libc.IPC_NOWAIT) for number, change in operations]
    return libc.semtimedop(semid, now, None)


def queued(semid: int, number: int, command: int = sysv.GETNCNT) -> bool:
    """Wait until the kernel has somebody in the queue of a semaphore; says whether it came."""
    end = time.monotonic() + PATIENCE
    while not sysv.semctl(semid, number, command):
        if time.monotonic() > end:
            return False
        os.sched_yield()
    return True


@claim("A75", 530, "System V semaphores come as a set of several.")
def several(lab: Lab) -> Shown:
    """A set of three with three values; an operation on one of them leaves the others alone."""
    semid = new_set(lab, [3, 5, 7])
    tried(semid, (1, -2))
    values = sysv.sem_values(semid)
    lab.note(f"one id, {sysv.sem_stat(semid).nsems} semaphores 3, 5, 7; after -2 on [1]: {values}")
    return holds(
        values == [3, 3, 7],
        f"one set, values {values}",
        "semget makes as many as it is asked for, under one key",
    )


@claim("A77", 543, "The semaphores of a new set are not initialized.")
def new_values(lab: Lab) -> Shown:
    """Sets are made where dirty ones were; two processes meet between semget and SETVAL."""
    zeros = 0
    for _ in range(ROUNDS):
        # What is removed dirty is what the next one would inherit.
        semid = new_set(lab, [7] * SET)
        sysv.semctl(semid, 0, sysv.IPC_RMID)
        key = names.new_key()
        lab.intend("sysv_sem", key)
        semid = sysv.semget(key, SET, sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)
        zeros += sysv.sem_values(semid).count(0)
        sysv.semctl(semid, 0, sysv.IPC_RMID)
    lab.note(f"{zeros} of {ROUNDS * SET} new semaphores are 0, made after sets full of 7s")
    early, both = _in_the_gap(lab)
    return new_set_verdict(zeros, early, both)


def new_set_verdict(zeros: int, early: bool, both: bool) -> Shown:
    """Return the verdict: zero at once, but open in the gap before SETVAL, is both sides."""
    figure = f"{zeros} of {ROUNDS * SET} are 0"
    if zeros < ROUNDS * SET:
        return Shown(HOLDS, figure, "some of a new set's semaphores held something else than 0")
    if not (early and both):
        return Shown(FAILS, figure, "a new set is 0, and nobody got between semget and SETVAL")
    why = "Linux zeroes a new set, POSIX does not promise it; the hazard is the gap before SETVAL"
    return Shown(DEPENDS, figure, why)


def _in_the_gap(lab: Lab) -> tuple[bool, bool]:
    # One process makes a lock and is overtaken before its SETVAL; then a naive second SETVAL.
    key = names.new_key()
    lab.intend("sysv_sem", key)
    semid = sysv.semget(key, 1, sysv.IPC_CREAT | sysv.IPC_EXCL | 0o600)

    def join(tell: Tell) -> None:
        found = sysv.semget(key, 1)
        tell("taken" if tried(found, (0, -1)) else "shut")

    early = lab.fork(join).told() == "shut"
    lab.note(f"before SETVAL another process finds the lock {'shut' if early else 'open'}")
    sysv.semctl(semid, 0, sysv.SETVAL, 1)
    held = tried(semid, (0, -1))

    def start(tell: Tell) -> None:
        # It thinks that it is the first, and initializes what is in use.
        found = sysv.semget(key, 1, sysv.IPC_CREAT | 0o600)
        sysv.semctl(found, 0, sysv.SETVAL, 1)
        tell("taken" if tried(found, (0, -1)) else "shut")

    both = lab.fork(start).told() == "taken" and held
    lab.note(f"a second SETVAL while the lock is held: both hold it: {both}")
    return early, both


@claim("A78", 546, "struct sembuf has three shorts: sem_num, sem_op, sem_flg.")
def sembuf(lab: Lab) -> Shown:
    """A C program says what -1 is in each field; the kernel is asked for semaphore 65535."""
    semid = new_set(lab, [1])
    refused = attempt(lambda: libc.semtimedop(semid, [(65535, 1, 0)], 0))
    lab.note(f"semop on semaphore 65535 of a set of 1: {refused or 'done'}")
    program = lab.compile(
        "#include <stdio.h>\n#include <sys/sem.h>\n"
        "int main(void) { struct sembuf one = {-1, -1, 0};\n"
        'printf("%zu %d %d\\n", sizeof one, one.sem_num, one.sem_op); return 0; }'
    )
    if program is None:
        return Shown(
            DEPENDS if refused == "EFBIG" else HOLDS,
            f"65535: {refused}",
            "the kernel takes sem_num up to 65535 for a number; no C compiler shows the struct",
        )
    said = run_program(program)[0]
    size, number, change = map(int, said.split())
    lab.note(f"in C: {size} bytes; -1 is {number} in sem_num and {change} in sem_op")
    return Shown(
        HOLDS if number < 0 else DEPENDS if change < 0 and size == 6 else FAILS,
        f"{size} bytes, sem_num -1 is {number}",
        "three short fields, but sem_num is an unsigned short" if number > 0 else "all are signed",
    )


@claim("A79", 549, "sem_flg is 0, IPC_NOWAIT or SEM_UNDO.")
def flags(lab: Lab) -> Shown:
    """The same -1 on 0 with each flag; and a process that ends without giving back."""
    semid = new_set(lab, [0, 1])
    child = lab.fork(lambda tell: tell(str(libc.semtimedop(semid, [(0, -1, 0)], PATIENCE))))
    waits = queued(semid, 0)
    now = not tried(semid, (0, -1))
    lab.note(f"at 0: flag 0 sleeps: {waits}; IPC_NOWAIT returns at once without it: {now}")
    tried(semid, (0, 1))
    taken = child.told() == "True"
    lab.fork(lambda _: libc.semtimedop(semid, [(1, -1, libc.SEM_UNDO)], 0)).ended()
    undone = sysv.sem_values(semid)[1]
    lab.fork(lambda _: libc.semtimedop(semid, [(1, -1, 0)], 0)).ended()
    kept = sysv.sem_values(semid)[1]
    lab.note(f"a process took one and ended: with SEM_UNDO the value is {undone}, without {kept}")
    return holds(
        waits and now and taken and (undone, kept) == (1, 0),
        f"value {undone} with SEM_UNDO, {kept} without",
        "0 blocks, IPC_NOWAIT does not, SEM_UNDO takes the change back when the process ends",
    )


@claim("A80", 552, "semop and semtimedop: the second one waits only so long.")
def timed(lab: Lab) -> Shown:
    """A call of semtimedop with 0.1 s on a semaphore of 0, and on one of 1."""
    semid = new_set(lab, [0, 1])
    begun = time.monotonic()
    done = libc.semtimedop(semid, [(0, -1, 0)], 0.1)
    took = time.monotonic() - begun
    other = libc.semtimedop(semid, [(1, -1, 0)], 0.1)
    lab.note(f"on 0: {'done' if done else 'EAGAIN'} after {took:.3f} s; on 1: done: {other}")
    return holds(
        not done and other and took >= 0.1,
        f"{'done' if done else 'EAGAIN'} after {took:.2f} s",
        "it gives up with EAGAIN when the time is over and nothing was done",
    )


@claim("A81", 559, "The operations of an array are done atomically, all or none.")
def arrays(lab: Lab) -> Shown:
    """An array that must wait holds nothing; philosophers eat with arrays and starve with calls."""
    semid = new_set(lab, [5, 0])
    child = lab.fork(lambda _: libc.semtimedop(semid, [(0, -1, 0), (1, -1, 0)], PATIENCE))
    queued(semid, 1)
    waiting = sysv.sem_values(semid)
    lab.note(f"{{s0 -1, s1 -1}} sleeps since s1 is 0; meanwhile the values are {waiting}")
    tried(semid, (1, 1))
    ended = child.ended() == 0
    after = sysv.sem_values(semid)
    lab.note(f"after +1 on s1 it went on; the values are {after}")
    fed, stuck = _dinner(lab)
    return holds(
        ended and waiting == [5, 0] and after == [4, 0] and fed == SEATS and stuck == SEATS,
        f"s0 stays {waiting[0]} while s1 is waited for",
        f"{fed} of {SEATS} philosophers eat with both forks in one array; one call a fork: "
        f"{stuck} of {SEATS} wait for ever",
    )


def _dinner(lab: Lab) -> tuple[int, int]:
    # How many finish their meals with one array for both forks, and how many are left waiting
    # when each holds its left fork and asks for the right one.
    forks = new_set(lab, [1] * SEATS)

    def eats(seat: int, tell: Tell) -> None:
        left, right = seat, (seat + 1) % SEATS
        for _ in range(MEALS):
            if not libc.semtimedop(forks, [(left, -1, 0), (right, -1, 0)], PATIENCE):
                return
            libc.semtimedop(forks, [(left, 1, 0), (right, 1, 0)], 0)
        tell("full")

    diners = [lab.fork(functools.partial(eats, seat)) for seat in range(SEATS)]
    fed = sum(diner.told() == "full" for diner in diners)
    lab.note(f"one array for both forks: {fed} of {SEATS} philosophers ate {MEALS} times")
    all_left = new_set(lab, [SEATS])

    def starves(seat: int, tell: Tell) -> None:
        libc.semtimedop(forks, [(seat, -1, 0)], PATIENCE)
        # Nobody reaches to the right before all have the left one.
        libc.semtimedop(all_left, [(0, -1, 0)], 0)
        libc.semtimedop(all_left, [(0, 0, 0)], PATIENCE)
        got = libc.semtimedop(forks, [((seat + 1) % SEATS, -1, 0)], LONG_ENOUGH)
        tell("ate" if got else "hungry")
        # It keeps its left fork: who gave up must not feed a neighbour.
        libc.semtimedop(all_left, [(0, -1, 0)], PATIENCE)

    diners = [lab.fork(functools.partial(starves, seat)) for seat in range(SEATS)]
    stuck = sum(diner.told() == "hungry" for diner in diners)
    lab.note(f"one call a fork, all left ones first: {stuck} of {SEATS} wait for the right one")
    return fed, stuck


@claim("A82", 563, "sem_op > 0 adds it to the value.")
def adds(lab: Lab) -> Shown:
    """+3 on 4 by a process that never waited; then one more than the greatest value."""
    semid = new_set(lab, [4, LARGEST])
    lab.fork(lambda _: libc.semtimedop(semid, [(0, 3, 0)], 0)).ended()
    value = sysv.sem_values(semid)[0]
    over = attempt(lambda: tried(semid, (1, 1)))
    lab.note(f"4 + 3 is {value}; {LARGEST} + 1: {over or 'done'}")
    return holds(
        value == 7, f"4 + 3 = {value}", f"it never waits; beyond {LARGEST} it says {over or 'yes'}"
    )


@claim("A83", 564, "sem_op 0 waits until the value is 0.")
def zero(lab: Lab) -> Shown:
    """A process waits for zero while the value goes 2, 1, 0; then {wait for 0, +1} as a lock."""
    semid = new_set(lab, [2, 0])
    child = lab.fork(lambda tell: libc.semtimedop(semid, [(0, 0, 0)], PATIENCE) and tell("zero"))
    waits = []
    for _ in range(2):
        waits.append(queued(semid, 0, sysv.GETZCNT))
        tried(semid, (0, -1))
    woke = child.told() == "zero"
    lab.note(f"waiting for zero at 2 and at 1: {waits}; woken at 0: {woke}")
    first, second = (tried(semid, (1, 0), (1, 1)) for _ in range(2))
    lab.note(f"as a lock {{wait for 0, +1}}: first {first}, second {second}")
    return holds(
        waits == [True, True] and woke and first and not second,
        "sleeps at 2 and at 1, goes on at 0",
        "with {0, +1} in one array it makes a lock that is free at 0",
    )


@claim("A84", 565, "sem_op < 0 waits until the value is at least its amount.")
def subtracts(lab: Lab) -> Shown:
    """-4 on 3, then -3 on 3."""
    semid = new_set(lab, [3])
    four, left = tried(semid, (0, -4)), sysv.sem_values(semid)[0]
    three, after = tried(semid, (0, -3)), sysv.sem_values(semid)[0]
    lab.note(f"-4 on 3: {'done' if four else 'EAGAIN'}, it stays {left}")
    lab.note(f"-3 on 3: {'done' if three else 'EAGAIN'}, it is {after}")
    return holds(
        not four and three and (left, after) == (3, 0),
        "-4 on 3 would wait, -3 makes it 0",
        "and then it subtracts, in the same step, which the sentence leaves out",
    )


@claim("A85", 567, "semctl reads and sets a set.")
def control(lab: Lab) -> Shown:
    """SETVAL and GETVAL; then another process takes one, and GETPID says who."""
    semid = new_set(lab, [0])
    sysv.semctl(semid, 0, sysv.SETVAL, 1)
    value = sysv.semctl(semid, 0, sysv.GETVAL)
    holder = lab.fork(lambda _: libc.semtimedop(semid, [(0, -1, 0)], 0))
    holder.ended()
    said = sysv.semctl(semid, 0, sysv.GETPID)
    lab.note(f"SETVAL 1, GETVAL {value}; process {holder.pid} takes it; GETPID says {said}")
    return holds(
        value == 1 and said == holder.pid,
        f"GETPID {said}",
        "GETPID is the process of the last operation: the holder, if the semaphore is a lock",
    )
