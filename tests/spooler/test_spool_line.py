"""Who takes a job from a spool, and when: each has one state, and changes only as it may."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import KernelObjectError
from common.kernel.objects import Maker
from common.kernel.spool import FINAL, LEGAL, STATES, VERBS
from common.kernel.spool.door import OPEN, SHUT
from common.kernel.sysv import get_value
from tests.conftest import Fork, Signpost
from tests.spooler.spools import dying, lay, opened, put, states, written


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
