"""The grade as Gradescope's ``results.json``, and what a student may see of it.

The format: gradescope-autograders.readthedocs.io, "Autograder Specifications". What lies in
``extra_data`` is stored and shown to nobody but who fetches it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from common.grading.judging import Seen
from common.grading.points import DIGITS, figure, points
from common.grading.reading import Grading, Item

VISIBLE = "visible"
Graded = tuple[Item, Seen]


def results(grading: Grading, graded: Sequence[Graded], seconds: float) -> dict[str, Any]:
    """Return the document; but for ``execution_time`` it is the same each time."""
    scores = [points(item, seen) for item, seen in graded]
    of = sum(item.points for item, _ in graded)
    return {
        "score": round(sum(scores), DIGITS),
        "execution_time": round(seconds, 3),
        "output": f"{grading.title}: {figure(sum(scores))} of {figure(of)} points",
        "visibility": VISIBLE,
        "stdout_visibility": "hidden",
        "tests": [_test(grading, *each) for each in graded],
        "extra_data": {
            "grading": grading.source,
            "max_score": of,
            "lost": [
                {"item": item.name, "number": str(item.number), **asdict(loss)}
                for item, seen in graded
                for loss in seen.losses
            ],
        },
    }


def _test(grading: Grading, item: Item, seen: Seen) -> dict[str, Any]:
    score = points(item, seen)
    how = "walk" if item.walk is not None else "schedules" if item.tokens else "run"
    return {
        "name": item.name,
        "number": str(item.number),
        "score": score,
        "max_score": item.points,
        "output": output(item, seen),
        "visibility": grading.hidden_until if item.hidden else VISIBLE,
        "tags": [item.scenario, item.variant, how],
        "extra_data": {"losses": [asdict(loss) for loss in seen.losses]},
    }


def output(item: Item, seen: Seen) -> str:
    """Return why points were lost, for the student; how to see it again, unless it is hidden."""
    lines = []
    for loss in seen.losses:
        lines.append(loss.sentence)
        if loss.command is not None and not item.hidden:
            lines.append(f"  seed {loss.seed}; see it again: {loss.command}")
    return "\n".join(lines or [seen.said])


def for_student(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document without hidden items and without what is for the teacher alone."""
    tests = [
        {name: value for name, value in test.items() if name != "extra_data"}
        for test in document["tests"]
        if test["visibility"] == VISIBLE
    ]
    score = round(sum(test["score"] for test in tests), DIGITS)
    of = sum(test["max_score"] for test in tests)
    hidden = len(document["tests"]) - len(tests)
    title = document["output"].rpartition(": ")[0]
    told = f"{title}: {figure(score)} of {figure(of)} points"
    told += f", and {hidden} hidden" if hidden else ""
    kept = {name: value for name, value in document.items() if name != "extra_data"}
    return {**kept, "score": score, "output": told, "tests": tests}
