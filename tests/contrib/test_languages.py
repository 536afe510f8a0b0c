"""The traders in Python and Perl, which know docs/protocol.md and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from common import names
from tests.compiled import CONTRIB, needs_compiler
from tests.contrib.building import (
    ONE_PURCHASE,
    compiled,
    exact,
    harm,
    ours,
    process,
    run,
    scenario,
    theirs,
    walk,
)
from tests.launching import ROOT, launch

PYTHON, PERL = CONTRIB / "python/trader.py", CONTRIB / "perl/trader.pl"
needs_perl = pytest.mark.skipif(shutil.which("perl") is None, reason="there is no Perl")
TRADERS = [
    pytest.param(PYTHON, id="python"),
    pytest.param(PERL, id="perl", marks=needs_perl),
]


@pytest.mark.parametrize("trader", TRADERS)
def test_walked_beside_ours(trader: Path, tmp_path: Path) -> None:
    """Six orders without a lock, four of which lose an update; two with it, and none does."""
    groups = theirs(trader, **ONE_PURCHASE), ours(**ONE_PURCHASE)
    for lock, expected in (
        ("none", (6, {"data_race": 6, "lost_update": 4})),
        ("sysv_sem", (2, {})),
    ):
        table = {"store": "sysv_shm", "lock": lock}
        assert harm(walk(scenario(tmp_path, *groups, table=table), tmp_path)) == expected


@pytest.mark.parametrize(
    ("trader", "lock", "store"),
    [
        (PYTHON, "sysv_sem", "sysv_shm"),
        (PYTHON, "sysv_semset", "posix_shm"),
        (PYTHON, "record_lock", "mmap_file"),
        (PYTHON, "ofd_lock", "sysv_shm"),
        (PYTHON, "flock", "sysv_shm"),
        pytest.param(PERL, "sysv_sem", "sysv_shm", marks=needs_perl),
        pytest.param(PERL, "sysv_semset", "sysv_shm", marks=needs_perl),
    ],
)
def test_trading_freely_nothing_is_lost(
    trader: Path, lock: str, store: str, tmp_path: Path
) -> None:
    """Each lock and table that it says it knows, a lock for each row."""
    path = scenario(
        tmp_path, theirs(trader, operations=40), ours(operations=40),
        table={"store": store, "lock": lock, "granularity": "row"},
        delays={"write": {"sleep_us": 200}},
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert document["operations"] == 80


@pytest.mark.parametrize("trader", TRADERS)
def test_a_lock_that_it_does_not_know(trader: Path, tmp_path: Path) -> None:
    """It is named before anything begins."""
    path = scenario(
        tmp_path, theirs(trader, operations=1), table={"store": "sysv_shm", "lock": "rwlock"}
    )
    error = process(run(path, tmp_path), "theirs-0")["error"]
    assert "this program takes only" in error["message"]


@pytest.mark.parametrize("trader", TRADERS)
def test_a_table_with_recovery_is_refused(trader: Path, tmp_path: Path) -> None:
    """They keep no intent record, and say so before anything begins."""
    table = {"store": "sysv_shm", "lock": "sysv_sem", "recovery": "intent"}
    path = scenario(tmp_path, theirs(trader, operations=1), table=table)
    error = process(run(path, tmp_path), "theirs-0")["error"]
    assert error["message"] == "this program keeps no intent record (table.recovery)"


@needs_perl
def test_the_plain_one_in_perl(tmp_path: Path) -> None:
    """It trades the lines of a teller, and the balance sheet is right."""
    path = scenario(
        tmp_path,
        {"role": "teller", "name": "theirs", "lines": ["buy EURO 10", "sell POUND 100"],
         "command": str(CONTRIB / "perl/exchange2.pl")},
        table={"store": "sysv_shm", "lock": "none"},
    )  # fmt: skip
    document = run(path, tmp_path)
    assert document["verdict"] == "valid"
    assert document["final"]["EURO"]["stock"] == 10010
    assert document["final"]["POUND"]["stock"] == 4900


@needs_compiler
def test_the_programs_of_the_page(tmp_path: Path) -> None:
    """Both programs of docs/programs.md are compiled as they stand, and do what it says."""
    text = (ROOT / "docs/programs.md").read_text()
    plain, recorded = re.findall(r"```c\n(.*?)```", text, re.DOTALL)
    for name, body in (("plain", plain), ("recorded", recorded)):
        compiled(tmp_path, name, body)
    path = scenario(
        tmp_path,
        {"role": "teller", "name": "theirs", "lines": ["buy EURO 10"],
         "command": str(tmp_path / "plain")},
        table={"store": "sysv_shm", "lock": "none"},
    )  # fmt: skip
    assert run(path, tmp_path)["verdict"] == "valid"
    alone = subprocess.run(
        [tmp_path / "plain"], capture_output=True, text=True, check=False, timeout=60,
        env={"LAB_TABLE_KEY": str(names.new_key())},
    )  # fmt: skip
    assert (alone.returncode, alone.stderr) == (1, "the table: No such file or directory\n")
    words = (
        "--set", "processes.trader.level=recorded",
        "--set", f"processes.trader.command={tmp_path / 'recorded'}",
    )  # fmt: skip
    walked = walk(str(ROOT / "configs/exchange/two_traders.yaml"), tmp_path, *words)
    assert harm(walked) == (6, {"data_race": 6, "lost_update": 4})
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    beside = tmp_path / "shown.yaml"
    beside.write_text(shown.replace("./mine", "./recorded"))
    exact(run(str(beside), tmp_path))


def test_every_variable_stands_on_the_page(tmp_path: Path) -> None:
    """What a recorded program finds in its environment is in the page's table."""
    group = theirs(CONTRIB / "python/trader.py", operations=1)
    group["command"] = ["/usr/bin/env"]
    path = scenario(tmp_path, group, table={"store": "sysv_shm", "lock": "sysv_sem"})
    document = launch("run", path, "--json", "--out", str(tmp_path)).document
    told = Path(document["run_dir"], "theirs-0.out").read_text()
    page = (ROOT / "docs/protocol.md").read_text()
    named = set(re.findall(r"LAB_[A-Z]+", told)) - {"LAB_OPTION", "LAB_LOCK", "LAB_TABLE"}
    assert {name for name in named if name not in page} == set()


@pytest.mark.parametrize("rule", [[], ["clean"]])
def test_without_a_compiler(rule: list[str], tmp_path: Path) -> None:
    """To build says what is missing and how to get it; to clean needs none."""
    done = subprocess.run(
        ["make", "-C", CONTRIB, "CC=no-such-compiler", f"BIN={tmp_path}/bin", *rule, "-n"]
        if rule
        else ["make", "-C", CONTRIB, "CC=no-such-compiler", f"BIN={tmp_path}/bin"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == bool(rule)
    if not rule:
        assert "there is no C compiler (no-such-compiler): install one" in done.stdout
        assert not (tmp_path / "bin").exists()
