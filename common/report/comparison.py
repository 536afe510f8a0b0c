"""Which runs were set side by side? A comparison as it is stored: ``comparison.json``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import runs
from common.errors import StoredRunError
from common.history.store import read_document, write_document

NAME = "comparison"


@dataclass(frozen=True)
class Comparison:
    """The runs of each variant, in the order in which they ran.

    A run is its directory, relative to that of the comparison: both may move together.
    """

    scenario: str
    variants: dict[str, list[str]]


def write(out: Path, scenario: str, variants: Mapping[str, Sequence[Mapping[str, Any]]]) -> Path:
    """Store which runs (their documents, by variant) were compared; returns the directory.

    Raises ``UsageError`` and ``StoredRunError`` when it cannot be stored.
    """
    directory = runs.make_comparison(out, scenario)
    listed = {
        variant: [os.path.relpath(document["run_dir"], directory) for document in documents]
        for variant, documents in variants.items()
    }
    write_document(directory, NAME, Comparison(scenario, listed))
    return directory


def find(out: Path, name: str) -> Path | None:
    """Return the directory of the comparison that ``name`` means; None when it means none.

    ``name`` is a directory with a comparison, or its file.
    """
    for candidate in (Path(name), out / name):
        directory = candidate.parent if candidate.name == f"{NAME}.json" else candidate
        if (directory / f"{NAME}.json").is_file():
            return directory.resolve()
    return None


def read(directory: Path) -> dict[str, list[Path]]:
    """Return the run directories of each variant; raises ``StoredRunError`` where one is gone."""
    stored = read_document(directory, NAME, Comparison)
    found = {
        variant: [(directory / run).resolve() for run in listed]
        for variant, listed in stored.variants.items()
        if listed
    }
    if not found:
        raise StoredRunError(f"{directory} compares no runs", "compare the scenario again")
    for variant, directories in found.items():
        for run_dir in directories:
            if not run_dir.is_dir():
                raise StoredRunError(
                    f"{directory} needs the run {run_dir} of {variant}, which is not there",
                    "compare the scenario again",
                )
    return found
