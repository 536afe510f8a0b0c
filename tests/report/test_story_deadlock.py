"""What is told of a deadlock: who had which lock, who waited for which, in the order it came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.history import trace
from common.history.trace import Passed
from tests.launching import ROOT, launch
from tests.report.stories import story, texts
from tests.verdict.scenes import GATE, Scene


def wait(who: str, what: str, holder: str | None, **since: int) -> dict[str, Any]:
    """Return the wait of a process."""
    return {"process": who, "step": "acquire", "waits_for": what, "holder": holder, **since}


def deadlock(directory: Path, waits: list[dict[str, Any]], *passed: Passed) -> dict[str, Any]:
    """Return the story of a run that ended in ``waits``."""
    scene = Scene(directory)
    for each in waits:
        scene.recorder(each["process"])
    return story(scene.case(deadlock=waits, trace=trace.written(passed)), "deadlock")


def test_two_orders_of_locks_to_the_letter(tmp_path: Path) -> None:
    """Each took what the other one wants, and from the second taking on nobody could go on."""
    config = str(ROOT / "configs/mutants/opposite_order.yaml")
    run_dir = launch("run", config, "--out", str(tmp_path), "--json").document["run_dir"]
    (told,) = launch("explain", run_dir, "--json").document["findings"]
    assert texts(told) == [
        ("east-0", "takes the lock of DOLLAR"),
        ("west-0", "takes the lock of EURO"),
        ("east-0", "waits for the lock of EURO (held by west-0)"),
        ("west-0", "waits for the lock of DOLLAR (held by east-0)"),
    ]
    assert told["exact"]
    assert all(row["in_order"] for row in told["rows"])
    times = [row["at_ns"] for row in told["rows"]]
    assert times[1] == times[2] == times[3]
    text = launch("explain", run_dir, NO_COLOR="1", COLUMNS="100").out
    assert ">   " in text
    assert "~" not in text


def test_who_ran_freely_had_its_lock_before_it_waited(tmp_path: Path) -> None:
    """Since when they waited is known; since when they had their locks is not."""
    waits = [
        wait("east", "the lock of EURO", "west", since=GATE + 300),
        wait("west", "the lock of DOLLAR", "east", since=GATE + 200),
    ]
    told = deadlock(tmp_path / "run", waits)
    found = {row["text"]: (row["at_ns"], row["from_ns"], row["to_ns"]) for row in told["rows"]}
    assert found == {
        "has the lock of DOLLAR": (None, None, 300),
        "has the lock of EURO": (None, None, 200),
        "waits for the lock of DOLLAR (held by east)": (200, 200, 200),
        "waits for the lock of EURO (held by west)": (300, 300, 300),
    }
    assert texts(told)[-2:] == [
        ("west", "waits for the lock of DOLLAR (held by east)"),
        ("east", "waits for the lock of EURO (held by west)"),
    ]
    assert not told["exact"]


def test_a_lock_that_was_given_back_is_not_told(tmp_path: Path) -> None:
    """Only what they still had counts, and when they took it last."""
    waits = [wait("a", "the lock of EURO", "b"), wait("b", "the lock of DOLLAR", "a")]
    told = deadlock(
        tmp_path / "run",
        waits,
        Passed(0, "a", "acquire", takes="the lock of POUND"),
        Passed(1, "a", "acquire", takes="the lock of DOLLAR"),
        Passed(2, "a", "release", gives="the lock of DOLLAR"),
        Passed(2, "a", "release", gives="the lock of POUND"),
        Passed(3, "b", "acquire", takes="the lock of EURO"),
        Passed(5, "a", "acquire", takes="the lock of DOLLAR"),
    )
    assert [(row["text"], row["at_ns"]) for row in told["rows"]] == [
        ("takes the lock of EURO", 3),
        ("takes the lock of DOLLAR", 5),
        ("waits for the lock of EURO (held by b)", 5),
        ("waits for the lock of DOLLAR (held by a)", 5),
    ]


@pytest.mark.parametrize(
    ("holder", "text", "prevention"),
    [
        ("a", "waits for the table's lock, which it has itself", "take a lock once"),
        (None, "waits for the table's lock, which nobody will give", "look at what is waited for"),
    ],
)
def test_a_wait_for_oneself_and_for_nobody(
    tmp_path: Path, holder: str | None, text: str, prevention: str
) -> None:
    """One order of the locks would not have helped: what would is said."""
    told = deadlock(tmp_path / "run", [wait("a", "the table's lock", holder, since=GATE + 9)])
    assert ("a", text) in texts(told)
    assert not told["exact"]
    assert told["prevention"].startswith(prevention)


def test_a_free_run_tells_since_when_they_waited(tmp_path: Path) -> None:
    """Two converters lock each other out by themselves: both waits have their times."""
    config = tmp_path / "converters.yaml"
    config.write_text(
        "system: exchange\n"
        "table: {store: sysv_shm, lock: sysv_sem, granularity: row}\n"
        "processes:\n"
        "  - {role: converter, name: east, operations: 0, order: given}\n"
        "  - {role: converter, name: west, operations: 0, order: given, sells: EURO,\n"
        "     buys: DOLLAR}\n"
        "delays: {acquire: {sleep_us: 2000}}\n"
        "deadlines: {run: 0, wait: 3600}\n"
    )
    run_dir = launch("run", str(config), "--out", str(tmp_path), "--json").document["run_dir"]
    (told,) = launch("explain", run_dir, "--json").document["findings"]
    waits = [row for row in told["rows"] if row["step"] == "waits"]
    assert {row["process"] for row in waits} == {"east-0", "west-0"}
    assert all(row["at_ns"] > 0 for row in waits)
