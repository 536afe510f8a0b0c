"""The exchange's table: four struct Currency in memory that programs in any language share."""

from __future__ import annotations

import math
import mmap
import os
import struct
from collections.abc import Callable

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, ending, run_program
from common.claims.lab import Lab
from common.claims.mechanisms.shared_memory import attached, new_segment
from common.kernel.libc import memory
from common.kernel.libc import sysv_calls as sysv
from common.system import TableLayout

# The lecture's numbers, as its code has them, and as its picture has the first row.
NAMES = ("DOLLAR", "EURO", "STERLIN", "POUND")
CODE = ((3.73, 3.72, 10000), (3.932, 3.944, 10000), (4.551, 4.552, 10000), (3.24, 3.25, 5000))
PICTURE = (3.72, 3.71, 10000)
BALANCE = 1000.0
SELL, BUY, STOCK, WIDTH = 0, 1, 2, 3

# buy and sell as the lecture has them, the return at the end of sell missing; "KEY buy ROW AMOUNT"
# trades on the segment, "KEY layout" says what a compiler makes of the struct, "KEY mark" numbers
# the stocks by their names.
TRADER = """
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>
enum currency {DOLLAR, EURO, STERLIN, POUND};
struct Currency {double sell, buy; double stock;};
int buy(struct Currency *c, double amount, double *balance) {
    if (*balance < amount * c->buy) return -1;
    *balance -= amount * c->buy;
    c->stock += amount;
    return 0;
}
int sell(struct Currency *c, double amount, double *balance) {
    if (c->stock < amount) return -1;
    *balance += amount * c->sell;
    c->stock -= amount;
}
int main(int argc, char **argv) {
    double balance = 1000;
    struct Currency *all = shmat(shmget(atoi(argv[1]), 4 * sizeof *all, 0), NULL, 0);
    if (all == (void *)-1) return 2;
    if (argv[2][0] == 'l') {
        printf("%zu %zu %zu %zu %zu\\n", sizeof *all, 4 * sizeof *all, offsetof(struct Currency,
               sell), offsetof(struct Currency, buy), offsetof(struct Currency, stock));
    } else if (argv[2][0] == 'm') {
        all[DOLLAR].stock = 1, all[EURO].stock = 2, all[STERLIN].stock = 3, all[POUND].stock = 4;
    } else {
        struct Currency *c = all + atoi(argv[3]);
        int result = (argv[2][0] == 'b' ? buy : sell)(c, atof(argv[4]), &balance);
        printf("%d %.17g\\n", result, balance);
    }
    return 0;
}
"""


class Market:
    """The table in a segment of its own, and who trades on it: a C program, or this process."""

    def __init__(self, lab: Lab, *flags: str) -> None:
        self.layout = layout(lab)
        self.segment, self.key = new_segment(lab, self.layout.size)
        self.cells = attached(self.segment, self.layout.size).cast("d")
        self.fill()
        # Without fused operations, which would round once instead of twice.
        self.program = lab.compile(TRADER, "-ffp-contract=off", *flags)
        if self.program is None:
            lab.note("there is no C compiler: the trades are made in Python")

    def fill(self) -> None:
        """Write the first rates and stocks."""
        for at, value in enumerate(cell for row in self.layout.initial for cell in row):
            self.cells[at] = value

    def stock(self, row: int) -> float:
        """Return the stock of a row."""
        return self.cells[row * WIDTH + STOCK]

    def trade(self, what: str, row: int, amount: float) -> tuple[int, float]:
        """Buy or sell with a new balance; returns the function's result and the balance left."""
        if self.program is not None:
            result, balance = run_program(self.program, self.key, what, row, amount)[0].split()
            return int(result), float(balance)
        at = row * WIDTH
        if what == "buy":
            if amount * self.cells[at + BUY] > BALANCE:
                return -1, BALANCE
            self.cells[at + STOCK] += amount
            return 0, BALANCE - amount * self.cells[at + BUY]
        if self.cells[at + STOCK] < amount:
            return -1, BALANCE
        self.cells[at + STOCK] -= amount
        return 0, BALANCE + amount * self.cells[at + SELL]


def layout(lab: Lab) -> TableLayout:
    """Return the layout of the exchange that this lab runs."""
    found = lab.systems["exchange"].table
    assert found is not None
    return found


@claim("B93", 104, "The currencies are DOLLAR, EURO, STERLIN and POUND.")
def currencies(lab: Lab) -> Shown:
    """A C program numbers the rows by the enum's names; they are read by the exchange's rows."""
    market = Market(lab)
    if market.program is not None:
        run_program(market.program, market.key, "mark")
        numbers = [market.stock(row) for row in range(len(market.layout.rows))]
    else:
        numbers = [row + 1.0 for row in map(NAMES.index, market.layout.rows)]
    found = {name: int(number) for name, number in zip(market.layout.rows, numbers, strict=True)}
    lab.note(f"numbered by the enum, read by row: {found}")
    return currencies_verdict(found)


def currencies_verdict(found: dict[str, int]) -> Shown:
    """Return the verdict from the rows' names and the numbers that the enum gave them."""
    if found != {name: at for at, name in enumerate(NAMES, 1)}:
        return Shown(FAILS, str(found), "the rows are others, or in another order")
    why = "four rows under these names; but STERLIN is a misspelt sterling, which is the POUND"
    return Shown(DEPENDS if "STERLIN" in found and "POUND" in found else HOLDS, "4 rows", why)


@claim("B94", 104, "struct Currency has three doubles: sell, buy, stock.")
def layout_in_c(lab: Lab) -> Shown:
    """A C compiler's sizes and offsets beside the exchange's."""
    market = Market(lab)
    rows, fields = market.layout.rows, market.layout.fields
    width = market.layout.size // len(rows)
    here = [width, market.layout.size, *(8 * fields.index(n) for n in ("sell", "buy", "stock"))]
    # Without a compiler: what this interpreter's own compiler made of doubles.
    there = [struct.calcsize(f"@{count}d") for count in (3, 12, 0, 1, 2)]
    if market.program is not None:
        there = [int(word) for word in run_program(market.program, market.key, "layout")[0].split()]
    lab.note(f"size, four of them, offsets: {there} in C, {here} in the exchange")
    return holds(
        there == here == [24, 96, 0, 8, 16],
        f"{there[0]} bytes, {there[1]} for four",
        "no padding and no header, so a C program may join the exchange",
    )


@claim("B95", 104, "buy: refuse if the balance is too small, else lower it and raise the stock.")
def buying(lab: Lab) -> Shown:
    """100 DOLLAR are bought with 1000, then 1000 DOLLAR; the table is read after each."""
    market = Market(lab)
    before, rate = market.stock(0), market.cells[BUY]
    result, balance = market.trade("buy", 0, 100)
    bought = market.stock(0) - before
    refused, kept = market.trade("buy", 0, 1000)
    lab.note(f"buy 100 at {rate}: returns {result}, balance {balance:g}, stock +{bought:g}")
    lab.note(f"buy 1000: returns {refused}, balance {kept:g}, stock {market.stock(0):g}")
    return holds(
        (result, balance, bought) == (0, BALANCE - 100 * rate, 100)
        and (refused, kept, market.stock(0)) == (-1, BALANCE, before + 100),
        f"balance {balance:g}, stock {market.stock(0):g}",
        "the office buys: money leaves the balance, currency comes into its stock",
    )


@claim("B96", 104, "sell: refuse if the stock is too small, else raise the balance and lower it.")
def selling(lab: Lab) -> Shown:
    """100 DOLLAR are sold, then more than there are, then -5 and NaN of them; compiled with -O2."""
    market = Market(lab, "-O2")
    before, rate = market.stock(0), market.cells[SELL]
    result, balance = market.trade("sell", 0, 100)
    right = balance == BALANCE + 100 * rate and market.stock(0) == before - 100
    refused = market.trade("sell", 0, 1e9)[0] == -1 and market.stock(0) == before - 100
    lab.note(f"sell 100 at {rate}: balance {balance:g}, stock {market.stock(0):g}, as it says")
    lab.note(f"and it returns {result}; too many are refused: {refused}")
    market.trade("sell", 0, -5)
    odd = market.stock(0) > before - 100
    market.trade("sell", 0, math.nan)
    odd = odd and math.isnan(market.stock(0))
    lab.note(f"-5 and NaN are sold as well: {odd}; the stock is then {market.stock(0)}")
    return selling_verdict(right and refused, result, odd)


def selling_verdict(right: bool, result: int, odd: bool) -> Shown:
    """Return the verdict from the arithmetic, what a sale returned, and if any amount is sold."""
    if not right or result != 0:
        why = "`return 0` is missing at its end: a sale that was made is reported as something else"
        return Shown(FAILS, f"a sale returns {result}", why)
    if odd:
        return Shown(DEPENDS, "sells -5 and NaN", "right for amounts that somebody checked before")
    return Shown(HOLDS, "returns 0", "the arithmetic is as it says")


@claim("B97", 106, "The segment holds rates and stock; processes attach it and trade on input.")
def on_input(lab: Lab) -> Shown:
    """The shipped teller is fed with two lines, on a segment."""
    document = lab.run("exchange/script")
    kinds = [each["kind"] for each in document["objects"]]
    lab.note(f"objects: {', '.join(kinds)}; {document['operations']} lines: {document['verdict']}")
    return holds(
        document["verdict"] == "valid" and document["operations"] == 2 and "sysv_shm" in kinds,
        f"{document['operations']} trades",
        "rates and stock are shared, each teller's balance is its own",
    )


@claim("B98", 106, "The picture: DOLLAR sells at 3.72, buys at 3.71, stock 10000.")
@claim("B99", 108, "The first table: {3.73, 3.72, 10000} and so on to {3.24, 3.25, 5000}.")
def first_rates(lab: Lab) -> dict[str, Shown]:
    """The table that a run begins with; one unit of each currency is bought and sold again."""
    market = Market(lab)
    rows = [tuple(market.cells[at : at + WIDTH]) for at in range(0, len(market.cells), WIDTH)]
    lab.note(f"the table begins with {rows}")
    losing = []
    for row, name in enumerate(market.layout.rows):
        paid = BALANCE - market.trade("buy", row, 1)[1]
        gained = market.trade("sell", row, 1)[1] - BALANCE
        lab.note(f"{name}: bought for {paid:.3f}, sold for {gained:.3f}")
        losing += [name] if gained < paid else []
    sell, buy, _ = rows[0]
    return {
        "B98": holds(
            rows[0] == PICTURE,
            f"sell {sell:g}, buy {buy:g}",
            "the code two slides on has other rates than the picture",
        ),
        "B99": Shown(
            FAILS if rows != list(CODE) else DEPENDS if losing else HOLDS,
            f"{len(losing)} of {len(rows)} spreads inverted",
            f"exactly this table; an office loses on each round trip in {', '.join(losing)}",
        ),
    }


@claim("B100", 108, "The creator makes 96 bytes with IPC_CREAT|0600, fills them and detaches.")
def creator(lab: Lab) -> Shown:
    """It does so; another program trades; then the creator is run again, on the live market."""
    key, table = names.new_key(), layout(lab)
    lab.intend("sysv_shm", key)

    def create() -> None:
        address = sysv.shmat(sysv.shmget(key, table.size, sysv.IPC_CREAT | 0o600))
        cells = sysv.memory(address, table.size).cast("d")
        for at, value in enumerate(cell for row in table.initial for cell in row):
            cells[at] = value
        cells.release()
        sysv.shmdt(address)

    create()
    market = Market(lab)
    market.key, market.segment = key, sysv.shmget(key, table.size)
    free = sysv.shm_stat(market.segment).nattch == 0
    market.cells = attached(market.segment, table.size).cast("d")
    first = market.stock(1)
    market.trade("buy", 1, 100)
    traded = market.stock(1)
    create()
    again = market.stock(1)
    lab.note(f"created and detached ({free}); another program finds {first:g} EURO, buys 100")
    lab.note(f"the stock is {traded:g}; the creator is run again: {again:g}")
    why = "it works once" + ("; run again it takes back every trade" if again < traded else "")
    return holds(
        free and (first, traded) == (table.initial[1][STOCK], first + 100),
        f"stock {first:g}, {traded:g}, then {again:g}",
        why + "; shmat is not checked, and EXCHKEY has no value anywhere",
    )


@claim("B101", 110, "A trader with 1000 attaches the same segment, trades and detaches.")
def trader(lab: Lab) -> Shown:
    """One process makes the table, another one trades on it; then shmat of nothing is tried."""
    market = Market(lab)
    before = market.stock(3)
    _, balance = market.trade("sell", 3, 100)
    users = sysv.shm_stat(market.segment).nattch
    lab.note(f"sells 100 POUND: balance {balance:g}, stock {market.stock(3):g}, attached {users}")
    # It is raised only for the result (void *) -1; a NULL would be returned.
    failed = attempt(lambda: sysv.shmat(-1))
    lab.note(f"a failing shmat ({failed or 'NULL'}) == NULL: {not failed}")
    why = "as it says" + (
        "; its test for NULL never sees a failed shmat, (void *) -1" * bool(failed)
    )
    return holds(
        balance == BALANCE + 100 * market.layout.initial[3][SELL]
        and market.stock(3) == before - 100
        and users == 1,
        f"balance {balance:g}",
        why,
    )


@claim("B124", 120, "The program that opens, maps 96 bytes and trades writes to the file.")
def on_a_file(lab: Lab) -> Shown:
    """The lecture's calls in its order: on no file, on one of zeros, on one with rates."""
    path, table = lab.directory / "exchange.dat", layout(lab)

    def buy_euro(amount: float) -> Callable[[], None]:
        def run() -> None:
            fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            prot = mmap.PROT_READ | mmap.PROT_WRITE
            address = memory.map_memory(table.size, prot, mmap.MAP_SHARED, fd)
            os.close(fd)
            euro = memoryview(bytearray(memory.load(address + 24, 24))).cast("d")
            if amount * euro[BUY] <= BALANCE:
                euro[STOCK] += amount
            memory.store(address + 24, euro.tobytes())

        return run

    def stock() -> float:
        return memoryview(path.read_bytes()).cast("d")[WIDTH + STOCK]

    fresh = ending(lab, buy_euro(1.0))
    lab.note(f"no such file: open makes it, empty, and the first access ends in {fresh}")
    path.write_bytes(bytes(table.size))
    ending(lab, buy_euro(1e12))
    lab.note(f"a file of zeros: the rate is 0, and {stock():g} EURO are bought for nothing")
    cells = memoryview(bytearray(table.size)).cast("d")
    cells[WIDTH + BUY] = table.initial[1][BUY]
    path.write_bytes(cells.tobytes())
    ending(lab, buy_euro(10.0))
    lab.note(f"a file with rates: 10 EURO are bought, the file has {stock():g}")
    return Shown(
        FAILS if stock() != 10.0 else HOLDS if fresh == "exit 0" else DEPENDS,
        f"{fresh} on a new file",
        "it needs ftruncate and rates first; on a file that has both it works",
    )
