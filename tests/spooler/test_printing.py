"""A page is printed whole, or its printing failed: a disk that takes a part of it is told."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from common.process.context import Context
from spooler.messages import Job
from spooler.printing import page_printer

JOB = Job(b"abcdefghijklmnopqrstuvwxyz", 0, 3, 1)
PAGE = "[job 000000000001 page {}/3] abcdefghijklmnopqrstuvwxyz\n"
LENGTH = len(PAGE.format(1))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let a file of this process grow to ``size`` bytes only: a write beyond it is short."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class Desk:
    """A printer's paper, and the pages that it recorded: where each begins, and its length."""

    def __init__(self, path: Path, lock: str | None) -> None:
        self.path = path
        self.records: list[tuple[float, float]] = []
        paper = None if lock is None else {"path": str(path), "lock": {"kind": lock}}
        context: Any = SimpleNamespace(
            index=1, addresses={"paper": paper}, clock=lambda: 0,
            begin=lambda *_: 0, end=lambda *cells: self.records.append(cells[2:4]),
        )  # fmt: skip
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self.paper = os.open(path, flags, 0o600)
        self.print_page = page_printer(cast("Context", context), self.paper)


@pytest.fixture
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    """Yield the desk of a printer with a paper of its own, or of one with a lock of this kind."""
    found = Desk(tmp_path / "paper.txt", getattr(request, "param", None))
    yield found
    os.close(found.paper)


@pytest.mark.parametrize("desk", [None, "posix_sem"], indirect=True, ids=["own", "locked"])
def test_a_page_that_the_disk_cuts_fails_and_is_taken_off_the_paper(desk: Desk) -> None:
    """Nobody else prints meanwhile: no half page stays, and none is recorded."""
    with room_for(LENGTH + 30):
        desk.print_page(JOB, 1)
        with pytest.raises(OSError, match="File too large") as failed:
            desk.print_page(JOB, 2)
    assert failed.value.errno == errno.EFBIG
    assert desk.path.read_text() == PAGE.format(1)
    assert desk.records == [(0.0, LENGTH)]
    desk.print_page(JOB, 2)
    assert desk.path.read_text() == PAGE.format(1) + PAGE.format(2)


@pytest.mark.parametrize("desk", ["none"], indirect=True)
def test_a_paper_without_a_lock_is_not_cut(desk: Desk) -> None:
    """What another printed behind the half page meanwhile would be cut with it."""
    with room_for(30), pytest.raises(OSError, match="File too large"):
        desk.print_page(JOB, 1)
    assert desk.path.read_text() == PAGE.format(1)[:30]
    assert desk.records == []


def test_a_page_that_was_written_in_two_parts_is_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room came between the two: the page is one, and is recorded as one."""
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:40]))
    desk.print_page(JOB, 1)
    monkeypatch.undo()
    assert desk.path.read_text() == PAGE.format(1)
    assert desk.records == [(0.0, LENGTH)]
