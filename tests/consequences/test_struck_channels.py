"""Who is killed inside a channel, what a stranger sends, and who is told: cells that are run."""

from __future__ import annotations

from pathlib import Path

import pytest

import run
from common import kinds
from common.consequences import performing
from common.history import store
from common.system import operations_of
from tests.consequences.measuring import as_promised, measured


def test_who_dies_inside_a_slot_stops_all_and_inside_a_ring_nobody(tmp_path: Path) -> None:
    """A sender's place is nobody's any more: the only one, or one of eight; a queue has none."""
    cells = measured(tmp_path, "channels", "putting", "one_slot", "ring", "sysv_queue")
    words = {row: cell["word"] for (row, _), cell in cells.items()}
    assert words == {"one_slot semaphores": "STUCK", "ring": "all 11", "sysv_queue": "-"}
    assert "nobody is ever inside" in cells["sysv_queue", "putting"]["why"]
    del cells["sysv_queue", "putting"]
    assert as_promised(cells)


def test_an_item_claimed_and_not_taken_is_lost_or_with_undo_offered_again(tmp_path: Path) -> None:
    """The count is one too low for good; SEM_UNDO takes back what was printed long ago."""
    cells = measured(tmp_path, "channels", "getting", "getting_undo", "ring")
    assert cells["ring", "getting"]["word"] == "LOST 1 of 12"
    assert "doubled" in cells["ring", "getting_undo"]["word"]
    assert as_promised(cells)


def test_what_a_stranger_sends_delays_jobs_and_replaces_none(tmp_path: Path) -> None:
    """The queue is full of it, the sender waits, and its four jobs arrive."""
    cell = measured(tmp_path, "channels", "filled", "posix_queue")["posix_queue", "filled"]
    assert cell["word"] == "all 4, 10 strange"
    assert "the sender waited for room" in cell["sentence"]
    assert as_promised({("", ""): cell})


def test_a_storm_of_signals_costs_a_receiver_nothing(tmp_path: Path) -> None:
    """It struck while the receiver waited, and all came; where none struck the cell is marked."""
    cell = measured(tmp_path, "channels", "storm", "sysv_queue")["sysv_queue", "storm"]
    assert cell["word"] == "all 3"
    assert as_promised({("", ""): cell})
    (place,) = performing.places(["channels"], ["storm", "sysv_queue"])
    case = store.load_case(Path(cell["run_dir"]), operations_of(list(run.SYSTEMS.values())))
    case.outcome.faults = [each for each in case.outcome.faults if each["kind"] != "signals"]
    seen = place.module.see(place.row, place.column, case, {})
    assert seen.differs == "no signal came while it waited"


def test_a_dead_receiver_is_told_by_a_pipe_and_never_by_a_queue(tmp_path: Path) -> None:
    """With the time that it took; a job in the dead one's hands is told by nobody."""
    cells = measured(tmp_path, "channels", "gone", "taken", "pipe", "sysv_queue")
    words = {place: cell["word"].split() for place, cell in cells.items()}
    assert words["pipe", "gone"][0] == "told"
    assert words["sysv_queue", "gone"][0] == "vain"
    # A time, and the unit: it waited to its deadline of a second.
    assert words["sysv_queue", "gone"][2] == "s,"
    for row in ("pipe", "sysv_queue"):
        assert cells[row, "taken"]["word"] == "LOST 1 of 3, never told"
    assert as_promised(cells)


@pytest.mark.parametrize(
    ("column", "said", "marked"),
    [
        ("putting", {"sender_dies": "the others wait for ever"}, "it says: the others wait"),
        ("gone", {"receiver_dies": "nobody is told"}, "its sender was told"),
    ],
)
def test_a_channel_that_is_not_what_it_says_is_marked(
    column: str, said: dict[str, str], marked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says of a dead sender, and of a dead receiver, is held against what was seen."""
    row = "ring" if column == "putting" else "pipe"
    module = kinds.load(kinds.CHANNELS, row)
    facts = module.facts
    monkeypatch.setattr(module, "facts", lambda options: facts(options)._replace(**said))
    cell = measured(tmp_path, "channels", column, row)[row, column]
    assert cell["differs"].startswith(marked)
