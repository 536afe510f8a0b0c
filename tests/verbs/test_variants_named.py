"""A scenario and a variant name a stored run, to every verb that takes one, and always the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import run
from common import runs
from common.errors import UsageError
from common.history import store
from common.verbs import explain
from tests.report.pages import lost

VERBS = ("check", "explain", "report", "trace")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Return where three runs are; the latest is of the last variant, as after ``compare``."""
    stored = tmp_path / "runs/desk"
    for number, variant in enumerate(("unlocked", "unlocked", "locked")):
        directory = stored / f"20260101T00000{number}.000000Z-1"
        scene = lost(directory)
        store.write_plan(directory, replace(scene.plan(), scenario="desk", variant=variant))
    (stored / "latest").symlink_to(directory.name)
    return tmp_path / "runs"


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what a command line prints of a run, whatever it thinks of it."""
    run.main(list(words))
    return capsys.readouterr().out


def test_where_nothing_was_found_it_is_said_where_something_was(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After `compare` the latest run is of the last variant, which is often the locked one."""
    for number, kinds in ((0, ["torn_read"]), (1, ["lost_update", "data_race"]), (2, [])):
        verdict = {"findings": [{"kind": kind} for kind in kinds]}
        directory = out / f"desk/20260101T00000{number}.000000Z-1"
        (directory / "verdict.json").write_text(json.dumps(verdict))
    assert explain._elsewhere(out / "desk/20260101T000002.000000Z-1") == {
        "unlocked": ["lost_update", "data_race"]
    }
    document = json.loads(told(capsys, "explain", "desk", "--out", str(out), "--json"))
    assert document["elsewhere"] == {}
    text = explain.explanation_text(
        document | {"findings": [], "elsewhere": {"unlocked": ["lost_update", "data_race"]}}
    )
    assert "--variant unlocked has lost_update, data_race." in text


@pytest.mark.parametrize(("asked", "number"), [("unlocked", 1), ("locked", 2), (None, 2)])
@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_means_the_latest_run_of_the_variant(
    verb: str, asked: str | None, number: int, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without one, the latest of all."""
    words = [] if asked is None else ["--variant", asked]
    json_too = [] if verb == "report" else ["--json"]
    said = told(capsys, verb, "desk", "--out", str(out), *words, *json_too)
    found = said if verb == "report" else json.dumps(json.loads(said))
    assert f"20260101T00000{number}.000000Z-1" in found


@pytest.mark.parametrize("verb", VERBS)
def test_a_variant_that_never_ran_is_one_error(
    verb: str, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names those of which there are runs."""
    assert run.main([verb, "desk", "--variant", "third", "--out", str(out)]) == 2
    assert "there are runs of locked, unlocked" in capsys.readouterr().err


def test_one_run_has_one_variant(out: Path) -> None:
    """A directory and a variant contradict each other, or say the same twice."""
    with pytest.raises(UsageError, match="is one run, of one variant"):
        runs.find(out, str(out / "desk/latest"), "locked")


def test_a_comparison_has_all_variants(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its page shows them side by side: one of them cannot be asked for."""
    words = ["report", "--compare", "desk", "--variant", "locked", "--out", str(out)]
    assert run.main(words) == UsageError.exit_code
    assert "a comparison shows every variant" in capsys.readouterr().err
