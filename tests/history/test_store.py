from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import StoredRunError
from common.history import store
from common.history.outcome import Outcome, ProcessOutcome
from tests.verdict.scenes import Scene, ring

numbers = st.floats(allow_nan=False)
# What no terminal obeys: the rest no run of ours writes, and none is read (test_stored_runs).
words = st.text(
    st.characters(blacklist_categories=("Cc", "Cf", "Cs"), blacklist_characters="\u2028"),
    max_size=5,
)
processes = st.builds(
    ProcessOutcome,
    name=words,
    role=words,
    system=words,
    index=st.integers(0, 9),
    pid=st.integers(1, 99999),
    exit=st.none() | st.integers(0, 255),
    signal=st.none() | st.integers(1, 64),
    error=st.none() | st.dictionaries(words, words, max_size=2),
    hung=st.none() | words,
    summary=st.dictionaries(words, numbers | st.lists(numbers, max_size=3), max_size=2),
    cpu_s=numbers,
    guest=st.booleans(),
)
tables = st.none() | st.lists(st.lists(numbers, min_size=3, max_size=3), max_size=3)
outcomes = st.builds(
    Outcome,
    gate_ns=st.integers(0, 2**62),
    ended_ns=st.integers(0, 2**62),
    processes=st.lists(processes, max_size=3),
    initial=tables,
    final=tables,
    paper=st.none() | words,
    interrupted=st.none() | st.integers(1, 15),
)


@settings(deadline=None)
@given(outcome=outcomes)
def test_an_outcome_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, outcome: Outcome
) -> None:
    """To the last bit of every float; infinities of a spoiled table included."""
    run_dir = tmp_path_factory.mktemp("run")
    store.write_outcome(run_dir, outcome)
    found = store.read_outcome(run_dir)
    assert found == outcome
    assert repr(found) == repr(outcome)


def test_a_plan_comes_back_equal(tmp_path: Path) -> None:
    """With its nested parts as what they were."""
    scene = Scene(tmp_path / "run", channels=[ring()], paper=[])
    scene.recorder("trader-1")
    store.write_plan(tmp_path, scene.plan())
    assert store.read_plan(tmp_path) == scene.plan()


def test_nothing_else_is_left_in_the_directory(tmp_path: Path) -> None:
    """A document is written beside its place and renamed: whole or not at all."""
    outcome = Outcome(1, 2, [])
    store.write_outcome(tmp_path, outcome)
    store.write_outcome(tmp_path, outcome)
    assert [path.name for path in tmp_path.iterdir()] == ["outcome.json"]


def test_a_document_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    """What cannot be told in JSON is an error before anything is replaced."""
    store.write_verdict(tmp_path, {"verdict": "valid"})
    with pytest.raises(TypeError):
        store.write_verdict(tmp_path, {"verdict": object()})
    assert store.read_verdict(tmp_path) == {"verdict": "valid"}


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    """For writing and for reading."""
    nowhere = tmp_path / "nowhere"
    with pytest.raises(StoredRunError, match=r"nowhere/outcome\.json cannot be written"):
        store.write_outcome(nowhere, Outcome(1, 2, []))
    with pytest.raises(
        StoredRunError, match=r"nowhere/outcome\.json is missing.*no such directory"
    ):
        store.read_outcome(nowhere)
    with pytest.raises(StoredRunError, match="is it the directory of a run"):
        store.read_outcome(tmp_path)


def rewrite(change: Callable[[dict[str, Any]], object]) -> Callable[[str], str]:
    def rewritten(text: str) -> str:
        body = json.loads(text)
        change(body)
        return json.dumps(body)

    return rewritten


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda text: text[:40], "is garbled"),
        (lambda text: "[" * 100_000, "is garbled"),
        (lambda text: "[]", "is not an outcome of this lab"),
        (rewrite(lambda body: body.update(format="x")), "is not an outcome of this lab"),
        (rewrite(lambda body: body.update(version=99)), "has version 99, this program reads 3"),
        (rewrite(lambda body: body.pop("gate_ns")), "the field 'gate_ns' is missing"),
        (rewrite(lambda body: body.update(extra=1)), "the field 'extra' is not known"),
        (rewrite(lambda body: body.update(gate_ns="1")), "gate_ns should be int, not '1'"),
        (rewrite(lambda body: body.update(gate_ns=True)), "gate_ns should be int, not True"),
        (rewrite(lambda body: body.update(processes=[3])), r"processes\[0\] should be an object"),
        (rewrite(lambda body: body.update(final=[["a"]])), r"final\[0\]\[0\] should be float"),
        (rewrite(lambda body: body.update(processes={})), "processes should be list"),
    ],
)
def test_a_spoiled_document_is_named_with_what_is_wrong(
    tmp_path: Path, spoil: Callable[[str], str], complaint: str
) -> None:
    """Never a traceback, and never half a document."""
    path = store.write_outcome(tmp_path, Outcome(1, 2, []))
    path.write_text(spoil(path.read_text()))
    with pytest.raises(StoredRunError, match=complaint):
        store.read_outcome(tmp_path)


def test_a_paper_that_is_gone_is_an_error_of_the_stored_run(tmp_path: Path) -> None:
    """A run without its paper is incomplete."""
    scene = Scene(tmp_path / "run", paper=["[job 1 page 1/1] x"])
    case = scene.case()
    assert case.paper_lines == ["[job 1 page 1/1] x", ""]
    (scene.directory / "paper.txt").unlink()
    with pytest.raises(StoredRunError, match=r"paper\.txt cannot be read"):
        store.load_case(scene.directory, case.history.operations)
