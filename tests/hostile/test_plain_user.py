"""Whole runs as a plain user, from the scenario to the verdict: no call needs more than that."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pkgutil
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import common.kernel
import common.process
import exchange
import run
import spooler
from common.kernel import existing
from tests.conftest import Fork
from tests.launching import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs to become a user of its own")


@pytest.fixture(scope="module")
def modules() -> None:
    """Read what the processes of a run read: a plain user may not be let into where it lies."""
    for package in (common.kernel, common.process, exchange, spooler):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


@pytest.fixture
def home() -> Iterator[Path]:
    """Yield a directory of a user whom nobody else is; runs make what they need in `runtime`."""
    user = (1 << 20) + os.getpid()
    directory = Path(tempfile.mkdtemp(prefix="t"))
    for path in (directory, directory / "runtime"):
        path.mkdir(mode=0o700, exist_ok=True)
        os.chown(path, user, user)
    yield directory
    shutil.rmtree(directory)


def compared(scenario: Path, out: Path) -> dict[str, Any]:
    """Run all variants in this process; returns the document."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = run.main(["compare", str(scenario), "--out", str(out), "--json"])
    assert status == 0, printed.getvalue()
    document: dict[str, Any] = json.loads(printed.getvalue())
    return document


def verdicts(document: dict[str, Any]) -> dict[str, str]:
    """Return what came of each variant."""
    return {name: each["runs"][0]["verdict"] for name, each in document["variants"].items()}


@pytest.mark.parametrize("name", ["exchange/two_traders", "exchange/mmap_file", "spooler/fifo"])
def test_a_plain_user_runs_what_root_runs(
    modules: None, name: str, home: Path, tmp_path: Path, fork: Fork,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The same verdicts; what he keeps is his alone, and no object of his is left."""
    user, scenario = home.stat().st_uid, home / "scenario.yaml"
    scenario.write_text((ROOT / f"configs/{name}.yaml").read_text())
    os.chown(scenario, user, user)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "runtime"))

    def work() -> None:
        expected = verdicts(compared(scenario, tmp_path / "runs"))
        os.chdir("/")
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        found = compared(scenario, home / "runs")
        assert verdicts(found) == expected
        for variant in found["variants"].values():
            assert [each["leaks"] for each in variant["runs"]] == [[]]

    assert fork(work).ended() == 0
    kept = [path.lstat() for path in (home / "runs").rglob("*")]
    assert {each.st_uid for each in kept} == {user}
    runs = [path.parent.stat() for path in (home / "runs").rglob("plan.json")]
    assert {stat.S_IMODE(each.st_mode) for each in runs} == {0o700}
    assert list((home / "runtime").iterdir()) == []
    rows = [row for table in ("shm", "sem", "msg") for row in existing.listed(table)]
    assert [row for row in rows if row["cuid"] == user] == []
