"""The exchange as a server: does the trades that are called for, and answers on the same line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from common.kernel.touch import Touch
from common.options import option
from common.process.context import Context
from exchange import remembering, remote
from exchange.desk import STEPS as DESK_STEPS
from exchange.desk import Desk
from exchange.layout import BALANCE
from exchange.operations import TAKE_ORDER

NEEDS_TABLE = True
STEPS = (*DESK_STEPS, "receive", "send")


@dataclass(frozen=True)
class Options:
    """What an office can be told."""

    calls: str = option(
        about="The channel of the calls; its kind must carry answers back.", channel="serve",
        message=remote.SIZE,
    )  # fmt: skip
    balance: float = option(
        1000 * BALANCE, about="The private balance to begin with.", minimum=0, maximum=1e12
    )
    remembers: str = option(
        remembering.NOTHING,
        about="Where it keeps the answers to calls that have a key: nowhere, in its own memory, "
        "or in a file that all offices share.",
        choices=remembering.PLACES,
    )
    hangs_up_every: int = option(
        0, about="Of so many calls one is done and never answered: it hangs up; 0: none.",
        minimum=0, maximum=1_000_000,
    )  # fmt: skip


class Line(Protocol):
    """An office's end of the channel: it answers whoever it heard last."""

    receiving: Touch
    replying: Touch

    def receive(self) -> bytes | None:
        """Return the next call, None when told to finish and there is none."""

    def reply(self, message: bytes) -> None:
        """Answer the call that was received last; a caller that has gone is no error."""

    def hang_up(self) -> None:
        """Close the connection of the call that was received last."""


def records(options: Options) -> int:
    """Return how many records this role will write, as far as it is known."""
    return 1024


def prepare(context: Context, options: Options) -> Callable[[], dict[str, Any]]:
    """Open the desk and the line; returns what to do once the gate is open."""
    desk = Desk(context, options.balance)
    line = cast(Line, context.channel(options.calls, "receive"))
    index = context.channel_index(options.calls)
    shared = options.remembers == remembering.FILE
    answers = remembering.Answers(context.shared_file("answers") if shared else None)
    clock, at = context.clock, context.at

    keyed = options.remembers != remembering.NOTHING

    def work(call: remote.Call, asked: int) -> tuple[bytes, bool]:
        """Return the answer to a call that is done for the first time, and whether it was done."""
        cell = context.begin(TAKE_ORDER, index, call.item, asked, asked, call.amount)
        context.end(cell, call.amount, 0.0, 0.0, 0.0, clock())
        done = desk.trade(call.buying, call.row, call.amount, call.item)
        answer = remote.pack_answer(remote.Answer(call.item, done))
        if call.key and keyed:
            # Before it is sent: whoever calls again has not had it.
            answers.remember(call.key, answer)
        return answer, done

    def serve() -> dict[str, Any]:
        done = taken = calls = replied = 0
        while True:
            if at is not None:
                at("receive", line.receiving)
            asked = clock()
            message = line.receive()
            if message is None:
                return {"balance": desk.balance, "done": done, "taken": taken, "replied": replied}
            calls += 1
            call = remote.unpack_call(message)
            answer = answers.look(call.key) if call.key and keyed else None
            if answer is None:
                answer, traded = work(call, asked)
                taken += 1
                done += traded
            if at is not None:
                at("send", line.replying)
            if options.hangs_up_every and calls % options.hangs_up_every == 0:
                line.hang_up()
                continue
            line.reply(answer)
            replied += 1

    return serve
