from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import stored_run
from common.history import mapped, merge, order, scratch, store
from common.history.measure import measure
from common.history.operations import Effect
from common.verdict.lineage import trace
from common.verdict.properties import lost_update, negative_stock, torn_read
from exchange import operations as exchange
from tests.verdict.scenes import GRAIN, OPERATIONS, Scene, simulate
from tests.verdict.test_lost_update import forever

ROOT = Path(__file__).resolve().parents[2]

# What judging may take beside files, however long the run is.
ENOUGH = 32 << 20

JUDGE = """
import resource, sys
from pathlib import Path
from benchmarks.stored_run import SYSTEMS
from common.history import store
from common.history.measure import measure
from common.system import operations_of
from common.verdict import balance, completeness
from common.verdict.properties import lost_update, negative_stock, torn_read

(line,) = (line for line in open("/proc/self/status") if line.startswith("VmData"))
most = int(line.split()[1]) * 1024 + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_DATA, (most, most))
case = store.load_case(Path(sys.argv[1]), operations_of(list(SYSTEMS.values())))
print(measure(case.history, case.outcome)["operations"])
for checker in (lost_update, negative_stock, torn_read):
    print(len(checker.check(case).findings))
print(balance.check(case), completeness.check(case))
"""


@pytest.mark.parametrize(("locked", "losing"), [(True, 0), (False, 1)])
def test_memory_does_not_grow_with_the_run(locked: bool, losing: int, tmp_path: Path) -> None:
    """The kernel refuses more than 32 MB beside files; a column of 800,000 numbers takes 6."""
    stored_run.write(tmp_path / "run", 800_000, locked=locked)
    found = subprocess.run(
        [sys.executable, "-c", JUDGE, tmp_path / "run", str(ENOUGH)], cwd=ROOT,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stderr == ""
    assert found.stdout.split() == ["800000", str(losing), "0", "0", "[]", "[]"]


@contextmanager
def seams() -> Iterator[None]:
    """Have everything done in chunks and windows of a few operations, and every array in a file."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (scratch, merge, mapped):
            patch.setattr(module, "CHUNK", 5)
        patch.setattr(scratch, "LARGE", 1)
        patch.setattr(order, "WINDOW", 6)
        yield


def judged(scene: Scene) -> list[object]:
    case = store.load_case(scene.directory, OPERATIONS)
    checkers = (lost_update, negative_stock, torn_read)
    return [measure(case.history, case.outcome), *(each.check(case) for each in checkers)]


@settings(max_examples=30, deadline=None)
@given(data=st.data(), named=st.booleans())
def test_where_the_chunks_end_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, named: bool
) -> None:
    """Any run of traders: the same figures, findings and doubts, in one piece or in many."""
    scene = Scene(tmp_path_factory.mktemp("run") / "run", rows=("DOLLAR", "EURO"), stock=4.0)
    trade = st.tuples(st.integers(0, 1), st.integers(1, 3), st.sampled_from([1, -1]))
    drawn = data.draw(st.lists(st.lists(trade, max_size=12), min_size=1, max_size=4))
    names = itertools.count(1)
    programs = [
        [(row, sign * (whole + (next(names) * GRAIN if named else 0))) for row, whole, sign in each]
        for each in drawn
    ]
    steps = forever(data, st.integers(0, 11))
    simulate(scene, programs, steps, forever(data, st.integers(0, 2)))
    scene.case()
    whole = judged(scene)
    with seams():
        assert judged(scene) == whole


def test_torn_reads_of_many_chunks_are_counted(tmp_path: Path) -> None:
    """Every third snapshot mixes two changes; the first and the last in time are told."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"))
    for number in range(1, 31):
        now, rate, row = 100 * number, float(number), int(5 < number < 25)
        scene.record("setter", exchange.SET_RATES, row, (now, now, now + 5), (rate, rate))
        seen = (rate, rate - 1 if number % 3 == 0 else rate, scene.stock)
        scene.record("auditor", exchange.READ_ROW, row, (now, now + 10, now + 15), seen)
    case = scene.case(final=[[30.0, 30.0, scene.stock], [24.0, 24.0, scene.stock]])
    with seams():
        (found,) = torn_read.check(case).findings
    assert (found.count, found.first.witnesses[0].seq, found.last.witnesses[0].seq) == (10, 3, 30)


def test_a_locked_run_of_many_windows_is_in_step(tmp_path: Path) -> None:
    """However often the same values come back, no tree of them is needed to see it."""
    scene = Scene(tmp_path / "run", stock=5.0)
    value, amounts = 5.0, (1.0, 2.0, -3.0, 4.0, -4.0)
    for number in range(40):
        now = 10 * number
        value = scene.trade(f"t{number % 3}", amounts[number % 5], value, (now, now, now + 5))
    history = scene.case().history
    with seams():
        lineage = trace(history, history.select(Effect.UPDATE), np.empty(0, np.int64), 5.0, value)
    assert (len(lineage.delta), len(lineage.parent), lineage.doubts) == (40, 0, [])
    assert lineage.lost is not None
    assert not len(lineage.lost)


def test_a_run_is_in_step_in_the_order_of_entering_too(tmp_path: Path) -> None:
    """The second came out before the first, and had read what the first wrote."""
    scene = Scene(tmp_path / "run", stock=5.0)
    value = scene.trade("t0", 1.0, 5.0, (0, 10, 40))
    value = scene.trade("t1", 1.0, value, (0, 20, 30))
    history = scene.case().history
    lineage = trace(history, history.select(Effect.UPDATE), np.empty(0, np.int64), 5.0, value)
    assert (len(lineage.delta), len(lineage.parent), lineage.doubts) == (2, 0, [])


def test_whom_the_overwriter_went_over(tmp_path: Path) -> None:
    """Of those that read one value each is overwritten by the next; the last goes with a parent."""
    scene = Scene(tmp_path / "run", stock=0.0)
    for number in range(1, 21):
        value = scene.trade(f"t{number % 3}", 100.0 + number, 0.0, (0, 10, 100 * number))
        scene.trade(f"u{number % 3}", 1000.0 * number, value, (0, 20, 100 * number + 50))
        scene.trade(f"v{number % 3}", 5000.0 * number, value, (0, 20, 100 * number + 60))
    scene.trade("last", 7.0, 0.0, (0, 30, 5000))
    history = scene.case().history
    with seams():
        lineage = trace(history, history.select(Effect.UPDATE), np.empty(0, np.int64), 0.0, 7.0)
        assert lineage.lost is not None
        told = {
            history.record(int(lineage.positions[lost]))["left"]: lineage.overwriter(lost)
            for lost in lineage.lost.tolist()
        }
        direct = lineage.overwritten().tolist()
    start = 1_000_000
    left = {
        end - start: tuple(int(lineage.left[each or 0]) - start for each in pair)
        for end, pair in told.items()
    }
    expected: dict[int, tuple[int, int]] = {}
    for number in range(1, 21):
        over = 100 * number + 100 if number < 20 else 5000
        expected |= {100 * number + late: (100 * number, over) for late in (0, 60)}
        expected[100 * number + 50] = (100 * number + 50, 100 * number + 60)
    assert left == expected
    assert sum(direct) == 40


def test_those_that_read_what_nobody_wrote_are_kin_by_value(tmp_path: Path) -> None:
    """Another program wrote 50 and 60: of the two that read 50, the first was overwritten."""
    scene = Scene(tmp_path / "run", stock=0.0)
    for number, read in enumerate((50.0, 60.0, 50.0)):
        scene.trade(f"t{number}", 1000.0 + number, read, (0, 10, 100 + number))
    scene.trade("last", 7.0, 0.0, (0, 30, 5000))
    history = scene.case().history
    with seams():
        lineage = trace(history, history.select(Effect.UPDATE), np.empty(0, np.int64), 0.0, 7.0)
        assert lineage.overwritten().tolist() == [True, False, False]
    assert lineage.strange.tolist() == [0, 1, 2]
