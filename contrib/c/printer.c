/* Fetches jobs from a channel and prints them, recorded, as the role `printer` does. */
#include "lab_channels.h"

static struct lab_channel *source;

static void serve(struct lab *lab)
{
    struct lab_job job;
    long printed = 0;
    for (; lab_fetch(lab, source, &job); printed++)
        lab_print(lab, &job);
    lab_count(lab, "printed", printed);
}

int main(void)
{
    struct lab lab;
    lab_open(&lab);
    source = lab_channel(&lab, lab_option("source", "jobs"), 'r', NULL);
    lab_open_paper(&lab);
    return lab_run(&lab, serve);
}
