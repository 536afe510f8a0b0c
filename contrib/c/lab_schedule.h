/*
 * lab_schedule.h, a part of lab.h: the step, at which this process may be stopped, delayed or struck.
 */
#ifndef LAB_SCHEDULE_H
#define LAB_SCHEDULE_H

/* Read one message of the launcher's; returns its size. */
static inline size_t lab_hear(struct lab *lab, char *message, size_t size)
{
    ssize_t got;
    while ((got = recv(lab->report, message, size - 1, 0)) < 0 && errno == EINTR)
        continue;
    message[got < 0 ? 0 : got] = 0; /* nothing: the launcher is gone */
    return got < 0 ? 0 : (size_t)got;
}

static inline double lab_draw(uint64_t *state)
{
    /* splitmix64: a number in [0, 1) from the upper 53 bits */
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

/* Count a step for every fault that is about it; where one is due, stand until the launcher has
   done what is to be done. */
static inline void lab_fault(struct lab *lab, const char *step)
{
    for (int n = 0; lab->armed && n < lab->fault_count; n++) {
        struct lab_fault *fault = &lab->faults[n];
        char message[256];
        /* Whether it must wait is luck: it would make the numbers of all other steps luck, too. */
        if (strcmp(*fault->step ? fault->step : step, step) || (!*fault->step && !strcmp(step, "wait")))
            continue;
        fault->passed++;
        int due = fault->at      ? fault->passed == fault->at && !lab->life
                  : fault->every ? fault->passed % fault->every == 0
                                 : lab_draw(&lab->chance) < fault->probability;
        if (!due)
            continue;
        int size = snprintf(message, sizeof message,
                            "{\"type\": \"fault\", \"number\": %ld, \"step\": \"%s\", \"at\": %lld}",
                            fault->number, step, (long long)(lab_now() * 1e9));
        lab_send(lab, message, (size_t)size);
        lab_hear(lab, message, sizeof message);
        char *error = strstr(message, "\"error\": \""); /* a device that fails at this step */
        if (error)
            lab_fail(lab, "OSError", "%.*s at %s", (int)strcspn(error + 10, "\""), error + 10, step);
    }
}

/* A value of a flat JSON object: what stands behind its key. */
static inline const char *lab_json(const char *object, const char *key)
{
    char quoted[40];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(object, quoted);
    return found ? found + strlen(quoted) + strspn(found + strlen(quoted), " \"") : "0";
}

static inline void lab_read_delays(struct lab *lab, const char *map)
{
    char object[1024];
    /* {"write": {"sleep_us": 100}, …}: every step stands in quotes before its brace. */
    for (const char *at = map ? strchr(map, '"') : NULL; at && lab->delay_count < LAB_FAULTS;
         at = strchr(strchr(at, '}'), '"')) {
        struct lab_delay *delay = &lab->delays[lab->delay_count++];
        snprintf(delay->step, sizeof delay->step, "%.*s", (int)strcspn(at + 1, "\""), at + 1);
        if (!(at = strchr(at, '{')) || !strchr(at, '}'))
            return;
        snprintf(object, sizeof object, "%.*s", (int)strcspn(at, "}"), at);
        delay->sleep = atof(lab_json(object, "sleep_us")) / 1e6;
        delay->jitter = atof(lab_json(object, "jitter_us")) / 1e6;
        delay->spin = atof(lab_json(object, "spin_us")) / 1e6;
        delay->yields = atol(lab_json(object, "yields"));
    }
}

static inline void lab_delay(struct lab *lab, const char *step)
{
    for (int n = 0; n < lab->delay_count; n++) {
        struct lab_delay *delay = &lab->delays[n];
        if (strcmp(delay->step, step))
            continue;
        struct timespec pause = lab_after(delay->sleep + delay->jitter * lab_draw(&lab->chance));
        while (delay->sleep + delay->jitter > 0 && nanosleep(&pause, &pause) && errno == EINTR)
            continue;
        for (long yield = 0; yield < delay->yields; yield++)
            sched_yield();
        for (double until = lab_now() + delay->spin; delay->spin > 0 && lab_now() < until;)
            continue;
    }
}

static inline void lab_read_faults(struct lab *lab, const char *list)
{
    char object[1024];
    for (const char *at = list; at && (at = strchr(at, '{')) && lab->fault_count < LAB_FAULTS; at++) {
        snprintf(object, sizeof object, "%.*s", (int)strcspn(at, "}"), at);
        struct lab_fault *fault = &lab->faults[lab->fault_count++];
        fault->number = atol(lab_json(object, "number"));
        fault->at = atol(lab_json(object, "at"));
        fault->every = atol(lab_json(object, "every"));
        fault->probability = atof(lab_json(object, "probability"));
        const char *step = lab_json(object, "step");
        snprintf(fault->step, sizeof fault->step, "%.*s", (int)strcspn(step, "\","), step);
    }
}

/* Say something under a schedule; the steps that were passed without asking go before it. */
static inline void lab_say(struct lab *lab, const char *words, size_t size)
{
    char message[4096];
    size_t passed = lab->passed[1] ? 2u + lab->passed[1] : 0;
    memcpy(message, lab->passed, passed);
    memcpy(message + passed, words, size);
    lab->passed[0] = '!';
    lab->passed[1] = 0;
    lab_send(lab, message, passed + size);
}

static inline int lab_step_names(char *text, const char *const names[2])
{
    return names[1]   ? sprintf(text, "[\"%s\", \"%s\"]", names[0], names[1])
           : names[0] ? sprintf(text, "[\"%s\"]", names[0])
                      : sprintf(text, "[]");
}

/* The number of a step under a schedule: whoever stands at one for the first time tells what it
   is. */
static inline int lab_step_number(struct lab *lab, const char *step, const struct lab_touch *touch,
                                  int begins)
{
    char text[1024];
    int at = sprintf(text, "@[\"%.40s\", ", step);
    at += lab_step_names(text + at, touch->reads);
    at += sprintf(text + at, ", ");
    at += lab_step_names(text + at, touch->changes);
    at += sprintf(text + at, ", \"%s\", \"%s\", %s, %s]", touch->takes ? touch->takes : "",
                  touch->gives ? touch->gives : "", touch->ready ? "true" : "false",
                  begins ? "true" : "false");
    for (int n = 0; n < lab->count; n++)
        if (!strcmp(lab->known[n], text))
            return n;
    if (lab->count == LAB_STEPS || !(lab->known[lab->count] = strdup(text)))
        lab_fail(lab, "ProcessError", "too many different steps");
    lab_say(lab, text, (size_t)at);
    return lab->count++;
}

/* Stand at a step until this process may pass. `begins` says that it begins an operation, before
   which a schedule can stop it: then the answer is -1, and 0 otherwise. */
static inline int lab_stand(struct lab *lab, const char *step, const struct lab_touch *touch,
                            int begins)
{
    if (lab->turns) {
        int number = lab_step_number(lab, step, touch, begins);
        int ready = !touch->ready || touch->ready(touch->of);
        if (ready && number < LAB_FREE && lab->free[number] && lab->passed[1] < LAB_FREE) {
            lab->passed[2 + lab->passed[1]++] = (unsigned char)number;
        } else {
            char words[16] = {'#', (char)(number & 255), (char)(number >> 8), ready ? '+' : '-'};
            for (lab_say(lab, words, 4); lab_hear(lab, words, sizeof words), words[0] != 'g';) {
                if (words[0] == 'l' || words[0] == 'f') {
                    lab->finishing |= words[0] == 'f';
                    lab_send(lab, !touch->ready || touch->ready(touch->of) ? "+" : "-", 1);
                } else if (words[0] == 's' && begins) {
                    lab->stopped = 1;
                    return -1;
                } else if (words[0] == 's') {
                    lab_fail(lab, "ProcessError", "stopped at %s, in the middle of its work", step);
                } else {
                    longjmp(lab->leaving, 1);
                }
            }
        }
    } else { /* under a schedule nothing runs beside this process: a delay would only cost time */
        lab_delay(lab, step);
    }
    lab_fault(lab, step);
    return 0;
}

#endif
