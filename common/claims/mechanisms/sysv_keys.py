"""Keys of System V objects: what ftok(3) makes of a file, IPC_PRIVATE, and any other number."""

from __future__ import annotations

import os
from pathlib import Path

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.lab import Lab, Tell
from common.claims.mechanisms._kinds_of_objects import SYSTEM_V
from common.kernel import existing
from common.kernel.libc import sysv_calls

PROJECT = ord("L")
EXCLUSIVE = sysv_calls.IPC_CREAT | sysv_calls.IPC_EXCL | 0o600
# Files to look at for equal inode bits: enough to see some, few enough to be quick.
MANY = 20_000


def _file(lab: Lab, name: str = "agreed") -> Path:
    path = lab.directory / name
    path.touch()
    return path


def _free_key(lab: Lab) -> tuple[Path, int]:
    """Return a file and a project whose key no System V object has."""
    path = _file(lab)
    for project in range(1, 128):
        key = sysv_calls.ftok(path, project)
        if key > 0 and not any(existing.find(kind, key) for kind in SYSTEM_V):
            return path, project
    raise LookupError(f"all keys of {path} are taken")


@claim("A31", 173, "ftok turns a path and a project id into a key.")
@claim("B102", 112, "ftok gives a key from a path and an id, for msgget, semget and shmget.")
def key_of_a_file(lab: Lab) -> Shown:
    """Two processes make the key of one file; with it objects of all three kinds are made."""
    path, project = _free_key(lab)
    key = sysv_calls.ftok(path, project)
    other = lab.fork(lambda tell: tell(str(sysv_calls.ftok(path, project)))).told()
    lab.note(f"ftok({path.name}, {project}) is {key:#x} here, {int(other or 0):#x} elsewhere")
    made = []
    for kind, calls in SYSTEM_V.items():
        lab.intend(kind, key)
        id = calls.get(key, EXCLUSIVE)
        made.append(calls.stat(id).key == key)
        lab.note(f"{kind} with that key: id {id}")
    return holds(
        other == str(key) and all(made),
        f"{key:#x}",
        "both processes come to the same number, and each kind of object takes it",
    )


@claim("A32", 185, "Server and clients agree on a path, and make keys with the project id.")
def agreed_path(lab: Lab) -> Shown:
    """A server makes a queue with a file's key; a client that is told the path alone sends."""
    path, project = _free_key(lab)
    key = sysv_calls.ftok(path, project)
    lab.intend("sysv_queue", key)
    queue = sysv_calls.msgget(key, EXCLUSIVE)

    def client(tell: Tell) -> None:
        sysv_calls.msgsnd(sysv_calls.msgget(sysv_calls.ftok(path, project)), 1, b"found")

    joined = lab.fork(client).ended() == 0
    # A new file in the place of the old: as an editor saves, or a server that starts again.
    new = _file(lab, "new")
    new.rename(path)
    after = sysv_calls.ftok(path, project)
    lab.note(f"the client {'sent' if joined else 'found no queue'}; the key was {key:#x}")
    lab.note(f"a new file of the same name: {after:#x}: no client finds the queue any more")
    return holds(
        joined and sysv_calls.msg_stat(queue).qnum == 1,
        f"{key:#x}, after a new file of that name {after:#x}",
        "it works as long as the file stays: the key is made of its inode, not of its name",
    )


@claim("A33", 188, "Typically a key is file-system info, inode number and 8 bits of the id.")
def composition(lab: Lab) -> Shown:
    """Keys of several files and projects are compared with their device and inode numbers."""
    right = wrong = 0
    for path in (lab.directory, _file(lab), Path("/"), Path("/usr"), Path("/dev/null")):
        for project in (1, 0x41, 0xFF):
            key, expected = sysv_calls.ftok(path, project) & 0xFFFFFFFF, composed(path, project)
            right, wrong = right + (key == expected), wrong + (key != expected)
            lab.note(f"ftok({path}, {project:#x}) = {key:#010x}; composed {expected:#010x}")
    twins = _twins()
    lab.note(f"two files with one key: {' and '.join(twins) or 'none among those looked at'}")
    return holds(
        not wrong,
        f"{right} of {right + wrong} keys",
        "id << 24 | device & 0xff << 16 | inode & 0xffff: "
        + ("different files can have one key, as two in /usr have here" if twins else
           "with 16 bits of the inode, different files can have one key"),
    )  # fmt: skip


def composed(path: Path, project: int) -> int:
    """Return the key as it is composed of the numbers of a file, without a sign."""
    status = path.stat()
    return (project & 0xFF) << 24 | (status.st_dev & 0xFF) << 16 | status.st_ino & 0xFFFF


def _twins() -> tuple[str, ...]:
    """Return two files whose keys are equal; () when there are none among the first many."""
    seen: dict[int, tuple[int, str]] = {}
    for directory, _, _ in os.walk("/usr"):
        try:
            with os.scandir(directory) as entries:
                found = [(entry.inode(), entry.path) for entry in entries]
        except OSError:
            continue
        for inode, path in found:
            earlier, twin = seen.setdefault(inode & 0xFFFF, (inode, path))
            if earlier != inode and _key(path) == _key(twin):
                return twin, path
        if len(seen) > MANY:
            break
    return ()


def _key(path: str) -> int | None:
    try:
        return sysv_calls.ftok(path, PROJECT)
    except OSError:
        return None


@claim("A34", 192, "IPC_PRIVATE makes a unique object.")
def private(lab: Lab) -> Shown:
    """Two processes ask for IPC_PRIVATE with the same call, for each kind of object."""
    ids, keys = {}, set()
    for kind, calls in SYSTEM_V.items():
        # No key, so it cannot be in the ledger.
        made: list[int] = []
        try:
            made.append(calls.get(sysv_calls.IPC_PRIVATE, EXCLUSIVE))
            made.append(calls.get(sysv_calls.IPC_PRIVATE, EXCLUSIVE))
            keys |= {calls.stat(id).key for id in made}
        finally:
            for id in made:
                calls.remove(id)
        ids[kind] = made
        lab.note(f"{kind}: IPC_PRIVATE gave the ids {made[0]} and {made[1]}")
    return holds(
        all(first != second for first, second in ids.values()) and keys == {0},
        f"key {'/'.join(f'{key:#x}' for key in keys)}",
        "every call makes another one, with key 0: others must be handed the id",
    )


@claim("A76", 542, "The key is IPC_PRIVATE or comes from ftok.")
def any_key(lab: Lab) -> Shown:
    """Queues are made with IPC_PRIVATE, with a file's key, and with a number out of the air."""
    works = {}
    path, project = _free_key(lab)
    number = names.new_key()
    for what, key in (
        ("IPC_PRIVATE", sysv_calls.IPC_PRIVATE),
        ("ftok", sysv_calls.ftok(path, project)),
        ("any number", number),
    ):
        if key:
            lab.intend("sysv_queue", key)
        try:
            id = sysv_calls.msgget(key, EXCLUSIVE)
            works[what] = sysv_calls.msg_stat(id).owner.key == key
            sysv_calls.msg_remove(id)
        except OSError:
            works[what] = False
        lab.note(f"msgget({key:#x}): {what} {'works' if works[what] else 'is refused'}")
    return sources(works)


def sources(works: dict[str, bool]) -> Shown:
    """Judge which sources of keys work: DEPENDS where a number from nowhere does as well."""
    verdict = HOLDS if works["IPC_PRIVATE"] and works["ftok"] else FAILS
    if verdict == HOLDS and works["any number"]:
        verdict = DEPENDS
    figure = ", ".join(what for what, worked in works.items() if worked)
    why = "any number that both sides know is a key (the examples write 1234); ftok only finds one"
    return Shown(verdict, figure, why)


@claim("B103", 112, "The key is the same for all paths that name the same file.")
def same_file(lab: Lab) -> Shown:
    """One file by its name, a hard link, a symbolic link and a relative path."""
    path = _file(lab)
    hard, symbolic = lab.directory / "hard", lab.directory / "symbolic"
    hard.hardlink_to(path)
    symbolic.symlink_to(path)
    os.chdir(lab.directory)
    paths = {"name": path, "hard link": hard, "symlink": symbolic, "relative": Path(path.name)}
    keys = {what: sysv_calls.ftok(each, PROJECT) for what, each in paths.items()}
    for what, key in keys.items():
        lab.note(f"{what}: {key:#x}")
    other = sysv_calls.ftok(_file(lab, "other"), PROJECT)
    lab.note(f"another file: {other:#x}")
    return holds(
        len(set(keys.values())) == 1,
        f"{len(set(keys.values()))} key of {len(keys)} paths",
        "the inode counts, whatever leads to it",
    )


@claim("B104", 112, "Only the low 8 bits of the id count.")
def low_bits(lab: Lab) -> Shown:
    """One file with ids that are equal in their low 8 bits, and with one that is not."""
    path = _file(lab)
    keys = {id: sysv_calls.ftok(path, id) for id in (0x41, 0x141, 0x7777741)}
    other = sysv_calls.ftok(path, 0x42)
    for id, key in [*keys.items(), (0x42, other)]:
        lab.note(f"id {id:#x}: {key:#x}")
    same = set(keys.values())
    return holds(
        len(same) == 1 and other not in same,
        f"{len(same)} key of {len(keys)} ids",
        "the others fall away without a word",
    )


@claim("B105", 112, "What ftok does when those bits are 0 is unspecified.")
def zero_bits(lab: Lab) -> Shown:
    """Several files with id 0 and 0x100: whether the key follows the rule of other ids."""
    seen = []
    for path in (lab.directory, _file(lab), Path("/")):
        for id in (0, 0x100):
            try:
                key = sysv_calls.ftok(path, id)
            except OSError as error:
                lab.note(f"ftok({path}, {id:#x}): {error.strerror}")
                seen.append(False)
                continue
            seen.append(key == composed(path, id))
            lab.note(f"ftok({path}, {id:#x}) = {key:#010x}, composed as ever: {seen[-1]}")
    return zero(seen)


def zero(regular: list[bool]) -> Shown:
    """Judge whether keys of id 0 are as regular as others: then this library specifies it."""
    figure = f"{sum(regular)} of {len(regular)} keys as of any id"
    if all(regular):
        return Shown(DEPENDS, figure, "POSIX leaves it open; this C library does as with any id")
    return Shown(HOLDS, figure, "id 0 is treated apart here: nothing to rely on")
