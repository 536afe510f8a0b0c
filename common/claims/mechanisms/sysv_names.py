"""System V objects: keys and ids, the calls, and what ipcs(1) and ipcrm(1) do with them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess

from common import names
from common.claims.claim import UNDECIDED, Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.mechanisms._kinds_of_objects import SYSTEM_V, listed, make
from common.kernel import existing
from common.kernel.ledger import Ledger, read_ledger
from common.kernel.leftovers import remove_dead
from common.kernel.libc import sysv_calls
from common.kernel.objects import Maker


@claim("A21", 85, "A System V object is named by an IPC id; its handle is a key_t.")
def key_and_id(lab: Lab) -> Shown:
    """Another process looks for an object of each kind, and uses it, by its key and by its id."""
    works = set()
    for kind in SYSTEM_V:
        key, id = make(lab, kind)

        def use(tell: Tell, kind: str = kind, key: int = key, id: int = id) -> None:
            for number in (key, id):
                tell("is found" if _finds(kind, number, id) else "is not found")
                tell("serves" if _serves(kind, number, key) else "is refused")

        user = lab.fork(use)
        for what, number in (("key", key), ("id", id)):
            said = [str(user.told()), str(user.told())]
            lab.note(
                f"{kind} by its {what} {number:#x}: as argument of its get call it {said[0]}, "
                f"as argument of the other calls the {what} {said[1]}"
            )
            works |= {f"{what} {word}" for word in said}
    return swapped(works)


def swapped(works: set[str]) -> Shown:
    """Judge which of key and id found objects, and served the calls on them."""

    def of(yes: str, no: str) -> list[str]:
        # Of every kind: what was said of one of them is in the set.
        return [w for w in ("key", "id") if f"{w} {yes}" in works and f"{w} {no}" not in works]

    name, handle = of("is found", "is not found"), of("serves", "is refused")
    return holds(
        "id" in name and "key" in handle,
        f"name: {'/'.join(name)}, handle: {'/'.join(handle)}",
        "it is the other way round: msgget, semget, shmget turn a key that all know into the id "
        "that the other calls take"
        if (name, handle) == (["key"], ["id"])
        else "found and used in the ways of the figure",
    )


def _finds(kind: str, number: int, id: int) -> bool:
    try:
        # 0 as a key is IPC_PRIVATE: it would not find, but make.
        return number != 0 and SYSTEM_V[kind].get(number, 0) == id
    except OSError:
        return False


def _serves(kind: str, number: int, key: int) -> bool:
    try:
        # Somebody else's object may have this number as its id: it must be the one with the key.
        return SYSTEM_V[kind].stat(number).key == key
    except OSError:
        return False


@claim("A30", 157, "The functions of System V IPC: msgget, …, semop, shmget, shmctl, shmat, smhdt.")
def functions(lab: Lab) -> Shown:
    """Every name of the list is looked up in the C library."""
    return listed(lab, "msgget msgctl msgsnd msgrcv semget semctl semop shmget shmctl shmat smhdt")


@claim("A35", 196, "ipcs lists segments (dest: to be removed), semaphores and queues.")
def list_objects(lab: Lab) -> Shown:
    """One object of each kind; the segment is removed while attached, then attached elsewhere."""
    if shutil.which("ipcs") is None:
        return Shown(UNDECIDED, "", "there is no ipcs(1) here (package util-linux)")
    ids = {kind: make(lab, kind)[1] for kind in SYSTEM_V}
    segment = ids["sysv_shm"]
    address = sysv_calls.shmat(segment)
    found = {kind: _row(kind, id) for kind, id in ids.items()}
    sysv_calls.shm_remove(segment)
    marked = _row("sysv_shm", segment)
    # Linux lets a process that knows the id attach it still.
    late = lab.fork(lambda tell: sysv_calls.shmat(segment)).ended() == 0
    sysv_calls.shmdt(address)
    gone = not _row("sysv_shm", segment)
    for kind, row in found.items():
        lab.note(f"{kind}: {' '.join(row)}")
    lab.note(f"after IPC_RMID, attached: {' '.join(marked)}")
    lab.note(f"a new process could{'' if late else ' not'} attach it; detached, gone: {gone}")
    key, attached = marked[:1], marked[5:6]
    return holds(
        all(found.values()) and key + attached == ["0x00000000", "1"] and "dest" in marked and gone,
        f"key {' '.join(key)}, nattch {' '.join(attached)}, {' '.join(marked[6:])}",
        "a removed segment lives, without its key, until the last process detaches it",
    )


def _row(kind: str, id: int) -> list[str]:
    # The id is in the second column of each of ipcs's tables.
    done = subprocess.run(
        ["ipcs", f"-{existing.SYSV[kind][2]}"],
        env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, timeout=PATIENCE,
        check=True,
    )  # fmt: skip
    rows = [line.split() for line in done.stdout.splitlines()]
    return next((row for row in rows if row[1:2] == [str(id)]), [])


@claim("A36", 224, "ipcrm removes objects by id (-q -s -m) and by key (-Q -S -M).")
def remove_objects(lab: Lab) -> Shown:
    """Six objects for ipcrm, three of a killed run for what `clean` does, three to be spared."""
    if shutil.which("ipcrm") is None:
        return Shown(UNDECIDED, "", "there is no ipcrm(1) here (package util-linux)")
    options, doomed, spared = [], [], []
    for kind in SYSTEM_V:
        letter = existing.SYSV[kind][2]
        for by_key in (False, True):
            key, id = make(lab, kind)
            doomed.append((kind, key, id))
            options += [f"-{letter.upper()}", hex(key)] if by_key else [f"-{letter}", str(id)]
        spared.append((kind, *make(lab, kind)))
    subprocess.run(["ipcrm", *options], check=True, capture_output=True, timeout=PATIENCE)
    lab.note(f"ipcrm {' '.join(options)}: left {_left(doomed)} of {len(doomed)}")
    said = _clean_dead_run(lab)
    for sentence in said:
        lab.note(f"clean: {sentence}")
    removed = sum(sentence.startswith("removed") for sentence in said)
    lab.note(f"not named, not removed: {_left(spared)} of {len(spared)}")
    return holds(
        not _left(doomed) and _left(spared) == len(spared) and removed == len(SYSTEM_V),
        f"{len(doomed) - _left(doomed)} of {len(doomed)} by ipcrm, {removed} by clean",
        "the lab's clean needs no id: a run's ledger says what was its own",
    )


def _left(objects: list[tuple[str, int, int]]) -> int:
    return sum(existing.find(kind, key, id) is not None for kind, key, id in objects)


def _clean_dead_run(lab: Lab) -> list[str]:
    directory = lab.directory / f"dead-{names.new_token()}"
    directory.mkdir(0o700)
    keys = {kind: names.new_key() for kind in SYSTEM_V}
    for kind, key in keys.items():
        lab.intend(kind, key)

    def run(tell: Tell) -> None:
        maker = Maker(Ledger.create(directory, scenario="", run_dir=""), directory, directory)
        maker.sysv_queue(keys["sysv_queue"])
        maker.sysv_sem(1, keys["sysv_sem"])
        maker.sysv_shm(8, keys["sysv_shm"])
        tell("made")
        signal.pause()

    killed = lab.fork(run)
    killed.told()
    killed.kill()
    killed.ended()
    state = read_ledger(directory)
    return remove_dead(state) if state is not None else []
