"""A small disk for one run, so that it can be full: a tmpfs that nobody else sees.

It lies in the run's runtime directory, in a mount namespace of the launcher and its children: it
ends with them, however they end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import MachineError
from common.kernel.ledger import FILES
from common.kernel.libc import mounts

FILLER = "filler"
# Written at once; what does not fit is written in smaller pieces.
PIECE = 1 << 16
MEND = "mount(2) needs CAP_SYS_ADMIN: run it as root, or in a user and mount namespace"


@contextmanager
def small_disk(directory: Path, size: int, keep: Path) -> Iterator[Path]:
    """Have a disk of ``size`` bytes while entered; its files are moved to ``keep`` at the end.

    Raises ``MachineError`` where this process may not mount.
    """
    path = directory / FILES
    path.mkdir(mode=0o700, exist_ok=True)
    try:
        mounts.leave_mounts()
        mounts.mount_tmpfs(path, size)
    except OSError as error:
        path.rmdir()
        raise MachineError(f"a small disk cannot be had: {error.strerror}", MEND) from None
    try:
        yield path
    finally:
        (path / FILLER).unlink(missing_ok=True)
        for file in path.iterdir():
            with contextlib.suppress(OSError):
                # What the real disk does not take is lost with the small one.
                shutil.move(file, keep / file.name)
        mounts.unmount(path)


def allowed() -> bool:
    """Tell whether this process may mount, as far as its capabilities say."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return False
    effective = next(line.split()[1] for line in text.splitlines() if line.startswith("CapEff"))
    cap_sys_admin = 21
    return bool(int(effective, 16) >> cap_sys_admin & 1)


def fill(path: Path) -> int:
    """Write until not one byte more fits on the disk; returns how many did."""
    written = 0
    size = PIECE
    fd = os.open(path / FILLER, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        while size:
            try:
                written += os.write(fd, bytes(size))
            except OSError:
                size //= 2
    finally:
        os.close(fd)
    return written


def free(path: Path) -> None:
    """Make room again."""
    (path / FILLER).unlink(missing_ok=True)
