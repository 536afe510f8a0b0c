"""Two small systems, and scenarios written to files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from common.scenario.load import Scenario, load
from common.system import System, TableLayout

LAYOUT = TableLayout(("A", "B"), ("x", "y"), ((1.0, 2.0), (3.0, 4.0)))

Systems = dict[str, System]
Load = Callable[..., Scenario]


@pytest.fixture(scope="session")
def systems() -> Systems:
    """Return a system with a table, and one without."""
    return {
        "lab": System("lab", "A system for tests.", "tests.scenario.roles", (), LAYOUT),
        "bare": System("bare", "The same without a table.", "tests.scenario.roles", ()),
    }


@pytest.fixture
def loaded(tmp_path: Path, systems: Systems) -> Load:
    """Return a function that writes a scenario's text to a file and loads it."""

    def write_and_load(text: str, *settings: str) -> Scenario:
        path = tmp_path / "scenario.yaml"
        path.write_text(text, encoding="utf-8")
        return load(path, systems, settings)

    return write_and_load
