"""The operations of the print spooler, as they stand in its records."""

from __future__ import annotations

from common.history.operations import Effect, Operation

PUT, TAKE, PASS, PRINT, PAGE, ACCEPT, CLAIM = range(32, 39)

_ITEM = ("declared", "seen", "priority", "position read", "position written")

OPERATIONS = (
    Operation(PUT, "put", Effect.OFFER, "channel", _ITEM),
    Operation(TAKE, "take", Effect.TAKE, "channel", _ITEM),
    Operation(PASS, "pass", Effect.PASS, "channel", _ITEM),
    Operation(PRINT, "print", Effect.DELIVER, "paper", _ITEM),
    Operation(ACCEPT, "accept", Effect.PASS, "spool", _ITEM),
    Operation(CLAIM, "claim", Effect.TAKE, "spool", _ITEM),
    Operation(PAGE, "page", Effect.PAGE, "paper", ("page", "pages", "offset", "bytes", "")),
)
