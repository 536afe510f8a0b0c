"""Delays at steps: declared, drawn from the seed, and absent when nobody asked for them."""

from __future__ import annotations

import itertools
import random
import time

import pytest

from common.process.steps import hook


def test_no_delay_means_no_hook() -> None:
    """A process without delays has None, so that a step costs one test."""
    assert hook({}, random.Random(1)) is None


def test_only_the_named_step_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the named one looks at the clock, and goes on looking until its time is over."""
    clock = itertools.count(step=100_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: next(clock))
    at = hook({"write": {"spin_us": 2000}}, random.Random(1))
    assert at is not None
    at("read")
    assert next(clock) == 0
    at("write")
    # One look for the beginning, and one for each tenth of a millisecond from there.
    assert next(clock) == 100_000 + 2_000_000 + 100_000


def test_jitter_comes_from_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with equal seeds sleep equally long, one with another seed does not."""

    def sleeps(seed: int) -> list[float]:
        slept: list[float] = []
        monkeypatch.setattr(time, "sleep", slept.append)
        at = hook({"write": {"sleep_us": 10, "jitter_us": 1000}}, random.Random(seed))
        assert at is not None
        for _ in range(5):
            at("write")
        return slept

    assert sleeps(1) == sleeps(1) != sleeps(2)
    assert all(10e-6 <= length <= 1010e-6 for length in sleeps(3))
