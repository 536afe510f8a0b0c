"""Does a paper hold what its printers recorded? Its pages, and how they differ from the records."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.history.plain import ANY_BYTE
from common.verdict import unseen
from common.verdict.wording import many

# Anywhere in a line: two processes that write at once may leave two beginnings on one.
PAGE = re.compile(r"\[job ([0-9a-f]{1,16}) page (\d{1,9})/(\d{1,9})\]")
# The name of a job as its checksum has it.
_NAME = (1 << 64) - 1


class Page(NamedTuple):
    """One page: its job, its number there, and the line (from 1) that it begins on.

    ``pages`` is how many the job has by this page, ``at`` the byte of the paper where it begins,
    ``text`` what stands on it, None where it does not have its line for itself.
    """

    item: int
    number: int
    line: int
    pages: int
    at: int
    text: str | None


def pages_of(lines: Sequence[str]) -> list[Page]:
    """Return the pages on a paper, from top to bottom; the last of ``lines`` has no end."""
    return list(_pages(lines))


def _pages(lines: Sequence[str]) -> Iterator[Page]:
    start = 0
    for line, text in enumerate(lines, start=1):
        found = list(PAGE.finditer(text))
        alone = len(found) == 1 and not found[0].start() and line < len(lines)
        for each in found:
            body = text[each.end() + 1 :] if alone and text[each.end() :][:1] == " " else None
            at = start + len(text[: each.start()].encode(errors=ANY_BYTE))
            # Records hold a job's name as a double.
            item = int(float(int(each[1], 16)))
            yield Page(item, int(each[2]), line, int(each[3]), at, body)
        start += len(text.encode(errors=ANY_BYTE)) + 1


def checksums(case: Case) -> dict[int, int]:
    """Return the checksum that each job was given; none for a job that is not always the same.

    Those are findings of their own (``job_corrupted``).
    """
    history = case.history
    given: dict[int, int] = {}
    differs: set[int] = set()
    for effect in (Effect.OFFER, Effect.TAKE, Effect.PASS, Effect.DELIVER):
        at = history.select(effect)
        columns = (history.gather(name, at).tolist() for name in ("item", "v0", "v1"))
        for item, declared, seen in zip(*columns, strict=True):
            if declared != seen or given.setdefault(item, declared) != declared:
                differs.add(item)
    return {item: each for item, each in given.items() if item not in differs}


def unlike(
    case: Case, name: str, lines: Sequence[str], recorded: Positions, given: Mapping[int, int],
    cut_off: int, *, own: bool,
) -> list[str]:  # fmt: skip
    """Return a doubt if the paper called ``name`` does not hold what was ``recorded``.

    Each recorded page must stand there once, each job's in order, with the text whose checksum the
    job was ``given``, and nothing else. So many printers were ``cut_off``: each may have printed
    one page that it did not come to record. On a paper of a process's ``own`` that page is the
    last, and each other one stands where it was recorded.
    """
    pages, gather = pages_of(lines), case.history.gather
    printed = Counter((page.item, page.number, page.pages) for page in pages)
    items, offsets = gather("item", recorded).tolist(), gather("v2", recorded).tolist()
    numbers, counts = (gather(each, recorded).astype(np.int64).tolist() for each in ("v0", "v1"))
    wanted = Counter(zip(items, numbers, counts, strict=True))
    missing, extra = (wanted - printed).total(), printed - wanted
    more, allowed = extra.total(), cut_off
    if own and pages and (pages[-1].item, pages[-1].number, pages[-1].pages) not in extra:
        allowed = 0
    firsts = Counter(item for item, number in zip(items, numbers, strict=True) if number == 1)
    # The copies of a job that was printed twice may lie in each other.
    backward = sum(
        one.item == next.item and one.number >= next.number and firsts[one.item] == 1
        for one, next in pairwise(pages)
    )
    told = []
    if missing:
        told.append(f"{many(missing, 'page')} missing")
    if more > allowed:
        told.append(f"{many(more, 'page')} that no record tells of")
    if backward:
        told.append(f"{many(backward, 'page')} out of order")
    if own and not told:
        places = Counter(zip(items, numbers, offsets, strict=True))
        moved = (places - Counter((page.item, page.number, page.at) for page in pages)).total()
        if moved:
            told.append(f"{many(moved, 'page')} not where they were recorded")
    told += _texts(pages, given) + _foreign(case, lines, pages)
    return [f"{name} does not hold what was recorded: {', '.join(told)}"] if told else []


def _texts(pages: Sequence[Page], given: Mapping[int, int]) -> list[str]:
    wrong = sum(
        page.text is not None and page.item in given
        and given[page.item] not in _sums(page.item, page.text)
        for page in pages
    )  # fmt: skip
    return [f"{many(wrong, 'page')} with another text than the job has"] if wrong else []


def _sums(item: int, text: str) -> Iterator[int | float]:
    """Yield the checksums that a job with this text may have: CRC-32, as its sender makes it."""
    yield zlib.crc32(text.encode(errors=ANY_BYTE) + (item & _NAME).to_bytes(8, "little"))
    # A message that is a text and nothing else: printed escaped, without the end of its line.
    try:
        plain = text.encode().decode("unicode_escape")
        yield zlib.crc32(plain.encode())
        yield zlib.crc32(f"{plain}\n".encode())
    except UnicodeError:
        return


def _foreign(case: Case, lines: Sequence[str], pages: Sequence[Page]) -> list[str]:
    """Tell of what is no page, where nobody could have left it."""
    full = any(fault.kind == "disk_full" for fault in case.plan.faults)
    if full or unseen.programs(case.plan):
        return []
    told = []
    others = len(lines) - 1 - sum(page.text is not None for page in pages)
    if others > 0:
        told.append(f"{many(others, 'line')} that {'is' if others == 1 else 'are'} no page")
    if lines and lines[-1]:
        told.append("its last line has no end")
    return told
