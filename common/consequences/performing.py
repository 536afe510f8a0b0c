"""Runs the cells of sections one after another, and says of each what was seen there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from common import kinds, pipeline
from common.consequences import full_disk, killed_launcher
from common.consequences.cell import Asked, Column, Row, Seen, Without
from common.errors import LabError, ScenarioError, UsageError
from common.history import store
from common.kinds import nearest
from common.scenario.load import load
from common.scenario.plan import Plan, plan
from common.system import System, operations_of

SECTIONS = "common.consequences.sections"
CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "faults"


class Place(NamedTuple):
    """One cell of a section."""

    section: str
    row: Row
    column: Column

    @property
    def module(self) -> ModuleType:
        """The section's module."""
        return kinds.load(SECTIONS, self.section)


def sections(wanted: str | None = None) -> list[str]:
    """Return the sections in their order, or the one that is ``wanted``; raises ``UsageError``."""
    every = kinds.names(SECTIONS)
    if wanted is None:
        return sorted(every, key=lambda name: int(kinds.load(SECTIONS, name).NUMBER))
    if wanted not in every:
        raise UsageError(f"there is no section {wanted!r}", nearest(wanted, every))
    return [wanted]


def places(chosen: Sequence[str], only: Sequence[str] = ()) -> list[Place]:
    """Return the cells of sections; of these kinds or columns ``only``, where any are given.

    Raises ``UsageError`` for a word that is neither.
    """
    found = [
        Place(name, row, column)
        for name in chosen
        for row in kinds.load(SECTIONS, name).rows()
        for column in kinds.load(SECTIONS, name).COLUMNS
    ]
    known_kinds = {place.row.kind for place in found}
    known_columns = {place.column.name for place in found}
    for word in only:
        if word not in known_kinds | known_columns:
            hint = nearest(word, sorted(known_kinds | known_columns))
            raise UsageError(f"there is no kind or column {word!r} in this table", hint)
    wanted_kinds = set(only) & known_kinds or known_kinds
    wanted_columns = set(only) & known_columns or known_columns
    return [
        place
        for place in found
        if place.row.kind in wanted_kinds and place.column.name in wanted_columns
    ]


def ask(place: Place) -> Asked | Without:
    """Return which run a cell asks for, or why there is none."""
    asked: Asked | Without = place.module.ask(place.row, place.column)
    return asked


def planned(place: Place, systems: Mapping[str, System], seed: int | None = None) -> Plan | Without:
    """Return the plan of a cell's run, or why there can be none."""
    asked = ask(place)
    if isinstance(asked, Without):
        return asked
    try:
        scenario = load(CONFIGS / f"{place.column.scenario}.yaml", systems, asked.settings)
    except ScenarioError as error:
        return Without("; ".join(dict.fromkeys(each.reason for each in error.complaints)))
    return plan(scenario, asked.variant, seed, systems)


def perform(
    chosen: Sequence[Place],
    systems: Mapping[str, System],
    out: Path,
    seed: int | None,
    begin: Callable[[Place, int], None],
) -> Iterator[dict[str, Any]]:
    """Run every cell; yields what was seen in each, as a document.

    ``begin`` is called with each cell and its number before it is run. A cell has ``section``,
    ``row``, ``kind``, ``column``, ``word``, ``sentence``; where there is none, ``why``; else also
    ``differs``, ``as_expected``, ``verdict``, ``variant``, ``run_dir``, ``seconds``.
    """
    for number, place in enumerate(chosen):
        begin(place, number)
        cell = {
            "section": place.section,
            "row": place.row.label,
            "kind": place.row.kind,
            "column": place.column.name,
        }
        wanted = planned(place, systems, seed)
        if isinstance(wanted, Without):
            yield cell | {"word": "-", "sentence": wanted.why, "why": wanted.why}
            continue
        begun = time.monotonic()
        try:
            document = _run(place, wanted, systems, out)
        except LabError as error:
            # A machine that cannot run it says why: that, too, is what one sees.
            why = error.message
            yield cell | {"word": "cannot", "sentence": why, "why": why, "cannot": True}
            continue
        seen = look(place, Path(document["run_dir"]), systems, document)
        yield cell | {
            "word": seen.word,
            "sentence": seen.sentence,
            "differs": seen.differs,
            "as_expected": document["as_expected"],
            "verdict": document["verdict"],
            "variant": document["variant"],
            "run_dir": document["run_dir"],
            "interrupted": document["interrupted"],
            "seconds": round(time.monotonic() - begun, 3),
        }


def _run(place: Place, planned: Plan, systems: Mapping[str, System], out: Path) -> dict[str, Any]:
    asked = ask(place)
    if isinstance(asked, Asked) and asked.full:
        return full_disk.perform(planned, systems, out, asked.full)
    if isinstance(asked, Asked) and asked.again:
        return killed_launcher.perform(planned, systems, out)
    return pipeline.perform(planned, systems, out)


def look(
    place: Place, run_dir: Path, systems: Mapping[str, System], document: dict[str, Any]
) -> Seen:
    """Return what a stored run of a cell showed, or its refusal."""
    if document["verdict"] == full_disk.REFUSED:
        refused: Seen = place.module.refused(place.row, place.column, document)
        return refused
    case = store.load_case(run_dir, operations_of(list(systems.values())))
    seen: Seen = place.module.see(place.row, place.column, case, document)
    return seen
