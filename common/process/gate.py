"""The start gate: a System V semaphore at 1 is shut, at 0 open; all wait for zero (semop(2))."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from common.kernel.objects import Maker
from common.kernel.sysv import Semaphore
from common.kernel.waits import Wait


def make(maker: Maker) -> dict[str, Any]:
    """Make a shut gate; returns its address."""
    return {"key": maker.sysv_sem(1)}


def pass_through(address: Mapping[str, Any], wait: Wait) -> None:
    """Stand at the gate until it opens; raises ``WaitExpired`` or ``ObjectVanished``."""
    gate = Semaphore(address["key"], wait, "the start gate")
    gate.wait_zero()
    gate.close()


def open_gate(address: Mapping[str, Any], wait: Wait) -> None:
    """Let everybody who stands at the gate pass, at once."""
    gate = Semaphore(address["key"], wait, "the start gate")
    gate.wait()
    gate.close()
