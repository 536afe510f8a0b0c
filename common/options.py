"""Declares an option of a lock, table, channel or role: one dataclass field, with its meaning.

The schema reads these declarations; the modules that hold them stay free of it, so that a child
process never imports the schema.
"""

from __future__ import annotations

from dataclasses import field
from typing import Any

REQUIRED = object()


def option(
    default: Any = REQUIRED,
    *,
    about: str,
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    channel: str = "",
    message: int = 0,
    program: bool = False,
) -> Any:
    """Return a dataclass field that the schema understands.

    ``about`` is the sentence shown in editors and in ``list``; ``minimum`` and ``maximum`` are
    inclusive bounds of a number (or of a list's length); ``choices`` the allowed words. An option
    that names a channel says with ``channel`` what the role does with it (``"send"``,
    ``"receive"``, or ``"answer"``: it receives from its own, made `per` process, what it asked
    for, and never has to be told that the channel is drained; ``"call"`` and ``"serve"`` where
    what is sent is answered on the same connection) and with ``message`` how many bytes
    its messages have. A list that is a ``program`` and its arguments is written, and looked for, as
    ``command:`` is. A list default is copied.
    """
    metadata = {
        "about": about,
        "minimum": minimum,
        "maximum": maximum,
        "choices": choices,
        "channel": channel,
        "message": message,
        "program": program,
    }
    if default is REQUIRED:
        # By keyword only, so that it may stand behind options that have a default.
        return field(metadata=metadata, kw_only=True)
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
