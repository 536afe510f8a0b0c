"""A grade as text for people: a table of items, and why points were lost."""

from __future__ import annotations

from typing import Any

from common.grading.gradescope import VISIBLE
from common.grading.points import figure
from common.grading.reading import Grading
from common.report.text import paint, wrapped

# How much of a reason stands in the table (letters).
WHY = 60


def grade_text(document: dict[str, Any]) -> str:
    """Return the table: item, points, of, why; then each loss with its command."""
    tests = document["tests"]
    names = [
        f"{test['number']} {test['name']}" + ("" if test["visibility"] == VISIBLE else " (hidden)")
        for test in tests
    ]
    width = max([len("total"), *map(len, names)])
    lines = [document["output"], "", f"  {'item':<{width}}  points     of  why"]
    for name, test in zip(names, tests, strict=True):
        full = test["score"] == test["max_score"]
        score = paint("valid" if full else "anomaly", f"{figure(test['score']):>6}")
        first = test["output"].partition("\n")[0]
        why = first if len(first) <= WHY else first[: WHY - 1].rstrip() + "…"
        lines.append(f"  {name:<{width}}  {score}  {figure(test['max_score']):>5}  {why}")
    of = sum(test["max_score"] for test in tests)
    lines.append(f"  {'total':<{width}}  {figure(document['score']):>6}  {figure(of):>5}")
    teacher = "extra_data" in document
    for name, test in zip(names, tests, strict=True):
        lost = test["score"] != test["max_score"]
        # What the table has cut short, the teacher reads whole also where no point was lost.
        if lost or (teacher and len(test["output"].partition("\n")[0]) > WHY):
            lines += ["", f"{name}:"]
            for line in test["output"].split("\n"):
                # A command stays on one line: it is to be copied.
                command = line.startswith("  seed ")
                lines.append(f"  {line}" if command else wrapped(line, "  "))
    return "\n".join(lines)


def check_text(
    documents: list[dict[str, Any]], grading: Grading, slowest: list[float]
) -> tuple[str, bool]:
    """Return what grading again and again has shown, and whether all is well with it."""
    lines, sound = [f"{grading.title}, graded {len(documents)} times", ""], True
    width = max(len(item.name) for item in grading.items)
    for at, item in enumerate(grading.items):
        tests = [document["tests"][at] for document in documents]
        scores = sorted({test["score"] for test in tests})
        told = [f"{' or '.join(map(figure, scores))} of {figure(item.points)}"]
        # One of each kind, in the order in which they came.
        said = list(dict.fromkeys((test["score"], test["output"]) for test in tests))
        if len(scores) > 1:
            told.append("the points differ")
        elif len(said) > 1:
            told.append("the points are the same, the words differ")
        if scores[0] < item.points:
            told.append("not all points")
        well = len(told) == 1
        sound = sound and well
        allowed = item.seconds.run * max(1, len(item.tokens))
        told.append(f"{slowest[at]:.1f} s at most of {allowed:g} allowed")
        if slowest[at] > allowed / 4:
            told[-1] += ": a slower machine may need more, raise deadlines.run"
        lines.append(f"  {item.number} {item.name:<{width}}  {'; '.join(told)}")
        for score, output in [] if well else said:
            times = sum((test["score"], test["output"]) == (score, output) for test in tests)
            first = output.partition("\n")[0]
            lines.append(wrapped(f"{times} times {figure(score)}: {first}", "      "))
    verdict = "each time the same, and all points" if sound else "not as it should be"
    return "\n".join([*lines, "", paint("valid" if sound else "anomaly", verdict)]), sound
