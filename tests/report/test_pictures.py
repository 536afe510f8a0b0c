"""What the pictures show: moments of loss, shares of time, depths, thinned points, intervals."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from common.history.operations import Effect
from common.report.page.activity import SPANS, _shares, activity
from common.report.page.around import BARS, ROWS, around, raw, timeline
from common.report.page.depth import depths
from common.report.page.frequency import wilson
from common.report.page.losses import NOBODY, losses, overwriters
from common.report.page.stock import CROSSES, stocks
from common.report.page.thinning import kept
from common.verdict.lineage import trace
from exchange.operations import SELL
from spooler.operations import PUT, TAKE
from tests.report.pages import lost, subject
from tests.verdict.scenes import Scene, item, queue, simulate


def endless(source: random.Random, below: int) -> Iterator[int]:
    while True:
        yield source.randrange(below)


def racing(directory: Path, seed: int, trades: int = 40) -> Scene:
    """Let three traders race for two rows, in an order drawn from ``seed``."""
    source = random.Random(seed)
    scene = Scene(directory, rows=("DOLLAR", "EURO"), lock="none")
    programs = [
        [(source.randrange(2), source.choice([-1, 1]) * (1 + source.getrandbits(30) / 2**30))
         for _ in range(trades)]
        for _ in range(3)
    ]  # fmt: skip
    simulate(scene, programs, endless(source, 3), endless(source, 3))
    scene.case()
    return scene


@pytest.mark.parametrize("seed", range(8))
def test_all_overwriters_at_once_are_those_of_each(tmp_path: Path, seed: int) -> None:
    """For every lost update the write that went over it is the one that the lineage names."""
    racing(tmp_path / "run", seed)
    case = subject(tmp_path / "run").case
    updates = case.history.select(Effect.UPDATE)
    none = updates[:0]
    initial, final = case.outcome.initial or [], case.outcome.final or []
    told = 0
    for row in range(2):
        mine = updates[case.history.objects[updates] == row]
        lineage = trace(case.history, mine, none, initial[row][-1], final[row][-1])
        assert lineage.lost is not None
        each = [lineage.overwriter(int(one))[1] for one in lineage.lost]
        assert overwriters(lineage).tolist() == [NOBODY if one is None else one for one in each]
        told += len(each)
    assert told


def test_an_update_is_lost_when_the_write_over_it_has_left(tmp_path: Path) -> None:
    """trader-1 left 9 µs after the start; what trader-3 had bought was lost at that moment."""
    lost(tmp_path / "run")
    found = losses(subject(tmp_path / "run").case, 0)
    assert (found.at.tolist(), found.amount.tolist(), found.unknown) == ([9000], [10.0], 0)
    (picture,) = stocks(subject(tmp_path / "run"))
    (mark,) = picture["marks"]
    assert (mark["x"], mark["y"], mark["n"]) == (9000, 9400.0, 1)
    assert mark["text"].startswith("after 9 µs: +10 DOLLAR of trader-3 lost, trader-1 wrote 9,400")


def test_the_gap_at_the_end_is_the_missing_stock(tmp_path: Path) -> None:
    """The stock ends as the launcher saw it, the other line where it had been without a loss."""
    lost(tmp_path / "run")
    (picture,) = stocks(subject(tmp_path / "run"))
    wanted, actual = picture["series"]
    assert (wanted["y"][-1], actual["y"][-1]) == (9411.0, 9401.0)
    assert "at the end 10 DOLLAR are missing" in picture["sentence"]


def test_many_losses_are_counted_not_dropped(tmp_path: Path) -> None:
    """Where losses are drawn as bars, the bars add up to all of them."""
    racing(tmp_path / "run", 1, trades=900)
    pictures = stocks(subject(tmp_path / "run"))
    assert any(picture["counted"] for picture in pictures)
    for row, picture in enumerate(pictures):
        count = len(losses(subject(tmp_path / "run").case, row).lost)
        assert picture["counted"] == (count > CROSSES)
        assert sum(mark["n"] for mark in picture["marks"]) == count


def test_few_points_are_all_kept() -> None:
    """What fits is drawn as it was recorded."""
    times = np.arange(40)
    assert kept(times, np.sin(times), spans=10).tolist() == times.tolist()


def test_of_many_points_every_extreme_is_kept() -> None:
    """Each span keeps its first, last, lowest and highest point, and no more."""
    source = np.random.default_rng(3)
    times = np.sort(source.integers(0, 10**6, 20_000))
    values = source.normal(size=20_000)
    keep = kept(times, values, spans=50)
    assert len(keep) <= 4 * 50
    assert {0, 19_999, int(values.argmin()), int(values.argmax())} <= set(keep.tolist())
    assert (np.diff(keep) > 0).all()


def test_shares_add_up_to_the_time_inside() -> None:
    """Intervals that are cut by the borders of spans count in each with their part."""
    starts, ends = np.array([0, 150, 700]), np.array([100, 650, 1000])
    shares = _shares(starts, ends, 1000)
    assert len(shares) == SPANS
    assert sum(shares) * 1000 / SPANS == pytest.approx(900, abs=2)
    assert (shares[0], shares[int(0.12 * SPANS)]) == (1.0, 0.0)


def test_waits_and_holds_are_those_of_the_records(tmp_path: Path) -> None:
    """A lane has a bar for each operation, and figures; the longest wait is named."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("trader-1", +10, 100, (1000, 5000, 6000), checked=3.72)
    scene.trade("trader-2", +10, 110, (5500, 6000, 8000), checked=3.72)
    scene.record("trader-2", SELL, 0, (8000, 8200, 10_000), (500.0, 120.0), refused=True)
    scene.case()
    picture = activity(subject(tmp_path / "run"))
    assert picture is not None
    assert [(lane["name"], lane["bars"]) for lane in picture["lanes"]] == [
        ("trader-1", [[1000, 5000, 6000]]),
        ("trader-2", [[5500, 6000, 8000], [8000, 8200, 10_000]]),
    ]
    assert picture["rows"] == [
        ["trader-1", "1", "40 %", "10 %", "4 µs"], ["trader-2", "2", "7 %", "38 %", "500 ns"],
    ]  # fmt: skip
    assert picture["sentence"].startswith("The longest wait was 4 µs, of trader-1;")


def test_depth_is_what_was_put_less_what_was_taken(tmp_path: Path) -> None:
    """A taker whose stamp is before the sender's end does not make the channel less than empty."""
    scene = Scene(tmp_path / "run", channels=[queue()])
    scene.job("producer-0", PUT, item(0, 1), (1000, 1000, 5000))
    scene.job("consumer-0", TAKE, item(0, 1), (1000, 1000, 3000))
    scene.job("producer-0", PUT, item(0, 2), (6000, 6000, 7000))
    scene.job("producer-0", PUT, item(0, 3), (8000, 8000, 9000))
    scene.case()
    (picture,) = depths(subject(tmp_path / "run"))
    (line,) = picture["series"]
    assert line["x"] == [0, 3000, 3000, 7000, 9000]
    assert line["y"] == [0, 1, 0, 1, 2]
    assert "at most 2 at once" in picture["sentence"]
    assert "2 messages more had been put than taken" in picture["sentence"]


def test_the_timeline_opens_on_its_witnesses(tmp_path: Path) -> None:
    """They are outlined, in view, and the arrow goes from the lost write to the other."""
    lost(tmp_path / "run")
    found = subject(tmp_path / "run")
    scene = around(found, found.verdict.findings[0].worst)
    assert scene is not None
    picture = timeline(scene, "title", "sentence", True)
    outlined = [
        (lane["name"], bar["label"]) for lane in picture["lanes"] for bar in lane["bars"]
        if bar["witness"]
    ]  # fmt: skip
    assert outlined == [
        ("trader-3", ["read 9,450", "wrote 9,460"]), ("trader-1", ["read 9,450", "wrote 9,400"]),
    ]  # fmt: skip
    assert picture["view"][0] < 2000
    assert picture["view"][1] > 9000
    (link,) = picture["links"]
    assert (link["from"], link["to"]) == (["trader-3", 5000], ["trader-1", 9000])


def test_of_a_crowd_the_nearest_are_shown(tmp_path: Path) -> None:
    """A timeline has a limit, its witnesses are always on it, and it counts what it leaves out."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), lock="none")
    scene.trade("trader-1", -50, 10000, (10, 10, 90_000))
    scene.trade("trader-2", +10, 10000, (20, 20, 80_000), checked=3.72)
    scene.final[0] = 9950.0
    stock = 10000.0
    for at in range(300):
        begun = 100 + 200 * at
        stock = scene.trade("trader-3", +1, stock, (begun, begun, begun + 100), 1, checked=3.944)
    scene.case()
    found = subject(tmp_path / "run")
    crowd = around(found, found.verdict.findings[0].first)
    assert crowd is not None
    assert (len(crowd.operations), crowd.others) == (BARS, 302 - BARS)
    assert set(crowd.witnesses) <= set(crowd.operations)
    assert timeline(crowd, "", "", True)["thinned"].endswith("142 more left out")
    rows = raw(crowd)
    assert (len(rows), sum(row["witness"] for row in rows)) == (ROWS, 2)


def test_what_happened_elsewhere_in_time_is_not_around(tmp_path: Path) -> None:
    """Operations that overlap the surroundings are shown, those far before and after are not."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), lock="none")
    stock = scene.trade("trader-3", +1, 10000, (0, 10, 20), 1, checked=3.944)
    scene.trade("trader-1", -50, 10000, (10**6, 10**6, 10**6 + 900))
    scene.trade("trader-2", +10, 10000, (10**6, 10**6, 10**6 + 800), checked=3.72)
    stock = scene.trade("trader-3", +1, stock, (10**6, 10**6 + 2000, 10**7), 1, checked=3.944)
    scene.trade("trader-3", +1, stock, (10**7, 10**7 + 10, 10**7 + 20), 1, checked=3.944)
    scene.final[0] = 9950.0
    scene.case()
    found = subject(tmp_path / "run")
    near = around(found, found.verdict.findings[0].first)
    assert near is not None
    told = [
        (found.case.process(at), found.case.history.record(at)["seq"]) for at in near.operations
    ]
    assert told == [("trader-1", 1), ("trader-2", 1), ("trader-3", 2)]


@pytest.mark.parametrize(
    ("hits", "runs", "low", "high"),
    [(0, 5, 0.0, 0.4345), (5, 5, 0.5655, 1.0), (10, 20, 0.2993, 0.7007), (1, 10, 0.0179, 0.4042),
     (0, 0, 0.0, 1.0)],
)  # fmt: skip
def test_wilsons_interval(hits: int, runs: int, low: float, high: float) -> None:
    """The figures are those of the formula, worked out elsewhere (Brown, Cai, DasGupta 2001)."""
    assert wilson(hits, runs) == pytest.approx((low, high), abs=1e-4)
