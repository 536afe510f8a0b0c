/* What the reference programs share: the clock, failures, and objects that never outlive a run.
 *
 * A program makes its System V objects with IPC_PRIVATE, so that nobody else can find them, and
 * removes them at its end, on SIGINT and on SIGTERM. Its children die with it. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int segment = -1, semaphores = -1;
static volatile int queues[2] = {-1, -1};
static const char *volatile path = NULL;
static pid_t maker;

#define MOST 256
static pid_t children[MOST];
static volatile sig_atomic_t started;

/* Only calls that a signal handler may make. */
static void remove_objects(void) {
    if (getpid() != maker)
        return;
    /* The children first: a segment is gone only when nobody is attached any more. */
    for (int i = 0; i < started; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    if (semaphores >= 0)
        semctl(semaphores, 0, IPC_RMID);
    if (segment >= 0)
        shmctl(segment, IPC_RMID, NULL);
    for (int i = 0; i < 2; i++)
        if (queues[i] >= 0)
            msgctl(queues[i], IPC_RMID, NULL);
    if (path != NULL)
        unlink(path);
    segment = semaphores = queues[0] = queues[1] = -1;
    path = NULL;
}

static void interrupted(int number) {
    remove_objects();
    _exit(128 + number);
}

static void fail(const char *what) {
    perror(what);
    if (getpid() == maker)
        remove_objects();
    _exit(1);
}

/* Signals wait while objects are made: one that exists is also known. */
static void hold_signals(int how) {
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    if (sigprocmask(how, &ends, NULL) < 0)
        fail("sigprocmask");
}

static void begin(void) {
    maker = getpid();
    signal(SIGINT, interrupted);
    signal(SIGTERM, interrupted);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Returns 0 in the child, which dies with its parent. */
static pid_t start(void) {
    hold_signals(SIG_BLOCK);
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid > 0)
        children[started++] = pid;
    else
        signal(SIGINT, SIG_IGN);
    hold_signals(SIG_UNBLOCK);
    if (pid == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != maker)
            _exit(1);
    }
    return pid;
}

/* Waits for `count` children; the program fails when one of them does. */
static void join(int count) {
    for (int i = 0; i < count; i++) {
        int status;
        if (wait(&status) < 0)
            fail("wait");
        if (status != 0) {
            fprintf(stderr, "a child failed\n");
            remove_objects();
            _exit(1);
        }
    }
    started = 0;
}

#endif
