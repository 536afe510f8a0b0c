"""Semaphore: deadlines that hold, waits that can be given up, and never a reset on opening."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
import sysv_ipc

from common import names
from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel import libc
from common.kernel.objects import Maker
from common.kernel.sysv import Semaphore
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork, Signpost

SHORT = 0.15
Posts = Callable[[], Signpost]


def test_opening_never_resets_a_live_semaphore(maker: Maker, wait: Wait) -> None:
    """With IPC_CREAT sysv_ipc would set it back to 0."""
    key = maker.sysv_sem(7)
    assert Semaphore(key, wait, "slots").value == 7
    assert Semaphore(key, wait, "slots").value == 7


def test_opening_never_makes_one(kernel_clean: None, wait: Wait) -> None:
    """What was not made by the launcher is missing, and stays missing."""
    key = names.new_key()
    for _ in range(2):
        with pytest.raises(ObjectVanished, match="slots"):
            Semaphore(key, wait, "slots")


def test_wait_and_post_count(maker: Maker, wait: Wait) -> None:
    """Two posts are two waits."""
    semaphore = Semaphore(maker.sysv_sem(0), wait, "items")
    semaphore.post()
    semaphore.post()
    assert semaphore.value == 2
    assert semaphore.wait()
    assert semaphore.wait()
    assert semaphore.value == 0


def test_a_wait_in_vain_ends_at_its_deadline(maker: Maker) -> None:
    """Whatever the package's build does with timeouts; both kinds of wait name the semaphore."""
    semaphore = Semaphore(maker.sysv_sem(0), Wait(SHORT), "items")
    with pytest.raises(WaitExpired, match="items"):
        semaphore.wait()
    semaphore.post()
    with pytest.raises(WaitExpired, match="items"):
        semaphore.wait_zero()


def test_everybody_at_a_gate_passes_when_it_opens(
    maker: Maker, wait: Wait, fork: Fork, signpost: Posts
) -> None:
    """Wait-for-zero lets all through at once and takes nothing."""
    key, told = maker.sysv_sem(1), signpost()

    def stand() -> None:
        patience = Wait(PATIENCE, lambda what: told.show("w") if what else None)
        Semaphore(key, patience, "the gate").wait_zero()

    children = [fork(stand) for _ in range(5)]
    for _ in children:
        told.see("w")
    gate = Semaphore(key, wait, "the gate")
    gate.wait()
    assert [child.ended() for child in children] == [0] * 5
    assert gate.value == 0


def test_who_stands_at_a_gate_does_not_wake_at_every_tick(
    maker: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call for the whole wait: a thousand that wake take the time in which others start."""
    asked: list[float | None] = []
    real = libc.semtimedop

    def noted(semid: int, operations: list[tuple[int, int, int]], seconds: float | None) -> bool:
        asked.append(seconds)
        return real(semid, operations, seconds)

    monkeypatch.setattr(libc, "semtimedop", noted)
    Semaphore(maker.sysv_sem(0), Wait(1000.0), "the gate").wait_zero()
    (seconds,) = asked
    assert seconds is not None
    assert 500 < seconds <= 1000


def test_one_who_finishes_drains_what_is_there_and_then_gives_up(maker: Maker) -> None:
    """Finishing never leaves an item behind, and never waits for one more."""
    wait = Wait(PATIENCE)
    semaphore = Semaphore(maker.sysv_sem(2), wait, "items", drains=True)
    wait.finishing = True
    assert semaphore.wait() is True
    assert semaphore.wait() is True
    assert semaphore.wait() is False
    assert semaphore.value == 0


def test_only_a_draining_wait_gives_up(maker: Maker) -> None:
    """Others stand by their deadline although the process was told to finish."""
    wait = Wait(SHORT)
    wait.finishing = True
    with pytest.raises(WaitExpired):
        Semaphore(maker.sysv_sem(0), wait, "slots").wait()


def test_the_request_to_finish_reaches_one_who_stands(
    maker: Maker, fork: Fork, signpost: Posts
) -> None:
    """A signal during the wait ends it, with False, long before its deadline."""
    key, told = maker.sysv_sem(0), signpost()

    def stand() -> None:
        wait = Wait(PATIENCE * 10, lambda what: told.show("w") if what else None)

        def finish(*_: object) -> None:
            wait.finishing = True

        signal.signal(signal.SIGTERM, finish)
        assert Semaphore(key, wait, "items", drains=True).wait() is False

    child = fork(stand)
    told.see("w")
    child.kill(signal.SIGTERM)
    assert child.ended() == 0


def test_removal_is_told_by_every_call(maker: Maker, wait: Wait) -> None:
    """An error about the object, never one about a system call."""
    semaphore = Semaphore(maker.sysv_sem(0), wait, "items")
    maker.remove_all()
    calls: list[Callable[[], object]] = [
        semaphore.wait,
        semaphore.stand,
        semaphore.post,
        semaphore.wait_zero,
        lambda: semaphore.value,
    ]
    for call in calls:
        with pytest.raises(ObjectVanished, match="items"):
            call()


def test_a_full_semaphore_refuses_one_more(maker: Maker, wait: Wait) -> None:
    """SEMVMX is an error with a name."""
    semaphore = Semaphore(maker.sysv_sem(sysv_ipc.SEMAPHORE_VALUE_MAX), wait, "items")
    with pytest.raises(KernelObjectError, match="greatest"):
        semaphore.post()


@pytest.mark.parametrize("undo", [True, False])
def test_undo_gives_back_at_the_end_of_the_process_and_is_off_by_default(
    maker: Maker, wait: Wait, fork: Fork, undo: bool
) -> None:
    """The process ends well: undo does not ask why."""
    key = maker.sysv_sem(1)
    options = {"undo": True} if undo else {}
    assert fork(lambda: Semaphore(key, wait, "lock", **options).wait()).ended() == 0
    assert Semaphore(key, wait, "lock").value == int(undo)


def test_undo_on_a_counting_semaphore_takes_a_producers_item_back(
    maker: Maker, wait: Wait, fork: Fork
) -> None:
    """Why undo is for locks only: the item is in the buffer, its post is gone."""
    key = maker.sysv_sem(0)
    assert fork(lambda: Semaphore(key, wait, "items", undo=True).post()).ended() == 0
    assert Semaphore(key, wait, "items").value == 0


def test_a_wait_for_a_free_semaphore_publishes_nothing(maker: Maker) -> None:
    """The hot path tells nobody anything."""
    said: list[str] = []
    semaphore = Semaphore(maker.sysv_sem(1), Wait(PATIENCE, said.append), "slots")
    semaphore.wait()
    semaphore.post()
    assert said == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_a_semaphore_of_another_user_is_not_permitted(maker: Maker, wait: Wait, fork: Fork) -> None:
    """Mode 0600 holds, and the message says so."""
    key = maker.sysv_sem(1)

    def intrude() -> None:
        os.setresuid(65534, 65534, 65534)
        with pytest.raises(KernelObjectError):
            Semaphore(key, wait, "lock").wait()

    assert fork(intrude).ended() == 0
