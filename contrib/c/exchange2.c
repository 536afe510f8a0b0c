/*
 * Currency exchange - 2: attaches the table that is there and trades lines of its input.
 *
 *     echo "buy EURO 10" | exchange2 [KEY]
 */
#include "exchange.h"

#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
    key_t key = (key_t)strtol(told(argc, argv, "LAB_TABLE_KEY", "0x45584348"), NULL, 0);
    struct Currency *curshared;
    int id, status;
    id = shmget(key, TABLE, 0);
    if (id < 0) {
        perror("shmget");
        return 1;
    }
    curshared = shmat(id, NULL, 0);
    if (curshared == (void *)-1) { /* the lecture compares with NULL, and would crash */
        perror("shmat");
        return 1;
    }
    status = trade_loop(curshared);
    shmdt(curshared);
    return status;
}
