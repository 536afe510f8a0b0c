/* Two processes and a channel between them: what the lab's channels are measured against.
 *
 *     channel kinds
 *     channel KIND MESSAGES [PATH] [size=64] [what=throughput|round_trip] [cpus=A,B]
 *                           [slots=8] [window=0]
 *
 * `throughput`: one process sends MESSAGES, the other receives them. `round_trip`: each message is
 * sent back on a second channel before the next one. Everything blocks as the kernel has it. PATH
 * is for the kinds that need a name in the file system; it is gone once both ends are open. `cpus`
 * pins the two processes. `slots` is the length of the ring. With a `window` the sender waits after
 * so many messages for a word of the receiver: UDP would lose them.
 *
 * Prints one line of JSON; a `sum` of what arrived that is not `expected` is a failure. */
#define _GNU_SOURCE
#include "reference.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/un.h>

struct Ring {
    sem_t room, filled, mutex;
    long head, tail;
    char bytes[];
};

struct Line {
    int in, out; /* descriptors of the two ends */
    int queue;
    struct Ring *ring;
};

struct Shared {
    double first, last, median, cpu[2];
    long sum;
};

struct Message {
    long type; /* msgsnd(2) wants it in front */
    union {
        long number;
        char bytes[1];
    } body;
};

static int size = 64, slots = 8, window = 0, cpus[2] = {-1, -1};
static const char *given = "";

/* How a kind makes a line, both ends open, and how messages pass. */
struct Kind {
    const char *name;
    int argument;
    void (*make)(struct Line *line, int argument);
    void (*send)(struct Line *line, struct Message *message);
    void (*receive)(struct Line *line, struct Message *message);
};

static void *shared_memory(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    return memory;
}

/* Bytes, with and without boundaries: a part is continued. */

static void write_all(struct Line *line, struct Message *message) {
    for (int done = 0; done < size;) {
        ssize_t n = write(line->out, message->body.bytes + done, size - done);
        if (n < 0)
            fail("write");
        done += n;
    }
}

static void read_all(struct Line *line, struct Message *message) {
    for (int done = 0; done < size;) {
        ssize_t n = read(line->in, message->body.bytes + done, size - done);
        if (n <= 0)
            fail("read");
        done += n;
    }
}

static void make_pipe(struct Line *line, int argument) {
    (void)argument;
    int ends[2];
    if (pipe(ends) < 0)
        fail("pipe");
    line->in = ends[0];
    line->out = ends[1];
}

static void make_fifo(struct Line *line, int argument) {
    (void)argument;
    if (mkfifo(given, 0600) < 0)
        fail(given);
    path = given;
    /* Neither open waits for the other end. */
    line->in = open(given, O_RDONLY | O_NONBLOCK);
    line->out = open(given, O_WRONLY);
    if (line->in < 0 || line->out < 0 || fcntl(line->in, F_SETFL, 0) < 0 || unlink(given) < 0)
        fail(given);
    path = NULL;
}

static void make_pair(struct Line *line, int type) {
    int ends[2];
    if (socketpair(AF_UNIX, type, 0, ends) < 0)
        fail("socketpair");
    line->in = ends[0];
    line->out = ends[1];
}

static void join_ends(struct Line *line, struct sockaddr *name, socklen_t length, int type) {
    int bound = socket(name->sa_family, type, 0);
    if (bound < 0 || bind(bound, name, length) < 0)
        fail("bind");
    if (name->sa_family == AF_UNIX)
        path = given;
    else if (getsockname(bound, name, &length) < 0)
        fail("getsockname");
    if (type != SOCK_DGRAM && listen(bound, 1) < 0)
        fail("listen");
    line->out = socket(name->sa_family, type, 0);
    if (line->out < 0 || connect(line->out, name, length) < 0)
        fail("connect");
    if (type != SOCK_DGRAM) {
        line->in = accept(bound, NULL, NULL);
        if (line->in < 0)
            fail("accept");
        close(bound);
    } else {
        line->in = bound;
    }
    if (path != NULL && unlink(given) < 0)
        fail(given);
    path = NULL;
}

static void make_unix(struct Line *line, int type) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (strlen(given) >= sizeof name.sun_path) {
        errno = ENAMETOOLONG;
        fail(given);
    }
    strcpy(name.sun_path, given);
    join_ends(line, (struct sockaddr *)&name, sizeof name, type);
}

static void make_loopback(struct Line *line, int type) {
    struct sockaddr_in name = {.sin_family = AF_INET};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    join_ends(line, (struct sockaddr *)&name, sizeof name, type);
    int yes = 1;
    if (type == SOCK_STREAM && setsockopt(line->out, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes))
        fail("TCP_NODELAY");
}

/* Queues. */

static void make_sysv(struct Line *line, int argument) {
    (void)argument;
    line->queue = msgget(IPC_PRIVATE, 0600);
    if (line->queue < 0)
        fail("msgget");
    queues[queues[0] >= 0] = line->queue;
}

static void send_sysv(struct Line *line, struct Message *message) {
    if (msgsnd(line->queue, message, size, 0) < 0)
        fail("msgsnd");
}

static void receive_sysv(struct Line *line, struct Message *message) {
    if (msgrcv(line->queue, message, size, 0, 0) != size)
        fail("msgrcv");
}

static void make_posix(struct Line *line, int argument) {
    (void)argument;
    char name[64];
    struct mq_attr limits = {.mq_maxmsg = 10, .mq_msgsize = size};
    snprintf(name, sizeof name, "/lab-reference-%ld", (long)getpid());
    line->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &limits);
    if (line->queue < 0)
        fail("mq_open");
    /* The processes inherit it: it needs no name any more. */
    if (mq_unlink(name) < 0)
        fail("mq_unlink");
}

static void send_posix(struct Line *line, struct Message *message) {
    if (mq_send(line->queue, message->body.bytes, size, 0) < 0)
        fail("mq_send");
}

static void receive_posix(struct Line *line, struct Message *message) {
    if (mq_receive(line->queue, message->body.bytes, size, NULL) != size)
        fail("mq_receive");
}

/* The lecture's shared buffer: put, get and a mutex. */

static void make_ring(struct Line *line, int argument) {
    (void)argument;
    line->ring = shared_memory(sizeof *line->ring + (size_t)slots * size);
    if (sem_init(&line->ring->room, 1, slots) < 0 || sem_init(&line->ring->filled, 1, 0) < 0 ||
        sem_init(&line->ring->mutex, 1, 1) < 0)
        fail("sem_init");
}

static void enter(sem_t *counter, sem_t *mutex) {
    if (sem_wait(counter) < 0 || sem_wait(mutex) < 0)
        fail("sem_wait");
}

static void leave(sem_t *mutex, sem_t *counter) {
    if (sem_post(mutex) < 0 || sem_post(counter) < 0)
        fail("sem_post");
}

static void send_ring(struct Line *line, struct Message *message) {
    struct Ring *ring = line->ring;
    enter(&ring->room, &ring->mutex);
    memcpy(ring->bytes + ring->tail++ % slots * size, message->body.bytes, size);
    leave(&ring->mutex, &ring->filled);
}

static void receive_ring(struct Line *line, struct Message *message) {
    struct Ring *ring = line->ring;
    enter(&ring->filled, &ring->mutex);
    memcpy(message->body.bytes, ring->bytes + ring->head++ % slots * size, size);
    leave(&ring->mutex, &ring->room);
}

static const struct Kind kinds[] = {
    {"fifo", 0, make_fifo, write_all, read_all},
    {"pipe", 0, make_pipe, write_all, read_all},
    {"posix_queue", 0, make_posix, send_posix, receive_posix},
    {"ring", 0, make_ring, send_ring, receive_ring},
    {"socketpair", SOCK_SEQPACKET, make_pair, write_all, read_all},
    {"sysv_queue", 0, make_sysv, send_sysv, receive_sysv},
    {"tcp", SOCK_STREAM, make_loopback, write_all, read_all},
    {"udp", SOCK_DGRAM, make_loopback, write_all, read_all},
    {"unix_dgram", SOCK_DGRAM, make_unix, write_all, read_all},
    {"unix_seqpacket", SOCK_SEQPACKET, make_unix, write_all, read_all},
    {"unix_stream", SOCK_STREAM, make_unix, write_all, read_all},
};
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

static double used(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static struct Message *blank(void) {
    struct Message *message = malloc(sizeof *message + size);
    if (message == NULL)
        fail("malloc");
    memset(message->body.bytes, 'x', size);
    message->type = 1;
    return message;
}

static int by_size(const void *left, const void *right) {
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The process that begins: it sends, or sends and awaits the answer. */
static void begin_work(struct Shared *shared, const struct Kind *kind, struct Line *lines,
                       long messages, int trips) {
    struct Message *message = blank(), *word = blank();
    double *times = trips ? malloc(messages * sizeof *times) : NULL;
    if (trips && times == NULL)
        fail("malloc");
    double before = used();
    shared->first = now();
    for (long i = 1; i <= messages; i++) {
        message->body.number = i;
        double sent = trips ? now() : 0;
        kind->send(&lines[0], message);
        if (trips || (window > 0 && i % window == 0))
            kind->receive(&lines[1], word);
        if (trips)
            times[i - 1] = now() - sent;
    }
    shared->cpu[0] = used() - before;
    if (trips) {
        shared->last = now();
        qsort(times, messages, sizeof *times, by_size);
        shared->median = (times[(messages - 1) / 2] + times[messages / 2]) / 2;
    }
    _exit(0);
}

/* The other one: it receives, or sends back what it receives. */
static void end_work(struct Shared *shared, const struct Kind *kind, struct Line *lines,
                     long messages, int trips) {
    struct Message *message = blank();
    long sum = 0;
    double before = used();
    for (long i = 1; i <= messages; i++) {
        kind->receive(&lines[0], message);
        sum += message->body.number;
        if (trips || (window > 0 && i % window == 0))
            kind->send(&lines[1], message);
    }
    if (!trips)
        shared->last = now();
    shared->cpu[1] = used() - before;
    shared->sum = sum;
    _exit(0);
}

static void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < 0)
        return;
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        fail("sched_setaffinity");
}

static const struct Kind *named(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

/* Returns 0 when the word is not understood. */
static int understand(const char *word, int *trips) {
    if (strchr(word, '=') == NULL) {
        given = word;
        return 1;
    }
    if (strcmp(word, "what=throughput") == 0 || strcmp(word, "what=round_trip") == 0) {
        *trips = strcmp(word, "what=round_trip") == 0;
        return 1;
    }
    if (sscanf(word, "cpus=%d,%d", &cpus[0], &cpus[1]) == 2)
        return 1;
    return (sscanf(word, "size=%d", &size) == 1 && size >= (int)sizeof(long)) ||
           (sscanf(word, "slots=%d", &slots) == 1 && slots > 0) ||
           (sscanf(word, "window=%d", &window) == 1 && window >= 0);
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
    const struct Kind *kind = argc > 2 ? named(argv[1]) : NULL;
    long messages = argc > 2 ? atol(argv[2]) : 0;
    int trips = 0, understood = kind != NULL && messages > 0;
    for (int i = 3; i < argc; i++)
        understood = understood && understand(argv[i], &trips);
    if (!understood) {
        fprintf(stderr, "usage: channel kinds | channel KIND MESSAGES [PATH] [size=N] "
                        "[what=throughput|round_trip] [cpus=A,B] [slots=N] [window=N]\n");
        return 2;
    }
    begin();
    signal(SIGPIPE, SIG_IGN);
    struct Shared *shared = shared_memory(sizeof *shared);
    struct Line lines[2] = {{-1, -1, -1, NULL}, {-1, -1, -1, NULL}};
    hold_signals(SIG_BLOCK);
    for (int i = 0; i < 1 + (trips || window > 0); i++)
        kind->make(&lines[i], kind->argument);
    hold_signals(SIG_UNBLOCK);
    if (start() == 0) {
        pin(cpus[1]);
        end_work(shared, kind, lines, messages, trips);
    }
    if (start() == 0) {
        pin(cpus[0]);
        begin_work(shared, kind, lines, messages, trips);
    }
    join(2);
    remove_objects();

    double seconds = shared->last - shared->first;
    long expected = messages * (messages + 1) / 2;
    printf("{\"messages\": %ld, \"size\": %d, \"seconds\": %.9f, \"cpu_seconds\": %.9f, "
           "\"per_second\": %.1f, \"median_seconds\": %.9f, \"sum\": %ld, \"expected\": %ld}\n",
           messages, size, seconds, shared->cpu[0] + shared->cpu[1], messages / seconds,
           shared->median, shared->sum, expected);
    if (shared->sum != expected) {
        fprintf(stderr, "messages were lost or changed\n");
        return 1;
    }
    return 0;
}
