"""Makes the kernel objects that a plan asks for, and says where each is: all a child is told."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from common import kinds
from common.errors import KernelObjectError
from common.kernel import intents, locks
from common.kernel.asking import LAB
from common.kernel.objects import Maker
from common.kernel.spool import making as spooling
from common.kernel.tables import Memory
from common.process import gate, recoveries
from common.scenario.plan import RECOVERIES, ChannelPlan, Part, Plan, TablePlan
from common.system import LARGEST_EXACT


def make(plan: Plan, maker: Maker, files: Path) -> dict[str, Any]:
    """Make every object of ``plan``, whole, before any process starts.

    Returns names and keys only: ``gate``, ``table`` (``memory``, ``names``, and ``locks``: one, or
    one a row), ``channels`` by name, ``paper`` (``path``, ``lock``) and ``spool``. Raises
    ``MachineError`` and ``KernelObjectError``. A table with recovery also says what it does
    (``half_done``) and where its intent record lies (behind ``size`` bytes of rows).
    """
    addresses: dict[str, Any] = {
        "gate": gate.make(maker),
        "table": None,
        "paper": None,
        "spool": _spool(plan, maker, files),
        "disk": str(files),
    }
    if plan.table is not None:
        size = len(plan.table.rows) * len(plan.table.rows[0]) * 8
        store = kinds.load(kinds.TABLES, plan.table.store.kind)
        recovery = plan.table.recovery != RECOVERIES[0]
        room = intents.behind(size) if recovery else 0
        options = store.Options(**plan.table.store.options)
        if is_ours(plan.table.store):
            memory = store.make(options, size, maker, room)
        else:
            # What is known of it before another program has made it.
            memory = store.named(options, size)
        addresses["table"] = {
            "kind": plan.table.store.kind,
            "memory": memory,
            "names": plan.table.names,
            "locks": _locks(plan.table.lock, locks_of(plan.table), maker),
            "recovery": {"half_done": plan.table.recovery, "size": size} if recovery else None,
        }
        if recovery:
            recoveries.begin(addresses["table"], memory["fresh"])
        if memory["fresh"]:
            _fill(plan.table.store.kind, memory, plan.table.rows)
        elif is_ours(plan.table.store):
            _refuse_foreign(read_rows(plan, addresses["table"]), plan.table.store.options)
    addresses["channels"] = {
        channel.name: _channel(channel, plan, maker) for channel in plan.channels
    }
    if plan.paper is not None:
        path = files / "paper.txt"
        path.touch(mode=0o600)
        addresses["paper"] = {"path": str(path), "lock": _lock(plan.paper.lock, maker)}
    return addresses


def is_ours(part: Part) -> bool:
    """Tell whether the launcher makes a part; elsewhere another program does."""
    return bool(part.options.get("made_by", LAB) == LAB)


def locks_of(table: TablePlan) -> int:
    """Return how many locks guard a table: one, or one a row."""
    return len(table.rows) if table.granularity == "row" else 1


def open_table(plan: Plan, addresses: dict[str, Any]) -> Memory | None:
    """Attach the table; None where there is none."""
    if plan.table is None:
        return None
    store = kinds.load(kinds.TABLES, plan.table.store.kind)
    memory: Memory = store.attach(addresses["table"]["memory"])
    return memory


def reset(plan: Plan, addresses: dict[str, Any], memory: Memory | None) -> None:
    """Set table, locks, channels and paper back to how they were made; nobody may be using them."""
    table = addresses["table"]
    if plan.table is not None and memory is not None:
        _write(memory, plan.table.rows)
        if table["recovery"] is not None:
            recoveries.begin(table, fresh=True)
        for lock in table["locks"]:
            kinds.load(kinds.LOCKS, lock["kind"]).reset(lock["at"])
    for channel in addresses["channels"].values():
        module = kinds.load(kinds.CHANNELS, channel["kind"])
        for address in channel["at"].values():
            module.reset(address)
    paper = addresses["paper"]
    if paper is not None:
        Path(paper["path"]).write_bytes(b"")
        kinds.load(kinds.LOCKS, paper["lock"]["kind"]).reset(paper["lock"]["at"])


def read_rows(plan: Plan, table: dict[str, Any]) -> list[list[float]]:
    """Return the table's rows as they are in memory now."""
    assert plan.table is not None
    memory = kinds.load(kinds.TABLES, plan.table.store.kind).attach(table["memory"])
    rows = rows_of(plan.table, memory)
    memory.close()
    return rows


def rows_of(table: TablePlan, memory: Memory) -> list[list[float]]:
    """Return the rows of an attached table as they are now."""
    width = len(table.rows[0])
    cells = memory.cells[: len(table.rows) * width].tolist()
    return [cells[at : at + width] for at in range(0, len(cells), width)]


def lock_values(table: dict[str, Any]) -> list[int | None]:
    """Return what each lock of the table stands at now."""
    return [kinds.load(kinds.LOCKS, lock["kind"]).value(lock["at"]) for lock in table["locks"]]


def lock_holders(table: dict[str, Any]) -> list[int | None]:
    """Return the pid of who has each lock of the table now, as far as can be told."""
    return [kinds.load(kinds.LOCKS, lock["kind"]).holder(lock["at"]) for lock in table["locks"]]


def spooled(addresses: dict[str, Any]) -> dict[str, Any] | None:
    """Return what lies in the spool when nobody uses it any more; None where there is none."""
    try:
        return None if addresses["spool"] is None else spooling.listing(addresses["spool"])
    except OSError:
        return None


def _spool(plan: Plan, maker: Maker, files: Path) -> dict[str, Any] | None:
    if plan.spool is None:
        return None
    options = asdict(plan.spool)
    return spooling.make(options, options.pop("path"), files, maker)


def _refuse_foreign(rows: list[list[float]], options: dict[str, Any]) -> None:
    # A file that is continued was an exchange's: whatever else it is, nobody wants it overwritten.
    values = [value for row in rows for value in row]
    if not all(math.isfinite(value) and abs(value) <= LARGEST_EXACT for value in values):
        raise KernelObjectError(
            f"{options.get('path', 'the table')} holds numbers that no exchange wrote",
            "move it away: a new one is made",
        )


def _fill(kind: str, address: dict[str, Any], rows: list[list[float]]) -> None:
    memory = kinds.load(kinds.TABLES, kind).attach(address)
    _write(memory, rows)
    memory.close()


def _write(memory: Memory, rows: list[list[float]]) -> None:
    for at, value in enumerate(value for row in rows for value in row):
        memory.cells[at] = value


def _locks(part: Part, count: int, maker: Maker) -> list[dict[str, Any]]:
    if not is_ours(part):
        module = kinds.load(kinds.LOCKS, part.kind)
        return [{"kind": part.kind, "at": module.named(module.Options(**part.options), 0)}]
    rows = locks.make_rows(part.kind, part.options, count, maker)
    return [{"kind": part.kind, "at": row} for row in rows]


def _lock(part: Part, maker: Maker) -> dict[str, Any]:
    return _locks(part, 1, maker)[0]


def _channel(channel: ChannelPlan, plan: Plan, maker: Maker) -> dict[str, Any]:
    module = kinds.load(kinds.CHANNELS, channel.part.kind)
    options = module.Options(**channel.part.options)

    def one() -> dict[str, Any]:
        if not is_ours(channel.part):
            named: dict[str, Any] = module.named(options, channel.message_size)
            return named
        lock = _lock(channel.lock, maker)
        made: dict[str, Any] = module.make(options, channel.message_size, lock, maker)
        return made

    # A reply channel is made once for each process that receives from it.
    owners = plan.group(channel.per).processes if channel.per else [""]
    if hasattr(module, "make_for") and is_ours(channel.part):
        lock = _lock(channel.lock, maker)
        at = module.make_for(options, channel.message_size, owners, lock, maker)
    else:
        at = {owner: one() for owner in owners}
    return {
        "kind": channel.part.kind,
        "index": channel.index,
        "per": bool(channel.per),
        "at": at,
    }
