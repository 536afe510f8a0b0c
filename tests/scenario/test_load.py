"""Loading: a good scenario is whole, and everything wrong with a bad one is told together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ScenarioError
from common.scenario import source
from common.scenario.load import load
from tests.conftest import Fork
from tests.scenario.conftest import Load, Systems

GOOD = """\
system: lab
table: {store: sysv_shm}
processes: [{role: keeper}]
"""


def complaints(error: pytest.ExceptionInfo[ScenarioError]) -> list[str]:
    return [f"{each.line}:{each.column} {each.reason}" for each in error.value.complaints]


def test_variants_keep_the_order_of_the_file(loaded: Load) -> None:
    """The first variant of the file is the first of the scenario."""
    scenario = loaded(GOOD + "variants: {unlocked: {}, locked: {}, also: {}}\n")

    assert list(scenario.variants) == ["unlocked", "locked", "also"]


def test_a_scenario_without_variants_has_one(loaded: Load) -> None:
    """What runs when nothing is compared has a name, too."""
    assert list(loaded(GOOD).variants) == ["default"]


def test_all_errors_of_a_file_are_told_together_in_the_order_of_the_file(loaded: Load) -> None:
    """A parser's refusal, a wrong value, a wrong word and a misfit: one report, sorted."""
    text = (
        "seed: 1e3\n"
        "system: lab\n"
        "system: bare\n"
        "processes: [{role: keeper, turns: 0}, {role: kepper}]\n"
        "expect: valud\n"
    )

    with pytest.raises(ScenarioError) as raised:
        loaded(text)

    assert complaints(raised) == [
        "1:7 a whole number is wanted, not 1e3",
        "3:1 the key 'system' is here twice",
        "4:20 the role keeper needs a table, and the scenario has none",
        "4:35 0 is too small",
        "4:46 there is no role 'kepper'",
        "5:9 there is no verdict 'valud'",
    ]


def test_an_error_that_variants_share_is_told_once(loaded: Load) -> None:
    """Three variants of one wrong line are one complaint."""
    with pytest.raises(ScenarioError) as raised:
        loaded(GOOD + "seed: x\nvariants: {a: {}, b: {}, c: {}}\n")

    assert complaints(raised) == ["4:7 a whole number is wanted, not x"]


def test_a_wrong_channel_is_not_blamed_on_those_who_use_it(loaded: Load) -> None:
    """A channel of no kind is declared all the same: one complaint, at the kind."""
    with pytest.raises(ScenarioError) as raised:
        loaded(
            "system: lab\n"
            "channels: {c: fifoo}\n"
            "processes: [{role: writer, to: c}, {role: reader, source: c}]\n"
        )

    assert complaints(raised) == ["2:15 there is no channel 'fifoo'"]


def test_the_message_names_file_line_column_field_reason_and_mend(
    tmp_path: Path, systems: Systems
) -> None:
    """One line holds all that is needed to mend it."""
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD + "spawn: forc\n")

    with pytest.raises(ScenarioError) as raised:
        load(path, systems)

    assert str(raised.value) == (
        f"{path}:4:8: spawn: there is no way to start a process 'forc' (did you mean 'fork'?)"
    )


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("configs/exchange/lost_update.yaml", "exchange/lost_update"),
        ("configs/receipts.yaml", "receipts"),
        ("configs/old/configs/new.yml", "new"),
        ("elsewhere/mine.yaml", "mine"),
        ("elsewhere/...yaml", "__"),
        ("elsewhere/two words\n.yaml", "two_words_"),
    ],
)
def test_a_scenario_is_named_by_its_path_below_configs(
    file: str, name: str, tmp_path: Path, systems: Systems
) -> None:
    """Else by its file; and no name can lead out of the directory of runs."""
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(GOOD)

    assert load(path, systems).name == name


def test_a_relative_path_is_named_as_an_absolute_one(
    tmp_path: Path, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name is the same from inside the directory."""
    directory = tmp_path / "configs" / "exchange"
    directory.mkdir(parents=True)
    (directory / "mine.yaml").write_text(GOOD)
    monkeypatch.chdir(directory)

    assert load("mine.yaml", systems).name == "exchange/mine"


@pytest.mark.parametrize("prefix", ["\ufeff", "# a comment\n", "---\n", "%YAML 1.1\n---\n"])
def test_what_may_stand_before_a_scenario(prefix: str, loaded: Load) -> None:
    """A byte order mark, a comment, a document's beginning and its version change nothing."""
    assert loaded(prefix + GOOD).name == "scenario"


@pytest.mark.parametrize(
    "options", ["turns: 1", "turns: 1000", "turns: 0x10", "share: 0", "share: 1.0e-3", "share: 1.0",
                "limit: ", "limit: ~", "note: ''", "note: 'no'", "rows: []", "loud: false"],
)  # fmt: skip
def test_values_at_their_bounds_are_good(options: str, loaded: Load) -> None:
    """Bounds are inclusive, hexadecimal is a number, quotes make a text."""
    assert loaded(GOOD.replace("keeper", f"keeper, {options}")).variants


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    """The limit itself is allowed; one byte more is a row of the table of bad scenarios."""
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * source.LARGEST)

    assert len(source.read(path)) == source.LARGEST


def test_no_descriptor_is_left_open(tmp_path: Path, systems: Systems) -> None:
    """Neither a good file nor a refused one stays open."""
    path = tmp_path / "good.yaml"
    path.write_text(GOOD)
    before = sorted(os.listdir("/proc/self/fd"))  # noqa: PTH208

    load(path, systems)
    for refused in (tmp_path, Path("/dev/zero"), tmp_path / "absent"):
        with pytest.raises(ScenarioError):
            load(refused, systems)

    assert sorted(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_an_unreadable_file_is_a_complaint(tmp_path: Path, fork: Fork, systems: Systems) -> None:
    """Root reads everything, so a child without privileges asks."""
    path = tmp_path / "secret.yaml"
    path.write_text(GOOD)
    path.chmod(0)

    def ask() -> None:
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        with pytest.raises(ScenarioError, match="cannot be opened: Permission denied"):
            load(path, systems)

    assert fork(ask).ended() == 0


def test_ten_thousand_unknown_keys_are_refused_without_a_hang(loaded: Load) -> None:
    """Every key is told; nothing is quadratic in their number."""
    with pytest.raises(ScenarioError) as raised:
        loaded(GOOD + "".join(f"key{number}: 1\n" for number in range(4990)))

    assert len(raised.value.complaints) == 4990


def test_loading_brings_in_nothing_heavy() -> None:
    """The start of the launcher pays for yaml, and for no schema library."""
    code = (
        "import sys, common.scenario.load, common.scenario.plan\n"
        "heavy = {'pydantic', 'numpy', 'structlog', 'jsonschema', 'rich'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_plan_is_read_without_the_loader() -> None:
    """Judging a stored run needs the plan's records, and neither yaml nor the schema."""
    code = (
        "import sys, common.scenario.plan\n"
        "assert not {'yaml', 'common.scenario.schema'} & set(sys.modules)\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
