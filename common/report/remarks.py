"""What a reader must know beside the verdict: of the scenario, of programs, of what these left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.history.case import Case
from common.system import System
from common.verdict import unseen
from common.verdict.wording import joined, parted


def of_run(case: Case, systems: Mapping[str, System]) -> list[str]:
    """Return the sentences about one run, each once."""
    told = [remark for name in case.plan.systems for remark in systems[name].remarks(case.plan)]
    return joined(told + unseen.remarks(case) + case.outcome.remarks)


def of_variants(variants: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return the remarks on the runs of several variants, each once.

    Before each the variants that it is about, separated by commas, "" for all of them. Where it is
    about one thing here and another there, each thing is followed by its variants.
    """
    told: dict[str, dict[str, dict[str, None]]] = {}
    for variant, entry in variants.items():
        for remark in (remark for run in entry["runs"] for remark in run["remarks"]):
            names, said = parted(remark)
            for name in names or ("",):
                told.setdefault(said, {}).setdefault(name, {})[variant] = None
    notes = []
    for said, things in told.items():
        whose = {name: _listed(mine, variants) for name, mine in things.items()}
        if len(set(whose.values())) == 1:
            subject = ", ".join(filter(None, things))
            notes.append((next(iter(whose.values())), f"{subject}: {said}" if subject else said))
            continue
        subject = ", ".join(f"{name} ({who})" if who else name for name, who in whose.items())
        notes.append(("", f"{subject}: {said}"))
    return notes


def _listed(mine: Mapping[str, None], variants: Mapping[str, Any]) -> str:
    return "" if len(mine) == len(variants) else ", ".join(mine)
