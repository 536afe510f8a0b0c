/* Consumer: prints what the server placed, and writes the `*`.  letters_client [KEY] */
#define _GNU_SOURCE
#include "lecture.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#define SHMSZ 27

int main(int argc, char **argv)
{
    key_t key = (key_t)strtol(where(argc, argv, "KEY", "5678"), NULL, 0);
    int shmid;
    volatile char *shm, *s;
    with_a_deadline();
    while ((shmid = shmget(key, SHMSZ, 0666)) < 0 && errno == ENOENT)
        pause_ms(1); /* the lecture's client must be started second */
    if (shmid < 0) {
        perror("client: shmget error");
        return 1;
    }
    shm = shmat(shmid, NULL, 0);
    if (shm == (char *)-1) {
        perror("client: shmat error");
        return 1;
    }
    /* The lecture reads at once, up to a z that may not be there: it runs off the segment's page. */
    for (s = shm; s < shm + 26; s = isalpha((unsigned char)*s) ? s + 1 : shm)
        if (!isalpha((unsigned char)*s))
            pause_ms(1);
    for (s = shm; s < shm + 26; s++)
        putchar(*s); /* the z, too, which the lecture never prints */
    putchar('\n');
    *shm = '*';
    shmdt((void *)(size_t)shm);
    return fflush(stdout) != 0;
}
