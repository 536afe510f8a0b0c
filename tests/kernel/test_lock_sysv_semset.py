"""What only a set knows: many semaphores under one key."""

from __future__ import annotations

import pytest

from common.errors import MachineError
from common.kernel import limits
from common.kernel.libc import semaphores, sysv_calls
from common.kernel.locks import sysv_semset
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork


def test_all_rows_are_one_set(maker: Maker) -> None:
    """Of as many semaphores as there are rows, each of value 1, for this user only."""
    rows = sysv_semset.make_rows(sysv_semset.Options(), 5, maker)
    [key] = {row["key"] for row in rows}
    set_id = semaphores.set_id(key)
    status = sysv_calls.sem_stat(set_id)
    assert (status.nsems, status.owner.mode) == (5, 0o600)
    assert sysv_calls.sem_values(set_id) == [1] * 5


def test_rows_of_different_sets_are_not_taken_at_once(maker: Maker, wait: Wait) -> None:
    """One semop(2) is about one set: refused when it is asked for, not when it is done."""
    two = [sysv_semset.make(sysv_semset.Options(), maker) for _ in range(2)]
    locks = [sysv_semset.attach(address, wait, "the till") for address in two]
    with pytest.raises(ValueError, match="not of one set"):
        sysv_semset.together(locks)


def test_the_same_row_twice_is_that_row(maker: Maker, wait: Wait) -> None:
    """Taken twice in one operation it would wait for itself."""
    rows = sysv_semset.make_rows(sysv_semset.Options(), 2, maker)
    locks = [sysv_semset.attach(rows[row], wait, f"row {row}") for row in (1, 0, 1)]
    both = sysv_semset.together(locks)
    both.acquire()
    assert [sysv_semset.value(row) for row in rows] == [0, 0]
    both.release()
    assert [sysv_semset.value(row) for row in rows] == [1, 1]


def test_a_reset_clears_what_the_kernel_would_take_back(
    maker: Maker, wait: Wait, fork: Fork
) -> None:
    """A holder that ends after a reset does not make it 2 (semctl(2), SETVAL clears semadj)."""
    [address] = sysv_semset.make_rows(sysv_semset.Options(), 1, maker)

    def hold() -> None:
        sysv_semset.attach(address, wait, "the till").acquire()
        sysv_semset.reset(address)

    assert fork(hold).ended() == 0
    assert sysv_semset.value(address) == 1


def test_a_set_that_the_kernel_refuses_is_an_error_that_leaves_nothing(maker: Maker) -> None:
    """More semaphores than a set may have (semmsl): said, and no object of the run's is missed."""
    most = limits.sem()[0]
    with pytest.raises(MachineError, match="refuses a sysv_sem"):
        maker.sysv_sem(1, count=most + 1)
    assert maker.objects() == []
    assert maker.missing() == []


def test_a_set_whose_values_are_refused_is_removed_again(maker: Maker) -> None:
    """It exists before it has values: a value too large must not leave it behind."""
    with pytest.raises(MachineError):
        maker.sysv_sem(40_000, count=3)
    assert maker.objects() == maker.leaks() == []
