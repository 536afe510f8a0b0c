/*
 * A trader that turns one currency into another, recorded, as the role `converter` does: a sale and a
 * purchase are one operation. On a table with recovery it says both changes before it makes the first,
 * so whoever comes after it, had it died between them, undoes the one or finishes the other.
 */
#include "lab.h"

static struct Currency *row_of(struct lab *lab, const char *name)
{
    for (long row = 0; row < lab->rows; row++)
        if (!strncmp(lab->cells[row * 3], name, strlen(name)) && lab->cells[row * 3][strlen(name)] == '.')
            return &lab_table(lab)[row];
    lab_fail(lab, "ProcessError", "there is no row %s", name);
}

/* What proceeds buy at a price, in whole grains of 2^-30: one at least. */
static double worth(double proceeds, double price)
{
    long grains = (long)(proceeds / price * 1073741824.0);
    return (double)(grains > 1 ? grains : 1) / 1073741824.0;
}

/* Returns how many trades of the two were done. */
static int convert(struct lab *lab, struct Currency *from, struct Currency *to, double amount,
                   double *balance)
{
    lab_begin(lab, LAB_SELL, from, amount);
    if (lab_acquire(lab))
        return 0;
    double price = lab_check(lab, &to->buy);
    if (lab_check(lab, &from->stock) < amount) {
        lab_refuse(lab);
        lab_release(lab);
        lab_end(lab);
        return 0;
    }
    double proceeds = amount * lab_rate(lab, &from->sell), bought = worth(proceeds, price);
    int affordable = *balance + proceeds >= bought * price;
    lab_second(lab, LAB_BUY, to, bought);

    double there = lab_read(lab, &to->stock), here = lab_read(lab, &from->stock);
    lab_intend(lab, &from->stock, here - amount);
    if (affordable)
        lab_intend(lab, &to->stock, there + bought);
    lab_write(lab, &from->stock, here - amount);
    *balance += proceeds;
    lab_end(lab); /* of the sale; the purchase goes on under the same lock */

    if (*balance < bought * lab_check(lab, &to->buy)) {
        lab_refuse(lab);
    } else {
        *balance -= bought * lab_rate(lab, &to->buy);
        there = lab_read(lab, &to->stock);
        lab_write(lab, &to->stock, there + bought);
    }
    lab_release(lab);
    return 1 + (lab_end(lab) == 0);
}

static void work(struct lab *lab)
{
    struct Currency *from = row_of(lab, lab_option("sells", "DOLLAR"));
    struct Currency *to = row_of(lab, lab_option("buys", "EURO"));
    long operations = (long)lab_number("operations", 100), done = 0;
    double largest = lab_number("largest", 10), balance = lab_number("balance", 1000);
    for (long tried = 0; (tried < operations || !operations) && lab_more(lab); tried++)
        done += convert(lab, from, to, lab_amount(lab, largest), &balance);
    lab_report(lab, "balance", balance);
    lab_count(lab, "done", done);
}

int main(void)
{
    struct lab lab;
    lab_open(&lab);
    return lab_run(&lab, work);
}
