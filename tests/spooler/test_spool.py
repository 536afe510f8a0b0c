"""A spool: what was accepted stays, each job has one state, and it changes only as it may."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import KernelObjectError, NotPermitted, ObjectExists, ObjectVanished
from common.kernel.objects import Maker
from common.kernel.spool import FINAL, INCOMING, LEGAL, STATES, VERBS, journal, making
from common.kernel.spool.door import OPEN, SHUT
from common.kernel.sysv import get_value
from tests.conftest import Fork, Signpost
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


def test_many_printers_take_each_job_once(maker: Maker, tmp_path: Path, fork: Fork) -> None:
    """Four processes claim and complete 120 jobs side by side: each is claimed by one of them."""
    address = lay(maker, tmp_path / "run")
    put(opened(address), *range(1, 121))

    def work() -> None:
        spool = opened(address, f"printer {os.getpid()}")
        while (entry := spool.claim().entry) is not None:
            assert spool.finish(entry, "completed", "printed") is not None

    printers = [fork(work) for _ in range(4)]
    assert [each.ended() for each in printers] == [0] * 4
    claims = [line["job"] for line in written(address) if line["why"] == "claimed"]
    assert sorted(claims) == list(range(1, 121))
    assert set(states(address).values()) == {"completed"}


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


@pytest.mark.parametrize(
    ("promise", "state"), [("at_least_once", "processing"), ("at_most_once", "aborted")]
)
def test_what_a_dead_printer_had_is_put_right_as_promised(
    promise: str, state: str, maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """At least once: it is taken again, before what came later; at most once: it is given up."""
    address = lay(maker, tmp_path / "run", promise=promise)
    put(opened(address), 1)

    def claim() -> None:
        assert opened(address).claim().entry is not None

    assert fork(claim).ended() == 0
    assert states(address) == {1: "processing"}
    spool = opened(address)
    put(spool, 2)
    entry = spool.claim().entry
    assert entry is not None
    assert (entry.item, entry.claims) == ((1, 2) if promise == "at_least_once" else (2, 1))
    assert states(address)[1] == state


def test_what_a_living_printer_has_is_left_alone(
    maker: Maker, tmp_path: Path, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """However long it takes; and whoever looks is told that it may come back."""
    address = lay(maker, tmp_path / "run")
    put(opened(address), 1)
    claimed, goes = signpost(), signpost()

    def work() -> None:
        assert opened(address).claim().entry is not None
        claimed.show("c")
        goes.see("g")

    printer = fork(work)
    claimed.see("c")
    look = opened(address).claim()
    assert (look.entry, look.others, look.nothing_left) == (None, True, False)
    assert states(address) == {1: "processing"}
    goes.show("g")
    assert printer.ended() == 0


def test_a_pid_that_is_another_process_by_now_is_a_dead_printer(
    maker: Maker, tmp_path: Path
) -> None:
    """A printer is named by its pid and start time: this process's pid with another start."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    put(spool, 1)
    entry = spool.claim().entry
    assert entry is not None
    lies = Path(address["path"]) / entry.path
    lies.rename(lies.with_name(lies.name.rpartition(".")[0] + ".1"))
    again = opened(address).claim().entry
    assert again is not None
    assert again.claims == 2


def test_the_door_is_open_whenever_a_job_can_be_taken(
    maker: Maker, tmp_path: Path, fork: Fork
) -> None:
    """Who found nothing shut it under the lock; it opens before a job is there, killed or not."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    assert spool.claim().entry is None
    assert get_value(address["jobs"]) == SHUT
    killed = fork(lambda: put(opened(address, at=dying("move")), 1))
    assert killed.ended() == -signal.SIGKILL
    assert get_value(address["jobs"]) == OPEN
    assert spool.claim().entry is not None


def test_a_printer_that_waits_is_woken_by_a_job(
    maker: Maker, tmp_path: Path, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """It sleeps at the shut door; one job comes, and it has it."""
    address = lay(maker, tmp_path / "run")
    waits = signpost()

    def work() -> None:
        spool = opened(address)
        look = spool.claim()
        waits.show("w")
        while look.entry is None:
            spool.await_jobs(look)
            look = spool.claim()
        spool.finish(look.entry, "completed", "printed")

    printer = fork(work)
    waits.see("w")
    put(opened(address), 1)
    assert printer.ended() == 0
    assert states(address) == {1: "completed"}


def test_the_most_urgent_goes_first_and_then_who_came_first(maker: Maker, tmp_path: Path) -> None:
    """Priorities 9 to 0; a retried job stands behind its equals, one to be first before all."""
    spool = opened(lay(maker, tmp_path / "run"))
    put(spool, 1, 2)
    put(spool, 3, priority=9)
    put(spool, 4, priority=4)
    first = spool.claim().entry
    assert first is not None
    spool.finish(first, "pending", "retry", failures=1, last=True)
    taken = []
    while (entry := spool.claim().entry) is not None:
        taken.append(entry.item)
        if taken == [3, 4]:
            spool.finish(entry, "pending", "retry_first", rank=0, failures=1)
        elif entry.item == 1 and entry.failures == 0:
            spool.finish(entry, "pending", "retry", last=True, failures=1)
        else:
            spool.finish(entry, "completed", "printed")
    assert taken == [3, 4, 4, 1, 2, 1]


def test_a_job_in_back_off_is_held_until_its_time(maker: Maker, tmp_path: Path) -> None:
    """It is no pending one; its time comes, and whoever looks then finds it."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    put(spool, 1)
    entry = spool.claim().entry
    assert entry is not None
    spool.finish(entry, "held", "retry", back_off=1000.0)
    look = spool.claim()
    assert (look.entry, look.nothing_left) == (None, False)
    assert look.due is not None
    assert look.due > time.monotonic_ns()
    # As if the time had come: its name says when.
    (held,) = Path(address["path"]).glob("held/*")
    held.rename(held.with_name(held.name.partition("@")[0] + "@1"))
    assert spool.claim().entry is not None


@pytest.mark.parametrize(("state", "verb"), list(itertools.product(STATES, VERBS)))
def test_a_person_moves_a_job_only_as_it_may(
    state: str, verb: str, maker: Maker, tmp_path: Path
) -> None:
    """Each verb in each state: it goes there and is legal, or is refused and nothing moved."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    put(spool, 1, held=state == "held")
    entry = spool.claim().entry
    if state == "canceled":
        spool.change(1, "cancel")
    elif entry is not None and state == "pending":
        spool.finish(entry, "pending", "retry")
    elif entry is not None and state not in ("held", "processing"):
        spool.finish(entry, state, "as the test wants it")
    assert states(address) == {1: state}
    target, possible = VERBS[verb]
    if state in possible:
        spool.change(1, verb)
        assert target in LEGAL[state]
        assert states(address) == {1: target}
    else:
        with pytest.raises(KernelObjectError, match=f"job 1 of .* is {state}: it cannot be"):
            spool.change(1, verb)
        assert states(address) == {1: state}


def test_no_way_leads_out_of_a_final_state(maker: Maker, tmp_path: Path) -> None:
    """A move that is not in the table is refused before anything is written."""
    address = lay(maker, tmp_path / "run")
    spool = opened(address)
    put(spool, 1)
    entry = spool.claim().entry
    assert entry is not None
    done = spool.finish(entry, "completed", "printed")
    assert done is not None
    lines = len(written(address))
    for state in STATES:
        with pytest.raises(KernelObjectError, match="job 1 of tester-0 is completed"):
            spool.finish(done, state, "by mistake")
    assert len(written(address)) == lines
    assert all(LEGAL[state] == () for state in FINAL)


def test_a_canceled_job_is_no_longer_its_printers(maker: Maker, tmp_path: Path) -> None:
    """The printer sees it before the next page, and cannot complete it."""
    spool = opened(lay(maker, tmp_path / "run"))
    put(spool, 1)
    entry = spool.claim().entry
    assert entry is not None
    assert spool.has(entry)
    spool.change(1, "cancel")
    assert not spool.has(entry)
    assert spool.finish(entry, "completed", "printed") is None


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


# The next run


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
