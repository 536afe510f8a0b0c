"""Who did not come to an end, and why: said of each process of a run in its outcome."""

from __future__ import annotations

from collections.abc import Iterable

from common.process import holding, inspect, programs
from common.process.deadlocks import Watch
from common.process.members import Member, Members
from common.process.reception import Listener


def name_the_hung(members: Members, phase: str, seconds: float, tell: Listener) -> None:
    """Say where each process stands that a phase's deadline caught; ``seconds`` is its length."""
    for member in members:
        late = not (member.ended or member.outcome.guest)
        # Whoever stands at the gate has done its part of the start.
        if late and not (phase == "start" and member.outcome.phase == "ready"):
            where = inspect.where(member.outcome.pid, member.record) + programs.lacking(member)
            member.outcome.hung = f"{phase} took longer than {seconds:g} s: {where}"
            tell("process_hung", process=member.outcome.name, phase=phase, where=where)


def name_the_abandoned(members: Iterable[Member], watch: Watch | None, tell: Listener) -> None:
    """Say of who waits for a dead one's lock that it would wait for ever.

    And of who waited for a lock in vain, until its own deadline or that of the run, who had it.
    """
    if watch is None:
        return
    members = list(members)
    for member in members:
        if member.outcome.hung is not None:
            seen = watch.look_at(holding.waits_for(member)[1], members)
            if seen is not None:
                watch.in_vain[member.outcome.name] = seen
    by_name = {member.outcome.name: member.outcome for member in members}
    for name, seen in watch.in_vain.items():
        gave_up = {who for who, other in watch.in_vain.items() if other.what == seen.what}
        holder = holding.told(seen, members, gave_up)
        by_name[name].holder = holder
        tell("wait_in_vain", process=name, waited_for=seen.what, holder=holder)
    for wait in watch.abandoned:
        dead = by_name[wait["holder"]]
        by_name[wait["process"]].hung = (
            f"it waits for {wait['waits_for']}, which {dead.name} (pid {dead.pid}) held when it "
            "died: nobody will ever give it back"
        )
        tell("lock_abandoned", process=wait["process"], holder=dead.name)
