from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from common.history import merge, scratch, sections
from common.history.merge import History
from common.history.operations import Effect
from common.history.sections import CHANNEL, PAPER, REFUSED, TABLE, Where
from exchange.operations import BUY, READ_ROW, SELL
from spooler.operations import PAGE, PUT, TAKE
from tests.verdict.scenes import Scene

CODES = {BUY: TABLE, SELL: TABLE, READ_ROW: TABLE, PUT: CHANNEL, TAKE: CHANNEL, PAGE: PAPER}


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> History:
    """Three processes that do everything everywhere, in chunks of a few records."""
    scene, source = Scene(tmp_path / "run", rows=("DOLLAR", "EURO")), random.Random(1)
    for which in range(3):
        for number in range(1, 40):
            code, now = source.choice(list(CODES)), 10 * number + which
            times = (now, now + source.randint(0, 3), now + 5)
            scene.record(
                f"p{which}", code, source.randint(0, 1), times, (number, 0.0, 0.0, now, now + 1.0),
                refused=code == SELL and number % 3 == 0,
            )  # fmt: skip
    scene.record("p0", BUY, 0, (500, 500, 0), (1.0,))
    for module in (scratch, merge):
        monkeypatch.setattr(module, "CHUNK", 5)
    return scene.case().history


def test_what_ended_stands_once_at_its_place(history: History) -> None:
    """Done or refused, in the order of the history; neither pages nor what is in flight."""
    expected: dict[Where, list[int]] = {}
    for position in range(len(history)):
        code = int(history.codes[position])
        if code != PAGE and not history.in_flight[position]:
            where = Where(CODES[code], int(history.objects[position]))
            expected.setdefault(where, []).append(position)
    found = {where: each.positions.tolist() for where, each in history.sections.items()}
    assert found == expected
    assert len(found) == 4


@pytest.mark.parametrize("name", ["asked", "entered", "left", "v0", "v3", "v4", "v1"])
def test_a_column_is_what_the_records_hold(history: History, name: str) -> None:
    """Whether it was read with the others or is gathered now."""
    for each in history.sections.values():
        gathered = history.gather(name, each.positions)
        assert each.column(name).dtype == gathered.dtype
        assert each.column(name).tolist() == gathered.tolist()


def test_acts_are_counted_where_they_were_done(history: History) -> None:
    """A refusal is an act of its own; the counts kept are those of the records."""
    for each in history.sections.values():
        acts = history.codes[each.positions] + REFUSED * history.refused[each.positions].astype(int)
        assert each.acts(each.positions).tolist() == acts.tolist()
        assert each.counts.tolist() == np.bincount(acts, minlength=sections.ACTS).tolist()


def test_operations_of_an_effect_are_those_done(history: History) -> None:
    """The updates of each row, without the refused ones: as the history selects them."""
    found = {
        row: each.positions.tolist() for row, each in sections.of(history, Effect.UPDATE).items()
    }
    selected = history.by_object(Effect.UPDATE)
    assert found == {row: positions.tolist() for row, positions in selected.items()}


def test_the_order_of_a_place_is_kept(history: History) -> None:
    """Gone through twice, it is the same: the stable order of the moments of entering."""
    for each in history.sections.values():
        for _ in range(2):
            order = np.concatenate([np.empty(0, np.int64), *each.in_turn])
            assert order.tolist() == np.argsort(each.column("entered"), kind="stable").tolist()
