/*
 * lab_channels.h: messages and print jobs for a program that uses lab.h.
 *
 *     static struct lab_channel *jobs;
 *     …
 *     lab_open(&lab);
 *     jobs = lab_channel(&lab, "jobs", 's', NULL);     // 's' to send, 'r' to receive
 *     return lab_run(&lab, work);
 *
 * Kinds: sysv_queue, posix_queue, fifo; to send also unix_stream (a length of four bytes stands
 * before each message), unix_seqpacket, unix_dgram, whose bound end only the lab's own processes
 * inherit. lab_place and lab_fetch move a print job of 64 bytes and write its
 * record; lab_print prints one. lab_send_message and lab_receive_message move any other message.
 */
#ifndef LAB_CHANNELS_H
#define LAB_CHANNELS_H

#include "lab.h"

#include <mqueue.h>
#include <poll.h>
#include <sys/msg.h>

enum { LAB_PUT = 32, LAB_TAKE, LAB_PASS, LAB_PRINT, LAB_PAGE };
enum { LAB_PRIORITIES = 16, LAB_CHANNELS = 16, LAB_MESSAGE = 65536 };

enum lab_channel_kind {
    LAB_SYSV_QUEUE, LAB_POSIX_QUEUE, LAB_FIFO, LAB_STREAM, LAB_SEQPACKET, LAB_DGRAM
};

struct lab_channel {
    struct lab *lab;
    enum lab_channel_kind kind;
    char name[64], what[112], all[40]; /* all: what receivers of one queue have in common */
    int receives, number, id, count;   /* number: how records name it */
    long size, first, last, wanted;
    const char *path[LAB_PRIORITIES];
    struct pollfd ends[LAB_PRIORITIES]; /* one for each priority, the most urgent first */
};

/* All that this process has open. */
static struct {
    struct lab_channel channels[LAB_CHANNELS];
    int count, paper, shared, printing;
    struct lab_lock lock; /* of a paper that printers share */
} lab_opened;

static inline void lab_restart(struct lab *lab);

/* ---- Opening --------------------------------------------------------------------------------- */

static inline int lab_open_end(struct lab *lab, struct lab_channel *channel, int level)
{
    int how = channel->receives ? O_RDWR : O_WRONLY; /* a reader that also writes sees no end */
    int fd = open(channel->path[level], how | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENXIO) /* ENXIO: no reader yet */
        lab_fail(lab, "ObjectVanished", "the FIFO of %s, %s: %s", channel->what,
                 channel->path[level], strerror(errno));
    return fd;
}

/* Open one end of a channel, once: whoever asks again gets the same. `owner` names whose it is,
   where each process has its own; NULL is this process's. */
static inline struct lab_channel *lab_channel(struct lab *lab, const char *name, char mode,
                                              const char *owner)
{
    struct lab_channel *channels = lab_opened.channels;
    static const char *kinds[] = {"sysv_queue", "posix_queue", "fifo",
                                  "unix_stream", "unix_seqpacket", "unix_dgram"};
    int used = lab_opened.count;
    char prefix[80], what[112];
    int per;
    snprintf(prefix, sizeof prefix, "CHANNEL_%.60s", name);
    per = lab_variable(prefix, "OWNERS", NULL) != NULL;
    if (per && !owner)
        owner = lab->name;
    snprintf(what, sizeof what, per ? "channel %.40s of %.40s" : "channel %.40s", name, owner);
    for (int n = 0; n < used; n++)
        if (!strcmp(channels[n].what, what) && channels[n].receives == (mode == 'r'))
            return &channels[n];
    if (used == LAB_CHANNELS)
        lab_fail(lab, "ProcessError", "lab_channels.h opens %d channels at most", LAB_CHANNELS);
    struct lab_channel *channel = &channels[used];
    const char *kind = lab_variable(prefix, "KIND", NULL), *at = per ? owner : NULL;
    if (!kind)
        lab_fail(lab, "ProcessError", "the scenario has no channel %s", name);
    int known = 0;
    while (known < 6 && strcmp(kinds[known], kind))
        known++;
    if (known == 6)
        lab_fail(lab, "ProcessError", "lab_channels.h does not know a %s", kind);
    *channel = (struct lab_channel){.lab = lab, .kind = (enum lab_channel_kind)known,
                                    .receives = mode == 'r', .id = -1, .count = 1};
    snprintf(channel->name, sizeof channel->name, "%s", name);
    strcpy(channel->what, what);
    channel->number = (int)lab_whole(lab_variable(prefix, "INDEX", NULL), 0);
    channel->size = lab_whole(lab_variable(prefix, at, "MESSAGE_SIZE"),
                              lab_whole(lab_variable(prefix, "MESSAGE_SIZE", NULL), 64));
    long priorities = lab_whole(lab_variable(prefix, at, "PRIORITIES"), 1);
    long recipient = lab_whole(lab_variable(prefix, at, "RECIPIENT"), 0);
    channel->first = recipient ? recipient : 1;
    channel->last = recipient ? recipient : priorities;
    channel->wanted = recipient ? recipient : priorities > 1 ? -priorities : 0;
    if (recipient)
        strcpy(channel->all, "the queue of several receivers");
    for (int level = 0; level < LAB_PRIORITIES; level++)
        channel->ends[level] = (struct pollfd){.fd = -1, .events = mode == 'r' ? POLLIN : POLLOUT};
    if (channel->size > LAB_MESSAGE)
        lab_fail(lab, "ProcessError", "messages of %ld bytes are too long here", channel->size);

    if (channel->kind == LAB_SYSV_QUEUE) {
        channel->id = msgget((key_t)lab_whole(lab_variable(prefix, at, "KEY"), 0), 0);
        if (channel->id < 0)
            lab_fail(lab, "ObjectVanished", "the message queue of %s was removed", what);
    } else if (channel->kind == LAB_POSIX_QUEUE) {
        const char *queue = lab_variable(prefix, at, "NAME");
        /* On Linux a queue is a descriptor, which poll(2) takes. */
        channel->ends[0].fd = mq_open(queue ? queue : "", (mode == 'r' ? O_RDONLY : O_WRONLY) | O_NONBLOCK);
        if (channel->ends[0].fd < 0)
            lab_fail(lab, "ObjectVanished", "%s: there is no POSIX message queue %s", what, queue);
    } else if (channel->kind == LAB_FIFO) {
        const char *paths = lab_variable(prefix, at, "PATHS");
        if (!paths)
            paths = lab_variable(prefix, at, "PATH");
        char *list = strdup(paths ? paths : "");
        channel->count = 0;
        for (char *path = strtok(list, "\n"); path && channel->count < LAB_PRIORITIES;
             path = strtok(NULL, "\n")) {
            channel->path[channel->count] = path;
            channel->ends[channel->count].fd = lab_open_end(lab, channel, channel->count);
            channel->count++;
        }
    } else {
        channel->path[0] = lab_variable(prefix, at, "PATH");
        if (mode == 'r')
            lab_fail(lab, "ProcessError", "%s: only the lab's own processes receive from a socket",
                     what);
    }
    lab->restart = lab_restart;
    lab_opened.count++;
    return channel;
}

/* ---- Sending --------------------------------------------------------------------------------- */

static inline void lab_nobody(struct lab *lab, struct lab_channel *channel)
{
    lab_fail(lab, "PeerLost", "nobody receives from %s any more: its last receiver closed it or "
             "died", channel->what);
}

/* Connect to the socket of a channel; a sender does so when it first sends. */
static inline void lab_dial(struct lab *lab, struct lab_channel *channel)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int type = channel->kind == LAB_STREAM ? SOCK_STREAM
               : channel->kind == LAB_SEQPACKET ? SOCK_SEQPACKET : SOCK_DGRAM;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", channel->path[0] ? channel->path[0] : "");
    lab_standing(lab, channel->what);
    while (connect(fd, (struct sockaddr *)&address, sizeof address)) {
        if (errno == ECONNREFUSED)
            lab_nobody(lab, channel);
        if (errno != EAGAIN && errno != EINTR)
            lab_fail(lab, "ObjectVanished", "%s: cannot connect to %s: %s", channel->what,
                     channel->path[0], strerror(errno));
        lab_tick(lab, channel->what);
        usleep(1000); /* a full line of a UNIX socket cannot be polled for */
    }
    lab_stood(lab);
    channel->ends[0].fd = fd;
}

/* Try once to send; 1 when it is sent, 0 when there is no room. */
static inline int lab_try_send(struct lab *lab, struct lab_channel *channel, const char *message,
                               size_t *sent, int level, int block)
{
    /* Type and text of a message of msgsnd(2), or length and text of one on a stream. */
    static struct { long type; char text[LAB_MESSAGE]; } queued;
    static char framed[LAB_MESSAGE + 4];
    size_t size = (size_t)channel->size;
    ssize_t done = 0;
    switch (channel->kind) {
    case LAB_SYSV_QUEUE:
        queued.type = channel->last - level < channel->first ? channel->first : channel->last - level;
        memcpy(queued.text, message, size);
        done = msgsnd(channel->id, &queued, size, block ? 0 : IPC_NOWAIT) ? -1 : (ssize_t)size;
        break;
    case LAB_POSIX_QUEUE:
        if (level >= channel->last)
            level = (int)channel->last - 1;
        done = mq_send(channel->ends[0].fd, message, size, (unsigned)level) ? -1 : (ssize_t)size;
        break;
    case LAB_FIFO:
        level = level >= channel->count ? 0 : channel->count - 1 - level;
        if (channel->ends[level].fd < 0)
            channel->ends[level].fd = lab_open_end(lab, channel, level);
        if (channel->ends[level].fd < 0)
            return 0;
        done = write(channel->ends[level].fd, message, size);
        break;
    case LAB_STREAM:
        for (int byte = 0; byte < 4; byte++) /* little-endian */
            framed[byte] = (char)(size >> 8 * byte);
        memcpy(framed + 4, message, size);
        done = send(channel->ends[0].fd, framed + *sent, size + 4 - *sent, MSG_NOSIGNAL);
        *sent += done > 0 ? (size_t)done : 0;
        if (done >= 0)
            return *sent == size + 4;
        break;
    default:
        done = send(channel->ends[0].fd, message, size, MSG_NOSIGNAL);
    }
    if (done >= 0)
        return 1;
    if (errno == EPIPE || errno == ECONNRESET || errno == ECONNREFUSED || errno == ENOTCONN)
        lab_nobody(lab, channel);
    if (errno == EIDRM || errno == EINVAL)
        lab_fail(lab, "ObjectVanished", "the message queue of %s was removed", channel->what);
    if (errno != EAGAIN && errno != EINTR)
        lab_fail(lab, "KernelObjectError", "%s: %s", channel->what, strerror(errno));
    return 0;
}

/* Send one message of the channel's size; 0 is a normal priority, more is more urgent. */
static inline void lab_send_message(struct lab *lab, struct lab_channel *channel,
                                    const char *message, int priority)
{
    size_t sent = 0;
    char what[128];
    signal(SIGPIPE, SIG_IGN); /* that nobody reads is an error here, and not a death */
    if (channel->kind >= LAB_STREAM && channel->ends[0].fd < 0)
        lab_dial(lab, channel);
    if (lab_try_send(lab, channel, message, &sent, priority, 0))
        return;
    snprintf(what, sizeof what, "room in %s", channel->what);
    lab_standing(lab, what);
    if (channel->kind == LAB_SYSV_QUEUE)
        lab_ticking(); /* msgsnd(2) knows no timeout */
    do {
        int tick = (int)(lab_tick(lab, what) * 1000) + 1;
        if (channel->kind == LAB_FIFO && channel->ends[0].fd < 0)
            usleep(1000); /* a FIFO without a reader gives nothing to poll */
        else if (channel->kind != LAB_SYSV_QUEUE)
            poll(channel->ends, (nfds_t)channel->count, tick);
    } while (!lab_try_send(lab, channel, message, &sent, priority, channel->kind == LAB_SYSV_QUEUE));
    if (channel->kind == LAB_SYSV_QUEUE)
        lab_still();
    lab_stood(lab);
}

/* ---- Receiving ------------------------------------------------------------------------------- */

/* Look once for a message, for `tick` milliseconds at most; its size, or 0. */
static inline size_t lab_look(struct lab *lab, struct lab_channel *channel, char *message, int tick)
{
    static struct { long type; char text[LAB_MESSAGE]; } queued;
    size_t size = (size_t)channel->size;
    ssize_t got = -1;
    errno = EAGAIN;
    switch (channel->kind) {
    case LAB_SYSV_QUEUE:
        if (tick)
            lab_ticking();
        got = msgrcv(channel->id, &queued, size, channel->wanted, tick ? 0 : IPC_NOWAIT);
        if (tick) {
            int error = errno;
            lab_still();
            errno = error;
        }
        if (got > 0)
            memcpy(message, queued.text, (size_t)got);
        break;
    case LAB_POSIX_QUEUE:
        poll(channel->ends, 1, tick);
        got = mq_receive(channel->ends[0].fd, message, size, NULL);
        break;
    case LAB_FIFO:
        poll(channel->ends, (nfds_t)channel->count, tick);
        for (int level = 0; got < 0 && errno == EAGAIN && level < channel->count; level++)
            got = read(channel->ends[level].fd, message, size);
        if (got > 0 && (size_t)got != size)
            lab_fail(lab, "KernelObjectError", "%s: a record of %zd bytes, not %zu", channel->what,
                     got, size);
        break;
    default: /* sockets are received from by the lab's own processes */
        break;
    }
    if (got < 0 && (errno == EIDRM || errno == EINVAL))
        lab_fail(lab, "ObjectVanished", "the message queue of %s was removed", channel->what);
    if (got < 0 && errno != EAGAIN && errno != EINTR && errno != ENOMSG)
        lab_fail(lab, "KernelObjectError", "%s: %s", channel->what, strerror(errno));
    return got > 0 ? (size_t)got : 0;
}

/* The next message; its size, or 0 when this process was told to finish and the channel is empty:
   then everybody who could send has ended. */
static inline size_t lab_receive_message(struct lab *lab, struct lab_channel *channel, char *message)
{
    char what[128];
    size_t size = lab_look(lab, channel, message, 0);
    if (size)
        return size;
    snprintf(what, sizeof what, "a message in %s", channel->what);
    lab_standing(lab, what);
    for (;;) {
        int tick = (int)(lab_tick(lab, what) * 1000) + 1, finishing = lab->finishing;
        size = lab_look(lab, channel, message, finishing ? 0 : tick);
        if (size || finishing)
            break;
    }
    lab_stood(lab);
    return size;
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static inline int lab_channel_ready(void *of)
{
    struct lab_channel *channel = of;
    struct msqid_ds queue;
    struct { long type; } empty;
    if (channel->receives && channel->lab->finishing)
        return 1;
    if (channel->kind == LAB_SYSV_QUEUE && channel->wanted > 0 && channel->receives)
        /* With no room to receive into, a message of this type is too big, and stays. */
        return msgrcv(channel->id, &empty, 0, channel->wanted, IPC_NOWAIT) < 0 && errno == E2BIG;
    if (channel->kind == LAB_SYSV_QUEUE) {
        msgctl(channel->id, IPC_STAT, &queue);
        return channel->receives ? queue.msg_qnum > 0
                                 : queue.msg_qnum < queue.msg_qbytes / (unsigned long)channel->size;
    }
    if (!channel->receives && channel->ends[0].fd < 0)
        return 1; /* the first send opens it, or waits */
    int found = poll(channel->ends, (nfds_t)channel->count, 0);
    return channel->receives ? found > 0 : found == channel->count;
}

/* Stand at a step of a channel; `begins`: a schedule can stop this process before it. */
static inline int lab_channel_step(struct lab *lab, struct lab_channel *channel, int begins)
{
    struct lab_touch touch = {.changes = {channel->what, *channel->all ? channel->all : NULL},
                              .ready = lab_channel_ready, .of = channel};
    return lab_stand(lab, channel->receives ? "receive" : "send", &touch, begins);
}

/* ---- Print jobs ------------------------------------------------------------------------------ */

/* 64 bytes: the 26 letters of the lecture's slot, then what names and checks the job. */
struct lab_job {
    char letters[26];
    uint8_t priority, pages;
    uint32_t checksum;
    uint64_t item;
    char rest[24];
};

/* CRC-32 over the letters and the job's name: a mixture of two jobs fails it. */
static inline uint32_t lab_checksum(const struct lab_job *job)
{
    unsigned char bytes[26 + 8];
    uint32_t crc = 0xffffffff;
    memcpy(bytes, job->letters, 26);
    memcpy(bytes + 26, &job->item, 8);
    for (size_t n = 0; n < sizeof bytes; n++) {
        crc ^= bytes[n];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

/* The lecture's a to z, turned, so that two jobs in a row differ in every letter. */
static inline void lab_alphabet(struct lab *lab, long sequence, char letters[26])
{
    for (int n = 0; n < 26; n++)
        letters[n] = (char)((lab->index % 2 ? 'A' : 'a') + (sequence * 5 + lab->index * 3 + n) % 26);
}

/* Place a job and record it as `code`: LAB_PUT for one of one's own, LAB_PASS for one that is
   handed on. A new job is given its name and checksum here. -1 when a schedule ends the work. */
__attribute__((warn_unused_result))
static inline int lab_place(struct lab *lab, struct lab_channel *channel, int code, struct lab_job *job)
{
    if (lab_channel_step(lab, channel, code == LAB_PUT))
        return -1;
    if (code == LAB_PUT) {
        job->item = (uint64_t)lab_item(lab);
        job->checksum = lab_checksum(job);
    }
    double asked = lab_now();
    lab_send_message(lab, channel, (const char *)job, job->priority);
    lab_note(lab, code, channel->number, (double)job->item, asked, asked, job->checksum,
             lab_checksum(job), job->priority, 0, 0);
    return 0;
}

/* Take the next job and record it; 0 when there will be no more. */
static inline int lab_fetch(struct lab *lab, struct lab_channel *channel, struct lab_job *job)
{
    static char message[LAB_MESSAGE];
    lab_channel_step(lab, channel, 0);
    double asked = lab_now();
    size_t size = lab_receive_message(lab, channel, message);
    if (!size)
        return 0;
    memset(job, 0, sizeof *job); /* less than a job is filled up with zeros */
    memcpy(job, message, size < sizeof *job ? size : sizeof *job);
    lab_note(lab, LAB_TAKE, channel->number, (double)job->item, asked, asked, job->checksum,
             lab_checksum(job), job->priority, 0, 0);
    return 1;
}

/* Open this process's own paper, or the one that all share, with its lock. */
static inline void lab_open_paper(struct lab *lab)
{
    const char *path = getenv("LAB_PAPER_PATH"), *kind = getenv("LAB_PAPER_LOCK_KIND");
    const char *directory = getenv("LAB_RUN");
    char own[PATH_MAX];
    if (lab_opened.printing)
        return;
    lab_opened.printing = 1;
    lab_opened.shared = path != NULL;
    snprintf(own, sizeof own, "%s/paper-%s.txt", directory ? directory : ".", lab->name);
    lab_opened.paper = open(path ? path : own,
                            O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lab_opened.paper < 0)
        lab_fail(lab, "MachineError", "cannot open the paper: %s", strerror(errno));
    strcpy(lab_opened.lock.what, "the paper's lock");
    lab_open_lock(lab, &lab_opened.lock, lab_opened.shared && kind ? kind : "none", "PAPER_LOCK", NULL);
    lab->restart = lab_restart;
}

/* Print a job page by page; others stay out meanwhile where the paper has a lock. */
static inline void lab_print(struct lab *lab, const struct lab_job *job)
{
    struct lab_lock *lock = &lab_opened.lock;
    struct lab_touch page = {.changes = {"the paper"}};
    struct lab_touch take = {.changes = {lock->what}, .takes = lock->what, .ready = lab_is_free, .of = lock};
    struct lab_touch give = {.changes = {lock->what}, .gives = lock->what};
    lab_open_paper(lab);
    int locked = lock->kind != LAB_NONE, paper = lab_opened.paper;
    long sheet = lab_opened.shared ? 0 : lab->index % 255 + 1;
    lab_stand(lab, "acquire", locked ? &take : &lab_nothing, 0);
    double asked = lab_now();
    lab_take(lab, lock);
    double entered = lab_now();
    for (int number = 1; number <= job->pages; number++) {
        char line[128];
        lab_stand(lab, "print", lab_opened.shared ? &page : &lab_nothing, 0);
        int size = snprintf(line, sizeof line, "[job %012llx page %d/%d] %.26s\n",
                            (unsigned long long)job->item, number, job->pages, job->letters);
        double at = lab_now();
        ssize_t written = write(paper, line, (size_t)size);
        if (written < 0)
            lab_fail(lab, "MachineError", "cannot print: %s", strerror(errno));
        off_t offset = lseek(paper, 0, SEEK_CUR);
        lab_note(lab, LAB_PAGE, sheet, (double)job->item, at, at, number, job->pages,
                 (double)(offset - written), (double)written, 0);
    }
    lab_note(lab, LAB_PRINT, sheet, (double)job->item, asked, entered, job->checksum,
             lab_checksum(job), job->priority, 0, 0);
    lab_stand(lab, "release", locked ? &give : &lab_nothing, 0);
    lab_put_back(lab, lock);
}

/* Be as at the beginning, for another walk: connections are dropped, senders connect anew. */
static inline void lab_restart(struct lab *lab)
{
    for (int n = 0; n < lab_opened.count; n++) {
        struct lab_channel *channel = &lab_opened.channels[n];
        if (!channel->receives && channel->kind >= LAB_STREAM && channel->ends[0].fd >= 0) {
            close(channel->ends[0].fd);
            channel->ends[0].fd = -1;
        }
    }
    lab_abandon(&lab_opened.lock);
    if (lab_opened.printing && !lab_opened.shared && ftruncate(lab_opened.paper, 0))
        lab_fail(lab, "MachineError", "cannot clear the paper: %s", strerror(errno));
}

#endif
