"""Makes the kernel objects of a run, whole and exclusively, and proves that they are gone again.

Who creates, destroys: only the launcher makes and removes; children open what they are handed.
Every object is in the ledger before it exists, has mode 0600, and a name that nobody else has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import posix_ipc
import sysv_ipc

from common import names
from common.errors import KernelObjectError, MachineError, NotPermitted, ObjectExists
from common.kernel import commands as shell
from common.kernel import existing, in_use, limits, mapped_file, survivors
from common.kernel.existing import LARGEST_KEY, Found
from common.kernel.foreign import Foreign
from common.kernel.ledger import Entry, Ledger
from common.kernel.leftovers import proven
from common.kernel.libc import semaphores

# Draws of a random key before giving up: a second one is needed once in some millions of runs.
DRAWS = 16
PAGE = 4096


class Maker:
    """Makes objects for one run and writes each into ``ledger``.

    ``directory`` is the runtime directory (FIFOs, sockets); ``base`` is where the relative path of
    a mapped file begins; ``patience`` (s) is how long to wait for another run to let go of one,
    and ``interrupted`` is asked again and again during that wait whether to give it up.
    Every method raises ``MachineError`` when the machine has no room, naming the limit.
    """

    def __init__(self, ledger: Ledger, directory: Path, base: Path, patience: float = 30.0) -> None:
        self.directory = directory
        self.base = base
        self.patience = patience
        self.interrupted: Callable[[], bool] = lambda: False
        self._held: list[int] = []
        self._inherited: list[int] = []
        self._commands: list[int] = []
        self.foreign = Foreign(ledger)
        self._ledger = ledger
        self._pid = os.getpid()
        self._token = names.new_token()

    def sysv_shm(self, size: int, key: int | None = None) -> int:
        """Make a zeroed, attachable segment of ``size`` bytes; returns its key.

        ``key`` asks for a fixed one; ``ObjectExists`` says who has it.
        """

        def create(key: int) -> int:
            # sysv_ipc fills a new segment with blanks unless it is told otherwise; writing every
            # byte also allocates every page, here and not at a process's first access.
            memory = sysv_ipc.SharedMemory(
                key, sysv_ipc.IPC_CREX, mode=0o600, size=size, init_character=b"\0"
            )
            memory.detach()
            return memory.id

        return self._sysv("sysv_shm", key, create, bytes=size)

    def sysv_sem(self, value: int, key: int | None = None, count: int = 1) -> int:
        """Make a set of ``count`` semaphores, each with this first ``value``; returns its key."""

        def create(key: int) -> int:
            # sysv_ipc makes sets of one.
            try:
                return semaphores.make_set(key, [value] * count)
            except FileExistsError:
                raise sysv_ipc.ExistentialError from None

        return self._sysv("sysv_sem", key, create, value=value, count=count)

    def sysv_queue(self, key: int | None = None) -> int:
        """Make an empty message queue; returns its key."""

        def create(key: int) -> int:
            return sysv_ipc.MessageQueue(key, sysv_ipc.IPC_CREX, mode=0o600).id

        return self._sysv("sysv_queue", key, create)

    def posix_sem(self, value: int) -> str:
        """Make a named POSIX semaphore with its first ``value``; returns its name."""

        def create(name: str) -> None:
            posix_ipc.Semaphore(name, posix_ipc.O_CREX, mode=0o600, initial_value=value).close()

        return self._posix("posix_sem", create, value=value)

    def posix_shm(self, size: int) -> str:
        """Make a zeroed POSIX shared memory object, allocated whole; returns its name."""

        def create(name: str) -> None:
            memory = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, mode=0o600)
            try:
                # Not ftruncate(2) alone: a hole is a SIGBUS at a store when /dev/shm is full.
                os.posix_fallocate(memory.fd, 0, size)
            except OSError:
                memory.unlink()
                raise
            finally:
                memory.close_fd()

        return self._posix("posix_shm", create, bytes=size)

    def posix_queue(self, messages: int, size: int) -> str:
        """Make a POSIX queue of at most ``messages`` of ``size`` bytes; returns its name."""

        def create(name: str) -> None:
            posix_ipc.MessageQueue(
                name, posix_ipc.O_CREX, mode=0o600, max_messages=messages, max_message_size=size
            ).close()

        return self._posix("posix_queue", create, messages=messages, bytes=size)

    def fifo(self, stem: str, asked: str | None = None) -> str:
        """Make a FIFO in the runtime directory, or at a path that is ``asked`` for.

        Returns its path; raises ``ObjectExists`` and ``NotPermitted`` when something is there.
        """
        path, entry = self._place("fifo", stem, asked)
        try:
            os.mkfifo(path, 0o600)
        except OSError as error:
            self._ledger.gone(entry)
            raise limits.refusal("fifo", str(error), Path(path).parent) from None
        return self._finish(entry, path)

    def lock_file(self, stem: str) -> str:
        """Make an empty file in the runtime directory, for locks on it; returns its path."""
        path = str(self.directory / f"{stem}-{len(self._ledger.entries)}")
        entry = self._ledger.intend("lock_file", path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(path, flags, 0o600))
        except OSError as error:
            raise limits.refusal("lock_file", str(error), self.directory) from None
        return self._finish(entry, path)

    def coming_and_going(self, stem: str) -> str:
        """Name a lock file that processes make and remove; there is none yet. Returns its path."""
        path = str(self.directory / f"{stem}-{len(self._ledger.entries)}")
        self._ledger.intend("lock_file", path)
        return path

    def socket(self, stem: str, type: int, asked: str | None = None) -> tuple[str, socket.socket]:
        """Bind a UNIX socket of ``type``; returns its path and itself.

        It lies in the runtime directory, or at a path that is ``asked`` for. Raises
        ``MachineError`` as ``socket_path`` does, and what ``fifo`` raises. What children shall have
        of it they are handed with ``inherit``.
        """
        path, entry = self._place("socket", stem, asked)
        bound = socket.socket(socket.AF_UNIX, type)
        try:
            bound.bind(path)
            # Only this user may connect; a runtime directory is closed as a whole.
            Path(path).chmod(0o600)
        except OSError as error:
            bound.close()
            self._ledger.gone(entry)
            raise limits.refusal("socket", str(error), Path(path).parent) from None
        self._finish(entry, path)
        return path, bound

    def inherit(self, fd: int, *, stays: bool = False) -> int:
        """Hand ``fd`` to the children, which know it by this number; returns the number.

        The launcher's own copy is closed by ``let_go``, or with everything else where it ``stays``.
        """
        # Above what a child is given for standard input, output and error.
        number = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        os.close(fd)
        (self._held if stays else self._inherited).append(number)
        return number

    def command(self, line: str, stdin: int, stdout: int) -> int:
        """Start ``sh -c line`` between two descriptors, until ``remove_all``; returns its pid."""
        pid = shell.start(line, stdin, stdout, survivors.environment(self.directory))
        self._commands.append(pid)
        self._ledger.process(pid, names.start_time(pid), "sh", foreign=True)
        return pid

    def intend(self, kind: str, name: str | int) -> None:
        """Write an object into the ledger that somebody else is about to make for this run."""
        self._ledger.intend(kind, name)

    def let_go(self, but: Collection[int] = ()) -> None:
        """Close what only the children need: then each is told when the last one has closed it.

        Those of ``but`` stay open, for children that are still to come.
        """
        kept = [number for number in self._inherited if number in but]
        while self._inherited:
            number = self._inherited.pop()
            if number not in but:
                os.close(number)
        self._inherited = kept

    def socket_path(self, stem: str) -> str:
        """Reserve the path of a UNIX socket in the runtime directory; the caller binds it.

        Raises ``MachineError`` for a path over 107 bytes: a longer one is cut silently by some.
        """
        path = str(self.directory / stem)
        _refuse_long(path, "set XDG_RUNTIME_DIR to a shorter directory, or unset it")
        self._ledger.intend("socket", path)
        return path

    def _place(self, kind: str, stem: str, asked: str | None) -> tuple[str, int]:
        """Write into the ledger what is about to be made; returns its path and number there."""
        drawn = f"{stem}-{len(self._ledger.entries)}"
        if asked is None and kind == "socket":
            path = self.socket_path(drawn)
            return path, len(self._ledger.entries) - 1
        if asked is None:
            path = str(self.directory / drawn)
            return path, self._ledger.intend(kind, path)
        if kind == "socket":
            _refuse_long(asked, "choose a shorter path")
        in_use.must_be_free(kind, asked)
        return asked, self._ledger.intend(kind, asked, asked_for=True)

    def file(self, path: Path, size: int, behind: int = 0) -> bool:
        """Open or make a file that outlives the run, locked for this run; True when it is new.

        A new file is zeroed; an old one keeps its contents. Both are allocated on disk up to a
        page or ``size``, whichever is more: a hole is a SIGBUS at a process's store on a full
        disk. An old file must be regular, ours, without a second name, and hold ``size`` bytes;
        ``behind`` more are added to one that has not got them.
        Waits until no other run holds it; raises ``ObjectExists`` naming the holder, or
        ``MachineError`` when interrupted.
        """
        entry = self._ledger.intend("file", str(path))
        fd = mapped_file.open_exclusively(path, self.patience, self.interrupted)
        self._held.append(fd)
        length = os.fstat(fd).st_size
        if 0 < length < size:
            raise KernelObjectError(
                f"{path} has {length} bytes, a table of this scenario has {size}",
                "it is not the table of an earlier run: name another file, or move it away",
            )
        try:
            os.posix_fallocate(fd, 0, max(length, size + behind, PAGE))
        except OSError as error:
            if not length:
                # Just made: what holds nothing is not left behind.
                path.unlink()
            raise limits.refusal("file", str(error), path.parent) from None
        self._finish(entry, str(path))
        # Zeros only: it was never filled, its maker was killed in between.
        return not any(os.pread(fd, size, 0))

    def objects(self) -> list[dict[str, Any]]:
        """Return what was made: ``kind``, ``id``, ``name``, and ``kept`` for what stays after."""
        made = ((entry, self._find(entry)) for entry in self._ledger.entries if _was_made(entry))
        return [_described(entry, found) for entry, found in made if found]

    def missing(self) -> list[str]:
        """Return what this run made and somebody else removed, in words; before ``remove_all``."""
        return [
            f"{entry.kind} {existing.shown(entry.name)}"
            for entry in self._ledger.entries
            if entry.state == "made" and not entry.group and self._find(entry) is None
        ]

    def remove_now(self, wanted: set[str | int]) -> list[str]:
        """Remove those of these keys, names and paths that this run made, as an outsider would.

        Returns them in words. The ledger is not told: that they vanished is found out like any
        other removal.
        """
        removed = []
        for entry in self._ledger.entries:
            found = self._find(entry) if entry.name in wanted and entry.state != "gone" else None
            if found is not None:
                existing.remove(entry.kind, entry.name, found)
                removed.append(f"{entry.kind} {existing.shown(entry.name)}")
        return removed

    def remove_all(self) -> None:
        """Remove everything but the files that outlive the run, last made first; harmless twice.

        What cannot be removed stays in ``leaks``; the rest is removed all the same.
        """
        self.let_go()
        while self._commands:
            shell.end(self._commands.pop())
        while self._held:
            os.close(self._held.pop())
        for entry in reversed(self._ledger.entries):
            if entry.state == "gone" or entry.kept:
                continue
            found = self._find(entry)
            try:
                if found is not None:
                    existing.remove(entry.kind, entry.name, found)
                    self.foreign.left_behind(entry)
            except NotPermitted:
                continue
            # A full disk may refuse the ledger's line; it must not keep the objects alive.
            with contextlib.suppress(MachineError):
                self._ledger.gone(entry.number)

    def leaks(self) -> list[dict[str, Any]]:
        """Return what this run made, should be gone, and is still there when one looks."""
        return [entry for entry in self.objects() if not entry.get("kept")]

    def _sysv(self, kind: str, key: int | None, create: Callable[[int], int], **facts: Any) -> int:
        if key is not None and not 0 < key <= LARGEST_KEY:
            raise KernelObjectError(
                f"{key:#x} is no key: 0 is IPC_PRIVATE, -1 a failed ftok(), the rest is truncated",
                f"choose one from 1 to {LARGEST_KEY:#x}, or none to have one drawn",
            )
        for _ in range(DRAWS):
            drawn = names.new_key() if key is None else key
            # Looked up before it is intended: the ledger never claims somebody else's object.
            if _taken(kind, drawn):
                if key is not None:
                    break
                continue
            entry = self._ledger.intend(kind, drawn, **facts)
            try:
                id = create(drawn)
            except sysv_ipc.ExistentialError:
                self._ledger.gone(entry)
                continue
            except (sysv_ipc.Error, OSError, MemoryError, ValueError) as error:
                self._ledger.gone(entry)
                raise limits.refusal(kind, str(error)) from None
            self._ledger.made(entry, id=id)
            return drawn
        raise _in_use(kind, drawn)

    def _posix(self, kind: str, create: Callable[[str], None], **facts: Any) -> str:
        name = f"/lab-{self._token}-{len(self._ledger.entries)}"
        entry = self._ledger.intend(kind, name, **facts)
        try:
            create(name)
        except posix_ipc.ExistentialError:
            self._ledger.gone(entry)
            raise ObjectExists(f"there is a {kind} {name} already") from None
        except posix_ipc.PermissionsError:
            raise NotPermitted("/dev/shm is closed to this user", "ls -ld /dev/shm") from None
        except (posix_ipc.Error, OSError, ValueError) as error:
            self._ledger.gone(entry)
            raise limits.refusal(kind, str(error)) from None
        return self._finish(entry, name)

    def _finish(self, entry: int, name: str) -> str:
        found = existing.find(self._ledger.entries[entry].kind, name)
        if found is not None:
            self._ledger.made(entry, id=found.id)
        return name

    def _find(self, entry: Entry) -> Found | None:
        return proven(entry, self.foreign.makers(entry.group) if entry.group else {self._pid})


def _was_made(entry: Entry) -> bool:
    # Gone without an id: it was refused, and who has its name now is somebody else.
    return entry.state != "gone" or entry.id is not None


def _described(entry: Entry, found: Found) -> dict[str, Any]:
    described = {"kind": entry.kind, "id": found.id, "name": existing.shown(entry.name)}
    return described | {"kept": True} if entry.kept else described


def _taken(kind: str, key: int) -> Found | None:
    try:
        return existing.find(kind, key)
    except OSError:
        raise limits.refusal(kind, "/proc/sysvipc cannot be read") from None


def _refuse_long(path: str, mend: str) -> None:
    if too_long := limits.too_long("socket", path):
        raise MachineError(f"{path} is {too_long} (unix(7))", mend)


def _in_use(kind: str, key: int) -> KernelObjectError:
    found = _taken(kind, key)
    if found is None:
        return ObjectExists(f"{kind} {existing.shown(key)} is being made by somebody else just now")
    return in_use.refusal(kind, key, found)
