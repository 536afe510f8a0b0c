"""What must fit together where a program that is not ours takes a role.

Such a program can be told keys, names and paths, and no more; a plain one has no steps, and what it
did is only known by what it leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from common import kinds
from common.kernel import limits
from common.kernel.asking import LAB, OTHER
from common.kinds import nearest
from common.scenario.groups import PLAIN, RECORDED, Group
from common.scenario.shapes import Chosen
from common.scenario.values import Path, Reading
from common.system import TableLayout

Values = Mapping[str, Any]


def check(
    values: Values, members: list[Group], reading: Reading, layout: TableLayout | None
) -> None:
    """Complain in ``reading`` of all that no program of another could do, or be judged by."""
    for group in members:
        path: Path = ("processes", group.index)
        if "command" not in group.chosen.common:
            if "level" in group.chosen.common and reading.sound(path):
                reason = "says how a program takes part, and no program is named"
                reading.complain((*path, "level"), reason, "add command: ./PROGRAM", at_key=True)
            continue
        _check_entry(group, path, reading)
        _check_steps(values, group, members, path, reading)
        _check_reach(values, group, path, reading)
        if group.plain and layout is not None and reading.sound():
            _check_luck(values, group, members, path, reading, layout)
    _check_makers(values, members, reading)


def _check_entry(group: Group, path: Path, reading: Reading) -> None:
    common = group.chosen.common
    if "spawn" in common:
        reason = "a program is started by exec, whatever else is"
        reading.complain((*path, "spawn"), reason, "leave spawn out", at_key=True)
    for name, field in group.module.Options.__dataclass_fields__.items():
        if field.metadata["program"] and name in group.chosen.options:
            reason = "is started by a process of the lab, and a program takes its place"
            reading.complain((*path, name), reason, f"command: or {name}:", at_key=True)
    if not group.plain and not hasattr(group.module, "records"):
        reason = f"a {group.chosen.kind} writes no records"
        reading.complain((*path, "level"), reason, f"level: {PLAIN}")


def _check_steps(
    values: Values, group: Group, members: list[Group], path: Path, reading: Reading
) -> None:
    """Complain once of a plain program where a scenario counts on the steps of its role."""
    if not group.plain:
        return
    channels = values.get("channels", {})
    others = {step for other in members for step in other.steps(channels)}
    missed = group.marked(channels) - others
    what = f"{group.name} is a plain program: it has no steps"
    if "schedule" in values:
        hint = f"level: {RECORDED}, or leave the schedule out"
        reading.complain((*path, "command"), f"{what}, and nobody can lead it", hint, at_key=True)
    elif "delays" in group.chosen.common:
        hint = f"level: {RECORDED}"
        reading.complain((*path, "delays"), f"{what} to be delayed at", hint, at_key=True)
    elif missed & set(values.get("delays", {})):
        hint = f"level: {RECORDED}, or leave the delays out"
        reading.complain((*path, "command"), f"{what} to be delayed at", hint, at_key=True)


def _check_reach(values: Values, group: Group, path: Path, reading: Reading) -> None:
    """Complain of what can only be inherited: an open descriptor has no name."""
    place = (*path, "command")
    table = values.get("table", {})
    lock = table.get("lock")
    if group.needs_table and lock is not None and _inherited(kinds.LOCKS, lock.kind):
        reason = f"the table's lock {lock.kind} is a descriptor that processes of the lab inherit"
        hint = "a lock with a name: " + ", ".join(_open_kinds(kinds.LOCKS, "take"))
        reading.complain(place, f"no other program can take it: {reason}", hint, at_key=True)
    channels: Mapping[str, Chosen] = values.get("channels", {})
    for use in group.uses():
        channel = channels.get(use.channel)
        if channel is None:
            continue
        made = channel.options.get("made_by", LAB) != LAB
        if use.mode in _inherited(kinds.CHANNELS, channel.kind) and not made:
            able = _open_kinds(kinds.CHANNELS, use.mode)
            hint = "one of: " + ", ".join(able)
            if use.mode not in ("send",) and "send" not in _inherited(kinds.CHANNELS, channel.kind):
                hint = f"give {use.channel} a path and made_by: {group.name}; or {hint}"
            reason = f"no other program can {use.mode} on {use.channel}: a {channel.kind} is " + (
                "inherited as an open descriptor"
            )
            reading.complain((*path, use.option), reason, hint)


def _inherited(package: str, kind: str) -> tuple[str, ...]:
    """Return what is done with a kind by means of a descriptor that only a child can have."""
    module = kinds.load(package, kind)
    found: tuple[str, ...] = getattr(module, "INHERITED", ())
    if not found and hasattr(module, "descriptors"):
        found = ("take",) if package == kinds.LOCKS else ("send", "receive", "answer")
    return found


def _open_kinds(package: str, mode: str) -> list[str]:
    return [kind for kind in kinds.names(package) if mode not in _inherited(package, kind)]


def _check_luck(
    values: Values,
    group: Group,
    members: list[Group],
    path: Path,
    reading: Reading,
    layout: TableLayout,
) -> None:
    """Complain of lines that may be refused, or not, as it happens: then nothing can be judged."""
    judge = getattr(group.module, "risks", None)
    if judge is None:
        return
    stocks = _stocks(values, layout)
    sold: dict[int, float] = {}
    unknown = ""
    for other in members:
        if not other.needs_table or getattr(other.module, "READS_ONLY", False):
            continue
        if getattr(other.module, "CHANGES_RATES", False):
            reason = f"{other.name} changes the rates while {group.name} trades"
            hint = "what comes out would depend on luck: leave one of them out"
            reading.complain((*path, "lines"), reason, hint)
            return
        most = getattr(other.module, "most_sold", None)
        if most is None:
            unknown = other.name
            continue
        options = other.module.Options(**other.chosen.options)
        count = other.count
        for row, amount in most(options).items():
            sold[row] = sold.get(row, 0.0) + amount * count
    options = group.module.Options(**group.chosen.options)
    for place, reason in judge(options, stocks, sold, unknown).items():
        option, _, number = place.partition(".")
        reading.complain(
            (*path, option, *([int(number)] if number else [])),
            f"the result would depend on luck: {reason}",
            "fewer or smaller sales, or a greater first stock (table.rows)",
        )


def _stocks(values: Values, layout: TableLayout) -> list[list[float]]:
    changes = values.get("table", {}).get("rows", {})
    found = []
    for name, row in zip(layout.rows, layout.initial, strict=True):
        own = changes.get(name, {})
        found.append([own.get(*cell) for cell in zip(layout.fields, row, strict=True)])
    return found


def _check_makers(values: Values, members: list[Group], reading: Reading) -> None:
    """Complain of objects whose maker is nobody, or that nobody could find."""
    programs = {group.name: group for group in members if "command" in group.chosen.common}
    store, lock = (values.get("table", {}).get(part) for part in ("store", "lock"))
    parts = [(("table", "store"), store), (("table", "lock"), lock)]
    parts += [(("channels", name), part) for name, part in values.get("channels", {}).items()]
    for path, part in parts:
        if part is None or not reading.sound(path):
            continue
        _check_path(path, part, reading)
        maker = part.options.get("made_by", LAB)
        if maker == LAB:
            continue
        place = (*path, "made_by")
        if maker != OTHER and maker not in programs:
            # An entry that could not be read may be the one: it was complained about already.
            if reading.sound(("processes",)):
                known = [LAB, OTHER, *programs]
                reason = f"there is no program {maker!r} among the processes"
                reading.complain(place, reason, nearest(maker, known))
        elif maker != OTHER and (not programs[maker].plain or programs[maker].count != 1):
            reason = f"{maker} is to make it: one plain program makes an object"
            reading.complain(place, reason, f"level: {PLAIN} and count: 1")
        elif part.kind in ("mmap_file", "plain_file") and not part.options.get("anywhere"):
            reason = "another program knows a file by its absolute path"
            reading.complain(place, reason, "path: /…/exchange.dat and anywhere: true")
        elif "anywhere" not in part.options and not (
            part.options.get("key") or part.options.get("path")
        ):
            reason = "nobody can find what another program makes without its key or path"
            reading.complain(place, reason, "add key: or path:")
        elif path[0] == "channels" and part.common.get("per") is not None:
            reading.complain(place, "is made once, and `per` makes one for each", "leave `per` out")
        elif path == ("table", "lock") and values["table"].get("granularity") == "row":
            reading.complain(place, "one semaphore guards the whole table", "granularity: table")


def _check_path(path: Path, part: Chosen, reading: Reading) -> None:
    given = part.options.get("path")
    if given is None or path[0] != "channels":
        return
    plain = PurePath(given)
    if not plain.is_absolute() or ".." in plain.parts or "\0" in given:
        reason = f"{given!r} is no absolute path"
        reading.complain((*path, "path"), reason, "it begins with / and has no .. in it")
    elif part.common.get("per") is not None:
        reading.complain((*path, "path"), "is that of one object, and `per` makes several")
    else:
        module = kinds.load(kinds.CHANNELS, part.kind)
        (made,) = module.awaited(module.Options(**part.options), 0)
        if too_long := limits.too_long(made.kind, given):
            reading.complain((*path, "path"), too_long, "choose a shorter one")
