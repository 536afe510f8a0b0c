/*
 * A trader with a fault that people make, recorded: it takes the lock around the write only. What it
 * read before may be old by then: the update of whoever came between is lost, lock or no lock.
 */
#include "lab.h"

static int broken_buy(struct lab *lab, struct Currency *c, double amount, double *balance)
{
    double stock;
    lab_begin(lab, LAB_BUY, c, amount);
    if (lab_step(lab, "acquire")) /* the lock should be taken here */
        return -1;
    if (*balance < amount * lab_check(lab, &c->buy)) {
        lab_refuse(lab);
        if (lab_step(lab, "release"))
            return -1;
        return lab_end(lab);
    }
    *balance -= amount * lab_rate(lab, &c->buy);
    stock = lab_read(lab, &c->stock);
    if (lab_acquire(lab)) /* and it is taken here */
        return -1;
    lab_write(lab, &c->stock, stock + amount);
    lab_release(lab);
    return lab_end(lab);
}

static void work(struct lab *lab)
{
    long operations = (long)lab_number("operations", 400), done = 0;
    double balance = lab_number("balance", 1000);
    for (long n = 0; n < operations && lab_more(lab); n++)
        done += broken_buy(lab, &lab_table(lab)[DOLLAR], lab_amount(lab, 5), &balance) == 0;
    lab_report(lab, "balance", balance);
    lab_count(lab, "done", done);
}

int main(void)
{
    struct lab lab;
    lab_open(&lab);
    return lab_run(&lab, work);
}
