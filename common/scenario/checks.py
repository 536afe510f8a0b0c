"""What must fit together in a scenario: names that name something, messages that fit, and so on.

The shapes have judged each value alone; here it is what the values say of each other. Whatever was
complained about already is left out, so that one mistake is told once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from common import kinds
from common.kernel import limits
from common.kinds import nearest
from common.scenario import check_faults, check_programs, check_recovery, schema, spool
from common.scenario.groups import Group, Use, groups
from common.scenario.schedule import STOP
from common.scenario.shapes import Chosen
from common.scenario.values import Path, Reading
from common.system import System

Values = Mapping[str, Any]


def check(values: Values, reading: Reading, chosen: Mapping[str, System]) -> None:
    """Complain in ``reading`` of everything in ``values`` that does not fit together."""
    members = groups(values, schema.roles(chosen))
    _check_names(members, reading)
    _check_table(values, members, reading, chosen)
    check_recovery.check(values, members, reading)
    _check_uses(values, members, reading)
    _check_channels(values, members, reading)
    _check_steps(values, members, reading)
    _check_schedule(values, members, reading)
    check_faults.check(values, members, reading)
    spool.check(values, members, reading)
    _check_options(values, members, reading)
    check_programs.check(values, members, reading, schema.layout(chosen))
    _check_file(values, reading)
    _check_expectation(values, reading)


def _check_names(members: list[Group], reading: Reading) -> None:
    seen: set[str] = set()
    for group in members:
        path: Path = ("processes", group.index, "name")
        if path not in reading.nodes:
            path = ("processes", group.index, "role")
        if group.name in seen:
            reason = f"two groups are called {group.name!r}"
            reading.complain(path, reason, "give one of them another `name`")
        seen.add(group.name)
        longest = len(f"{group.name}-{group.count - 1}")
        if longest > schema.LONGEST_NAME:
            reason = f"the last process would have a name of {longest} characters"
            reading.complain(path, reason, f"at most {schema.LONGEST_NAME}")


def _check_table(
    values: Values, members: list[Group], reading: Reading, chosen: Mapping[str, System]
) -> None:
    declared = ("table",) in reading.nodes
    if declared and schema.layout(chosen) is None:
        names = " and ".join(chosen)
        reading.complain(("table",), f"{names} has no table", "leave it out", at_key=True)
    for group in members:
        if group.needs_table and not declared:
            reading.complain(
                ("processes", group.index, "role"),
                f"the role {group.chosen.kind} needs a table, and the scenario has none",
                "add table: {store: " + (kinds.names(kinds.TABLES) or ("…",))[-1] + "}",
            )
        _check_at_once(values, group, reading)


def _check_at_once(values: Values, group: Group, reading: Reading) -> None:
    path: Path = ("processes", group.index)
    lock = values.get("table", {}).get("lock")
    asks = getattr(group.module, "takes_at_once", None)
    if (
        asks is None
        or values.get("table", {}).get("granularity") != "row"
        or not reading.sound(path)
        or not asks(group.module.Options(**group.chosen.options))
    ):
        return
    able = [
        kind for kind in kinds.names(kinds.LOCKS)
        if hasattr(kinds.load(kinds.LOCKS, kind), "together")
    ]  # fmt: skip
    kind = "none" if lock is None else lock.kind
    if kind not in able:
        reason = f"the lock {kind} cannot take the locks of several rows at once"
        reading.complain((*path, "order"), reason, "table.lock: " + " or ".join(able))


def _check_uses(values: Values, members: list[Group], reading: Reading) -> None:
    declared = _below(("channels",), reading)
    channels: Mapping[str, Chosen] = values.get("channels", {})
    names = [group.name for group in members]
    for group in members:
        for use in group.uses():
            path = ("processes", group.index, use.option)
            if use.channel not in declared:
                hint = (
                    nearest(use.channel, declared) or f"declare it: channels: {{{use.channel}: …}}"
                )
                reading.complain(path, f"there is no channel {use.channel!r}", hint)
            elif use.channel in channels:
                owner = channels[use.channel].common.get("per")
                if owner is None or owner in names:
                    _check_owner(group, use, owner, path, reading)
        for option, field in group.module.Options.__dataclass_fields__.items():
            path = ("processes", group.index, option)
            required = not isinstance(field.default, str)
            if field.metadata["channel"] and required and not group.chosen.options.get(option, "?"):
                reading.complain(path, "names no channel", nearest("", declared))


def _check_owner(group: Group, use: Use, per: str | None, path: Path, reading: Reading) -> None:
    if use.mode == "answer" and per is None:
        reason = f"the answers of all {group.name} processes would come through one channel"
        reading.complain(path, reason, f"give channel {use.channel} `per: {group.name}`")
    elif use.mode != "send" and per not in (None, group.name):
        reason = f"channel {use.channel} is made for each {per}, and only a {per} receives from it"
        reading.complain(path, reason, f"`per: {group.name}`, or another channel")


def _check_channels(values: Values, members: list[Group], reading: Reading) -> None:
    known = [group.name for group in members]
    complete = reading.sound(("processes",))
    for name, channel in values.get("channels", {}).items():
        path = ("channels", name)
        per = channel.common.get("per")
        if complete and per is not None and per not in known:
            reading.complain((*path, "per"), f"there is no group {per!r}", nearest(per, known))
        module = kinds.load(kinds.CHANNELS, channel.kind)
        lock = channel.common.get("lock")
        if lock is not None and lock.kind != "none" and not getattr(module, "GUARDED", True):
            reason = f"the kernel synchronises a {channel.kind}: a lock guards nothing there"
            reading.complain((*path, "lock"), reason, "lock: none")
        uses = [use for group in members for use in group.uses() if use.channel == name]
        if complete:
            _check_ends(path, uses, reading)
        _check_answers(path, channel, uses, reading)
        size = max((use.size for use in uses), default=0)
        if uses and reading.sound(path):
            why = module.check(module.Options(**channel.options), size)
            if complete and not why:
                why = _unfit_ends(name, channel, members)
            if why:
                reading.complain(path, why)


def _unfit_ends(name: str, channel: Chosen, members: list[Group]) -> str:
    """Return why a kind cannot be used by so many processes, by its own word ("": it can)."""
    module = kinds.load(kinds.CHANNELS, channel.kind)
    if not hasattr(module, "check_ends"):
        return ""
    per = channel.common.get("per") is not None
    senders = receivers = 0
    for group in members:
        modes = {use.mode == "send" for use in group.uses() if use.channel == name}
        senders += group.count * (True in modes)
        receivers += group.count * (False in modes)
    # Where each receiver has a channel of its own, each has one receiver.
    ends = (per, senders, 1 if per else receivers)
    why: str = module.check_ends(module.Options(**channel.options), *ends)
    return why


def _check_answers(path: Path, channel: Chosen, uses: list[Use], reading: Reading) -> None:
    kind = channel.kind
    able = [
        name for name in kinds.names(kinds.CHANNELS)
        if getattr(kinds.load(kinds.CHANNELS, name), "ANSWERS", False)
    ]  # fmt: skip
    answered = any(use.answered for use in uses)
    if answered and channel.common.get("per") is not None:
        reason = "whoever calls must find one line, and `per` makes one for each process"
        reading.complain((*path, "per"), reason, "leave `per` out: answers come back by connection")
    if kind not in able and answered:
        reading.complain(path, f"a {kind} carries no answer back", "one of: " + ", ".join(able))


def _check_ends(path: Path, uses: list[Use], reading: Reading) -> None:
    modes = {use.mode for use in uses}
    if not uses:
        hint = "leave it out, or name it in an entry of processes"
        reading.complain(path, "no process uses this channel", hint, at_key=True)
    elif "send" not in modes:
        reading.complain(path, "nobody sends to this channel", at_key=True)
    elif modes == {"send"}:
        reading.complain(path, "nobody receives from this channel", at_key=True)


def _check_steps(values: Values, members: list[Group], reading: Reading) -> None:
    channels = values.get("channels", {})
    every: set[str] = set()
    missed: set[str] = set()
    complete = reading.sound(("processes",)) and reading.sound(("channels",))
    for group in members:
        steps = group.steps(channels)
        every |= steps
        # Of a plain program it is said once that it has no steps: see check_programs.
        missed |= group.marked(channels) if group.plain else set()
        for step in () if group.plain else group.delays:
            if step not in steps:
                path = ("processes", group.index, "delays", step)
                reason = f"a {group.chosen.kind} has no step {step!r}"
                reading.complain(path, reason, nearest(step, sorted(steps)), at_key=True)
    for step in values.get("delays", {}):
        if complete and step not in every | missed:
            reason = f"no process has a step {step!r}"
            reading.complain(("delays", step), reason, nearest(step, sorted(every)), at_key=True)


def _check_schedule(values: Values, members: list[Group], reading: Reading) -> None:
    plain = {name for group in members if group.plain for name in group.processes}
    steps = {
        name: group.steps(values.get("channels", {})) | {STOP}
        for group in members
        for name in group.processes
    }
    for at, entry in enumerate(values.get("schedule") or []):
        for name, wanted in (entry or {}).items():
            path = ("schedule", at, name)
            if name not in steps:
                reason, hint = f"there is no process {name!r}", nearest(name, steps)
                reading.complain(path, reason, hint, at_key=True)
                continue
            for number, step in enumerate(() if name in plain else wanted):
                if step is not None and step not in steps[name]:
                    place = (*path, number) if (*path, number) in reading.nodes else path
                    hint = nearest(step, sorted(steps[name]))
                    reading.complain(place, f"{name} has no step {step!r}", hint)


def _check_options(values: Values, members: list[Group], reading: Reading) -> None:
    # A role may judge its own options: check(options) -> {option: reason}, or {"option.N": reason}
    # for one element of a list. ENDLESS names the option that, at 0, makes it work without end.
    for group in members:
        path: Path = ("processes", group.index)
        if not reading.sound(path):
            continue
        options = group.module.Options(**group.chosen.options)
        judge = getattr(group.module, "check", None)
        if judge is not None:
            for place, reason in judge(options).items():
                option, _, number = place.partition(".")
                reading.complain((*path, option, *([int(number)] if number else [])), reason)
        endless = getattr(group.module, "ENDLESS", "")
        work = getattr(options, endless) if endless else None
        if work == 0 and values.get("deadlines", {}).get("run") != 0:
            reading.complain(
                (*path, endless),
                "works until the run is told to finish, but deadlines.run would end it as hung",
                "add deadlines: {run: 0}",
            )


def _check_file(values: Values, reading: Reading) -> None:
    store = values.get("table", {}).get("store")
    if store is not None and "path" in store.options:
        # Kept in the directory of the scenario's runs, and never outside it.
        path = PurePath(store.options["path"])
        anywhere = path.is_absolute() and store.options.get("anywhere")
        if not anywhere and (path.is_absolute() or not path.parts or ".." in path.parts):
            reason = f"{str(path)!r} leads out of the directory of the runs"
            hint = "a path that does not begin with / and has no .. in it, or anywhere: true"
            reading.complain(("table", "store", "path"), reason, hint)
        elif too_long := limits.too_long("file", str(path)):
            reading.complain(("table", "store", "path"), too_long, "choose a shorter one")


def _check_expectation(values: Values, reading: Reading) -> None:
    expect = values.get("expect") or {}
    for key in ("findings", "any"):
        if expect.get("verdict") == "valid" and expect.get(key):
            reading.complain(
                ("expect", key), "a valid run has no findings", "verdict: anomaly, or no findings"
            )


def _below(path: Path, reading: Reading) -> list[str]:
    """Return the keys of the mapping at ``path`` as they are written, whole or not."""
    length = len(path) + 1
    return [
        str(known[-1]) for known in reading.nodes if known[:-1] == path and len(known) == length
    ]
