"""What an operation does, so that properties can judge it without knowing its system."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Effect(StrEnum):
    """What an operation does to shared state.

    The five values of a record (``v0`` … ``v4``) have one meaning per effect:

    ========  =====================================================================
    UPDATE    amount · checked · rate · read · written (a read-modify-write of a row)
    SET       sell · buy (a write of several fields of a row)
    SNAPSHOT  sell · buy · stock (a read of several fields of a row)
    OFFER     declared checksum · checksum of the body · priority · position read · written
    TAKE      the same, of an item taken from a channel
    PASS      the same, of an item handed on to the next channel
    DELIVER   the same, of an item that reached its end (printed, answered)
    PAGE      page number · pages of the job · paper offset before · bytes written
    ========  =====================================================================
    """

    UPDATE = "update"
    SET = "set"
    SNAPSHOT = "snapshot"
    OFFER = "offer"
    TAKE = "take"
    PASS = "pass"
    DELIVER = "deliver"
    PAGE = "page"


@dataclass(frozen=True)
class Operation:
    """One kind of operation.

    ``code`` is its number in the records, unique over all systems; ``sign`` is +1 or -1 for an
    UPDATE that adds to or takes from the row; ``place`` is what its critical section protects:
    ``table`` (the record's object is a row), ``channel`` (its index in the plan) or ``paper``;
    ``values`` names the five values for people; ``recovery`` is ``undo`` or ``finish`` for what
    the next holder does to end an operation that a dead one left half done.
    """

    code: int
    name: str
    effect: Effect
    place: str
    values: tuple[str, ...]
    sign: int = 0
    recovery: str = ""
