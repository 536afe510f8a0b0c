"""Every lock through one contract: a new kind is one file, and is tested by being there."""

from __future__ import annotations

import dataclasses
import itertools
import mmap
import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import pytest

from common import kinds
from common.errors import KernelObjectError, ObjectVanished, WaitExpired
from common.kernel.locks import Lock
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork, Signpost, limited

# Seconds until a wait that must be in vain is given up.
SHORT = 0.15
Posts = Callable[[], Signpost]


class Case(NamedTuple):
    """A kind of lock with one setting of its options."""

    kind: str
    options: dict[str, bool]

    @property
    def module(self) -> Any:
        return kinds.load(kinds.LOCKS, self.kind)


def cases() -> Iterator[Any]:
    for kind in kinds.names(kinds.LOCKS):
        fields = dataclasses.fields(kinds.load(kinds.LOCKS, kind).Options)
        switches = [field.name for field in fields if isinstance(field.default, bool)]
        for values in itertools.product((True, False), repeat=len(switches)):
            options = dict(zip(switches, values, strict=True))
            words = [f"{name}={value}" for name, value in options.items()]
            yield pytest.param(Case(kind, options), id="-".join([kind, *words]))


ALL = list(cases())
EXCLUDING = [case for case in ALL if case.values[0].module.EXCLUDES]


class Opener(NamedTuple):
    """Opens the lock of a test, as often as it is asked to: each is a holder of its own."""

    case: Case
    address: dict[str, Any]

    def __call__(self, wait: Wait | None = None) -> Lock:
        lock: Lock = self.case.module.attach(self.address, wait or Wait(PATIENCE), "the till")
        return lock


@pytest.fixture
def opener(request: pytest.FixtureRequest, maker: Maker) -> Opener:
    case: Case = request.param
    return Opener(case, case.module.make(case.module.Options(**case.options), maker))


def shut(opener: Opener) -> bool:
    """Say whether the lock is held by somebody, as a newcomer finds out."""
    lock = opener(Wait(SHORT))
    try:
        lock.acquire()
    except WaitExpired:
        return True
    lock.release()
    return False


def shared_integers(count: int) -> memoryview:
    return memoryview(mmap.mmap(-1, count * 8)).cast("q")


@pytest.mark.parametrize("opener", ALL, indirect=True)
def test_a_lock_makes_what_it_is_counted_for(opener: Opener, maker: Maker) -> None:
    """The machine is asked for just these before the run."""
    assert limited(maker) == opener.case.module.OBJECTS


@pytest.mark.parametrize("opener", ALL, indirect=True)
def test_a_lock_that_is_held_keeps_everybody_else_out_and_only_none_does_not(
    opener: Opener,
) -> None:
    """A second holder's deadline passes; the exemption is the module's own word."""
    holder = opener()
    holder.acquire()
    assert shut(opener) is opener.case.module.EXCLUDES
    holder.release()
    assert not shut(opener)


@pytest.mark.parametrize("opener", ALL, indirect=True)
def test_a_lock_tells_what_it_stands_at(opener: Opener) -> None:
    """1 when it is free and 0 when it is held; given back twice it says so, and no lock nothing."""
    value, module = opener.case.module.value, opener.case.module
    holder = opener()
    free, held, freed = (1, 0, 2) if module.EXCLUDES else (None, None, None)
    assert value(opener.address) == free
    holder.acquire()
    assert value(opener.address) == held
    for give in (holder.release, holder.quick.give or holder.release):
        give()
    assert value(opener.address) == freed


def test_a_lock_that_is_gone_stands_at_nothing(maker: Maker) -> None:
    """Whoever asks afterwards learns that there is no value, and no error comes of it."""
    for kind in kinds.names(kinds.LOCKS):
        module = kinds.load(kinds.LOCKS, kind)
        address = module.make(module.Options(), maker)
        maker.remove_all()
        assert module.value(address) is None


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_never_two_processes_are_inside(opener: Opener, fork: Fork) -> None:
    """Each process marks its own cell inside, gives the processor away, and looks at the others."""
    workers, rounds = 4, 150
    inside, total = shared_integers(workers), shared_integers(1)

    def work(me: int) -> None:
        lock = opener()
        for _ in range(rounds):
            lock.acquire()
            inside[me] = 1
            before = total[0]
            os.sched_yield()
            assert sum(inside) == 1
            total[0] = before + 1
            inside[me] = 0
            lock.release()

    children = [fork(partial(work, me)) for me in range(workers)]
    assert [child.ended() for child in children] == [0] * workers
    assert total[0] == workers * rounds


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_the_deadline_of_a_wait_is_kept_and_names_the_lock(opener: Opener) -> None:
    """It arrives also where the package was built to ignore timeouts, as sysv_ipc's wheel is."""
    opener().acquire()
    with pytest.raises(WaitExpired, match="the till") as caught:
        opener(Wait(SHORT)).acquire()
    assert caught.value.seconds == SHORT


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_a_process_says_what_it_waits_for_only_while_it_waits(opener: Opener) -> None:
    """A free lock publishes nothing; a held one its name, and "" when the wait is over."""
    said: list[str] = []
    holder = opener(Wait(PATIENCE, said.append))
    holder.acquire()
    assert said == []
    with pytest.raises(WaitExpired):
        opener(Wait(SHORT, said.append)).acquire()
    assert said == ["the till", ""]


def standing_child(
    fork: Fork, opener: Opener, posts: Posts, before: Callable[[Signpost], object] | None = None
) -> tuple[Any, Signpost, Signpost]:
    """Start a child that blocks on the lock (w), says when it has it (h), and may go on (g)."""
    told, may = posts(), posts()

    def work() -> None:
        if before is not None:
            before(told)
        lock = opener(Wait(PATIENCE, lambda what: told.show("w") if what else None))
        lock.acquire()
        told.show("h")
        may.see("g")
        lock.release()

    return fork(work), told, may


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_a_release_wakes_the_one_who_waits(opener: Opener, fork: Fork, signpost: Posts) -> None:
    """The waiter was seen to block, and has the lock after the release."""
    mine = opener()
    mine.acquire()
    child, told, may = standing_child(fork, opener, signpost)
    told.see("w")
    mine.release()
    told.see("h")
    assert shut(opener)
    may.show("g")
    assert child.ended() == 0
    assert not shut(opener)


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_signals_during_a_wait_neither_lose_nor_double_the_acquisition(
    opener: Opener, fork: Fork, signpost: Posts
) -> None:
    """Each signal is handled while the lock is held elsewhere; then it is acquired exactly once."""
    mine = opener()
    mine.acquire()

    def handle(told: Signpost) -> None:
        signal.signal(signal.SIGUSR1, lambda *_: told.show("s"))

    child, told, may = standing_child(fork, opener, signpost, handle)
    told.see("w")
    for _ in range(20):
        child.kill(signal.SIGUSR1)
        told.see("s")
    mine.release()
    told.see("h")
    assert shut(opener)
    may.show("g")
    assert child.ended() == 0
    mine.acquire()
    assert shut(opener)


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_what_was_not_acquired_cannot_be_released_and_the_value_is_never_two(
    opener: Opener,
) -> None:
    """Refused before any acquisition, after a release, and after a wait in vain."""
    first, second = opener(), opener(Wait(SHORT))
    with pytest.raises(KernelObjectError, match="the till"):
        first.release()
    first.acquire()
    first.release()
    with pytest.raises(KernelObjectError, match="does not hold"):
        first.release()
    first.acquire()
    with pytest.raises(WaitExpired):
        second.acquire()
    with pytest.raises(KernelObjectError):
        second.release()
    assert shut(opener)


@pytest.mark.parametrize("opener", EXCLUDING, indirect=True)
def test_removal_from_outside_is_told_where_the_kernel_tells(
    opener: Opener, maker: Maker, fork: Fork, signpost: Posts
) -> None:
    """A waiter gets ObjectVanished, or, with an unlinked POSIX semaphore, the lock as ever."""
    mine = opener()
    mine.acquire()
    told = signpost()

    def stand() -> None:
        lock = opener(Wait(PATIENCE, lambda what: told.show("w") if what else None))
        try:
            lock.acquire()
        except ObjectVanished:
            told.show("v")
        else:
            told.show("h")

    child = fork(stand)
    told.see("w")
    maker.remove_all()
    if opener.case.module.TELLS_REMOVAL:
        told.see("v")
        with pytest.raises(ObjectVanished, match="the till"):
            mine.release()
        with pytest.raises(ObjectVanished, match="the till"):
            mine.acquire()
    else:
        mine.release()
        told.see("h")
    assert child.ended() == 0
    with pytest.raises(ObjectVanished, match="the till"):
        opener()


@pytest.mark.parametrize("opener", ALL, indirect=True)
def test_a_hundred_processes_use_one_lock(opener: Opener, fork: Fork) -> None:
    """Each acquires and releases a few times and ends well; the lock is free afterwards."""
    rounds, total = 5, shared_integers(1)

    def work() -> None:
        lock = opener()
        for _ in range(rounds):
            lock.acquire()
            total[0] += 1
            lock.release()
        lock.close()

    children = [fork(work) for _ in range(100)]
    assert [child.ended() for child in children] == [0] * 100
    if opener.case.module.EXCLUDES:
        assert total[0] == 100 * rounds
    assert not shut(opener)


@pytest.mark.parametrize("opener", ALL, indirect=True)
def test_nothing_is_left_behind(opener: Opener, maker: Maker) -> None:
    """Used, closed and removed, it is nowhere to be found, though a handle was still open."""
    lock = opener()
    lock.acquire()
    maker.remove_all()
    assert maker.objects() == []
    assert maker.leaks() == []


@pytest.mark.parametrize(
    ("opener", "freed"),
    [
        pytest.param(Case("sysv_sem", {"undo": True}), True, id="sysv_sem-undo"),
        pytest.param(Case("sysv_sem", {"undo": False}), False, id="sysv_sem-no-undo"),
        pytest.param(Case("posix_sem", {}), False, id="posix_sem"),
    ],
    indirect=["opener"],
)
def test_what_a_lock_does_when_its_holder_is_killed(
    opener: Opener, freed: bool, fork: Fork, signpost: Posts
) -> None:
    """With undo the next one gets it; without, every waiter's deadline passes and names it."""
    told, never = signpost(), signpost()

    def hold() -> None:
        opener().acquire()
        told.show("h")
        never.see("g")

    holder = fork(hold)
    told.see("h")
    holder.kill()
    assert holder.ended() == -signal.SIGKILL
    for _ in range(3):
        lock = opener(Wait(SHORT))
        if freed:
            lock.acquire()
            lock.release()
        else:
            with pytest.raises(WaitExpired, match="the till"):
                lock.acquire()
