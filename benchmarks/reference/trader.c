/* The lecture's exchange in C: what the lab's traders are measured against. Records nothing.
 *
 *     trader PROCESSES OPERATIONS undo|none
 *
 * Each process does OPERATIONS random trades, prepared in an array, on one System V segment; with
 * `undo` each between a P and a V of a System V semaphore with SEM_UNDO. The accesses are the
 * lecture's: a purchase reads the rate for its check and again, then reads and writes the stock; a
 * sale reads the stock for its check, the rate, the stock again, and writes it.
 *
 * Prints one line of JSON; a locked run whose `final` is not its `expected` stock is a failure. */
#include "reference.h"

#define ROWS 4
#define GRAIN (1.0 / (1 << 30))

struct Currency {
    double sell, buy;
    double stock;
};

struct Shared {
    struct Currency table[ROWS];
    int semaphores; /* so that whoever sees the segment finds the rest */
    double ended[MOST];
    double change[MOST][ROWS];
    long refused[MOST];
};

struct Order {
    int buying, row;
    double amount;
};

static const struct Currency FIRST[ROWS] = {
    {3.73, 3.72, 10000}, {3.932, 3.944, 10000}, {4.551, 4.552, 10000}, {3.24, 3.25, 5000}};

enum { LOCK, GATE, READY, SEMAPHORES };

static void change(int number, int by, int flags) {
    struct sembuf operation = {number, by, flags};
    if (semop(semaphores, &operation, 1) < 0)
        fail("semop");
}

static struct Order *draw(int operations, unsigned seed) {
    struct Order *orders = malloc(operations * sizeof *orders);
    if (orders == NULL)
        fail("malloc");
    for (int i = 0; i < operations; i++) {
        orders[i].buying = rand_r(&seed) >> 8 & 1;
        orders[i].row = rand_r(&seed) >> 8 & (ROWS - 1);
        orders[i].amount = 1 + (rand_r(&seed) >> 8) % 10 + (rand_r(&seed) | 1) % (1 << 30) * GRAIN;
    }
    return orders;
}

static void trade(struct Shared *shared, int self, int operations, int locked) {
    struct Order *orders = draw(operations, self + 1);
    double balance = 1e9;
    double changed[ROWS] = {0};
    long refused = 0;
    change(READY, 1, 0);
    change(GATE, 0, 0);
    for (int i = 0; i < operations; i++) {
        double amount = orders[i].amount;
        /* volatile: every access of the source is an access of memory */
        volatile struct Currency *c = &shared->table[orders[i].row];
        if (locked)
            change(LOCK, -1, SEM_UNDO);
        if (orders[i].buying) {
            if (balance < amount * c->buy) {
                refused++;
            } else {
                balance -= amount * c->buy;
                c->stock += amount;
                changed[orders[i].row] += amount;
            }
        } else {
            if (c->stock < amount) {
                refused++;
            } else {
                balance += amount * c->sell;
                c->stock -= amount;
                changed[orders[i].row] -= amount;
            }
        }
        if (locked)
            change(LOCK, 1, SEM_UNDO);
    }
    shared->ended[self] = now();
    memcpy(shared->change[self], changed, sizeof changed);
    shared->refused[self] = refused;
    _exit(0);
}

int main(int argc, char **argv) {
    int processes = argc == 4 ? atoi(argv[1]) : 0;
    int operations = argc == 4 ? atoi(argv[2]) : 0;
    int locked = argc == 4 && strcmp(argv[3], "undo") == 0;
    if (processes < 1 || processes > MOST || operations < 1 ||
        (!locked && strcmp(argv[3], "none") != 0)) {
        fprintf(stderr, "usage: trader PROCESSES OPERATIONS undo|none\n");
        return 2;
    }
    begin();
    hold_signals(SIG_BLOCK);
    semaphores = semget(IPC_PRIVATE, SEMAPHORES, 0600);
    if (semaphores < 0)
        fail("semget");
    unsigned short values[SEMAPHORES] = {[LOCK] = 1, [GATE] = 1, [READY] = 0};
    if (semctl(semaphores, 0, SETALL, values) < 0)
        fail("semctl");
    segment = shmget(IPC_PRIVATE, sizeof(struct Shared), 0600);
    if (segment < 0)
        fail("shmget");
    hold_signals(SIG_UNBLOCK);
    struct Shared *shared = shmat(segment, NULL, 0);
    if (shared == (void *)-1)
        fail("shmat");
    memset(shared, 0, sizeof *shared);
    memcpy(shared->table, FIRST, sizeof FIRST);
    shared->semaphores = semaphores;

    for (int i = 0; i < processes; i++)
        if (start() == 0)
            trade(shared, i, operations, locked);
    change(READY, -processes, 0);
    double opened = now(), ended = opened;
    change(GATE, -1, 0);
    join(processes);

    long refused = 0;
    double expected[ROWS];
    for (int row = 0; row < ROWS; row++)
        expected[row] = FIRST[row].stock;
    for (int i = 0; i < processes; i++) {
        refused += shared->refused[i];
        ended = shared->ended[i] > ended ? shared->ended[i] : ended;
        for (int row = 0; row < ROWS; row++)
            expected[row] += shared->change[i][row];
    }
    int wrong = 0;
    printf("{\"operations\": %ld, \"seconds\": %.9f, \"per_second\": %.1f, \"refused\": %ld",
           (long)processes * operations, ended - opened,
           (double)processes * operations / (ended - opened), refused);
    for (int row = 0; row < ROWS; row++)
        printf("%s%.17g", row ? ", " : ", \"expected\": [", expected[row]);
    for (int row = 0; row < ROWS; row++) {
        printf("%s%.17g", row ? ", " : "], \"final\": [", shared->table[row].stock);
        wrong += shared->table[row].stock != expected[row];
    }
    printf("]}\n");
    remove_objects();
    if (locked && wrong) {
        fprintf(stderr, "the stock is not what the trades make it\n");
        return 1;
    }
    return 0;
}
