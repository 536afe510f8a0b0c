/*
 * lab.h: takes a C program into a run of the lab as one that is *recorded* (docs/programs.md).
 *
 * C99, nothing but libc: include it before every other header, and say cc -I contrib/c.
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
 * table is the lecture's, under EXCHKEY. This file is what a program calls; how it is done stands in
 * the parts that it includes, one question each. lab_channels.h has messages and print jobs.
 */
#ifndef LAB_H
#define LAB_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>

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

/* ---- Taking part ----------------------------------------------------------------------------- */

struct lab;

/* Connect, make the history, open the table and its locks. */
static inline void lab_open(struct lab *lab);

/* Get ready, pass the gate, do `work` as often as it is asked for; returns the exit status. */
static inline int lab_run(struct lab *lab, void (*work)(struct lab *lab));

/* Whether to begin another operation: not after SIGTERM, nor when a schedule has said stop. */
static inline int lab_more(struct lab *lab);

/* An option of the role, as the scenario gives it: a text, or a number. */
static inline const char *lab_option(const char *name, const char *otherwise);
static inline double lab_number(const char *name, double otherwise);

/* The result of the work, told to the launcher when it is over: an amount, or a number of things. */
static inline void lab_report(struct lab *lab, const char *key, double amount);
static inline void lab_count(struct lab *lab, const char *key, long count);

/* Say how many operations are done; for a line of progress on a terminal. */
static inline void lab_progress(struct lab *lab, long done);

/* Tell the launcher and standard error what went wrong, and end with status 1. */
__attribute__((format(printf, 3, 4), noreturn))
static inline void lab_fail(struct lab *lab, const char *kind, const char *format, ...);

/* A number in [0, 1) from this process's seed; the same ones in each walk. */
static inline double lab_random(struct lab *lab);

/* An amount from 1 to `largest` with a fraction that names it in every later stock (multiples of
   2^-30, so that sums in a double are exact). */
static inline double lab_amount(struct lab *lab, double largest);

/* ---- One operation on the table: each call that names a step stands there until it may pass --- */

enum { LAB_BUY = 1, LAB_SELL = 2 };

/* The rows, in the lecture's order; lab->rows says how many. */
static inline struct Currency *lab_table(struct lab *lab);

/* Begin a trade of `amount` in a row: its record stands in the history, without an end, from now on
   until lab_end. */
static inline void lab_begin(struct lab *lab, int code, struct Currency *row, double amount);

/* The step "acquire": take the lock of the operation's row (the table's, where there is one for
   all). -1 when a schedule ends the work before it: nothing has been done, and lab_more says no. */
__attribute__((warn_unused_result))
static inline int lab_acquire(struct lab *lab);

/* Mark a point of your own, or "acquire" where no lock is taken; -1 as lab_acquire. */
__attribute__((warn_unused_result))
static inline int lab_step(struct lab *lab, const char *step);

/* The step "check": what the operation looks at first, to see whether it can be done. */
static inline double lab_check(struct lab *lab, const double *cell);

/* The rate for the price; it belongs to the step "check". */
static inline double lab_rate(struct lab *lab, const double *cell);

/* The operation's own check says no: it writes nothing. */
static inline void lab_refuse(struct lab *lab);

/* The step "read": the stock, for the change. */
static inline double lab_read(struct lab *lab, const double *cell);

/* The step "write": the stock, changed. Between "read" and "write" others may come in. */
static inline void lab_write(struct lab *lab, double *cell, double value);

/* The step "release": give the lock back. */
static inline void lab_release(struct lab *lab);

/* End the operation: its record is complete. Returns 0, or -1 when it was refused. After the lock
   is given back, so that recording makes nobody wait. */
static inline int lab_end(struct lab *lab);

/* Two trades that are one operation, under one lock for the table (contrib/c/converter.c). Between
   the lab_begin of the first and its lab_write, lab_second begins the other one; the first lab_end
   turns to it. lab_intend says, before the first lab_write, what each of two cells is to become: so
   whoever comes after this process died can undo both or finish both (docs/recovery.md). For one
   cell lab_write says it by itself. */
static inline void lab_second(struct lab *lab, int code, struct Currency *row, double amount);
static inline void lab_intend(struct lab *lab, double *cell, double value);

/* ---- How it is done: each part uses those above it ------------------------------------------- */

#include "lab_process.h"
#include "lab_history.h"
#include "lab_schedule.h"
#include "lab_locks.h"
#include "lab_table.h"
#include "lab_recovery.h"
#include "lab_trade.h"
#include "lab_run.h"

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

#endif
