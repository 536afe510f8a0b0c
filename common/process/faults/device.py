"""A device fails: the call that a process is about to make at its step returns an error."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True

ERRORS = ("EIO", "ENOSPC", "ENXIO", "ENODEV", "EAGAIN", "EDQUOT", "ETIMEDOUT")


@dataclass(frozen=True)
class Options:
    """Which error."""

    error: str = option("EIO", about="The error, by its name in errno(3).", choices=ERRORS)


# Steps at which nothing but memory and locks is touched.
_NO_CALL = ("acquire", "check", "release", "commit", "recover", "wait")


def fits(step: str, values: Mapping[str, Any]) -> str:
    """Return why no device can fail at a step: it makes no call that one could refuse."""
    if not step:
        return "it says no step: a device fails at the call that a step names"
    store = (values.get("table") or {}).get("store")
    mapped = store is not None and store.kind != "plain_file" and "channels" not in values
    if step in _NO_CALL or (step in ("read", "write") and mapped):
        return f"at {step} no call is made that a device could refuse"
    return ""


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Let it go on at once; what it is told makes its call fail."""
    return 0.0


def word(options: Options) -> dict[str, Any]:
    """Return the error for the process."""
    return {"error": options.error}


def act(word: dict[str, Any], context: Any) -> None:
    """Raise ``OSError``, as the call would."""
    number = getattr(errno, word["error"])
    raise OSError(number, os.strerror(number))
