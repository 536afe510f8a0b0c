"""Leads the processes of a run through a given schedule."""

from __future__ import annotations

from common.errors import ScheduleMisfit
from common.process.players import Player
from common.process.stage import Stage
from common.scenario.schedule import LEAVE, STOP, Schedule


def follow(stage: Stage, schedule: Schedule) -> None:
    """Let the processes pass as ``schedule`` says; raises ``ScheduleMisfit`` where it does not fit.

    What an inexact schedule leaves open is done in the order of the processes, and so is what any
    schedule leaves when a process died or failed. Returns early when nobody can go on, or when the
    user interrupts.
    """
    numbers = {player.name: number for number, player in enumerate(stage.players)}
    for at, (name, step) in enumerate(schedule.moves, start=1):
        if stage.interrupted():
            return
        number = numbers.get(name)
        if number is None:
            raise _misfit(at, name, step, f"there is no process {name}")
        if stage.players[number].lost:
            break
        if step == STOP and stage.players[number].stand is not None:
            if number in stage.holders.values():
                raise _misfit(at, name, step, f"{name} is in the middle of an operation")
            stage.stop(number)
        elif step == LEAVE and stage.players[number].stand is not None:
            stage.leave(number)
        else:
            _pass(stage, number, step, at, exact=schedule.exact)
    if schedule.exact and stage.enabled() and not stage.lost:
        first = stage.players[stage.enabled()[0]]
        raise ScheduleMisfit(
            f"the schedule is over after {len(schedule.moves)} steps, but {_where(first)}",
            "the scenario does more than when it was written",
        )
    while stage.enabled() and not stage.interrupted():
        stage.go(stage.enabled()[0])


def _pass(stage: Stage, number: int, step: str, at: int, *, exact: bool) -> None:
    player = stage.players[number]
    passed: list[str] = []
    while not stage.interrupted():
        stand = player.stand
        if player.lost:
            return
        if stand is None:
            since = f" after {', '.join(passed[-4:])}" if passed else ""
            raise _misfit(at, player.name, step, f"{player.name} has ended{since}")
        if exact and stand.step != step:
            raise _misfit(at, player.name, step, _where(player))
        if not player.ready:
            holder = stage.holders.get(stand.waits_for)
            held = "" if holder is None else f", which {stage.players[holder].name} has"
            reason = f"{_where(player)}, where it would block on {stand.waits_for}{held}"
            raise _misfit(at, player.name, step, reason)
        passed.append(stand.step)
        stage.go(number)
        if stand.step == step:
            return


def _where(player: Player) -> str:
    return f"{player.name} stands at {player.stand.step}" if player.stand else f"{player.name} left"


def _misfit(at: int, process: str, step: str, reason: str) -> ScheduleMisfit:
    return ScheduleMisfit(
        f"the schedule does not fit at step {at}, {process}:{step}: {reason}",
        "the scenario, its variant or its settings are not those it was written for",
    )
