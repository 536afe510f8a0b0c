"""Shared memory segments: made once, attached by many, each at an address of its own."""

from __future__ import annotations

import functools
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

from common import names
from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, ending, without_privileges
from common.claims.lab import PATIENCE, Lab, Tell
from common.kernel import existing
from common.kernel.libc import memory, posix_calls
from common.kernel.libc import sysv_calls as sysv

PAGE = mmap.PAGESIZE
# One more than an int can say.
BEYOND_INT = 1 << 31
# So that a segment that nobody fills takes no memory (shmget(2)).
SHM_NORESERVE = 0o10000
PROGRAMS = 4


def new_segment(lab: Lab, size: int = PAGE, mode: int = 0o600, flags: int = 0) -> tuple[int, int]:
    """Make a segment with shmget(2); returns its id and its key. The lab removes it."""
    key = names.new_key()
    lab.intend("sysv_shm", key)
    return sysv.shmget(key, size, sysv.IPC_CREAT | sysv.IPC_EXCL | flags | mode), key


def attached(segment: int, size: int = PAGE) -> memoryview:
    """Attach a segment; it stays attached until the process ends."""
    return sysv.memory(sysv.shmat(segment), size)


@claim("A88", 598, "POSIX shared memory: shm_open, shm_unlink, ftruncate, fstat.")
def posix_calls_in_order(lab: Lab) -> Shown:
    """The calls in this order; and a store into an object that has no size yet."""
    name = lab.maker.posix_shm(PAGE)
    posix_calls.shm_unlink(name)
    fd = posix_calls.shm_open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    new = os.fstat(fd).st_size
    flags = mmap.PROT_READ | mmap.PROT_WRITE
    address = memory.map_memory(PAGE, flags, mmap.MAP_SHARED, fd)
    early = ending(lab, lambda: memory.store(address, b"x"))
    os.ftruncate(fd, PAGE)
    sized = os.fstat(fd).st_size
    late = ending(lab, lambda: memory.store(address, b"x"))
    posix_calls.shm_unlink(name)
    gone = attempt(lambda: posix_calls.shm_open(name, os.O_RDWR))
    lab.note(f"new, it has {new} bytes; a store before ftruncate ends in {early}")
    lab.note(f"after ftruncate it has {sized} bytes, a store: {late}; after shm_unlink: {gone}")
    return holds(
        (new, early, sized, late, gone) == (0, "SIGBUS", PAGE, "exit 0", "ENOENT"),
        f"{early} before ftruncate",
        "a new object has no bytes: without ftruncate the first access is fatal",
    )


@claim("A89", 611, "System V: shmget(key, int size, flags), shmat, shmdt, shmctl.")
def sysv_calls_in_order(lab: Lab) -> Shown:
    """The four calls in turn; then a segment of more bytes than an int can say."""
    segment, key = new_segment(lab)
    address = sysv.shmat(segment)
    sysv.memory(address, PAGE)[0] = 1
    during = sysv.shm_stat(segment).nattch
    sysv.shmdt(address)
    after = sysv.shm_stat(segment).nattch
    sysv.shm_remove(segment)
    gone = attempt(lambda: sysv.shmget(key, PAGE))
    lab.note(f"attached {during} times after shmat, {after} after shmdt; removed: {gone}")
    size = 0

    def large() -> None:
        nonlocal size
        size = sysv.shm_stat(new_segment(lab, BEYOND_INT, flags=SHM_NORESERVE)[0]).segsz

    refused = attempt(large)
    lab.note(f"shmget of {BEYOND_INT} bytes: {refused or f'a segment of {size}'}")
    works = (during, after, gone) == (1, 0, "ENOENT")
    return Shown(
        FAILS if not works else DEPENDS if size == BEYOND_INT else HOLDS,
        f"{size} bytes" if size else refused,
        "the four calls do it; but size is a size_t" if size else "more than an int is refused",
    )


@claim("B79", 92, "Several processes share memory.")
@claim("B83", 94, "Attaching maps the segment into the process.")
@claim("B86", 94, "The mapped memory looks like any other memory of the process.")
def shared(lab: Lab) -> dict[str, Shown]:
    """Three processes attach a segment and store; its map is read; it is used as doubles."""
    segment, key = new_segment(lab)

    def mapped() -> bool:
        return f"SYSV{key:08x}" in Path("/proc/self/maps").read_text()

    before, memory_, after = mapped(), attached(segment), mapped()
    lab.note(f"/proc/self/maps has SYSV{key:08x} before shmat: {before}, after it: {after}")

    def store(number: int, _: Tell) -> None:
        attached(segment)[number] = number + 1

    children = [lab.fork(functools.partial(store, number)) for number in range(3)]
    for child in children:
        child.ended()
    found = list(memory_[:3])
    lab.note(f"three processes stored their numbers; a fourth reads {found}")
    doubles = memory_[PAGE // 2 :].cast("d")
    doubles[0], doubles[1] = 3.73, 3.72
    own = memoryview(bytearray(16)).cast("d")
    own[0], own[1] = doubles[0], doubles[1]
    alike = own.tobytes() == doubles[:2].tobytes()
    memory_[8:16] = memory_[0:8]
    alike = alike and bytes(memory_[8:11]) == bytes(found)
    lab.note(f"doubles stored, loaded and copied to and from own memory: the same bytes: {alike}")
    return {
        "B79": holds(found == [1, 2, 3], f"read {found}", "one page of memory, four processes"),
        "B83": holds(after and not before, "in /proc/self/maps", "from shmat to shmdt, or the end"),
        "B86": holds(alike, "same loads and stores", "no call is made to read or write it"),
    }


@claim("B81", 92, "Each process sees the segment at an address of its own.")
def addresses(lab: Lab) -> Shown:
    """Four programs attach the same segment at the same time, and print where it is."""
    segment, key = new_segment(lab)
    program = (
        "import sys, sysv_ipc; at = sysv_ipc.SharedMemory(int(sys.argv[1]));"
        "print(at.address, flush=True); sys.stdin.read()"
    )
    running = [
        subprocess.Popen(
            # The path of this interpreter may be closed to a plain user, itself never.
            [sys.executable, "-c", program, str(key)], executable="/proc/self/exe",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(PROGRAMS)
    ]  # fmt: skip
    found = [int((each.stdout.readline() if each.stdout else "") or 0) for each in running]
    attached_now = sysv.shm_stat(segment).nattch
    for each in running:
        each.communicate(timeout=PATIENCE)
    lab.note(f"attached {attached_now} times, at {', '.join(f'{at:#x}' for at in found)}")
    different = len(set(found))
    return Shown(
        FAILS if different == 1 or 0 in found else HOLDS if different == PROGRAMS else DEPENDS,
        f"{different} addresses in {PROGRAMS} programs",
        "so no pointer into the segment means anything to another program: store offsets",
    )


@claim("B82", 94, "One process creates it; size and permission are set then.")
@claim("B84", 94, "The creator initializes the memory if that is needed.")
def created(lab: Lab) -> dict[str, Shown]:
    """A segment of 100 bytes and mode 0640; its key is asked for with other sizes; it is read."""
    segment, key = new_segment(lab, 100, 0o640)
    status = sysv.shm_stat(segment)
    mode, size = status.owner.mode, status.segsz
    more, less = (attempt(functools.partial(sysv.shmget, key, n)) for n in (101, 50))
    sysv.shmget(key, 100, sysv.IPC_CREAT | 0o666)
    kept = sysv.shm_stat(segment).owner.mode
    lab.note(f"made with 100 bytes and 0640: {size} bytes, mode {mode:#o}")
    lab.note(f"asked for 101: {more or 'done'}; for 50: {less or 'done'}; with 0666: {kept:#o}")
    page = attached(new_segment(lab)[0])
    clean = not any(page)
    lab.note(f"every byte of a new segment is 0: {clean}")
    return {
        "B82": holds(
            (size, mode, kept, more, less) == (100, 0o640, 0o640, "EINVAL", ""),
            f"101 bytes: {more or 'given'}",
            "whoever comes later gets what there is, or EINVAL when it asks for more",
        ),
        "B84": holds(
            clean, "all zeros" if clean else "not all zeros", "a new segment is zero: rates are not"
        ),
    }


@claim("B85", 94, "Other processes can attach it if its permissions allow that.")
def permitted(lab: Lab) -> Shown:
    """Segments of 0600 and 0666 of this user; root attaches them as nobody, others as owner."""
    modes = (0o600, 0o666) if os.geteuid() == 0 else (0, 0o600)
    segments = [new_segment(lab, mode=mode)[0] for mode in modes]
    with without_privileges() as user:
        closed, open_ = (attempt(functools.partial(sysv.shmat, at)) for at in segments)
    for mode, said in zip(modes, (closed, open_), strict=True):
        lab.note(f"mode {mode:#o}: user {user} gets {said or 'it'}")
    why = "the mode's bits for owner, group and others decide, as with files"
    if modes[0] == 0:
        why += "; without root only the owner's bits can be tried"
    return holds(closed == "EACCES" and not open_, f"{closed} on {modes[0]:#o}", why)


@claim("B87", 96, "POSIX shared memory is made with shmget and shmat.")
def not_posix(lab: Lab) -> Shown:
    """A segment is made with the slide's calls; it is looked for among System V's and POSIX's."""
    segment, key = new_segment(lab)
    sysv_has = any(row["shmid"] == segment for row in existing.listed("shm"))
    named = [f"/{key}", f"/{key:x}", f"/SYSV{key:08x}"]
    posix_has = any(
        not attempt(functools.partial(posix_calls.shm_open, at, os.O_RDWR)) for at in named
    )
    lab.note(f"/proc/sysvipc/shm has it: {sysv_has}; shm_open finds it: {posix_has}")
    return holds(
        posix_has and not sysv_has,
        "in /proc/sysvipc/shm" if sysv_has else "not in /proc/sysvipc/shm",
        "these calls are System V's; POSIX's are shm_open, ftruncate and mmap",
    )


@claim("B88", 96, "Create it with shmget(key, size, IPC_CREAT), then attach and write.")
@claim("B89", 96, "The other process gets it with the same key, 0666 and no IPC_CREAT.")
def without_a_mode(lab: Lab) -> dict[str, Shown]:
    """A plain user makes a segment as the slide does, without a mode, and one with 0666."""
    bare_key, key = names.new_key(), names.new_key()
    for each in (bare_key, key):
        lab.intend("sysv_shm", each)
    made = []
    with without_privileges() as user:
        try:
            made.append(sysv.shmget(bare_key, PAGE, sysv.IPC_CREAT))
            made.append(sysv.shmget(key, PAGE, sysv.IPC_CREAT | 0o666))
            mode = sysv_mode(made[0])
            own = attempt(lambda: sysv.shmat(made[0]))
            other = attempt(lambda: sysv.shmat(sysv.shmget(bare_key, PAGE, 0o666)))
            usual = attempt(lambda: sysv.shmat(sysv.shmget(key, PAGE, 0o666)))
        finally:
            for segment in made:
                sysv.shm_remove(segment)
    lab.note(f"user {user}: without a mode it is {mode:#o}; its creator's shmat: {own or 'done'}")
    lab.note(
        f"another process with 0666: {other or 'done'}; on one made with 0666: {usual or 'done'}"
    )
    return {
        "B88": holds(
            not own,
            f"mode {mode:#o}, {own or 'attached'}",
            "no mode means mode 000: not even its creator may attach it (root may)",
        ),
        "B89": Shown(
            FAILS if usual else DEPENDS if other else HOLDS,
            f"{other or 'done'} on the slide's, {usual or 'done'} on one of 0666",
            "right for a segment that was made with a mode; on the one above it is refused",
        ),
    }


def sysv_mode(segment: int) -> int:
    """Return the mode of a segment, which nobody may be allowed to ask the kernel for."""
    rows = existing.listed("shm")
    # It is written in octal there.
    return int(str(next(row["perms"] for row in rows if row["shmid"] == segment)), 8)


@claim("B110", 114, "It is persistent until reboot and must be cleaned up.")
def persistent(lab: Lab) -> Shown:
    """The only process that has a segment and a POSIX object in use is killed; both are read."""
    segment, name = new_segment(lab)[0], lab.maker.posix_shm(PAGE)
    path = existing.path("posix_shm", name)

    def use(tell: Tell) -> None:
        attached(segment)[0] = 42
        path.write_bytes(b"*")
        tell("used")
        signal.pause()

    child = lab.fork(use)
    child.told()
    child.kill()
    child.ended()
    users = sysv.shm_stat(segment).nattch
    found = (attached(segment)[0], path.read_bytes()[:1])
    lab.note(f"its process was killed; attached {users} times, byte 0 is {found[0]}")
    lab.note(f"{path} is still there and begins with {found[1]!r}")
    return holds(
        users == 0 and found == (42, b"*"),
        "both are still there",
        "nobody has them, and they stay until they are removed: ipcrm, shm_unlink, a reboot",
    )
