"""`run.py explore` refuses channels in which a message can be on its way, and walks the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import kinds
from tests.launching import launch

SCENARIO = """
system: spooler
channels:
  jobs: {{kind: {kind}}}
processes:
  - {{role: producer, jobs: 1, to: jobs}}
  - {{role: printer, source: jobs}}
"""
UNWALKABLE = [
    kind
    for kind in kinds.names(kinds.CHANNELS)
    if not getattr(kinds.load(kinds.CHANNELS, kind), "WALKABLE", True)
]


@pytest.mark.parametrize("kind", UNWALKABLE)
def test_a_channel_in_which_messages_are_on_their_way_is_refused(kind: str, tmp_path: Path) -> None:
    """Status 2, with the channel, its kind and the mend, and nothing is started."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO.format(kind=kind))
    done = launch("explore", str(scenario), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert (
        f"schedules with channel jobs cannot be walked: what was sent through a {kind}" in done.err
    )
    assert "--set channels.jobs=pipe" in done.err


def test_popen_is_one_of_them() -> None:
    """What a command has read and not yet written is nowhere to be seen."""
    assert "popen" in UNWALKABLE


@pytest.mark.parametrize("kind", ["pipe", "socketpair", "posix_queue", "signals"])
def test_what_keeps_what_it_was_given_is_walked(kind: str, tmp_path: Path) -> None:
    """Every order of one job's steps, each valid."""
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(SCENARIO.format(kind=kind))
    done = launch("explore", str(scenario), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.out + done.err
    [document] = done.document["variants"].values()
    assert document["complete"]
    assert document["findings"] == {}
