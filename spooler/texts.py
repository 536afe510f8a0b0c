"""Messages that are a text and nothing else, as the lecture's programs send them.

``Did you get this?`` with its NUL through a queue, ``123456789`` with its NUL through a FIFO, a
line through a socket, the letters a to z in a slot. There is no room in them for a name: whoever
takes one numbers it by its arrival, and a checksum is made of it, not found in it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from common.options import option
from spooler.messages import SIZE, Job

JOB, TEXT = "job", "text"
FORMATS = (JOB, TEXT)
# The lecture's MSGSZ.
LENGTH = 128
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def format_option() -> Any:
    """Return the option that says what the messages are."""
    return option(
        JOB,
        about="what a message is: a job of the lab (64 bytes with its name and a checksum), or a "
        "text alone, as the lecture's programs send it",
        choices=FORMATS,
    )


def length_option() -> Any:
    """Return the option for the length of a text."""
    return option(LENGTH, about="bytes of a text at most", minimum=1, maximum=8192)


def message_size(given: Mapping[str, Any]) -> int:
    """Return how many bytes the messages of a role have that is given these options."""
    return int(given.get("length", LENGTH)) if given.get("format") == TEXT else SIZE


def checksum(text: bytes) -> int:
    """Return the CRC-32 of a text."""
    return zlib.crc32(text)


def as_message(text: str, exact: int) -> bytes:
    """Return the message of a text: a line as it is, anything else with its NUL.

    ``exact`` is the size that a channel wants of every message; 0: it takes shorter ones.
    """
    message = text.encode() if text.endswith("\n") else text.encode() + b"\0"
    return message[:exact].ljust(exact, b"\0") if exact else message


def text_of(message: bytes) -> bytes:
    """Return the text of a message, which ends at its first NUL."""
    return message.partition(b"\0")[0]


def as_job(message: bytes, item: int) -> Job:
    """Return what a printer prints of it: one page of visible characters."""
    shown = text_of(message).decode("utf-8", "backslashreplace").rstrip("\n")
    return Job(shown.encode("unicode_escape"), 0, 1, item)
