"""Mapped files: mmap(2) makes a file a part of memory, for one process or for all."""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import signal
import struct
from pathlib import Path

from common.claims.claim import DEPENDS, FAILS, HOLDS, Shown, claim, holds
from common.claims.endings import attempt, ending, run_program
from common.claims.lab import Lab, Tell
from common.kernel.libc import memory

PAGE = mmap.PAGESIZE
READ, WRITE = mmap.PROT_READ, mmap.PROT_WRITE
SHARED, PRIVATE = mmap.MAP_SHARED, mmap.MAP_PRIVATE
# Bytes of the lecture's table, four struct Currency.
TABLE = 96


def new_file(lab: Lab, data: bytes) -> Path:
    """Make a file with these contents."""
    path = lab.directory / f"file-{len(list(lab.directory.iterdir()))}"
    path.write_bytes(data)
    return path


def opened(path: Path, flags: int = os.O_RDWR) -> int:
    """Open a file; the descriptor is closed when the experiment ends."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def permissions(address: int) -> str:
    """Return what /proc/self/maps says of the mapping at ``address``, as ``rw-s`` or ``r--p``."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.startswith((f"{address:x}-", f"{address:08x}-")):
            return line.split()[1]
    return ""


@claim("A86", 577, "mmap, munmap and msync, with PROT_…, MAP_SHARED, MAP_PRIVATE and MAP_FIXED.")
@claim("B123", 118, "munmap takes a mapping away; it is called by itself when the process ends.")
def calls(lab: Lab) -> dict[str, Shown]:
    """Every protection and flag is used once; then a process ends without munmap."""
    fd = opened(new_file(lab, b"x" * PAGE))
    seen = [
        permissions(memory.map_memory(PAGE, prot, flags, fd))
        for prot, flags in (
            (memory.PROT_NONE, PRIVATE),
            (READ, PRIVATE),
            (READ | WRITE, SHARED),
            (READ | mmap.PROT_EXEC, PRIVATE),
        )
    ]
    lab.note(f"/proc/self/maps shows them as {', '.join(seen)}")
    first = memory.map_memory(PAGE, READ, SHARED, fd)
    second = memory.map_memory(PAGE, READ | WRITE, SHARED | memory.MAP_FIXED, fd, start=first)
    lab.note(f"MAP_FIXED at {first:#x} gives {second:#x}, in the place of what was there")
    memory.store(second, b"y")
    memory.sync(second, PAGE)
    written = os.pread(fd, 1, 0)
    memory.unmap(second, PAGE)
    gone = permissions(second) == ""
    touched = ending(lab, lambda: memory.load(second))
    lab.note(f"after msync the file has {written!r}; a load after munmap ends in {touched}")
    used = seen == ["---p", "r--p", "rw-s", "r-xp"] and first == second and written == b"y"
    mapped, ended = _ended_without_munmap(lab)
    return {
        "A86": holds(
            used and gone,
            ", ".join(seen),
            "PROT_NONE, READ, WRITE and EXEC; p is MAP_PRIVATE and s MAP_SHARED; MAP_FIXED obeyed",
        ),
        "B123": holds(
            touched == "SIGSEGV" and mapped == "EBUSY" and ended == "",
            f"{mapped} while it lives, {ended or 'sealed'} after its end",
            "a memory file cannot be sealed while it is mapped writable: its end unmapped it",
        ),
    }


def _ended_without_munmap(lab: Lab) -> tuple[str, str]:
    # F_ADD_SEALS of F_SEAL_WRITE is EBUSY while a writable shared mapping is left (fcntl(2)).
    fd = os.memfd_create("table", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.ftruncate(fd, PAGE)

    def hold(tell: Tell) -> None:
        memory.map_memory(PAGE, READ | WRITE, SHARED, fd)
        tell("mapped")
        signal.pause()

    def seal() -> None:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)

    child = lab.fork(hold)
    child.told()
    mapped = attempt(seal)
    child.kill()
    child.ended()
    ended = attempt(seal)
    lab.note(f"sealing a memory file: {mapped or 'done'} while a process has it mapped")
    lab.note(f"and {ended or 'done'} after that process was killed, without munmap")
    return mapped, ended


@claim("A87", 595, "mmap maps a file or a shared memory into a process.")
@claim("B112", 116, "mmap maps a file into a process's memory.")
def both_kinds(lab: Lab) -> Shown:
    """A file and a POSIX shared memory object, mapped; another process writes into each."""
    path, name = new_file(lab, bytes(PAGE)), lab.maker.posix_shm(PAGE)
    seen = []
    for what in (path, Path("/dev/shm") / name[1:]):
        fd = opened(what)
        address = memory.map_memory(PAGE, READ, SHARED, fd)

        def write(_: Tell, what: Path = what) -> None:
            there = memory.map_memory(PAGE, READ | WRITE, SHARED, opened(what))
            memory.store(there, b"shared")

        lab.fork(write).ended()
        seen.append(memory.load(address, 6))
        lab.note(f"{what.parent}: another process stored, this one loads {seen[-1]!r}")
    return holds(seen == [b"shared"] * 2, "both", "a descriptor is all that mmap needs")


@claim("B111", 114, "An alternative is mmap of a file.")
def exchange_on_a_file(lab: Lab) -> Shown:
    """The shipped exchange, its table a mapped file: four tellers trade on it under a lock."""
    document = lab.run("exchange/mmap_file", "locked")
    lab.note(f"{document['operations']} operations on exchange.dat: {document['verdict']}")
    return holds(
        document["verdict"] == "valid",
        f"{document['operations']} operations",
        "the same tellers and the same table, on a file in the place of a segment",
    )


@claim("B113", 116, "File access and memory access work together.")
@claim("B114", 116, "The file is changed by memory stores in place of read, write and lseek.")
def together(lab: Lab) -> Shown:
    """What write puts into the file is loaded from memory; what is stored there, read reads."""
    fd = opened(new_file(lab, bytes(PAGE)))
    address = memory.map_memory(PAGE, READ | WRITE, SHARED, fd)
    os.pwrite(fd, b"by write", 0)
    loaded = memory.load(address, 8)
    memory.store(address + 100, b"by store")
    read = os.pread(fd, 8, 100)
    lab.note(f"pwrite, then loaded: {loaded!r}; stored, then pread: {read!r}")
    return holds(
        loaded == b"by write" and read == b"by store",
        "both ways at once",
        "the mapping and read(2) are the same page in the kernel's cache",
    )


@claim("B115", 116, "The contents of a file stay, also after the system was shut down.")
def nonvolatile(lab: Lab) -> Shown:
    """A writer is killed right after its store, without msync; then the file is read.

    What the kernel still has to write to the disk it counts as dirty in /proc/self/smaps.
    """
    path = new_file(lab, bytes(PAGE))
    os.fsync(opened(path))

    def write(tell: Tell) -> None:
        address = memory.map_memory(PAGE, READ | WRITE, SHARED, opened(path))
        memory.store(address, b"kept")
        tell(str(_dirty(address)))
        memory.sync(address, PAGE)
        tell(str(_dirty(address)))
        memory.store(address, b"KEPT")
        tell("stored")
        signal.pause()

    child = lab.fork(write)
    stored, synced = int(child.told() or 0), int(child.told() or 0)
    child.told()
    child.kill()
    child.ended()
    found = path.read_bytes()[:4]
    lab.note(f"killed without msync; the file has {found!r}")
    lab.note(f"not yet on the disk after a store: {stored} kB; after msync: {synced} kB")
    return nonvolatile_verdict(found == b"KEPT", stored, synced)


def nonvolatile_verdict(kept: bool, stored: int, synced: int) -> Shown:
    """Return the verdict: kept through a kill, but dirty (kB) until msync, is both sides."""
    if not kept:
        return Shown(FAILS, "lost", "the file does not have what was stored before the kill")
    if stored > synced:
        why = "a killed process loses nothing; in a power cut what was not synced (msync) is lost"
        return Shown(DEPENDS, f"{stored} kB unwritten before msync, {synced} after", why)
    why = "a killed process loses nothing; a power cut cannot be tried here: msync before it"
    return Shown(HOLDS, "kept after kill -9", why)


def _dirty(address: int) -> int:
    # kB of the mapping at this address that differ from the disk (proc(5), smaps).
    after = Path("/proc/self/smaps").read_text().partition(f"{address:x}-")[2]
    found = re.search(
        r"Shared_Dirty: +(\d+) kB\nPrivate_Clean: +\d+ kB\nPrivate_Dirty: +(\d+)", after
    )
    return int(found[1]) + int(found[2]) if found else 0


@claim("B116", 118, "With start 0 the system chooses the address.")
def chosen(lab: Lab) -> Shown:
    """The same file is mapped twice with start 0, then where the caller hints."""
    fd = opened(new_file(lab, bytes(PAGE)))
    one, two = (memory.map_memory(PAGE, READ, SHARED, fd) for _ in range(2))
    lab.note(f"start 0 twice: {one:#x} and {two:#x}")
    return holds(
        0 not in (one, two) and one != two and not one % PAGE and not two % PAGE,
        f"{one:#x}, {two:#x}",
        "free addresses, on page boundaries, and not the same ones in every process",
    )


@claim("B117", 118, "The file's size should be less than or equal to the length that is mapped.")
def beyond_the_end(lab: Lab) -> Shown:
    """A file longer than its mapping, an empty one, and one of 10 bytes mapped for two pages."""
    longer = new_file(lab, b"x" * (2 * PAGE))
    whole = memory.load(memory.map_memory(TABLE, READ, SHARED, opened(longer)), TABLE)
    lab.note(f"a file of {2 * PAGE} bytes, {TABLE} mapped: all {whole.count(b'x')} are there")
    empty = opened(new_file(lab, b""))
    start = memory.map_memory(TABLE, READ | WRITE, SHARED, empty)
    at_empty = ending(lab, lambda: memory.load(start))
    lab.note(f"an empty file, {TABLE} bytes mapped: the first load ends in {at_empty}")
    path = new_file(lab, b"0123456789")
    ten = memory.map_memory(2 * PAGE, READ | WRITE, SHARED, opened(path))
    inside = ending(lab, lambda: memory.load(ten + PAGE - 1))
    after = ending(lab, lambda: memory.load(ten + PAGE))
    memory.store(ten + 20, b"lost")
    size = path.stat().st_size
    lab.note(f"10 bytes, {2 * PAGE} mapped: byte {PAGE - 1} is {inside}, byte {PAGE} {after}")
    lab.note(f"a store at byte 20 is allowed, and the file still has {size} bytes")
    return size_verdict(whole == b"x" * TABLE, at_empty, after)


def size_verdict(longer_works: bool, empty: str, after: str) -> Shown:
    """Return the verdict from what a longer file did, and how loads beyond a shorter one end."""
    figure = f"{empty} on an empty file"
    if longer_works and "SIGBUS" in (empty, after):
        return Shown(FAILS, figure, "the other way round: a page behind the file's end is a SIGBUS")
    if longer_works:
        return Shown(DEPENDS, figure, "a file of any size can be mapped and used")
    return Shown(HOLDS, figure, "a file that is longer than the mapping does not work")


@claim("B118", 118, "prot sets how the memory may be used.")
def protection(lab: Lab) -> Shown:
    """A store into memory mapped to be read; a writable mapping of a file opened to be read."""
    path = new_file(lab, bytes(PAGE))
    address = memory.map_memory(PAGE, READ, SHARED, opened(path))
    stored = ending(lab, lambda: memory.store(address, b"x"))
    reader = opened(path, os.O_RDONLY)
    mapped = attempt(lambda: memory.map_memory(PAGE, READ | WRITE, SHARED, reader))
    lab.note(f"a store under PROT_READ ends in {stored}; mapping O_RDONLY to write: {mapped}")
    return holds(
        (stored, mapped) == ("SIGSEGV", "EACCES"),
        f"{stored}, {mapped}",
        "the processor refuses the store, and mmap what the descriptor does not allow",
    )


@claim("B119", 118, "With MAP_SHARED it is shared, otherwise isolated.")
def isolated(lab: Lab) -> Shown:
    """A store under each flag; the file is read."""
    found = {}
    for name, flag in (("MAP_SHARED", SHARED), ("MAP_PRIVATE", PRIVATE)):
        fd = opened(new_file(lab, b"before"))
        memory.store(memory.map_memory(6, READ | WRITE, flag, fd), b"after ")
        found[name] = os.pread(fd, 6, 0)
        lab.note(f"{name}: after the store the file has {found[name]!r}")
    return holds(
        found == {"MAP_SHARED": b"after ", "MAP_PRIVATE": b"before"},
        "only MAP_SHARED reaches the file",
        "MAP_PRIVATE copies a page at its first store",
    )


@claim("B120", 118, "Once it is mapped, the file can be closed.")
def closed(lab: Lab) -> Shown:
    """The descriptor is closed after mmap; then memory is stored, and the file read."""
    path = new_file(lab, bytes(8))
    fd = opened(path)
    address = memory.map_memory(8, READ | WRITE, SHARED, fd)
    os.close(fd)
    memory.store(address, b"still")
    found = path.read_bytes()[:5]
    lab.note(f"stored after close; the file has {found!r}")
    return holds(found == b"still", "closed, and still mapped", "the mapping holds the file itself")


@claim("B121", 118, "offset sets where in the file the mapping starts.")
def offset(lab: Lab) -> Shown:
    """The second page of a file is mapped; then offset 1 is asked for."""
    fd = opened(new_file(lab, b"1" * PAGE + b"2" * PAGE))
    second = memory.load(memory.map_memory(PAGE, READ, SHARED, fd, PAGE))
    odd = attempt(lambda: memory.map_memory(PAGE, READ, SHARED, fd, 1))
    lab.note(f"offset {PAGE}: the first byte is {second!r}; offset 1: {odd or 'done'}")
    return Shown(
        FAILS if second != b"2" else DEPENDS if odd else HOLDS,
        f"offset 1: {odd or 'mapped'}",
        f"only multiples of a page, {PAGE} bytes here",
    )


@claim("B122", 118, "On failure mmap returns MAP_FAILED, -1 cast to a pointer.")
def failed(lab: Lab) -> Shown:
    """A mapping of a descriptor that is not open."""
    fd = opened(new_file(lab, bytes(8)))
    os.close(fd)
    address, number = memory.call_mmap(8, READ, SHARED, fd)
    lab.note(f"mmap of a closed descriptor returns {address:#x}, {os.strerror(number)}")
    return holds(
        number != 0 and address == memory.MAP_FAILED,
        f"{address:#x}",
        "not NULL: whoever compares it with 0 goes on, and dies at the first access",
    )


# Reads as many ints as its second argument says from the file in its first, as the lecture does.
READER = """
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    int i, count = atoi(argv[2]), fd = open(argv[1], O_RDONLY);
    int *map = mmap(0, count * sizeof(int), PROT_READ, MAP_SHARED, fd, 0);
    for (i = 1; i <= count; ++i) printf("%d\\n", map[i]);
    return 0;
}
"""


@claim("B125", 122, "The program that maps a file of 1000 ints prints them all.")
def reads_ints(lab: Lab) -> Shown:
    """The lecture's loop from 1 to 1000, in C, on a file of 1000 ints, and on none."""
    count = 1000
    path = new_file(lab, struct.pack(f"{count}i", *range(1, count + 1)))
    program = lab.compile(READER)
    if program is None:
        # The same accesses without C; a failed mapping is (void *) -1.
        address = memory.map_memory(4 * count, READ, SHARED, opened(path))
        printed = list(struct.unpack(f"{count}i", memory.load(address + 4, 4 * count)))
        absent = ending(lab, lambda: memory.load(memory.MAP_FAILED, 4))
    else:
        said, _ = run_program(program, path, count)
        printed = [int(line) for line in said.split()]
        absent = run_program(program, lab.directory / "absent", count)[1]
    lab.note(f"the file holds 1 to {count}; it prints {printed[0]} first and {printed[-1]} last")
    lab.note(f"on a file that does not exist it ends in {absent}")
    return holds(
        printed == list(range(1, count + 1)),
        f"prints {printed[0]} to {printed[-2]}, then {printed[-1]}",
        "map[1] to map[1000]: the first is skipped, the last is behind the end; mmap is unchecked",
    )
