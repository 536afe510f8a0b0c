/*
 * lab.h: takes a C program into a run of the lab as one that is *recorded* (docs/programs.md).
 *
 * One file, C99, nothing but libc: include it before every other header.
 *
 *     #include "lab.h"
 *
 *     static void work(struct lab *lab)               // from the gate on; called again for each walk
 *     {
 *         struct Currency *table = lab_table(lab);
 *         double balance = 1000;
 *         long done = 0;
 *         while (lab_more(lab))
 *             done += lab_buy(lab, &table[EURO], 10, &balance) == 0;
 *         lab_report(lab, "balance", balance);
 *         lab_count(lab, "done", done);
 *     }
 *
 *     int main(void) { struct lab lab; lab_open(&lab); return lab_run(&lab, work); }
 *
 * Every failure is told to the launcher in one sentence, printed, and ends the program with 1.
 * Without the lab (no LAB_REPORT) the same program runs by itself: nothing is recorded, and the
 * table is the lecture's, under EXCHKEY. Parts of this file, from top to bottom: the table's
 * layout · struct lab · failing and reporting · waiting · the history · steps · locks · the table ·
 * one operation · buy and sell · the run · channels (lab_channels.h holds them).
 */
#ifndef LAB_H
#define LAB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
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

#ifndef F_OFD_SETLK
#error "include lab.h before every other header: it asks for what Linux has beyond POSIX"
#endif

/* ---- The lecture's table: four rows of three doubles, no header, no padding ------------------ */

#ifndef LAB_CURRENCY /* a program that has the lecture's struct already defines this */
#define LAB_CURRENCY
enum currency { DOLLAR, EURO, STERLIN, POUND };
struct Currency { double sell, buy; double stock; };
#endif
#ifndef EXCHKEY
#define EXCHKEY 0x45584348 /* "EXCH"; the lecture gives it no value */
#endif

/* ---- Everything about this process ----------------------------------------------------------- */

enum { LAB_BUY = 1, LAB_SELL = 2, LAB_PUT = 32, LAB_TAKE, LAB_PASS, LAB_PRINT, LAB_PAGE };
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

/* What a scenario declares for a step: a pause in which others may come in (microseconds). */
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
    double amount, asked, entered, left, checked, rate, read, written;
    int held_first, held_last;

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

/* Tell the launcher and standard error what went wrong, and end with status 1. */
__attribute__((format(printf, 3, 4), noreturn))
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

/* Say how many operations are done; for a line of progress on a terminal. */
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

/* The result of the work, told to the launcher when it is over: an amount, or a number of things. */
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

/* An option of the role, as the scenario gives it: a text, or a number. */
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

/* Whether to begin another operation: not after SIGTERM, nor when a schedule has said stop. */
static inline int lab_more(struct lab *lab)
{
    if (lab_told)
        lab->finishing = 1;
    return !lab->finishing && !lab->stopped;
}

/* ---- The history: docs/history.md ------------------------------------------------------------ */

enum { LAB_HEADER = 4096, LAB_RECORD = 80, LAB_WINDOW = 256 * LAB_RECORD };
enum { LAB_KIND, LAB_ITEM, LAB_V0, LAB_ASKED, LAB_ENTERED, LAB_V1, LAB_V2, LAB_V3, LAB_V4, LAB_LEFT };

static inline volatile double *lab_record_at(struct lab *lab, long number)
{
    return (volatile double *)(void *)(lab->header + LAB_HEADER + number * LAB_RECORD);
}

/* Have room for one more record; the file grows by whole windows. */
static inline void lab_grow(struct lab *lab, size_t windows, int how)
{
    size_t more = windows * LAB_WINDOW + (how ? LAB_HEADER : 0);
    int file = open(lab->record_path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | how, 0600);
    if (file < 0)
        lab_fail(lab, "OSError", "cannot open %s: %s", lab->record_path, strerror(errno));
    /* Allocated, not only made longer: a full disk is an error here, and not a SIGBUS at a store. */
    int error = posix_fallocate(file, (off_t)lab->size, (off_t)more);
    if (error)
        lab_fail(lab, "OSError", "no room for the history: %s", strerror(error));
    void *mapped = how ? mmap(NULL, more, PROT_READ | PROT_WRITE,
                              MAP_SHARED | (more <= 64u << 20 ? MAP_POPULATE : 0), file, 0)
                       : mremap(lab->header, lab->size, lab->size + more, MREMAP_MAYMOVE);
    close(file);
    if (mapped == MAP_FAILED)
        lab_fail(lab, "OSError", "cannot map the history: %s", strerror(errno));
    lab->header = mapped;
    lab->size += more;
    lab->windows += windows;
    lab->room += (long)(windows * 256);
}

static inline void lab_history(struct lab *lab)
{
    uint32_t numbers[4] = {LAB_RECORD, LAB_HEADER, (uint32_t)getpid(), (uint32_t)lab->index};
    char name[64] = "";
    size_t capacity = (size_t)lab_whole(getenv("LAB_CAPACITY"), 0);
    lab_grow(lab, capacity ? (capacity + 255) / 256 : 1, O_CREAT | O_EXCL);
    /* Texts of 32 bytes, cut, that need no zero at their end. */
    memcpy(name, lab->name, strnlen(lab->name, 32));
    memcpy(name + 32, lab->role, strnlen(lab->role, 32));
    memcpy(lab->header, "LABHIST1", 8);
    memcpy(lab->header + 8, numbers, sizeof numbers);
    memcpy(lab->header + 24, name, sizeof name);
}

/* The next record, not yet written; its number in `cell`. NULL where nothing is recorded. */
static inline volatile double *lab_next_record(struct lab *lab)
{
    if (!lab->header)
        return NULL;
    if (!lab->room)
        lab_grow(lab, lab->windows < 64 ? lab->windows : 64, 0);
    lab->room--;
    lab->cell = lab->next++;
    return lab_record_at(lab, lab->cell);
}

static inline void lab_forget_record(struct lab *lab)
{
    if (lab->header)
        memset((void *)(uintptr_t)lab_record_at(lab, lab->cell), 0, LAB_RECORD);
    lab->next -= lab->header != NULL;
    lab->room += lab->header != NULL;
}

/* Name this process's next operation, job or order: unlike every other one of the run. */
static inline double lab_item(struct lab *lab)
{
    return (double)lab->index * 4294967296.0 + (double)++lab->sequence;
}

/* Write a whole record of something that is over: on a channel, or on paper. */
static inline void lab_note(struct lab *lab, int code, long object, double item, double asked,
                            double entered, double v0, double v1, double v2, double v3, double v4)
{
    double values[] = {0, item, v0, asked, entered, v1, v2, v3, v4};
    volatile double *record = lab_next_record(lab);
    double left = lab_now();
    for (int at = 1; record && at < 9; at++)
        record[at] = values[at];
    if (record) {
        record[LAB_KIND] = code + 256.0 * (double)object;
        record[LAB_LEFT] = left; /* last: without it a reader takes it as in flight */
    }
}

/* ---- Steps: where a scheduler may stop this process, and a fault may strike ------------------ */

/* Read one message of the launcher's; returns its size. */
static inline size_t lab_hear(struct lab *lab, char *message, size_t size)
{
    ssize_t got;
    while ((got = recv(lab->report, message, size - 1, 0)) < 0 && errno == EINTR)
        continue;
    message[got < 0 ? 0 : got] = 0; /* nothing: the launcher is gone */
    return got < 0 ? 0 : (size_t)got;
}

static inline double lab_draw(uint64_t *state)
{
    /* splitmix64: a number in [0, 1) from the upper 53 bits */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* Count a step for every fault that is about it; where one is due, stand until the launcher has
   done what is to be done. */
static inline void lab_fault(struct lab *lab, const char *step)
{
    for (int n = 0; lab->armed && n < lab->fault_count; n++) {
        struct lab_fault *fault = &lab->faults[n];
        char message[256];
        /* Whether it must wait is luck: it would make the numbers of all other steps luck, too. */
        if (strcmp(*fault->step ? fault->step : step, step) || (!*fault->step && !strcmp(step, "wait")))
            continue;
        fault->passed++;
        int due = fault->at      ? fault->passed == fault->at && !lab->life
                  : fault->every ? fault->passed % fault->every == 0
                                 : lab_draw(&lab->chance) < fault->probability;
        if (!due)
            continue;
        int size = snprintf(message, sizeof message,
                            "{\"type\": \"fault\", \"number\": %ld, \"step\": \"%s\", \"at\": %lld}",
                            fault->number, step, (long long)(lab_now() * 1e9));
        lab_send(lab, message, (size_t)size);
        lab_hear(lab, message, sizeof message);
        char *error = strstr(message, "\"error\": \""); /* a device that fails at this step */
        if (error)
            lab_fail(lab, "OSError", "%.*s at %s", (int)strcspn(error + 10, "\""), error + 10, step);
    }
}

/* A value of a flat JSON object: what stands behind its key. */
static inline const char *lab_json(const char *object, const char *key)
{
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(object, quoted);
    return found ? found + strlen(quoted) + strspn(found + strlen(quoted), " \"") : "0";
}

static inline void lab_read_delays(struct lab *lab, const char *map)
{
    char object[1024];
    /* {"write": {"sleep_us": 100}, …}: every step stands in quotes before its brace. */
    for (const char *at = map ? strchr(map, '"') : NULL; at && lab->delay_count < LAB_FAULTS;
         at = strchr(strchr(at, '}'), '"')) {
        struct lab_delay *delay = &lab->delays[lab->delay_count++];
        snprintf(delay->step, sizeof delay->step, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
        if (!(at = strchr(at, '{')) || !strchr(at, '}'))
            return;
        snprintf(object, sizeof object, "%.*s", (int)strcspn(at, "}"), at);
        delay->sleep = atof(lab_json(object, "sleep_us")) / 1e6;
        delay->jitter = atof(lab_json(object, "jitter_us")) / 1e6;
        delay->spin = atof(lab_json(object, "spin_us")) / 1e6;
        delay->yields = atol(lab_json(object, "yields"));
    }
}

static inline void lab_delay(struct lab *lab, const char *step)
{
    for (int n = 0; n < lab->delay_count; n++) {
        struct lab_delay *delay = &lab->delays[n];
        if (strcmp(delay->step, step))
            continue;
        struct timespec pause = lab_after(delay->sleep + delay->jitter * lab_draw(&lab->chance));
        while (delay->sleep + delay->jitter > 0 && nanosleep(&pause, &pause) && errno == EINTR)
            continue;
        for (long yield = 0; yield < delay->yields; yield++)
            sched_yield();
        for (double until = lab_now() + delay->spin; delay->spin > 0 && lab_now() < until;)
            continue;
    }
}

static inline void lab_read_faults(struct lab *lab, const char *list)
{
    char object[1024];
    for (const char *at = list; at && (at = strchr(at, '{')) && lab->fault_count < LAB_FAULTS; at++) {
        snprintf(object, sizeof object, "%.*s", (int)strcspn(at, "}"), at);
        struct lab_fault *fault = &lab->faults[lab->fault_count++];
        fault->number = atol(lab_json(object, "number"));
        fault->at = atol(lab_json(object, "at"));
        fault->every = atol(lab_json(object, "every"));
        fault->probability = atof(lab_json(object, "probability"));
        const char *step = lab_json(object, "step");
        snprintf(fault->step, sizeof fault->step, "%.*s", (int)strcspn(step, "\","), step);
    }
}

/* Say something under a schedule; the steps that were passed without asking go before it. */
static inline void lab_say(struct lab *lab, const char *words, size_t size)
{
    char message[4096];
    size_t passed = lab->passed[1] ? 2u + lab->passed[1] : 0;
    memcpy(message, lab->passed, passed);
    memcpy(message + passed, words, size);
    lab->passed[0] = '!';
    lab->passed[1] = 0;
    lab_send(lab, message, passed + size);
}

static inline int lab_step_names(char *text, const char *const names[2])
{
    return names[1]   ? sprintf(text, "[\"%s\", \"%s\"]", names[0], names[1])
           : names[0] ? sprintf(text, "[\"%s\"]", names[0])
                      : sprintf(text, "[]");
}

/* The number of a step under a schedule: whoever stands at one for the first time tells what it
   is. */
static inline int lab_step_number(struct lab *lab, const char *step, const struct lab_touch *touch,
                                  int begins)
{
    char text[1024];
    int at = sprintf(text, "@[\"%.40s\", ", step);
    at += lab_step_names(text + at, touch->reads);
    at += sprintf(text + at, ", ");
    at += lab_step_names(text + at, touch->changes);
    at += sprintf(text + at, ", \"%s\", \"%s\", %s, %s]", touch->takes ? touch->takes : "",
                  touch->gives ? touch->gives : "", touch->ready ? "true" : "false",
                  begins ? "true" : "false");
    for (int n = 0; n < lab->count; n++)
        if (!strcmp(lab->known[n], text))
            return n;
    if (lab->count == LAB_STEPS || !(lab->known[lab->count] = strdup(text)))
        lab_fail(lab, "ProcessError", "too many different steps");
    lab_say(lab, text, (size_t)at);
    return lab->count++;
}

/* Stand at a step until this process may pass. `begins` says that it begins an operation, before
   which a schedule can stop it: then the answer is -1, and 0 otherwise. */
static inline int lab_stand(struct lab *lab, const char *step, const struct lab_touch *touch,
                            int begins)
{
    if (lab->turns) {
        int number = lab_step_number(lab, step, touch, begins);
        int ready = !touch->ready || touch->ready(touch->of);
        if (ready && number < LAB_FREE && lab->free[number] && lab->passed[1] < LAB_FREE) {
            lab->passed[2 + lab->passed[1]++] = (unsigned char)number;
        } else {
            char words[16] = {'#', (char)(number & 255), (char)(number >> 8), ready ? '+' : '-'};
            for (lab_say(lab, words, 4); lab_hear(lab, words, sizeof words), words[0] != 'g';) {
                if (words[0] == 'l' || words[0] == 'f') {
                    lab->finishing |= words[0] == 'f';
                    lab_send(lab, !touch->ready || touch->ready(touch->of) ? "+" : "-", 1);
                } else if (words[0] == 's' && begins) {
                    lab->stopped = 1;
                    return -1;
                } else if (words[0] == 's') {
                    lab_fail(lab, "ProcessError", "stopped at %s, in the middle of its work", step);
                } else {
                    longjmp(lab->leaving, 1);
                }
            }
        }
    } else { /* under a schedule nothing runs beside this process: a delay would only cost time */
        lab_delay(lab, step);
    }
    lab_fault(lab, step);
    return 0;
}

/* ---- Locks ----------------------------------------------------------------------------------- */

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
        if (dprintf(lock->fd, "%ld", (long)getpid()) < 0)
            return errno;
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

/* ---- The table ------------------------------------------------------------------------------- */

/* Map what the launcher made. A table that is read and written by calls gets addresses that nobody
   may follow: lab_check, lab_read and lab_write know what to do with them. */
static inline void lab_open_table(struct lab *lab)
{
    const char *kind = getenv("LAB_TABLE_KIND"), *rows = getenv("LAB_TABLE_ROWS");
    const char *path = getenv("LAB_TABLE_PATH"), *name = getenv("LAB_TABLE_NAME");
    char list[1024];
    snprintf(list, sizeof list, "%s", rows ? rows : "DOLLAR EURO STERLIN POUND");
    for (char *row = strtok(list, " "); row && lab->rows < LAB_ROWS; row = strtok(NULL, " "))
        for (int field = 0; field < 3 || !++lab->rows; field++)
            snprintf(lab->cells[lab->rows * 3 + field], sizeof *lab->cells, "%.20s.%s", row,
                     field == 0 ? "sell" : field == 1 ? "buy" : "stock");
    size_t size = (size_t)lab->rows * sizeof *lab->table;
    lab->file = -1;
    if (!kind || !strcmp(kind, "sysv_shm")) {
        lab->table = lab_attach(lab, "the table", lab_whole(getenv("LAB_TABLE_KEY"), EXCHKEY));
        return;
    }
    int posix = !strcmp(kind, "posix_shm"), calls = !strcmp(kind, "plain_file");
    if (!posix && !calls && strcmp(kind, "mmap_file"))
        lab_fail(lab, "ProcessError", "lab.h does not know a table of kind %s", kind);
    int file = posix ? shm_open(name ? name : "", O_RDWR, 0)
                     : lab_open_file(lab, "the table", path ? path : "exchange.dat");
    struct stat status;
    if (file < 0 || fstat(file, &status) || (size_t)status.st_size < size)
        lab_fail(lab, "ObjectVanished", "the table %s is gone, or too short", posix ? name : path);
    lab->table = mmap(NULL, size, calls ? PROT_NONE : PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (lab->table == MAP_FAILED)
        lab_fail(lab, "MachineError", "cannot map the table: %s", strerror(errno));
    if (calls)
        lab->file = file;
    else
        close(file);
}

static inline void lab_open_locks(struct lab *lab)
{
    const char *kind = getenv("LAB_LOCK_KIND");
    lab->locks = lab_whole(getenv("LAB_LOCKS"), 1);
    if (lab->locks < 1 || lab->locks > lab->rows)
        lab_fail(lab, "ProcessError", "LAB_LOCKS says %ld", lab->locks);
    for (long n = 0; n < lab->locks; n++) {
        struct lab_lock *lock = &lab->lock[n];
        char number[24];
        snprintf(number, sizeof number, "%ld", n);
        snprintf(lock->what, sizeof lock->what, lab->locks == 1 ? "the table's lock" : "the lock of %.*s",
                 (int)strcspn(lab->cells[n * 3], "."), lab->cells[n * 3]);
        lab_open_lock(lab, lock, kind ? kind : "none", "LOCK", number);
        lock->number = lock->kind == LAB_NONE ? 0 : lab->locks == 1 ? 1 : 2 + (int)n;
    }
}

/* The four rows, as the lecture has them. */
static inline struct Currency *lab_table(struct lab *lab)
{
    return lab->table;
}

static inline const char *lab_cell_name(struct lab *lab, const double *cell)
{
    ptrdiff_t at = cell - (const double *)(const void *)lab->table;
    if (at < 0 || at >= lab->rows * 3)
        lab_fail(lab, "ProcessError", "this is no cell of the table");
    return lab->cells[at];
}

/* ---- One operation on the table -------------------------------------------------------------- */

/* Begin a trade of `amount` in a row: its record stands in the history, without an end, from now on
   until lab_end. */
static inline void lab_begin(struct lab *lab, int code, struct Currency *row, double amount)
{
    if (lab->begun)
        lab_fail(lab, "ProcessError", "lab_begin, but the operation before has no lab_end");
    lab->begun = 1;
    lab->code = code;
    lab->row = row - lab->table;
    lab_cell_name(lab, &row->sell);
    lab->amount = amount;
    lab->refused = lab->steps = lab->held_first = lab->held_last = 0;
    lab->asked = lab->entered = lab->left = 0;
    lab->checked = lab->rate = lab->read = lab->written = 0;
    volatile double *record = lab_next_record(lab);
    double item = lab_item(lab);
    if (record) {
        record[LAB_ITEM] = item;
        record[LAB_V0] = amount;
        record[LAB_KIND] = code + 256.0 * (double)lab->row; /* last: from now on it is there */
    }
}

static inline struct lab_lock *lab_lock_of(struct lab *lab)
{
    return &lab->lock[lab->row % lab->locks];
}

/* Stand at a step of the operation; -1 when a schedule ends the work before it: then nothing has
   been done, and lab_more says no. */
static inline int lab_stand_in(struct lab *lab, const char *step, const struct lab_touch *touch)
{
    if (!lab->begun)
        lab_fail(lab, "ProcessError", "%s without lab_begin", step);
    if (lab_stand(lab, step, touch, !lab->steps++ && !lab_lock_of(lab)->held)) {
        lab->begun = 0;
        lab->sequence--;
        lab_forget_record(lab);
        return -1;
    }
    return 0;
}

/* Mark a point of your own, or "acquire" where no lock is taken. */
__attribute__((warn_unused_result))
static inline int lab_step(struct lab *lab, const char *step)
{
    struct lab_touch nothing = {.takes = NULL};
    return lab_stand_in(lab, step, &nothing);
}

/* Take the lock of the operation's row (the table's, where there is one for all). */
__attribute__((warn_unused_result))
static inline int lab_acquire(struct lab *lab)
{
    struct lab_lock *lock = lab_lock_of(lab);
    struct lab_touch touch = {.changes = {lock->what}, .takes = lock->what, .ready = lab_is_free, .of = lock};
    struct lab_touch nothing = {.takes = NULL};
    if (lock->held)
        lab_fail(lab, "KernelObjectError", "%s: this process holds it already", lock->what);
    if (lab_stand_in(lab, "acquire", lock->kind == LAB_NONE ? &nothing : &touch))
        return -1;
    double asked = lab_take(lab, lock);
    if (!lab->entered) {
        lab->entered = lab_now();
        lab->asked = asked;
    }
    return 0;
}

/* Give it back. */
static inline void lab_release(struct lab *lab)
{
    struct lab_lock *lock = lab_lock_of(lab);
    struct lab_touch touch = {.changes = {lock->what}, .gives = lock->what}, nothing = {.takes = NULL};
    lab_stand_in(lab, "release", lock->held ? &touch : &nothing);
    lab_put_back(lab, lock);
}

/* What frames every access: which lock is held, and since when this process is inside. */
static inline void lab_frame(struct lab *lab, int before)
{
    int held = lab_lock_of(lab)->held ? lab_lock_of(lab)->number : 0;
    if (before && !lab->left)
        lab->held_first = held;
    if (before && !lab->entered)
        lab->entered = lab_now();
    lab->held_last = held;
    if (!before)
        lab->left = lab_now();
}

/* One cell, whole: an aligned load or store of 8 bytes, or a call where the table is a plain file. */
static inline double lab_load(struct lab *lab, const double *cell)
{
    double value = 0;
    lab_frame(lab, 1);
    if (lab->file < 0)
        value = *(const volatile double *)cell;
    else if (pread(lab->file, &value, sizeof value, (const char *)cell - (char *)lab->table) != 8)
        lab_fail(lab, "ObjectVanished", "the table was cut");
    lab_frame(lab, 0);
    return value;
}

static inline void lab_store(struct lab *lab, double *cell, double value)
{
    lab_frame(lab, 1);
    if (lab->file < 0)
        *(volatile double *)cell = value;
    else if (pwrite(lab->file, &value, sizeof value, (char *)cell - (char *)lab->table) != 8)
        lab_fail(lab, "KernelObjectError", "the table: %s", strerror(errno));
    lab_frame(lab, 0);
}

/* The step "check": what the operation looks at first, to see whether it can be done. */
static inline double lab_check(struct lab *lab, const double *cell)
{
    struct Currency *row = &lab->table[lab->row];
    const double *rate = lab->code == LAB_SELL ? &row->sell : &row->buy;
    struct lab_touch touch = {.reads = {lab_cell_name(lab, cell),
                                        cell == rate ? NULL : lab_cell_name(lab, rate)}};
    lab_stand_in(lab, "check", &touch);
    return lab->checked = lab_load(lab, cell);
}

/* The rate for the price; it belongs to the step "check". */
static inline double lab_rate(struct lab *lab, const double *cell)
{
    return lab->rate = lab_load(lab, cell);
}

/* The step "read": the stock, for the change. */
static inline double lab_read(struct lab *lab, const double *cell)
{
    struct lab_touch touch = {.reads = {lab_cell_name(lab, cell)}};
    lab_stand_in(lab, "read", &touch);
    return lab->read = lab_load(lab, cell);
}

/* The step "write": the stock, changed. Between "read" and "write" others may come in. */
static inline void lab_write(struct lab *lab, double *cell, double value)
{
    struct lab_touch touch = {.changes = {lab_cell_name(lab, cell)}};
    lab_stand_in(lab, "write", &touch);
    lab_store(lab, cell, lab->written = value);
}

/* The operation's own check says no: it writes nothing. */
static inline void lab_refuse(struct lab *lab)
{
    lab->refused = 1;
    lab->rate = lab->read = lab->written = 0;
}

/* End the operation: its record is complete. Returns 0, or -1 when it was refused. Outside the
   lock, so that recording makes nobody wait. */
static inline int lab_end(struct lab *lab)
{
    if (!lab->begun)
        lab_fail(lab, "ProcessError", "lab_end without lab_begin");
    lab->begun = 0;
    if (lab->header) {
        volatile double *record = lab_record_at(lab, lab->cell);
        record[LAB_ASKED] = lab->asked ? lab->asked : lab->entered;
        record[LAB_ENTERED] = lab->entered;
        record[LAB_V1] = lab->checked;
        record[LAB_V2] = lab->rate;
        record[LAB_V3] = lab->read;
        record[LAB_V4] = lab->written;
        record[LAB_KIND] = lab->code + 256.0 * (double)lab->row + 65536.0 * lab->refused
                           + 131072.0 * lab->held_first + 33554432.0 * lab->held_last;
        record[LAB_LEFT] = lab->left;
    }
    return lab->refused ? -1 : 0;
}

/* ---- The lecture's two operations, marked and recorded; replace them by your own -------------- */

/* int buy(struct Currency *c, double amount, double *balance) */
static inline int lab_buy(struct lab *lab, struct Currency *c, double amount, double *balance)
{
    lab_begin(lab, LAB_BUY, c, amount);
    if (lab_acquire(lab))
        return -1;
    if (*balance < amount * lab_check(lab, &c->buy)) {
        lab_refuse(lab);
    } else {
        *balance -= amount * lab_rate(lab, &c->buy);
        double stock = lab_read(lab, &c->stock);
        lab_write(lab, &c->stock, stock + amount);
    }
    lab_release(lab);
    return lab_end(lab);
}

/* int sell(struct Currency *c, double amount, double *balance) */
static inline int lab_sell(struct lab *lab, struct Currency *c, double amount, double *balance)
{
    lab_begin(lab, LAB_SELL, c, amount);
    if (lab_acquire(lab))
        return -1;
    if (lab_check(lab, &c->stock) < amount) {
        lab_refuse(lab);
    } else {
        *balance += amount * lab_rate(lab, &c->sell);
        double stock = lab_read(lab, &c->stock); /* a second look: the stock may be less by now */
        lab_write(lab, &c->stock, stock - amount);
    }
    lab_release(lab);
    return lab_end(lab);
}

/* A number in [0, 1) from this process's seed; the same ones in each walk. */
static inline double lab_random(struct lab *lab)
{
    return lab_draw(&lab->random);
}

/* An amount from 1 to `largest` with a fraction that names it in every later stock (multiples of
   2^-30, so that sums in a double are exact). */
static inline double lab_amount(struct lab *lab, double largest)
{
    double whole = 1 + (double)(long)(lab_random(lab) * largest);
    return whole + (double)((unsigned long)(lab_random(lab) * 1073741824.0) | 1) / 1073741824.0;
}

/* ---- The run: report socket, history, gate, and as often as a walk wants it ------------------ */

/* Take part: connect, make the history, open the table and its locks. */
static inline void lab_open(struct lab *lab)
{
    const char *report = getenv("LAB_REPORT"), *wait = getenv("LAB_WAIT");
    struct sigaction told = {.sa_handler = lab_on_signal}, ignored = {.sa_handler = SIG_IGN};
    memset(lab, 0, sizeof *lab);
    lab->report = lab->file = -1;
    lab->name = getenv("LAB_NAME") ? getenv("LAB_NAME") : "program";
    lab->role = getenv("LAB_ROLE") ? getenv("LAB_ROLE") : "trader";
    lab->index = lab_whole(getenv("LAB_INDEX"), 0);
    lab->life = lab_whole(getenv("LAB_LIFE"), 0);
    lab->seed = getenv("LAB_SEED") ? strtoull(getenv("LAB_SEED"), NULL, 10) : 1;
    lab->random = lab->seed;
    lab->chance = lab->seed ^ 2;
    lab->seconds = wait ? strtod(wait, NULL) : 10;
    lab->turns = lab_whole(getenv("LAB_TURNS"), 0) != 0;
    lab->passed[0] = '!';
    /* No SA_RESTART: a wait looks at its deadline, and at whether to finish, after every signal. */
    sigaction(SIGTERM, &told, NULL);
    sigaction(SIGALRM, &told, NULL);
    sigaction(SIGUSR1, &told, NULL); /* a storm of signals interrupts waits, and no more */
    sigaction(SIGUSR2, &told, NULL);
    if (report) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        sigaction(SIGINT, &ignored, NULL); /* the keyboard's signals are the launcher's */
        snprintf(address.sun_path, sizeof address.sun_path, "%s", report);
        int peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (peer < 0 || connect(peer, (struct sockaddr *)&address, sizeof address))
            lab_fail(lab, "ProcessError", "nobody listens at %s: %s", report, strerror(errno));
        lab->report = peer;
        lab->record_path = getenv("LAB_RECORD");
        if (!lab->record_path)
            lab_fail(lab, "ProcessError", "LAB_RECORD is not set");
        lab_history(lab);
        lab_read_delays(lab, getenv("LAB_DELAYS"));
        lab_read_faults(lab, getenv("LAB_FAULTS"));
    }
    if (getenv("LAB_TABLE_KIND") || !report) {
        lab_open_table(lab);
        lab_open_locks(lab);
    }
}

/* Stand at the gate until it opens, for all processes at once. */
static inline void lab_gate(struct lab *lab)
{
    struct lab_lock gate = {.kind = LAB_SYSV, .what = "the start gate"};
    double patience = lab->seconds;
    if (!getenv("LAB_GATE"))
        return;
    gate.id = semget((key_t)lab_whole(getenv("LAB_GATE"), 0), 0, 0);
    if (gate.id < 0)
        lab_fail(lab, "ObjectVanished", "there is no gate: %s", strerror(errno));
    if (getenv("LAB_START")) /* as long as the others may take to get ready */
        lab->seconds = strtod(getenv("LAB_START"), NULL);
    lab_standing(lab, gate.what);
    while (lab_semop(&gate, 0, 0, lab_tick(lab, gate.what)))
        if (errno != EAGAIN && errno != EINTR)
            lab_fail(lab, "ObjectVanished", "the start gate: %s", strerror(errno));
    lab_stood(lab);
    lab->seconds = patience;
}

/* Be as at the beginning: the launcher has put back everything else. */
static inline void lab_again(struct lab *lab)
{
    if (lab->header)
        memset(lab->header + LAB_HEADER, 0, (size_t)lab->next * LAB_RECORD);
    lab->room += lab->next;
    lab->next = lab->sequence = 0;
    lab->begun = lab->finishing = lab->stopped = 0;
    lab->random = lab->seed;
    lab->summary[0] = 0;
    if (lab->restart)
        lab->restart(lab);
}

/* Say what came of it; under a schedule wait for whether it is to be done again. */
static inline int lab_over(struct lab *lab, int left)
{
    char message[1200];
    int size;
    for (long n = 0; n < lab->locks; n++)
        if (lab->turns)
            lab_abandon(&lab->lock[n]);
    if (!left && lab->recovered)
        lab_count(lab, "recovered", lab->recovered);
    if (!left && lab_signals && !lab->turns)
        lab_count(lab, "signals", lab_signals);
    size = left ? snprintf(message, sizeof message, "{\"type\": \"left\"}")
                : snprintf(message, sizeof message, "{\"type\": \"summary\", \"summary\": {%s}}",
                           lab->summary);
    lab_say(lab, message, (size_t)size);
    if (lab->report < 0)
        printf("{%s}\n", lab->summary);
    if (!lab->turns)
        return 0;
    char word[2 + LAB_FREE];
    size_t count = lab_hear(lab, word, sizeof word);
    memset(lab->free, 0, sizeof lab->free);
    for (size_t n = 1; n < count; n++)
        lab->free[(unsigned char)word[n]] = 1;
    return word[0] == 'a';
}

/* Get ready, pass the gate, do `work` as often as it is asked for; returns the exit status. */
static inline int lab_run(struct lab *lab, void (*work)(struct lab *lab))
{
    int more;
    const char *ready = "{\"type\": \"ready\"}";
    lab_send(lab, ready, strlen(ready));
    lab_gate(lab);
    lab->armed = 1;
    do {
        /* A schedule may send this process away from any step: then it comes back here. */
        if (setjmp(lab->leaving) == 0) {
            work(lab);
            if (lab->begun)
                lab_fail(lab, "ProcessError", "its last operation has no lab_end");
            for (long n = 0; n < lab->locks; n++)
                if (lab->lock[n].held)
                    lab_fail(lab, "ProcessError", "its work is over, and it still holds %s",
                             lab->lock[n].what);
            more = lab_over(lab, 0);
        } else {
            more = lab_over(lab, 1);
        }
        if (more)
            lab_again(lab);
    } while (more);
    return 0;
}

#endif
