"""What becomes of a job whose printing failed: the spool's error policy, and what limits it.

Where a program prints, its exit status says more than that it failed (backend(7) of CUPS).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from common.kernel.spool import (
    ABORT,
    ABORTED,
    AT_MOST_ONCE,
    AUTH_REQUIRED,
    CANCEL_JOB,
    CANCELED,
    COMPLETED,
    HELD,
    HOLD,
    HOLD_JOB,
    OK,
    PENDING,
    RETRY,
    RETRY_FIRST,
    RETRY_LATER,
    RETRY_NOW,
    STOP,
    STOP_QUEUE,
    STOPPED,
)
from common.kernel.spool.entry import FIRST_IN_LINE, Entry

# The statuses that say themselves what becomes of the job; all others leave it to `on_error`.
_SAID = {
    AUTH_REQUIRED: HOLD,
    HOLD_JOB: HOLD,
    STOP_QUEUE: STOP,
    RETRY_LATER: RETRY,
    RETRY_NOW: RETRY_FIRST,
}


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
    counted = {"failures": entry.failures + 1}
    return _fate(spool, spool["on_error"], printed, str(error.strerror), counted)


def after_filter(
    spool: Mapping[str, Any], entry: Entry, printed: int, status: int, why: str
) -> Fate:
    """Return what becomes of a job whose filter ended with ``status``, for which ``why`` stands.

    A signal (below 0) or another number than those of CUPS is a failure. A job that is to be held
    has not failed. The rest is as in ``after_error``; "at once" knows no back-off.
    """
    told = {"status": status}
    if status == OK:
        return Fate(COMPLETED, f"printed: {why}", told)
    if status == CANCEL_JOB:
        return Fate(CANCELED, why, told)
    policy = _SAID.get(status, spool["on_error"])
    held = status in (AUTH_REQUIRED, HOLD_JOB)
    counted = {"failures": entry.failures + (not held), **told}
    spool = {**spool, "back_off": 0.0} if status == RETRY_NOW else spool
    return _fate(spool, policy, printed, why, counted)


def _fate(
    spool: Mapping[str, Any], policy: str, printed: int, reason: str, counted: dict[str, Any]
) -> Fate:
    """Return the way of a ``policy``; ``counted`` changes in any case, its ``failures`` too."""
    failures, why = counted["failures"], f"{reason}; {policy}"
    if spool["promise"] == AT_MOST_ONCE and printed:
        return Fate(ABORTED, f"{reason}; it was begun, and is printed at most once", counted)
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
