/*
 * Takes one message of type 1 from the queue with key 1234 and prints it.
 *
 *     message_receive [KEY]       the queue stays, as in the lecture
 *     message_receive -r [KEY]    and removes the queue then
 */
#define _GNU_SOURCE
#include "lecture.h"

#include <errno.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#define MSGSZ 128

typedef struct { long mtype; char mtext[MSGSZ + 1]; } message_buf;

int main(int argc, char **argv)
{
    int removes = argc > 1 && !strcmp(argv[1], "-r"), msqid;
    key_t key = (key_t)strtol(where(argc - removes, argv + removes, "KEY", "1234"), NULL, 0);
    message_buf rbuf;
    ssize_t size;
    with_a_deadline();
    while ((msqid = msgget(key, 0666)) < 0 && errno == ENOENT)
        pause_ms(1); /* the lecture's receiver must be started second */
    if (msqid < 0) {
        perror("msgget");
        return 1;
    }
    size = msgrcv(msqid, &rbuf, MSGSZ, 1, 0);
    if (size < 0) { /* not checked in the lecture: it prints whatever lies in rbuf */
        perror("msgrcv");
        return 1;
    }
    rbuf.mtext[size] = 0; /* who sent it may have sent no zero */
    printf("%s\n", rbuf.mtext);
    if (removes && msgctl(msqid, IPC_RMID, NULL)) {
        perror("msgctl");
        return 1;
    }
    return 0;
}
