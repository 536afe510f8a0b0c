/*
 * lab_recovery.h, a part of lab.h: who is inside, what it is about to change, and what becomes of
 * what a dead one left (docs/recovery.md). Only a table that says LAB_TABLE_RECOVERY has this record.
 */
#ifndef LAB_RECOVERY_H
#define LAB_RECOVERY_H

enum { LAB_CLEAR, LAB_INSIDE, LAB_INTENDED, LAB_COMMITTED, LAB_RECOVERING, LAB_PHASE = 7 };
enum { LAB_UNDO = 1, LAB_CHANGES = 2, LAB_ENTRIES = 1022 };

/* Read and written whole, and in this order; values of cells are carried bit by bit. */
typedef volatile int64_t lab_word __attribute__((may_alias));

struct lab_change { lab_word cell, old, becomes; };
struct lab_entry {
    lab_word found, dead, by, began, operation, item, count, ended;
    struct { lab_word cell, old, becomes, seen; } change[LAB_CHANGES];
};
struct lab_intents {
    lab_word name, policy, state, pid, start, operation, item, count;
    struct lab_change change[LAB_CHANGES];
    lab_word unused[2];
    struct lab_entry entry[LAB_ENTRIES];
};

/* A cell of the table; the record may be damaged, like all that others can write to. */
static inline lab_word *lab_word_of(struct lab *lab, int64_t cell, int64_t changes)
{
    if (cell < 0 || cell >= lab->rows * 3 || changes < 0 || changes > LAB_CHANGES)
        lab_fail(lab, "KernelObjectError",
                 "the intent record behind the table is damaged: it names what is not there");
    return (lab_word *)lab->table + cell;
}

/* Read what is known of a process: 0 when there is none with this pid. */
static inline int lab_look_at(struct lab *lab, int64_t pid, char *state, unsigned long *flags,
                              long long *start)
{
    char text[1024];
    snprintf(text, sizeof text, "/proc/%lld/stat", (long long)pid);
    int file = open(text, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, text, sizeof text - 1);
    int error = errno;
    if (file >= 0)
        close(file);
    if (size < 0 && (error == ENOENT || error == ESRCH))
        return 0;
    text[size < 0 ? 0 : size] = 0;
    char *after = strrchr(text, ')'); /* a command may hold blanks and parentheses itself */
    if (!after || sscanf(after + 1, " %c %*s %*s %*s %*s %*s %lu %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s"
                         " %*s %*s %lld", state, flags, start) != 3)
        lab_fail(lab, "MachineError", "cannot read /proc/%lld/stat", (long long)pid);
    return 1;
}

/* Whether a process does nothing more. Its lock may be given back while it is still being taken
   apart: only its flags tell then (PF_EXITING). */
static inline int lab_is_gone(struct lab *lab, int64_t pid, int64_t start)
{
    char state;
    unsigned long flags;
    long long began;
    return !lab_look_at(lab, pid, &state, &flags, &began) || strchr("ZXx", state) || flags & 4
           || began != start;
}

static inline void lab_open_intents(struct lab *lab)
{
    char state;
    unsigned long flags;
    long long start;
    if (!getenv("LAB_TABLE_RECOVERY"))
        return;
    lab->intents = (struct lab_intents *)(void *)((char *)lab->table + lab_intents_at(lab));
    if (memcmp((void *)(uintptr_t)&lab->intents->name, "LABINT01", 8) || lab->locks != 1)
        lab_fail(lab, "KernelObjectError", "there is no intent record behind the table");
    lab->pid = getpid();
    lab_look_at(lab, lab->pid, &state, &flags, &start);
    lab->start = start;
}

/* ---- Who comes next -------------------------------------------------------------------------- */

/* Write down what is found, before anything is changed. */
static inline void lab_found(struct lab *lab, struct lab_entry *entry, int64_t phase)
{
    struct lab_intents *record = lab->intents;
    int said = phase != LAB_INSIDE; /* else what stands there is of an operation before */
    int64_t count = said ? record->count : 0;
    entry->found = phase;
    entry->dead = record->pid;
    entry->by = lab->pid;
    entry->began = (int64_t)(lab_now() * 1e9);
    entry->operation = said ? record->operation : 0;
    entry->item = said ? record->item : 0;
    for (int64_t n = 0; n < count; n++) {
        entry->change[n].seen = *lab_word_of(lab, record->change[n].cell, count);
        entry->change[n].cell = record->change[n].cell;
        entry->change[n].old = record->change[n].old;
        entry->change[n].becomes = record->change[n].becomes;
    }
    entry->count = count;
}

/* Undo or finish each change that the entry asks for and that was not done yet: a cell that holds
   neither value was written by somebody without the lock, and is left alone. */
static inline void lab_settle(struct lab *lab, struct lab_entry *entry)
{
    int back = lab->intents->policy == LAB_UNDO;
    for (int64_t n = 0; n < entry->count; n++) {
        lab_word *cell = lab_word_of(lab, entry->change[n].cell, entry->count);
        int64_t old = entry->change[n].old, becomes = entry->change[n].becomes;
        int64_t before = back ? becomes : old;
        /* A second look: who recovered before, and died of it, may have done this one. */
        if (entry->change[n].seen == before && *cell == before) {
            lab_stand(lab, "recover", &lab_nothing, 0);
            *cell = back ? old : becomes;
        }
    }
}

/* End what a dead owner left. Every store can be done twice, and the last one ends it and counts
   it: so it happens once, wherever who recovers is killed itself. */
static inline void lab_recover(struct lab *lab, int64_t count, int64_t phase)
{
    struct lab_intents *record = lab->intents;
    struct lab_entry *entry = &record->entry[count < LAB_ENTRIES ? count : LAB_ENTRIES - 1];
    if (!lab_is_gone(lab, record->pid, record->start))
        lab_fail(lab, "KernelObjectError", "the table: by its intent record process %lld is inside, and "
                 "it lives", (long long)record->pid);
    if (phase != LAB_RECOVERING) {
        lab_found(lab, entry, phase);
        lab_stand(lab, "recover", &lab_nothing, 0);
        record->state = count * (LAB_PHASE + 1) + LAB_RECOVERING;
    }
    record->pid = lab->pid;
    record->start = lab->start;
    entry->by = lab->pid;
    if (entry->found == LAB_INTENDED)
        lab_settle(lab, entry);
    entry->ended = (int64_t)(lab_now() * 1e9);
    lab_stand(lab, "recover", &lab_nothing, 0);
    record->state = (count + 1) * (LAB_PHASE + 1);
}

/* ---- A holder -------------------------------------------------------------------------------- */

/* With the lock just taken: be the owner. */
static inline void lab_enter(struct lab *lab)
{
    struct lab_intents *record = lab->intents;
    if (!record)
        return;
    if (record->state & LAB_PHASE)
        lab_recover(lab, record->state / (LAB_PHASE + 1), record->state & LAB_PHASE);
    record->pid = lab->pid;
    record->start = lab->start;
    lab->clear = record->state;
    record->state = lab->clear + LAB_INSIDE;
}

/* Before the lock is given back: be the owner no more. */
static inline void lab_leave(struct lab *lab)
{
    if (!lab->intents)
        return;
    if (lab->made < lab->intended)
        lab_fail(lab, "ProcessError", "lab_release, and what lab_intend said was not all written");
    lab->intents->state = lab->clear;
}

static inline void lab_intend(struct lab *lab, double *cell, double value)
{
    struct lab_intents *record = lab->intents;
    int64_t becomes;
    if (!record)
        return;
    if (!lab->begun || !lab_lock_of(lab)->held)
        lab_fail(lab, "ProcessError", "%s: without its lock nobody may change this table, which has "
                 "recovery", lab_cell_name(lab, cell));
    if (lab->made || lab->intended == LAB_CHANGES)
        lab_fail(lab, "ProcessError", "%s: lab_intend is for two cells at most, before the first "
                 "lab_write", lab_cell_name(lab, cell));
    if (!lab->intended) {
        record->state = lab->clear + LAB_INSIDE; /* what was committed before is over */
        record->operation = lab->code;
        record->item = (int64_t)lab->item;
    }
    memcpy(&becomes, &value, sizeof becomes);
    struct lab_change *change = &record->change[lab->intended++];
    change->cell = cell - (double *)(void *)lab->table;
    change->old = *lab_word_of(lab, change->cell, 1);
    change->becomes = becomes;
    record->count = lab->intended;
}

/* Before a write: from the first one on whoever comes next knows what to look for. */
static inline void lab_say_intent(struct lab *lab, double *cell, double value)
{
    int64_t becomes;
    int n = 0;
    if (!lab->intents)
        return;
    if (!lab->intended)
        lab_intend(lab, cell, value);
    memcpy(&becomes, &value, sizeof becomes);
    while (n < lab->intended && (lab->intents->change[n].cell != cell - (double *)(void *)lab->table
                                 || lab->intents->change[n].becomes != becomes))
        n++;
    if (n == lab->intended || lab->made == lab->intended)
        lab_fail(lab, "ProcessError", "%s: this table has recovery: say every change with lab_intend, "
                 "before the first lab_write", lab_cell_name(lab, cell));
    if (!lab->made)
        lab->intents->state = lab->clear + LAB_INTENDED;
}

/* After a write: say that every change was made, when it was the last. */
static inline void lab_commit(struct lab *lab)
{
    if (!lab->intents || ++lab->made < lab->intended)
        return;
    lab_stand(lab, "commit", &lab_nothing, 0);
    lab->intents->state = lab->clear + LAB_COMMITTED;
}

#endif
