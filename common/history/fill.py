"""How full did each channel get, and how long did its senders stand in it? Figures of a history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from common.history.merge import History
from common.history.operations import Effect

# Of more messages the highest fill is not looked for: it takes them all in order.
MOST = 2_000_000

SENDS, TAKES = (Effect.OFFER, Effect.PASS), (Effect.TAKE,)


@dataclass
class Channel:
    """One channel: messages sent and taken, its highest fill, and how long senders stood in it.

    ``highest`` is how many at least were in it at one moment: sent, and nobody had begun to take
    them; None where nobody recorded the taking, or where it was not looked for. ``send_s`` is the
    sum of the times of all sends, ``longest_send_s`` the longest one (s).
    """

    sent: int = 0
    taken: int = 0
    highest: int | None = None
    send_s: float = 0.0
    longest_send_s: float = 0.0


def channels(history: History) -> dict[int, Channel]:
    """Return the figures of each channel, by the number by which records name it."""
    found: dict[int, Channel] = {}
    for objects, asked, left in _calls(history, SENDS):
        for number in np.unique(objects).tolist():
            here = objects == number
            took = (left[here] - asked[here]) / 1e9
            channel = found.setdefault(number, Channel())
            channel.sent += int(here.sum())
            channel.send_s += float(took.sum())
            channel.longest_send_s = max(channel.longest_send_s, float(took.max()))
    for objects, _, _ in _calls(history, TAKES):
        for number, count in zip(*np.unique(objects, return_counts=True), strict=True):
            found.setdefault(int(number), Channel()).taken += int(count)
    for number, channel in found.items():
        if channel.sent and channel.taken and channel.sent + channel.taken <= MOST:
            channel.highest = _highest(history, number)
    return found


def _calls(
    history: History, effects: tuple[Effect, ...]
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    places = [code for code, each in history.operations.items() if each.place == "channel"]
    for which, positions in history.chunks(*effects):
        chosen = positions[np.isin(history.codes[positions], places)]
        if len(chosen):
            within = chosen - history.bounds[which]
            asked, left = (history.cells(name, which, within) for name in ("asked", "left"))
            yield history.objects[chosen], asked, left


def _highest(history: History, number: int) -> int:
    items, sent = _ends(history, number, SENDS, "left")
    taken, begun = _ends(history, number, TAKES, "asked")
    order = np.lexsort((begun, taken))
    known, firsts = np.unique(taken[order], return_index=True)
    at = np.searchsorted(known, items)
    there = np.append(known, 0)[at] == items
    there &= at < len(known)
    # It was in the channel for certain from the end of its send until somebody began to take it.
    gone = np.maximum(begun[order][firsts][at[there]], sent[there])
    stamps = np.concatenate([sent, gone])
    changes = np.repeat(np.array([1, -1]), [len(sent), len(gone)])
    # Of equal stamps the taking comes first: what is claimed is no more than was there.
    order = np.lexsort((changes, stamps))
    return max(0, int(np.cumsum(changes[order]).max()))


def _ends(
    history: History, number: int, effects: tuple[Effect, ...], stamp: str
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return item and time of each send into a channel, or of each taking from it."""
    positions = history.select(*effects)
    places = [code for code, each in history.operations.items() if each.place == "channel"]
    mine = history.objects[positions] == number
    mine &= np.isin(history.codes[positions], places)
    return history.gather("item", positions[mine]), history.gather(stamp, positions[mine])
