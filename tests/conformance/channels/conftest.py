"""What a test of a channel may ask for, whatever the kind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.kernel import waits
from common.kernel.objects import Maker
from tests.conformance.channels.cases import (
    LOCK,
    LONG,
    NEVER,
    SIZE,
    Build,
    Case,
    Made,
    Part,
    Start,
    Work,
    Worker,
)
from tests.conftest import Fork


@pytest.fixture
def build(maker: Maker) -> Iterator[Build]:
    """Yield a function that makes a channel of a case; every end is closed afterwards."""
    channels: list[Made] = []

    def begin(case: Case, size: int = SIZE, guard: Part = LOCK, **options: object) -> Made:
        channels.append(Made(case._replace(options=case.options | options), maker, size, guard))
        return channels[-1]

    yield begin
    for channel in channels:
        channel.close()


@pytest.fixture
def made(request: pytest.FixtureRequest, build: Build) -> Made:
    """Return a channel of the case that the test names."""
    return build(request.param)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that nothing but the kernel's wake-up can end."""
    monkeypatch.setattr(waits, "TICK", NEVER)


@pytest.fixture
def start(fork: Fork) -> Iterator[Start]:
    """Yield a function that starts a worker; ``telling`` has it say when it waits."""
    workers: list[Worker] = []

    def begin(work: Work, seconds: float = LONG, telling: bool = False) -> Worker:
        workers.append(Worker(fork, work, seconds, telling))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.close()
