"""What becomes of a job whose printing failed: the spool's error policy, and what limits it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from common.kernel.spool import (
    ABORT,
    ABORTED,
    AT_MOST_ONCE,
    HELD,
    HOLD,
    PENDING,
    RETRY_FIRST,
    STOP,
    STOPPED,
)
from common.kernel.spool.entry import FIRST_IN_LINE, Entry


class Fate(NamedTuple):
    """The next state of a job, why, and what else changes (see ``Spool.finish``)."""

    state: str
    why: str
    changes: dict[str, Any]


def after_error(spool: Mapping[str, Any], entry: Entry, printed: int, error: OSError) -> Fate:
    """Return what becomes of a job of which ``printed`` pages were printed when it failed.

    ``spool`` holds ``promise``, ``on_error``, ``retries`` and ``back_off`` (s). What was promised
    to be printed at most once and was begun is given up, whatever the policy: every other way out
    would print its first page again.
    """
    policy, failures = spool["on_error"], entry.failures + 1
    why = f"{error.strerror}; {policy}"
    counted = {"failures": failures}
    if spool["promise"] == AT_MOST_ONCE and printed:
        return Fate(
            ABORTED, f"{error.strerror}; it was begun, and is printed at most once", counted
        )
    if policy == ABORT:
        return Fate(ABORTED, why, counted)
    if policy == STOP:
        return Fate(STOPPED, why, counted)
    if policy == HOLD:
        return Fate(HELD, why, counted)
    if failures > spool["retries"]:
        return Fate(ABORTED, f"{why}; it failed {failures} times", counted)
    ahead = policy == RETRY_FIRST
    changes = counted | ({"rank": FIRST_IN_LINE} if ahead else {"last": True})
    back_off = spool["back_off"]
    if back_off:
        return Fate(HELD, f"{why} after {back_off:g} s", changes | {"back_off": back_off})
    return Fate(PENDING, why, changes)
