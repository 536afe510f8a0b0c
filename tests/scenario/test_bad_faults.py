"""Faults that cannot strike are refused: each mistake once, at its place, with its mend."""

from __future__ import annotations

import pytest

from common.errors import ScenarioError
from common.scenario.faults import FaultPlan, Restart, Trigger
from common.scenario.plan import plan
from tests.scenario.conftest import Load, Systems

HEAD = """system: lab
table: {store: sysv_shm, lock: sysv_sem}
channels: {c: {kind: sysv_queue}}
processes: [{role: writer, to: c}, {role: reader, source: c}]
"""

# The line, the words at whose beginning the complaint stands, and words of reason and hint.
BAD = [
    ("- {kind: kil}", "kil}", "'kil'", "did you mean 'kill'?"),
    ("- {kind: kill, at: 3}", "{kind", "names no process", "process: trader-0"),
    ("- {kind: kill, process: writer-1}", "writer-1", "no process 'writer-1'", "'writer-0'"),
    ("- {kind: kill, process: writer, step: sent}", "sent", "no step 'sent'", "'send'?"),
    ("- {kind: kill, process: writer, at: 0}", "0}", "0 is", "1"),
    ("- {kind: kill, process: writer, at: 2, every: 3}", "every", "at and every", "leave one"),
    ("- {kind: kill, process: writer, at: 2, probability: 0.5}", "prob", "at and prob", "leave"),
    ("- {kind: kill, process: writer, probability: 1.5}", "1.5", "1.5 is", "1"),
    ("- {kind: kill, process: writer, after: 1, step: send}", "step", "step counts", "leave one"),
    ("- {kind: kill, process: writer, after: 1, at: 3}", "at: 3", "at counts steps", "leave one"),
    ("- {kind: kill, process: writer, period: 0.1}", "period", "period says", "add after"),
    ("- {kind: kill, process: writer, signal: KILLED}", "KILLED", "'KILLED'", "'KILL'?"),
    ("- {kind: kill, process: writer, seconds: 1}", "seconds", "no 'seconds'", ""),
    ("- {kind: stop, process: writer, seconds: -1}", "-1", "-1 is", "0"),
    ("- {kind: remove, what: tabel, after: 1}", "tabel", "no 'tabel'", ""),
    ("- {kind: remove, after: 1}", "{kind", "needs 'what'", ""),
    ("- {kind: remove, what: table}", "{kind", "names no process", "or after: 0.1"),
    ("- {kind: fill, channel: d, after: 1}", "d, after", "no channel 'd'", ""),
    ("- {kind: truncate, after: 1}", "{kind", "no table in a file", ""),
    ("- {kind: device, process: reader, error: EWHAT}", "EWHAT", "'EWHAT'", "one of: EIO"),
]


@pytest.mark.parametrize(("line", "where", "reason", "hint"), BAD, ids=lambda each: str(each)[:40])
def test_a_bad_fault_is_told_once_at_its_place(
    line: str, where: str, reason: str, hint: str, loaded: Load
) -> None:
    """One complaint, at its words, with its reason and its mend."""
    with pytest.raises(ScenarioError) as raised:
        loaded(f"{HEAD}faults:\n  {line}\n")
    [complaint] = raised.value.complaints
    column = f"  {line}".index(where) + 1
    assert (complaint.line, complaint.column) == (6, column), str(complaint)
    assert reason in complaint.reason
    assert hint in complaint.hint


def test_a_schedule_and_faults_do_not_go_together(loaded: Load) -> None:
    """A fault would break a schedule off: it is refused where the schedule stands."""
    with pytest.raises(ScenarioError) as raised:
        loaded(
            f"{HEAD}schedule: [{{writer-0: send}}]\nfaults: [{{kind: kill, process: writer-0}}]\n"
        )
    [complaint] = raised.value.complaints
    assert (complaint.line, complaint.column) == (5, 1)
    assert "break it off" in complaint.reason


def test_a_fault_is_planned_with_everything_written_out(loaded: Load, systems: Systems) -> None:
    """Kind, options with their defaults, trigger; without a count it strikes the first time."""
    scenario = loaded(
        HEAD.replace("role: writer,", "role: writer, restart: 3,")
        + "faults:\n  - {kind: stop, process: writer, step: send}\n"
        "  - {kind: remove, what: c, after: 0.5, period: 0.25, most: 2}\n"
    )
    made = plan(scenario, None, 1, systems)
    assert made.faults == [
        FaultPlan("stop", {"seconds": 0.5}, Trigger("writer", "send", at=1)),
        FaultPlan("remove", {"what": "c"}, Trigger(after=0.5, period=0.25, most=2)),
    ]
    assert [group.restart for group in made.groups] == [Restart(3, 0.01, 1.0), None]


def test_a_variant_may_leave_the_faults_out(loaded: Load, systems: Systems) -> None:
    """`set: {faults: []}` is a variant without any."""
    scenario = loaded(
        f"{HEAD}faults: [{{kind: kill, process: writer-0}}]\n"
        "variants:\n  harmed: {}\n  unharmed: {set: {faults: []}}\n"
    )
    assert len(plan(scenario, "harmed", 1, systems).faults) == 1
    assert plan(scenario, "unharmed", 1, systems).faults == []


def test_a_channel_whose_waiters_must_live_is_not_filled(loaded: Load) -> None:
    """The launcher would be the one that a killed waiter leaves waiting: it is refused."""
    head = HEAD.replace("{kind: sysv_queue}", "{kind: monitor}")
    with pytest.raises(ScenarioError, match="could hang who fills it"):
        loaded(f"{head}faults:\n  - {{kind: fill, channel: c, after: 1}}\n")
