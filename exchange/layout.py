"""The lecture's table, byte for byte: ``struct Currency { double sell, buy; double stock; }``."""

from __future__ import annotations

ROWS = ("DOLLAR", "EURO", "STERLIN", "POUND")
FIELDS = ("sell", "buy", "stock")
INITIAL = (
    (3.73, 3.72, 10000.0),
    (3.932, 3.944, 10000.0),
    (4.551, 4.552, 10000.0),
    (3.24, 3.25, 5000.0),
)

# Cells of a row, in doubles from its start.
SELL, BUY, STOCK = 0, 1, 2
WIDTH = 3

BALANCE = 1000.0
