"""The operations of the exchange, as they stand in its records."""

from __future__ import annotations

from common.history.operations import Effect, Operation

BUY, SELL, SET_RATES, READ_ROW, ORDER, TAKE_ORDER, FILL, RECEIPT = range(1, 9)
# What the next holder does to the stock, or to the rates, for one that died.
UNDO_BUY, UNDO_SELL, UNDO_RATES, FINISH_BUY, FINISH_SELL, FINISH_RATES = range(9, 15)

_TRADE = ("amount", "checked", "rate", "read", "written")
_RATES = ("sell", "buy", "", "", "")
_ITEM = ("declared", "seen", "priority", "position read", "position written")

OPERATIONS = (
    Operation(BUY, "buy", Effect.UPDATE, "table", _TRADE, sign=1),
    Operation(SELL, "sell", Effect.UPDATE, "table", _TRADE, sign=-1),
    Operation(SET_RATES, "set_rates", Effect.SET, "table", _RATES),
    Operation(READ_ROW, "read_row", Effect.SNAPSHOT, "table", ("sell", "buy", "stock", "", "")),
    Operation(ORDER, "order", Effect.OFFER, "channel", _ITEM),
    Operation(TAKE_ORDER, "take_order", Effect.TAKE, "channel", _ITEM),
    Operation(FILL, "fill", Effect.DELIVER, "channel", _ITEM),
    Operation(RECEIPT, "receipt", Effect.OFFER, "channel", _ITEM),
    Operation(UNDO_BUY, "undo_buy", Effect.UPDATE, "table", _TRADE, -1, "undo"),
    Operation(UNDO_SELL, "undo_sell", Effect.UPDATE, "table", _TRADE, 1, "undo"),
    Operation(UNDO_RATES, "undo_rates", Effect.SET, "table", _RATES, 0, "undo"),
    Operation(FINISH_BUY, "finish_buy", Effect.UPDATE, "table", _TRADE, 1, "finish"),
    Operation(FINISH_SELL, "finish_sell", Effect.UPDATE, "table", _TRADE, -1, "finish"),
    Operation(FINISH_RATES, "finish_rates", Effect.SET, "table", _RATES, 0, "finish"),
)
