"""A C trader takes every lock that lab.h knows, beside ours and in either order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiled import needs_compiler
from tests.contrib.building import (
    ONE_PURCHASE,
    exact,
    harm,
    ours,
    process,
    run,
    scenario,
    theirs,
    walk,
)  # fmt: skip

pytestmark = needs_compiler

KINDS = (
    "sysv_sem", "sysv_semset", "posix_sem", "posix_sem_unnamed", "pthread_mutex", "robust_mutex",
    "rwlock", "spinlock", "record_lock", "ofd_lock", "flock", "lock_file", "mp_lock",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_has_it_the_other_waits(kind: str, programs: Path, tmp_path: Path) -> None:
    """Every order of a purchase of theirs and one of ours is walked: two, and neither does harm."""
    path = scenario(
        tmp_path, theirs(programs / "trader", **ONE_PURCHASE), ours(**ONE_PURCHASE),
        table={"store": "sysv_shm", "lock": kind},
    )  # fmt: skip
    assert harm(walk(path, tmp_path)) == (2, {})


@pytest.mark.parametrize(
    ("kind", "granularity"),
    [*((kind, "table") for kind in KINDS), ("sysv_semset", "row"), ("rwlock", "row"),
     ("record_lock", "row"), ("flock", "row")],
)  # fmt: skip
def test_trading_freely_nothing_is_lost(
    kind: str, granularity: str, programs: Path, tmp_path: Path
) -> None:
    """The balance sheet is exact and each record judged, with a lock for all rows and for each."""
    path = scenario(
        tmp_path,
        theirs(programs / "trader", operations=40), ours(operations=40),
        table={"store": "sysv_shm", "lock": kind, "granularity": granularity},
        delays={"write": {"sleep_us": 300}},
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert document["operations"] == 80


@pytest.mark.parametrize("store", ["posix_shm", "mmap_file", "plain_file"])
def test_every_table(store: str, programs: Path, tmp_path: Path) -> None:
    """A table in a POSIX object, in a mapped file, and in one that is read by calls."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=20), ours(operations=20),
        table={"store": store, "lock": "sysv_sem"},
    )  # fmt: skip
    exact(run(path, tmp_path))


def test_a_dead_owner_of_ours_is_told_to_theirs(programs: Path, tmp_path: Path) -> None:
    """The C trader is told EOWNERDEAD, makes the mutex consistent, and goes on."""
    path = scenario(
        tmp_path, ours(operations=1), theirs(programs / "trader", operations=5),
        table={"store": "sysv_shm", "lock": "robust_mutex"},
        faults=[
            {"kind": "kill", "process": "ours-0", "step": "write", "at": 1},
            # It does not come to the lock before the other one has died with it.
            {"kind": "slow", "process": "theirs-0", "step": "acquire", "at": 1, "seconds": 0.5},
        ],
    )  # fmt: skip
    document = run(path, tmp_path)
    assert process(document, "ours-0")["signal"] == 9
    assert process(document, "theirs-0")["summary"]["recovered"] == 1
    assert process(document, "theirs-0")["exit"] == 0


def test_a_dead_owner_of_theirs_is_told_to_ours(programs: Path, tmp_path: Path) -> None:
    """The C trader dies between read and write: ours is told, and trades on."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=1), ours(operations=5),
        table={"store": "sysv_shm", "lock": "robust_mutex"},
        faults=[
            {"kind": "kill", "process": "theirs-0", "step": "write", "at": 1},
            {"kind": "slow", "process": "ours-0", "step": "acquire", "at": 1, "seconds": 0.5},
        ],
    )  # fmt: skip
    document = run(path, tmp_path)
    assert process(document, "theirs-0")["signal"] == 9
    assert process(document, "ours-0")["summary"]["recovered"] == 1


def test_a_wait_ends_and_names_the_lock(programs: Path, tmp_path: Path) -> None:
    """A lock that its dead holder keeps: the C trader gives up in time and says what it wanted."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=5), ours(operations=1),
        table={"store": "sysv_shm", "lock": {"kind": "sysv_sem", "undo": False}},
        deadlines={"wait": 1},
        faults=[
            {"kind": "kill", "process": "ours-0", "step": "write", "at": 1},
            {"kind": "slow", "process": "theirs-0", "step": "acquire", "at": 1, "seconds": 0.5},
        ],
    )  # fmt: skip
    error = process(run(path, tmp_path), "theirs-0")["error"]
    assert error == {"kind": "WaitExpired", "message": "waited 1 s for the table's lock, in vain"}


def test_a_lock_that_it_cannot_take_is_named(programs: Path, tmp_path: Path) -> None:
    """It says so before it says ready, and nothing is begun."""
    group = theirs(programs / "trader", operations=1)
    group["command"] = ["/usr/bin/env", "LAB_LOCK_KIND=ticket", str(programs / "trader")]
    path = scenario(tmp_path, group, table={"store": "sysv_shm", "lock": "none"})
    error = process(run(path, tmp_path), "theirs-0")["error"]
    assert error["message"] == "the table's lock: lab.h does not know how to take a ticket"
