"""Names and handles of POSIX objects, and the mode and owner of a new one."""

from __future__ import annotations

import mmap
import os
import select

from common.claims.claim import DEPENDS, Shown, claim, holds
from common.claims.endings import attempt, without_privileges
from common.claims.lab import LONG_ENOUGH, NOBODY, PATIENCE, Lab, Tell
from common.claims.mechanisms._kinds_of_objects import (
    NEW,
    POSIX,
    SYSTEM_V,
    draw,
    listed,
    make,
    status,
)
from common.kernel.libc import mqueue, posix_calls


@claim("A17", 80, "A POSIX queue is named by a POSIX name; its handle is an mqd_t value.")
def queue(lab: Lab) -> Shown:
    """A queue is opened by its name in a second process, which sends; the first polls its mqd_t."""
    name = lab.maker.posix_queue(2, 64)
    mqd = mqueue.mq_open(name, os.O_RDONLY)
    child = lab.fork(lambda tell: mqueue.mq_send(mqueue.mq_open(name, os.O_WRONLY), b"by name"))
    poll = select.poll()
    poll.register(mqd, select.POLLIN)
    polled = bool(poll.poll(PATIENCE * 1000))
    child.ended()
    got = mqueue.mq_receive(mqd, 64)[0] if polled else b""
    lab.note(f"two processes opened {name}; poll(2) took the mqd_t {mqd}, then {got!r} came")
    why = "the name is all that they share; on Linux an mqd_t is a descriptor, poll(2) takes it"
    return holds(got == b"by name", f"mqd_t {mqd}", why)


@claim("A18", 81, "A POSIX named semaphore has a POSIX name; its handle is a sem_t pointer.")
def named_semaphore(lab: Lab) -> Shown:
    """A semaphore is opened twice here and once in a second process, which posts."""
    name = lab.maker.posix_sem(0)
    first, second = posix_calls.sem_open(name), posix_calls.sem_open(name)
    lab.fork(lambda tell: posix_calls.sem_post(posix_calls.sem_open(name))).ended()
    value = posix_calls.sem_getvalue(first)
    lab.note(f"opened twice here: {first:#x} and {second:#x}; posted elsewhere: value {value}")
    why = "the other process found it by its name; who opens it again gets the same sem_t"
    return holds(value == 1 and first == second, f"value {value} by {first:#x}", why)


@claim("A19", 82, "A POSIX memory-based semaphore has no name; its handle is a sem_t pointer.")
def memory_semaphore(lab: Lab) -> Shown:
    """A process waits at a semaphore in shared memory, another posts: with pshared 1, then 0."""
    woken = {}
    for shared in (1, 0):
        memory = mmap.mmap(-1, mmap.PAGESIZE)
        semaphore = posix_calls.sem_init(memory, shared=bool(shared))
        patience = PATIENCE if shared else LONG_ENOUGH

        def wait(tell: Tell, semaphore: int = semaphore, patience: float = patience) -> None:
            tell("ready")
            tell(attempt(lambda: posix_calls.sem_timedwait(semaphore, patience)) or "woken")

        child = lab.fork(wait)
        child.told()
        child.asleep()
        posix_calls.sem_post(semaphore)
        woken[shared] = str(child.told())
        lab.note(f"pshared {shared}: posted while it waits; the waiter's result: {woken[shared]}")
    return holds(
        woken[1] == "woken",
        f"pshared 1: {woken[1]}, 0: {woken[0]}",
        "its place in shared memory is all the name it has; between processes it needs pshared 1",
    )


@claim("A20", 83, "POSIX shared memory has a POSIX name; its handle is a descriptor.")
def shared_memory(lab: Lab) -> Shown:
    """An object is opened by name in two processes: what one stores the other reads."""
    name = lab.maker.posix_shm(mmap.PAGESIZE)

    def store(tell: Tell) -> None:
        mmap.mmap(posix_calls.shm_open(name, os.O_RDWR), mmap.PAGESIZE)[:7] = b"by name"

    lab.fork(store).ended()
    fd = posix_calls.shm_open(name, os.O_RDONLY)
    size, got = os.fstat(fd).st_size, os.pread(fd, 7, 0)
    lab.note(f"descriptor {fd}: fstat(2) says {size} bytes, read(2) finds {got!r}")
    why = "fstat, read and mmap take the handle: it is a descriptor of a file in memory"
    return holds(got == b"by name", f"descriptor {fd}", why)


@claim("A24", 101, "The functions of POSIX IPC: mq_open, …, mq_setaddr, …, sm_unlink, …, munmap.")
def functions(lab: Lab) -> Shown:
    """Every name of the list is looked up in the C library."""
    return listed(
        lab,
        "mq_open mq_close mq_unlink mq_getattr mq_setaddr mq_send mq_receive mq_notify "
        "sem_open sem_close sm_unlink sem_wait sem_trywait sem_post sem_getvalue "
        "shm_open shm_unlink ftruncate fstat mmap munmap",
    )


@claim("A25", 118, "A name with a leading / is the same for all; any other depends on the system.")
def rules(lab: Lab) -> Shown:
    """Names of several shapes are tried with each kind; another process looks for the usual one."""
    same, slashless = [], []
    for kind in POSIX:
        same.append(_found_elsewhere(lab, kind))
        slashless.append(_made(kind, draw(lab, kind)[1:]))
        # Where there is none of a name, one is told so; a name that can be none is refused.
        longest = next(n for n in range(300, 0, -1) if _refused(kind, "/" + "0" * n) == "ENOENT")
        lab.note(
            f"{kind}: without / {slashless[-1]}, with a second / {_made(kind, '/lab-0/1')}, "
            f"at most {longest} characters after the first"
        )
    return portable(same, slashless)


def portable(same: list[bool], slashless: list[str]) -> Shown:
    """Judge whether names with / were found by another process, and others treated unlike."""
    return holds(
        all(same) and len(set(slashless)) > 1,
        "without /: queue {}, semaphore {}, memory {}".format(*slashless),
        f"with / another process found {sum(same)} of {len(same)}; without, each kind has its way",
    )


def _found_elsewhere(lab: Lab, kind: str) -> bool:
    name = draw(lab, kind)
    calls = POSIX[kind]
    calls.close(calls.open(name, NEW))

    def look(tell: Tell) -> None:
        os.chdir("/")
        calls.open(name, os.O_RDWR)

    found = lab.fork(look).ended() == 0
    calls.unlink(name)
    return found


def _made(kind: str, name: str) -> str:
    refused = _refused(kind, name, NEW)
    if not refused:
        POSIX[kind].unlink(name)
    return refused or "taken"


def _refused(kind: str, name: str, flags: int = os.O_RDWR) -> str:
    return attempt(lambda: POSIX[kind].close(POSIX[kind].open(name, flags)))


@claim("A27", 144, "On create the modes of the user are required.")
def modes(lab: Lab) -> Shown:
    """Objects of all kinds are made with mode 0666 under umask 077, and their modes looked at."""
    os.umask(0o077)
    posix, system_v = {}, {}
    for kind, calls in POSIX.items():
        name = draw(lab, kind)
        posix[kind] = status(kind, name, calls.open(name, NEW, 0o666)).st_mode & 0o777
    for kind, sysv in SYSTEM_V.items():
        system_v[kind] = sysv.stat(make(lab, kind, 0o666)[1]).mode
    for kind, mode in (posix | system_v).items():
        lab.note(f"{kind}: asked for 666, got {mode:03o}")
    return moded(set(posix.values()), set(system_v.values()))


def moded(posix: set[int], system_v: set[int]) -> Shown:
    """Judge what came of 0666 under umask 077: DEPENDS where it counts for some kinds only."""
    figure = " and ".join(
        f"{name} {'/'.join(f'{mode:03o}' for mode in sorted(found))}"
        for name, found in (("POSIX", posix), ("System V", system_v))
    )
    if (posix, system_v) == ({0o600}, {0o666}):
        return Shown(
            DEPENDS, figure, "the umask takes bits away from POSIX objects, not the others"
        )
    asked = posix | system_v == {0o666}
    return holds(asked, figure, "666 was asked for, under umask 077")


@claim("A28", 148, "A new object gets the effective user and group id, as a file does.")
def owners(lab: Lab) -> Shown:
    """Root takes other effective ids, a plain user keeps its own, and makes one of each kind."""
    found = []
    real = os.getuid()
    if os.geteuid() == 0:
        os.setegid(NOBODY)
    with without_privileges() as effective:
        for kind, calls in POSIX.items():
            name = draw(lab, kind)
            about = status(kind, name, calls.open(name, NEW))
            found.append((about.st_uid, about.st_gid))
            calls.unlink(name)
        for kind, sysv in SYSTEM_V.items():
            _, id = make(lab, kind)
            owner = sysv.stat(id)
            found.append((owner.uid, owner.gid))
            sysv.remove(id)
    lab.note(f"real user {real}, effective {effective}; user and group of the objects: {found}")
    return holds(
        set(found) == {(effective, os.getegid())},
        f"uid {effective} on {len(found)} objects",
        f"not the real one, {real}"
        if effective != real
        else "a plain user's real and effective ids are equal: only root can tell them apart",
    )
