"""A spool that outlives its run: the next one finds all that the last one left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from common.errors import KernelObjectError, NotPermitted, ObjectExists, ObjectVanished
from common.kernel.objects import Maker
from common.kernel.spool import journal
from tests.conftest import Fork
from tests.spooler.spools import dying, lay, opened, put, states, written


def test_the_next_run_finds_what_the_last_one_left(
    maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """Pending, held and half printed jobs; no new job is called, or stands in line, like an old."""
    address = lay(maker, tmp_path / "first", "spool")
    spool = opened(address)
    put(spool, 1, 2, 3)
    put(spool, 4, held=True)

    def die() -> None:
        assert opened(address, at=dying("move", 2)).claim().entry is not None
        put(opened(address, at=dying("accept")), 5)

    assert fork(die).ended() == -signal.SIGKILL
    spool.close()
    maker.remove_all()
    later = lay(maker, tmp_path / "second", "spool")
    assert later["first"] == 5
    assert states(later) == {1: "processing", 2: "pending", 3: "pending", 4: "held"}
    found = [line for line in written(later) if line["why"] == "found"]
    assert sorted(line["job"] for line in found) == [1, 2, 3, 4]
    again = opened(later)
    put(again, 6)
    taken = []
    while (entry := again.claim().entry) is not None:
        taken.append(entry.item)
        again.finish(entry, "completed", "printed")
    assert taken == [1, 2, 3, 6]
    # The first run's journal is as it was, in its own directory.
    lines = journal.read(tmp_path / "first" / journal.STORED)
    assert [line["why"] for line in lines[1:]] == ["accepted"] * 4 + ["claimed"]


def test_no_new_job_stands_before_what_the_last_run_left(maker: Maker, tmp_path: Path) -> None:
    """However long the last journal was, and however short the new one is."""
    spool = opened(lay(maker, tmp_path / "first", "spool"))
    put(spool, *range(1, 31))
    for _ in range(29):
        entry = spool.claim().entry
        assert entry is not None
        spool.finish(entry, "completed", "printed")
    spool.close()
    maker.remove_all()
    later = opened(lay(maker, tmp_path / "second", "spool"))
    put(later, 31)
    entry = later.claim().entry
    assert entry is not None
    assert entry.item == 30


def test_the_last_runs_last_move_is_made_by_the_next(
    maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """The whole run was killed between a line and its rename."""
    address = lay(maker, tmp_path / "first", "spool")
    assert fork(lambda: put(opened(address, at=dying("move")), 1)).ended() == -signal.SIGKILL
    assert states(address) == {}
    maker.remove_all()
    assert states(lay(maker, tmp_path / "second", "spool")) == {1: "pending"}


def test_one_run_at_a_time_has_a_lasting_spool(maker: Maker, tmp_path: Path) -> None:
    """Another one is refused, with who has it."""
    lay(maker, tmp_path / "first", "spool")
    maker.patience = 0.0
    with pytest.raises(ObjectExists, match=f"held by another run .process {os.getpid()}"):
        lay(maker, tmp_path / "second", "spool")


def test_whoever_has_an_old_journal_open_is_refused(maker: Maker, tmp_path: Path) -> None:
    """A person at the shell, or a straggler of the last run, cannot move the next run's jobs."""
    straggler = opened(lay(maker, tmp_path / "first", "spool"))
    put(straggler, 1)
    maker.remove_all()
    later = lay(maker, tmp_path / "second", "spool")
    with pytest.raises(ObjectVanished, match="another run has it"):
        straggler.change(1, "hold")
    assert states(later) == {1: "pending"}


@pytest.mark.parametrize("planted", ["link", "file", "part"])
def test_what_is_no_spool_of_ours_is_refused(planted: str, maker: Maker, tmp_path: Path) -> None:
    """A link in its place, a file, or a file where a state should be; the victim is untouched."""
    victim = tmp_path / "victim"
    victim.mkdir()
    path = tmp_path / "spool"
    if planted == "link":
        path.symlink_to(victim)
    elif planted == "file":
        path.write_text("mine")
    else:
        path.mkdir()
        (path / "held").write_text("mine")
    with pytest.raises((NotPermitted, KernelObjectError)):
        lay(maker, tmp_path / "run", "spool")
    assert list(victim.iterdir()) == []
    if planted != "link":
        assert (path if planted == "file" else path / "held").read_text() == "mine"


@pytest.mark.parametrize("path", ["/etc", "../out", "a/../../b"])
def test_a_path_out_of_the_runs_is_refused(path: str, maker: Maker, tmp_path: Path) -> None:
    """Whatever it leads to."""
    with pytest.raises(KernelObjectError, match="is not inside"):
        lay(maker, tmp_path / "run", path)
