"""How a job comes to the spooler: what a print utility sends, and what it is answered.

One JSON object a message on a connection that carries answers back. The answer means accepted: the
job is on disk. Who loses the connection before it comes sends the same job again, under the same
name, so that the spooler can tell it from another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from common.errors import PeerLost, ProcessError
from common.kernel.spool import LARGEST_PRIORITY
from common.kernel.touch import At, Touch
from spooler import messages

# The longest message, in bytes.
SIZE = 512
MOST_PAGES = 100
_OWNER = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_LETTERS = re.compile(rb"[A-Za-z]{%d}" % messages.LETTERS)


class Submission(NamedTuple):
    """A job that asks to be accepted; ``owner`` made it, as its ``number``-th."""

    job: messages.Job
    owner: str
    number: int
    held: bool

    def body(self) -> dict[str, Any]:
        """Return what the job's file holds: for printers, and for people who look at it."""
        return {
            "item": self.job.item,
            "owner": self.owner,
            "number": self.number,
            "priority": self.job.priority,
            "pages": self.job.pages,
            "letters": self.job.letters.decode("ascii"),
        }


class Line(Protocol):
    """A print utility's end of a channel that carries answers back on the same connection."""

    sending: Touch
    answering: Touch

    def send(self, message: bytes) -> None:
        """Send a job; raises ``PeerLost``."""

    def answer(self) -> bytes:
        """Return the answer to the last one; raises ``PeerLost`` and ``WaitExpired``."""


class Counter(Protocol):
    """The spooler's end: it answers whoever it heard last."""

    receiving: Touch
    replying: Touch

    def receive(self) -> bytes | None:
        """Return the next message; None when told to finish and there is none."""

    def reply(self, message: bytes) -> None:
        """Answer it; that its sender has gone is no error."""


def pack(submission: Submission) -> bytes:
    """Return the message of a job."""
    return json.dumps({**submission.body(), "held": submission.held}).encode()


def unpack(message: bytes) -> Submission:
    """Return the job in a message; raises ``ProcessError`` for what is none."""
    try:
        words = json.loads(message)
        job, held = job_of(words), words["held"]
        owner, number = words["owner"], int(words["number"])
        # It goes into the spool and onto people's terminals.
        sound = type(held) is bool and _OWNER.fullmatch(owner) is not None
    except (ValueError, KeyError, TypeError) as error:
        raise ProcessError(f"this is no job: {message!r:.100} ({error!r})") from None
    if not sound:
        raise ProcessError(f"this is no job: {message!r:.100}")
    return Submission(job, owner, number, held)


def job_of(body: Mapping[str, Any]) -> messages.Job:
    """Return the job that a file or message holds; raises ``ProcessError`` for what is none."""
    try:
        letters = str(body["letters"]).encode("ascii")
        item, priority, pages = (int(body[key]) for key in ("item", "priority", "pages"))
        sound = _LETTERS.fullmatch(letters) is not None
    except (ValueError, KeyError, TypeError) as error:
        raise ProcessError(f"this is no job: {str(body)!r:.100} ({error!r})") from None
    # A record holds its name as a double.
    sound = sound and 0 < item < 1 << 53 and 0 < pages <= MOST_PAGES
    if not sound or not 0 <= priority <= LARGEST_PRIORITY:
        raise ProcessError(f"this is no job: {str(body)!r:.100}")
    return messages.Job(letters, priority, pages, item)


def submit(line: Line, at: At | None, submission: Submission, attempts: int) -> int | str:
    """Send a job until it is accepted; returns how often it was sent again.

    A text says why it was never accepted: it was refused, or nobody answered.

    ``attempts`` bounds the tries. Raises ``WaitExpired``.
    """
    message = pack(submission)
    for again in range(attempts):
        try:
            if again and at is not None:
                at("send", line.sending)
            line.send(message)
            if at is not None:
                at("receive", line.answering)
            answer = accepted(line.answer())
            if isinstance(answer, str):
                return answer
            if answer == submission.job.item:
                return again
        except PeerLost:
            continue
    return "nobody answered"


def acceptance(item: int) -> bytes:
    """Return the answer to a job that is on disk."""
    return json.dumps({"accepted": item}).encode()


def refusal(item: int, why: str) -> bytes:
    """Return the answer to a job that cannot be kept."""
    return json.dumps({"refused": item, "why": why[:200]}).encode()


def accepted(answer: bytes) -> int | str:
    """Return which job an answer says is accepted, or why it was refused.

    Raises ``ProcessError`` for what is no answer.
    """
    try:
        words = json.loads(answer)
        return str(words.get("why", "")) if "refused" in words else int(words["accepted"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ProcessError(f"this is no answer: {answer!r:.100}") from None
