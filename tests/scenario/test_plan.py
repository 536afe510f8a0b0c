"""Planning: one variant, made concrete and repeatable."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from common.errors import UsageError
from common.kernel.channels import sysv_queue
from common.scenario.plan import ChannelPlan, Expect, GroupPlan, Part, plan
from tests.scenario.conftest import Load, Systems

TEXT = """\
system: [lab, bare]
about: everything at once
spawn: exec
table:
  store: sysv_shm
  rows: {B: {y: 9}}
channels:
  questions: {kind: fifo, priorities: 2}
  answers: {kind: fifo, per: customer}
  more: sysv_queue
paper: {lock: posix_sem}
processes:
  - {role: asker, name: customer, count: 2, asks: questions, hears: answers}
  - {role: reader, source: questions, spawn: fork}
  - {role: writer, to: more}
  - {role: reader, name: last, source: more}
  - {role: writer, name: clerk, to: answers}
  - {role: keeper, turns: 7, delays: {write: {yields: 1}}}
delays:
  write: {sleep_us: 200}
  acquire: {spin_us: 3}
  receive: {jitter_us: 5}
deadlines: {run: 5}
expect: {verdict: anomaly, findings: [lost_update], any: [leak]}
"""


def test_processes_are_named_after_their_group_and_numbered(loaded: Load, systems: Systems) -> None:
    """Names in the group from 0; indices through the whole run, in the order of the file."""
    made = plan(loaded(TEXT), None, None, systems)

    names = [(process.index, process.name, process.role) for process in made.processes]
    assert names[:3] == [(0, "customer-0", "asker"), (1, "customer-1", "asker"),
                         (2, "reader-0", "reader")]  # fmt: skip
    assert [index for index, _, _ in names] == list(range(7))


def test_a_group_says_what_it_receives_and_sends(loaded: Load, systems: Systems) -> None:
    """Answers are neither: nobody has to be told that they are drained."""
    made = plan(loaded(TEXT), None, None, systems)

    assert made.group("customer") == GroupPlan(
        "customer", "asker", "lab", ["customer-0", "customer-1"], [], ["questions"]
    )
    assert made.group("last") == GroupPlan("last", "reader", "lab", ["last-0"], ["more"], [])


def test_a_channel_is_as_wide_as_the_largest_message_of_its_users(
    loaded: Load, systems: Systems
) -> None:
    """Askers write 128 bytes, readers read 64; the options of its kind are all there."""
    made = plan(loaded(TEXT), None, None, systems)

    assert made.channel("questions").message_size == 128
    assert made.channel("questions").part.options["priorities"] == 2
    assert made.channel("answers").per == "customer"
    assert [channel.index for channel in made.channels] == [0, 1, 2]
    assert made.channel("more") == ChannelPlan(
        "more",
        2,
        Part("sysv_queue", asdict(sysv_queue.Options())),
        Part("none"),
        64,
    )


def test_the_table_begins_with_the_systems_rows_and_the_scenarios_changes(
    loaded: Load, systems: Systems
) -> None:
    """One cell differs; no lock unless one is named."""
    made = plan(loaded(TEXT), None, None, systems)

    assert made.table is not None
    assert made.table.names == ["A", "B"]
    assert made.table.rows == [[1.0, 2.0], [3.0, 9.0]]
    assert made.table.lock == Part("none")
    assert made.paper is not None
    assert made.paper.lock == Part("posix_sem")


def test_delays_reach_the_processes_that_have_the_step(loaded: Load, systems: Systems) -> None:
    """A group's own delay of a step takes the place of the common one."""
    made = plan(loaded(TEXT), None, None, systems)

    delays = {process.group: process.delays for process in made.processes}
    assert delays["keeper"] == {"write": {"yields": 1}, "acquire": {"spin_us": 3}}
    assert delays["last"] == {"receive": {"jitter_us": 5}}
    assert delays["writer"] == {}


def test_the_steps_of_a_channel_are_steps_of_its_users(
    loaded: Load, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A channel that the lab itself synchronises has steps of its own."""
    monkeypatch.setattr("common.kernel.channels.sysv_queue.STEPS", ("write",), raising=False)
    made = plan(loaded(TEXT), None, None, systems)

    delays = {process.group: process.delays for process in made.processes}
    assert delays["writer"] == {"write": {"sleep_us": 200}}
    assert delays["clerk"] == {}


def test_a_group_may_be_spawned_otherwise(loaded: Load, systems: Systems) -> None:
    """The scenario says exec, one entry says fork."""
    made = plan(loaded(TEXT), None, None, systems)

    assert {process.group: process.spawn for process in made.processes}["reader"] == "fork"
    assert {process.group: process.spawn for process in made.processes}["keeper"] == "exec"


def test_options_deadlines_and_expectation_are_written_out(loaded: Load, systems: Systems) -> None:
    """With the defaults of what is not said."""
    made = plan(loaded(TEXT), None, None, systems)

    assert made.processes[-1].options == {
        "turns": 7, "share": 0.5, "loud": False, "mood": "calm", "note": "", "rows": [],
        "limit": None,
    }  # fmt: skip
    assert (made.deadlines.run, made.deadlines.start) == (5.0, 15.0)
    assert made.expect == Expect("anomaly", ["lost_update"], ["leak"])


def test_a_plan_is_plain_data(loaded: Load, systems: Systems) -> None:
    """It is stored as JSON and comes back the same."""
    stored = asdict(plan(loaded(TEXT), None, 1, systems))

    assert json.loads(json.dumps(stored)) == stored


def test_equal_seeds_make_equal_plans(loaded: Load, systems: Systems) -> None:
    """And another seed gives every process another one."""
    scenario = loaded(TEXT)

    first, again, other = (plan(scenario, None, seed, systems) for seed in (7, 7, 8))

    assert first == again
    pairs = zip(first.processes, other.processes, strict=True)
    assert all(one.seed != another.seed for one, another in pairs)
    assert len({process.seed for process in first.processes}) == len(first.processes)


def test_a_process_keeps_its_seed_when_a_group_is_added(loaded: Load, systems: Systems) -> None:
    """It follows from the run's seed and the process's name."""
    before = plan(loaded(TEXT), None, 7, systems)
    grown = TEXT.replace("processes:\n", "processes:\n  - {role: keeper, name: new}\n")
    after = plan(loaded(grown), None, 7, systems)

    seeds = {process.name: process.seed for process in after.processes}
    assert all(seeds[process.name] == process.seed for process in before.processes)


def test_the_seed_is_given_or_written_or_drawn(loaded: Load, systems: Systems) -> None:
    """In this order; two drawn ones differ."""
    written = loaded("seed: 5\n" + TEXT)

    assert plan(written, None, 3, systems).seed == 3
    assert plan(written, None, 0, systems).seed == 0
    assert plan(written, None, None, systems).seed == 5
    drawn = {plan(loaded(TEXT), None, None, systems).seed for _ in range(4)}
    assert len(drawn) > 1
    assert all(0 <= seed < 2**31 for seed in drawn)


def test_the_first_variant_is_planned_unless_one_is_named(loaded: Load, systems: Systems) -> None:
    """A variant that does not exist is named with the nearest that does."""
    scenario = loaded(TEXT + "variants: {one: {}, other: {}}\n")

    assert plan(scenario, None, None, systems).variant == "one"
    assert plan(scenario, "other", None, systems).variant == "other"
    with pytest.raises(UsageError, match=r"no variant 'othre' \(did you mean 'other'\?\)"):
        plan(scenario, "othre", None, systems)
