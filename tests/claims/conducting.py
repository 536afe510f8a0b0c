"""Conducts an experiment and sees whether anything is left of it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import run
from common.claims.claim import UNDECIDED, Experiment, Seen
from common.claims.conduct import Result, conduct
from common.claims.lab import Lab
from common.kernel import existing
from common.kernel.ledger import read_ledger
from tests.conftest import PATIENCE


def conducted(experiment: Experiment, notebook: Path) -> Result:
    """Conduct ``experiment``; fails when one of its objects or processes is left afterwards."""

    def watched(lab: Lab) -> Seen:
        # In the experiment's own process, which leads the session of all that it starts.
        try:
            return experiment.work(lab)
        finally:
            made = [(entry.kind, entry.name) for entry in read_ledger(lab.maker.directory).entries]
            notebook.write_text(json.dumps({"session": os.getpid(), "made": made}))

    result = conduct(experiment._replace(work=watched), run.SYSTEMS)
    seen = json.loads(notebook.read_text())
    left = [(kind, name) for kind, name in seen["made"] if existing.find(kind, name)]
    assert left == []
    end = time.monotonic() + PATIENCE
    # A killed orphan is reaped by init, in its own time.
    while members := _session(seen["session"]):
        assert time.monotonic() < end, members
        os.sched_yield()
    return result


def decided(experiment: Experiment, notebook: Path, certain: Mapping[str, str]) -> None:
    """Fail unless each sentence is decided, those that are ``certain`` as they must be."""
    shown = conducted(experiment, notebook).shown
    assert set(shown) == {each.name for each in experiment.claims}
    for name, each in shown.items():
        assert each.verdict == certain.get(name, each.verdict), (name, each)
        assert each.verdict != UNDECIDED, (name, each)
        assert each.why


def _session(leader: int) -> list[str]:
    """Return the processes of a session that have not ended (proc(5): field 6 is the session)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX":
            found.append(path.parent.name)
    return found
