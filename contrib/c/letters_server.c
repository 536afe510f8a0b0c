/* Producer: places a to z in a segment of 27 bytes, and waits for the `*`.  letters_server [KEY] */
#define _GNU_SOURCE
#include "lecture.h"

#include <sys/ipc.h>
#include <sys/shm.h>

#define SHMSZ 27

int main(int argc, char **argv)
{
    key_t key = (key_t)strtol(where(argc, argv, "KEY", "5678"), NULL, 0);
    int shmid, mine;
    volatile char *shm, *s;
    char c;
    with_a_deadline();
    shmid = shmget(key, SHMSZ, IPC_CREAT | IPC_EXCL | 0666);
    mine = shmid >= 0;
    if (!mine)
        shmid = shmget(key, SHMSZ, 0666);
    if (shmid < 0) {
        perror("server: shmget error");
        return 1;
    }
    shm = shmat(shmid, NULL, 0);
    if (shm == (char *)-1) {
        perror("server: shmat error");
        return 1;
    }
    s = shm;
    for (c = 'a'; c <= 'z'; c++)
        *s++ = c;
    while (*shm != '*')
        pause_ms(1);
    shmdt((void *)(size_t)shm);
    /* The lecture leaves its segment behind, and the next client reads what is left in it. */
    if (mine)
        shmctl(shmid, IPC_RMID, NULL);
    return 0;
}
