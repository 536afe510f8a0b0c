/*
 * A trader that takes part recorded: it buys and sells at random, as the role `trader` does.
 * It can be scheduled, explored, explained and killed at a step like one of the lab's own.
 */
#include "lab.h"

/* The rows to trade in: those that the option names, one a line; all when it names none. */
static long rows_of(struct lab *lab, long rows[LAB_ROWS])
{
    long count = 0;
    char list[1024];
    snprintf(list, sizeof list, "%s", lab_option("currencies", ""));
    for (char *name = strtok(list, "\n"); name; name = strtok(NULL, "\n"))
        for (long row = 0; row < lab->rows; row++)
            if (strcspn(lab->cells[row * 3], ".") == strlen(name)
                && !strncmp(lab->cells[row * 3], name, strlen(name)))
                rows[count++] = row;
    for (long row = 0; !count && row < lab->rows; row++)
        rows[row] = row;
    return count ? count : lab->rows;
}

static void trade(struct lab *lab)
{
    long operations = (long)lab_number("operations", 400), rows[LAB_ROWS], done = 0;
    long count = rows_of(lab, rows);
    double sell_share = lab_number("sell_share", 0.5), largest = lab_number("largest", 10);
    double balance = lab_number("balance", 1000);

    for (long tried = 0; (tried < operations || !operations) && lab_more(lab); tried++) {
        int selling = lab_random(lab) < sell_share;
        struct Currency *c = &lab_table(lab)[rows[(long)(lab_random(lab) * (double)count)]];
        double amount = lab_amount(lab, largest);
        done += (selling ? lab_sell : lab_buy)(lab, c, amount, &balance) == 0;
        if (tried % 256 == 255)
            lab_progress(lab, tried + 1);
    }
    lab_report(lab, "balance", balance);
    lab_count(lab, "done", done);
}

int main(void)
{
    struct lab lab;
    lab_open(&lab);
    return lab_run(&lab, trade);
}
