"""The experiments on remote calls, and on speed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

import run
from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, VERDICTS, Experiment
from common.claims.conduct import conduct
from common.claims.mechanisms import rpc, speed
from tests.claims.conducting import conducted

EXPERIMENTS = {each.name: each for name in ("rpc", "speed") for each in claim.experiments(name)}
# The others are decided by what is installed, or by figures.
CERTAIN = {"B178": HOLDS, "B180": HOLDS, "B181": HOLDS, "B182": HOLDS}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda each: each.name)
def test_it_comes_to_a_verdict(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence is decided, as it must be where nothing else decides it; nothing is left."""
    for name, each in conducted(experiment, tmp_path / "seen").shown.items():
        assert each.verdict in VERDICTS[:3], each
        assert each.verdict == CERTAIN.get(name, each.verdict), each


def test_they_cover_their_part_of_the_lecture() -> None:
    """B175 and B178 to B183, each in exactly one experiment."""
    named = [each.name for one in EXPERIMENTS.values() for each in one.claims]
    assert sorted(named) == sorted(["B175", *(f"B{number}" for number in range(178, 184))])


def test_a_server_that_remembers_every_sale_refutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a sale that is called twice is done once, idempotent ones are no easier."""
    change = rpc._Office.change

    def once(office: rpc._Office, procedure: str, amount: int, request: str | None) -> int:
        return change(office, procedure, amount, request or "the only one")

    monkeypatch.setattr(rpc._Office, "change", once)
    assert conduct(EXPERIMENTS["retried"], run.SYSTEMS).shown["B182"].verdict == FAILS


def test_a_caller_that_can_tell_refutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no server does its work before it is killed, the caller knows what happened."""
    monkeypatch.setattr(rpc._Office, "change", lambda *_: 0)
    assert conduct(EXPERIMENTS["unknown"], run.SYSTEMS).shown["B181"].verdict == FAILS


def test_no_generator_no_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rpcgen the most common tool is not here."""
    monkeypatch.setenv("PATH", os.devnull)
    shown = conduct(EXPERIMENTS["interface_language"], run.SYSTEMS).shown["B183"]
    assert (shown.verdict, shown.figure) == (FAILS, "no rpcgen")


def test_the_ranking_is_judged_by_the_figures() -> None:
    """The lecture's ranking in both measures holds, in none fails, in one depends."""
    kinds = [speed.PIPE, *speed.QUEUES, *speed.SOCKETS]
    lecture: Mapping[str, float] = dict(zip(kinds, (1, 1.5, 1.6, 2, 2.1, 2.2), strict=True))
    reverse = dict(zip(kinds, (9, 7, 8, 1, 2, 3), strict=True))
    assert speed.ranking_verdict(lecture, lecture) == HOLDS
    assert speed.ranking_verdict(lecture, reverse) == DEPENDS
    assert speed.ranking_verdict(reverse, reverse) == FAILS
