"""History: lock files, record locks, POSIX objects and threads' locks, oldest first: all work."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import posix_ipc

from common.claims.claim import Shown, claim, holds
from common.claims.lab import LONG_ENOUGH, PATIENCE, Lab, Tell
from common.claims.mechanisms.pipes import refusal
from common.kernel import existing

DEFINITIONS = {
    "A5": "a date, which no kernel knows: these objects came with System V in 1983, and 1988 is "
    "the year of POSIX.1; what they do is shown by A2, A11 and the claims on System V",
}

# A mutex, a condition and a read-write lock in memory that two processes share, made for several
# processes (PTHREAD_PROCESS_SHARED) or for one; and a thread. It prints what it finds.
THREADS = r"""
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_rwlock_t rwlock;
    int waits, ready;
};

static const char *word(int result) {
    return result == 0 ? "got" : result == EBUSY ? "EBUSY"
        : result == ETIMEDOUT ? "ETIMEDOUT" : "error";
}

static int descriptors(void) {
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all && readdir(all)) count++;
    if (all) closedir(all);
    return count;
}

static int number;
static void *increment(void *nothing) { number = getpid(); return nothing; }

int main(int argc, char **argv) {
    int several = argv[1][0] == 's', before = descriptors();
    double patience = atof(argv[2]);
    struct shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                            -1, 0);
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    pthread_rwlockattr_t rwlock;
    int scope = several ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, scope);
    pthread_mutex_init(&s->mutex, &mutex);
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, scope);
    pthread_cond_init(&s->cond, &cond);
    pthread_rwlockattr_init(&rwlock);
    pthread_rwlockattr_setpshared(&rwlock, scope);
    pthread_rwlock_init(&s->rwlock, &rwlock);
    printf("descriptors %d\n", descriptors() - before);

    pthread_mutex_lock(&s->mutex);
    pthread_rwlock_rdlock(&s->rwlock);
    fflush(stdout);
    if (fork() == 0) {
        printf("mutex %s\n", word(pthread_mutex_trylock(&s->mutex)));
        printf("read %s\n", word(pthread_rwlock_tryrdlock(&s->rwlock)));
        pthread_rwlock_unlock(&s->rwlock);
        printf("write %s\n", word(pthread_rwlock_trywrlock(&s->rwlock)));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    pthread_rwlock_unlock(&s->rwlock);
    pthread_mutex_unlock(&s->mutex);

    if (fork() == 0) {
        struct timespec end;
        int result = 0;
        clock_gettime(CLOCK_REALTIME, &end);
        long long ns = end.tv_nsec + (long long) (patience * 1e9);
        end.tv_sec += ns / 1000000000;
        end.tv_nsec = ns % 1000000000;
        pthread_mutex_lock(&s->mutex);
        s->waits = 1;
        while (!s->ready && result == 0)
            result = pthread_cond_timedwait(&s->cond, &s->mutex, &end);
        pthread_mutex_unlock(&s->mutex);
        printf("signal %s\n", word(result));
        fflush(stdout);
        _exit(0);
    }
    for (int waits = 0; !waits; sched_yield())
        if (pthread_mutex_trylock(&s->mutex) == 0) {
            waits = s->waits;
            if (waits) s->ready = 1;
            pthread_mutex_unlock(&s->mutex);
        }
    pthread_cond_signal(&s->cond);
    wait(NULL);

    pthread_t thread;
    if (pthread_create(&thread, NULL, increment, NULL) == 0) pthread_join(thread, NULL);
    printf("thread %s\n", number == getpid() ? "same" : "other");
    return 0;
}
"""


@claim("A3", 26, "Early programs used tricks with the file system.")
def lock_file(lab: Lab) -> Shown:
    """Two traders guard a file by one made with O_EXCL; then the holder of it is killed."""
    stock, lock = lab.directory / "stock", lab.directory / "stock.lock"
    stock.write_text("0")

    def work(tell: Tell) -> None:
        for _ in range(25):
            _take(lock, PATIENCE)
            stock.write_text(str(int(stock.read_text()) + 1))
            lock.unlink()

    traders = [lab.fork(work) for _ in range(2)]
    statuses = [trader.ended() for trader in traders]
    total = int(stock.read_text())
    lab.note(f"two traders added 1 to a file 25 times each, behind a lock file: {total}")

    def hold(tell: Tell) -> None:
        _take(lock, PATIENCE)
        tell("in")
        signal.pause()

    holder = lab.fork(hold)
    holder.told()
    holder.kill()
    holder.ended()
    stays = lock.exists()
    waits = not _take(lock, LONG_ENOUGH)
    lab.note(f"its holder was killed: the lock file is there: {stays}; the next waits: {waits}")
    return holds(
        total == 50 and statuses == [0, 0],
        f"{total} of 50",
        "the trick keeps traders apart"
        + ("; but a killed holder's file stays, and shuts out all others" if waits else ""),
    )


def _take(lock: Path, seconds: float) -> bool:
    """Make the lock file, which only one can (open(2): O_EXCL); False when that took too long."""
    end = time.monotonic() + seconds
    while refusal(lambda: os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))) == "EEXIST":
        if time.monotonic() > end:
            return False
        os.sched_yield()
    return True


@claim("A4", 27, "Then came record locking (88).")
@claim("A16", 78, "An fcntl record lock: its name is a pathname, what is used a descriptor.")
def record_lock(lab: Lab) -> dict[str, Shown]:
    """A process locks the first record of a file; another, by the same path, tries two records."""
    path = lab.maker.lock_file("rows")
    fd = os.open(path, os.O_RDWR)
    fcntl.lockf(fd, fcntl.LOCK_EX, 24, 0)
    asked = [_try(lab, path, 0), _try(lab, path, 24)]
    lab.note(f"record 0 is locked; another process gets: record 0 {asked[0]}, record 1 {asked[1]}")
    os.close(os.open(path, os.O_RDWR))
    dropped = _try(lab, path, 0)
    lab.note(f"the holder closes another descriptor of that file; record 0 is then {dropped}")
    busy = asked[0] in ("EAGAIN", "EACCES")
    date = "; the year is that of its standard, POSIX.1, which no kernel knows"
    trap = "; closing any descriptor of the file drops it" if dropped == "got" else ""
    return {
        "A4": holds(
            busy and asked[1] == "got",
            f"record 0 {asked[0]}, record 1 {asked[1]}",
            f"a record is locked for itself, not the file{date}",
        ),
        "A16": holds(
            busy, asked[0], f"two processes met at one path, each by a descriptor of its own{trap}"
        ),
    }


def _try(lab: Lab, path: str, start: int) -> str:
    def work(tell: Tell) -> None:
        fd = os.open(path, os.O_RDWR)
        tell(refusal(lambda: fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 24, start)) or "got")

    return lab.fork(work).told() or "no answer"


@claim("A6", 28, "POSIX message queues, shared memory and semaphores (93).")
def posix_objects(lab: Lab) -> Shown:
    """One of each is made and used by a child; the C library is asked for the options' versions."""
    queue, memory = lab.maker.posix_queue(1, 8), lab.maker.posix_shm(8)
    semaphore = lab.maker.posix_sem(0)

    def use(tell: Tell) -> None:
        posix_ipc.MessageQueue(queue).send(b"order", 0)
        os.write(posix_ipc.SharedMemory(memory).fd, b"stock")
        posix_ipc.Semaphore(semaphore).release()

    lab.fork(use).ended()
    used = {
        "queue": existing.find("posix_queue", queue) is not None
        and posix_ipc.MessageQueue(queue).receive(0)[0] == b"order",
        "shared memory": os.read(posix_ipc.SharedMemory(memory).fd, 5) == b"stock",
        "semaphore": posix_ipc.Semaphore(semaphore).value == 1,
    }
    for kind, worked in used.items():
        lab.note(f"{kind}: {'carried' if worked else 'did not carry'} a child's word")
    said = [_option(name) for name in ("MESSAGE_PASSING", "SHARED_MEMORY_OBJECTS", "SEMAPHORES")]
    lab.note(f"sysconf(3) says of their options: {said}")
    return holds(
        all(used.values()),
        f"POSIX {max(said)}",
        "all three are here; the library names the edition that it follows, not the first (1993)",
    )


def _option(name: str) -> int:
    """Return the edition of POSIX (year and month) whose option this system has; -1 without it."""
    known = f"SC_{name}"
    return os.sysconf(known) if known in os.sysconf_names else -1


@claim("A7", 30, "Mutexes and condition variables (95), threads (pthreads: 95).")
@claim("A8", 31, "There are read-write locks.")
@claim("A15", 75, "POSIX mutexes, condition variables and read-write locks have no name.")
def threads(lab: Lab) -> dict[str, Shown]:
    """A C program puts the three into memory shared with its child, once for several processes.

    Then as they are without that setting. Without a compiler: what sysconf(3) says, and the
    kernel's own shared and exclusive locks in place of a read-write lock.
    """
    program = _compiled(lab)
    if program is None:
        return _without_compiler(lab)
    shared = _found(program, "several", PATIENCE)
    alone = _found(program, "one", LONG_ENOUGH)
    for key, what in (
        ("mutex", "a mutex that the parent holds; the child gets"),
        ("read", "a lock that the parent reads under; a second reader gets"),
        ("write", "the same; a writer gets"),
        ("signal", "the child waits on a condition and is signalled; it gets"),
        ("thread", "a thread's process is"),
        ("descriptors", "descriptors that all this took:"),
    ):
        lab.note(f"{what} {shared.get(key)}")
    lab.note(f"not PTHREAD_PROCESS_SHARED: the waiting child gets {alone.get('signal')}")
    return _locks_of_threads(shared, alone)


def _locks_of_threads(shared: dict[str, str], alone: dict[str, str]) -> dict[str, Shown]:
    excludes, wakes = shared.get("mutex") == "EBUSY", shared.get("signal") == "got"
    private = "; only with PTHREAD_PROCESS_SHARED" if alone.get("signal") != "got" else ""
    return {
        "A7": holds(
            excludes and wakes and shared.get("thread") == "same",
            f"mutex {shared.get('mutex')}, condition {shared.get('signal')}",
            "all are here; the year is that of their standard (1003.1c), which no kernel knows",
        ),
        "A8": holds(
            shared.get("read") == "got" and shared.get("write") == "EBUSY",
            f"reader {shared.get('read')}, writer {shared.get('write')}",
            "two read at once, and no one writes meanwhile",
        ),
        "A15": holds(
            shared.get("descriptors") == "0" and excludes and wakes,
            f"{shared.get('descriptors')} descriptors",
            f"they are bytes of memory: a process that shares it finds them by address{private}",
        ),
    }


def _compiled(lab: Lab) -> str | None:
    try:
        return lab.compile(THREADS)
    except subprocess.CalledProcessError as error:
        lab.note(f"the compiler refuses: {error.stderr.decode().splitlines()[-1:]}")
        return None


def _found(program: str, scope: str, patience: float) -> dict[str, str]:
    done = subprocess.run(
        [program, scope, str(patience)], stdout=subprocess.PIPE, text=True, timeout=PATIENCE * 2,
        check=True,
    )  # fmt: skip
    return dict(line.split() for line in done.stdout.splitlines())


def _without_compiler(lab: Lab) -> dict[str, Shown]:
    """Show what can be shown from here: options, and flock(2)'s shared and exclusive locks."""
    lab.note("there is no C compiler here")
    options = {name: _option(name) for name in ("THREADS", "THREAD_PROCESS_SHARED")}
    lab.note(f"sysconf(3) says of their options: {options}")
    path = lab.maker.lock_file("rows")

    def ask(kind: int) -> str:
        fd = os.open(path, os.O_RDWR)
        return refusal(lambda: fcntl.flock(fd, kind | fcntl.LOCK_NB))

    kept = os.open(path, os.O_RDWR)
    fcntl.flock(kept, fcntl.LOCK_SH)
    reader, writer = ask(fcntl.LOCK_SH), ask(fcntl.LOCK_EX)
    lab.note(f"flock(2) held shared: another reader {reader or 'got'}, a writer {writer}")
    here = options["THREADS"] > 0
    shared = options["THREAD_PROCESS_SHARED"] > 0
    why = "no compiler here to use them with: this is what sysconf(3) says"
    return {
        "A7": holds(here, f"POSIX {options['THREADS']}", why),
        "A8": holds(
            not reader and writer == errno.errorcode[errno.EAGAIN],
            f"writer {writer}",
            "no compiler here for pthread_rwlock_t; the kernel's shared locks behave as one",
        ),
        "A15": holds(here and shared, f"POSIX {options['THREAD_PROCESS_SHARED']}", why),
    }
