"""POSIX semaphores: a number that processes wait for, with a name or in memory that they share."""

from __future__ import annotations

import mmap
import os
import signal
import time
from collections.abc import Callable

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, run_program
from common.claims.lab import LONG_ENOUGH, PATIENCE, Child, Lab, Tell
from common.claims.mechanisms import sysv_semaphores
from common.kernel import existing, libc
from common.kernel.libc import memory
from common.kernel.libc import posix_calls as posix
from common.kernel.libc import sysv_calls as sysv

# Items that go through the buffer of one slot.
ITEMS = 2000
QUEUE = 6
# Rounds in which somebody may walk past a queue that waits.
ROUNDS = 10


def opened(lab: Lab, value: int) -> int:
    """Make a named semaphore; returns its sem_t pointer, which forked processes share."""
    return posix.sem_open(lab.maker.posix_sem(value))


@claim("A66", 440, "POSIX semaphores: named ones, memory-based ones, and System V's.")
def kinds(lab: Lab) -> Shown:
    """One of each is made and posted by a second process; then it is looked up where it lives."""
    name = lab.maker.posix_sem(0)
    pages = mmap.mmap(-1, mmap.PAGESIZE)
    named, unnamed = posix.sem_open(name), posix.sem_init(pages, shared=True)
    semid = sysv_semaphores.new_set(lab, [0])

    def post(_: Tell) -> None:
        posix.sem_post(named)
        posix.sem_post(unnamed)
        libc.semtimedop(semid, [(0, 1, 0)], 0)

    lab.fork(post).ended()
    values = [posix.sem_getvalue(named), posix.sem_getvalue(unnamed), sysv.sem_values(semid)[0]]
    file = existing.path("posix_sem", name).exists()
    listed = sum(row["semid"] == semid for row in existing.listed("sem"))
    stranger = attempt(lambda: posix.sem_open(f"/{sysv.sem_stat(semid).owner.key:x}"))
    lab.note(f"all three are posted by another process: {values}")
    lab.note(f"the named one is a file in /dev/shm: {file}; in /proc/sysvipc/sem is System V's")
    lab.note(f"sem_open of the System V key: {stranger}")
    apart = file and listed == 1 and stranger == "ENOENT"
    return Shown(
        FAILS if values != [1, 1, 1] else DEPENDS if apart else HOLDS,
        f"values {values}",
        "there are these three, but System V's is not POSIX's: other calls, keys and no sem_t",
    )


@claim("A67", 449, "Create a semaphore: its value is 1.")
def first_value(lab: Lab) -> Shown:
    """Semaphores are made with 0, 1 and 5."""
    asked = [0, 1, 5]
    found = [posix.sem_getvalue(opened(lab, value)) for value in asked]
    lab.note(f"created with {asked}, they have {found}")
    return Shown(
        DEPENDS if found == asked else HOLDS if set(found) == {1} else FAILS,
        f"made with {', '.join(map(str, found))}",
        "1 makes a mutex; 0 waits for an event, n counts things",
    )


@claim("A68", 451, "Wait: while the value is 0 wait, then lower it, atomically.")
def waits(lab: Lab) -> Shown:
    """Three processes wait on 0, two posts come; the CPU time of a waiter is its own account."""
    semaphore = opened(lab, 0)

    def wait(tell: Tell) -> None:
        tell("waiting")
        before = time.process_time()
        posix.sem_timedwait(semaphore, PATIENCE)
        tell(f"{time.process_time() - before:.4f}")

    children = [lab.fork(wait) for _ in range(3)]
    for child in children:
        child.told()
        child.asleep()
    # As long as nobody posts nobody goes on.
    asleep = children[0].told(LONG_ENOUGH) is None and all(child.asleep() for child in children)
    for _ in range(2):
        posix.sem_post(semaphore)
    spent = first(children, 2)
    others = [child for child in children if child not in spent]
    left = sum(child.asleep() and child.told(0) is None for child in others)
    value = posix.sem_getvalue(semaphore)
    lab.note(f"asleep until a post: {asleep}; two posts let {len(spent)} go on, {left} waits on")
    lab.note(f"CPU seconds of those who waited: {', '.join(spent.values())}")
    return holds(
        asleep and len(spent) == 2 and left == 1 and value == 0,
        f"{max(spent.values(), default='?')} s of CPU in {LONG_ENOUGH:g} s",
        "in effect; it sleeps in the kernel (futex(2)) and is no busy loop",
    )


def first(children: list[Child], count: int) -> dict[Child, str]:
    """Return what the first ``count`` of these processes tell, in the order in which they do."""
    said: dict[Child, str] = {}
    end = time.monotonic() + PATIENCE
    while len(said) < count and time.monotonic() < end:
        for child in children:
            line = None if child in said else child.told(0)
            if line is not None:
                said[child] = line
        os.sched_yield()
    return said


@claim("A69", 459, "Post: raise the value by one.")
def posts(lab: Lab) -> Shown:
    """A process that never waited posts three times."""
    semaphore = opened(lab, 0)

    def post(_: Tell) -> None:
        for _turn in range(3):
            posix.sem_post(semaphore)

    lab.fork(post).ended()
    value = posix.sem_getvalue(semaphore)
    lab.note(f"three posts by a process that never waited: the value is {value}")
    return holds(value == 3, f"value {value}", "a semaphore has no owner: anyone may post")


@claim("A70", 465, "Producer and consumer: get starts with 0, put with 1.")
def one_slot(lab: Lab) -> Shown:
    """A slot in shared memory, two processes, items in order; then a consumer dies with one."""
    slot = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
    put, get = opened(lab, 1), opened(lab, 0)

    def consume(tell: Tell) -> None:
        got = []
        for _ in range(ITEMS):
            posix.sem_timedwait(get, PATIENCE)
            got.append(slot[0])
            posix.sem_post(put)
        tell(str(got == list(range(ITEMS))))
        posix.sem_timedwait(get, PATIENCE)
        tell("has an item")
        signal.pause()

    def produce(tell: Tell) -> None:
        for item in range(ITEMS + 2):
            if item > ITEMS:
                tell("stands before put")
            posix.sem_timedwait(put, PATIENCE)
            slot[0] = item
            posix.sem_post(get)

    consumer, producer = lab.fork(consume), lab.fork(produce)
    ordered = consumer.told() == "True"
    lab.note(f"{ITEMS} items through one slot, every one in order: {ordered}")
    consumer.told()
    consumer.kill()
    consumer.ended()
    producer.told()
    stuck = producer.asleep() and producer.ended(LONG_ENOUGH) is None
    lab.note(f"the consumer is killed with an item in hand; the producer waits on: {stuck}")
    return holds(
        ordered,
        f"{ITEMS} items in order" if ordered else "out of order",
        "they take turns at the slot" + ("; who dies between get and put stops both" * stuck),
    )


@claim("A71", 483, "Named: sem_open, close, unlink; memory: sem_init, destroy; the rest is shared.")
def both_families(lab: Lab) -> Shown:
    """The same four calls work on both; each is then ended by its own family's calls."""
    name = lab.maker.posix_sem(1)
    pages = mmap.mmap(-1, mmap.PAGESIZE)
    named, unnamed = posix.sem_open(name), posix.sem_init(pages, shared=True, value=1)
    seen = []
    for semaphore in (named, unnamed):
        posix.sem_wait(semaphore)
        values = [posix.sem_getvalue(semaphore)]
        refused = attempt(lambda: posix.sem_trywait(semaphore))  # noqa: B023 - called at once
        posix.sem_post(semaphore)
        seen.append((*values, refused, posix.sem_getvalue(semaphore)))
    lab.note(f"sem_wait, sem_trywait, sem_post, sem_getvalue: {seen[0]} and {seen[1]}")
    posix.sem_close(named)
    posix.sem_unlink(name)
    gone = attempt(lambda: posix.sem_open(name))
    destroyed = attempt(lambda: memory.destroy_semaphore(unnamed))
    lab.note(f"after sem_unlink the name is {gone}; sem_destroy: {destroyed or 'done'}")
    return holds(
        seen == [(0, "EAGAIN", 1)] * 2 and gone == "ENOENT" and not destroyed,
        "four calls shared",
        "they differ only in how they come and go",
    )


@claim("A72", 506, "SEM_FAILED is not necessarily -1.")
def sem_failed(lab: Lab) -> Shown:
    """A semaphore that does not exist is opened; a C program prints what that returns."""
    name = lab.maker.posix_sem(0)
    posix.sem_unlink(name)
    # It reads a NULL as failure, and anything else as an address.
    null = attempt(lambda: posix.sem_open(name)) == "ENOENT"
    lab.note(f"sem_open of no such name returns {'NULL' if null else 'something else'}")
    program = lab.compile(
        "#include <semaphore.h>\n#include <stdio.h>\nint main(int argc, char **argv) {\n"
        'printf("%ld %ld\\n", (long)SEM_FAILED, (long)sem_open(argv[1], 0)); return 0; }'
    )
    constant, returned = (
        map(int, run_program(program, name)[0].split()) if program else [0 if null else -1] * 2
    )
    lab.note(f"SEM_FAILED is {constant}, the failed call returned {returned}")
    return holds(
        null and constant == returned != -1,
        "NULL" if constant == 0 else str(constant),
        "glibc's SEM_FAILED is a null pointer, so compare with the name, never with -1",
    )


@claim("A73", 513, "sem_trywait does not block but returns EAGAIN.")
def trywait(lab: Lab) -> Shown:
    """A call of sem_trywait on 0: what it returns, and what errno says."""
    semaphore = opened(lab, 0)
    # The error number is looked at only when the call returned -1.
    number = attempt(lambda: posix.sem_trywait(semaphore))
    lab.note(f"sem_trywait on 0 came back at once, with {'-1' if number else 'no -1'}")
    lab.note(f"errno says {number or 'nothing'}; the value is {posix.sem_getvalue(semaphore)}")
    return trywait_verdict(number)


def trywait_verdict(number: str) -> Shown:
    """Return the verdict from the errno of a call that returned -1 ("": it returned no -1)."""
    if number:
        why = "it does not block; it returns -1, as all these calls do, and errno is EAGAIN"
        return Shown(DEPENDS if number == "EAGAIN" else FAILS, f"-1, {number}", why)
    return Shown(HOLDS, "no -1", "the call itself returned the error number")


@claim("A74", 524, "sem_getvalue tells the value.")
def getvalue(lab: Lab) -> Shown:
    """The value is read at 3, and while a process waits on 0."""
    three, zero = opened(lab, 3), opened(lab, 0)
    waiter = lab.fork(lambda _: posix.sem_timedwait(zero, PATIENCE))
    asleep = waiter.asleep()
    value, waited = posix.sem_getvalue(three), posix.sem_getvalue(zero)
    lab.note(f"made with 3: {value}; on 0 with a process waiting ({asleep}): {waited}")
    return holds(
        value == 3 and waited in (0, -1),
        f"{waited} with a waiter",
        "POSIX lets it be minus the number of waiters; on Linux it is never negative",
    )


@claim("B172", 154, "A semaphore is like a queue of people who wait for a bathroom.")
def queue(lab: Lab) -> Shown:
    """Six processes wait one after the other and are let in one by one; then one walks past.

    Who walks past posts and waits again at once, while a waiter of the lowest priority
    (SCHED_IDLE) on the same processor is only just being woken.
    """
    semaphore, semid = opened(lab, 0), sysv_semaphores.new_set(lab, [0])
    orders = {
        "POSIX": _order(
            lab, lambda: posix.sem_timedwait(semaphore, PATIENCE), lambda: posix.sem_post(semaphore)
        ),
        "System V": _order(
            lab,
            lambda: libc.semtimedop(semid, [(0, -1, 0)], PATIENCE),
            lambda: libc.semtimedop(semid, [(0, 1, 0)], 0),
        ),
    }
    for name, order in orders.items():
        lab.note(f"{name}: let in in the order {order}")
    passed = _walked_past(lab, opened(lab, 0))
    lab.note(f"who had just left went in again before the waiter: {passed} of {ROUNDS} times")
    return queue_verdict(list(orders.values()), passed)


def queue_verdict(orders: list[list[int]], passed: int) -> Shown:
    """Return the verdict from who was let in when, and how often somebody walked past."""
    figure = f"in turn: {[order == list(range(QUEUE)) for order in orders].count(True)} of 2"
    if any(order != list(range(QUEUE)) for order in orders):
        return Shown(FAILS, figure, "waiters were not let in in the order in which they came")
    if passed:
        why = "those who wait go in turn here, but who comes at the right moment walks past them"
        return Shown(DEPENDS, f"{figure}; walked past {passed} times", why)
    return Shown(HOLDS, figure, "in turn here, which POSIX does not promise")


def _order(lab: Lab, wait: Callable[[], object], post: Callable[[], object]) -> list[int]:
    # Each comes when the one before it sleeps; each is let in when the one before it has left.
    def work(tell: Tell) -> None:
        tell("here")
        wait()
        tell("in")

    waiting = []
    for _ in range(QUEUE):
        child = lab.fork(work)
        child.told()
        child.asleep()
        waiting.append(child)
    order: list[int] = []
    for _ in range(QUEUE):
        post()
        outside = [child for child in waiting if waiting.index(child) not in order]
        order += [waiting.index(child) for child in first(outside, 1)]
    return order


def _walked_past(lab: Lab, semaphore: int) -> int:
    cpu = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})

    def wait(tell: Tell) -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        for _ in range(ROUNDS):
            tell("here")
            posix.sem_timedwait(semaphore, PATIENCE)

    child = lab.fork(wait)
    passed = 0
    for _ in range(ROUNDS):
        if child.told() is None or not child.asleep():
            break
        posix.sem_post(semaphore)
        if not attempt(lambda: posix.sem_trywait(semaphore)):
            passed += 1
            posix.sem_post(semaphore)
    return passed
