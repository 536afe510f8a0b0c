"""The groups of processes that a scenario names, with what their roles declare about themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from common import kinds
from common.kernel.recovery import STEPS as RECOVERY_STEPS
from common.system import System

if TYPE_CHECKING:
    from common.scenario.shapes import Chosen

# What a program that is not ours knows: only the lecture's struct and key, or how to record, too.
PLAIN, RECORDED = "plain", "recorded"
LEVELS = (PLAIN, RECORDED)


class Use(NamedTuple):
    """One use of a channel by a role: the option that names it, what is done, bytes a message.

    ``answered``: what is sent is answered on the same connection.
    """

    option: str
    mode: str
    channel: str
    size: int
    answered: bool = False


@dataclass(frozen=True)
class Group:
    """One entry of ``processes``: ``index`` is its position there.

    ``recovers``: the scenario's table has recovery.
    """

    index: int
    name: str
    count: int
    system: System
    module: ModuleType
    chosen: Chosen
    recovers: bool = False

    @property
    def processes(self) -> list[str]:
        """The names of its processes."""
        return [f"{self.name}-{number}" for number in range(self.count)]

    @property
    def needs_table(self) -> bool:
        """Whether the role opens the shared table."""
        return bool(getattr(self.module, "NEEDS_TABLE", False))

    @property
    def spool(self) -> str:
        """What the role does with the spool: ``send`` (fills it), ``receive``, "" for nothing."""
        return str(getattr(self.module, "SPOOL", ""))

    @property
    def delays(self) -> dict[str, dict[str, int]]:
        """The delays that only this group has, by step."""
        delays: dict[str, dict[str, int]] = self.chosen.common.get("delays", {})
        return delays

    @property
    def plain(self) -> bool:
        """Whether a program takes the role that knows neither records nor steps."""
        common = self.chosen.common
        return "command" in common and common.get("level", PLAIN) == PLAIN

    def uses(self) -> Iterator[Use]:
        """Yield each use that this group makes of a channel."""
        fields = self.module.Options.__dataclass_fields__
        # A role may send messages of several kinds: then it says how long they are.
        sized = getattr(self.module, "message_size", None)
        for name, field in fields.items():
            channel = self.chosen.options.get(name, field.default)
            if field.metadata["channel"] and isinstance(channel, str) and channel:
                mode = field.metadata["channel"]
                plain = {"call": "send", "serve": "receive"}.get(mode, mode)
                size = sized(self.chosen.options) if sized else field.metadata["message"]
                yield Use(name, plain, channel, size, plain != mode)

    def steps(self, channels: Mapping[str, Chosen | None]) -> set[str]:
        """Return the steps that these processes go through, those of their channels included."""
        return set() if self.plain else self.marked(channels)

    def marked(self, channels: Mapping[str, Chosen | None]) -> set[str]:
        """Return the steps of its role, whether or not its program is one that marks them."""
        steps = set(getattr(self.module, "STEPS", ()))
        if self.recovers and self.needs_table:
            steps |= set(RECOVERY_STEPS)
        for use in self.uses():
            channel = channels.get(use.channel)
            if channel is not None:
                steps |= set(getattr(kinds.load(kinds.CHANNELS, channel.kind), "STEPS", ()))
        return steps


def groups(values: Mapping[str, Any], roles: Mapping[str, System]) -> list[Group]:
    """Return the groups of a scenario that was read; ``roles`` tells the system of each role."""
    found = []
    for index, chosen in enumerate(values.get("processes", [])):
        if chosen is not None:
            system = roles[chosen.kind]
            module = kinds.load(system.roles, chosen.kind)
            name = chosen.common.get("name", chosen.kind)
            count = chosen.common.get("count", 1)
            found.append(Group(index, name, count, system, module, chosen, recovers(values)))
    return found


def recovers(values: Mapping[str, Any]) -> bool:
    """Say whether the table of a scenario that was read has recovery."""
    chosen = (values.get("table") or {}).get("recovery")
    return chosen is not None and chosen.kind != "none"
