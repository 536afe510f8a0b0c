"""The experiments on FIFOs and on how they are made."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, Experiment
from common.claims.mechanisms import fifos
from tests.claims.conducting import decided

EXPERIMENTS = [each for name in ("fifos", "mkfifo") for each in claim.experiments(name)]
CERTAIN = {
    "A14": HOLDS, "A40": HOLDS, "A41": DEPENDS, "A42": FAILS, "A43": HOLDS, "B30": HOLDS,
    "B33": HOLDS, "B34": HOLDS, "B36": HOLDS, "B38": HOLDS, "B39": DEPENDS, "B40": HOLDS,
    "B126": HOLDS, "B127": DEPENDS, "B128": DEPENDS,
}  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_it_comes_to_a_verdict_and_leaves_nothing(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence is decided, as the kernel decides it, and no object or process is left."""
    decided(experiment, tmp_path / "seen", CERTAIN)


def test_a_non_blocking_open_holds_only_where_nothing_refuses_it() -> None:
    """Opened without a reader it would hold; opened but blocking, or never, it fails."""
    assert fifos._opened("", "", False).verdict == HOLDS
    assert fifos._opened("ENXIO", "", False).verdict == DEPENDS
    assert fifos._opened("ENXIO", "", True).verdict == FAILS
    assert fifos._opened("ENXIO", "EACCES", None).verdict == FAILS


def test_the_advice_on_redirection_has_two_halves() -> None:
    """Both needed holds, one of them depends, none fails; the line says which."""
    assert fifos._advised(True, True).verdict == HOLDS
    assert fifos._advised(False, True).verdict == DEPENDS
    assert fifos._advised(True, False).verdict == DEPENDS
    assert fifos._advised(False, False).verdict == FAILS


def test_the_order_of_two_lines_depends_only_where_both_were_seen() -> None:
    """One order seen is a verdict for it or against it; both are neither."""
    assert fifos._order({"parent"}, ["parent"]).verdict == HOLDS
    assert fifos._order({"child"}, []).verdict == FAILS
    both = fifos._order({"parent", "child"}, ["parent", "child", "child"])
    assert (both.verdict, both.figure) == (DEPENDS, "parent first in 1 free runs of 3")


def test_unlink_makes_way_where_nobody_refuses_it() -> None:
    """It depends because another's FIFO stays; where that could not be tried it says no more."""
    assert fifos._made_way("EEXIST", True, "EPERM").verdict == DEPENDS
    assert fifos._made_way("EEXIST", True, "").verdict == HOLDS
    assert fifos._made_way("EEXIST", True, fifos.UNTRIED).verdict == HOLDS
    assert fifos._made_way("EEXIST", False, "EPERM").verdict == FAILS
