"""What only a byte in a pipe does: it has no name, and belongs to whoever inherited it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.errors import ObjectVanished
from common.kernel.locks import pipe_token
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from tests.launching import launch


def test_who_did_not_inherit_it_cannot_open_it(maker: Maker, wait: Wait) -> None:
    """Neither a closed number nor one that is something else by now is taken for it."""
    address = pipe_token.make(pipe_token.Options(), maker)
    reading, writing = os.pipe()
    for numbers in ((reading, writing), (1 << 20, 1 << 20)):
        other = address | {"read": numbers[0], "write": numbers[1]}
        with pytest.raises(ObjectVanished, match="the till"):
            pipe_token.attach(other, wait, "the till")
        assert pipe_token.value(other) is None
    os.close(reading)
    os.close(writing)


def test_the_launcher_keeps_it_when_it_lets_go_of_channels(maker: Maker) -> None:
    """What it stands at can be told as long as the run lasts."""
    address = pipe_token.make(pipe_token.Options(), maker)
    maker.let_go()
    assert pipe_token.value(address) == 1


@pytest.mark.parametrize("spawn", ["fork", "exec"])
def test_processes_of_a_run_inherit_it_however_they_are_started(spawn: str, tmp_path: Path) -> None:
    """As the lock of the table, of each row, and of a ring."""
    exchange = ("run", "exchange/lost_update", "--variant", "locked", "--set", f"spawn={spawn}")
    kind = "pipe_token"
    for words in (
        (*exchange, "--set", f"table.lock={kind}"),
        (*exchange, "--set", f"table.lock={kind}", "--set", "table.granularity=row"),
        ("run", "spooler/bounded_buffer", "--variant", "mutex", "--set", f"spawn={spawn}",
         "--set", f"channels.jobs.lock={kind}"),
    ):  # fmt: skip
        done = launch(*words, "--json", "--out", str(tmp_path))
        assert done.status == 0, done.err
        assert done.document["verdict"] == "valid"
