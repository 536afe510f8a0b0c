"""What only the monitor does: who is woken looks again, and the mutex is free while one waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from common.errors import WaitExpired
from common.kernel import waits
from common.kernel.channels import monitor
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.conftest import PATIENCE, Fork, Signpost

SIZE = 64
WHAT = "channel buffer"
SHORT = 0.2


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return monitor.make(monitor.Options(slots=1), SIZE, {}, maker)


Open = Callable[..., monitor.Monitor]


@pytest.fixture
def opened(address: dict[str, Any]) -> Iterator[Open]:
    """Yield a function that opens the buffer; all handles are closed afterwards."""
    handles: list[monitor.Monitor] = []

    def begin(wait: Wait | None = None) -> monitor.Monitor:
        handles.append(monitor.attach(address, "send", wait or Wait(PATIENCE), WHAT))
        return handles[-1]

    yield begin
    for handle in handles:
        handle.close()


class Looking(Wait):
    """A wait that says whenever its owner looks whether it still has to wait."""

    def __init__(self, told: Signpost) -> None:
        self._told = told
        super().__init__(PATIENCE)

    @property
    def finishing(self) -> bool:
        self._told.show("l")
        return False

    @finishing.setter
    def finishing(self, _value: bool) -> None:
        pass


def test_who_is_woken_for_nothing_looks_again_and_goes_on_waiting(
    opened: Open, fork: Fork, signpost: Callable[[], Signpost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are woken while there is nothing; later each message reaches one of them, whole."""
    # No tick ends a wait: only who is woken looks.
    monkeypatch.setattr(waits, "TICK", PATIENCE)
    told = signpost()

    def receive() -> None:
        assert opened(Looking(told)).receive() in (b"a" * SIZE, b"b" * SIZE)
        told.show("g")

    receivers = [fork(receive) for _ in range(2)]
    told.see("l")
    told.see("l")
    mine = opened()
    # Whoever has looked sleeps once the mutex can be had.
    mine._mutex.acquire()
    for condition in mine._conditions:
        condition.broadcast()
    mine._mutex.release()
    told.see("l")
    told.see("l")
    for letter in (b"a", b"b"):
        mine.send(letter * SIZE)
        told.see("g")
    assert [receiver.ended() for receiver in receivers] == [0, 0]


def test_the_mutex_is_free_while_somebody_waits_and_after_a_wait_in_vain(opened: Open) -> None:
    """A receive that finds nothing gives the mutex back, at its deadline too."""
    patient, mine = opened(Wait(SHORT)), opened()
    with pytest.raises(WaitExpired, match="a message in channel buffer"):
        patient.receive()
    mine.send(b"a" * SIZE)
    with pytest.raises(WaitExpired, match="room in channel buffer"):
        opened(Wait(SHORT)).send(b"b" * SIZE)
    assert mine.receive() == b"a" * SIZE


def test_its_positions_tell_who_was_where(opened: Open) -> None:
    """The critical section of each call, and the position that it read and wrote."""
    mine = opened()
    for position in range(3):
        mine.send(b"a" * SIZE)
        assert mine.window is not None
        assert (mine.window.read, mine.window.written) == (position, position + 1)
        assert mine.receive() is not None
        assert (mine.window.read, mine.window.written) == (position, position + 1)
