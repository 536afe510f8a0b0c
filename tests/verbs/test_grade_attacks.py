"""`run.py grade` against who wants points without the work, and against machines that lack room."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common.grading import warden
from common.history import record
from common.history.trace import Passed
from tests.compiled import needs_compiler
from tests.launching import ROOT, SECONDS, command, launch

TRADER = ROOT / "exercises/trader.yaml"

FORGER = """\
#!{python}
import json, os, signal, stat
parent = os.getppid()
document = dict(measures={{}}, processes=[], findings=[], as_expected=True, doubts=[])
said = json.dumps(dict(done=dict(document=document, short="", late=False, kept_out="", moves=[])))
for fd in os.listdir(f"/proc/{{parent}}/fd"):
    path = f"/proc/{{parent}}/fd/{{fd}}"
    if stat.S_ISFIFO(os.stat(path).st_mode):
        os.write(os.open(path, os.O_WRONLY | os.O_NONBLOCK), said.encode())
os.kill(parent, signal.SIGKILL)
"""


def exercise(tmp_path: Path, script: str, more: str = "") -> tuple[Path, Path]:
    """Return a grading file for one teller, and a submission with this script."""
    file, directory = tmp_path / "grading.yaml", tmp_path / "submission"
    file.write_text(
        f"submission: {{command: ./teller, into: processes.teller.command{more}}}\n"
        "items:\n  - {name: sums, points: 2, scenario: exchange/script}\n"
        "deadlines: {start: 20, run: 20, finish: 1}\n"
    )
    directory.mkdir()
    (directory / "teller").write_text(script)
    return file, directory


def lost(file: Path, submission: Path) -> str:
    """Grade; returns why all points of the first item were lost."""
    done = launch("grade", str(file), "--submission", str(submission), "--json")
    assert done.status == 0, done.err
    test: dict[str, Any] = done.document["tests"][0]
    assert test["score"] == 0
    return str(test["output"])


@pytest.mark.parametrize(
    "script", [FORGER.format(python=sys.executable), "#!/bin/sh\nkill -KILL $PPID\n"],
    ids=["forges", "kills"],
)  # fmt: skip
def test_who_ends_its_judge_loses(script: str, tmp_path: Path) -> None:
    """It speaks in the judge's place, or only kills it: no points, and no failure of the grader."""
    assert "ended the process that judges it" in lost(*exercise(tmp_path, script))


def test_words_in_the_judges_pipe_are_nobodys() -> None:
    """Who writes into the pipe without the key is not believed, though the judge ends well."""
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208

    def work() -> warden.Document:
        for name in set(os.listdir("/proc/self/fd")) - before:  # noqa: PTH208
            if Path(f"/proc/self/fd/{name}").is_fifo():
                os.write(int(name), b'{"done": {"points": 10}}')
        return {"points": 0}

    with pytest.raises(warden.Ended, match="not its own"):
        warden.alone(work, SECONDS)


@needs_compiler
@pytest.mark.parametrize("link", [False, True], ids=["include", "link"])
def test_the_reference_cannot_be_handed_in(link: bool, tmp_path: Path) -> None:
    """An #include of it finds nothing; a link that leads to it is refused."""
    if link:
        (tmp_path / "trader.c").symlink_to(ROOT / "contrib/c/trader.c")
        assert "trader.c is a link that leads out of the submission" in lost(TRADER, tmp_path)
    else:
        (tmp_path / "trader.c").write_text("#include <trader.c>\n")
        assert "trader.c: No such file" in lost(TRADER, tmp_path)


def test_a_file_outside_keeps_its_mode(tmp_path: Path) -> None:
    """The build makes a link of the program: what it leads to is not made executable."""
    other = tmp_path / "other"
    other.write_text("x")
    other.chmod(0o600)
    file, directory = exercise(tmp_path, "", f", build: [ln, -sf, '{other}', teller]")
    assert "teller is a link that leads out" in lost(file, directory)
    assert other.stat().st_mode & 0o777 == 0o600


def test_what_is_asked_cannot_be_changed_meanwhile(tmp_path: Path) -> None:
    """A build writes another expectation into the scenario: it is judged by the first one."""
    scenario = tmp_path / "own.yaml"
    text = (ROOT / "configs/exchange/script.yaml").read_text()
    scenario.write_text(text)
    build = f", build: [sh, -c, 'echo nonsense > {scenario}']"
    file, directory = exercise(tmp_path, "#!/bin/sh\nexit 7\n", build)
    file.write_text(file.read_text().replace("exchange/script", "own.yaml"))
    assert "status 7" in lost(file, directory)
    assert scenario.read_text() == "nonsense\n"


@pytest.mark.parametrize(
    ("which", "least", "said"),
    [(resource.RLIMIT_FSIZE, 1 << 20, "ulimit -f"), (resource.RLIMIT_NOFILE, 100, "ulimit -n")],
)
def test_a_limit_of_the_grader_is_not_the_students(
    which: int, least: int, said: str, tmp_path: Path
) -> None:
    """With too low a limit nothing is graded: status 4, no results."""
    results = tmp_path / "results.json"
    words = (str(ROOT / "exercises/exchange.yaml"), "--json", str(results))
    done = subprocess.run(
        command("grade", *words), capture_output=True, text=True, timeout=SECONDS, check=False,
        preexec_fn=lambda: resource.setrlimit(which, (least, least)),
    )  # fmt: skip
    assert done.returncode == 4
    assert said in done.stderr
    assert not results.exists()


HISTORY = """\
#include "lab.h"
static void work(struct lab *lab)
{
    lab_report(lab, "balance", 1000);
    lab_count(lab, "done", 0);
    unlink(lab->record_path);
    mkfifo(lab->record_path, 0600);
}
int main(void) { struct lab lab; lab_open(&lab); return lab_run(&lab, work); }
"""
ONE_STEP = """\
#include "lab.h"
static void work(struct lab *lab)
{
    struct Currency *c = &lab_table(lab)[0];
    double amount = lab_amount(lab, 10);
    struct lab_touch touch = {.changes = {lab_cell_name(lab, &c->stock)}};
    lab_begin(lab, LAB_BUY, c, amount);
    if (lab_stand_in(lab, "acquire", &touch))
        return;
    lab->asked = lab->entered = lab_now();
    lab->checked = lab->rate = c->buy;
    lab->read = c->stock;
    c->stock = lab->written = lab->read + amount;
    lab->left = lab_now();
    lab->held_first = lab->held_last = 1;
    lab->steps = 0xffff;
    lab_count(lab, "done", lab_end(lab) == 0);
    lab_report(lab, "balance", 1000 - amount * lab->rate);
}
int main(void) { struct lab lab; lab_open(&lab); return lab_run(&lab, work); }
"""


@needs_compiler
@pytest.mark.parametrize(
    ("program", "said"),
    [(HISTORY, "history/trader-0.rec is not a regular file"),
     (ONE_STEP, "without the steps read and write in operation 1: it passed acquire")],
    ids=["history", "one step"],
)  # fmt: skip
def test_a_program_that_deceives_loses(program: str, said: str, tmp_path: Path) -> None:
    """It puts a FIFO in place of its history, or trades in one step as if it held the lock."""
    (tmp_path / "trader.c").write_text(program)
    assert said in " ".join(lost(TRADER, tmp_path).split())


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("acquire+ check read write release-", ""),
        ("acquire check read write release", "took none before it read"),
        ("acquire+ check read release- write", "gave it back before it wrote"),
        ("acquire+ check write read release-", "without the steps read and write"),
    ],
)
def test_who_says_that_it_holds_a_lock_must_have_taken_it(steps: str, said: str) -> None:
    """One update that claims the table's lock, against the steps that were passed."""
    from common.grading import passing

    words = steps.split()
    passed = [
        Passed(0, "a", word.strip("+-"), "lock" * word.endswith("+"), "lock" * word.endswith("-"))
        for word in words
    ]
    told = passing.beyond([1 + record.HELD_FIRST + record.HELD_LAST], [passed])
    assert said in told
    assert bool(told) == bool(said)
