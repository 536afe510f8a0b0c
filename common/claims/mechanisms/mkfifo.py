"""mkfifo: how FIFOs are made, with which mode, and how they are removed."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from common.claims.claim import Shown, claim, holds
from common.claims.lab import PATIENCE, Lab
from common.claims.mechanisms.pipes import refusal


@claim("A40", 295, "A FIFO is made by mkfifo, the command or the call; then open() and close().")
@claim("B34", 28, "A user makes a FIFO by the command mkfifo, a program by mkfifo().")
def made_twice(lab: Lab) -> Shown:
    """A FIFO of the command and one of the call; a shell writes into each, this process reads."""
    _command(lab, "mkfifo", "by_command")
    os.mkfifo(lab.directory / "by_call", 0o600)
    got = {}
    for name in ("by_command", "by_call"):
        reading = os.open(lab.directory / name, os.O_RDONLY | os.O_NONBLOCK)
        _command(lab, "sh", "-c", f"echo through > {name}")
        got[name] = os.read(reading, 100)
        os.close(reading)
        lab.note(f"{_mode(lab, name)} {name}: opened, read {got[name]!r}, closed")
    return holds(
        all(_is_fifo(lab, name) and words == b"through\n" for name, words in got.items()),
        " and ".join(f"{_mode(lab, name)}" for name in got),
        "both are FIFOs, and both join a shell's write to another program's read",
    )


@claim("B35", 30, "In a shell: mkfifo name, mkfifo -m mode name, mknod name p.")
@claim("B37", 30, "mknod takes MAJOR and MINOR for devices; for p they must be left out.")
def commands(lab: Lab) -> dict[str, Shown]:
    """Each command in a private directory; mknod p with numbers; the slide's dash as printed."""
    done = {
        "plain": _command(lab, "mkfifo", "plain"),
        "with_mode": _command(lab, "mkfifo", "-m", "620", "with_mode"),
        "by_mknod": _command(lab, "mknod", "by_mknod", "p"),
    }
    for name in done:
        lab.note(f"{_mode(lab, name)} {name}")
    numbered = _command(lab, "mknod", "numbered", "p", "1", "2")
    lab.note(f"mknod numbered p 1 2: status {numbered}; a FIFO: {_is_fifo(lab, 'numbered')}")
    slide = lab.directory / "slide"
    slide.mkdir()
    subprocess.run(["mkfifo", "–m", "600", "copied"], cwd=slide, timeout=PATIENCE, check=False)
    copied = sorted(path.name for path in slide.iterdir())
    lab.note(f"copied from the slide, whose dash is a long one, mkfifo makes FIFOs named {copied}")
    right = not any(done.values()) and all(_is_fifo(lab, name) for name in done)
    return {
        "B35": holds(
            right and _mode(lab, "with_mode") == "prw--w----",
            f"-m 620 gives {_mode(lab, 'with_mode')}",
            "all three make FIFOs; with -m the mode is the one that is said",
        ),
        "B37": holds(
            done["by_mknod"] == 0 and numbered != 0 and not _is_fifo(lab, "numbered"),
            f"status {numbered}",
            "a FIFO is no device and has no numbers: with them mknod refuses",
        ),
    }


@claim("B38", 30, "By default a FIFO's mode is 0666, limited by the umask.")
def default_mode(lab: Lab) -> Shown:
    """Mkfifo under the umasks 000, 022 and 077; the modes are read back."""
    found = {}
    for mask in (0o000, 0o022, 0o077):
        name = f"under-{mask:03o}"
        _command(lab, "mkfifo", name, umask=mask)
        found[mask] = stat.S_IMODE((lab.directory / name).stat().st_mode)
        lab.note(f"umask {mask:03o}: mode {found[mask]:04o}")
    return holds(
        all(mode == 0o666 & ~mask for mask, mode in found.items()),
        f"umask 022 gives {found[0o022]:04o}",
        "what the umask names is taken away from 0666",
    )


@claim("B36", 30, "Remove your FIFOs after use.")
def left_behind(lab: Lab) -> Shown:
    """A FIFO is used and closed by all; then its name is looked for, before and after rm."""
    path = lab.directory / "used"
    os.mkfifo(path, 0o600)
    os.close(os.open(path, os.O_RDWR))
    left = path.exists()
    again = refusal(lambda: os.mkfifo(path, 0o600))
    lab.note(f"closed by all, its name is there: {left}; making it anew: {again or 'made'}")
    _command(lab, "rm", "used")
    gone = not path.exists()
    then = refusal(lambda: os.mkfifo(path, 0o600))
    lab.note(f"after rm its name is gone: {gone}; making it anew: {then or 'made'}")
    return holds(
        left and again == "EEXIST" and gone and not then,
        again or "made",
        "nobody else removes it, and the next program that makes it is refused",
    )


@claim("B40", 34, "mkfifo() returns 0, or -1 and sets errno.")
def returned(lab: Lab) -> Shown:
    """The call is made on a new name, on the same name again, and in a directory that is not."""
    path = lab.directory / "name"
    found = [
        refusal(lambda: os.mkfifo(path, 0o600)),
        refusal(lambda: os.mkfifo(path, 0o600)),
        refusal(lambda: os.mkfifo(Path(f"{path}-absent", "name"), 0o600)),
    ]
    for what, error in zip(("a new name", "again", "no such directory"), found, strict=True):
        lab.note(f"{what}: {f'-1, errno {error}' if error else '0'}")
    return holds(
        found == ["", "EEXIST", "ENOENT"],
        f"0, then {found[1]}, {found[2]}",
        "a program that does not look at the result goes on with whatever has that name",
    )


def _command(lab: Lab, *words: str, umask: int = 0o022) -> int:
    """Run a command in the experiment's directory; returns its status."""
    return subprocess.run(
        words, cwd=lab.directory, umask=umask, stderr=subprocess.DEVNULL, timeout=PATIENCE,
        check=False,
    ).returncode  # fmt: skip


def _mode(lab: Lab, name: str) -> str:
    path = lab.directory / name
    return stat.filemode(path.stat().st_mode) if path.exists() else "(not made)"


def _is_fifo(lab: Lab, name: str) -> bool:
    return (lab.directory / name).is_fifo()
