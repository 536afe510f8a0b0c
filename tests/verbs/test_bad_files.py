"""Files that are no scenario, however they are made: refused at once, and nothing is made."""

from __future__ import annotations

import contextlib
import io
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

import run
from common import names
from common.scenario.source import LARGEST
from tests.conftest import Fork
from tests.launching import ROOT

# What may be used for it: CPU seconds, and bytes more than there were.
SECONDS, MEMORY = 1, 100_000_000

GOOD = (ROOT / "configs/exchange/script.yaml").read_text()
LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)


def directory(path: Path) -> None:
    path.mkdir()


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


BAD: dict[str, str | Callable[[Path], object]] = {
    "many laughs": LAUGHS,
    "a list in itself": "system: &x [1, *x]\n",
    "deep brackets": "a: " + "[" * 100_000,
    "deep indentation": "".join(" " * depth + "a:\n" for depth in range(600)),
    "a line of a megabyte": "about: " + "x" * 1_000_000 + "\n",
    "many keys": "".join(f"k{n}: 1\n" for n in range(LARGEST // 12)),
    "a long number": GOOD + "seed: " + "9" * 5000 + "\n",
    "no scenario": "lokc: none\n",
    "a wrong value in the last line": GOOD + "deadlines: {run: -1}\n",
    "a directory": directory,
    "a FIFO": os.mkfifo,
    "an endless device": endless,
    "a link to itself": loop,
    "nothing": lambda _path: None,
}


@pytest.fixture(scope="module", autouse=True)
def read(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Have this process read the launcher's modules: its forks need not."""
    with contextlib.redirect_stderr(io.StringIO()):
        run.main(["run", str(tmp_path_factory.mktemp("no") / "scenario.yaml")])


@pytest.mark.parametrize("bad", BAD.values(), ids=[name.replace(" ", "_") for name in BAD])
def test_a_bad_file_costs_little_and_leaves_nothing(
    bad: str | Callable[[Path], object], tmp_path: Path, fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second and 100 MB: no key or name is drawn, no file and no directory is made."""
    path = tmp_path / "bad.yaml"
    path.write_text(bad) if isinstance(bad, str) else bad(path)
    before = sorted(tmp_path.iterdir())

    def draw() -> NoReturn:
        raise AssertionError("a name was drawn, to make something")

    monkeypatch.setattr(names, "new_key", draw)
    monkeypatch.setattr(names, "new_token", draw)

    def refuse() -> None:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run.main(["run", str(path), "--out", str(tmp_path / "runs")])
        assert (status, out.getvalue()) == (2, ""), err.getvalue()
        assert f"{path}:" in err.getvalue()

    assert fork(refuse).ended() == 0
    assert sorted(tmp_path.iterdir()) == before
