"""What the judge makes of halves, and of what was recovered, from records alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.history.record import OBJECT, SECOND_HALF
from common.verdict.judge import judge
from exchange.operations import BUY, FINISH_BUY, SELL, UNDO_SELL
from tests.verdict.scenes import Scene, item

ROWS = ("DOLLAR", "EURO")
SOLD, BOUGHT = 8.5, 7.25
FIRST, SECOND = item(0, 1), item(0, 2)
PURCHASE = 1 + SECOND_HALF // OBJECT


def converted(directory: Path, *, sale_ended: bool = True, bought: bool = False) -> Scene:
    """Return a run in which a conversion broke off; two others met before and went on."""
    scene = Scene(directory, rows=ROWS)
    sold = scene.stock - SOLD
    values = (SOLD, scene.stock, 3.73, scene.stock, sold) if sale_ended else (SOLD,)
    scene.record("east-0", SELL, 0, (10, 20, 30 if sale_ended else 0), values, FIRST)
    scene.record("east-0", BUY, PURCHASE, (10, 30, 0), (BOUGHT,), SECOND)
    scene.final[0] = sold
    scene.final[1] += BOUGHT if bought else 0.0
    scene.outcomes["east-0"].exit, scene.outcomes["east-0"].signal = None, 9
    scene.outcomes["east-0"].struck, scene.outcomes["east-0"].phase = "KILL", "run"
    return scene


def go_on(scene: Scene) -> None:
    """Let two traders meet afterwards, on what is there."""
    for row in (0, 1):
        scene.trade("west-0", 2.0, scene.final[row], (40, 100, 110), row)
        scene.trade("west-1", 3.0, scene.final[row], (50, 120, 130), row)


def verdict(scene: Scene) -> Any:
    """Judge it."""
    return judge(scene.case())


@pytest.mark.parametrize("sale_ended", [True, False])
def test_a_sale_without_its_purchase_is_a_lost_update(sale_ended: bool, tmp_path: Path) -> None:
    """Also where the death fell between the write of the sale and the end of its record."""
    scene = converted(tmp_path / "run", sale_ended=sale_ended)
    go_on(scene)
    found = verdict(scene)
    assert (found.verdict, found.doubts) == ("anomaly", [])
    [finding] = found.findings
    assert (finding.kind, finding.count, finding.total) == ("lost_update", 1, BOUGHT)
    assert found.measures["missing"] == found.measures["lost"] == {"DOLLAR": 0.0, "EURO": BOUGHT}
    assert "7.25 EURO too few" in finding.explanation


def test_both_halves_make_it_whole(tmp_path: Path) -> None:
    """Both were written, and the process died before it said so: nothing is lost."""
    scene = converted(tmp_path / "run", bought=True)
    go_on(scene)
    found = verdict(scene)
    assert (found.verdict, found.doubts, found.findings) == ("valid", [], [])
    assert found.measures["unacknowledged"] == 1


def test_a_sale_that_never_was_needs_no_purchase(tmp_path: Path) -> None:
    """Neither half was written: nothing happened."""
    scene = converted(tmp_path / "run", sale_ended=False)
    scene.final = [scene.stock] * 2
    go_on(scene)
    found = verdict(scene)
    assert (found.verdict, found.findings) == ("valid", [])
    assert found.measures["unacknowledged"] == 0


@pytest.mark.parametrize("sale_ended", [True, False])
def test_what_was_undone_is_not_half_done(sale_ended: bool, tmp_path: Path) -> None:
    """The values come back, and the judge tells which of them is which."""
    scene = converted(tmp_path / "run", sale_ended=sale_ended)
    sold = scene.stock - SOLD
    values = (SOLD, sold, 0.0, sold, scene.stock)
    scene.record("recovery", UNDO_SELL, 0, (35, 35, 38), values, FIRST)
    scene.final[0] = scene.stock
    go_on(scene)
    found = verdict(scene)
    assert (found.verdict, found.doubts, found.findings) == ("valid", [], [])
    assert found.measures["unacknowledged"] == 0


def test_what_was_finished_is_not_half_done(tmp_path: Path) -> None:
    """The purchase was made by whoever came next."""
    scene = converted(tmp_path / "run")
    written = scene.stock + BOUGHT
    values = (BOUGHT, scene.stock, 0.0, scene.stock, written)
    scene.record("recovery", FINISH_BUY, 1, (35, 35, 38), values, SECOND)
    scene.final[1] = written
    go_on(scene)
    found = verdict(scene)
    assert (found.verdict, found.doubts, found.findings) == ("valid", [], [])
    assert found.measures["unacknowledged"] == 1


def test_a_recovery_that_did_nothing_is_seen(tmp_path: Path) -> None:
    """A record of an undo that the stock contradicts is no reason to call it undone."""
    scene = converted(tmp_path / "run")
    sold = scene.stock - SOLD
    values = (SOLD, sold, 0.0, sold, scene.stock)
    scene.record("recovery", UNDO_SELL, 0, (35, 35, 38), values, FIRST)
    go_on(scene)
    assert verdict(scene).verdict != "valid"


def test_a_foreign_value_is_a_doubt_with_its_row(tmp_path: Path) -> None:
    """Left alone, and told: what was seen, and what it should have been."""
    scene = converted(tmp_path / "run")
    go_on(scene)
    change = {"cell": 5, "old": 100.0, "new": 107.25, "seen": 333.0, "found": "foreign"}
    entry = {
        "phase": "intended", "action": "undo", "dead": "east-0", "by": "west-0",
        "began_ns": 0, "ended_ns": 1, "operation": 2, "item": FIRST, "changes": [change],
    }  # fmt: skip
    found = judge(scene.case(recoveries=[entry]))
    [doubt] = [doubt for doubt in found.doubts if "without the lock" in doubt]
    assert doubt.startswith("EURO: when west-0 recovered what east-0 had left, the stock was 333")


@pytest.mark.parametrize(
    ("dead", "reason"),
    [("process 999999", "is none of this run"), ("west-0", "came to its end as it should")],
)
def test_an_intent_of_nobody_who_died_is_no_recovery(
    dead: str, reason: str, tmp_path: Path
) -> None:
    """Whoever can write to the table can forge the record: only a death of this run is believed."""
    scene = converted(tmp_path / "run")
    go_on(scene)
    change = {"cell": 2, "old": 1.0, "new": 2.0, "seen": 2.0, "found": "new"}
    entry = {
        "dead": dead, "by": "west-1", "phase": "intended", "action": "undo", "item": 1,
        "began_ns": 2**62, "ended_ns": 2**62 + 1, "changes": [change],
    }  # fmt: skip
    found = judge(scene.case(recoveries=[entry]))
    assert any(reason in doubt for doubt in found.doubts), found.doubts
    honest = judge(scene.case(recoveries=[entry | {"dead": "east-0"}]))
    assert not any("not entitled" in doubt for doubt in honest.doubts)
