"""What the architecture promises and import-linter cannot see."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from common import kinds
from tests.launching import ROOT

PRODUCT = sorted(
    path for package in ("common", "exchange", "spooler") for path in (ROOT / package).rglob("*.py")
)


def python(program: str, *words: str) -> str:
    """Run a program in a fresh interpreter; returns what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        capture_output=True, text=True, cwd=ROOT, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_child_imports_stays_light() -> None:
    """A child with every role, lock, table and channel imports no numpy, structlog or yaml."""
    modules = [
        f"{package}.{kind}"
        for package in (
            kinds.LOCKS, kinds.TABLES, kinds.CHANNELS, "exchange.roles", "spooler.roles",
        )
        for kind in kinds.names(package)
    ]  # fmt: skip
    found = python(
        "import importlib, sys\n"
        "for name in ['common.process.child', *sys.argv[1:]]: importlib.import_module(name)\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'numpy', 'structlog', 'yaml', 'asyncio', 'multiprocessing', 'pydantic', 'rich'}))",
        *modules,
    )
    assert found == "[]\n"


def test_the_launcher_stays_single_threaded(tmp_path: Path) -> None:
    """After a run and its judgement, which brings numpy, the launcher still has one thread."""
    found = python(
        "import os, sys, pathlib, run\n"
        "from common import pipeline\n"
        "from common.scenario.load import load\n"
        "from common.scenario.plan import plan\n"
        "scenario = load('configs/exchange/script.yaml', run.SYSTEMS)\n"
        "for turn in range(2):\n"
        "    pipeline.perform(plan(scenario, None, turn, run.SYSTEMS), run.SYSTEMS,\n"
        "                     pathlib.Path(sys.argv[1]))\n"
        "print('numpy' in sys.modules, len(os.listdir('/proc/self/task')))",
        str(tmp_path),
    )
    assert found == "True 1\n"


@pytest.mark.parametrize("module", ["multiprocessing", "threading", "concurrent", "pickle"])
def test_the_product_does_not_lean_on(module: str) -> None:
    """Concurrency is the kernel's here: no module of the product imports Python's own."""
    users = []
    for path in PRODUCT:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            users += [path for name in names if name.partition(".")[0] == module]
    assert users == []


def test_every_module_says_what_it_answers() -> None:
    """Each module of the product has a docstring, and none has grown over 400 lines."""
    for path in PRODUCT:
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path
        assert text.count("\n") <= 400, path


def test_a_new_kind_needs_no_other_edit(tmp_path: Path) -> None:
    """A lock that is one new file is found by name, and is in the schema."""
    package = ROOT / "common/kernel/locks"
    program = (
        "import sys, json, common.kernel.locks as locks\n"
        "locks.__path__.append(sys.argv[1])\n"
        "from common import kinds\n"
        "import run\n"
        "from common.scenario.document import json_schema\n"
        "print('brand_new' in kinds.names(kinds.LOCKS),\n"
        "      '\"brand_new\"' in json.dumps(json_schema(run.SYSTEMS)))"
    )
    (tmp_path / "brand_new.py").write_text((package / "none.py").read_text())
    assert python(program, str(tmp_path)) == "True True\n"
