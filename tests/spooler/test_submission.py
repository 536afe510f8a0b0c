"""What is sent to a spooler comes from outside: what is no job is not accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from common.errors import ProcessError
from spooler import submission
from spooler.messages import Job
from spooler.submission import Submission

LETTERS = b"abcdefghijklmnopqrstuvwxyz"
GOOD = Submission(Job(LETTERS, 3, 2, 1 << 32 | 7), "submitter-1", 7, held=True)


def test_a_job_arrives_as_it_was_sent() -> None:
    """Its text, priority, pages, names, and whether it is held."""
    assert submission.unpack(submission.pack(GOOD)) == GOOD


def test_the_longest_job_fits_a_message() -> None:
    """With every number and name as long as it may be."""
    job = Job(LETTERS, 9, submission.MOST_PAGES, (1 << 53) - 1)
    longest = Submission(job, "x" * 40, (1 << 32) - 1, held=False)
    assert len(submission.pack(longest)) <= submission.SIZE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("letters", "a\nb" * 9), ("letters", "a" * 25), ("letters", 5), ("letters", "é" * 26),
        ("pages", 0), ("pages", 101), ("pages", "two"), ("priority", -1), ("priority", 10),
        ("item", 0), ("item", -1), ("item", 1 << 53), ("item", None),
        ("owner", "../x"), ("owner", "\x1b[31m"), ("owner", ""), ("owner", ["a"]),
        ("held", 1), ("held", "no"), ("number", {}),
    ],
)  # fmt: skip
def test_a_job_with_one_wrong_value_is_none(key: str, value: Any) -> None:
    """It would break the paper, a record, or the terminal of whoever lists it."""
    words = json.loads(submission.pack(GOOD)) | {key: value}
    with pytest.raises(ProcessError, match="this is no job"):
        submission.unpack(json.dumps(words).encode())


@pytest.mark.parametrize("message", [b"", b"x", b"[]", b"5", b"null", b"\xff", b'{"item": 1}'])
def test_what_is_no_job_at_all_is_refused(message: bytes) -> None:
    """Whatever comes."""
    with pytest.raises(ProcessError, match="this is no job"):
        submission.unpack(message)


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"accepted": "x"}', b"[1]", b"\xff"])
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    """Nobody believes that a job was accepted because something came."""
    with pytest.raises(ProcessError, match="this is no answer"):
        submission.accepted(answer)
    assert submission.accepted(submission.acceptance(5)) == 5
