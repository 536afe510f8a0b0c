"""Each shipped broken lock is caught, and the finding names what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.test_shipped import compare

CAUSES = [
    (
        "dropped",
        "data_race",
        "careless-0 goes in without the lock of DOLLAR, which careful-0 takes",
    ),
    ("shrunk", "data_race", "trader-0 and trader-1 take the lock only for the write"),
    ("wrong_row", "data_race", "wrong-0 took the lock of EURO for a row of DOLLAR"),
    ("double_release", "data_race", "let two in at once: it ended at 3"),
    ("opposite_order", "deadlock", "west-0 waits for the lock of DOLLAR, which east-0 has"),
    ("undo_on_counter", "job_lost", "when producer-0 ended the kernel took its posts back"),
]


@pytest.mark.parametrize(("mutant", "kind", "cause"), CAUSES, ids=[each[0] for each in CAUSES])
def test_the_finding_names_the_cause(mutant: str, kind: str, cause: str, tmp_path: Path) -> None:
    """Of the broken variant alone: that the proper one is valid is every scenario's test."""
    broken = compare(f"mutants/{mutant}", tmp_path, "--variant", "broken")["broken"]
    (finding,) = [finding for finding in broken["findings"] if finding["kind"] == kind]
    assert cause in finding["explanation"]
