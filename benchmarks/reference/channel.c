/* One producer, one consumer, 64-byte messages: what the lab's channels are measured against.
 *
 *     channel sysv_queue MESSAGES
 *     channel fifo MESSAGES PATH
 *
 * Each message is one msgsnd and one msgrcv, or one write and one read of 64 bytes, blocking. Prints
 * one line of JSON; a `sum` of what arrived that is not `expected` is a failure. */
#include "reference.h"

#include <fcntl.h>

#define SIZE 64

struct Message {
    long type;
    union {
        long number;
        char bytes[SIZE];
    } body;
};

struct Shared {
    double first, last;
    long sum;
};

static int in = -1, out = -1;

static void send_one(const struct Message *message) {
    if (queue >= 0) {
        if (msgsnd(queue, message, SIZE, 0) < 0)
            fail("msgsnd");
    } else if (write(out, message->body.bytes, SIZE) != SIZE) {
        fail("write");
    }
}

static void receive_one(struct Message *message) {
    if (queue >= 0) {
        if (msgrcv(queue, message, SIZE, 0, 0) != SIZE)
            fail("msgrcv");
    } else if (read(in, message->body.bytes, SIZE) != SIZE) {
        fail("read");
    }
}

static void produce(struct Shared *shared, long messages) {
    struct Message message = {.type = 1};
    if (queue < 0 && (out = open(fifo, O_WRONLY)) < 0)
        fail(fifo);
    shared->first = now();
    for (long i = 1; i <= messages; i++) {
        message.body.number = i;
        send_one(&message);
    }
    _exit(0);
}

static void consume(struct Shared *shared, long messages) {
    struct Message message;
    long sum = 0;
    if (queue < 0 && (in = open(fifo, O_RDONLY)) < 0)
        fail(fifo);
    for (long i = 1; i <= messages; i++) {
        receive_one(&message);
        sum += message.body.number;
    }
    shared->last = now();
    shared->sum = sum;
    _exit(0);
}

int main(int argc, char **argv) {
    long messages = argc > 2 ? atol(argv[2]) : 0;
    int queued = argc == 3 && strcmp(argv[1], "sysv_queue") == 0;
    int piped = argc == 4 && strcmp(argv[1], "fifo") == 0;
    if (messages < 1 || !(queued || piped)) {
        fprintf(stderr, "usage: channel sysv_queue MESSAGES | channel fifo MESSAGES PATH\n");
        return 2;
    }
    begin();
    signal(SIGPIPE, SIG_IGN);
    struct Shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        fail("mmap");
    hold_signals(SIG_BLOCK);
    if (queued) {
        queue = msgget(IPC_PRIVATE, 0600);
        if (queue < 0)
            fail("msgget");
    } else {
        if (mkfifo(argv[3], 0600) < 0)
            fail(argv[3]);
        fifo = argv[3];
    }
    hold_signals(SIG_UNBLOCK);
    if (start() == 0)
        consume(shared, messages);
    if (start() == 0)
        produce(shared, messages);
    join(2);
    remove_objects();

    double seconds = shared->last - shared->first;
    long expected = messages * (messages + 1) / 2;
    printf("{\"messages\": %ld, \"seconds\": %.9f, \"per_second\": %.1f, \"sum\": %ld, "
           "\"expected\": %ld}\n",
           messages, seconds, messages / seconds, shared->sum, expected);
    if (shared->sum != expected) {
        fprintf(stderr, "messages were lost or changed\n");
        return 1;
    }
    return 0;
}
