/*
 * lab_trade.h, a part of lab.h: one operation on the table, from lab_begin to lab_end.
 */
#ifndef LAB_TRADE_H
#define LAB_TRADE_H

static inline void lab_begin(struct lab *lab, int code, struct Currency *row, double amount)
{
    if (lab->begun)
        lab_fail(lab, "ProcessError", "lab_begin, but the operation before has no lab_end");
    lab->begun = 1;
    lab->code = code;
    lab->row = row - lab->table;
    lab_cell_name(lab, &row->sell);
    lab->refused = lab->steps = lab->held_first = lab->held_last = lab->stored = 0;
    lab->asked = lab->entered = lab->left = 0;
    lab->checked = lab->rate = lab->read = lab->written = 0;
    lab->second.code = 0;
    lab->half = lab->intended = lab->made = 0;
    lab->item = lab_declare(lab, code + 256.0 * (double)lab->row, amount);
}

static inline void lab_second(struct lab *lab, int code, struct Currency *row, double amount)
{
    long first = lab->cell;
    if (!lab->begun || lab->half || lab->second.code || lab->locks > 1)
        lab_fail(lab, "ProcessError", "lab_second, and %s", lab->locks > 1 ? "each row has its own lock"
                 : lab->begun ? "the operation has two halves already" : "no operation was begun");
    lab_cell_name(lab, &row->sell);
    lab->second = (struct lab_half){.code = code, .row = row - lab->table};
    lab_declare(lab, code + 256.0 * (double)lab->second.row + LAB_SECOND_HALF, amount);
    lab->second.cell = lab->cell;
    lab->cell = first;
}

/* Stand at a step of the operation; -1 when a schedule ends the work before it: then nothing has
   been done, and lab_more says no. */
static inline int lab_stand_in(struct lab *lab, const char *step, const struct lab_touch *touch)
{
    if (!lab->begun)
        lab_fail(lab, "ProcessError", "%s without lab_begin", step);
    if (lab_stand(lab, step, touch, !lab->steps++ && !lab_lock_of(lab)->held)) {
        lab->begun = 0;
        if (lab->second.code) { /* declared last, forgotten first */
            long first = lab->cell;
            lab->cell = lab->second.cell;
            lab->second.code = 0;
            lab->sequence--;
            lab_forget_record(lab);
            lab->cell = first;
        }
        lab->sequence--;
        lab_forget_record(lab);
        return -1;
    }
    return 0;
}

static inline int lab_step(struct lab *lab, const char *step)
{
    return lab_stand_in(lab, step, &lab_nothing);
}

static inline int lab_acquire(struct lab *lab)
{
    struct lab_lock *lock = lab_lock_of(lab);
    struct lab_touch touch = {.changes = {lock->what}, .takes = lock->what, .ready = lab_is_free, .of = lock};
    if (lock->held)
        lab_fail(lab, "KernelObjectError", "%s: this process holds it already", lock->what);
    if (lab_stand_in(lab, "acquire", lock->kind == LAB_NONE ? &lab_nothing : &touch))
        return -1;
    double asked = lab_take(lab, lock);
    lab_enter(lab);
    if (!lab->entered) {
        lab->entered = lab_now();
        lab->asked = asked;
    }
    return 0;
}

static inline void lab_release(struct lab *lab)
{
    struct lab_lock *lock = lab_lock_of(lab);
    struct lab_touch touch = {.changes = {lock->what}, .gives = lock->what};
    lab_stand_in(lab, "release", lock->held ? &touch : &lab_nothing);
    if (lock->held)
        lab_leave(lab);
    lab_put_back(lab, lock);
}

static inline double lab_check(struct lab *lab, const double *cell)
{
    struct Currency *row = &lab->table[lab->row];
    const double *rate = lab->code == LAB_SELL ? &row->sell : &row->buy;
    struct lab_touch touch = {.reads = {lab_cell_name(lab, cell),
                                        cell == rate ? NULL : lab_cell_name(lab, rate)}};
    lab_stand_in(lab, "check", &touch);
    return lab->checked = lab_load(lab, cell);
}

static inline double lab_rate(struct lab *lab, const double *cell)
{
    /* After the write and the release it is no part of what the lock guards: which lock was held at
       the write is told of the write. */
    int over = lab->stored && !lab_lock_of(lab)->held;
    return lab->rate = over ? lab_value_of(lab, cell) : lab_load(lab, cell);
}

static inline double lab_read(struct lab *lab, const double *cell)
{
    struct lab_touch touch = {.reads = {lab_cell_name(lab, cell)}};
    lab_stand_in(lab, "read", &touch);
    return lab->read = lab_load(lab, cell);
}

static inline void lab_write(struct lab *lab, double *cell, double value)
{
    struct lab_touch touch = {.changes = {lab_cell_name(lab, cell)}};
    lab_say_intent(lab, cell, value); /* before the first change, and so before this step */
    lab_stand_in(lab, "write", &touch);
    lab_store(lab, cell, lab->written = value);
    lab->stored = 1;
    lab_commit(lab);
}

static inline void lab_refuse(struct lab *lab)
{
    lab->refused = 1;
    lab->rate = lab->read = lab->written = 0;
}

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
                           + 131072.0 * lab->held_first + 33554432.0 * lab->held_last + lab->half;
        record[LAB_LEFT] = lab->left;
    }
    int refused = lab->refused;
    if (lab->second.code) { /* its record was begun with the first one's */
        lab->begun = 1;
        lab->code = lab->second.code;
        lab->row = lab->second.row;
        lab->cell = lab->second.cell;
        lab->half = LAB_SECOND_HALF;
        lab->second.code = lab->refused = lab->held_first = lab->held_last = lab->stored = 0;
        lab->left = lab->checked = lab->rate = lab->read = lab->written = 0;
        lab->entered = lab_now();
    }
    return refused ? -1 : 0;
}

#endif
