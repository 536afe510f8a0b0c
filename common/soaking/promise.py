"""What may be found in a run in which something went wrong? The claim that a soak puts to the test.

Every finding that no rule allows is unexpected. So whatever strikes a run whose every place is
guarded by a lock: no update is lost and no stock is negative, no job is printed twice and no pages
are mixed, unless one of the rules below says how.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from common import kinds
from common.kernel.locks import HELD
from common.scenario.faults import FaultPlan
from common.scenario.plan import GroupPlan, Part, Plan
from common.system import System

# A process of the lab does not listen to these; at SIGTERM it finishes what it has begun, and goes.
SURVIVED = ("INT", "PIPE")
GENTLE = ("TERM", *SURVIVED)
DAMAGE = ("lost_update", "negative_stock", "torn_read", "data_race")
JOBS = ("job_lost", "job_duplicated", "job_corrupted", "job_reordered")
STUCK = ("process_hung", "deadlock")

# Doubts of a run that was cut short: it put too little to the test.
UNTRIED = ("no two operations overlapped", "only one of ", "no operation was done",
           "nothing guards ", "under way when the run was interrupted")  # fmt: skip


class Blow(NamedTuple):
    """One fault of a plan, with the groups of processes whose members it may strike."""

    plan: Plan
    fault: FaultPlan
    groups: list[GroupPlan]
    systems: Mapping[str, System]

    @property
    def ends(self) -> bool:
        """Whether a process may end of it, in the middle of whatever it does."""
        if self.fault.kind == "kill":
            return self.fault.options["signal"] not in GENTLE
        return self.fault.kind in ENDING

    @property
    def leaves(self) -> bool:
        """Whether a process may be gone after it, be it in good order."""
        return self.ends or (
            self.fault.kind == "kill" and self.fault.options["signal"] not in SURVIVED
        )

    def any_role(self, *roles: str) -> bool:
        """Whether it may strike one of these roles."""
        return any(group.role in roles for group in self.groups)

    def channels(self) -> bool:
        """Whether it may strike somebody who uses a channel."""
        return any(group.sends or group.receives for group in self.groups)

    @property
    def holds_for_ever(self) -> bool:
        """Whether it may strike the holder of a lock that then nobody gives back."""
        return any(_held(lock) for lock in locks_of(self.plan))

    @property
    def recovers(self) -> bool:
        """Whether the table's next holder finishes or undoes what a dead one left half done."""
        return self.plan.table is not None and self.plan.table.recovery != "none"


# Faults of which a process ends, as a kill does it.
ENDING = ("device", "disk_full", "exec", "remove", "truncate")


@dataclass(frozen=True)
class Rule:
    """``findings`` may follow from a fault of one of the kinds ``of``, where ``when`` is true."""

    findings: tuple[str, ...]
    of: tuple[str, ...]
    when: Callable[[Blow], bool]
    why: str


def _always(_: Blow) -> bool:
    return True


RULES = (
    Rule(STUCK, ("kill",), lambda blow: blow.ends and blow.holds_for_ever,
         "nobody gives back what the dead one held"),
    Rule(("lost_update",), ("kill",),
         lambda blow: blow.ends and blow.any_role("converter") and not blow.recovers,
         "a conversion is two updates, and its teller died between them"),
    Rule(("torn_read",), ("kill",),
         lambda blow: blow.ends and blow.any_role("rate_setter") and not blow.recovers,
         "a change of rates is two writes, and who sets them died between them"),
    Rule(("job_lost", "process_hung", "process_crashed"), ("kill", "device", "disk_full"),
         lambda blow: blow.leaves and blow.channels(),
         "what a dead process had taken nobody prints; who is left alone waits, or is told"),
    Rule(("job_corrupted", "job_duplicated", "job_reordered"), ("kill",),
         lambda blow: blow.ends and _in_memory(blow),
         "a buffer of the lab's is several writes, and who sent or took died between them"),
    Rule(("job_duplicated",), ("kill",),
         lambda blow: blow.ends and blow.any_role("office", "caller"),
         "a call whose office died before the answer is made again"),
    Rule(("job_lost",), ("kill", "stop", "slow", "signals"), lambda blow: _loses(blow.plan),
         "what an unbounded channel has no room for is lost, and who is slower has less"),
    Rule(("object_vanished", "process_crashed", "process_hung"), ("remove", "truncate"), _always,
         "it is gone, or no longer what it was"),
    Rule(JOBS, ("remove",), lambda blow: bool(blow.plan.channels),
         "what lay in it is gone, and who opens its name finds another"),
    Rule(DAMAGE, ("remove",), lambda blow: blow.fault.options["what"] == "lock",
         "who comes later makes or finds another lock than who holds the old one"),
    Rule(DAMAGE, ("truncate",), _always, "what is behind the end comes back as zeros"),
    Rule(("job_lost",), ("truncate",), lambda blow: bool(blow.plan.channels),
         "whoever touches the table dies of it, with the job that it has in its hands"),
    Rule((*JOBS, "pages_interleaved", "process_hung", "process_crashed"), ("fill",), _always,
         "somebody put in what is no job, and nobody had room for one"),
    Rule(("job_corrupted",), ("disk_full",), _always, "the last line on the paper is cut"),
    Rule(("process_crashed",), ("device",), _always, "its call failed, and it says so"),
)  # fmt: skip


def may_find(planned: Plan, systems: Mapping[str, System]) -> dict[str, str]:
    """Return what may be found in a run of this plan, each with the reason."""
    found = dict.fromkeys(
        (*planned.expect.findings, *planned.expect.any), "the scenario promises it"
    )
    damage = (*DAMAGE, *JOBS, "pages_interleaved")
    if not guarded(planned):
        found |= dict.fromkeys(damage, "not everything is guarded")
    if planned.expect.verdict == "anomaly":
        found |= dict.fromkeys(damage, "an anomaly is promised, and may show in other ways, too")
    for fault in planned.faults:
        blow = Blow(planned, fault, _groups(planned, fault), systems)
        for rule in RULES:
            if fault.kind in rule.of and rule.when(blow):
                found |= {finding: rule.why for finding in rule.findings if finding not in found}
    return found


def objections(
    planned: Plan, document: Mapping[str, Any], allowed: Iterable[str], *, as_it_is: bool
) -> list[str]:
    """Return what is unexpected in the document of a run of this plan.

    ``as_it_is``: nothing was added to what its scenario promises, so it must keep that.
    """
    told = [
        f"{finding['kind']}: {finding['explanation']}"
        for finding in document["findings"]
        if finding["kind"] not in allowed
    ]
    if document["measures"].get("checker_failed"):
        told.append(f"a checker failed: {document['doubts']}")
    untold = document["measures"].get("unacknowledged", 0)
    cut_short = sum(process["phase"] != "done" for process in document["processes"])
    if untold > cut_short:
        # Each process has one operation under way at most.
        told.append(f"{untold} operations happened untold, and only {cut_short} were cut short")
    whole = document["interrupted"] is None
    if as_it_is and whole and not document["as_expected"]:
        told.append(f"{document['verdict']} is not as its scenario promises: {document['doubts']}")
    if guarded(planned) and not {fault.kind for fault in planned.faults} & set(BLURRING):
        told += [
            f"doubt: {doubt}"
            for doubt in document["doubts"]
            if not any(known in doubt for known in UNTRIED)
        ]
    return told


def guarded(planned: Plan) -> bool:
    """Say whether each place that several processes share lets one at a time in."""
    if not all(kinds.load(kinds.LOCKS, lock.kind).EXCLUDES for lock in locks_of(planned)):
        return False
    for channel in planned.channels:
        module = kinds.load(kinds.CHANNELS, channel.part.kind)
        own = getattr(module, "guarded", None)
        if own is not None and not own(module.Options(**channel.part.options)):
            return False
    return True


def locks_of(planned: Plan) -> list[Part]:
    """Return the locks of the table, of the paper, and of the channels that a lock guards."""
    found = [] if planned.table is None else [planned.table.lock]
    found += [] if planned.paper is None else [planned.paper.lock]
    for channel in planned.channels:
        module = kinds.load(kinds.CHANNELS, channel.part.kind)
        if getattr(module, "GUARDED", True) and not hasattr(module, "guarded"):
            found.append(channel.lock)
    return found


# After these nobody can say of each value where it comes from.
BLURRING = ("remove", "truncate", "fill", "disk_full", "overwrite", "replace", "exec")


def _groups(planned: Plan, fault: FaultPlan) -> list[GroupPlan]:
    name = fault.trigger.process
    if not name:
        return planned.groups
    return [group for group in planned.groups if name == group.name or name in group.processes]


def _held(lock: Part) -> bool:
    module = kinds.load(kinds.LOCKS, lock.kind)
    return bool(module.facts(module.Options(**lock.options)).holder_dies == HELD)


def _in_memory(blow: Blow) -> bool:
    used = {name for group in blow.groups for name in (*group.sends, *group.receives)}
    return any(
        getattr(kinds.load(kinds.CHANNELS, channel.part.kind), "GUARDED", True)
        for channel in blow.plan.channels
        if channel.name in used
    )


def _loses(planned: Plan) -> bool:
    for channel in planned.channels:
        module = kinds.load(kinds.CHANNELS, channel.part.kind)
        if not module.facts(module.Options(**channel.part.options)).bounded:
            return True
    return False
