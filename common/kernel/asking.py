"""The options by which a scenario asks for a fixed key or path, and says who makes the object."""

from __future__ import annotations

from typing import Any

from common.kernel.existing import LARGEST_KEY
from common.options import option

# Who makes an object: the launcher, a program outside the run, or else a group of the run.
LAB, OTHER = "lab", "other"


def key(what: str, lecture: str) -> Any:
    """Return the option for a fixed System V key; without it each run draws its own."""
    return option(
        None,
        about=f"a fixed key, for a program that knows it ({lecture}); left out, each run draws "
        f"its own for {what}",
        minimum=1,
        maximum=LARGEST_KEY,
    )


def path(what: str, lecture: str) -> Any:
    """Return the option for a fixed path; without it the object lies in the run's directory."""
    return option(
        None,
        about=f"an absolute path for {what}, for a program that knows it ({lecture}); left out, it "
        "lies in the private directory of the run",
    )


def maker() -> Any:
    """Return the option that says who makes the object."""
    return option(
        LAB,
        about="who makes it: `lab`; a group of this run that is a program, which is started first; "
        "or `other`, a program outside the run, which is waited for",
    )
