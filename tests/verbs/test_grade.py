"""`run.py grade`: points of schedules that are replayed, the same each time, and why they fell."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launching import ROOT, SECONDS, launch
from tests.verbs.exercises import ANSWERS, EXERCISE, HARMFUL, SERIAL, graded, grading, tokens


def test_the_reference_gets_all_points(room: Path) -> None:
    """The shipped exercise with its own reference: 22 of 22, and nothing is left behind."""
    done = launch("grade", str(EXERCISE), "--json")
    assert done.status == 0
    assert done.document["score"] == 22
    assert [test["score"] for test in done.document["tests"]] == [10, 6, 4, 2]
    assert list(room.iterdir()) == []


def test_the_document_has_gradescopes_form(tmp_path: Path) -> None:
    """Each key that results.json may have is of its type; the score is the sum of the tests'."""
    file = tmp_path / "results.json"
    words = ("--submission", str(ANSWERS / "dropped.yaml"), "--json", str(file))
    done = launch("grade", str(EXERCISE), *words)
    assert done.status == 0
    document = json.loads(file.read_text())
    top = {"score", "execution_time", "output", "visibility", "stdout_visibility", "tests",
           "extra_data"}  # fmt: skip
    assert set(document) == top
    keys = {"name": str, "number": str, "score": float | int, "max_score": float | int,
            "output": str, "visibility": str, "tags": list, "extra_data": dict}  # fmt: skip
    for test in document["tests"]:
        assert set(test) == set(keys)
        assert all(isinstance(test[key], kind) for key, kind in keys.items())
    assert document["score"] == sum(test["score"] for test in document["tests"])
    # What people read says the same.
    assert "1 keeps every unit " in done.out
    assert re.search(r"total +2 +22", done.out)


def test_a_lost_point_can_be_seen_again(tmp_path: Path) -> None:
    """The command of a lost point, typed by a student, shows the same finding."""
    document = graded(EXERCISE, "dropped")
    first = document["tests"][0]
    assert first["score"] == 0
    assert "lost_update in 4 of 6 schedules" in first["output"]
    typed = re.search(r"see it again: python3 run.py (.*)", first["output"])
    assert typed is not None
    again = launch(*shlex.split(typed[1]), "--out", str(tmp_path), "--json")
    assert again.status == 1
    assert "lost_update" in {finding["kind"] for finding in again.document["findings"]}
    assert f"seed {again.document['seed']};" in first["output"]


def test_the_same_submission_gets_the_same_twenty_times(tmp_path: Path) -> None:
    """Graded 20 times, partly right: the same points, the same words, the same tokens."""
    items = tokens(HARMFUL)
    items += (
        "  - {name: b, points: 3, scenario: exchange/two_traders, variant: locked, credit: share,"
        " set: {processes.trader.operations: 2}, walk: {schedules: 3, strategy: random}}\n"
    )
    file = grading(tmp_path, items)
    answer = str(ANSWERS / "given_twice.yaml")
    done = launch("grade", str(file), "--submission", answer, "--check", "20")
    assert "graded 20 times" in done.out
    assert "differ" not in done.out
    # It is not right, so this is no sound exercise with it as the reference.
    assert done.status == 1
    assert "not all points" in done.out


def test_a_check_praises_a_sound_exercise(tmp_path: Path) -> None:
    """The right answer gets all points each time: status 0."""
    file = grading(tmp_path, tokens(HARMFUL))
    answer = str(ANSWERS / "proper.yaml")
    done = launch("grade", str(file), "--submission", answer, "--check", "2")
    assert done.status == 0
    assert "each time the same, and all points" in done.out


def test_who_is_kept_out_loses_nothing(tmp_path: Path) -> None:
    """The order that does harm cannot be followed where the lock keeps the other teller out."""
    document = graded(grading(tmp_path, tokens(HARMFUL)), "proper")
    assert document["score"] == 8
    assert "trader-1 stands before" in document["tests"][0]["output"]
    assert "which trader-0 has" in document["tests"][0]["output"]


@pytest.mark.parametrize(
    ("more", "points"),
    [("", 4), (", weights: [3, 1]", 2), (", weights: [1, 3]", 6), (", credit: all", 0)],
)
def test_each_schedule_counts_as_the_file_says(more: str, points: float, tmp_path: Path) -> None:
    """Of two schedules the first is not as it must be: alike, by weight, or all or nothing."""
    wanted = ", expect: {verdict: anomaly, findings: [lost_update]}"
    file = grading(tmp_path, tokens(SERIAL, HARMFUL, more=more + wanted))
    assert graded(file, "dropped")["score"] == points


def test_a_hidden_item_gives_its_token_to_the_teacher_alone(tmp_path: Path) -> None:
    """The student reads why, never the schedule; `--student` leaves the item out."""
    file = grading(tmp_path, tokens(HARMFUL, more=", hidden: true"))
    document = graded(file, "dropped")
    (test,) = document["tests"]
    assert test["visibility"] == "after_published"
    assert "lost_update" in test["output"]
    assert "acquire,check" not in test["output"]
    (lost,) = document["extra_data"]["lost"]
    assert lost["token"] == HARMFUL
    assert HARMFUL in lost["command"]
    shown = graded(file, "dropped", "--student")
    assert shown["tests"] == []
    assert "acquire" not in json.dumps(shown)


def test_an_exercise_may_ask_for_harm(tmp_path: Path) -> None:
    """`expect` an anomaly: who breaks the lock gets the points, who keeps it does not."""
    items = (
        "  - {name: a, points: 5, scenario: exchange/two_traders, variant: locked, walk: 20,"
        " expect: {verdict: anomaly, findings: [lost_update]}}\n"
    )
    file = grading(tmp_path, items)
    assert graded(file, "dropped")["score"] == 5
    document = graded(file, "proper")
    assert document["score"] == 0
    assert "no schedule shows lost_update" in document["tests"][0]["output"]


def test_a_submission_sets_only_what_it_may(tmp_path: Path) -> None:
    """An answer that changes what is expected gets nothing, and is told which key it may have."""
    answer = tmp_path / "answer.yaml"
    answer.write_text("processes.trader.locking: dropped\nexpect: anomaly\n")
    document = graded(grading(tmp_path, tokens(HARMFUL)), answer)
    assert document["score"] == 0
    assert "answer.yaml:2:1: expect is not for a submission" in document["tests"][0]["output"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("processes.trader.locking: dorpped\n", "did you mean 'dropped'?"),
        ("a: [\n", "not closed"),
        ("- a\n", "it sets nothing"),
        ("a: 1\n", "processes.trader.locking is missing"),
    ],
)
def test_nonsense_loses_with_a_sentence(answer: str, said: str, tmp_path: Path) -> None:
    """What cannot be put in gets no points, and the student is told why: status 0."""
    path = tmp_path / "answer.yaml"
    path.write_text(answer)
    document = graded(grading(tmp_path, tokens(HARMFUL)), path)
    assert document["score"] == 0
    assert said in document["tests"][0]["output"]


def test_a_directory_holds_one_answer(tmp_path: Path) -> None:
    """Of a directory that was handed in its one YAML file is graded; two are one too many."""
    directory = tmp_path / "submission"
    directory.mkdir()
    (directory / "answer.yaml").write_text("processes.trader.locking: proper\n")
    file = grading(tmp_path, tokens(HARMFUL))
    assert graded(file, directory)["score"] == 8
    (directory / "other.yaml").touch()
    document = graded(file, directory)
    assert document["score"] == 0
    assert "has 2 YAML files" in document["tests"][0]["output"]


@pytest.mark.parametrize("item", ["walk: 5", f"schedules: '{SERIAL}'"])
def test_a_defect_of_the_lab_is_not_the_students(item: str, tmp_path: Path) -> None:
    """One of the lab's own roles raises what no submission can have caused: status 4, no points."""
    scenario = "scenario: exchange/two_traders, variant: locked"
    file = grading(tmp_path, f"  - {{name: a, points: 1, {scenario}, {item}}}\n")
    broken = (
        "import sys, run\nfrom exchange.roles import trader\n"
        "trader.prepare = lambda *_: nonsense\nsys.exit(run.main(sys.argv[1:]))"
    )
    words = ("grade", str(file), "--submission", str(ANSWERS / "proper.yaml"))
    done = subprocess.run(
        [sys.executable, "-c", broken, *words],
        capture_output=True, text=True, cwd=ROOT, timeout=SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 4
    assert "the grader failed: " in done.stderr
    assert "name 'nonsense' is not defined" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.yaml",), "cannot be opened"),
        ((str(EXERCISE), "--submission", "/nowhere"), "there is no submission /nowhere"),
        ((str(EXERCISE), "--check", "1"), "compares nothing"),
        ((str(EXERCISE), "--json", "/nowhere/results.json"), "cannot be written"),
        ((str(EXERCISE), "--json", "/dev/null"), "not a regular file"),
    ],
)
def test_a_wrong_command_line_is_told(words: tuple[str, ...], said: str) -> None:
    """Status 2, one sentence, nothing graded."""
    done = launch("grade", *words)
    assert done.status == 2
    assert said in done.err


def test_the_teacher_reads_the_whole_reason_where_nothing_was_lost(tmp_path: Path) -> None:
    """The table cuts it; below it stands to its end, and not for a student."""
    file = grading(tmp_path, tokens(HARMFUL))
    words = ("grade", str(file), "--submission", str(ANSWERS / "proper.yaml"))
    done = launch(*words)
    assert "\u2026\n" in done.out
    below = " ".join(done.out.partition("\n1 a:\n")[2].split())
    assert below.endswith("which trader-0 has")
    assert "which trader-0 has" not in launch(*words, "--student").out
