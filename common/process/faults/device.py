"""A device fails: the call that a process is about to make at its step returns an error."""

from __future__ import annotations

import errno
import os
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
