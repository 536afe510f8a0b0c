from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.history import store
from common.history.case import Case
from common.history.record import HEADER_SIZE
from common.verdict import completeness
from common.verdict.judge import judge
from exchange.operations import FILL, READ_ROW, SET_RATES, TAKE_ORDER
from spooler.operations import PRINT, PUT, TAKE
from tests.verdict.scenes import OPERATIONS, Scene, item


def audited(tmp_path: Path) -> Scene:
    """Return a run of a setter and an auditor who saw half of a change."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    scene.record("setter", SET_RATES, 0, (10, 10, 30), (4.0, 4.5))
    scene.record("auditor", READ_ROW, 0, (12, 12, 29), (4.0, 3.72, 100.0))
    scene.outcomes["setter"].summary = {"changes": 1}
    scene.outcomes["auditor"].summary = {"snapshots": 1}
    scene.case()
    return scene


def again(scene: Scene) -> Case:
    return store.load_case(scene.directory, OPERATIONS)


def file_of(scene: Scene, name: str) -> Path:
    return scene.directory / store.HISTORY / f"{name}.rec"


def test_whole_records_leave_no_doubt(tmp_path: Path) -> None:
    """What was told is what is there."""
    assert completeness.check(again(audited(tmp_path))) == []


def test_a_missing_file_of_a_process_that_was_done_is_a_doubt(tmp_path: Path) -> None:
    """Without the auditor's file nothing shows what it saw: never valid."""
    scene = audited(tmp_path)
    file_of(scene, "auditor").unlink()
    assert completeness.check(again(scene)) == ["the records of auditor are missing"]
    assert judge(again(scene)).verdict == "undecided"


def test_a_process_that_never_was_done_need_not_have_a_file(tmp_path: Path) -> None:
    """It may have died before it made one: that is its own finding."""
    scene = audited(tmp_path)
    scene.outcomes["auditor"].phase = "start"
    scene.case()
    file_of(scene, "auditor").unlink()
    assert completeness.check(again(scene)) == []


@pytest.mark.parametrize("phase", ["ready", "run"])
def test_a_missing_file_of_a_process_that_was_killed_is_a_doubt(tmp_path: Path, phase: str) -> None:
    """It had been ready, so it had one: what it did until it was killed is gone."""
    scene = audited(tmp_path)
    scene.outcomes["auditor"].phase = phase
    scene.case()
    file_of(scene, "auditor").unlink()
    assert completeness.check(again(scene)) == ["the records of auditor are missing"]


def test_a_file_cut_to_its_header_is_a_doubt(tmp_path: Path) -> None:
    """The count that its process told is more than what is left."""
    scene = audited(tmp_path)
    path = file_of(scene, "auditor")
    path.write_bytes(path.read_bytes()[:HEADER_SIZE])
    assert completeness.check(again(scene)) == [
        "auditor reports 1 snapshots, but its records hold 0 (snapshot)"
    ]
    assert judge(again(scene)).verdict == "undecided"


def test_a_copy_of_a_file_is_a_doubt(tmp_path: Path) -> None:
    """Records that count twice make findings of nothing."""
    scene = audited(tmp_path)
    file_of(scene, "copy").write_bytes(file_of(scene, "auditor").read_bytes())
    assert completeness.check(again(scene)) == ["auditor has 2 files of records, not one"]


SUMMARIES: list[tuple[dict[str, Any], bool]] = [
    ({"placed": 2, "taken": 1, "printed": 1, "answered": 1}, True),
    ({"done": 1, "refused": 0}, True),
    ({"done": 0, "refused": 1}, True),
    ({"placed": 3}, False),
    ({"taken": 0}, False),
    ({"answered": 2}, False),
    ({"printed": 2}, False),
    ({"done": 1}, False),
    ({"done": 1, "refused": 1}, False),
    ({"done": "many", "placed": True, "printed": 0.5, "seen": 9}, True),
]


@pytest.mark.parametrize(("summary", "right"), SUMMARIES)
@pytest.mark.parametrize("codes", [(PUT, TAKE, PRINT), (PUT, TAKE_ORDER, FILL)])
def test_every_count_of_a_summary_has_its_records(
    tmp_path: Path, codes: tuple[int, int, int], summary: dict[str, Any], right: bool
) -> None:
    """Offers, takes and deliveries; what is no count is nobody's claim."""
    scene = Scene(tmp_path / "run")
    put, take, end = codes
    for number, code in enumerate((put, put, take, end)):
        scene.job("p", code, item(0, 1 + number % 2), (10 * number,) * 2 + (10 * number + 5,))
    scene.outcomes["p"].summary = summary
    assert (completeness.check(scene.case()) == []) is right


def test_done_counts_the_trades_that_were_not_refused(tmp_path: Path) -> None:
    """A refused order is a record, and not done."""
    scene = Scene(tmp_path / "run")
    scene.trade("teller", 1, 10000, (0, 1, 2))
    scene.record("teller", 2, 0, (3, 4, 5), (9e9, 10001.0), refused=True)
    scene.outcomes["teller"].summary = {"done": 1}
    assert completeness.check(scene.case()) == []
    scene.outcomes["teller"].summary = {"done": 2}
    assert len(completeness.check(scene.case())) == 1
    scene.outcomes["teller"].guest = True
    assert completeness.check(scene.case()) == []
