"""A short soak finds nothing and leaves nothing, stops when it is asked to, and can fail."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from common.soaking.drawing import Draft, Fate, draw
from common.soaking.promise import may_find
from common.soaking.trial import Trial
from run import SYSTEMS
from tests.conftest import PATIENCE
from tests.launching import command, launch

# Some of everything, and quick.
SEED, RUNS = 3, 8


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which temporary ones are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def drawn(scenario: str, variant: str) -> Draft:
    """Return the first draft of an unchanged variant of a scenario, without a fate."""
    from common.scenario.load import load
    from common.scenario.plan import plan
    from common.soaking.drawing import CONFIGS

    made = plan(load(CONFIGS / f"{scenario}.yaml", SYSTEMS), variant, 5, SYSTEMS)
    return Draft(0, scenario, (), False, None, True, made, may_find(made, SYSTEMS))


def test_a_short_soak_is_quiet_and_leaves_no_file(temporary: Path) -> None:
    """Every run of this seed is as it may be; faults struck, and the directories are gone."""
    done = launch("soak", "--seed", str(SEED), "--runs", str(RUNS), "--json")
    document = done.document
    assert document["unexpected"] == []
    assert (document["runs"], document["leaks"], done.status) == (RUNS, 0, 0)
    assert sum(document["faults"].values()) > 0
    assert list(temporary.iterdir()) == []


def test_an_interrupted_soak_ends_its_runs_first(temporary: Path, runtime_directory: Path) -> None:
    """Ctrl-C in the middle of a run: status 130, no run goes on, nothing is left."""
    soak = subprocess.Popen(
        command("soak", "--seed", str(SEED), "--seconds", "600"), stdout=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not list(runtime_directory.glob("soak-*/lab-*/ledger")):
            assert time.monotonic() < deadline
            os.sched_yield()
        soak.send_signal(signal.SIGINT)
        out, _ = soak.communicate(timeout=PATIENCE)
        assert soak.returncode == 130
        assert "unexpected: 0; leaks: 0" in out.splitlines()[-1]
    finally:
        soak.kill()
        soak.wait()
    assert list(temporary.iterdir()) == []


def test_a_run_is_drawn_again_by_its_number(temporary: Path) -> None:
    """`--first N --runs 1` is the run that a longer soak with this seed has as its N-th."""
    number = 3
    done = launch("soak", "--seed", str(SEED), "--first", str(number), "--runs", "1", "--json")
    assert done.document["runs"] == 1
    expected = {fault.kind for fault in draw(SEED, number, SYSTEMS).plan.faults}
    assert set(done.document["faults"]) <= expected


def test_what_is_not_allowed_is_reported_and_kept(tmp_path: Path) -> None:
    """An unlocked run that must lose nothing is told with its command, and its files stay."""
    draft = dataclasses.replace(drawn("exchange/two_traders", "unlocked"), allowed={})
    report = Trial(draft, tmp_path / "0", SYSTEMS).perform()
    assert any(each.startswith("lost_update: ") for each in report.unexpected)
    assert report.line == "run.py run exchange/two_traders --variant unlocked --seed 5"
    assert report.leaks == []
    assert json.loads((tmp_path / "0" / "document.json").read_text())["verdict"] == "anomaly"


def test_a_killed_launcher_leaves_nothing_after_clean(
    tmp_path: Path, runtime_directory: Path
) -> None:
    """SIGKILL while the exchange is open: its traders end, and `clean` removes all it had made."""
    fate = Fate(signal.SIGKILL, "ledger", 0.2)
    draft = dataclasses.replace(drawn("exchange/open_for_business", "locked"), fate=fate)
    report = Trial(draft, tmp_path / "0", SYSTEMS).perform()
    assert (report.status, report.fate) == (-signal.SIGKILL, "SIGKILL")
    assert (report.unexpected, report.leaks) == ([], [])
    assert list(runtime_directory.iterdir()) == []


def test_a_process_that_goes_on_is_seen(tmp_path: Path) -> None:
    """Whoever has the mark of a run in its environment and lives is left of that run."""
    directory = tmp_path / "0"
    trial = Trial(drawn("exchange/script", "default"), directory, SYSTEMS)
    assert trial.left_processes(patience=0) == []
    left = subprocess.Popen(["sleep", "60"], env={**os.environ, "LAB_SOAK": str(directory)})
    try:
        assert trial.left_processes(patience=0) == [left.pid]
    finally:
        left.kill()
        left.wait()


LEFT = """
import sys
from pathlib import Path
import posix_ipc, sysv_ipc
from common.soaking.place import place
with place(Path(sys.argv[1])) as own:
    if own.queues is None:
        print("shared")
    else:
        assert own.left() == []
        made = [sysv_ipc.SharedMemory(0x4C000007, sysv_ipc.IPC_CREX, size=8),
                sysv_ipc.Semaphore(0x4C000008, sysv_ipc.IPC_CREX),
                posix_ipc.Semaphore("/lab-left", posix_ipc.O_CREX),
                posix_ipc.MessageQueue("/lab-queue", posix_ipc.O_CREX)]
        print(own.left())
"""


def test_whatever_is_left_in_the_kernel_is_seen(tmp_path: Path) -> None:
    """In a place of its own every object that no ledger names is left over, whoever made it."""
    done = subprocess.run(
        [*command()[:1], "-c", LEFT, str(tmp_path / "runs")],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    if done.stdout == "shared\n":
        pytest.skip("an IPC namespace of its own needs CAP_SYS_ADMIN")
    assert done.stdout.split("', '") == [
        "['posix_queue /lab-queue", "posix_sem /lab-left", "sysv_sem 0x4c000008",
        "sysv_shm 0x4c000007']\n",
    ]  # fmt: skip


def test_many_at_once_share_nothing(temporary: Path) -> None:
    """Ten of one scenario at the same moment, then ten of a mixture: all valid, no name twice."""
    done = launch("soak", "--burst", "10", "--json")
    for found in done.document.values():
        assert found["unexpected"] == found["shared"] == found["left"] == []
        assert found["verdicts"] == {"valid": 10}
        assert found["objects"] >= 40
    assert done.status == 0
    assert list(temporary.iterdir()) == []
