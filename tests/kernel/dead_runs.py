"""What tests make of every kind, and runs that are killed and leave it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.kernel import existing
from common.kernel.ledger import Ledger, LedgerState, read_ledger
from common.kernel.objects import Maker
from tests.conftest import Fork

Make = Callable[[Maker], Any]
SYSV: dict[str, Make] = {
    "sysv_shm": lambda maker: maker.sysv_shm(4096),
    "sysv_sem": lambda maker: maker.sysv_sem(1),
    "sysv_queue": lambda maker: maker.sysv_queue(),
}
ALL: dict[str, Make] = SYSV | {
    "posix_sem": lambda maker: maker.posix_sem(1),
    "fifo": lambda maker: maker.fifo("orders"),
}
FIXED: dict[str, Callable[[Maker, int], int]] = {
    "sysv_shm": lambda maker, key: maker.sysv_shm(4096, key),
    "sysv_sem": lambda maker, key: maker.sysv_sem(1, key),
    "sysv_queue": lambda maker, key: maker.sysv_queue(key),
}


def second_maker(directory: Path) -> Maker:
    directory.mkdir(0o700)
    return Maker(Ledger.create(directory, scenario="x", run_dir="/"), directory, directory)


def killed_run(fork: Fork, directory: Path, work: Callable[[Maker], object]) -> LedgerState:
    """Let a child make objects and be killed; returns its ledger."""

    def launch() -> None:
        work(second_maker(directory))
        os.kill(os.getpid(), signal.SIGKILL)

    assert fork(launch).ended() == -signal.SIGKILL
    return read_ledger(directory)


def make_everything(maker: Maker) -> None:
    for make in ALL.values():
        make(maker)
    maker.file(maker.base / "exchange.dat", 96)
    socket.socket(socket.AF_UNIX).bind(maker.socket_path("report"))


def exists(state: LedgerState) -> list[str]:
    return [entry.kind for entry in state.entries if existing.find(entry.kind, entry.name)]
