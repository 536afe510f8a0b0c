from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from common.history import order
from common.history.order import windows

processes = st.lists(st.lists(st.integers(0, 30), max_size=25), max_size=5)


def split(stamps: list[list[int]]) -> tuple[np.ndarray, list[int]]:
    bounds = np.cumsum([0, *map(len, stamps)]).tolist()
    return np.array([stamp for each in stamps for stamp in each], np.int64), bounds


@given(stamps=processes, window=st.integers(1, 12), rising=st.booleans())
def test_windows_one_after_another_are_the_order(
    stamps: list[list[int]], window: int, rising: bool
) -> None:
    """The same as one stable sort, whether the stamps of a process rise or not."""
    times, bounds = split([sorted(each) for each in stamps] if rising else stamps)
    usual, order.WINDOW = order.WINDOW, window
    try:
        parts = list(windows(times, bounds))
    finally:
        order.WINDOW = usual
    found = np.concatenate([np.empty(0, np.int64), *parts])
    assert found.tolist() == np.argsort(times, kind="stable").tolist()
    # Nothing of a later part is as early as the last of the one before it.
    assert all(times[before[-1]] < times[after[0]] for before, after in pairwise(parts))


def test_a_window_does_not_grow_with_the_history() -> None:
    """Of processes in the order of their time no more is looked at than a window or two."""
    source = np.random.default_rng(1)
    each = 4 * order.WINDOW
    times = np.concatenate([np.sort(source.integers(0, 1 << 40, each)) for _ in range(4)])
    longest = max(map(len, windows(times, [0, each, 2 * each, 3 * each, 4 * each])))
    assert longest <= 2 * order.WINDOW


def test_stamps_of_any_size_are_ordered() -> None:
    """From the least number to the greatest, where no bits are left for their places."""
    ends = np.iinfo(np.int64)
    times = np.array([5, 5, ends.max, ends.min, 5, ends.max, ends.min])
    found = np.concatenate(list(windows(times, [0, 3, 6, 7])))
    assert found.tolist() == np.argsort(times, kind="stable").tolist()
