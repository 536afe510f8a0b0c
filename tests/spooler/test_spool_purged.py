"""What is over in a spool that outlives its runs is taken away, by a line in the journal each."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import run
from common.errors import KernelObjectError, ObjectExists, UsageError
from common.kernel.objects import Maker
from common.kernel.spool import journal, making
from spooler import jobs
from tests.conftest import Fork
from tests.launching import launch
from tests.spooler.spools import dying, lay, opened, put, states, written


def used(maker: Maker, run_dir: Path, path: str | None = "kept") -> dict[str, Any]:
    """Return a spool with a job completed, one canceled, one held, one pending; its run is over."""
    address = lay(maker, run_dir, path)
    spool = opened(address)
    put(spool, 1, 2, 5)
    put(spool, 3, held=True)
    entry = spool.claim().entry
    assert entry is not None
    spool.finish(entry, "completed", "printed")
    spool.change(2, "cancel")
    spool.close()
    return address


def test_what_is_over_goes_and_all_else_stays(maker: Maker, tmp_path: Path) -> None:
    """A line each, that leads nowhere; who looks for a job that is gone finds none."""
    address = used(maker, tmp_path / "run")
    gone = opened(address).purge({1, 2, 3, 5})
    assert sorted((each.item, each.state) for each in gone) == [(1, "completed"), (2, "canceled")]
    assert states(address) == {3: "held", 5: "pending"}
    lines = [line for line in written(address) if line["to"] == ""]
    assert [(line["job"], line["why"]) for line in lines] == [
        (each.item, "purge by tester") for each in gone
    ]


def test_a_job_that_is_not_over_is_never_removed(maker: Maker, tmp_path: Path) -> None:
    """Whoever asks: nothing is written, nothing is gone."""
    address = used(maker, tmp_path / "run")
    spool = opened(address)
    held = spool.find(3)
    assert held is not None
    before = len(written(address))
    with pytest.raises(KernelObjectError, match="job 3 of tester-0 is held: it is not over"):
        spool.remove(held, "purge")
    assert (len(written(address)), spool.has(held)) == (before, True)


def test_who_comes_next_finishes_a_removal(maker: Maker, tmp_path: Path, fork: Fork) -> None:
    """Killed between the line and the unlink(2): the line is followed, and once only."""
    address = used(maker, tmp_path / "run")
    assert fork(lambda: opened(address, at=dying("move")).purge({1, 2})).ended() == -signal.SIGKILL
    assert sorted(states(address)) == [1, 2, 3, 5]
    (line,) = [line for line in written(address) if line["to"] == ""]
    left = {1, 2, 3, 5} - {line["job"]}
    assert {each.item for each in opened(address).every()} == left
    assert states(address).keys() == left


def test_the_next_run_misses_nothing_and_gives_no_name_again(maker: Maker, tmp_path: Path) -> None:
    """Not even where the last job of all was purged, nor a run later."""
    address = used(maker, tmp_path / "first")
    spool = opened(address)
    spool.change(5, "cancel")
    spool.purge({1, 2, 5})
    spool.close()
    maker.remove_all()
    for name in ("second", "third"):
        later = lay(maker, tmp_path / name, "kept")
        maker.remove_all()
        assert (later["first"], later["doubts"]) == (6, [])
        assert [(line["job"], line["why"]) for line in written(later)] == [(3, "found")]


def test_what_an_earlier_run_left_is_in_the_journal_by_its_name(
    maker: Maker, tmp_path: Path
) -> None:
    """Who made it, and its number there, as its file says."""
    used(maker, tmp_path / "first")
    maker.remove_all()
    found = written(lay(maker, tmp_path / "second", "kept"))
    assert {(line["owner"], line["number"]) for line in found} == {("tester-0", 3), ("tester-0", 5)}


def test_nothing_is_purged_while_a_run_has_the_spool(maker: Maker, tmp_path: Path) -> None:
    """The run holds it until its objects are removed; then the shell does, for as long."""
    address = used(maker, tmp_path / "run")
    path = Path(address["path"])
    with pytest.raises(ObjectExists, match="a run has the spool"), making.hold(path):
        pass
    maker.remove_all()
    with making.hold(path), pytest.raises(ObjectExists, match="a run has"), making.hold(path):
        pass


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the command line ``jobs`` prints; it is a success."""
    assert run.main(["jobs", *words]) == 0
    return capsys.readouterr().out


@pytest.fixture
def over(tmp_path: Path, maker: Maker, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the directory of a run that is over, with a spool that outlives it."""
    directory = tmp_path / "run"
    used(maker, directory)
    maker.remove_all()
    monkeypatch.setattr(jobs, "_find", lambda *_: (directory, False))
    return str(directory)


def test_a_person_purges_one_job_or_all_that_are_over(
    over: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What went is counted by its state; a job that is not over stays, and is no error."""
    assert said(capsys, over, "purge", "2 of tester-0") == "purged: 1 canceled\n"
    assert "job 3 of tester-0: none is canceled" in said(capsys, over, "purge", "3 of tester-0")
    assert said(capsys, over, "purge") == "purged: 1 completed\n"
    assert said(capsys, over, "purge") == "all jobs: none is canceled, aborted or completed\n"
    assert said(capsys, over).count("of tester-0") == 2
    assert run.main(["jobs", over, "purge", "9 of tester-0"]) == UsageError.exit_code
    assert "there is none in the spool" in capsys.readouterr().err


def test_the_verb_names_the_spool_that_a_run_has(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """One error, and nothing is gone."""
    address = used(maker, tmp_path / "run")
    monkeypatch.setattr(jobs, "_find", lambda *_: (tmp_path / "run", False))
    assert run.main(["jobs", "any", "purge"]) == ObjectExists.exit_code
    assert f"a run has the spool {address['path']}" in capsys.readouterr().err
    assert sorted(states(address)) == [1, 2, 3, 5]


def test_the_spool_of_one_run_is_not_purged(
    maker: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It is a part of what was stored of that run."""
    address = used(maker, tmp_path / "run", None)
    monkeypatch.setattr(jobs, "_find", lambda *_: (tmp_path / "run", False))
    assert run.main(["jobs", "any", "purge"]) == UsageError.exit_code
    assert "is the spool of one run" in capsys.readouterr().err
    assert sorted(states(address)) == [1, 2, 3, 5]
    assert journal.read(tmp_path / "run" / journal.STORED)


def test_a_copy_of_a_run_is_not_taken_for_the_run(tmp_path: Path) -> None:
    """The spool that its journal names is the original's: nothing of it is touched."""
    done = launch("run", "spooler/spool_kept", "--json", "--out", str(tmp_path / "runs"))
    original = Path(done.document["run_dir"])
    copy = tmp_path / "copy"
    shutil.copytree(original, copy)
    before = sorted(path.name for path in (original / "spool/completed").iterdir())
    assert before
    for words in (("purge",), ("cancel", "all"), ()):
        asked = launch("jobs", str(copy), *words)
        assert asked.status == UsageError.exit_code
        assert f"was copied or moved: the spool of its run is {original}/spool" in asked.err
    assert sorted(path.name for path in (original / "spool/completed").iterdir()) == before
