"""`run.py grade`: points of schedules that are replayed, the same each time, and why they fell."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.compiled import needs_compiler
from tests.launching import ROOT, SECONDS, Finished, command, launch

EXERCISE = ROOT / "exercises/exchange.yaml"
ANSWERS = ROOT / "exercises/answers"

# In the first each teller comes alone; in the second both read before either writes.
SERIAL = (
    "v1:locked:1/trader-0:acquire,check,read,write,release"
    "/trader-1:acquire,check,read,write,release"
)
HARMFUL = (
    "v1:locked:1/trader-0:acquire,check,read"
    "/trader-1:acquire,check,read,write,release/trader-0:write,release"
)

TELLER = """\
#!{python}
import os, struct, sys
import sysv_ipc
memory = sysv_ipc.SharedMemory(int(os.environ["LAB_TABLE_KEY"], 16))
rows = os.environ["LAB_TABLE_ROWS"].split()
balance = 1000.0
for line in sys.stdin:
    verb, name, amount = line.split()
    at, amount = 24 * rows.index(name), float(amount)
    sell, buy, stock = struct.unpack("ddd", memory.read(24, at))
    sign = 1 if verb == "buy" else -1
    balance -= amount * buy if verb == "buy" else -amount * sell
    memory.write(struct.pack("d", stock + sign * amount), at + 16)
print("balance", balance)
"""


def grading(tmp_path: Path, items: str, more: str = "") -> Path:
    """Write a grading file for answers that set how tellers lock."""
    path = tmp_path / "grading.yaml"
    path.write_text(
        "title: locks\nsubmission: {into: processes.trader.locking}\n"
        f"deadlines: {{start: 20, run: 20, finish: 5}}\nitems:\n{items}{more}"
    )
    return path


def tokens(*words: str, more: str = "") -> str:
    """Return an item that replays these tokens."""
    quoted = ", ".join(f"'{word}'" for word in words)
    scenario = "scenario: exchange/two_traders, variant: locked"
    return f"  - {{name: a, points: 8, {scenario}, schedules: [{quoted}]{more}}}\n"


def graded(file: Path, submission: Path | str, *words: str) -> dict[str, Any]:
    """Grade an answer (a file, or the name of a shipped one); returns the document."""
    path = ANSWERS / f"{submission}.yaml" if isinstance(submission, str) else submission
    done = launch("grade", str(file), "--submission", str(path), "--json", *words)
    assert done.status == 0, done.err
    return done.document


def program(tmp_path: Path, text: str, more: str = "", run: float = 20) -> tuple[Path, Path]:
    """Return a grading file for one teller, and the directory of a submission of this script."""
    file = tmp_path / "program.yaml"
    file.write_text(
        f"submission: {{command: ./teller, into: processes.teller.command{more}}}\n"
        "items:\n  - {name: sums, points: 2, scenario: exchange/script}\n"
        f"deadlines: {{start: 20, run: {run}, finish: 1}}\n"
    )
    directory = tmp_path / "submission"
    directory.mkdir()
    (directory / "teller").write_text(text)
    return file, directory


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the grader a directory for what passes; it must be empty when the grader has ended."""
    place = tmp_path / "room"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    tempfile.tempdir = None
    return place


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
        " set: {processes.trader.operations: 2}, walk: {schedules: 6, strategy: random}}\n"
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


def test_no_process_of_a_submission_lives_on(tmp_path: Path) -> None:
    """It starts others in sessions of their own, and one of those again: all are ended."""
    pids = tmp_path / "pids"
    script = (
        f"#!/bin/sh\n: > {pids}\nsetsid sh -c 'echo $$ >> {pids}; exec sleep 1000' &\n"
        f"(setsid sh -c 'setsid sh -c \"echo \\$\\$ >> {pids}; exec sleep 1000\" & wait' &)\n"
        f"while [ $(wc -l < {pids}) -lt 2 ]; do :; done 2> /dev/null\n"
    )
    file, directory = program(tmp_path, script)
    graded(file, directory)
    found = [int(line) for line in pids.read_text().split()]
    assert len(found) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in found)


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


def test_a_build_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its seconds it is over, with all that it started."""
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh], seconds: 0.5")
    pid = tmp_path / "pid"
    (directory / "build.sh").write_text(f"setsid sh -c 'echo $$ > {pid}; exec sleep 1000'\n")
    document = graded(file, directory)
    assert "`sh build.sh` did not end within 0.5 s" in document["tests"][0]["output"]
    assert not pid.exists() or not Path(f"/proc/{pid.read_text().strip()}").exists()


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


def test_a_build_that_fills_the_disk_is_ended(tmp_path: Path) -> None:
    """No process of it may write more than 64 MiB into one file."""
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh]")
    (directory / "build.sh").write_text("exec head -c 100000000 /dev/zero > large\n")
    document = graded(file, directory)
    assert "`sh build.sh` failed with signal 25" in document["tests"][0]["output"]


@needs_compiler
def test_traders_in_c_are_graded(tmp_path: Path) -> None:
    """The one of contrib keeps every unit and gets all points; the one without a lock gets none."""
    file = ROOT / "exercises/trader.yaml"
    done = launch("grade", str(file), "--json")
    assert done.document["score"] == 16
    directory = tmp_path / "submission"
    directory.mkdir()
    shutil.copy(ROOT / "contrib/c/racy_trader.c", directory / "trader.c")
    document = graded(file, directory)
    assert document["score"] == 0
    assert "lost_update" in document["tests"][0]["output"]
    assert "--set processes.trader.command=./trader" in document["tests"][0]["output"]


def recorded_trader() -> str:
    """Return the recorded trader that docs/programs.md shows."""
    found = re.search(
        r'```c\n(#include "lab.h".*?)```', (ROOT / "docs/programs.md").read_text(), re.S
    )
    assert found is not None
    return found[1]


IDLE = {
    "refuses": ("if (*balance <", "if (1 || *balance <", "without reason: buy 1 asked for"),
    "refuses_after_a_look": (
        "if (*balance < amount * lab_check(lab, &c->buy))",
        "if (lab_check(lab, &c->buy) > 0 || *balance < 0)",
        "at 3.72 with a balance of 1,000",
    ),
    "fewer": ("n < operations &&", "n < operations - 1 &&", "no operation was done"),
    "one_of_two": (
        "n < operations &&",
        'n < operations - !strcmp(getenv("LAB_NAME"), "trader-1") &&',
        "only one of 2 processes did anything",
    ),
    "more": ("n < operations &&", "n < operations + 1 &&",
             "tried 2 operations, and was asked for 1"),
    "nothing": ("lab_amount(lab, 10)", "0.0", "was not asked to buy 0 DOLLAR"),
    "much": ("lab_amount(lab, 10)", "1000.5", "was not asked to buy 1,000.5 DOLLAR"),
    "elsewhere": ("[DOLLAR]", "[EURO]", "EURO (its options: buy, 1 to less than 11, of DOLLAR)"),
}  # fmt: skip


@needs_compiler
@pytest.mark.parametrize("how", ["right", *IDLE])
def test_who_does_not_do_its_work_gets_nothing(how: str, tmp_path: Path) -> None:
    """It refuses what it could do, tries fewer or more, or trades what nobody asked it to."""
    old, new, said = IDLE.get(how, ("", "", "none does harm"))
    text = recorded_trader()
    assert old in text
    directory = tmp_path / "submission"
    directory.mkdir()
    (directory / "trader.c").write_text(text.replace(old, new, 1) if old else text)
    first = graded(ROOT / "exercises/trader.yaml", directory)["tests"][0]
    assert first["score"] == (10 if how == "right" else 0), first["output"]
    assert said in first["output"]


@needs_compiler
def test_a_crash_in_a_walk_names_the_signal(tmp_path: Path) -> None:
    """The student reads which signal it was, in one whole sentence, also below the table."""
    directory = tmp_path / "submission"
    directory.mkdir()
    crash = "{\n    *(volatile int *)0 = 1;\n    double balance = lab_number"
    text = recorded_trader().replace("{\n    double balance = lab_number", crash)
    (directory / "trader.c").write_text(text)
    words = ("grade", str(ROOT / "exercises/trader.yaml"), "--submission", str(directory))
    done = launch(*words)
    assert done.status == 0
    sentence = "trader-0 was killed by signal 11 (Segmentation fault)"
    assert f"\n1 keeps every unit:\n  {sentence}\n" in done.out


def test_the_teacher_reads_the_whole_reason_where_nothing_was_lost(tmp_path: Path) -> None:
    """The table cuts it; below it stands to its end, and not for a student."""
    file = grading(tmp_path, tokens(HARMFUL))
    words = ("grade", str(file), "--submission", str(ANSWERS / "proper.yaml"))
    done = launch(*words)
    assert "\u2026\n" in done.out
    below = " ".join(done.out.partition("\n1 a:\n")[2].split())
    assert below.endswith("which trader-0 has")
    assert "which trader-0 has" not in launch(*words, "--student").out


def test_what_a_killed_grader_left_is_removed(tmp_path: Path, room: Path) -> None:
    """`ps` and `doctor` name it, `clean` removes it, also what was closed; links stay links."""
    door, kept = tmp_path / "door", tmp_path / "kept"
    os.mkfifo(door)
    kept.mkdir()
    (kept / "file").touch()
    script = (
        f"#!/bin/sh\nln -s {kept} link; mkdir closed closed/a; chmod 0 closed\n"
        f"echo $$ > {door}\nexec sleep 1000\n"
    )
    file, directory = program(tmp_path, "", more=", build: [sh, build.sh]")
    (directory / "build.sh").write_text(script)
    with subprocess.Popen(
        command("grade", str(file), "--submission", str(directory)), stdout=subprocess.DEVNULL
    ) as grader:
        pid = int(door.read_text())
        (left,) = room.iterdir()
        alive = launch("ps", "--json").document["graders"]
        assert {"directory": str(left), "pid": grader.pid, "alive": True} in alive
        launch("clean")
        assert left.exists()
        grader.kill()
        grader.wait(timeout=SECONDS)
    # It is nobody's child any more.
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    assert f"grader {grader.pid}  (dead; `run.py clean` removes what it left)" in launch("ps").out
    assert f"{left} of a grading was left by a dead run" in launch("doctor").out
    assert f"removed directory {left} of a dead grader" in launch("clean").out
    assert list(room.iterdir()) == []
    assert (kept / "file").exists()


@pytest.mark.parametrize("what", ["link", "another's", "open", "elsewhere", "file"])
def test_what_is_no_dead_graders_directory_stays(what: str, tmp_path: Path, room: Path) -> None:
    """A link of that name, another user's, one that others may enter, another namespace's."""
    uid = os.geteuid() + (what == "another's")
    namespace = (
        "1" if what == "elsewhere" else re.sub(r"\D", "", str(Path("/proc/self/ns/pid").readlink()))
    )
    left = room / f"lab-grade-{uid}-{namespace}-{2**22 + 1}-1-abcdefgh"
    if what == "link":
        (tmp_path / "kept").mkdir(mode=0o700)
        (tmp_path / "kept/file").touch()
        left.symlink_to(tmp_path / "kept")
    elif what == "file":
        left.touch(0o700)
    else:
        left.mkdir(mode=0o755 if what == "open" else 0o700)
    assert launch("clean").status == 0
    assert os.path.lexists(left)
    assert what != "link" or (tmp_path / "kept/file").exists()


def test_an_interruption_ends_it_all(tmp_path: Path, room: Path) -> None:
    """SIGTERM in the middle of an item: status 143, no results, no process, nothing left."""
    door = tmp_path / "door"
    os.mkfifo(door)
    file, directory = program(tmp_path, f"#!/bin/sh\necho $$ > {door}\nexec sleep 1000\n", run=60)
    results = tmp_path / "results.json"
    words = ("--submission", str(directory), "--json", str(results))
    with subprocess.Popen(
        command("grade", str(file), *words), stderr=subprocess.PIPE, text=True
    ) as grader:
        pid = int(door.read_text())
        grader.send_signal(signal.SIGTERM)
        _, err = grader.communicate(timeout=SECONDS)
    assert Finished(grader.returncode, "", err).status == 143
    assert "Traceback" not in err
    assert not results.exists()
    assert not Path(f"/proc/{pid}").exists()
    assert list(room.iterdir()) == []
