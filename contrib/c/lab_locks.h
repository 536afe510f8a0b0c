/*
 * lab_locks.h, a part of lab.h: takes and gives every kind of lock.
 */
#ifndef LAB_LOCKS_H
#define LAB_LOCKS_H

static inline void *lab_attach(struct lab *lab, const char *what, long key)
{
    int id = shmget((key_t)key, 0, 0);
    void *memory = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
    if (memory == (void *)-1)
        lab_fail(lab, errno == EACCES ? "NotPermitted" : "ObjectVanished",
                 "%s: shared memory %#lx: %s", what, key, strerror(errno));
    return memory;
}

static inline int lab_open_file(struct lab *lab, const char *what, const char *path)
{
    int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file < 0)
        lab_fail(lab, errno == EACCES ? "NotPermitted" : "ObjectVanished", "cannot open %s, %s: %s",
                 what, path, strerror(errno));
    return file;
}

/* Open one lock; first and second are how the names of its variables begin. */
static inline void lab_open_lock(struct lab *lab, struct lab_lock *lock, const char *kind,
                                 const char *first, const char *second)
{
    static const struct { const char *name; enum lab_kind kind; char place; } kinds[] = {
        {"none", LAB_NONE, 0},             {"sysv_sem", LAB_SYSV, 'k'},
        {"sysv_semset", LAB_SYSV, 'k'},    {"posix_sem", LAB_SEMAPHORE, 'n'},
        {"mp_lock", LAB_SEMAPHORE, 'n'},   {"posix_sem_unnamed", LAB_SEMAPHORE, 'm'},
        {"pthread_mutex", LAB_MUTEX, 'm'}, {"robust_mutex", LAB_ROBUST, 'm'},
        {"rwlock", LAB_RWLOCK, 'm'},       {"spinlock", LAB_SPIN, 'm'},
        {"record_lock", LAB_RECORD_LOCK, 'f'}, {"ofd_lock", LAB_OFD_LOCK, 'f'},
        {"flock", LAB_FLOCK, 'f'},         {"lock_file", LAB_LOCK_FILE, 'p'},
    };
    size_t n = 0;
    while (n < sizeof kinds / sizeof *kinds && strcmp(kinds[n].name, kind))
        n++;
    if (n == sizeof kinds / sizeof *kinds)
        lab_fail(lab, "ProcessError", "%s: lab.h does not know how to take a %s", lock->what, kind);
    long key = lab_whole(lab_variable(first, second, "KEY"), 0);
    const char *name = lab_variable(first, second, "NAME");
    lock->kind = kinds[n].kind;
    lock->path = lab_variable(first, second, "PATH");
    lock->member = (unsigned short)lab_whole(lab_variable(first, second, "ROW"), 0);
    lock->undo = lab_whole(lab_variable(first, second, "UNDO"), 0) ? SEM_UNDO : 0;
    lock->at = lab_whole(lab_variable(first, second, "AT"), 0);
    lock->fd = -1;
    if (kinds[n].place == 'k' && (lock->id = semget((key_t)key, 0, 0)) < 0)
        lab_fail(lab, errno == EACCES ? "NotPermitted" : "ObjectVanished",
                 "%s: there is no semaphore with key %#lx", lock->what, key);
    if (kinds[n].place == 'n' && (lock->memory = sem_open(name ? name : "", 0)) == SEM_FAILED)
        lab_fail(lab, "ObjectVanished", "%s: there is no POSIX semaphore %s", lock->what, name);
    if (kinds[n].place == 'm') /* each in a line of 64 bytes of one segment */
        lock->memory = (char *)lab_attach(lab, lock->what, key) + 64 * lock->member;
    if (kinds[n].place == 'f')
        lock->fd = lab_open_file(lab, lock->what, lock->path ? lock->path : "");
}

static inline int lab_range(struct lab_lock *lock, int command, short type)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = lock->at, .l_len = 1};
    int answer = fcntl(lock->fd, command, &range);
    return command == F_GETLK || command == F_OFD_GETLK ? range.l_type == F_UNLCK : answer;
}

static inline int lab_semop(struct lab_lock *lock, short change, short flags, double seconds)
{
    struct sembuf one = {lock->member, change, (short)(flags | lock->undo)};
    struct timespec most = lab_after(seconds);
    return semtimedop(lock->id, &one, 1, flags & IPC_NOWAIT ? NULL : &most);
}

/* Waits of POSIX threads and semaphores count in CLOCK_MONOTONIC where libc can. */
#if defined __GLIBC__ && __GLIBC_PREREQ(2, 30)
#define LAB_CLOCK CLOCK_MONOTONIC
#define LAB_TIMED(name, clocked, object, until) clocked(object, CLOCK_MONOTONIC, until)
#else
#define LAB_CLOCK CLOCK_REALTIME
#define LAB_TIMED(name, clocked, object, until) name(object, until)
#endif

static inline struct timespec lab_at(double seconds)
{
    struct timespec time;
    clock_gettime(LAB_CLOCK, &time);
    time.tv_nsec += (long)(seconds * 1e9);
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* Try to take a lock for `seconds` (0: only look once, below 0.1): 0, or the error number. */
static inline int lab_try(struct lab_lock *lock, double seconds)
{
    struct timespec until = {0, 0};
    int wait = seconds > 0, error = 0;
    if (wait)
        until = lab_at(seconds);
    switch (lock->kind) {
    case LAB_NONE:
        return 0;
    case LAB_SYSV:
        return lab_semop(lock, -1, wait ? 0 : IPC_NOWAIT, seconds) ? errno : 0;
    case LAB_SEMAPHORE:
        error = wait ? LAB_TIMED(sem_timedwait, sem_clockwait, lock->memory, &until)
                     : sem_trywait(lock->memory);
        return error ? errno : 0;
    case LAB_MUTEX:
    case LAB_ROBUST:
        return wait ? LAB_TIMED(pthread_mutex_timedlock, pthread_mutex_clocklock, lock->memory, &until)
                    : pthread_mutex_trylock(lock->memory);
    case LAB_RWLOCK:
        return wait ? LAB_TIMED(pthread_rwlock_timedwrlock, pthread_rwlock_clockwrlock, lock->memory,
                                &until)
                    : pthread_rwlock_trywrlock(lock->memory);
    case LAB_SPIN:
        for (int tries = 0; tries < 100; tries++)
            if (!(error = pthread_spin_trylock(lock->memory)))
                return 0;
        sched_yield(); /* the holder may need this processor */
        return error;
    case LAB_RECORD_LOCK:
        return lab_range(lock, wait ? F_SETLKW : F_SETLK, F_WRLCK) ? errno : 0;
    case LAB_OFD_LOCK:
        return lab_range(lock, wait ? F_OFD_SETLKW : F_OFD_SETLK, F_WRLCK) ? errno : 0;
    case LAB_FLOCK:
        return flock(lock->fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB) ? errno : 0;
    case LAB_LOCK_FILE:
        if (wait)
            usleep(1000); /* nobody wakes who waits for a file to go */
        lock->fd = open(lock->path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (lock->fd < 0)
            return errno == EEXIST ? EAGAIN : errno;
        if (dprintf(lock->fd, "%ld", (long)getpid()) < 0) { /* a full disk: nobody has it */
            error = errno;
            close(lock->fd);
            unlink(lock->path);
            return error;
        }
    }
    return 0;
}

/* What a try that did not take the lock means: to wait (1), to have it all the same (0), or an
   error. */
static inline int lab_busy(struct lab *lab, struct lab_lock *lock, int error)
{
    switch (error) {
    case 0:
        return 0;
    case EAGAIN:
    case EBUSY:
    case EACCES:
    case EINTR:
    case ETIMEDOUT:
        return 1;
    case EOWNERDEAD: /* held already; unlocked like this it could never be held again */
        pthread_mutex_consistent(lock->memory);
        lab->recovered++;
        return 0;
    case EIDRM:
    case EINVAL:
        lab_fail(lab, "ObjectVanished", "%s: its semaphore no longer exists", lock->what);
    case EDEADLK:
        lab_fail(lab, "KernelObjectError", "%s: this process holds it already, or whoever has it "
                 "waits for a lock of this process (EDEADLK)", lock->what);
    default:
        lab_fail(lab, "KernelObjectError", "%s: %s", lock->what, strerror(error));
    }
}

static inline int lab_give(struct lab_lock *lock)
{
    lock->held = 0;
    switch (lock->kind) {
    case LAB_NONE: return 0;
    case LAB_SYSV: return lab_semop(lock, 1, IPC_NOWAIT, 0) ? errno : 0;
    case LAB_SEMAPHORE: return sem_post(lock->memory) ? errno : 0;
    case LAB_MUTEX:
    case LAB_ROBUST: return pthread_mutex_unlock(lock->memory);
    case LAB_RWLOCK: return pthread_rwlock_unlock(lock->memory);
    case LAB_SPIN: return pthread_spin_unlock(lock->memory);
    case LAB_RECORD_LOCK: return lab_range(lock, F_SETLK, F_UNLCK) ? errno : 0;
    case LAB_OFD_LOCK: return lab_range(lock, F_OFD_SETLK, F_UNLCK) ? errno : 0;
    case LAB_FLOCK: return flock(lock->fd, LOCK_UN) ? errno : 0;
    case LAB_LOCK_FILE: close(lock->fd); return unlink(lock->path) ? errno : 0;
    }
    return 0;
}

/* Whether a lock could be taken now. Under a schedule nobody else runs meanwhile, so what cannot
   be looked at is taken and given back. */
static inline int lab_is_free(void *of)
{
    struct lab_lock *lock = of;
    int value = 0;
    switch (lock->kind) {
    case LAB_NONE: return 1;
    case LAB_SYSV: return semctl(lock->id, lock->member, GETVAL) > 0;
    case LAB_SEMAPHORE: return sem_getvalue(lock->memory, &value) == 0 && value > 0;
    /* A dead owner's is free; to take it and give it back would lose it. The tid of its owner is
       where the kernel looks for it (linux/futex.h, FUTEX_TID_MASK). */
    case LAB_ROBUST: return (*(volatile unsigned *)lock->memory & 0x3fffffff) == 0;
    case LAB_RECORD_LOCK: return lab_range(lock, F_GETLK, F_WRLCK);
    case LAB_OFD_LOCK: return lab_range(lock, F_OFD_GETLK, F_WRLCK);
    case LAB_LOCK_FILE: return access(lock->path, F_OK) != 0;
    case LAB_FLOCK:
        if (lock->held)
            return 0;
        break;
    default: break;
    }
    if (lab_try(lock, 0))
        return 0;
    lab_give(lock);
    return 1;
}

/* Take a lock, waiting as long as a wait may take; returns when it had to be waited for, or 0. */
static inline double lab_take(struct lab *lab, struct lab_lock *lock)
{
    double asked = 0;
    if (lab_busy(lab, lock, lab_try(lock, 0))) {
        int timed = lock->kind == LAB_RECORD_LOCK || lock->kind == LAB_OFD_LOCK
                    || lock->kind == LAB_FLOCK;
        asked = lab_now();
        lab_standing(lab, lock->what);
        if (timed)
            lab_ticking();
        while (lab_busy(lab, lock, lab_try(lock, lab_tick(lab, lock->what))))
            continue;
        if (timed)
            lab_still();
        lab_stood(lab);
    }
    lock->held = lock->kind != LAB_NONE;
    return asked;
}

/* Give a lock back that this process has. */
static inline void lab_put_back(struct lab *lab, struct lab_lock *lock)
{
    if (lock->kind == LAB_NONE)
        return;
    if (!lock->held) /* to give what one has not taken lets two processes in */
        lab_fail(lab, "KernelObjectError", "%s: released, but this process does not hold it",
                 lock->what);
    int error = lab_give(lock);
    if (error)
        lab_fail(lab, error == EIDRM || error == EINVAL ? "ObjectVanished" : "KernelObjectError",
                 "%s: %s", lock->what, strerror(error));
}

/* Everything is put back to its beginning: what only its owner can free, its owner frees. */
static inline void lab_abandon(struct lab_lock *lock)
{
    if (lock->held && lock->kind != LAB_SYSV && lock->kind != LAB_SEMAPHORE
        && lock->kind != LAB_RWLOCK && lock->kind != LAB_SPIN)
        lab_give(lock);
    lock->held = 0;
}

#endif
