/*
 * lab_table.h, a part of lab.h: the table and its locks are opened, a cell is read and written.
 */
#ifndef LAB_TABLE_H
#define LAB_TABLE_H

/* Where the intent record begins behind the rows, and where it ends (docs/recovery.md). */
static inline size_t lab_intents_at(struct lab *lab)
{
    return ((size_t)lab->rows * sizeof *lab->table + 63) / 64 * 64;
}

static inline size_t lab_intents_end(struct lab *lab)
{
    return lab_intents_at(lab) + 16 * 8 * 1023;
}

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
    if (getenv("LAB_TABLE_RECOVERY"))
        size = lab_intents_end(lab);
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

static inline struct lab_lock *lab_lock_of(struct lab *lab)
{
    return &lab->lock[lab->row % lab->locks];
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
static inline double lab_value_of(struct lab *lab, const double *cell)
{
    double value = 0;
    if (lab->file < 0)
        value = *(const volatile double *)cell;
    else if (pread(lab->file, &value, sizeof value, (const char *)cell - (char *)lab->table) != 8)
        lab_fail(lab, "ObjectVanished", "the table was cut");
    return value;
}

static inline double lab_load(struct lab *lab, const double *cell)
{
    lab_frame(lab, 1);
    double value = lab_value_of(lab, cell);
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

#endif
