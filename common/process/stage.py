"""The processes of a run under the launcher's control: one at a time passes from step to step.

Everything between two steps of a process happens alone: the others stand, each before a step that
it has named. So the order of the steps is the order of the accesses, and the same order gives the
same history.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from common.errors import ProcessError
from common.history.trace import Passed
from common.process import addresses, reports, turns
from common.process.members import Member
from common.scenario.plan import Plan
from common.scenario.schedule import STOP


@dataclass(frozen=True, eq=False)
class Stand:
    """Where a process stands: before which step, and what it touches if it passes.

    One object a step of a process: compared by identity, which costs least.

    ``blocks`` says that the step can block; ``takes`` and ``gives`` name a lock.
    """

    step: str
    reads: frozenset[str]
    changes: frozenset[str]
    takes: str
    gives: str
    blocks: bool

    def meets(self, other: Stand) -> bool:
        """Whether the order of two steps matters: one changes what the other touches."""
        return not (
            self.changes.isdisjoint(other.changes)
            and self.changes.isdisjoint(other.reads)
            and self.reads.isdisjoint(other.changes)
        )

    @property
    def waits_for(self) -> str:
        """The object on which it would block."""
        return self.takes or next(iter(sorted(self.changes or self.reads)), "")


@dataclass
class Player:
    """One process on the stage; ``stand`` is None once it has ended.

    ``summary`` is its last report as it came; ``known`` are the steps at which it ever stood, in
    the order in which the process numbers them, and ``stands`` the same by what it said.
    """

    name: str
    group: str
    member: Member
    connection: int
    stand: Stand | None = None
    ready: bool = False
    finishing: bool = False
    summary: bytes = b""
    left: bool = False
    stands: dict[bytes, Stand] = field(default_factory=dict)
    known: list[Stand] = field(default_factory=list)

    @property
    def enabled(self) -> bool:
        """Whether it can pass now."""
        return self.stand is not None and self.ready


@dataclass
class Stage:
    """All processes of a run, each standing at a step or ended.

    ``trace`` is the order of steps so far: (process number, step), and ``moments`` when each was
    let go (ns, CLOCK_MONOTONIC; of a free one, when it was heard of). ``holders`` tells which
    process has which lock. ``interrupted()`` says that the user wants to stop.
    """

    plan: Plan
    addresses: dict[str, Any]
    members: list[Member]
    take: Callable[[Member, bytes], None]
    interrupted: Callable[[], bool]
    players: list[Player] = field(default_factory=list)
    trace: list[tuple[int, Stand]] = field(default_factory=list)
    moments: list[int] = field(default_factory=list)
    holders: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._memory = addresses.open_table(self.plan, self.addresses)
        patience = struct.pack("@ll", int(self.plan.deadlines.wait) + 1, 0)
        for member in self.members:
            connection = member.connection
            assert connection is not None
            connection.setblocking(True)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, patience)
            name = member.outcome.name
            self.players.append(Player(name, member.group, member, connection.fileno()))

    def open(self) -> None:
        """Wait until every process stands at its first step, or has ended."""
        for player in self.players:
            self._hear(player)
        self._tell_finished()

    def close(self) -> None:
        """Send everybody away who still stands."""
        for player in self.players:
            # The word from where it stands, if it stands, and the one that there is no other time.
            stands = player.stand is not None
            self._say(player, turns.LEAVE)
            while player.stand is not None:
                self._hear(player)
            if stands:
                self._say(player, turns.LEAVE)
            self.take(player.member, player.summary)
        if self._memory is not None:
            self._memory.close()

    def rows(self) -> list[list[float]] | None:
        """Return the table as it is now; None where there is none."""
        if self._memory is None or self.plan.table is None:
            return None
        return addresses.rows_of(self.plan.table, self._memory)

    def enabled(self) -> list[int]:
        """Return the numbers of the processes that can pass now."""
        return [number for number, player in enumerate(self.players) if player.enabled]

    def unfinished(self) -> list[int]:
        """Return the numbers of the processes that have not ended."""
        return [n for n, player in enumerate(self.players) if player.stand is not None]

    def go(self, number: int) -> None:
        """Let one process do its step, and wait until it stands at its next one or has ended."""
        player = self.players[number]
        stand = player.stand
        assert stand is not None
        assert player.ready
        self._note(number, stand)
        self._say(player, turns.GO)
        self._hear(player)
        if stand.changes:
            self._look(stand.changes, player)
        if player.stand is None:
            self._tell_finished()

    def stop(self, number: int) -> None:
        """Have one process end its work before the operation that it is about to begin."""
        player = self.players[number]
        assert player.stand is not None
        self._note(number, Stand(STOP, frozenset(), frozenset(), "", "", blocks=False))
        self._say(player, turns.STOP)
        self._hear(player)
        if player.stand is None:
            self._tell_finished()

    def restart(self, free: Callable[[Stand], bool] = lambda _stand: False) -> None:
        """Put everything back to the beginning: objects, records, and every process.

        Steps that are ``free`` need no word from now on: a process passes them as it comes to them,
        and they stand in the trace all the same.
        """
        for player in self.players:
            if player.stand is not None:
                self._say(player, turns.LEAVE)
                while player.stand is not None:
                    self._hear(player)
        addresses.reset(self.plan, self.addresses, self._memory)
        for player in self.players:
            player.finishing = player.left = False
            known = player.known[: turns.MOST_NUMBERS]
            numbers = bytes(number for number, stand in enumerate(known) if free(stand))
            self._say(player, turns.AGAIN + numbers)
        self.trace, self.moments = [], []
        self.holders = {}
        self.open()

    def waits(self) -> list[dict[str, Any]]:
        """Return who waits for what, and which process holds it (None: nobody does)."""
        found = []
        for number in self.unfinished():
            player = self.players[number]
            stand = player.stand
            assert stand is not None
            holder = self.holders.get(stand.waits_for)
            found.append(
                {
                    "process": player.name,
                    "step": stand.step,
                    "waits_for": stand.waits_for,
                    "holder": None if holder is None else self.players[holder].name,
                }
            )
        return found

    def passed(self, since: int) -> Iterator[Passed]:
        """Yield the steps so far, their times counted from ``since`` (ns, CLOCK_MONOTONIC)."""
        for (number, stand), at in zip(self.trace, self.moments, strict=True):
            name = self.players[number].name
            yield Passed(at - since, name, stand.step, stand.takes, stand.gives)

    def _look(self, changed: frozenset[str], but: Player) -> None:
        for player in self.players:
            stand = player.stand
            if player is but or stand is None or not stand.blocks:
                continue
            if not (changed.isdisjoint(stand.changes) and changed.isdisjoint(stand.reads)):
                self._ask(player, turns.LOOK)

    def _ask(self, player: Player, word: bytes) -> None:
        self._say(player, word)
        player.ready = self._read(player) == turns.READY

    def _tell_finished(self) -> None:
        """Tell those to finish whose senders have all ended."""
        going = {player.group for player in self.players if player.stand is not None}
        for group in self.plan.groups:
            senders = [
                other.name
                for other in self.plan.groups
                if other is not group and set(other.sends) & set(group.receives)
            ]
            if senders and going.isdisjoint(senders):
                for player in self.players:
                    if player.group == group.name and player.stand and not player.finishing:
                        player.finishing = True
                        self._ask(player, turns.FINISH)

    def _hear(self, player: Player) -> None:
        """Take what a process says until it stands at a step or has ended."""
        while True:
            message = self._read(player)
            if message[:1] == turns.PASSED:
                end = 2 + message[1]
                for number in message[2:end]:
                    self._note(self.players.index(player), player.known[number])
                message = message[end:]
            if message[:1] == turns.MARK:
                player.stand = self._stand(player, message)
                player.ready = message[-1:] == turns.READY
                return
            if message[:1] == b"{":
                if not message.startswith(_OVER):
                    self.take(player.member, message)
                    continue
                # The last one counts: that of the schedule with which the run ends.
                player.summary = message
            player.left = message.startswith(_OVER[0])
            player.stand = None
            return

    def _note(self, number: int, stand: Stand) -> None:
        """Write down that a process passes a step."""
        self.trace.append((number, stand))
        self.moments.append(time.monotonic_ns())
        if stand.takes:
            self.holders[stand.takes] = number
        if stand.gives:
            self.holders.pop(stand.gives, None)

    def _stand(self, player: Player, message: bytes) -> Stand:
        key = message[1:-1]
        found = player.stands.get(key)
        if found is None:
            step, reads, changes, takes, gives, blocks = json.loads(key)
            found = Stand(step, frozenset(reads), frozenset(changes), takes, gives, blocks)
            player.stands[key] = found
            player.known.append(found)
        return found

    def _say(self, player: Player, word: bytes) -> None:
        try:
            os.write(player.connection, word)
        except (BrokenPipeError, ConnectionResetError):
            # It is gone: its end of the connection says so when it is read.
            return

    def _read(self, player: Player) -> bytes:
        try:
            return os.read(player.connection, reports.LARGEST)
        except BlockingIOError:
            stand = player.stand
            raise ProcessError(
                f"{player.name} did not come to its next step within {self.plan.deadlines.wait:g} s"
                + (f" after {stand.step}" if stand else "")
            ) from None
        except ConnectionResetError:
            return b""


# Reports after which a process does nothing more.
_OVER = tuple(b'{"type": "%s"' % kind for kind in (b"left", b"summary", b"error"))


def switches(order: Iterable[object]) -> int:
    """Return how often another process goes on than the one before."""
    return sum(one != other for one, other in itertools.pairwise(order))
