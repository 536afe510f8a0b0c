/*
 * lab_process.h, a part of lab.h: all that is known of this process, failing, telling, waiting.
 */
#ifndef LAB_PROCESS_H
#define LAB_PROCESS_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LAB_ROWS = 64, LAB_FREE = 255, LAB_STEPS = 4096, LAB_FAULTS = 64, LAB_TEXT = 512 };

enum lab_kind {
    LAB_NONE, LAB_SYSV, LAB_SEMAPHORE, LAB_MUTEX, LAB_ROBUST, LAB_RWLOCK, LAB_SPIN,
    LAB_RECORD_LOCK, LAB_OFD_LOCK, LAB_FLOCK, LAB_LOCK_FILE
};

struct lab_lock {
    enum lab_kind kind;
    char what[80];      /* its name in messages and for a scheduler */
    int held, number;   /* number: how records name it */
    int id, fd;         /* a System V set, or a file (of a lock file: while it is held) */
    unsigned short member;
    short undo;
    off_t at;           /* the byte of the file that is locked */
    const char *path;
    void *memory;       /* where a semaphore, mutex or other lock lies */
};

/* What a step touches until the next one, by name; `ready` says whether it could go on at once. */
struct lab_touch {
    const char *reads[2], *changes[2], *takes, *gives;
    int (*ready)(void *of);
    void *of;
};
static const struct lab_touch lab_nothing;

/* What a scenario declares for a step: a pause in which others may come in (seconds), or a fault
   that strikes there. */
struct lab_delay { char step[32]; double sleep, jitter, spin; long yields; };
struct lab_fault { long number, at, every, passed; double probability; char step[32]; };

struct lab {
    const char *name, *role;
    long index, life;
    int report, turns;
    uint64_t seed, random, chance;
    double seconds, until; /* of any single wait; the end of the one that lasts now */
    int finishing, stopped, armed, recovered;
    jmp_buf leaving;

    /* the history */
    const char *record_path;
    char *header;
    size_t size, windows;
    long next, room, sequence;

    /* the operation that is under way: a record that has no end yet */
    int begun, code, refused, steps;
    long row, cell;
    double item, asked, entered, left, checked, rate, read, written;
    int held_first, held_last, stored; /* stored: its write is done */
    struct lab_half { int code; long row, cell; } second; /* code 0: there is none */
    double half; /* what the kind of its record adds where it is the second half */

    /* the dialogue under a schedule */
    char *known[LAB_STEPS];
    int count;
    unsigned char free[LAB_FREE + 1], passed[2 + LAB_FREE];

    /* the table */
    struct Currency *table;
    int file; /* of a table that is read and written by calls, else -1 */
    long rows, locks;
    char cells[LAB_ROWS * 3][32];
    struct lab_lock lock[LAB_ROWS];

    /* the intent record behind the table, NULL where nothing is recovered */
    struct lab_intents *intents;
    int64_t pid, start, clear; /* this process, and the state when nobody is inside */
    int intended, made;        /* how many changes were said, and how many were made */

    struct lab_delay delays[LAB_FAULTS];
    int delay_count;
    struct lab_fault faults[LAB_FAULTS];
    int fault_count;
    void (*restart)(struct lab *lab); /* of what lab_channels.h has open */
    char summary[1024];
};

/* SIGTERM: finish what is begun, then stop. */
static volatile sig_atomic_t lab_told, lab_signals;

static inline void lab_on_signal(int number)
{
    if (number == SIGTERM)
        lab_told = 1;
    else if (number != SIGALRM)
        lab_signals++;
}

/* ---- Failing and reporting ------------------------------------------------------------------- */

static inline void lab_send(struct lab *lab, const char *message, size_t size)
{
    /* A launcher that is gone is no error: its processes end with it. */
    while (lab->report >= 0 && send(lab->report, message, size, MSG_NOSIGNAL) < 0 && errno == EINTR)
        continue;
}

static inline void lab_fail(struct lab *lab, const char *kind, const char *format, ...)
{
    char text[LAB_TEXT], quoted[2 * LAB_TEXT], message[3 * LAB_TEXT];
    size_t at = 0;
    va_list words;
    va_start(words, format);
    vsnprintf(text, sizeof text, format, words);
    va_end(words);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\')
            quoted[at++] = '\\';
        quoted[at++] = (unsigned char)*c < ' ' ? ' ' : *c;
    }
    quoted[at] = 0;
    int size = snprintf(message, sizeof message,
                        "{\"type\": \"error\", \"kind\": \"%s\", \"message\": \"%s\"}", kind, quoted);
    lab_send(lab, message, (size_t)size);
    fprintf(stderr, "%s: %s\n", lab->name, text);
    exit(1);
}

static inline void lab_progress(struct lab *lab, long done)
{
    char message[80];
    if (!lab->turns)
        lab_send(lab, message, (size_t)snprintf(message, sizeof message,
                                                "{\"type\": \"progress\", \"done\": %ld}", done));
}

static inline void lab_summarise(struct lab *lab, const char *key, const char *value)
{
    size_t at = strlen(lab->summary);
    int size = snprintf(lab->summary + at, sizeof lab->summary - at, "%s\"%s\": %s",
                        at ? ", " : "", key, value);
    if ((size_t)size >= sizeof lab->summary - at)
        lab_fail(lab, "ProcessError", "the summary is too long at %s", key);
}

static inline void lab_report(struct lab *lab, const char *key, double amount)
{
    char text[40];
    /* The very double comes back from 17 digits; a whole one keeps its point: it is an amount. */
    snprintf(text, sizeof text, "%.17g", amount);
    if (!strpbrk(text, ".en"))
        strcat(text, ".0");
    lab_summarise(lab, key, text);
}

static inline void lab_count(struct lab *lab, const char *key, long count)
{
    char text[40];
    snprintf(text, sizeof text, "%ld", count);
    lab_summarise(lab, key, text);
}

/* ---- What the environment says --------------------------------------------------------------- */

/* The value of LAB_<part>_<part>…; NULL when it is not set. A part in other letters is spelt as the
   launcher spells it: capitals and digits, everything else _. */
static inline const char *lab_variable(const char *first, const char *second, const char *third)
{
    const char *parts[] = {first, second, third};
    char name[256] = "LAB";
    size_t at = 3;
    for (int part = 0; part < 3; part++) {
        if (!parts[part] || !*parts[part])
            continue;
        name[at++] = '_';
        for (const char *c = parts[part]; *c && at < sizeof name - 2; c++) {
            char up = *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c;
            name[at++] = (up >= 'A' && up <= 'Z') || (up >= '0' && up <= '9') ? up : '_';
        }
        name[at] = 0;
    }
    return getenv(name);
}

static inline const char *lab_option(const char *name, const char *otherwise)
{
    const char *value = lab_variable("OPTION", name, NULL);
    return value ? value : otherwise;
}

static inline double lab_number(const char *name, double otherwise)
{
    const char *value = lab_option(name, NULL);
    return value && *value ? strtod(value, NULL) : otherwise;
}

static inline long lab_whole(const char *value, long otherwise)
{
    return value && *value ? strtol(value, NULL, 0) : otherwise;
}

/* ---- Waiting, with a deadline ---------------------------------------------------------------- */

static inline double lab_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec * 1000000000LL + now.tv_nsec) / 1e9;
}

static inline void lab_fault(struct lab *lab, const char *step);

/* Write what this process waits for ("" for nothing) into the header of its history, where the
   launcher reads it to say who waits for what. */
static inline void lab_publish(struct lab *lab, const char *what)
{
    if (!lab->header)
        return;
    char text[128] = "";
    int64_t since = *what ? (int64_t)(lab_now() * 1e9) : 0;
    snprintf(text, sizeof text, "%s", what);
    memcpy(lab->header + 96, text, sizeof text);
    memcpy(lab->header + 88, &since, sizeof since);
}

/* This process now blocks on `what`; who is through calls lab_stood. To block is a step, too. */
static inline void lab_standing(struct lab *lab, const char *what)
{
    lab_publish(lab, what);
    lab_fault(lab, "wait");
    lab->until = lab_now() + lab->seconds;
}

static inline void lab_stood(struct lab *lab)
{
    lab_publish(lab, "");
}

/* How long the next call may block: a tenth of a second at most, so that a signal that comes just
   before it is not missed. Fails when the wait is over. */
static inline double lab_tick(struct lab *lab, const char *what)
{
    double left = lab->until - lab_now();
    if (left <= 0)
        lab_fail(lab, "WaitExpired", "waited %g s for %s, in vain", lab->seconds, what);
    if (lab_told)
        lab->finishing = 1;
    return left < 0.1 ? left : 0.1;
}

static inline struct timespec lab_after(double seconds)
{
    struct timespec time = {(time_t)seconds, 0};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    return time;
}

/* Interrupt blocking calls that know no timeout, again and again, until lab_still. */
static inline void lab_ticking(void)
{
    struct itimerval tick = {{0, 100000}, {0, 100000}};
    setitimer(ITIMER_REAL, &tick, NULL);
}

static inline void lab_still(void)
{
    struct itimerval none = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &none, NULL);
}

static inline int lab_more(struct lab *lab)
{
    if (lab_told)
        lab->finishing = 1;
    return !lab->finishing && !lab->stopped;
}

#endif
