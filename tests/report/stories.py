"""Tells the story of a finding of a hand-drawn run, without the command line around it."""

from __future__ import annotations

from typing import Any

from common.history.case import Case
from common.report.story import tell
from common.verdict.judge import judge


def story(case: Case, kind: str, which: str = "first") -> dict[str, Any]:
    """Return the story of the finding of ``kind``, of its first case if not told otherwise."""
    (finding,) = [each for each in judge(case).findings if each.kind == kind]
    return tell(case, finding, which)


def texts(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the rows of a story: each one's process and text."""
    return [(row["process"], row["text"]) for row in told["rows"]]
