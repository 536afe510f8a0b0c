"""What do the records show so far? Findings that can be recognised in passing, record by record.

Cheap and incremental: a few sorts of what came since the last look. The counts are lower bounds,
and what is told is "so far": the judge alone sees the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from common.history import record
from common.history.operations import Effect, Operation
from common.report.live.overwritten import UPDATE, Overwritten, Updates
from common.report.live.tail import Records
from common.report.live.torn import PAIR, Pairs, Torn
from common.verdict.wording import many, number

_EFFECTS = list(Effect)
_NUMBERS = {effect: number for number, effect in enumerate(_EFFECTS, start=1)}
# What each does to the number of messages in a channel.
_MOVES = {Effect.OFFER: 1, Effect.PASS: 1, Effect.TAKE: -1}


class Sightings:
    """What was recognised in the records given to ``take``.

    ``refused`` counts refused operations by process, ``depth`` the messages put into each channel
    less those taken out. ``rows`` are the names of the table's rows, ``opening`` their contents.
    """

    def __init__(
        self,
        operations: Mapping[int, Operation],
        rows: Sequence[str],
        opening: Sequence[Sequence[float]],
    ) -> None:
        self.refused: Counter[str] = Counter()
        self.depth: Counter[int] = Counter()
        self._rows = rows
        self._names: list[str] = []
        # The effect of each code, as a number from 1; 0 for what is unknown, or was refused.
        self._effects = np.zeros(256, np.uint8)
        for code, operation in operations.items():
            self._effects[code] = _NUMBERS[operation.effect]
        self._below = 0
        self._deepest: np.void | None = None
        self._overwritten = Overwritten()
        pairs = [(at, row[0], row[1], -1) for at, row in enumerate(opening) if len(row) > 1]
        self._torn = Torn(np.array(pairs, PAIR))

    def take(self, news: Mapping[str, Records]) -> None:
        """Take what each process finished since the last call."""
        updates, changes, snapshots = [], [], []
        for name, records in news.items():
            if not len(records):
                continue
            if name not in self._names:
                self._names.append(name)
            who = self._names.index(name)
            kinds = _whole(records["kind"])
            refused = kinds & record.REFUSED != 0
            self.refused[name] += int(np.count_nonzero(refused))
            effects, places = self._effects[kinds & 255], kinds >> 8 & 255
            effects[refused] = 0
            for effect in (Effect(_EFFECTS[each - 1]) for each in np.unique(effects) if each):
                which = effects == _NUMBERS[effect]
                if effect is Effect.UPDATE:
                    updates.append(_updates(records, which, places, who))
                elif effect is Effect.SET:
                    changes.append(_pairs(records, which, places, who))
                elif effect is Effect.SNAPSHOT:
                    snapshots.append(_pairs(records, which, places, who))
                elif effect in _MOVES:
                    for at, count in enumerate(np.bincount(places[which]).tolist()):
                        self.depth[at] += _MOVES[effect] * count
        if updates:
            new = np.concatenate(updates)
            self._look_below(new)
            self._overwritten.take(new)
        nothing = np.empty(0, PAIR)
        self._torn.take(np.concatenate([nothing, *changes]), np.concatenate([nothing, *snapshots]))

    def told(self) -> list[tuple[str, str]]:
        """Return each kind of finding with its sentence."""
        found = []
        if self._overwritten.first is not None:
            before, after = self._overwritten.first
            sentence = (
                f"at least {many(self._overwritten.count, 'update')}; {self._did(before)}; "
                f"{self._name(after)}, who had also read {number(after['read'])}, "
                f"wrote {number(after['written'])} over it"
            )
            found.append(("lost_update", sentence))
        if self._deepest is not None:
            sentence = f"{many(self._below, 'update')}; at the worst {self._did(self._deepest)}"
            found.append(("negative_stock", sentence))
        torn = self._torn.first
        if torn is not None:
            sentence = (
                f"{many(self._torn.count, 'snapshot')}; {self._name(torn)} read sell "
                f"{number(torn['sell'], 7)} and buy {number(torn['buy'], 7)} of "
                f"{self._row(torn)}, which no one wrote together"
            )
            found.append(("torn_read", sentence))
        return found

    def _look_below(self, updates: Updates) -> None:
        # Only what takes from the row: who adds to it mends what was broken.
        below = updates[(updates["written"] < 0) & (updates["written"] < updates["read"])]
        if not len(below):
            return
        self._below += len(below)
        worst = below[int(np.argmin(below["written"]))]
        if self._deepest is None or worst["written"] < self._deepest["written"]:
            self._deepest = worst.copy()

    def _did(self, update: np.void) -> str:
        return (
            f"{self._name(update)} read {number(update['read'])} {self._row(update)} "
            f"and wrote {number(update['written'])}"
        )

    def _name(self, found: np.void) -> str:
        return self._names[int(found["who"])]

    def _row(self, found: np.void) -> str:
        at = int(found["row"])
        return self._rows[at] if at < len(self._rows) else f"row {at}"


def _whole(kinds: Any) -> npt.NDArray[np.int64]:
    """Return kinds as integers; what is none, in the file of a strange process, becomes 0."""
    good = (kinds >= 1) & (kinds <= record.LARGEST_KIND)
    whole: npt.NDArray[np.int64] = np.where(good, kinds, 0).astype(np.int64)
    return whole


def _updates(records: Records, which: Any, places: Any, who: int) -> Updates:
    found = np.zeros(int(np.count_nonzero(which)), UPDATE)
    found["row"], found["who"] = places[which], who
    for name, cell in (("read", "v3"), ("written", "v4"), ("entered", "entered"), ("left", "left")):
        found[name] = records[cell][which]
    return found


def _pairs(records: Records, which: Any, places: Any, who: int) -> Pairs:
    found = np.empty(int(np.count_nonzero(which)), PAIR)
    found["row"], found["who"] = places[which], who
    found["sell"], found["buy"] = records["v0"][which], records["v1"][which]
    return found
