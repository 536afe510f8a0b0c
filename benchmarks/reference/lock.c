/* Locks between processes: what the lab's locks are measured against.
 *
 *     lock kinds
 *     lock KIND COUNT PATH what=cost|update|share cpus=A[,B...]
 *
 * `cost`: one process takes and gives the lock COUNT times. `update`: it adds 1 to a shared double
 * each time. `share`: as many processes as there are `cpus`, each held to its own, do so together
 * until the double has reached COUNT. Everything blocks as the kernel has it, without a deadline.
 * PATH is for the locks on files; it is gone afterwards.
 *
 * Prints one line of JSON with how much each process did; a sum that is not COUNT is a failure.
 * What one process does is timed in parts, and `median_seconds` is the median of one operation. */
#define _GNU_SOURCE
#include "reference.h"

#include "pinned.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/file.h>

/* Away from each other: x86 fetches cache lines in pairs. */
#define APART __attribute__((aligned(128)))

struct Shared {
    union {
        sem_t semaphore;
        pthread_mutex_t mutex;
        pthread_rwlock_t rwlock;
        pthread_spinlock_t spinlock;
    } lock APART;
    volatile double number APART;
    pthread_barrier_t gate APART;
    double begun[MOST], ended[MOST], cpu[MOST], median;
    long done[MOST];
};

enum What { COST, UPDATE, SHARE };

static struct Shared *shared;
static sem_t *named_semaphore;
/* Of the lock's file: opened by each process, since a lock belongs to what open(2) made. */
static int file = -1;
static const char *given;

static void must(int number, const char *what) {
    if (number != 0) {
        errno = number;
        fail(what);
    }
}

static void make_named(int argument) {
    (void)argument;
    char name[64];
    snprintf(name, sizeof name, "/lab-reference-%d", getpid());
    named_semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
    if (named_semaphore == SEM_FAILED || sem_unlink(name) < 0)
        fail("sem_open");
}

static void take_named(int argument) {
    (void)argument;
    if (sem_wait(named_semaphore) < 0)
        fail("sem_wait");
}

static void give_named(int argument) {
    (void)argument;
    if (sem_post(named_semaphore) < 0)
        fail("sem_post");
}

static void make_unnamed(int argument) {
    (void)argument;
    if (sem_init(&shared->lock.semaphore, 1, 1) < 0)
        fail("sem_init");
}

static void take_unnamed(int argument) {
    (void)argument;
    if (sem_wait(&shared->lock.semaphore) < 0)
        fail("sem_wait");
}

static void give_unnamed(int argument) {
    (void)argument;
    if (sem_post(&shared->lock.semaphore) < 0)
        fail("sem_post");
}

static void make_mutex(int robust) {
    pthread_mutexattr_t attributes;
    must(pthread_mutexattr_init(&attributes), "pthread_mutexattr_init");
    must(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "setpshared");
    must(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK), "settype");
    if (robust)
        must(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), "setrobust");
    must(pthread_mutex_init(&shared->lock.mutex, &attributes), "pthread_mutex_init");
}

static void take_mutex(int argument) {
    (void)argument;
    must(pthread_mutex_lock(&shared->lock.mutex), "pthread_mutex_lock");
}

static void give_mutex(int argument) {
    (void)argument;
    must(pthread_mutex_unlock(&shared->lock.mutex), "pthread_mutex_unlock");
}

static void make_rwlock(int prefer) {
    pthread_rwlockattr_t attributes;
    must(pthread_rwlockattr_init(&attributes), "pthread_rwlockattr_init");
    must(pthread_rwlockattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "setpshared");
    must(pthread_rwlockattr_setkind_np(&attributes, prefer), "setkind");
    must(pthread_rwlock_init(&shared->lock.rwlock, &attributes), "pthread_rwlock_init");
}

static void take_rwlock(int argument) {
    (void)argument;
    must(pthread_rwlock_wrlock(&shared->lock.rwlock), "pthread_rwlock_wrlock");
}

static void give_rwlock(int argument) {
    (void)argument;
    must(pthread_rwlock_unlock(&shared->lock.rwlock), "pthread_rwlock_unlock");
}

static void make_spinlock(int argument) {
    (void)argument;
    must(pthread_spin_init(&shared->lock.spinlock, PTHREAD_PROCESS_SHARED), "pthread_spin_init");
}

static void take_spinlock(int argument) {
    (void)argument;
    must(pthread_spin_lock(&shared->lock.spinlock), "pthread_spin_lock");
}

static void give_spinlock(int argument) {
    (void)argument;
    must(pthread_spin_unlock(&shared->lock.spinlock), "pthread_spin_unlock");
}

static void change(int by, int flags) {
    struct sembuf operation = {0, by, flags};
    if (semop(semaphores, &operation, 1) < 0)
        fail("semop");
}

static void make_sysv(int flags) {
    (void)flags;
    semaphores = semget(IPC_PRIVATE, 1, 0600);
    if (semaphores < 0 || semctl(semaphores, 0, SETVAL, 1) < 0)
        fail("semget");
}

static void take_sysv(int flags) { change(-1, flags); }

static void give_sysv(int flags) { change(1, flags); }

static void make_file(int argument) {
    (void)argument;
    path = given;
    int made = open(given, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (made < 0 || close(made) < 0)
        fail(given);
}

static void take_flock(int argument) {
    (void)argument;
    if (flock(file, LOCK_EX) < 0)
        fail("flock");
}

static void give_flock(int argument) {
    (void)argument;
    if (flock(file, LOCK_UN) < 0)
        fail("flock");
}

static void range(int command, short type) {
    struct flock wanted = {.l_type = type, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1};
    if (fcntl(file, command, &wanted) < 0)
        fail("fcntl");
}

static void take_range(int command) { range(command, F_WRLCK); }

static void give_range(int command) { range(command, F_UNLCK); }

/* Named as the lab names them, with the options that are not the default. */
static const struct Kind {
    const char *name;
    int argument;
    void (*make)(int), (*take)(int), (*give)(int);
} kinds[] = {
    {"flock", 0, make_file, take_flock, give_flock},
    {"ofd_lock", F_OFD_SETLKW, make_file, take_range, give_range},
    {"posix_sem", 0, make_named, take_named, give_named},
    {"posix_sem_unnamed", 0, make_unnamed, take_unnamed, give_unnamed},
    {"pthread_mutex", 0, make_mutex, take_mutex, give_mutex},
    {"record_lock", F_SETLKW, make_file, take_range, give_range},
    {"robust_mutex", 1, make_mutex, take_mutex, give_mutex},
    {"rwlock", PTHREAD_RWLOCK_PREFER_READER_NP, make_rwlock, take_rwlock, give_rwlock},
    {"rwlock[prefer=writers]", PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP, make_rwlock,
     take_rwlock, give_rwlock},
    {"spinlock", 0, make_spinlock, take_spinlock, give_spinlock},
    {"sysv_sem", SEM_UNDO, make_sysv, take_sysv, give_sysv},
    {"sysv_sem[undo=false]", 0, make_sysv, take_sysv, give_sysv},
};
#define KINDS (int)(sizeof kinds / sizeof *kinds)

static void cost(const struct Kind *kind, long count) {
    for (; count > 0; count--) {
        kind->take(kind->argument);
        kind->give(kind->argument);
    }
}

static void update(const struct Kind *kind, long count) {
    for (; count > 0; count--) {
        kind->take(kind->argument);
        shared->number = shared->number + 1;
        kind->give(kind->argument);
    }
}

static long share(const struct Kind *kind, long target) {
    for (long done = 0;; done++) {
        kind->take(kind->argument);
        double number = shared->number;
        if (number >= target) {
            kind->give(kind->argument);
            return done;
        }
        shared->number = number + 1;
        kind->give(kind->argument);
    }
}

/* Does it in parts, and keeps the median of the seconds of one operation in each. */
static long in_parts(const struct Kind *kind, enum What what, long count) {
    int parts = count < PARTS ? count : PARTS;
    double each[PARTS];
    for (int i = 0; i < parts; i++) {
        long size = count / parts + (i < count % parts);
        double begun = now();
        (what == COST ? cost : update)(kind, size);
        each[i] = (now() - begun) / size;
    }
    shared->median = median(each, parts);
    return count;
}

static void child(const struct Kind *kind, enum What what, long count, int self, int cpu) {
    pin(cpu);
    if (path != NULL && (file = open(given, O_RDWR | O_CLOEXEC)) < 0)
        fail(given);
    int passed = pthread_barrier_wait(&shared->gate);
    must(passed == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : passed, "pthread_barrier_wait");
    double before = used();
    shared->begun[self] = now();
    shared->done[self] = what == SHARE ? share(kind, count) : in_parts(kind, what, count);
    shared->ended[self] = now();
    shared->cpu[self] = used() - before;
    _exit(0);
}

static const struct Kind *named(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* Returns how many processors are named in A[,B...]; 0 when the word is not understood. */
static int processors(const char *word, int *cpus) {
    int count = 0;
    if (strncmp(word, "cpus=", 5) != 0)
        return 0;
    for (const char *at = word + 4; *at != '\0' && count < MOST; count++) {
        char *end;
        cpus[count] = strtol(at + 1, &end, 10);
        if (end == at + 1 || (*end != ',' && *end != '\0'))
            return 0;
        at = end;
    }
    return count;
}

/* Returns -1 when the word is not understood. */
static int task(const char *word) {
    static const char *const tasks[] = {"what=cost", "what=update", "what=share"};
    for (int i = 0; i < 3; i++)
        if (strcmp(tasks[i], word) == 0)
            return i;
    return -1;
}

static int list(void) {
    for (int i = 0; i < KINDS; i++)
        printf("%s\"%s\"", i ? ", " : "{\"kinds\": [", kinds[i].name);
    printf("]}\n");
    return 0;
}

static int report(enum What what, long count, int processes) {
    double first = shared->begun[0], last = shared->ended[0], cpu = 0;
    long sum = 0;
    printf("{\"done\": [");
    for (int i = 0; i < processes; i++) {
        first = shared->begun[i] < first ? shared->begun[i] : first;
        last = shared->ended[i] > last ? shared->ended[i] : last;
        cpu += shared->cpu[i];
        sum += shared->done[i];
        printf("%s%ld", i ? ", " : "", shared->done[i]);
    }
    printf("], \"seconds\": %.9f, \"cpu_seconds\": %.9f, \"median_seconds\": %.12f}\n",
           last - first, cpu, shared->median);
    if (sum != count || (what != COST && shared->number != count)) {
        fprintf(stderr, "updates were lost\n");
        return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "kinds") == 0)
        return list();
    int cpus[MOST];
    const struct Kind *kind = argc == 6 ? named(argv[1]) : NULL;
    long count = argc == 6 ? atol(argv[2]) : 0;
    int what = argc == 6 ? task(argv[4]) : -1;
    int processes = argc == 6 ? processors(argv[5], cpus) : 0;
    if (kind == NULL || count <= 0 || what < 0 || processes == 0 ||
        (what != SHARE && processes > 1)) {
        fprintf(stderr, "usage: lock kinds | lock KIND COUNT PATH what=cost|update|share "
                        "cpus=A[,B...] (several for share)\n");
        return 2;
    }
    given = argv[3];
    begin();
    hold_signals(SIG_BLOCK);
    shared = shared_memory(sizeof *shared);
    pthread_barrierattr_t attributes;
    must(pthread_barrierattr_init(&attributes), "pthread_barrierattr_init");
    must(pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED), "setpshared");
    must(pthread_barrier_init(&shared->gate, &attributes, processes), "pthread_barrier_init");
    kind->make(kind->argument);
    hold_signals(SIG_UNBLOCK);
    for (int i = 0; i < processes; i++)
        if (start() == 0)
            child(kind, what, count, i, cpus[i]);
    join(processes);
    remove_objects();
    return report(what, count, processes);
}
