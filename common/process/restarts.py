"""Starts processes anew that were killed or failed, as often as their group's policy allows.

As long as a receiver may come again, its channels are kept open for those who send: they go on, or
wait in line, and the next receiver finds what stands there. Once none will come they are told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from common import kinds
from common.process.members import Member, Members
from common.scenario.plan import Plan, ProcessPlan


class Restarts:
    """The restarts of one run, between ``begin`` and ``end``.

    ``later(seconds, do)`` waits, ``spawn(process, life)`` starts. ``count`` is how many were
    started, ``given_up`` names those of the plan whose limit was reached. ``jobs`` are those of the
    plan's processes; ``let_go(but)`` closes the ends of channels that the launcher holds for them,
    but those that one who is started anew will need.
    """

    def __init__(
        self,
        plan: Plan,
        members: Members,
        later: Callable[[float, Callable[[], None]], None],
        spawn: Callable[[ProcessPlan, int], None],
        tell: Callable[..., None],
        jobs: Mapping[str, Mapping[str, Any]],
        let_go: Callable[[Collection[int]], None],
    ) -> None:
        self.count = 0
        self.given_up: list[str] = []
        self._policies = {group.name: group.restart for group in plan.groups if group.restart}
        self._planned = {process.name: process for process in plan.processes}
        self._lives: Counter[str] = Counter()
        self._members = members
        self._later = later
        self._spawn = spawn
        self._tell = tell
        self._jobs = jobs
        self._let_go = let_go
        self._going_on = self._keeping = False
        self._pending: dict[str, Callable[[], None]] = {}
        self._receives = {group.name: group.receives for group in plan.groups if group.restart}
        # By the group that receives: what ends that its channels are kept open.
        self._kept: dict[str, list[Callable[[], None]]] = {}
        self._release(self._policies)

    def begin(self) -> None:
        """From now on whoever is killed or fails is started anew."""
        self._going_on = self._keeping = True
        self._kept = {group: list(self._keep(group)) for group in self._policies}
        self._members.on_end = self._member_ended

    def finish(self) -> None:
        """Start nobody any more but, at once, who was to come and take what is on its way."""
        for name, start in list(self._pending.items()):
            if self._receives[self._planned[name].group]:
                start()
        self._going_on = False
        self._members.coming.clear()

    def end(self) -> None:
        """Nobody is started any more, nor waited for."""
        self._going_on = self._keeping = False
        self._members.coming.clear()
        self._release(())

    def _keep(self, group: str) -> Iterator[Callable[[], None]]:
        """Keep those channels open for a group that the launcher has no descriptor of."""
        channels = next(iter(self._jobs.values()))["addresses"]["channels"]
        # The spool is among them, which needs nobody to keep it.
        for name in channels.keys() & set(self._receives[group]):
            keep_open = getattr(
                kinds.load(kinds.CHANNELS, channels[name]["kind"]), "keep_open", None
            )
            if keep_open is not None:
                yield from map(keep_open, channels[name]["at"].values())

    def _release(self, groups: Collection[str]) -> None:
        """Hold nothing but for these groups: else nobody sees the end of a pipe of theirs."""
        for group in self._kept.keys() - set(groups):
            for end in self._kept.pop(group):
                end()
        jobs = (job for job in self._jobs.values() if job["group"] in groups)
        self._let_go({number for job in jobs for number in job["descriptors"]})

    def _member_ended(self, member: Member) -> None:
        self._ended(member)
        if self._keeping:
            ended = self._members.group_ended
            self._release([name for name in self._policies if not ended(name)])

    def _ended(self, member: Member) -> None:
        policy = self._policies.get(member.group)
        outcome = member.outcome
        if policy is None or not self._going_on or outcome.phase in ("done", "left"):
            return
        name = member.first_name
        if self._lives[name] >= policy.limit:
            self.given_up.append(name)
            self._tell("restart_given_up", process=name, limit=policy.limit)
            return
        self._lives[name] += 1
        life = self._lives[name]
        self._members.coming[member.group] += 1

        def start() -> None:
            if self._going_on and self._pending.pop(name, None) is not None:
                self._members.coming[member.group] -= 1
                self.count += 1
                self._spawn(self._planned[name], life)

        self._pending[name] = start
        self._later(policy.pause(life), start)
