/* One cell of shared memory, read or written: what the lab's tables are measured against.
 *
 *     table kinds
 *     table KIND COUNT PATH what=read|write cpus=A
 *
 * Each access is one aligned load or store that the compiler may not leave out, or, for a plain
 * file, one pread(2) or pwrite(2) of 8 bytes. PATH is for the kinds that are files; it is gone
 * afterwards. Prints one line of JSON, with the median of one access; a cell that does not hold what
 * was written is a failure. */
#define _GNU_SOURCE
#include "reference.h"

#include "pinned.h"

#include <fcntl.h>

#define SIZE 4096
/* Where the cell is, as in the lecture's table: the second row's stock. */
#define AT 5

struct Shared {
    double seconds, cpu, found, median, each[PARTS];
};

static const char *given;
static int file = -1;
static volatile double *cells;

static void map_file(int made) {
    if (made < 0 || posix_fallocate(made, 0, SIZE) != 0)
        fail("the table's file");
    cells = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
    if (cells == MAP_FAILED)
        fail("mmap");
}

static void make_sysv(void) {
    segment = shmget(IPC_PRIVATE, SIZE, 0600);
    if (segment < 0 || (cells = shmat(segment, NULL, 0)) == (void *)-1)
        fail("shmget");
}

static void make_posix(void) {
    char name[64];
    snprintf(name, sizeof name, "/lab-reference-%d", getpid());
    int made = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (made < 0 || shm_unlink(name) < 0)
        fail("shm_open");
    map_file(made);
}

static void open_file(void) {
    path = given;
    file = open(given, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        fail(given);
}

static void make_mapped(void) {
    open_file();
    map_file(file);
}

static void make_plain(void) {
    open_file();
    if (posix_fallocate(file, 0, SIZE) != 0)
        fail("posix_fallocate");
}

static double load(void) {
    double value;
    if (cells != NULL)
        return cells[AT];
    if (pread(file, &value, sizeof value, AT * sizeof value) != sizeof value)
        fail("pread");
    return value;
}

static void store(double value) {
    if (cells != NULL)
        cells[AT] = value;
    else if (pwrite(file, &value, sizeof value, AT * sizeof value) != sizeof value)
        fail("pwrite");
}

static const struct Kind {
    const char *name;
    void (*make)(void);
} kinds[] = {
    {"mmap_file", make_mapped},
    {"plain_file", make_plain},
    {"posix_shm", make_posix},
    {"sysv_shm", make_sysv},
};
#define KINDS (int)(sizeof kinds / sizeof *kinds)

static const struct Kind *named(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static void child(struct Shared *shared, int writes, long count, int cpu) {
    pin(cpu);
    double value = count, before = used(), begun = now();
    int parts = count < PARTS ? count : PARTS;
    for (int part = 0; part < parts; part++) {
        long size = count / parts + (part < count % parts);
        double from = now();
        if (writes)
            for (long i = 0; i < size; i++)
                store(value);
        else
            for (long i = 0; i < size; i++)
                value = load();
        shared->each[part] = (now() - from) / size;
    }
    shared->seconds = now() - begun;
    shared->cpu = used() - before;
    shared->found = value;
    shared->median = median(shared->each, parts);
    _exit(0);
}

static int list(void) {
    for (int i = 0; i < KINDS; i++)
        printf("%s\"%s\"", i ? ", " : "{\"kinds\": [", kinds[i].name);
    printf("]}\n");
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "kinds") == 0)
        return list();
    const struct Kind *kind = argc == 6 ? named(argv[1]) : NULL;
    long count = argc == 6 ? atol(argv[2]) : 0;
    int writes = argc == 6 && strcmp(argv[4], "what=write") == 0;
    int reads = argc == 6 && strcmp(argv[4], "what=read") == 0;
    int cpu = -1;
    if (kind == NULL || count <= 0 || writes == reads || sscanf(argv[5], "cpus=%d", &cpu) != 1) {
        fprintf(stderr, "usage: table kinds | table KIND COUNT PATH what=read|write cpus=A\n");
        return 2;
    }
    given = argv[3];
    begin();
    hold_signals(SIG_BLOCK);
    struct Shared *shared = shared_memory(sizeof *shared);
    kind->make();
    hold_signals(SIG_UNBLOCK);
    store(reads ? count : 0);
    if (start() == 0)
        child(shared, writes, count, cpu);
    join(1);
    double found = load();
    remove_objects();
    printf("{\"seconds\": %.9f, \"cpu_seconds\": %.9f, \"median_seconds\": %.12f}\n",
           shared->seconds, shared->cpu, shared->median);
    if (found != count || shared->found != count) {
        fprintf(stderr, "the cell does not hold what was written\n");
        return 1;
    }
    return 0;
}
