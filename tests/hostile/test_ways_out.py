"""No name in a scenario, and none on the command line, leads out of the directory for runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import run
from tests.launching import launch

OUT = ("../x", "a/../../x", "/tmp/x", "..", ".", "a/b", "\\0", "")

SCENARIO = """\
system: spooler
channels:
  {channel}: {{kind: {kind}}}
  devices: {{kind: pipe, per: {per}}}
processes:
  - {{role: producer, name: {process}, count: 1, jobs: 2, to: {to}}}
  - {{role: consumer, count: 1, source: {to}, to: devices}}
  - {{role: printer, count: 1, source: devices}}
{more}
"""
GOOD = {
    "channel": "jobs", "kind": "fifo", "per": "printer", "process": "maker", "to": "jobs",
    "more": "",
}  # fmt: skip


def tree(directory: Path) -> list[str]:
    """Return all that lies below a directory."""
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


Refuse = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Return a function that runs what must be refused, with nothing made; it returns the words."""

    def refuse(tmp_path: Path, text: str, *words: str) -> str:
        return _refused(capsys, tmp_path, text, *words)

    return refuse


def _refused(capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, *words: str) -> str:
    # Refused before any process is started: this one will do.
    deep = tmp_path / "deep" / "est"
    deep.mkdir(parents=True)
    (deep / "scenario.yaml").write_text(text)
    before = tree(tmp_path)
    status = run.main(["run", str(deep / "scenario.yaml"), "--out", str(deep / "runs"), *words])
    said = capsys.readouterr()
    assert status == 2, said.err
    assert said.out == ""
    assert tree(tmp_path) == before
    return said.err


@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize("place", ["channel", "process", "per", "to"])
def test_a_name_in_a_scenario_that_is_a_path_is_refused(
    tmp_path: Path, refused: Refuse, place: str, name: str
) -> None:
    """Of a channel, of a group of processes, and wherever one is meant: at its line and column."""
    said = refused(tmp_path, SCENARIO.format(**{**GOOD, place: f'"{name}"'}))
    assert "scenario.yaml:" in said


@pytest.mark.parametrize("name", OUT)
def test_a_variant_that_is_a_path_is_refused(tmp_path: Path, refused: Refuse, name: str) -> None:
    """In the file, and where one is asked for."""
    text = SCENARIO.format(**{**GOOD, "more": f'variants: {{"{name}": {{expect: valid}}}}'})
    assert "variants" in refused(tmp_path / "file", text)
    assert "no variant" in refused(tmp_path / "word", SCENARIO.format(**GOOD), "--variant", name)


@pytest.mark.parametrize("path", ["../x.dat", "a/../../x.dat", "/tmp/../etc/x.dat", "..", ""])
def test_a_tables_file_stays_with_the_runs_of_its_scenario(
    tmp_path: Path, refused: Refuse, path: str
) -> None:
    """Or at an absolute path that is written out: never by way of `..`."""
    text = (
        "system: exchange\n"
        f'table: {{store: {{kind: mmap_file, path: "{path}"}}, lock: sysv_sem}}\n'
        "processes: [{role: trader, count: 1, operations: 1}]\n"
    )
    refused(tmp_path, text)


@pytest.mark.parametrize("setting", [
    "channels.../x.kind=fifo", "processes.maker.name=../x", "processes.../x.count=1",
    "channels.jobs.lock=../x", "channels.devices.per=../x", "system=../x",
])  # fmt: skip
def test_a_setting_that_is_a_path_is_refused(tmp_path: Path, refused: Refuse, setting: str) -> None:
    """On the command line as in the file."""
    refused(tmp_path, SCENARIO.format(**GOOD), "--set", setting)


@pytest.mark.parametrize("text", [
    "- {../../x: [send]}", "- {maker-0: ../../x}", "schedule: [{/etc/passwd: send}]", "../../x",
])  # fmt: skip
def test_a_schedule_that_names_a_path_is_refused(
    tmp_path: Path, refused: Refuse, text: str
) -> None:
    """A process and a step are words; the file itself is read, and nothing else."""
    schedule = tmp_path / "schedule.yaml"
    schedule.write_text(text)
    refused(tmp_path / "run", SCENARIO.format(**GOOD), "--schedule", str(schedule))


@pytest.mark.parametrize("token", ["../../../etc/passwd", "/dev/zero", "x\x1b[2J", "."])
def test_a_schedule_that_is_no_schedule_is_refused(
    tmp_path: Path, refused: Refuse, token: str
) -> None:
    """Neither a token nor a file of ours."""
    refused(tmp_path, SCENARIO.format(**GOOD), "--schedule", token)


@pytest.mark.parametrize("name", [
    "..yaml", "...yaml", "a b.yaml", "a\nb.yaml", "a\x1b[2Jb.yaml", "-x.yaml", "~.yaml", "ü.yaml",
    "configs/../../up.yaml", "configs/configs/x.yaml",
])  # fmt: skip
def test_whatever_a_scenario_file_is_called_its_runs_lie_in_the_directory_for_runs(
    tmp_path: Path, name: str
) -> None:
    """The name becomes a directory's, made of letters, digits, _ and -."""
    deep = tmp_path / "deep" / "est"
    (deep / "configs" / "configs").mkdir(parents=True)
    path = deep / name
    path.write_text(SCENARIO.format(**GOOD))
    before = set(tree(tmp_path))
    done = launch("run", "--out", str(deep / "runs"), "--json", "--", str(path))
    # Without overlap it is undecided: that is no matter here.
    assert done.status in (0, 3), done.err
    made = set(tree(tmp_path)) - before
    assert all(each.startswith("deep/est/runs") for each in made)
    assert Path(done.document["run_dir"]).is_relative_to(deep / "runs")
    assert done.document["scenario"].isprintable()
