from __future__ import annotations

from pathlib import Path

from common import kinds
from common.verdict.judge import judge
from tests.verdict.scenes import Scene


def test_each_check_is_told_before_it_begins(tmp_path: Path) -> None:
    """What is asked, how many are done, of how many: every property, and those beside them."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 20))
    told: list[tuple[str, int, int]] = []
    judge(scene.case(), lambda *each: told.append(each))
    names = [name for name, _, _ in told]
    beside = ["balance", "completeness", "handling", "outcome", "refusals", "sheet", "sightings"]
    beside.append("recoveries")
    assert names == ["measure", *kinds.names(kinds.PROPERTIES), *beside]
    assert [(done, of) for _, done, of in told] == [(n, len(names)) for n in range(len(names))]


def test_who_is_not_asked_to_tell_judges_the_same(tmp_path: Path) -> None:
    """Progress changes nothing."""
    scene = Scene(tmp_path / "run")
    scene.trade("a", 1, 10000, (0, 10, 20))
    case = scene.case()
    assert judge(case) == judge(case, lambda *_: None)
