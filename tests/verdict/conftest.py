"""Stored runs of a spool, made once, that a test may change."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.launching import launch
from tests.verdict.stored_spools import SCENARIO, Stored


@pytest.fixture(scope="session")
def spool_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make one run of each promise."""
    place = tmp_path_factory.mktemp("runs")
    scenario = place / "scenario.yaml"
    scenario.write_text(SCENARIO)
    done = launch("compare", str(scenario), "--out", str(place), "--json")
    assert done.status == 0, done.out[-2000:] + done.err
    variants = done.document["variants"]
    return {name: Path(entry["runs"][0]["run_dir"]) for name, entry in variants.items()}


@pytest.fixture
def once_or_more(spool_runs: dict[str, Path], tmp_path: Path) -> Stored:
    """Return a copy of the run that promises at least once."""
    return Stored(Path(shutil.copytree(spool_runs["at_least_once"], tmp_path / "run")))


@pytest.fixture
def at_most_once(spool_runs: dict[str, Path], tmp_path: Path) -> Stored:
    """Return a copy of the run that promises at most once."""
    return Stored(Path(shutil.copytree(spool_runs["at_most_once"], tmp_path / "run")))
