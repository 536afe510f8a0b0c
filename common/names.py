"""How things of a run are named so that no two runs, users or test workers ever collide."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from common.errors import MachineError

KEY_PREFIX = 0x4C000000
KEY_RANDOM_BYTES = 3
# PID_MAX_LIMIT (proc(5)).
LARGEST_PID = 1 << 22
# Fields of /proc/pid/stat after the command: state is field 3, session 6, start time 22 (proc(5)).
_STATE, _SESSION, _START = 0, 3, 19


def new_key() -> int:
    """Return a System V key: ``L`` (0x4C) in its top byte, 24 random bits below.

    Positive as a signed 32-bit ``key_t``, never 0 (IPC_PRIVATE) and never -1 (a failed ftok(3)).
    """
    return KEY_PREFIX | int.from_bytes(os.urandom(KEY_RANDOM_BYTES))


def new_token() -> str:
    """Return eight random hexadecimal digits, for names of files and POSIX objects."""
    return os.urandom(4).hex()


def printable(text: object) -> str:
    """Return a text as one line that a terminal cannot be told by.

    What does not print (control characters, marks that turn the direction of writing, halves of
    surrogate pairs) stands there as Python writes it.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def boot_id() -> str:
    """Return the identity of this boot of the machine: pids and System V ids end with it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def namespaces() -> str:
    """Return the pid and IPC namespaces that pids and System V ids of this process belong to."""
    try:
        return " ".join(str(Path("/proc/self/ns", kind).readlink()) for kind in ("pid", "ipc"))
    except OSError:
        return ""


@dataclass(frozen=True)
class Standing:
    """What the kernel says of a process: ``start`` in clock ticks since boot, its session's id.

    ``zombie``: it has ended, and nobody has asked for its status yet.
    """

    pid: int
    start: int
    session: int
    zombie: bool


def standing(pid: int) -> Standing | None:
    """Return what the kernel says of process ``pid``; None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command is in parentheses and may hold blanks and parentheses itself.
    fields = text.rpartition(")")[2].split()
    return Standing(pid, int(fields[_START]), int(fields[_SESSION]), fields[_STATE] in "ZXx")


def start_time(pid: int) -> int | None:
    """Return when ``pid`` started, in clock ticks since boot; None if it has ended or is a zombie.

    A pid and its start time name one process for ever; a pid alone is soon used again.
    """
    found = standing(pid)
    return None if found is None or found.zombie else found.start


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


def longest_runtime_directory() -> Path:
    """Return a path as long as any that ``make_runtime_directory`` may make now."""
    return _parents()[0] / f"{_prefix()}{LARGEST_PID}-{'0' * 8}"


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
