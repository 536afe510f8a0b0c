"""``crash`` kills a process at every point there is, and says what came of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.launching import Finished, launch

STEPS = [
    "acquire", "check", "read", "write", "check", "read", "write", "commit", "release",
]  # fmt: skip
SMALL = """
system: exchange
table: {store: sysv_shm, lock: sysv_sem}
processes:
  - {role: converter, name: east, operations: 1}
  - {role: converter, name: west, count: 2, operations: 2, sells: EURO, buys: DOLLAR}
delays: {write: {sleep_us: 200}}
variants:
  without:
    expect: {verdict: anomaly, findings: [lost_update]}
  undo:
    set: {table.recovery: intent}
  finish:
    set: {table.recovery: {kind: intent, half_done: finish}}
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Return a scenario of one conversion to be killed in, and others that go on."""
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def crash(path: Path, *words: str) -> Finished:
    """Run the verb."""
    return launch("crash", str(path), "--out", str(path.parent / "runs"), "--json", *words)


@pytest.mark.parametrize("lock", ["sysv_sem", "robust_mutex"])
@pytest.mark.parametrize("variant", ["undo", "finish"])
def test_with_recovery_the_table_is_conserved_at_every_point(
    variant: str, lock: str, small: Path
) -> None:
    """Nine points of one conversion, found by counting; nothing is lost at any of them."""
    done = crash(small, "--variant", variant, "--set", f"table.lock={lock}")
    document = done.document
    assert done.status == 0, done.out
    assert [point["step"] for point in document["points"]] == STEPS
    assert document["kills"] == document["conserved"] == 9
    assert document["as_promised"]
    ends = [ended(point) for point in document["points"]]
    word = "undone" if variant == "undo" else "finished"
    before, after = ("whole", word) if variant == "undo" else (word, "whole")
    # Not inside; nothing said; said, and nothing, half or all of it written; committed.
    assert ends == ["", "whole", "whole", before, word, word, word, after, "whole"]


def ended(point: dict[str, Any]) -> str:
    """Return what recovery did at a point."""
    counts = point["recovery"]
    assert sum(counts.values()) <= 1
    return next((word for word, count in counts.items() if count), "")


def test_without_recovery_it_is_seen_to_fail(small: Path) -> None:
    """Between the two writes, and only there, the table is left broken."""
    done = crash(small, "--variant", "without")
    document = done.document
    steps = [point["step"] for point in document["points"]]
    assert steps == [step for step in STEPS if step != "commit"]
    broken = [point["point"] for point in document["points"] if not point["conserved"]]
    assert broken == [5, 6, 7]
    assert done.status == 0
    # The same, if the variant promises that it holds, is a promise that was not kept.
    kept = crash(small, "--variant", "without", "--set", "expect=valid")
    assert kept.status == 1
    told = [point for point in kept.document["points"] if point["why"]]
    assert [point["point"] for point in told] == [5, 6, 7]
    assert all(Path(point["run_dir"], "verdict.json").is_file() for point in told)


def test_only_what_is_worth_a_look_is_kept(small: Path) -> None:
    """Of a sweep that comes out well the last run is kept, and none of the others."""
    crash(small, "--variant", "undo", "--limit", "3")
    kept = [path for path in (small.parent / "runs/small").iterdir() if not path.is_symlink()]
    assert len(kept) <= 2


def test_it_goes_round_until_there_were_so_many_kills(small: Path) -> None:
    """Each round has the next seed."""
    document = crash(
        small, "--variant", "undo", "--times", "12", "--seed", "5", "--process", "east-0"
    ).document
    assert (document["kills"], document["rounds"]) == (12, 2)
    assert [point["seed"] for point in document["points"]] == [5] * 9 + [6] * 3


def test_a_process_that_is_not_there_is_refused(small: Path) -> None:
    """With the nearest that is."""
    done = crash(small, "--process", "eats-0")
    assert done.status == 2
    assert "did you mean 'east-0'" in done.err


def test_the_table_for_people_names_points_and_sums(small: Path) -> None:
    """A line a point, then a line a step."""
    done = launch(
        "crash", str(small), "--variant", "undo", "--limit", "5",
        "--out", str(small.parent / "runs"),
    )  # fmt: skip
    assert done.status == 0
    assert "the table is conserved, 1 undone; then valid" in done.out
    assert "the table was conserved in 5 of 5" in done.out
