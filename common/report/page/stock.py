"""The stock of each row over time, beside what it would be had nothing been lost; losses marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from common.history.case import Case
from common.history.merge import Positions
from common.history.operations import Effect
from common.report.page.losses import Losses, losses
from common.report.page.subject import Subject
from common.report.page.thinning import borders, kept
from common.verdict.wording import many, number, signed, span, were

# Where more were lost, they are counted in equal spans of time: so many.
CROSSES, SPANS = 150, 200


def stocks(subject: Subject) -> list[dict[str, Any]]:
    """Return one picture for each row that was changed."""
    updates = subject.case.history.select(Effect.UPDATE)
    of = subject.case.history.objects[updates]
    initial = subject.case.outcome.initial or []
    return [
        _picture(subject, row, updates[of == row])
        for row in np.unique(of).tolist()
        if row < len(initial)
    ]


def _picture(subject: Subject, row: int, updates: Positions) -> dict[str, Any]:
    case, history = subject.case, subject.case.history
    name, initial = case.row(row), (case.outcome.initial or [])[row][-1]
    left = history.gather("left", updates)
    order = np.argsort(left, kind="stable")
    times = np.concatenate([[0], left[order] - case.outcome.gate_ns, [subject.end_ns]])
    actual = np.concatenate([[initial], history.gather("v4", updates)[order]])
    # Whoever left last did not always write last: how it ended, the launcher saw.
    actual = np.append(actual, (case.outcome.final or [[actual[-1]]] * (row + 1))[row][-1])
    signs = np.zeros(256)
    for code, operation in history.operations.items():
        signs[code] = operation.sign
    amounts = (history.gather("v0", updates) * signs[history.codes[updates]])[order]
    wanted = initial + np.concatenate([[0.0], np.cumsum(amounts), [amounts.sum()]])
    lost = losses(case, row)
    count = len(lost.lost) + lost.unknown
    series = [_line("in stock", "actual", times, actual)]
    if count:
        series.insert(0, _line("without losses", "wanted", times, wanted))
    drawn = sum(len(line["x"]) for line in series)
    return {
        "kind": "lines",
        "title": f"Stock of {name}",
        "sentence": _sentence(name, len(updates), lost, float(wanted[-1] - actual[-1])),
        "thinned": _thinned(drawn, len(series) * len(times), lost),
        "y": f"{name} in stock",
        "end": subject.end_ns,
        "series": series,
        "marks": _marks(case, lost, name),
        "counted": len(lost.lost) > CROSSES,
    }


def _line(
    name: str, style: str, times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]
) -> dict[str, Any]:
    keep = kept(times, values)
    shown = np.round(values[keep], 6).tolist()
    return {"name": name, "style": style, "x": times[keep].tolist(), "y": shown}


def _sentence(name: str, updates: int, lost: Losses, gap: float) -> str:
    count = len(lost.lost) + lost.unknown
    if not count:
        return f"{many(updates, 'update')} of {name}; each one survived."
    text = f"{count:,} of {many(updates, 'update')} of {name} {were(count)} lost"
    if gap:
        text += f"; at the end {number(abs(gap))} {name} are {'missing' if gap > 0 else 'too many'}"
    unknown = f" {lost.unknown:,} of them at a moment that no record tells." if lost.unknown else ""
    return f"{text}.{unknown}"


def _thinned(drawn: int, points: int, lost: Losses) -> str:
    texts = []
    if drawn < points:
        texts.append(
            f"{drawn:,} of {points:,} points are drawn: the first, last, lowest and highest of "
            "equal spans of time"
        )
    if len(lost.lost) > CROSSES:
        texts.append(f"losses are counted in {SPANS} equal spans of time, a bar each")
    return "; ".join(texts)


def _marks(case: Case, lost: Losses, name: str) -> list[dict[str, Any]]:
    count = len(lost.lost)
    if not count:
        return []
    if count <= CROSSES:
        cuts = np.arange(count + 1)
    else:
        cuts = np.unique(borders(lost.at, int(lost.at[0]), int(lost.at[-1]), SPANS))
    marks = []
    for start, end in zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True):
        by = case.history.record(int(lost.by[start]))
        victim, writer = (case.process(int(each[start])) for each in (lost.lost, lost.by))
        at = int(lost.at[start])
        if end - start == 1:
            text = (
                f"after {span(at)}: {signed(float(lost.amount[start]))} {name} of {victim} "
                f"lost, {writer} wrote {number(by['v4'])} over it"
            )
        else:
            gone = float(np.abs(lost.amount[start:end]).sum())
            text = (
                f"{many(end - start, 'update')} lost from {span(at)} to "
                f"{span(int(lost.at[end - 1]))}, {number(gone)} {name} in all"
            )
        marks.append({"x": at, "y": by["v4"], "n": end - start, "text": text})
    return marks
