"""Damage: whatever is done to a scenario's text, the answer is a scenario or its complaints."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Complaint, ScenarioError
from common.scenario.load import load
from common.scenario.plan import plan
from tests.scenario.conftest import Systems
from tests.scenario.test_plan import TEXT

PIECES = [
    *"[]{}:-~|>?,#@%'\"\\&*!\t\n\u2028", "null", "*a ", "&a ", "!!int ", "<<: ", "0", "1e3", ".nan",
    "none", "kind", "per", "lock", "0x", "-1", "1:30", "__",
]  # fmt: skip
# Where to cut, how much to take out, what to put in.
DAMAGE = st.tuples(st.integers(0, len(TEXT)), st.integers(0, 30), st.sampled_from(PIECES))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damage") / "damaged.yaml"


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(damages=st.lists(DAMAGE, min_size=1, max_size=3))
def test_a_damaged_scenario_is_planned_or_complained_about(
    damages: list[tuple[int, int, str]], path: Path, systems: Systems
) -> None:
    """No other exception, and every complaint is one line with a place."""
    text = TEXT
    for at, length, piece in damages:
        text = text[:at] + piece + text[at + length :]
    path.write_text(text, encoding="utf-8")

    for complaint in told(path, systems):
        assert complaint.line >= 1
        assert complaint.column >= 1
        assert "\n" not in str(complaint)


def told(path: Path, systems: Systems) -> list[Complaint]:
    try:
        plan(load(path, systems), None, 1, systems)
    except ScenarioError as error:
        return error.complaints
    return []
