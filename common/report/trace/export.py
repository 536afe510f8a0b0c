"""Which events make up a trace? Names, findings, tracks, counters and arrows, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from common.history.case import Case
from common.report.trace import counters, events, flows
from common.report.trace.events import Event
from common.report.trace.slices import Tracks
from common.report.trace.window import Window
from common.verdict.finding import Finding, Instance, Verdict

WHICH = ("first", "worst", "last")


@dataclass
class Export:
    """The trace of ``window`` of a judged run; ``counts`` says afterwards what is in it."""

    case: Case
    verdict: Verdict
    window: Window
    counts: dict[str, int] = field(default_factory=dict)

    def about(self) -> dict[str, Any]:
        """Return what a reader should know of the run beside its events."""
        plan = self.case.plan
        return {
            "scenario": plan.scenario,
            "variant": plan.variant,
            "seed": plan.seed,
            "verdict": self.verdict.verdict,
            "doubts": self.verdict.doubts,
            "clock": "microseconds since the start gate opened, of CLOCK_MONOTONIC",
        }

    def events(self, progress: Callable[[str, int], None]) -> Iterator[Event]:
        """Yield every event; ``progress`` is told how many operations of a process are drawn."""
        case, history = self.case, self.case.history
        plan, numbers = case.plan, self._numbers()
        yield events.run_named(f"{plan.scenario} · {plan.variant} · {self.verdict.verdict}")
        yield from events.track_named(events.FINDINGS, "findings", -1)
        yield from self._findings()
        lineages = flows.lineages(case)
        lost, since = np.zeros(len(history), dtype=bool), np.zeros(len(history), np.int64)
        for lineage in lineages:
            if lineage.lost is not None:
                lost[lineage.positions[lineage.lost]] = True
        links = [(flows.MESSAGE, pairs) for pairs in flows.messages(history)]
        links += [(flows.OVERWRITTEN, flows.overwritten(history, each)) for each in lineages]
        for _, pairs in links:
            since[pairs.targets] = pairs.since
        tracks = Tracks(case, self.window, lost, since)
        for place, (process, number) in enumerate(zip(history.processes, numbers, strict=True)):
            yield from events.track_named(number, process.name, place)
            before = tracks.shown
            for event in tracks.draw(place, number):
                yield event
                if not (tracks.shown - before) % 1000:
                    progress(process.name, tracks.shown - before)
        yield from counters.stocks(case, self.window)
        yield from counters.depths(case, self.window)
        arrows = 0
        for kind, pairs in links:
            for tail, head in flows.ends(tracks, np.array(numbers, np.int64), pairs):
                arrows += 1
                yield from events.arrow(kind, arrows, tail, head)
        self.counts |= {"operations": tracks.shown, "of": len(history), "arrows": arrows}

    def _numbers(self) -> list[int]:
        """Return the track of each process: its pid, unless that is missing or was used twice."""
        found: list[int] = []
        for process in self.case.history.processes:
            good = events.RUN < process.pid < events.BEYOND and process.pid not in found
            found.append(process.pid if good else events.BEYOND + len(found))
        return found

    def _findings(self) -> Iterator[Event]:
        """Yield the first, worst and last case of each finding, at the end of its operations."""
        end = self.case.outcome.ended_ns - self.case.outcome.gate_ns
        moments: list[tuple[int, str, Event]] = []
        for number, finding in enumerate(self.verdict.findings, start=1):
            for which, case in _cases(finding):
                stamps = [max(each.left_ns, each.entered_ns) for each in case.witnesses]
                args = {
                    "sentence": case.sentence, "finding": number, "count": finding.count,
                    "total": events.plain(finding.total),
                }  # fmt: skip
                # What was cut off has no stamps, and a leak no operations.
                at = max(stamps, default=0)
                moments.append((at if at > 0 else end, f"{finding.kind} ({which})", args))
        for at, name, args in sorted(moments, key=lambda moment: moment[0]):
            if self.window.whole or self.window.start <= at <= self.window.end:
                yield events.instant(name, at, args)


def _cases(finding: Finding) -> list[tuple[str, Instance]]:
    """Return the different cases of a finding, each with what it is: ``first, worst``."""
    found: list[tuple[list[str], Instance]] = []
    for which in WHICH:
        case: Instance = getattr(finding, which)
        for names, known in found:
            if known == case:
                names.append(which)
                break
        else:
            found.append(([which], case))
    return [(", ".join(names), case) for names, case in found]
