"""The processes of a run under the launcher's control: one at a time passes from step to step.

Everything between two steps of a process happens alone: the others stand, each before a step that
it has named. So the order of the steps is the order of the accesses, and the same order gives the
same history.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import posix_ipc
import sysv_ipc

from common.errors import ObjectVanished, ProcessLost
from common.history.trace import Passed
from common.kernel import touch
from common.kernel.sysv import REMOVED
from common.process import addresses, reports, turns
from common.process.members import Member
from common.process.players import Player, Stand
from common.scenario.plan import Plan
from common.scenario.schedule import LEAVE, STOP


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
        # A process gives up a wait of its own after so long, and then says so.
        self._patience = self.plan.deadlines.wait + 1
        for member in self.members:
            number, name = len(self.players), member.outcome.name
            self.players.append(Player(number, name, member.group, member))
            self.players[-1].connect()

    @property
    def lost(self) -> str:
        """Why a process can do nothing more, in words; empty when none was lost."""
        return next((player.lost for player in self.players if player.lost), "")

    def open(self) -> None:
        """Wait until every process stands at its first step, or has ended."""
        for player in self.players:
            if not player.lost:
                self._hear(player)
        self._tell_finished()

    def close(self) -> None:
        """Send everybody away who still stands; whoever does not go is left to be killed."""
        self._patience = self.plan.deadlines.finish
        for player in self.players:
            # From where it stands, or will stand when it gets there, which a stopped process does
            # once it goes on; then the word that there is no other time.
            if player.stand is not None or player.lost:
                player.say(turns.LEAVE)
            with contextlib.suppress(ProcessLost):
                while player.stand is not None:
                    self._hear(player)
            player.say(turns.LEAVE)
            if player.summary:
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

    def stuck(self) -> bool:
        """Whether nobody can go on and not all have ended; whoever seems to wait is asked."""
        if self.unfinished() and not self.enabled():
            self.look_again()
        return bool(self.unfinished()) and not self.enabled()

    def go(self, number: int) -> None:
        """Let one process do its step, and wait until it stands at its next one or has ended."""
        player = self.players[number]
        stand = player.stand
        assert stand is not None
        assert player.ready
        self._note(number, stand)
        player.say(turns.GO)
        self._hear(player)
        if stand.changes:
            self._look(stand.changes, player)
        if player.stand is None:
            self._tell_finished()
        if player.lost:
            self.look_again()

    def look_again(self) -> None:
        """Ask everybody who waits: the kernel frees what a dead process held, and tells nobody."""
        for player in self.players:
            if player.stand is not None and player.stand.blocks:
                self._ask(player, turns.LOOK)

    def stop(self, number: int) -> None:
        """Have one process end its work before the operation that it is about to begin.

        At any other step it fails, and says why.
        """
        player = self.players[number]
        assert player.stand is not None
        self._note(number, _word(STOP))
        player.say(turns.STOP)
        self._hear(player)
        if player.stand is None:
            self._tell_finished()

    def leave(self, number: int) -> None:
        """Send one process away from where it stands."""
        self._note(number, _word(LEAVE))
        self._send_away(self.players[number])

    def restart(self, free: Callable[[Stand], bool] = lambda _stand: False) -> None:
        """Put everything back to the beginning: objects, records, and every process.

        Steps that are ``free`` need no word from now on: a process passes them as it comes to them,
        and they stand in the trace all the same. Raises ``ProcessLost`` when one cannot begin again
        and ``ObjectVanished`` when an object is gone.
        """
        if self.lost:
            raise ProcessLost(self.lost)
        for player in self.players:
            if player.stand is not None:
                self._send_away(player)
        try:
            addresses.reset(self.plan, self.addresses, self._memory)
        except (sysv_ipc.ExistentialError, posix_ipc.ExistentialError, FileNotFoundError) as error:
            raise ObjectVanished(f"an object of this run is gone: {error}", REMOVED) from None
        for player in self.players:
            player.finishing = player.left = False
            known = player.known[: turns.MOST_NUMBERS]
            numbers = bytes(number for number, stand in enumerate(known) if free(stand))
            player.say(turns.AGAIN + numbers)
        self.trace, self.moments = [], []
        self.holders = {}
        self.open()
        if self.lost:
            raise ProcessLost(self.lost)

    def waits(self) -> list[dict[str, Any]]:
        """Return who waits for what, and which process holds it (None: nobody does)."""
        found = []
        for number in self.unfinished():
            player = self.players[number]
            stand = player.stand
            assert stand is not None
            # Of several at once it waits for whichever somebody else has.
            wanted = touch.locks(stand.waits_for)
            lock = next((name for name in wanted if name in self.holders), stand.waits_for)
            holder = self.holders.get(lock)
            found.append(
                {
                    "process": player.name,
                    "step": stand.step,
                    "waits_for": lock,
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
        player.say(word)
        answer = self._read(player)
        player.ready = answer == turns.READY
        if answer not in (turns.READY, turns.NOT_READY):
            # It failed when it looked, or is gone.
            self._over(player, answer)

    def _send_away(self, player: Player) -> None:
        player.say(turns.LEAVE)
        while player.stand is not None:
            self._hear(player)

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
            try:
                message = os.read(player.connection, reports.LARGEST)
            except OSError:
                message = self._read(player)
            if message[:1] == turns.PASSED:
                end = 2 + message[1]
                for number in message[2:end]:
                    self._note(player.number, player.known[number])
                message = message[end:]
            mark = message[:1]
            if mark == turns.STANDS:
                player.stand = player.known[message[1] + message[2] * 256]
                player.ready = message[3:] == turns.READY
                return
            if mark == turns.MARK:
                player.known.append(_stand(message))
            elif mark == b"{" and not message.startswith(_OVER):
                self.take(player.member, message)
            else:
                self._over(player, message)
                return

    def _over(self, player: Player, report: bytes) -> None:
        """Note that a process has ended; ``report`` are its last words, empty when it died."""
        # The last one counts: that of the schedule with which the run ends.
        player.summary = report
        player.left = report.startswith(_LEFT)
        player.stand = None
        if report.startswith(_ERROR):
            told = reports.decode(report) or {}
            player.lost = (
                f"{player.name} failed: {reports.harmless(told.get('message') or told.get('kind'))}"
            )
            # It ends now, and is gone when its connection is.
            while self._read(player):
                pass
        elif not report:
            player.lost = f"{player.name} {player.member.death()}"

    def _note(self, number: int, stand: Stand) -> None:
        """Write down that a process passes a step."""
        self.trace.append((number, stand))
        self.moments.append(time.monotonic_ns())
        for lock in touch.locks(stand.takes):
            self.holders[lock] = number
        for lock in touch.locks(stand.gives):
            self.holders.pop(lock, None)

    def _read(self, player: Player) -> bytes:
        return player.read(self._patience, self.interrupted)


# Reports after which a process does nothing more.
_LEFT, _SUMMARY, _ERROR = (b'{"type": "%s"' % kind for kind in (b"left", b"summary", b"error"))
_OVER = (_LEFT, _SUMMARY, _ERROR)


def _stand(message: bytes) -> Stand:
    """Return the step that a process tells of for the first time."""
    step, reads, changes, takes, gives, blocks, begins = json.loads(message[1:])
    return Stand(step, frozenset(reads), frozenset(changes), takes, gives, blocks, begins)


def _word(step: str) -> Stand:
    """Return what stands in the trace where a process was told to go no further."""
    return Stand(step, frozenset(), frozenset(), "", "", blocks=False)


def switches(order: Iterable[object]) -> int:
    """Return how often another process goes on than the one before."""
    return sum(one != other for one, other in itertools.pairwise(order))
