/*
 * Currency exchange - 1: creates the shared table and fills its four rows.
 *
 *     exchange1 [KEY]         creates it, fills it and ends; the table stays, as in the lecture
 *     exchange1 -r [KEY]      removes it ("Persistent until reboot. Needs cleanup.")
 */
#include "exchange.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(int argc, char **argv)
{
    int removes = argc > 1 && !strcmp(argv[1], "-r"), id, i;
    key_t key;
    struct Currency *curshared;
    argc -= removes;
    argv += removes;
    key = (key_t)strtol(told(argc, argv, "LAB_TABLE_KEY", "0x45584348"), NULL, 0);
    if (removes) {
        id = shmget(key, 0, 0);
        if (id < 0 || shmctl(id, IPC_RMID, NULL)) {
            perror("remove");
            return 1;
        }
        return 0;
    }
    /* IPC_EXCL, which the lecture leaves out: run again, it would fill a table that others trade on. */
    id = shmget(key, TABLE, IPC_CREAT | IPC_EXCL | 0600);
    if (id < 0) {
        if (errno == EEXIST)
            fprintf(stderr, "there is a table already: ipcs -m, or exchange1 -r\n");
        else
            perror("shmget");
        return 1;
    }
    curshared = shmat(id, NULL, 0);
    if (curshared == (void *)-1) { /* not checked in the lecture */
        perror("shmat");
        return 1;
    }
    for (i = 0; i < 4; i++)
        curshared[i] = init[i];
    shmdt(curshared);
    return 0;
}
