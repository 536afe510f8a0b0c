"""A process becomes another program (execve(2)) in the middle of its work, and never comes back.

Same process, same pid: a lock that belongs to the process stays held, one that lies in its memory
is forgotten there. What it has open stays open, as where nobody has set FD_CLOEXEC.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.options import option

if TYPE_CHECKING:
    from common.process.faults import Scene
    from common.process.members import Member

STRIKES = True

STRUCK = "exec"
PROGRAM = "sleep"


@dataclass(frozen=True)
class Options:
    """How long the other program runs, and what it is given."""

    seconds: float = option(0.5, about="Seconds that it runs (sleep(1)).", minimum=0, maximum=3600)
    keeps: bool = option(True, about="It keeps what is open; else it is closed (FD_CLOEXEC).")


def strike(options: Options, scene: Scene, member: Member | None) -> float | None:
    """Let it go on at once: it calls execve(2) by itself."""
    assert member is not None
    member.outcome.struck = STRUCK
    return 0.0


def word(options: Options) -> dict[str, Any]:
    """Return for how long."""
    return {"seconds": options.seconds, "keeps": options.keeps}


def act(word: dict[str, Any], context: Any) -> None:
    """Become that program."""
    if word["keeps"]:
        for number in map(int, os.listdir("/proc/self/fd")):  # noqa: PTH208
            try:
                os.set_inheritable(number, True)
            except OSError:
                continue  # that of the listing itself
    os.execvp(PROGRAM, [PROGRAM, str(word["seconds"])])
