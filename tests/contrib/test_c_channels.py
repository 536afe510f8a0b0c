"""A producer and a printer in C move print jobs through channels, beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiled import needs_compiler
from tests.contrib.building import exact, harm, ours, run, scenario, theirs, walk

pytestmark = needs_compiler

BOTH = (
    {"kind": "sysv_queue", "priorities": 2},
    {"kind": "sysv_queue", "capacity": 128},
    {"kind": "posix_queue", "priorities": 3},
    {"kind": "fifo", "priorities": 2},
)
TO_SEND = ({"kind": "unix_stream"}, {"kind": "unix_seqpacket"}, {"kind": "unix_dgram"})


def name(channel: dict[str, object]) -> str:
    return "-".join(map(str, channel.values()))


@pytest.mark.parametrize("channel", [*BOTH, *TO_SEND], ids=name)
def test_a_producer_in_c(channel: dict[str, object], programs: Path, tmp_path: Path) -> None:
    """What it places our printers print, each job once and whole."""
    path = scenario(
        tmp_path,
        theirs(programs / "producer", "producer", jobs=40, pages=2, urgent_every=5, to="jobs"),
        ours("printer", count=2, source="jobs"), channels={"jobs": channel},
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert document["operations"] == 40 * 5


@pytest.mark.parametrize("channel", BOTH, ids=name)
def test_a_printer_in_c(channel: dict[str, object], programs: Path, tmp_path: Path) -> None:
    """It prints what our producers place, and ends when they have."""
    path = scenario(
        tmp_path, theirs(programs / "printer", "printer", count=2, source="jobs"),
        ours("producer", count=2, jobs=30, pages=2, urgent_every=5, to="jobs"),
        channels={"jobs": channel},
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert document["operations"] == 60 * 5


def test_one_paper_without_a_lock(programs: Path, tmp_path: Path) -> None:
    """Two printers in C and a producer in C have the orders that ours have, and do as much harm."""
    shared = {"channels": {"jobs": {"kind": "sysv_queue"}}, "paper": {"lock": "none"}}
    job, source = {"jobs": 2, "pages": 2, "to": "jobs"}, {"count": 2, "source": "jobs"}
    in_c = scenario(
        tmp_path, {**theirs(programs / "producer", "producer", **job), "name": "producer"},
        theirs(programs / "printer", "printer", **source), **shared,
    )  # fmt: skip
    found = harm(walk(in_c, tmp_path))
    lab = scenario(
        tmp_path, {**ours("producer", **job), "name": "producer"},
        ours("printer", **source), **shared,
    )  # fmt: skip
    assert found == harm(walk(lab, tmp_path))
    assert found[1]["pages_interleaved"] > 0


@pytest.mark.parametrize("lock", ["sysv_sem", "robust_mutex"])
def test_one_paper_with_a_lock(lock: str, programs: Path, tmp_path: Path) -> None:
    """The pages of a job stay together, whoever prints them."""
    path = scenario(
        tmp_path, theirs(programs / "printer", "printer", source="jobs"),
        ours("printer", source="jobs"),
        {**ours("producer", jobs=20, pages=4, to="jobs"), "name": "producer"},
        channels={"jobs": {"kind": "fifo"}}, paper={"lock": lock},
        delays={"print": {"sleep_us": 100}},
    )  # fmt: skip
    exact(run(path, tmp_path))
