"""Leads processes as far along a given schedule as they go: what keeps them out is no error.

A schedule that does harm to one program cannot be followed by another that guards what it does:
its process stands before the lock. Then that step is left out, and the rest goes on; at the end
all go on in order. The same program under the same schedule does the same, every time.
"""

from __future__ import annotations

import time
from collections import Counter

from common.history.trace import Passed
from common.process.players import Player
from common.process.stage import Stage
from common.scenario.schedule import LEAVE, STOP, Move, Schedule


class Leader:
    """Follows ``schedule``; afterwards ``moves`` is the one that was followed, step by step.

    ``passed`` says the same with the locks that were taken.

    ``kept_out`` says in words where a process could not pass as the schedule has it, first;
    ``late`` that the steps had no end within ``seconds``.
    """

    def __init__(self, schedule: Schedule, seconds: float) -> None:
        self.schedule = schedule
        self.seconds = seconds
        self.moves: list[Move] = []
        self.passed: list[Passed] = []
        self.kept_out = ""
        self.late = False
        self._until = 0.0

    def __call__(self, stage: Stage) -> None:
        """Lead the processes to their end, or until it is too late."""
        self._until = time.monotonic() + self.seconds
        players = {player.name: player for player in stage.players}
        left = Counter(Move(*move) for move in self.schedule.moves)
        try:
            for name, step in self.schedule.moves:
                left[Move(name, step)] -= 1
                if name in players and self._may(stage):
                    self._move(stage, players[name], step, left)
            while stage.enabled() and self._may(stage):
                stage.go(stage.enabled()[0])
        finally:
            self.moves = [Move(stage.players[n].name, stand.step) for n, stand in stage.trace]
            self.passed = list(stage.passed(0))

    def _move(self, stage: Stage, player: Player, step: str, left: Counter[Move]) -> None:
        """Let one process pass ``step``, and on the way to it what only it has."""
        if step == LEAVE and player.stand is not None:
            stage.leave(player.number)
        if step == STOP and player.stand is not None and player.stand.begins:
            stage.stop(player.number)
        if step in (LEAVE, STOP):
            return
        while (stand := player.stand) is not None and self._may(stage):
            if not player.ready:
                self._note(stage, player)
                return
            if self.schedule.exact and stand.step != step and left[Move(player.name, stand.step)]:
                # It has no such step here, or was kept from it: its own comes later.
                return
            stage.go(player.number)
            if stand.step == step:
                return

    def _note(self, stage: Stage, player: Player) -> None:
        stand = player.stand
        if self.kept_out or stand is None:
            return
        holder = stage.holders.get(stand.waits_for)
        held = "" if holder is None else f", which {stage.players[holder].name} has"
        self.kept_out = f"{player.name} stands before {stand.waits_for}{held}"

    def _may(self, stage: Stage) -> bool:
        self.late = self.late or time.monotonic() > self._until
        return not (self.late or stage.interrupted())
