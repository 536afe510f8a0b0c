"""How many messages stood in each channel over time? Those put, less those taken.

A message is there from the end of its sending to the end of its taking. Where the two stamps
contradict (the taker left before the sender did), it was there by the time it was taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from common.history.operations import Effect
from common.report.page.subject import Subject
from common.report.page.thinning import kept
from common.verdict.wording import many


def depths(subject: Subject) -> list[dict[str, Any]]:
    """Return one picture for each channel that was used."""
    history = subject.case.history
    sends, takes = history.select(Effect.OFFER, Effect.PASS), history.select(Effect.TAKE)
    pictures = []
    for channel in subject.case.plan.channels:
        sent = sends[history.objects[sends] == channel.index]
        taken = takes[history.objects[takes] == channel.index]
        if not len(sent) and not len(taken):
            continue
        put, got = history.gather("left", sent), history.gather("left", taken)
        _put_before_taken(put, history.gather("item", sent), got, history.gather("item", taken))
        times = np.concatenate([put, got]) - subject.case.outcome.gate_ns
        change = np.concatenate([np.ones(len(put)), -np.ones(len(got))])
        # At equal stamps what was put comes first.
        order = np.lexsort((-change, times))
        times, values = np.append(0, times[order]), np.append(0, np.cumsum(change[order]))
        keep = kept(times, values)
        name = channel.name + (f", all {channel.per}s together" if channel.per else "")
        left = int(values[-1])
        sentence = f"{many(len(sent), 'message')} put into {name}, {len(taken):,} taken; "
        sentence += f"at most {int(values.max()):,} at once."
        if left:
            sentence += (
                f" At the end {many(left, 'message')} more had been put than taken."
                if left > 0
                else f" {many(-left, 'message')} more were taken than put."
            )
        if values.min() < 0:
            sentence += " Below zero, messages had been taken twice."
        pictures.append(
            {
                "kind": "lines",
                "title": f"Messages in {name}",
                "sentence": sentence,
                "thinned": ""
                if len(keep) == len(times)
                else f"{len(keep):,} of {len(times):,} points are drawn: the first, last, lowest "
                "and highest of equal spans of time",
                "y": "messages in the channel",
                "end": subject.end_ns,
                "series": [
                    {
                        "name": "put, less taken",
                        "style": "actual",
                        "x": times[keep].tolist(),
                        "y": values[keep].tolist(),
                    }
                ],
                "marks": [],
                "counted": False,
            }
        )
    return pictures


def _put_before_taken(put: Any, put_items: Any, got: Any, got_items: Any) -> None:
    """Move each put to no later than the first taking of the same message, in place."""
    if not len(put) or not len(got):
        return
    order = np.lexsort((got, got_items))
    items, times = got_items[order], got[order]
    at = np.minimum(np.searchsorted(items, put_items), len(items) - 1)
    same = items[at] == put_items
    put[same] = np.minimum(put[same], times[at[same]])
