"""What a test of a lock may ask for, whatever the kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.kernel import waits
from common.kernel.objects import Maker
from tests.conformance.lock_cases import Opener, Rows, Start, make, make_rows, starting
from tests.conftest import PATIENCE, Fork

COUNT = 3


@pytest.fixture
def opener(request: pytest.FixtureRequest, maker: Maker) -> Opener:
    """Return a lock of the case that the test names."""
    return make(request.param, maker)


@pytest.fixture
def rows(request: pytest.FixtureRequest, maker: Maker) -> Rows:
    """Return the locks of three rows of the case that the test names."""
    return make_rows(request.param, COUNT, maker)


@pytest.fixture
def start(maker: Maker, fork: Fork) -> Iterator[Start]:
    """Yield a function that starts a process with a lock; all have ended when objects are gone."""
    yield from starting(fork)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that nothing but the kernel's own wake-up can end before the test's time is up."""
    monkeypatch.setattr(waits, "TICK", 10 * PATIENCE)
