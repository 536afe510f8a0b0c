"""Settings: a dotted path changes one value, of a variant or from the command line."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from common.errors import ScenarioError
from common.kernel.locks import sysv_sem
from common.kernel.tables import mmap_file
from common.scenario.plan import Expect, Part, Plan, plan
from tests.scenario.conftest import Load, Systems

TEXT = """\
system: lab
seed: 7
table:
  store: {kind: sysv_shm, key: 0x45584348}
  lock: {kind: sysv_sem, undo: false}
processes:
  - {role: keeper, turns: 5}
  - {role: keeper, name: second, rows: [A, B]}
variants:
  as_it_is: {}
  changed: {set: {table.lock: none, processes.second.turns: 9}, expect: anomaly}
"""


def planned(loaded: Load, systems: Systems, variant: str, *settings: str) -> Plan:
    return plan(loaded(TEXT, *settings), variant, None, systems)


def lock_of(**given: Any) -> Part:
    """Return the lock with these options and every default written out."""
    return Part("sysv_sem", asdict(sysv_sem.Options(**given)))


def options(made: Plan, group: str) -> dict[str, object]:
    return next(process.options for process in made.processes if process.group == group)


def test_a_variant_changes_what_it_sets_and_nothing_else(loaded: Load, systems: Systems) -> None:
    """The other variant, the other group and the other keys stay as they are written."""
    changed = planned(loaded, systems, "changed")
    kept = planned(loaded, systems, "as_it_is")

    assert changed.table is not None
    assert kept.table is not None
    assert changed.table.lock == Part("none")
    assert kept.table.lock == lock_of(undo=False)
    assert (options(changed, "keeper")["turns"], options(changed, "second")["turns"]) == (5, 9)
    assert options(kept, "second")["turns"] == 5
    assert changed.expect.verdict == "anomaly"
    assert kept.expect.verdict == "valid"


def test_a_plan_says_which_settings_made_it(loaded: Load, systems: Systems) -> None:
    """As they are written: the variant's, then those of the command line."""
    made = planned(loaded, systems, "changed", "seed=3")

    assert made.settings == {"table.lock": "none", "processes.second.turns": "9", "seed": "3"}


def test_the_command_line_has_the_last_word(loaded: Load, systems: Systems) -> None:
    """It changes every variant, also what the variant sets itself."""
    for variant in ("as_it_is", "changed"):
        made = planned(loaded, systems, variant, "processes.second.turns=2", "expect=undecided")
        assert options(made, "second")["turns"] == 2
        assert made.expect.verdict == "undecided"


def test_a_kind_in_a_word_replaces_the_whole_mapping(loaded: Load, systems: Systems) -> None:
    """The options of the old kind do not linger."""
    made = planned(loaded, systems, "as_it_is", "table.store=mmap_file", "table.lock=posix_sem")

    assert made.table is not None
    assert made.table.store == Part("mmap_file", asdict(mmap_file.Options(path="exchange.dat")))
    assert made.table.lock == Part("posix_sem")


@pytest.mark.parametrize(
    ("setting", "lock"),
    [
        ("table.lock={kind: sysv_sem, undo: true}", {"undo": True}),
        ("table.lock.undo=true", {"undo": True}),
    ],
)
def test_a_value_is_yaml_and_a_path_goes_into_options(
    setting: str, lock: dict[str, bool], loaded: Load, systems: Systems
) -> None:
    """A whole mapping, or one option of it."""
    made = plan(loaded(TEXT.partition("variants:")[0], setting), None, None, systems)

    assert made.table is not None
    assert made.table.lock == lock_of(**lock)


def test_an_option_is_judged_with_the_kind_that_each_variant_has(loaded: Load) -> None:
    """A variant without the lock has no place for the lock's option: said, not ignored."""
    with pytest.raises(ScenarioError, match="lock 'none' has no 'undo'"):
        loaded(TEXT, "table.lock.undo=true")


def test_a_word_grows_into_a_mapping_for_its_option(loaded: Load, systems: Systems) -> None:
    """`table.lock: sysv_sem` may be given `table.lock.undo`."""
    made = planned(loaded, systems, "as_it_is", "table.lock=sysv_sem", "table.lock.undo=false")

    assert made.table is not None
    assert made.table.lock == lock_of(undo=False)


def test_a_verdict_grows_into_a_mapping_for_its_findings(loaded: Load, systems: Systems) -> None:
    """`expect: anomaly` may be given `expect.findings`."""
    text = TEXT.partition("variants:")[0] + "expect: anomaly\n"
    made = plan(loaded(text, "expect.findings=[leak]"), None, None, systems)

    assert made.expect == Expect("anomaly", ["leak"])


def test_a_path_may_add_what_is_not_written(loaded: Load, systems: Systems) -> None:
    """Whole levels, if the schema knows them."""
    made = planned(loaded, systems, "as_it_is", "delays.write.yields=2", "deadlines.run=5")

    assert made.processes[0].delays == {"write": {"yields": 2}}
    assert made.deadlines.run == 5.0


def test_a_group_is_named_by_its_name_or_its_position(loaded: Load, systems: Systems) -> None:
    """And an item of a list by its position."""
    made = planned(loaded, systems, "as_it_is", "processes.0.turns=8", "processes.second.rows.1=A")

    assert options(made, "keeper")["turns"] == 8
    assert options(made, "second")["rows"] == ["A", "A"]


@pytest.mark.parametrize(
    ("setting", "column", "reason", "hint"),
    [
        ("table.lokc=none", 1, "the table has no 'lokc'", "did you mean 'lock'?"),
        ("tabel.lock=none", 1, "a scenario has no 'tabel'", "did you mean 'table'?"),
        ("processes.secund.turns=1", 1, "no 'secund'", "did you mean 'second'?"),
        ("processes.second.turns=0", 24, "0 is too small", "the least is 1"),
        ("table.lock={kind: sysv_sem, undo: 3}", 35, "true or false is wanted", ""),
        ("table.lock=[", 12, "not closed", ""),
        ("table.lock", 1, "sets nothing", "write key=value"),
        ("seed=", 1, "has no value", "a whole number"),
        ("=3", 1, "an empty part", "table.lock"),
        ("variants.changed.expect=valid", 1, "variants cannot be set", "what they change"),
        ("seed=*x", 6, "the alias *x is refused", ""),
        ("about=a\u202eb", 7, "U+202E", ""),
    ],
)
def test_a_bad_setting_is_told_at_its_place_on_the_command_line(
    setting: str, column: int, reason: str, hint: str, loaded: Load
) -> None:
    """Once, though two variants are made with it."""
    with pytest.raises(ScenarioError) as raised:
        loaded(TEXT, setting)

    [complaint] = raised.value.complaints
    assert (complaint.source, complaint.line, complaint.column) == ("--set", 1, column)
    assert reason in complaint.reason
    assert hint in complaint.hint


def test_errors_of_the_file_come_before_those_of_the_command_line(loaded: Load) -> None:
    """Both are told."""
    with pytest.raises(ScenarioError) as raised:
        loaded(TEXT + "abuot: x\n", "seed=x")

    assert [complaint.line for complaint in raised.value.complaints] == [12, 1]
