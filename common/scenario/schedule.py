"""A schedule: which process passes which step next, as a scenario, a file or a token tells it.

A token is one line that holds a whole schedule, the variant and the seed; up to 300 letters it can
be read: ``v1:unlocked:7/trader-0:acquire,check,read/trader-1:acquire,check,read,write/…``. A longer
one is the same text compressed (RFC 1950, RFC 4648).
"""

from __future__ import annotations

import base64
import itertools
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from common.errors import UsageError

READABLE = 300
# A token is data from outside: what it unpacks to is bounded.
LARGEST = 1 << 22

_PLAIN, _PACKED = "v1:", "z1:"


# Where a step is expected: the process ends its work before its next operation.
STOP = "stop"
# The same in a token, anywhere: the process goes away from where it stands (a game was ended).
LEAVE = "leave"


class Move(NamedTuple):
    """One process passes one step."""

    process: str
    step: str


@dataclass(frozen=True)
class Schedule:
    """Moves in order.

    An ``exact`` one names every step of every process. Otherwise each move lets its process pass
    until it has done that step, and when the moves are over the processes go on one after another.
    """

    moves: list[list[str]] = field(default_factory=list)
    exact: bool = False


class Token(NamedTuple):
    """What a token says."""

    variant: str
    seed: int
    moves: list[Move]


def write_token(token: Token) -> str:
    """Return the token as one line."""
    runs = itertools.groupby(token.moves, key=lambda move: move.process)
    parts = [f"{name}:{','.join(move.step for move in moves)}" for name, moves in runs]
    text = "/".join([f"{token.variant}:{token.seed}", *parts])
    if len(text) <= READABLE:
        return _PLAIN + text
    packed = zlib.compress(text.encode(), 9)
    return _PACKED + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_token(line: str) -> Token:
    """Return what ``line`` says; raises ``UsageError`` for anything that is no token."""
    text = line.strip()
    if text.startswith(_PACKED):
        text = _unpacked(text.removeprefix(_PACKED))
    elif text.startswith(_PLAIN):
        text = text.removeprefix(_PLAIN)
    else:
        raise _no_token(line, "it begins with v1: or z1:, and there is no such file")
    head, *parts = text.split("/")
    variant, colon, seed = head.rpartition(":")
    if not colon or not re.fullmatch(r"[0-9]{1,19}", seed):
        raise _no_token(line, "it names no variant and seed, such as v1:unlocked:7/")
    moves = []
    for part in parts:
        name, colon, steps = part.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            raise _no_token(line, f"{part[:40]!r} is not a process with its steps")
        for step in steps.split(","):
            if not re.fullmatch(r"[a-z_]+", step):
                raise _no_token(line, f"{step[:40]!r} is not a step")
            moves.append(Move(name, step))
    return Token(variant, int(seed), moves)


def moves_of(entries: Iterable[dict[str, Sequence[str]]]) -> list[Move]:
    """Return the moves of a schedule as a scenario writes it: ``- trader-0: [check, read]``."""
    return [
        Move(name, step) for entry in entries for name, steps in entry.items() for step in steps
    ]


def _unpacked(text: str) -> str:
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        reader = zlib.decompressobj()
        data = reader.decompress(packed, LARGEST)
        if not reader.eof:
            raise ValueError
        return data.decode("ascii")
    except (ValueError, zlib.error):
        raise _no_token(text, "it was cut, or changed on the way") from None


def _no_token(line: str, reason: str) -> UsageError:
    return UsageError(f"{line[:60]!r} is not a schedule: {reason}", "copy the token whole")
