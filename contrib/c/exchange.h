/* The lecture's exchange.h: the table, and the two operations on it. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAB_CURRENCY /* for lab.h: the struct is declared */
enum currency { DOLLAR, EURO, STERLIN, POUND };
struct Currency { double sell, buy; double stock; };

#define EXCHKEY 0x45584348 /* "EXCH"; the lecture gives it no value */
#define TABLE (4 * sizeof(struct Currency))

static const char *const names[4] = {"DOLLAR", "EURO", "STERLIN", "POUND"};
static const struct Currency init[4] = {
    {3.73, 3.72, 10000}, {3.932, 3.944, 10000}, {4.551, 4.552, 10000}, {3.24, 3.25, 5000}};

static inline int buy(struct Currency *c, double amount, double *balance)
{
    if (*balance < amount * c->buy)
        return -1;
    *balance -= amount * c->buy;
    c->stock += amount;
    return 0;
}

static inline int sell(struct Currency *c, double amount, double *balance)
{
    if (c->stock < amount)
        return -1;
    *balance += amount * c->sell;
    c->stock -= amount;
    return 0; /* missing in the lecture: then a sale that went well answers -1 (gcc -O2) */
}

/* The first argument, or what the lab says, or what the lecture says. */
static inline const char *told(int argc, char **argv, const char *variable, const char *lecture)
{
    const char *given = getenv(variable);
    return argc > 1 ? argv[1] : given && *given ? given : lecture;
}

/* Print an amount with as few digits as it takes to read the same double back. */
static inline void print_balance(double balance)
{
    char text[40];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, balance);
        if (strtod(text, NULL) == balance)
            break;
    }
    printf("balance %s\n", text);
}

/* The lecture's trade loop: lines such as `buy EURO 10` until the input ends, the balance after
   each. A line that is no order is named on standard error, and makes the exit status 1. */
static inline int trade_loop(struct Currency *table)
{
    char line[80], what[16], currency[16];
    double amount, balance = 1000; /* initial balance */
    int bad = 0, row;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        row = 4;
        /* The lecture parses nothing: it would take nan and negative amounts, which spoil the stock. */
        if (sscanf(line, "%15s %15s %lf", what, currency, &amount) == 3 && amount > 0 && amount < 1e9)
            for (row = 0; row < 4 && strcmp(names[row], currency); row++)
                continue;
        if (row < 4 && !strcmp(what, "buy")) {
            if (buy(&table[row], amount, &balance))
                printf("refused\n");
        } else if (row < 4 && !strcmp(what, "sell")) {
            if (sell(&table[row], amount, &balance))
                printf("refused\n");
        } else {
            fprintf(stderr, "'%s' is not an order: write buy EURO 10, or sell POUND 100\n", line);
            bad = 1;
        }
        print_balance(balance);
    }
    return bad || ferror(stdin);
}

#endif
