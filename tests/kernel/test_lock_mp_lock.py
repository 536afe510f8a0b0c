"""What only Python's own lock does: its release needs no owner, and is refused when it is free."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from common.errors import KernelObjectError
from common.kernel.locks import mp_lock
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import Fork
from tests.launching import launch


def test_it_is_multiprocessings_own(maker: Maker, wait: Wait) -> None:
    """Kind and greatest value are those of the object that Python makes itself."""
    own = multiprocessing.get_context("fork").Lock()._semlock  # type: ignore[attr-defined]
    assert (own.kind, own.maxvalue) == (mp_lock.KIND, mp_lock.GREATEST)


def test_any_process_may_give_it_back(maker: Maker, wait: Wait, fork: Fork) -> None:
    """By the bare call: no owner is looked at; where it is free it is refused."""
    address = mp_lock.make(mp_lock.Options(), maker)
    lock = mp_lock.attach(address, wait, "the till")
    lock.acquire()

    def give() -> None:
        bare = mp_lock.attach(address, wait, "the till").quick.give
        assert bare is not None
        bare()

    assert fork(give).ended() == 0
    assert mp_lock.value(address) == 1
    with pytest.raises(KernelObjectError, match="the till: released, but it was free"):
        lock.release()
    lock.close()


@pytest.mark.parametrize("spawn", ["fork", "exec"])
def test_processes_of_a_run_open_it_however_they_are_started(spawn: str, tmp_path: Path) -> None:
    """A forked one, and a program of its own."""
    done = launch(
        "run", "exchange/lost_update", "--variant", "locked", "--set", "table.lock=mp_lock",
        "--set", f"spawn={spawn}", "--json", "--out", str(tmp_path),
    )  # fmt: skip
    assert done.status == 0, done.err
    assert done.document["verdict"] == "valid"
