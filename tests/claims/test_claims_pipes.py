"""The experiments on pipes, and on how processes and shells come to share them."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, Experiment
from common.claims.mechanisms import pipes, processes
from common.kernel.libc.streams import Stream
from tests.claims.conducting import decided

EXPERIMENTS = [each for name in ("pipes", "processes", "popen") for each in claim.experiments(name)]
# What no setting of a Linux kernel changes.
CERTAIN = {
    "A37": HOLDS, "A38": HOLDS, "A39": HOLDS, "B1": HOLDS, "B6": HOLDS, "B8": FAILS, "B9": HOLDS,
    "B10": HOLDS, "B11": HOLDS, "B12": DEPENDS, "B13": HOLDS, "B14": HOLDS, "B17": FAILS,
    "B18": HOLDS, "B19": HOLDS, "B23": HOLDS, "B24": HOLDS, "B25": HOLDS, "B26": HOLDS,
    "B28": HOLDS, "B29": FAILS,
}  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_it_comes_to_a_verdict_and_leaves_nothing(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence is decided, as the kernel decides it, and no object or process is left."""
    decided(experiment, tmp_path / "seen", CERTAIN)


def test_kinship_would_be_needed_if_nothing_came_through() -> None:
    """That a pipe is for relatives would hold where neither way gave it to a stranger."""
    assert processes._kinship(True, False, False).verdict == HOLDS
    assert processes._kinship(True, True, False).verdict == FAILS
    assert processes._kinship(True, False, True).verdict == FAILS
    # What a relative was given says nothing.
    assert processes._kinship(False, True, True).verdict == HOLDS


def test_what_a_pipe_is_made_of_follows_the_answers() -> None:
    """All three kinds hold, none fails, some depends, and the line names which."""
    kinds = {"kernel buffers": True, "socket buffers": True}
    assert pipes._made_of(kinds, 16).verdict == HOLDS
    assert pipes._made_of(dict.fromkeys(kinds, False), 16).verdict == FAILS
    some = pipes._made_of(kinds | {"kernel buffers": False}, 16)
    assert some.verdict == DEPENDS
    assert "socket buffers, not kernel buffers" in some.why


def test_popen_tells_how_the_command_ended() -> None:
    """pclose(3) gives the command's status, or minus the signal that killed it."""
    assert Stream("exit 7", "r").close() == 7
    assert Stream("kill -9 $$", "r").close() == -9


def test_popen_refuses_a_mode_that_is_none() -> None:
    """popen(3) with a mode other than r and w is EINVAL."""
    with pytest.raises(OSError, match="Invalid argument"):
        Stream("true", "x")
