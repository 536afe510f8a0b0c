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
        "crash", str(small), "--variant", "undo", "--limit", "5", "--verbose",
        "--out", str(small.parent / "runs"),
    )  # fmt: skip
    assert done.status == 0
    assert "the table is conserved, 1 undone; then valid" in done.out
    assert "the table was conserved in 5 of 5" in done.out


WEST = "{role: trader, name: west, count: 2, operations: 3, sell_share: 0, currencies: [DOLLAR]}"
UNLOCKED = f"""
system: exchange
table: {{store: sysv_shm, lock: none}}
processes:
  - {{role: trader, name: east, operations: 2, sell_share: 0, currencies: [DOLLAR]}}
  - {WEST}
delays: {{write: {{sleep_us: 20000}}}}
variants:
  unlocked:
    expect: {{verdict: anomaly, findings: [lost_update]}}
"""


@pytest.fixture
def unlocked(tmp_path: Path) -> Path:
    """Return a scenario that loses updates whether somebody is killed or not."""
    path = tmp_path / "unlocked.yaml"
    path.write_text(UNLOCKED)
    return path


def kept(path: Path) -> list[str]:
    """Return the names of the runs that are stored."""
    return sorted(
        each.name
        for each in (path.parent / "runs" / path.stem).iterdir()
        if each.is_dir() and not each.is_symlink()
    )


def test_an_anomaly_that_is_promised_may_show_in_the_run_after_a_kill(unlocked: Path) -> None:
    """The two others lose updates at every point, and in every run after it: as promised."""
    done = crash(unlocked)
    document = done.document
    assert {point["after"] for point in document["points"]} == {"anomaly"}
    assert [point["why"] for point in document["points"]] == [[]] * document["kills"]
    assert (done.status, document["as_promised"]) == (0, True)


def test_a_race_without_harm_breaks_no_promise_of_harm_and_keeps_none(tmp_path: Path) -> None:
    """Who only reads loses nothing: no point is ill, and none shows what was promised."""
    path = tmp_path / "reader.yaml"
    path.write_text(
        UNLOCKED.replace(WEST, "{role: auditor, name: west, snapshots: 3, currency: DOLLAR}")
    )
    done = crash(path)
    document = done.document
    assert "data_race" in {kind for point in document["points"] for kind in point["findings"]}
    assert [point["why"] for point in document["points"]] == [[]] * document["kills"]
    assert (done.status, document["as_promised"]) == (1, False)


def test_the_run_after_a_kill_must_keep_a_promise_of_valid(unlocked: Path) -> None:
    """The same runs break it, and both of a point are named."""
    done = crash(unlocked, "--set", "expect=valid", "--limit", "1")
    (point,) = done.document["points"]
    assert done.status == 1
    assert point["why"] == ["not as promised", "the run after it was not as promised"]
    for key in ("run_dir", "after_dir"):
        assert Path(point[key], "verdict.json").is_file()


def test_the_latest_run_is_the_one_that_did_harm(small: Path) -> None:
    """Not the control run that came last; and it is the latest of its variant, too."""
    document = crash(small, "--variant", "without", "--set", "expect=valid").document
    told = [point["run_dir"] for point in document["points"] if point["why"]]
    runs = small.parent / "runs"
    assert (runs / "small/latest").resolve() == Path(told[0])
    assert kept(small) == sorted(Path(each).name for each in told)
    for words in ((), ("--variant", "without")):
        explained = launch("explain", "small", "--out", str(runs), "--json", *words)
        assert explained.status == 0, explained.err
        assert Path(told[0]).name in explained.out


def test_the_first_point_that_shows_the_promised_anomaly_is_named(small: Path) -> None:
    """With the command that explains it; it alone is kept, and it is the latest."""
    done = launch(
        "crash", str(small), "--variant", "without", "--out", str(small.parent / "runs")
    )  # fmt: skip
    (name,) = kept(small)
    assert "point 5 (check)" in done.out
    assert f"python run.py explain {small.parent / 'runs/small' / name}\n" in done.out
    assert (small.parent / "runs/small/latest").resolve().name == name


def test_many_points_that_were_not_as_promised_leave_few_runs(unlocked: Path) -> None:
    """Of ten of them at most both runs are kept; the others are told by number.

    The second round begins after a run that passed all ten steps, which broke its promise as well.
    """
    done = launch(
        "crash", str(unlocked), "--set", "expect=valid", "--times", "13",
        "--out", str(unlocked.parent / "runs"),
    )  # fmt: skip
    assert done.status == 1
    assert len(kept(unlocked)) == 20
    assert done.out.count("python run.py explain ") == 20
    assert "and 4 more points; their runs are not kept" in done.out


def test_it_says_before_what_it_will_cost(small: Path) -> None:
    """The number of points comes first; no line a point where nobody looks, one a step."""
    done = launch("crash", str(small), "--variant", "undo", "--out", str(small.parent / "runs"))
    first, *rest = done.out.splitlines()
    assert first.startswith("east-0 passed 9 steps in a first run: 9 kills, two runs each, take")
    assert not [line for line in rest if "; then valid" in line]
    assert [line.split()[:2] for line in rest if line.startswith("  check ")] == [["check", "2"]]
    assert crash(small, "--variant", "undo", "--limit", "1").document["counted"] == 9
