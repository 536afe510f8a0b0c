"""How things of a run are named so that no two runs, users or test workers ever collide."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from common.errors import MachineError

KEY_PREFIX = 0x4C000000
KEY_RANDOM_BYTES = 3
# Fields of /proc/pid/stat after the command: state is field 3, start time field 22 (proc(5)).
_STATE, _START = 0, 19


def new_key() -> int:
    """Return a System V key: ``L`` (0x4C) in its top byte, 24 random bits below.

    Positive as a signed 32-bit ``key_t``, never 0 (IPC_PRIVATE) and never -1 (a failed ftok(3)).
    """
    return KEY_PREFIX | int.from_bytes(os.urandom(KEY_RANDOM_BYTES))


def new_token() -> str:
    """Return eight random hexadecimal digits, for names of files and POSIX objects."""
    return os.urandom(4).hex()


def boot_id() -> str:
    """Return the identity of this boot of the machine: pids and System V ids end with it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def namespaces() -> str:
    """Return the pid and IPC namespaces that pids and System V ids of this process belong to."""
    try:
        return " ".join(str(Path("/proc/self/ns", kind).readlink()) for kind in ("pid", "ipc"))
    except OSError:
        return ""


def start_time(pid: int) -> int | None:
    """Return when ``pid`` started, in clock ticks since boot; None if it has ended or is a zombie.

    A pid and its start time name one process for ever; a pid alone is soon used again.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command is in parentheses and may hold blanks and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZXx" else int(fields[_START])


def make_runtime_directory() -> Path:
    """Make and return a new directory of mode 0700 for the sockets, FIFOs and ledger of a run.

    Its path is short, because a socket's path has at most 107 bytes (unix(7)). It lies in
    XDG_RUNTIME_DIR, or in /tmp where that is not set, absent or not ours. Raises ``MachineError``
    when there is no room in it.
    """
    parent = _parents()[0]
    while True:
        # The maker's pid, so that a directory without a ledger can still be told alive or dead.
        directory = parent / f"{_prefix()}{os.getpid()}-{new_token()}"
        try:
            # mkdir does not follow a link that somebody planted: it fails, and we draw again.
            directory.mkdir(0o700)
        except FileExistsError:
            continue
        except OSError as error:
            raise MachineError(
                f"cannot make a directory in {parent}: {error.strerror}",
                f"free space and inodes (df -i {parent}), or set XDG_RUNTIME_DIR to a directory "
                "of your own, mode 0700",
            ) from None
        return directory


def runtime_directories() -> list[Path]:
    """Return the runtime directories of this user's runs, live or dead, and of nobody else."""
    found = [
        path
        for parent in _parents()
        for path in parent.glob(f"{_prefix()}*")
        if maker_pid(path) is not None and is_private_directory(path)
    ]
    return sorted(found)


def maker_pid(directory: Path) -> int | None:
    """Return the pid in a runtime directory's name; None when the name is not one of ours."""
    match = re.fullmatch(_prefix() + "([0-9]{1,9})-[0-9a-f]{8}", directory.name)
    return int(match[1]) if match else None


def maker_lives(directory: Path) -> bool:
    """Say whether a process with the pid in a runtime directory's name exists."""
    pid = maker_pid(directory)
    return pid is None or start_time(pid) is not None


def _prefix() -> str:
    return f"lab-{os.geteuid()}-"


def _parents() -> list[Path]:
    parents = [Path("/tmp")]
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if (
        named.startswith("/")
        and is_private_directory(Path(named))
        and os.access(named, os.W_OK | os.X_OK)
    ):
        parents.insert(0, Path(named))
    return parents


def is_private_directory(path: Path) -> bool:
    """Say whether only this user can enter ``path``: no link, not planted by somebody else."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == os.geteuid()
        and stat.S_IMODE(status.st_mode) == 0o700
    )
