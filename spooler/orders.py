"""What a person says about jobs in the spool: `hold 3 of submitter-0`, `release all`."""

from __future__ import annotations

import re
from typing import NamedTuple

from common.errors import KernelObjectError, UsageError
from common.kernel.spool import VERBS
from common.kernel.spool.entry import Entry
from common.kernel.spool.spool import Spool
from common.kinds import nearest

FORM = "VERB N of NAME, VERB all, VERB all of NAME; the verbs are " + ", ".join(VERBS)
_ONE = re.compile(r"(?:job )?(\d{1,10}) of ([A-Za-z0-9_.-]{1,40})")
_ALL = re.compile(r"all(?: of ([A-Za-z0-9_.-]{1,40}))?")
_NAME = re.compile(r"[0-9a-f]{1,16}")


class Which(NamedTuple):
    """Which jobs are meant: one by its maker and number there, or by its name; or all of them."""

    number: int | None = None
    owner: str = ""
    item: int | None = None

    @property
    def many(self) -> bool:
        """Whether it means as many as there are."""
        return self.number is None and self.item is None

    def __str__(self) -> str:
        if self.item is not None:
            return f"job {self.item:x}"
        what = "all jobs" if self.number is None else f"job {self.number}"
        return f"{what} of {self.owner}" if self.owner else what


class Order(NamedTuple):
    """What is to be done with which jobs."""

    verb: str
    which: Which


def parse_job(text: str) -> Which:
    """Return which jobs ``text`` means; raises ``UsageError``."""
    text = text.strip()
    if found := _ONE.fullmatch(text):
        return Which(int(found[1]), found[2])
    if found := _ALL.fullmatch(text):
        return Which(owner=found[1] or "")
    if _NAME.fullmatch(text):
        return Which(item=int(text, 16))
    raise UsageError(
        f"{text!r} names no job", "N of NAME, such as 3 of submitter-0, or all, or its name"
    )


def parse(line: str) -> Order:
    """Return the order in a line; raises ``UsageError``."""
    verb, _, rest = line.strip().partition(" ")
    if verb not in VERBS:
        meant = nearest(verb, VERBS)
        hint = meant if meant.startswith("did") else FORM
        raise UsageError(f"{verb!r} is nothing that is done with a job", hint)
    return Order(verb, parse_job(rest))


class Clerk:
    """Finds the jobs that are meant; what their files say is read once."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._makers: dict[int, tuple[str, int]] = {}

    def chosen(self, which: Which, entries: list[Entry]) -> list[Entry]:
        """Return those of ``entries`` that are meant."""
        if which.item is not None:
            return [each for each in entries if each.item == which.item]
        return [each for each in entries if self._meant(which, *self.maker(each))]

    def maker(self, entry: Entry) -> tuple[str, int]:
        """Return who made a job, and its number there; ("", 0) when its file is gone."""
        if entry.item not in self._makers:
            self._makers[entry.item] = self._read(entry)
        return self._makers[entry.item]

    def _read(self, entry: Entry) -> tuple[str, int]:
        try:
            body = self._spool.look_up(entry.item)
            return str(body["owner"]), int(body.get("number", 0))
        except (KernelObjectError, KeyError, ValueError, TypeError):
            return "", 0

    @staticmethod
    def _meant(which: Which, owner: str, number: int) -> bool:
        return (not which.owner or owner == which.owner) and which.number in (None, number)
