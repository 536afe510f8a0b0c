"""Holds, releases and cancels jobs in a spool, line by line, as somebody at the desk does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from common.errors import KernelObjectError, UsageError
from common.kernel.spool import FINAL, VERBS
from common.options import option
from common.process.context import Context
from spooler import orders

SPOOL = "send"
STEPS = ("order", "move")


@dataclass(frozen=True)
class Options:
    """What an operator can be told."""

    lines: list[str] = option(
        about="What it does, one after another: " + orders.FORM + ". A line about one job waits "
        "until that can be done, one about all is about those that are there.",
        minimum=1, maximum=1000,
    )  # fmt: skip


def check(options: Options) -> dict[str, str]:
    """Return what is wrong with the lines, by their place."""
    wrong = {}
    for number, line in enumerate(options.lines):
        try:
            orders.parse(line)
        except UsageError as error:
            wrong[f"lines.{number}"] = str(error)
    return wrong


def records(options: Options) -> int:
    """Return how many records this role will write: the journal of the spool tells what it did."""
    return 1


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the spool; returns what to do once the gate is open."""
    spool = context.spool()
    clerk = orders.Clerk(spool)
    at = context.at

    def obey(order: orders.Order) -> tuple[int, int]:
        """Do one line; returns how many jobs were moved, and how many could not be."""
        _, possible = VERBS[order.verb]
        deadline = None
        while not context.finishing:
            found = clerk.chosen(order.which, spool.look_for_news())
            able = [each for each in found if each.state in possible]
            over = bool(found) and all(each.state in FINAL for each in found)
            if able or over or order.which.many:
                return change(order.verb, [each.item for each in able]), len(found) - len(able)
            if deadline is None:
                with context.wait.standing(f"{order.which}, to {order.verb} it") as standing:
                    deadline = standing
            deadline.tick()
            spool.await_news()
        return 0, 0

    def change(verb: str, items: list[int]) -> int:
        moved = 0
        for item in items:
            if at is not None:
                at("order", spool.touch)
            try:
                spool.change(item, verb)
            except KernelObjectError:
                # Somebody else has moved it since this was looked at.
                continue
            moved += 1
        return moved

    def operate() -> dict[str, Any]:
        moved = refused = 0
        for line in options.lines:
            done, not_done = obey(orders.parse(line))
            moved += done
            refused += not_done
        return {"moved": moved, "not_moved": refused}

    return operate
