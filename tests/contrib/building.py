"""Scenarios in which a program of contrib/ stands beside ours, run and walked."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.compiled import COMPILER, CONTRIB
from tests.launching import SECONDS, launch


def theirs(program: Path, role: str = "trader", **options: object) -> dict[str, object]:
    """Return a group that a recorded program takes."""
    return {
        "role": role, "name": "theirs", "command": str(program), "level": "recorded", **options
    }  # fmt: skip


def ours(role: str = "trader", **options: object) -> dict[str, object]:
    """Return a group of the lab's own."""
    return {"role": role, "name": "ours", **options}


ONE_PURCHASE: dict[str, Any] = {"operations": 1, "sell_share": 0, "currencies": ["DOLLAR"]}


def scenario(directory: Path, *groups: dict[str, object], **parts: object) -> str:
    """Write a scenario of the exchange, or of the spooler if it has channels; returns its path."""
    system = "spooler" if "channels" in parts else "exchange"
    body = {"system": system, "seed": 1, "processes": list(groups), **parts}
    path = directory / "beside.yaml"
    # JSON is YAML.
    path.write_text(json.dumps(body))
    return str(path)


def compiled(directory: Path, name: str, text: str) -> Path:
    """Compile a program that includes lab.h, each warning an error; returns it."""
    source, program = directory / f"{name}.c", directory / name
    source.write_text(text)
    subprocess.run(
        [COMPILER or "cc", "-Wall", "-Wextra", "-Werror", "-I", CONTRIB / "c", "-o", program,
         source, "-pthread", "-lrt"],
        check=True, timeout=SECONDS,
    )  # fmt: skip
    return program


def run(path: str, out: Path, *words: str) -> dict[str, Any]:
    """Run a scenario; returns the document of the run."""
    return launch("run", path, "--json", "--out", str(out), *words).document


def walk(path: str, out: Path, *words: str) -> dict[str, Any]:
    """Walk a scenario's interleavings; returns what its first variant's did."""
    document = launch("explore", path, "--json", "--out", str(out), *words).document
    found: dict[str, Any] = next(iter(document["variants"].values()))
    return found


def harm(walked: dict[str, Any]) -> tuple[int, dict[str, int]]:
    """Return how many interleavings a walk had, and how many of them showed each finding."""
    assert walked["complete"], walked
    return walked["interleavings"], {
        kind: found["schedules"] for kind, found in walked["findings"].items()
    }


def exact(document: dict[str, Any]) -> None:
    """Assert that nothing was lost and nothing doubted, but that operations met."""
    assert document["findings"] == []
    assert document["leaks"] == []
    assert [p["exit"] for p in document["processes"]] == [0] * len(document["processes"])
    doubts = [doubt for doubt in document["doubts"] if "overlapped" not in doubt]
    assert doubts == []


def process(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one process of a run."""
    (found,) = [each for each in document["processes"] if each["name"] == name]
    return dict(found)
