/* Places print jobs in a channel, recorded, as the role `producer` does. */
#include "lab_channels.h"

static struct lab_channel *to;

static void produce(struct lab *lab)
{
    long jobs = (long)lab_number("jobs", 50), every = (long)lab_number("urgent_every", 0), placed = 0;
    while (lab_more(lab) && (placed < jobs || !jobs)) {
        struct lab_job job = {.pages = (uint8_t)lab_number("pages", 1)};
        job.priority = every > 0 && (placed + 1) % every == 0;
        lab_alphabet(lab, placed + 1, job.letters);
        if (lab_place(lab, to, LAB_PUT, &job))
            break;
        placed++;
    }
    lab_count(lab, "placed", placed);
}

int main(void)
{
    struct lab lab;
    lab_open(&lab);
    to = lab_channel(&lab, lab_option("to", "jobs"), 's', NULL);
    return lab_run(&lab, produce);
}
