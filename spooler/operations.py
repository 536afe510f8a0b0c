"""The operations of the print spooler, as they stand in its records."""

from __future__ import annotations

from common.history.operations import Effect, Operation

PUT, TAKE, PASS, PRINT, PAGE = range(32, 37)

_ITEM = ("declared", "seen", "priority", "position read", "position written")

OPERATIONS = (
    Operation(PUT, "put", Effect.OFFER, "channel", _ITEM),
    Operation(TAKE, "take", Effect.TAKE, "channel", _ITEM),
    Operation(PASS, "pass", Effect.PASS, "channel", _ITEM),
    Operation(PRINT, "print", Effect.DELIVER, "paper", _ITEM),
    Operation(PAGE, "page", Effect.PAGE, "paper", ("page", "pages", "offset", "bytes", "")),
)
