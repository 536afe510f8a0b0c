from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.history import order, scratch
from common.verdict.trail import find_trail
from common.verdict.tree import ROOT, UNKNOWN

Step = tuple[int, int, int, int]
NOBODY: list[int] = []


def step_by_step(
    operations: list[Step], root: int, last: int
) -> tuple[list[int] | None, list[int]]:
    """Return the trail from the last value back, and every parent, one operation at a time."""
    by_time = sorted(range(len(operations)), key=lambda n: (*operations[n][2:], n))
    taken: set[int] = set()

    def writers(value: int, until: float) -> list[int]:
        return [n for n in by_time if operations[n][1] == value and operations[n][2] <= until]

    path: list[int] = []
    while True:
        value, until = (operations[path[-1]][0], operations[path[-1]][3]) if path else (last, 1e9)
        free = [n for n in writers(value, until) if n not in taken]
        if free:
            path.append(free[-1])
            taken.add(free[-1])
        elif value == root:
            break
        elif path:
            path.pop()
        else:
            return None, NOBODY
    parents = []
    for n, (read, _, _, left) in enumerate(operations):
        nobody = [ROOT if read == root else UNKNOWN]
        parents.append((writers(read, left) or nobody)[-1])
        if n in path:
            parents[n] = [*path, ROOT][path.index(n) + 1]
    return path, parents


@settings(max_examples=300, deadline=None)
@given(data=st.data(), window=st.integers(1, 9))
def test_runs_lead_where_single_steps_lead(data: st.DataObject, window: int) -> None:
    """Values that come back, some that do not, equal stamps, dead ends: the same trail."""
    count = data.draw(st.integers(1, 24))
    # How rarely a value comes back, and how rarely something else than the last value is read.
    fresh, usual = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 12))
    value, now, operations = 0, 0, list[Step]()
    for number in range(count):
        now += data.draw(st.integers(0, 2))
        seen = data.draw(st.sampled_from([*[value] * usual, 0, 1, 100 + number // 2]))
        value = data.draw(st.sampled_from([*[100 + number] * fresh, 0, 1, 2]))
        operations.append((seen, value, now, now + data.draw(st.integers(-1, 3))))
    last = data.draw(st.sampled_from([value, value, 1]))
    read, written, entered, left = np.array(operations, np.int64).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(order, "WINDOW", window)
        patch.setattr(scratch, "CHUNK", window)
        survived, parent, possible = find_trail(
            read, written, entered, left, [0, count // 2, count], 0, last
        )
    path, parents = step_by_step(operations, 0, last)
    if path is None:
        assert survived is None
        return
    assert survived is not None
    assert np.flatnonzero(survived).tolist() == sorted(path)
    assert parent.tolist() == parents
    times = [operations[n][2] for n in reversed(path)]
    fits = [max(times[: at + 1]) <= operations[n][3] for at, n in enumerate(reversed(path))]
    assert possible == all(fits)
