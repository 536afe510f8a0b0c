"""Remote procedure calls to an office of the exchange: what travels, and the caller's stub.

The lecture's picture: a stub looks like the procedure and marshals its arguments, the server's stub
unmarshals them, calls the real procedure, and the result goes back the same way. The wire format is
one JSON object a message, so that a trace can be read as it is.

No library does this here: what is to be seen are the steps of a call, each of which a schedule can
stop and a fault can hit, and rpyc, Pyro5, gRPC or xmlrpc hide just these.
"""

from __future__ import annotations

import json
from typing import NamedTuple, Protocol

from common.errors import PeerLost, ProcessError
from common.kernel.touch import At, Touch

# The longest call and answer, in bytes.
SIZE = 256
VERBS = {True: "buy", False: "sell"}

NEVER, BLIND, KEYED = "never", "blind", "keyed"
RETRIES = (NEVER, BLIND, KEYED)


class Call(NamedTuple):
    """The arguments of one call; ``key`` is its idempotence key, "" for none."""

    item: int
    buying: bool
    row: int
    amount: float
    key: str


class Answer(NamedTuple):
    """Its result: whether the trade was done (its own check may turn it down)."""

    item: int
    done: bool


class Line(Protocol):
    """A caller's end of a channel that carries answers back on the same connection."""

    sending: Touch
    answering: Touch

    def send(self, message: bytes) -> None:
        """Send a call; raises ``PeerLost``."""

    def answer(self) -> bytes:
        """Return the answer to the last call; raises ``PeerLost`` and ``WaitExpired``."""


def pack_call(call: Call) -> bytes:
    """Marshal the arguments."""
    words = {"call": VERBS[call.buying], "item": call.item, "row": call.row, "amount": call.amount}
    return json.dumps(words | ({"key": call.key} if call.key else {})).encode()


def unpack_call(message: bytes) -> Call:
    """Unmarshal them; raises ``ProcessError`` for what is no call."""
    try:
        words = json.loads(message)
        buying = {verb: flag for flag, verb in VERBS.items()}[words["call"]]
        amount = float(words["amount"])
        return Call(int(words["item"]), buying, int(words["row"]), amount, words.get("key", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise ProcessError(f"this is no call: {message!r} ({error})") from None


def pack_answer(answer: Answer) -> bytes:
    """Marshal the result."""
    return json.dumps(answer._asdict()).encode()


def unpack_answer(message: bytes) -> Answer:
    """Unmarshal it; raises ``ProcessError`` for what is no answer."""
    try:
        words = json.loads(message)
        return Answer(int(words["item"]), bool(words["done"]))
    except (ValueError, KeyError, TypeError) as error:
        raise ProcessError(f"this is no answer: {message!r} ({error})") from None


class Stub:
    """The procedure as a caller sees it; ``retry`` says what it does when nobody answers.

    ``never``: at most once, and a failed call may have been done. ``blind``: at least once, the
    same call again. ``keyed``: again with the key of the first try, so that an office that
    remembers it does it once. ``attempts`` bounds the tries of one call.
    """

    def __init__(self, line: Line, at: At | None, retry: str, attempts: int) -> None:
        self.retried = 0
        self._line = line
        self._at = at
        self._keyed = retry == KEYED
        self._tries = 1 if retry == NEVER else attempts

    def trade(self, call: Call) -> bool | None:
        """Buy or sell there; returns whether it was done, None when nobody answered.

        Raises ``WaitExpired``, and ``Stop`` of a schedule before the call is sent.
        """
        line, at = self._line, self._at
        message = pack_call(call._replace(key=f"{call.item:x}") if self._keyed else call)
        for tried in range(self._tries):
            self.retried += tried > 0
            try:
                if tried and at is not None:
                    at("send", line.sending)
                line.send(message)
                if at is not None:
                    at("receive", line.answering)
                answer = unpack_answer(line.answer())
            except PeerLost:
                continue
            if answer.item != call.item:
                raise ProcessError(f"asked for {call.item}, answered was {answer.item}")
            return answer.done
        return None
