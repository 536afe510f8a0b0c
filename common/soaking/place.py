"""Where a soak works: directories and, where it may, kernel objects that nobody else sees.

In an IPC namespace of its own everything that is left is left by its runs. Where that cannot be
had (CAP_SYS_ADMIN), it looks at what each run says it has made.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from common import names
from common.errors import StoredRunError, UsageError
from common.kernel import existing
from common.kernel.ledger import read_ledger
from common.kernel.libc import mounts

SHARED_MEMORY = Path("/dev/shm")
# Room for what all runs at once keep in shared memory (bytes).
ROOM = 1 << 30


@dataclass(frozen=True)
class Place:
    """``runs`` is where runs are stored, ``runtime`` the directory of their ledgers and sockets.

    ``queues`` shows the POSIX queues; None where kernel objects are shared with everybody.
    """

    runs: Path
    runtime: Path
    queues: Path | None

    def left(self) -> list[str]:
        """Return the kernel objects that no ledger of a run accounts for.

        What is in no ledger after it was seen, and is seen again, belongs to no live run: ledgers
        name an object before it exists, and end after it.
        """
        if self.queues is None:
            return []
        before = self._present()
        known = set()
        for directory in names.runtime_directories():
            with suppress(StoredRunError):
                known |= {(entry.kind, entry.name) for entry in read_ledger(directory).entries}
        left = (before & self._present()) - known
        return sorted(f"{kind} {existing.shown(name)}" for kind, name in left)

    def _present(self) -> set[tuple[str, str | int]]:
        assert self.queues is not None
        found: set[tuple[str, str | int]] = set()
        for kind, (table, *_) in existing.SYSV.items():
            # Key 0 has a segment that is removed, and goes with whoever is still attached.
            found |= {(kind, row["key"]) for row in existing.listed(table) if row["key"]}
        for path in SHARED_MEMORY.iterdir():
            is_semaphore = path.name.startswith("sem.")
            kind = "posix_sem" if is_semaphore else "posix_shm"
            found.add((kind, "/" + path.name.removeprefix("sem.")))
        found |= {("posix_queue", f"/{path.name}") for path in self.queues.iterdir()}
        return found


@contextmanager
def place(out: Path | None) -> Iterator[Place]:
    """Have a place while entered, with ``XDG_RUNTIME_DIR`` in it; its runs go where it is empty.

    ``out`` is where runs are stored, a directory that is made; None: a temporary one. Raises
    ``UsageError`` when it cannot be made.
    """
    # Beside where ledgers lie anyway: a socket's path has no room for a longer one.
    parent = names.longest_runtime_directory().parent
    runtime = Path(tempfile.mkdtemp(prefix="soak-", dir=parent))
    try:
        runs = Path(tempfile.mkdtemp(prefix="soak-runs-")) if out is None else out
        runs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        runtime.rmdir()
        raise UsageError(f"cannot store runs in {out}: {error.strerror}", "--out DIR") from None
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    queues = _own_objects(runtime)
    try:
        yield Place(runs.resolve(), runtime, queues)
    finally:
        with suppress(OSError):
            if queues is not None:
                mounts.unmount(SHARED_MEMORY)
                mounts.unmount(queues)
                queues.rmdir()
        with suppress(OSError):
            # What is unexpected stays to be looked at, and with it where it is.
            runtime.rmdir()
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
        with suppress(OSError):
            runs.rmdir()


def discard(directory: Path) -> None:
    """Remove all that a run has stored."""
    shutil.rmtree(directory, ignore_errors=True)


def _own_objects(runtime: Path) -> Path | None:
    """Leave the machine's kernel objects behind; returns where the queues are shown, or None."""
    queues = runtime / "queues"
    try:
        mounts.leave_mounts()
        mounts.leave_ipc()
        queues.mkdir(mode=0o700)
        mounts.mount_queues(queues)
        mounts.mount_tmpfs(SHARED_MEMORY, ROOM)
    except OSError:
        with suppress(OSError):
            queues.rmdir()
        return None
    return queues
