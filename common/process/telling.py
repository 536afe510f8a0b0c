"""What a program that is not ours is told of a run: environment variables and arguments.

Every entry of an object's address becomes a variable, whatever its kind; a kind whose address would
not explain itself says it in plain entries (``told(address)`` of its module).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from common import kinds
from common.errors import UsageError
from common.history import record
from common.kinds import nearest

VERSION = "1"
# Of these only the lab can make something: descriptors of its own, and whether it filled a table.
_OURS = ("fd", "inode", "fresh")
_VARIABLE = re.compile(r"\{(LAB_[A-Z0-9_]+)\}")


def environment(job: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of one process (docs/protocol.md)."""
    program = job["program"]
    told = {
        "LAB_VERSION": VERSION,
        "LAB_NAME": job["name"],
        "LAB_GROUP": job["group"],
        "LAB_ROLE": job["role"],
        "LAB_INDEX": str(job["index"]),
        "LAB_SEED": str(job["seed"]),
        "LAB_LIFE": str(job["life"]),
        "LAB_LEVEL": program["level"],
        "LAB_RUN": job["run"],
    }
    for option, value in job["options"].items():
        told[_name("LAB_OPTION", option)] = "" if value is None else _text(option, value)
    told |= _table(job["addresses"]["table"])
    told |= _channels(job["addresses"]["channels"])
    paper = job["addresses"]["paper"]
    if paper is not None:
        told |= {"LAB_PAPER_PATH": paper["path"], "LAB_PAPER_LOCK_KIND": paper["lock"]["kind"]}
        told |= dict(_entries("LAB_PAPER_LOCK", _told(kinds.LOCKS, paper["lock"])))
    if program["level"] == "recorded":
        told |= {
            "LAB_REPORT": job["report"],
            "LAB_RECORD": job["record"],
            "LAB_CAPACITY": str(job["capacity"]),
            "LAB_GATE": _text("key", job["addresses"]["gate"]["key"]),
            "LAB_TURNS": _text("turns", job["turns"]),
            "LAB_DELAYS": json.dumps(job["delays"]),
            "LAB_FAULTS": json.dumps(job["faults"]),
            "LAB_WAIT": f"{job['wait_s']:g}",
            "LAB_START": f"{job['start_s']:g}",
        }
    return told


def words(job: Mapping[str, Any], told: Mapping[str, str]) -> list[str]:
    """Return program and arguments with each ``{LAB_…}`` replaced; raises ``UsageError``."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in told:
            raise UsageError(
                f"{job['name']}: no program is told {found[1]} here", nearest(found[1], told)
            )
        return told[found[1]]

    program, *arguments = job["program"]["words"]
    return [program, *(_VARIABLE.sub(value, argument) for argument in arguments)]


def _table(table: Mapping[str, Any] | None) -> dict[str, str]:
    if table is None:
        return {}
    locks = table["locks"]
    told = {
        "LAB_TABLE_KIND": table["kind"],
        "LAB_TABLE_ROWS": " ".join(table["names"]),
        "LAB_LOCKS": str(len(locks)),
        "LAB_LOCK_KIND": locks[0]["kind"],
        "LAB_LOCK_NUMBERS": " ".join(_numbers(locks)),
    }
    if table["recovery"] is not None:
        told["LAB_TABLE_RECOVERY"] = table["recovery"]["half_done"]
    told |= dict(_entries("LAB_TABLE", _told(kinds.TABLES, table, "memory")))
    for number, lock in enumerate(locks):
        told |= dict(_entries(f"LAB_LOCK_{number}", _told(kinds.LOCKS, lock)))
    return told


def _numbers(locks: list[Mapping[str, Any]]) -> list[str]:
    # By which number a record says that a lock was held.
    if not kinds.load(kinds.LOCKS, locks[0]["kind"]).EXCLUDES:
        return [str(record.NO_LOCK)] * len(locks)
    if len(locks) == 1:
        return [str(record.TABLE_LOCK)]
    return [str(record.FIRST_ROW_LOCK + row) for row in range(len(locks))]


def _channels(channels: Mapping[str, Any]) -> dict[str, str]:
    told = {"LAB_CHANNELS": " ".join(channels)} if channels else {}
    for name, channel in channels.items():
        prefix = _name("LAB_CHANNEL", name)
        told |= {f"{prefix}_KIND": channel["kind"], f"{prefix}_INDEX": str(channel["index"])}
        if channel["per"]:
            told[f"{prefix}_OWNERS"] = " ".join(channel["at"])
        for owner, address in channel["at"].items():
            place = _name(prefix, owner) if channel["per"] else prefix
            entries = _told(kinds.CHANNELS, {"kind": channel["kind"], "at": address})
            told |= dict(_entries(place, entries))
    return told


def _told(package: str, part: Mapping[str, Any], at: str = "at") -> Mapping[str, Any]:
    module = kinds.load(package, part["kind"])
    say = getattr(module, "told", None)
    found: Mapping[str, Any] = part[at] if say is None else say(part[at])
    return found


def _entries(prefix: str, address: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every entry of an address as a variable, those of an address in it too."""
    for entry, value in address.items():
        if entry in _OURS or value is None:
            continue
        name = _name(prefix, entry)
        if isinstance(value, Mapping):
            kind = {"kind": value["kind"]} if "kind" in value else {}
            yield from _entries(name, {**kind, **value.get("at", value)})
        else:
            yield name, _text(entry, value)


def _text(entry: str, value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int) and entry.endswith("key"):
        return f"{value:#x}"
    if isinstance(value, list):
        return "\n".join(_text(entry, one) for one in value)
    return str(value)


def _name(prefix: str, word: str) -> str:
    return f"{prefix}_" + re.sub("[^A-Z0-9]", "_", word.upper())
