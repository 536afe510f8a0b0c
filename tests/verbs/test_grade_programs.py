"""`run.py grade` with programs: built, run, and lost points told, whatever they do."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.launching import launch
from tests.verbs.exercises import TELLER, graded, program


def test_points_that_differ_are_found(tmp_path: Path) -> None:
    """A program that fails every second time: the check says which item, and both its points."""
    mark = tmp_path / "mark"
    every_second = f"import os\nif os.path.exists({str(mark)!r}):\n    os.remove({str(mark)!r})\n"
    every_second += f"    raise SystemExit(3)\nopen({str(mark)!r}, 'w').close()\n"
    teller = TELLER.format(python=sys.executable).replace("\n", f"\n{every_second}", 1)
    file, directory = program(tmp_path, teller)
    done = launch("grade", str(file), "--submission", str(directory), "--check", "2")
    assert done.status == 1
    assert "0 or 2 of 2; the points differ" in done.out


def test_a_program_that_is_right_gets_its_points(tmp_path: Path, room: Path) -> None:
    """A teller that knows only the struct and the key: the sums come out."""
    file, directory = program(tmp_path, TELLER.format(python=sys.executable))
    assert graded(file, directory)["score"] == 2
    assert list(room.iterdir()) == []


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -SEGV $$", "signal 11"),
        ("exit 7", "status 7"),
        ("exec yes", "File size limit exceeded"),
        ("while :; do :; done", "did not come to an end within 1 s"),
        ("trap '' TERM; sleep 1000 & wait", "did not come to an end within 1 s"),
    ],
    ids=["crash", "fail", "a gigabyte", "loop", "hang"],
)
def test_a_program_that_goes_wrong_loses_with_a_sentence(
    script: str, said: str, tmp_path: Path, room: Path
) -> None:
    """It crashes, loops, hangs or prints without end: no points, why, and nothing is left."""
    file, directory = program(tmp_path, f"#!/bin/sh\n{script}\n", run=1)
    document = graded(file, directory)
    assert document["score"] == 0
    assert said in document["tests"][0]["output"]
    assert list(room.iterdir()) == []


def test_a_build_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    """The end of what the build says, bounded, without the path of the copy; no item counts."""
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh]")
    noise = "yes noise | head -n 200000; echo $PWD/teller.c:3: error >&2; exit 2"
    (directory / "build.sh").write_text(noise)
    document = graded(file, directory)
    (test,) = document["tests"]
    assert test["score"] == 0
    assert "`sh build.sh` failed with status 2" in test["output"]
    assert test["output"].rstrip().endswith("\nteller.c:3: error")
    assert len(test["output"]) < 5000
    assert sorted(path.name for path in directory.iterdir()) == ["build.sh", "teller"]


def test_a_build_that_fills_the_disk_is_ended(tmp_path: Path) -> None:
    """No process of it may write more than 64 MiB into one file."""
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh]")
    (directory / "build.sh").write_text("exec head -c 100000000 /dev/zero > large\n")
    document = graded(file, directory)
    assert "`sh build.sh` failed with signal 25" in document["tests"][0]["output"]


@pytest.mark.parametrize(("cost", "points"), [("", 0), (", costs: {crash: 0.5}", 1.5)])
def test_a_crash_costs_what_the_file_says(cost: str, points: float, tmp_path: Path) -> None:
    """By default the item; else so many points."""
    file, directory = program(tmp_path, "#!/bin/sh\nkill -SEGV $$\n")
    file.write_text(file.read_text().replace("exchange/script}", f"exchange/script{cost}}}"))
    assert graded(file, directory)["score"] == points


def test_a_grader_that_fails_gives_no_points(tmp_path: Path) -> None:
    """The machine lacks what the build needs: status 4, and an older results.json is gone."""
    file, directory = program(tmp_path, "", more=", build: no_such_compiler")
    results = tmp_path / "results.json"
    results.write_text('{"score": 2}')
    words = ("--submission", str(directory), "--json", str(results))
    done = launch("grade", str(file), *words)
    assert done.status == 4
    assert "this machine has no no_such_compiler" in done.err
    assert not results.exists()
