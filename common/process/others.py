"""What other programs make for a run: who is started first for it, and whether it is all there."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from common import kinds
from common.errors import KernelObjectError
from common.kernel import foreign
from common.kernel.asking import LAB, OTHER
from common.kernel.foreign import Awaited
from common.kernel.objects import Maker
from common.process import addresses
from common.process.members import Members
from common.scenario.plan import Part, Plan
from common.system import LARGEST_EXACT

# Between two looks for an object that somebody makes (s): a pause, for nothing tells of it.
FIRST_PAUSE, LONGEST_PAUSE = 0.002, 0.1


class Wanted(NamedTuple):
    """One object, and who makes it: a group of the run, or ``other``."""

    awaited: Awaited
    by: str


class Others:
    """The objects of one run that the launcher does not make.

    ``first`` names the processes that must be started before the others, for what they make.
    """

    def __init__(self, plan: Plan, made: dict[str, Any], maker: Maker) -> None:
        self._plan = plan
        self._addresses = made
        self._maker = maker
        self._wanted = list(_wanted(plan))
        groups = {wanted.by for wanted in self._wanted}
        self.first = {process.name for process in plan.processes if process.group in groups}
        self._table_by = "" if plan.table is None else _by(plan.table.store)

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def expect(self) -> None:
        """Write down what groups of this run will make.

        Raises ``ObjectExists`` and ``NotPermitted`` when there is such an object before they start.
        """
        for awaited, by in self._wanted:
            if by != OTHER:
                self._maker.foreign.expect(awaited, by)

    def missing(self, members: Members) -> str:
        """Return what is not there yet, in words, and "" when all is there and sound.

        Raises ``KernelObjectError`` for what is not sound, and for a maker that failed.
        """
        lacking = []
        for awaited, by in self._wanted:
            mine = [member for member in members if member.group == by]
            if not self._maker.foreign.come(awaited, "" if by == OTHER else by,
                                            {member.outcome.pid for member in mine}):  # fmt: skip
                who = "a program outside this run" if by == OTHER else by
                there = foreign.lack(awaited)
                lacking.append(
                    f"{awaited}, which {who} is to make" + (f" ({there})" if there else "")
                )
                for member in mine:
                    if member.ended:
                        raise KernelObjectError(
                            f"{member.outcome.name} ended before it made {awaited}: "
                            + _ending(member.outcome),
                            "its last words are in stderr.txt of the run",
                        )
        if not lacking and self._table_by:
            self._adopt_file()
            problem = self._unfilled()
            lacking += [problem] if problem else []
        return " and ".join(lacking)

    def initial(self) -> list[list[float]] | None:
        """Return the table's first rows: as declared where a group of the run makes it.

        It may have begun to trade by then.
        """
        plan = self._plan
        if plan.table is None:
            return None
        if self._table_by not in ("", OTHER):
            return [list(row) for row in plan.table.rows]
        return addresses.read_rows(plan, self._addresses["table"])

    def _adopt_file(self) -> None:
        table = self._plan.table
        assert table is not None
        memory = self._addresses["table"]["memory"]
        if "inode" not in memory and "path" in memory:
            # Held for this run alone, as any file that outlives its runs.
            store = kinds.load(kinds.TABLES, table.store.kind)
            size = len(table.rows) * len(table.rows[0]) * 8
            options = store.Options(**table.store.options)
            memory.update(store.make(options, size, self._maker) | {"fresh": False})

    def _unfilled(self) -> str:
        """Return what is wrong with the first contents: they are written after it is made."""
        table = self._plan.table
        assert table is not None
        rows = addresses.read_rows(self._plan, self._addresses["table"])
        for name, row, planned in zip(table.names, rows, table.rows, strict=True):
            exact = all(math.isfinite(value) and abs(value) <= LARGEST_EXACT for value in row)
            if not exact or not any(row):
                return f"the row {name} of an exchange (it holds {row})"
            # Who makes it in this run begins with the rows of the scenario.
            begun = row[:-1] == planned[:-1] and (row[-1] or not planned[-1])
            if self._table_by != OTHER and not begun:
                return f"the row {name} with {planned} (it holds {row})"
        return ""


def _by(part: Part) -> str:
    by: str = part.options.get("made_by", LAB)
    return "" if by == LAB else by


def _wanted(plan: Plan) -> Iterator[Wanted]:
    parts: list[tuple[str, Part, int]] = []
    if plan.table is not None:
        size = len(plan.table.rows) * len(plan.table.rows[0]) * 8
        parts += [(kinds.TABLES, plan.table.store, size), (kinds.LOCKS, plan.table.lock, 0)]
    parts += [(kinds.CHANNELS, each.part, each.message_size) for each in plan.channels]
    for package, part, size in parts:
        by = _by(part)
        if by:
            module = kinds.load(package, part.kind)
            for awaited in module.awaited(module.Options(**part.options), size):
                yield Wanted(awaited, by)


def _ending(outcome: Any) -> str:
    if outcome.error is not None:
        return str(outcome.error["message"])
    if outcome.signal is not None:
        return f"killed by signal {outcome.signal}"
    return f"with status {outcome.exit}"
