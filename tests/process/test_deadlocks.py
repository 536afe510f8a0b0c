"""A circle of waiting processes is seen while the run goes on, and is the end of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from common.process.deadlocks import circle
from tests.launching import Finished, launch
from tests.process.test_supervise import process, supervise


def wait(who: str, holder: str | None) -> dict[str, Any]:
    """Return the wait of a process for something that another has."""
    return {"process": who, "step": "acquire", "waits_for": f"what {holder} has", "holder": holder}


def test_a_circle_is_told_without_those_who_wait_for_it() -> None:
    """The one before it stands outside: it waits, and nobody waits for it."""
    waits = [wait("outside", "a"), wait("a", "b"), wait("b", "c"), wait("c", "a")]
    assert [each["process"] for each in circle(waits)] == ["a", "b", "c"]


def test_a_process_that_waits_for_itself_is_a_circle() -> None:
    """Who takes the same lock twice waits for its own holder."""
    assert [each["process"] for each in circle([wait("a", "a")])] == ["a"]


def test_a_chain_is_no_circle() -> None:
    """Somebody at its end goes on, or holds what nobody knows."""
    assert circle([wait("a", "b"), wait("b", "c")]) == []
    assert circle([wait("a", "b"), wait("b", None)]) == []


def convert(tmp_path: Path, lock: str, order: str, operations: int, seconds: float) -> Finished:
    """Run two converters who want the same two rows; each pauses between its two locks."""
    path = tmp_path / "converters.yaml"
    path.write_text(
        f"system: exchange\n"
        f"table: {{store: sysv_shm, lock: {lock}, granularity: row}}\n"
        f"processes:\n"
        f"  - {{role: converter, name: east, operations: {operations}, order: {order}}}\n"
        f"  - {{role: converter, name: west, operations: {operations}, order: {order},\n"
        f"     sells: EURO, buys: DOLLAR}}\n"
        f"delays: {{acquire: {{sleep_us: 2000}}}}\n"
        f"deadlines: {{run: 0, wait: {seconds}}}\n"
    )
    return launch("run", str(path), "--out", str(tmp_path), "--json")


def test_a_deadlock_ends_a_run_without_a_deadline(tmp_path: Path) -> None:
    """They convert until they lock each other out, and nothing but the deadlock is reported."""
    done = convert(tmp_path, "sysv_sem", "given", 0, 3600)
    assert [finding["kind"] for finding in done.document["findings"]] == ["deadlock"]
    sentence = done.document["findings"][0]["explanation"]
    assert "east-0 waits for the lock of EURO, which west-0 has" in sentence
    assert "west-0 waits for the lock of DOLLAR, which east-0 has" in sentence


def test_one_order_of_the_locks_keeps_it_away(tmp_path: Path) -> None:
    """The same two, each taking the lower row first, come to their end."""
    done = convert(tmp_path, "sysv_sem", "sorted", 50, 60)
    assert (done.document["verdict"], done.document["findings"]) == ("valid", [])


def test_where_nobody_can_tell_the_holder_the_wait_ends_it(tmp_path: Path) -> None:
    """A POSIX semaphore does not say who has it: the two hang until their patience is over."""
    done = convert(tmp_path, "posix_sem", "given", 0, 1)
    assert {finding["kind"] for finding in done.document["findings"]} == {"process_hung"}


def test_a_long_wait_is_no_deadlock(tmp_path: Path) -> None:
    """Whoever has the lock waits for nobody: it is the deadline that ends the run."""
    found = supervise(tmp_path, "holds", "waits", table=True, run=2)
    assert found["outcome"]["deadlock"] == []
    assert process(found, "holds")["hung"]


def test_a_process_that_takes_a_lock_twice_is_a_deadlock(tmp_path: Path) -> None:
    """It waits for the table's lock, which it has itself; nobody is called hung."""
    found = supervise(tmp_path, "locks_twice", table=True, run=0)
    (only,) = found["outcome"]["deadlock"]
    assert (only["waits_for"], only["holder"]) == ("the table's lock", only["process"])
    assert process(found, "locks_twice")["hung"] is None
