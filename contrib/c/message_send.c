/* Sends one message of type 1 into the queue with key 1234.  message_send [KEY] */
#define _GNU_SOURCE
#include "lecture.h"

#include <sys/ipc.h>
#include <sys/msg.h>

#define MSGSZ 128

typedef struct { long mtype; char mtext[MSGSZ]; } message_buf;

int main(int argc, char **argv)
{
    key_t key = (key_t)strtol(where(argc, argv, "KEY", "1234"), NULL, 0);
    message_buf sbuf = {.mtype = 1};
    int msqid = msgget(key, IPC_CREAT | 0666);
    if (msqid < 0) { /* not checked in the lecture */
        perror("msgget");
        return 1;
    }
    strcpy(sbuf.mtext, "Did you get this?");
    if (msgsnd(msqid, &sbuf, strlen(sbuf.mtext) + 1, IPC_NOWAIT) < 0) {
        perror("msgsnd"); /* the lecture says "Sent" all the same when the queue is full */
        return 1;
    }
    printf("Message: \"%s\" Sent\n", sbuf.mtext);
    return 0;
}
