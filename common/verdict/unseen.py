"""Which processes wrote no history, and what can therefore not be seen of a run."""

from __future__ import annotations

from collections.abc import Iterable

from common.history.case import Case
from common.scenario.plan import ChannelPlan, Plan, ProcessPlan
from common.verdict import printed
from common.verdict.wording import listed


def programs(plan: Plan) -> list[ProcessPlan]:
    """Return the processes that write no history."""
    return [process for process in plan.processes if process.plain]


def on_table(plan: Plan) -> list[ProcessPlan]:
    """Return those that may have changed the table: not who has no lines, and so only makes it."""
    if plan.table is None:
        return []
    return [
        each
        for each in programs(plan)
        if each.program
        and each.program.uses_table
        and (each.program.lines or each.program.changes is None)
    ]


def ends(plan: Plan, channel: ChannelPlan) -> tuple[list[ProcessPlan], list[ProcessPlan]]:
    """Return those that send to a channel, and those that receive from it."""
    sending = {group.name for group in plan.groups if channel.name in group.sends}
    receiving = {group.name for group in plan.groups if channel.name in group.receives}
    mine = programs(plan)
    return (
        [each for each in mine if each.group in sending],
        [each for each in mine if each.group in receiving],
    )


def channels(plan: Plan) -> list[ChannelPlan]:
    """Return the channels of which one end wrote no history."""
    return [channel for channel in plan.channels if any(ends(plan, channel))]


def nameless(plan: Plan) -> list[ChannelPlan]:
    """Return these channels, and those whose messages are texts, which bear no name."""
    texts = {
        name
        for process in plan.processes
        if process.options.get("format") == "text"
        for name in (process.options.get("to"), process.options.get("source"))
    }
    blind = {channel.name for channel in channels(plan)}
    return [channel for channel in plan.channels if channel.name in texts | blind]


def names(processes: Iterable[ProcessPlan]) -> str:
    """Return the names of some processes, not all where there are many."""
    return listed([each.name for each in processes])


def remarks(case: Case) -> list[str]:
    """Return what a reader must know of programs that wrote no history."""
    said = []
    mine = on_table(case.plan)
    if mine:
        said.append(
            f"{names(mine)} wrote no history: judged by the balance sheet alone (first stock, "
            "recorded trades and lines, against the last stock); no overwriter can be named and no "
            "overlap counted, and valid means that the sheet is right"
        )
    silent = [each for each in mine if _tells_no_balance(case, each)]
    if silent:
        said.append(
            f"{names(silent)} printed no balance: what is in hand was not compared with the lines"
        )
    blind = channels(case.plan)
    if blind:
        both = dict.fromkeys(
            each.name for one in blind for part in ends(case.plan, one) for each in part
        )
        where = listed([channel.name for channel in blind])
        said.append(
            f"{listed(list(both))} wrote no history: of the messages in {where} only their number "
            "and their text are judged, not who had which, or when"
        )
    return said


def _tells_no_balance(case: Case, process: ProcessPlan) -> bool:
    program = process.program
    if program is None or program.balance is None or not program.lines:
        return False
    said = printed.read(case.outputs.get(process.name, ""))
    return said.balance is None and said.strange is None
