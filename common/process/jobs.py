"""What each process of a plan is told, and what a plan asks of the machine."""

from __future__ import annotations

import dataclasses
import os
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common import kinds
from common.history import record
from common.kernel import limits
from common.process import addresses
from common.process.injection import job_faults
from common.scenario.plan import ChannelPlan, Part, Plan, ProcessPlan
from common.system import System


def jobs(
    plan: Plan,
    systems: Mapping[str, System],
    addresses: dict[str, Any],
    report: str,
    run_dir: Path,
    files: Path,
    turns: bool = False,
) -> list[dict[str, Any]]:
    """Return the job of every process: names, keys and paths only, JSON-able.

    Papers go into the directory ``files``. With ``turns`` the launcher says before each step who
    may pass.
    """
    here = os.path.realpath(run_dir)
    return [
        {
            "name": process.name,
            "group": process.group,
            "role": process.role,
            "roles": systems[process.system].roles,
            "index": process.index,
            "seed": process.seed,
            "options": process.options,
            "delays": process.delays,
            "addresses": addresses,
            "descriptors": _descriptors(process, systems, addresses),
            "report": report,
            "record": f"{here}/history/{process.name}.rec",
            "paper": f"{files}/paper-{process.name}.txt",
            "capacity": capacity(process, systems),
            "turns": turns,
            "life": 0,
            "faults": job_faults(plan, process.name, process.group),
            "wait_s": plan.deadlines.wait,
            "start_s": plan.deadlines.start,
            "run": here,
            "program": None if process.program is None else dataclasses.asdict(process.program),
            "title": f"{process.name} [{plan.scenario}]",
        }
        for process in plan.processes
    ]


def anew(job: dict[str, Any], life: int, index: int) -> dict[str, Any]:
    """Return the job of the process that is started as ``life``-th in the place of another.

    It has a name, an index, a seed and a history of its own.
    """
    name = f"{job['name']}.{life}"
    record, paper = Path(job["record"]), Path(job["paper"])
    return {
        **job,
        "name": name,
        "index": index,
        "life": life,
        "seed": random.Random(f"{job['seed']}/{life}").getrandbits(63),
        "record": str(record.with_name(f"{name}.rec")),
        "paper": str(paper.with_name(f"paper-{name}.txt")),
        "title": job["title"].replace(job["name"], name, 1),
    }


def _descriptors(
    process: ProcessPlan, systems: Mapping[str, System], addresses: Mapping[str, Any]
) -> list[int]:
    """Return which of the launcher's descriptors a process needs: its own ends, no others."""
    module = kinds.load(systems[process.system].roles, process.role)
    channels, table, paper = (addresses[each] for each in ("channels", "table", "paper"))
    locks = [*(table["locks"] if table else ()), *([paper["lock"]] if paper else ())]
    found: set[int] = set()
    for field in dataclasses.fields(module.Options):
        use, name = field.metadata.get("channel"), process.options[field.name]
        if not use or not name:
            continue
        channel = channels[name]
        ends = getattr(kinds.load(kinds.CHANNELS, channel["kind"]), "descriptors", None)
        # Who sends may send to everybody's; who receives has one of its own, or shares one.
        mode = "send" if use in ("send", "call") else "receive"
        mine = [process.name] if mode == "receive" and channel["per"] else channel["at"]
        at = [channel["at"][owner] for owner in mine]
        locks += [each["lock"] for each in at if "lock" in each]
        if ends is not None:
            for each in at:
                found.update(ends(each, mode))
    for lock in locks:
        inherited = getattr(kinds.load(kinds.LOCKS, lock["kind"]), "descriptors", None)
        if inherited is not None:
            found.update(inherited(lock["at"]))
    return sorted(found)


def capacity(process: ProcessPlan, systems: Mapping[str, System]) -> int:
    """Return how many records a process will write, as far as its role knows."""
    module = kinds.load(systems[process.system].roles, process.role)
    count: int = module.records(module.Options(**process.options))
    return count


def _locks(lock: Part, count: int) -> list[tuple[str, Part]]:
    together = hasattr(kinds.load(kinds.LOCKS, lock.kind), "make_rows")
    return [(kinds.LOCKS, lock)] * (1 if together else count)


def shortages(plan: Plan, systems: Mapping[str, System], run_dir: Path) -> list[str]:
    """Return why this machine cannot run the plan, a sentence a limit; none when it can."""
    parts = []
    if plan.table:
        parts.append((kinds.TABLES, plan.table.store))
        parts += _locks(plan.table.lock, addresses.locks_of(plan.table))
    if plan.paper:
        parts.append((kinds.LOCKS, plan.paper.lock))
    queue_bytes = 0
    for channel in plan.channels:
        copies, size = _copies(channel, plan)
        parts += [(kinds.CHANNELS, channel.part), (kinds.LOCKS, channel.lock)] * copies
        queue_bytes += copies * size
    # Beside what the parts make there is the start gate.
    made = Counter({"sysv_sem": 1 if plan.spool is None else 3})
    for family, part in parts:
        module = kinds.load(family, part.kind)
        counted = getattr(module, "counted", None)
        made.update(counted(module.Options(**part.options)) if counted else module.OBJECTS)
    return limits.shortages(
        processes=len(plan.processes),
        sets=made["sysv_sem"],
        segments=made["sysv_shm"],
        queues=made["sysv_queue"],
        record_bytes=sum(capacity(p, systems) for p in plan.processes) * record.RECORD_SIZE,
        run_dir=run_dir,
        posix_semaphores=made["posix_sem"],
        posix_queues=made["posix_queue"],
        posix_queue_bytes=queue_bytes,
    )


def _copies(channel: ChannelPlan, plan: Plan) -> tuple[int, int]:
    """Return how often a channel is made, and what each counts of a user's bytes of queues."""
    module = kinds.load(kinds.CHANNELS, channel.part.kind)
    options = module.Options(**channel.part.options)
    copies = len(plan.group(channel.per).processes) if channel.per else 1
    if hasattr(module, "objects"):
        copies = module.objects(options, copies)
    charge = getattr(module, "charge", None)
    return copies, 0 if charge is None else charge(options, channel.message_size)
