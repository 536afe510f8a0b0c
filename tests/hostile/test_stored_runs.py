"""A stored run that somebody else prepared is refused: by whatever verb it is looked at.

A teacher judges the directory of a student's run. Nothing in it is waited for, followed out of it,
written through, or obeyed by the terminal.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.launching import ROOT, SECONDS, launch

VERBS = ("check", "report", "explain", "trace")
Damage = Callable[[Path], object]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of a real run with a finding."""
    runtime = tmp_path_factory.mktemp("runtime")
    runtime.chmod(0o700)
    done = launch(
        "run", str(ROOT / "configs/exchange/two_sales.yaml"),
        "--out", str(tmp_path_factory.mktemp("real")), "--json", XDG_RUNTIME_DIR=str(runtime),
    )  # fmt: skip
    return Path(done.document["run_dir"])


@pytest.fixture
def run(real: Path, tmp_path: Path) -> Path:
    """Return a copy of it that may be damaged."""
    return Path(shutil.copytree(real, tmp_path / "run"))


def change(run: Path, name: str, alter: Callable[[dict[str, Any]], object]) -> None:
    """Rewrite one of the run's documents."""
    path = run / f"{name}.json"
    document = json.loads(path.read_text())
    alter(document)
    path.write_text(json.dumps(document))


def fifo(run: Path) -> None:
    """Whoever opens it waits for a writer."""
    (run / "plan.json").unlink()
    os.mkfifo(run / "plan.json")


def history_fifo(run: Path) -> None:
    """The same in the place of a history."""
    path = next((run / "history").iterdir())
    path.unlink()
    os.mkfifo(path)


def endless(run: Path) -> None:
    """Whoever reads it never comes to an end."""
    (run / "outcome.json").unlink()
    (run / "outcome.json").symlink_to("/dev/zero")


def huge(run: Path) -> None:
    """A hole of 4 GB, that would be read into memory."""
    with (run / "outcome.json").open("r+b") as file:
        file.truncate(4 << 30)


def paper_elsewhere(run: Path) -> None:
    """The paper is a file of the teacher's."""
    change(run, "outcome", lambda document: document.update(paper="../secret"))


def absolute_paper(run: Path) -> None:
    """The same by its whole path."""
    change(run, "outcome", lambda document: document.update(paper="/etc/passwd"))


def process_elsewhere(run: Path) -> None:
    """A process's own files lie where its name leads."""
    change(run, "outcome", lambda document: document["processes"][0].update(name="../../x"))


def planned_elsewhere(run: Path) -> None:
    """The same in the plan."""
    change(run, "plan", lambda document: document["processes"][0].update(name="x/../../../y"))


def spoken_in_an_error(run: Path) -> None:
    """An error that clears the screen and writes a verdict."""
    error = {"kind": "E", "message": "\x1b[2J\x1b[Hverdict valid"}
    change(run, "outcome", lambda document: document["processes"][0].update(error=error))


def spoken_in_the_scenario(run: Path) -> None:
    """The name of the scenario, right to left."""
    change(run, "plan", lambda document: document.update(scenario="\u202eegnahcxe"))


def half_a_letter(run: Path) -> None:
    """A surrogate, that no terminal can be sent."""
    change(run, "outcome", lambda document: document["processes"][0].update(hung="\ud800"))


DAMAGES: list[Damage] = [
    fifo, history_fifo, endless, huge, paper_elsewhere, absolute_paper, process_elsewhere,
    planned_elsewhere, spoken_in_an_error, spoken_in_the_scenario, half_a_letter,
]  # fmt: skip


@pytest.mark.parametrize(
    ("verb", "damage"),
    [("check", damage) for damage in DAMAGES]
    + [(verb, damage) for verb in VERBS[1:] for damage in (fifo, paper_elsewhere, half_a_letter)],
)
def test_a_run_that_was_prepared_is_refused_with_one_sentence(
    run: Path, verb: str, damage: Damage, tmp_path: Path
) -> None:
    """Status 2, at once, and nothing of it reaches the terminal."""
    (tmp_path / "secret").write_text("the marks of the class")
    damage(run)
    before = sorted(path.name for path in run.iterdir())
    done = launch(verb, str(run), "--out", str(tmp_path / "runs"))
    assert done.status == 2, done.out
    assert len(done.err.splitlines()) == 1
    assert str(run) in done.err
    assert "\x1b" not in done.err + done.out
    assert "\u202e" not in done.err
    assert "marks of the class" not in done.err + done.out
    assert sorted(path.name for path in run.iterdir()) == before


@pytest.mark.parametrize(("verb", "name"), [
    ("check", "verdict.json"), ("report", "report.html"), ("trace", "trace.json"),
])  # fmt: skip
def test_what_is_written_into_a_run_goes_through_no_link(
    run: Path, tmp_path: Path, verb: str, name: str
) -> None:
    """A link at the name, or at any name that the pid would make of it, leads to a file of ours."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(victim)
    program = (
        "import os, pathlib, runpy, sys\n"
        "run, name, victim = sys.argv[1:4]\n"
        "pathlib.Path(run, f'.{name}.{os.getpid()}').symlink_to(victim)\n"
        "sys.argv = sys.argv[4:]; sys.path.insert(0, os.path.dirname(sys.argv[0]))\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(run), name, str(victim), str(ROOT / "run.py"),
         verb, str(run)],
        capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("name", ["../..", "/etc", "exchange/../../..", "x\x1b[2J"])
def test_what_is_no_run_is_refused_and_nothing_is_written_there(
    verb: str, name: str, tmp_path: Path
) -> None:
    """A path with `..` as any other: there is no plan of ours."""
    out = tmp_path / "runs" / "deep"
    out.mkdir(parents=True)
    done = launch(verb, name, "--out", str(out))
    assert done.status == 2
    assert done.out == ""
    assert "\x1b" not in done.err
    assert list(out.iterdir()) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "runs"]
