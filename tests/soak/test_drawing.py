"""What a soak draws depends on its seed alone, and fits the scenario that it is drawn for."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from common.scenario.load import load
from common.scenario.plan import plan
from common.soaking.drawing import CONFIGS, _changes, draw
from common.soaking.promise import guarded
from run import SYSTEMS

RUNS = 25


def test_the_same_seed_draws_the_same_runs() -> None:
    """Each number is a run of its own, in whatever order they are asked for."""
    one = [draw(7, number, SYSTEMS) for number in range(8)]
    again = [draw(7, number, SYSTEMS) for number in reversed(range(8))]
    assert one == again[::-1]
    assert len({draft.line() for draft in one}) == 8
    assert [draw(8, number, SYSTEMS).line() for number in range(8)] != [d.line() for d in one]


@pytest.mark.parametrize("seed", [1, 2])
def test_what_is_drawn_can_be_run_as_it_is_printed(seed: int) -> None:
    """The scenario loads with the drawn settings, and has the plan that was drawn."""
    faults = set()
    for number in range(RUNS):
        draft = draw(seed, number, SYSTEMS)
        words = draft.words()
        settings = [after for word, after in pairwise(words) if word == "--set"]
        loaded = load(CONFIGS / f"{draft.scenario}.yaml", SYSTEMS, settings)
        variant = words[words.index("--variant") + 1]
        seed_of_run = int(words[words.index("--seed") + 1])
        assert plan(loaded, variant, seed_of_run, SYSTEMS) == draft.plan
        faults |= {fault.kind for fault in draft.plan.faults}
        # What runs for ever is ended.
        assert draft.plan.deadlines.run or draft.fate is not None
    assert len(faults) >= 4


def test_a_run_that_may_hang_waits_less_than_one_that_must_not() -> None:
    """Who waits in vain is found soon; who only waits for a slow machine is never blamed."""
    drawn = [draw(3, number, SYSTEMS) for number in range(RUNS)]
    for draft in drawn:
        if any(setting.startswith("deadlines=") for setting in draft.settings):
            assert (draft.plan.deadlines.wait < 10) == ("process_hung" in draft.allowed)


@pytest.mark.parametrize(
    ("name", "variant"), [("spooler/signals", "standard"), ("mutants/undo_on_counter", "broken")]
)
def test_who_promises_an_anomaly_keeps_its_channel(name: str, variant: str) -> None:
    """On another kind of channel nothing would be lost; another table would change nothing."""
    loaded = load(CONFIGS / f"{name}.yaml", SYSTEMS)
    planned = plan(loaded, variant, 0, SYSTEMS)
    for seed in range(200):
        changes = _changes(Random(seed), name, loaded, planned, SYSTEMS)
        assert not any(change.startswith("channels.") for change in changes)


def test_what_is_guarded_stays_guarded() -> None:
    """No change takes away the guard that the promise rests on (one_slot with its star would)."""
    name = "exchange/order_desk_fifo"
    loaded = load(CONFIGS / f"{name}.yaml", SYSTEMS)
    planned = plan(loaded, "locked", 0, SYSTEMS)
    drawn = set()
    for seed in range(300):
        changes = _changes(Random(seed), name, loaded, planned, SYSTEMS)
        changed = load(CONFIGS / f"{name}.yaml", SYSTEMS, changes)
        assert guarded(plan(changed, "locked", 0, SYSTEMS)), changes
        drawn |= {change for change in changes if change.startswith("channels.")}
    assert len(drawn) > 5
