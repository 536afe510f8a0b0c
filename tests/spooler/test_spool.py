"""A spool on disk: what was accepted stays, and what the journal says is done."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from common.kernel.objects import Maker
from common.kernel.spool import INCOMING, journal, making
from tests.conftest import Fork
from tests.spooler.spools import body, dying, lay, opened, put, states, written

ACCEPTING = ("spool", "sync", "accept", "move")


@pytest.mark.parametrize("step", ACCEPTING)
def test_a_spooler_killed_at_any_step_leaves_the_job_to_be_sent_again(
    step: str, maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """Killed before its answer, it has the job or not; the same job sent again is there once."""
    address = lay(maker, tmp_path / "run")
    first = fork(lambda: put(opened(address, at=dying(step)), 7))
    assert first.ended() == -signal.SIGKILL
    # Only a line that is in the journal makes a job an accepted one, killed before its rename too.
    spool = opened(address)
    assert spool.accept(7, body(7), 0, held=False) is (step != "move")
    assert states(address) == {7: "pending"}
    assert [line["job"] for line in written(address)] == [7]
    spool.close()


def test_a_job_that_is_there_is_accepted_again_without_a_second_copy(
    maker: Maker, tmp_path: Path
) -> None:
    """Whatever its state is by now."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    put(spool, 1)
    assert not spool.accept(1, body(1), 0, held=False)
    entry = spool.claim().entry
    assert entry is not None
    assert not spool.accept(1, body(1), 0, held=False)
    assert spool.finish(entry, "completed", "printed") is not None
    assert not opened(address, "another").accept(1, body(1), 0, held=False)
    assert states(address) == {1: "completed"}


def test_an_accepted_job_is_whole_on_disk(maker: Maker, tmp_path: Path) -> None:
    """Its file holds it, the journal knows it, and nothing lies where jobs come in."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    put(spool, 5)
    (entry,) = spool.every()
    assert spool.body(entry) == body(5)
    assert written(address)[0]["to"] == entry.path
    assert list((Path(address["path"]) / INCOMING).iterdir()) == []


def test_fsync_comes_before_the_job_can_be_seen(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file, then the journal's line, then the rename, then the directory: in this order."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    done: list[str] = []
    fsync, rename = os.fsync, os.rename

    def synced(fd: int) -> None:
        name = Path(f"/proc/self/fd/{fd}").readlink().name
        done.append(f"fsync {name}")
        fsync(fd)

    def renamed(source: str, target: str, **where: int) -> None:
        done.append("rename")
        rename(source, target, **where)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    put(spool, 11)
    assert done == ["fsync b", "fsync journal", "rename", "fsync pending"]


@pytest.mark.parametrize("promise", ["at_least_once", "at_most_once"])
def test_a_claim_is_on_disk_where_it_must_never_be_made_again(
    promise: str, maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most once needs it before the first page; at least once does not."""
    spool = opened(lay(maker, tmp_path / "run", promise=promise))
    put(spool, 1)
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert spool.claim().entry is not None
    assert bool(synced) is (promise == "at_most_once")


@pytest.mark.parametrize("move", [2, 3])
@pytest.mark.parametrize("promise", ["at_least_once", "at_most_once"])
def test_a_move_that_is_in_the_journal_is_made_by_whoever_comes_next(
    promise: str, move: int, maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """Killed between line and rename, at the claim or at the end: journal and directory agree."""
    address = lay(maker, tmp_path / "run", promise=promise)

    def work() -> None:
        spool = opened(address, at=dying("move", move))
        put(spool, 1)
        entry = spool.claim().entry
        assert entry is not None
        spool.finish(entry, "completed", "printed")

    assert fork(work).ended() == -signal.SIGKILL
    spool = opened(address)
    spool.every()
    assert states(address) == {1: written(address)[-1]["to"].partition("/")[0]}
    entry = spool.claim().entry
    if move == 3:
        assert (entry, states(address)) == (None, {1: "completed"})
    elif promise == "at_least_once":
        assert entry is not None
        assert entry.claims == 2
    else:
        assert (entry, states(address)) == (None, {1: "aborted"})


def test_half_a_line_in_the_journal_is_cut_off(maker: Maker, tmp_path: Path) -> None:
    """A full disk cut it: what it was to say has not been done, and the next line is whole."""
    address = lay(maker, tmp_path / "run")
    put(opened(address), 1)
    path = Path(address["path"]) / journal.NAME
    with path.open("ab") as file:
        file.write(b'{"job":1,"from":"pend')
    spool = opened(address)
    assert spool.claim().entry is not None
    assert [line["why"] for line in written(address)] == ["accepted", "claimed"]
    assert path.read_bytes().count(b"\n") == 3


def test_what_lies_in_it_in_the_end_is_told(maker: Maker, tmp_path: Path, fork: Fork) -> None:
    """The launcher lists it after the last move was made, were its maker killed or not."""
    address = lay(maker, tmp_path / "run")
    put(opened(address), 1)
    killed = fork(lambda: put(opened(address, at=dying("move")), 2))
    assert killed.ended() == -signal.SIGKILL
    found = making.listing(address)
    assert [(each["job"], each["state"]) for each in found["jobs"]] == [
        (1, "pending"),
        (2, "pending"),
    ]
    assert found["journal"] == (Path(address["path"]) / journal.NAME).stat().st_size
