/*
 * lab_history.h, a part of lab.h: the file of records that this process writes (docs/history.md).
 */
#ifndef LAB_HISTORY_H
#define LAB_HISTORY_H

enum { LAB_HEADER = 4096, LAB_RECORD = 80, LAB_WINDOW = 256 * LAB_RECORD };
static const double LAB_SECOND_HALF = 8589934592.0; /* 2^33, in the kind */
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

/* Begin a record of an operation that will end; returns its item. */
static inline double lab_declare(struct lab *lab, double kind, double amount)
{
    volatile double *record = lab_next_record(lab);
    double item = lab_item(lab);
    if (record) {
        record[LAB_ITEM] = item;
        record[LAB_V0] = amount;
        record[LAB_KIND] = kind; /* last: from now on it is there */
    }
    return item;
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

#endif
