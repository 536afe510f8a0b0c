/* A trader without a lock, recorded: what it does to the others' updates can be seen. */
#include "lab.h"

/* The lecture's two operations, whose steps are marked, with nothing around them. */
static int trade(struct lab *lab, int code, struct Currency *c, double amount, double *balance)
{
    double stock;
    lab_begin(lab, code, c, amount);
    if (lab_step(lab, "acquire")) /* here a lock would be taken */
        return -1;
    if (code == LAB_BUY ? *balance < amount * lab_check(lab, &c->buy) : lab_check(lab, &c->stock) < amount) {
        lab_refuse(lab);
    } else {
        *balance += code == LAB_BUY ? -(amount * lab_rate(lab, &c->buy)) : amount * lab_rate(lab, &c->sell);
        stock = lab_read(lab, &c->stock);
        lab_write(lab, &c->stock, code == LAB_BUY ? stock + amount : stock - amount);
    }
    if (lab_step(lab, "release"))
        return -1;
    return lab_end(lab);
}

static void work(struct lab *lab)
{
    long operations = (long)lab_number("operations", 400), done = 0;
    double balance = lab_number("balance", 1000);
    for (long n = 0; n < operations && lab_more(lab); n++) {
        struct Currency *c = &lab_table(lab)[n % lab->rows];
        done += trade(lab, n % 2 ? LAB_SELL : LAB_BUY, c, lab_amount(lab, 5), &balance) == 0;
    }
    lab_report(lab, "balance", balance);
    lab_count(lab, "done", done);
}

int main(void)
{
    struct lab lab;
    lab_open(&lab);
    return lab_run(&lab, work);
}
