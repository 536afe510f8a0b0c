"""The role that prints from a spool, step by step: what it does when its job changes under it."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.history.recorder import Recorder
from common.kernel.objects import Maker
from common.kernel.spool.spool import Spool
from common.kernel.touch import Touch
from common.process import reports
from common.process.context import Context
from common.process.reports import Reporter
from spooler.roles import spool_printer
from tests.conftest import Fork, Signpost
from tests.spooler.spools import body, lay, opened, states, written

AtStep = Callable[[str, int], None]


def printing(
    address: dict[str, Any], tmp_path: Path, runtime_directory: Path, at_step: AtStep
) -> tuple[dict[str, Any], str]:
    """Print all there is; ``at_step(step, pass)`` is called before each step.

    Returns the summary, and what is on the paper.
    """
    path = str(runtime_directory / "report")
    listening = reports.listen(path, 1)
    try:
        job = {
            "name": "printer-0", "group": "printer", "index": 1, "seed": 1, "turns": False,
            "addresses": {"spool": address, "paper": None, "table": None, "channels": {}},
            "paper": str(tmp_path / "paper.txt"), "wait_s": 60.0, "delays": {},
        }  # fmt: skip
        recorder = Recorder(tmp_path / "printer-0.rec", "printer-0", "spool_printer", 1, 64)
        reporter = Reporter(path)
        context = Context(job, recorder, reporter)
        passed: dict[str, int] = {}

        def at(step: str, _touch: Touch | None = None, /) -> None:
            passed[step] = passed.get(step, 0) + 1
            at_step(step, passed[step])

        context.at = at
        # Told to finish: it goes when nothing is left.
        context.wait.finishing = True
        summary = spool_printer.prepare(context, spool_printer.Options())()
        context.close()
        reporter.close()
        return summary, (tmp_path / "paper.txt").read_text()
    finally:
        listening.close()
        Path(path).unlink()


@pytest.fixture
def spool(maker: Maker, tmp_path: Path) -> Spool:
    """Return a spool with two jobs of three pages."""
    spool = opened(lay(maker, tmp_path / "run"), "somebody")
    for item in (1, 2):
        assert spool.accept(item, {**body(item), "pages": 3}, 0, held=False)
    return spool


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_job_that_is_canceled_ends_after_the_page_that_is_being_printed(
    page: int, spool: Spool, tmp_path: Path, runtime_directory: Path
) -> None:
    """Canceled when a page is about to be printed: that one comes, and no other."""

    def cancel(step: str, count: int) -> None:
        if (step, count) == ("print", page):
            spool.change(1, "cancel")

    summary, paper = printing(spool.address, tmp_path, runtime_directory, cancel)
    assert states(spool.address) == {1: "canceled", 2: "completed"}
    assert paper.count("[job 000000000001") == page
    assert paper.count("[job 000000000002") == 3
    assert summary["taken"] == 2
    assert summary["printed"] == 1 + (page == 3)


def test_a_job_canceled_when_it_is_printed_stays_canceled(
    spool: Spool, tmp_path: Path, runtime_directory: Path
) -> None:
    """It is on the paper, and nobody completes it."""

    def cancel(step: str, count: int) -> None:
        if (step, count) == ("complete", 1):
            spool.change(1, "cancel")

    _, paper = printing(spool.address, tmp_path, runtime_directory, cancel)
    assert states(spool.address) == {1: "canceled", 2: "completed"}
    assert paper.count("[job 000000000001") == 3


@pytest.mark.parametrize("text", [b"", b"[1, 2]", b"{}", b'{"item": 1, "letters": 5}', b"\xff\xfe"])
def test_a_file_that_holds_no_job_is_aborted_and_the_next_one_printed(
    text: bytes, spool: Spool, tmp_path: Path, runtime_directory: Path
) -> None:
    """Somebody wrote into the spool: one job is given up over it, with the reason."""
    (first, _) = spool.every()
    (Path(spool.address["path"]) / first.path).write_bytes(text)
    summary, paper = printing(spool.address, tmp_path, runtime_directory, lambda _step, _pass: None)
    assert states(spool.address) == {1: "aborted", 2: "completed"}
    (reason,) = [line["why"] for line in written(spool.address) if "aborted/" in line["to"]]
    assert reason.startswith("its file cannot be read")
    assert "[job 000000000001" not in paper
    assert summary == {"taken": 1, "printed": 1}


def test_whoever_is_told_to_finish_stays_as_long_as_a_job_may_come_back(
    spool: Spool, tmp_path: Path, runtime_directory: Path, fork: Fork,
    signpost: Callable[[], Signpost],
) -> None:  # fmt: skip
    """Another printer has the first job, and dies with it only when this one has nothing to do."""
    claimed = signpost()

    def hold() -> None:
        assert opened(spool.address).claim().entry is not None
        claimed.show("c")
        signal.pause()

    other = fork(hold)
    claimed.see("c")

    def kill(step: str, count: int) -> None:
        # It takes the second job, finds that the other one may come back, and looks once more.
        if (step, count) == ("take", 3):
            other.kill()
            assert other.ended() == -signal.SIGKILL

    summary, _ = printing(spool.address, tmp_path, runtime_directory, kill)
    assert states(spool.address) == {1: "completed", 2: "completed"}
    assert summary == {"taken": 2, "printed": 2}
