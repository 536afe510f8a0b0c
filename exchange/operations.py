"""The operations of the exchange, as they stand in its records."""

from __future__ import annotations

from common.history.operations import Effect, Operation

BUY, SELL, SET_RATES, READ_ROW, ORDER, TAKE_ORDER, FILL, RECEIPT = range(1, 9)

_TRADE = ("amount", "checked", "rate", "read", "written")
_ITEM = ("declared", "seen", "priority", "position read", "position written")

OPERATIONS = (
    Operation(BUY, "buy", Effect.UPDATE, "table", _TRADE, sign=1),
    Operation(SELL, "sell", Effect.UPDATE, "table", _TRADE, sign=-1),
    Operation(SET_RATES, "set_rates", Effect.SET, "table", ("sell", "buy", "", "", "")),
    Operation(READ_ROW, "read_row", Effect.SNAPSHOT, "table", ("sell", "buy", "stock", "", "")),
    Operation(ORDER, "order", Effect.OFFER, "channel", _ITEM),
    Operation(TAKE_ORDER, "take_order", Effect.TAKE, "channel", _ITEM),
    Operation(FILL, "fill", Effect.DELIVER, "channel", _ITEM),
    Operation(RECEIPT, "receipt", Effect.OFFER, "channel", _ITEM),
)
