"""The soak's claim: what may be found after which fault, and that anything else is unexpected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.scenario.load import load
from common.scenario.plan import Plan, plan
from common.soaking.drawing import CONFIGS
from common.soaking.promise import guarded, may_find, objections
from run import SYSTEMS

TABLE = {"store": "sysv_shm", "lock": {"kind": "sysv_sem", "undo": True}}
KILL = {"kind": "kill", "process": "trader", "step": "write", "at": 3}


def planned(tmp_path: Path, **changes: Any) -> Plan:
    """Return two traders under a lock; ``changes`` are of the top level."""
    path = tmp_path / "scenario.yaml"
    path.write_text(
        yaml.safe_dump(
            {"system": "exchange", "table": TABLE, "processes": [{"role": "trader", "count": 2}]}
            | changes
        )
    )
    return plan(load(path, SYSTEMS), None, 1, SYSTEMS)


def found(*kinds: str, **changes: Any) -> dict[str, Any]:
    """Return the document of a run with findings of these kinds."""
    return {
        "findings": [{"kind": kind, "explanation": "so it was"} for kind in kinds],
        "measures": {},
        "processes": [],
        "interrupted": None,
        "as_expected": not kinds,
        "verdict": "anomaly" if kinds else "valid",
        "doubts": [],
    } | changes


@pytest.mark.parametrize(
    "lock", [{"kind": "sysv_sem", "undo": True}, "robust_mutex", "flock", "record_lock", "ofd_lock"]
)
def test_a_kill_under_a_lock_that_is_freed_may_do_nothing(tmp_path: Path, lock: Any) -> None:
    """A trade writes once: whoever dies before, in or after it costs no other's update."""
    made = planned(tmp_path, table=TABLE | {"lock": lock}, faults=[KILL])
    assert may_find(made, SYSTEMS) == {}


@pytest.mark.parametrize(
    "lock", [{"kind": "sysv_sem", "undo": False}, "posix_sem", "spinlock", "lock_file", "mp_lock"]
)
def test_a_kill_under_a_lock_that_is_held_may_only_hang(tmp_path: Path, lock: Any) -> None:
    """Where nobody gives the lock back all wait; no update is lost all the same."""
    made = planned(tmp_path, table=TABLE | {"lock": lock}, faults=[KILL])
    assert set(may_find(made, SYSTEMS)) == {"process_hung", "deadlock"}


@pytest.mark.parametrize("kind", ["stop", "slow", "signals"])
def test_who_is_only_held_up_may_do_nothing(tmp_path: Path, kind: str) -> None:
    """Stopped, slowed or interrupted, a process does what it does a little later."""
    for lock in ("posix_sem", "robust_mutex"):
        made = planned(tmp_path, table=TABLE | {"lock": lock}, faults=[KILL | {"kind": kind}])
        assert may_find(made, SYSTEMS) == {}


def test_two_writes_are_halved_unless_they_are_recovered(tmp_path: Path) -> None:
    """A converter that dies between its two updates loses one; the next holder mends it."""
    converter = {"role": "converter", "sells": "DOLLAR", "buys": "EURO"}
    kill = KILL | {"process": "converter"}
    bare = planned(tmp_path, processes=[converter], faults=[kill])
    assert set(may_find(bare, SYSTEMS)) == {"lost_update"}
    table = TABLE | {"recovery": {"kind": "intent", "half_done": "undo"}, "lock": "robust_mutex"}
    mended = planned(tmp_path, processes=[converter], table=table, faults=[kill])
    assert may_find(mended, SYSTEMS) == {}


def test_a_cut_table_kills_who_has_a_job_in_its_hands(tmp_path: Path) -> None:
    """SIGBUS: whoever touches it, not only at whose step it was cut."""
    cut = {"kind": "truncate", "process": "trader-0", "step": "write", "at": 1}
    table = TABLE | {"store": "mmap_file"}
    alone = planned(tmp_path, table=table, faults=[cut])
    assert "job_lost" not in may_find(alone, SYSTEMS)
    desk = CONFIGS / "exchange/order_desk_fifo.yaml"
    settings = [f"faults=[{json.dumps(cut | {'process': 'client-0', 'step': 'send'})}]",
                "table.store=mmap_file"]  # fmt: skip
    made = plan(load(desk, SYSTEMS, settings), "locked", 0, SYSTEMS)
    assert "job_lost" in may_find(made, SYSTEMS)


def test_without_a_lock_anything_may_be_lost(tmp_path: Path) -> None:
    """An open table promises nothing; a guarded one everything."""
    bare = planned(tmp_path, table=TABLE | {"lock": "none"})
    assert not guarded(bare)
    assert {"lost_update", "negative_stock", "data_race"} <= set(may_find(bare, SYSTEMS))
    assert "process_crashed" not in may_find(bare, SYSTEMS)
    assert guarded(planned(tmp_path))


def test_what_no_rule_allows_is_told(tmp_path: Path) -> None:
    """A lost update under a lock, a checker that failed, a doubt that nothing explains: each."""
    made = planned(tmp_path, faults=[KILL])

    def told(document: dict[str, Any]) -> list[str]:
        return objections(made, document, may_find(made, SYSTEMS), as_it_is=False)

    assert told(found()) == []
    assert told(found("lost_update"))[0].startswith("lost_update: so it was")
    assert told(found(measures={"checker_failed": True}))
    assert told(found(doubts=["trader-0 reports 5 done, but its records hold 4"]))
    assert told(found(doubts=["only one of 2 processes did anything"])) == []


def test_no_more_happened_untold_than_processes_died(tmp_path: Path) -> None:
    """Whoever is cut short has one operation under way: applied - acknowledged <= kills."""
    made = planned(tmp_path, faults=[KILL])
    ends = [{"phase": "done"}, {"phase": "run"}]

    def told(unacknowledged: int) -> list[str]:
        document = found(processes=ends, measures={"unacknowledged": unacknowledged})
        return objections(made, document, (), as_it_is=False)

    assert told(1) == []
    assert told(2) == ["2 operations happened untold, and only 1 were cut short"]


def test_an_untouched_scenario_keeps_its_promise(tmp_path: Path) -> None:
    """Where nothing goes wrong a run is as its scenario says, unless it was cut short."""
    made = planned(tmp_path)
    other = found(as_expected=False, verdict="undecided")
    assert objections(made, other, (), as_it_is=True)
    assert objections(made, other | {"interrupted": 15}, (), as_it_is=True) == []
