/*
 * lab_run.h, a part of lab.h: from the report socket through the gate to the end.
 */
#ifndef LAB_RUN_H
#define LAB_RUN_H

static inline double lab_random(struct lab *lab)
{
    return lab_draw(&lab->random);
}

static inline double lab_amount(struct lab *lab, double largest)
{
    double whole = 1 + (double)(long)(lab_random(lab) * largest);
    return whole + (double)((unsigned long)(lab_random(lab) * 1073741824.0) | 1) / 1073741824.0;
}

/* ---- The run: report socket, history, gate, and as often as a walk wants it ------------------ */

static inline void lab_open(struct lab *lab)
{
    const char *report = getenv("LAB_REPORT"), *wait = getenv("LAB_WAIT");
    struct sigaction told = {.sa_handler = lab_on_signal}, ignored = {.sa_handler = SIG_IGN};
    memset(lab, 0, sizeof *lab);
    lab->report = lab->file = -1;
    lab->name = getenv("LAB_NAME") ? getenv("LAB_NAME") : "program";
    lab->role = getenv("LAB_ROLE") ? getenv("LAB_ROLE") : "trader";
    lab->index = lab_whole(getenv("LAB_INDEX"), 0);
    lab->life = lab_whole(getenv("LAB_LIFE"), 0);
    lab->seed = getenv("LAB_SEED") ? strtoull(getenv("LAB_SEED"), NULL, 10) : 1;
    lab->random = lab->seed;
    lab->chance = lab->seed ^ 2;
    lab->seconds = wait ? strtod(wait, NULL) : 10;
    lab->turns = lab_whole(getenv("LAB_TURNS"), 0) != 0;
    lab->passed[0] = '!';
    /* No SA_RESTART: a wait looks at its deadline, and at whether to finish, after every signal. */
    sigaction(SIGTERM, &told, NULL);
    sigaction(SIGALRM, &told, NULL);
    sigaction(SIGUSR1, &told, NULL); /* a storm of signals interrupts waits, and no more */
    sigaction(SIGUSR2, &told, NULL);
    if (report) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        sigaction(SIGINT, &ignored, NULL); /* the keyboard's signals are the launcher's */
        snprintf(address.sun_path, sizeof address.sun_path, "%s", report);
        int peer = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        if (peer < 0 || connect(peer, (struct sockaddr *)&address, sizeof address))
            lab_fail(lab, "ProcessError", "nobody listens at %s: %s", report, strerror(errno));
        lab->report = peer;
        lab->record_path = getenv("LAB_RECORD");
        if (!lab->record_path)
            lab_fail(lab, "ProcessError", "LAB_RECORD is not set");
        lab_history(lab);
        lab_read_delays(lab, getenv("LAB_DELAYS"));
        lab_read_faults(lab, getenv("LAB_FAULTS"));
    }
    if (getenv("LAB_TABLE_KIND") || !report) {
        lab_open_table(lab);
        lab_open_locks(lab);
        lab_open_intents(lab);
    }
}

/* Stand at the gate until it opens, for all processes at once. */
static inline void lab_gate(struct lab *lab)
{
    struct lab_lock gate = {.kind = LAB_SYSV, .what = "the start gate"};
    double patience = lab->seconds;
    if (!getenv("LAB_GATE"))
        return;
    gate.id = semget((key_t)lab_whole(getenv("LAB_GATE"), 0), 0, 0);
    if (gate.id < 0)
        lab_fail(lab, "ObjectVanished", "there is no gate: %s", strerror(errno));
    if (getenv("LAB_START")) /* as long as the others may take to get ready */
        lab->seconds = strtod(getenv("LAB_START"), NULL);
    lab_standing(lab, gate.what);
    while (lab_semop(&gate, 0, 0, lab_tick(lab, gate.what)))
        if (errno != EAGAIN && errno != EINTR)
            lab_fail(lab, "ObjectVanished", "the start gate: %s", strerror(errno));
    lab_stood(lab);
    lab->seconds = patience;
}

/* Be as at the beginning: the launcher has put back everything else. */
static inline void lab_again(struct lab *lab)
{
    if (lab->header)
        memset(lab->header + LAB_HEADER, 0, (size_t)lab->next * LAB_RECORD);
    lab->room += lab->next;
    lab->next = lab->sequence = 0;
    lab->begun = lab->finishing = lab->stopped = 0;
    lab->random = lab->seed;
    lab->summary[0] = 0;
    if (lab->restart)
        lab->restart(lab);
}

/* Say what came of it; under a schedule wait for whether it is to be done again. */
static inline int lab_over(struct lab *lab, int left)
{
    char message[1200];
    int size;
    for (long n = 0; n < lab->locks; n++)
        if (lab->turns)
            lab_abandon(&lab->lock[n]);
    if (!left && lab->recovered)
        lab_count(lab, "recovered", lab->recovered);
    if (!left && lab_signals && !lab->turns)
        lab_count(lab, "signals", lab_signals);
    size = left ? snprintf(message, sizeof message, "{\"type\": \"left\"}")
                : snprintf(message, sizeof message, "{\"type\": \"summary\", \"summary\": {%s}}",
                           lab->summary);
    lab_say(lab, message, (size_t)size);
    if (lab->report < 0)
        printf("{%s}\n", lab->summary);
    if (!lab->turns)
        return 0;
    char word[2 + LAB_FREE];
    size_t count = lab_hear(lab, word, sizeof word);
    memset(lab->free, 0, sizeof lab->free);
    for (size_t n = 1; n < count; n++)
        lab->free[(unsigned char)word[n]] = 1;
    return word[0] == 'a';
}

static inline int lab_run(struct lab *lab, void (*work)(struct lab *lab))
{
    int more;
    const char *ready = "{\"type\": \"ready\"}";
    lab_send(lab, ready, strlen(ready));
    lab_gate(lab);
    lab->armed = 1;
    do {
        /* A schedule may send this process away from any step: then it comes back here. */
        if (setjmp(lab->leaving) == 0) {
            work(lab);
            if (lab->begun)
                lab_fail(lab, "ProcessError", "its last operation has no lab_end");
            for (long n = 0; n < lab->locks; n++)
                if (lab->lock[n].held)
                    lab_fail(lab, "ProcessError", "its work is over, and it still holds %s",
                             lab->lock[n].what);
            more = lab_over(lab, 0);
        } else {
            more = lab_over(lab, 1);
        }
        if (more)
            lab_again(lab);
    } while (more);
    return 0;
}

#endif
