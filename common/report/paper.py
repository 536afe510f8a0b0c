"""Which lines of the paper lie around the place where a job was cut in two? Part of its story."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np

from common.history.operations import Effect
from common.history.plain import ANY_BYTE
from common.report.order import Step
from common.report.scene import OPERATIONS, Scene


def tell_pages(scene: Scene) -> None:
    """Add the steps of the pages around the place, and of the prints that they belong to."""
    case, history = scene.case, scene.case.history
    pages = history.select(Effect.PAGE)
    pages = pages[history.objects[pages] == history.objects[scene.witnesses[0]]]
    own = history.gather("item", pages) == history.record(scene.witnesses[0])["item"]
    order = np.argsort(history.gather("v2", pages), kind="stable")
    pages, lies = pages[order], np.flatnonzero(own[order])
    cut = int(lies[np.argmax(np.diff(lies, append=lies[-1]))])
    start = max(int(lies[0]), cut - OPERATIONS // 3)
    chosen = pages[start : int(lies[-1]) + 1][:OPERATIONS].tolist()
    scene.left_out = int(lies[-1]) + 1 - int(lies[0]) - len(chosen)
    # Where each line of the paper ends.
    ends = list(
        accumulate(len(f"{line}\n".encode(errors=ANY_BYTE)) for line in case.paper_lines or [])
    )
    prints: dict[int, list[Step]] = {}
    printed: list[Step] = []
    for position in chosen:
        found = history.record(position)
        page = Step(position, "prints", f"prints page {found['v0']:.0f} of {found['v1']:.0f}")
        page.line = int(np.searchsorted(ends, found["v2"], side="right")) + 1
        whole = _print_of(scene, position)
        if whole is None:
            page.text += f", {case.job(found['item'])}"
        else:
            prints.setdefault(whole, []).append(page)
        scene.moments.settle(position, [page])
        frame = scene.stamps(position, "")
        scene.chain([*frame[:-1], page, *frame[-1:]])
        printed.append(page)
    for position, inside in prints.items():
        frame = scene.stamps(position, case.job(history.record(position)["item"]))
        scene.steps += frame
        scene.pairs += pairwise([*frame[:-1], *inside, frame[-1]])
    # The kernel appends whole pages: where they lie is the order in which they were written.
    scene.pairs += pairwise(printed)


def _print_of(scene: Scene, page: int) -> int | None:
    """Return the print job in which a page lies: its record follows those of its pages."""
    history = scene.case.history
    prints = history.select(Effect.DELIVER)
    for position in prints[prints > page][:1].tolist():
        same = history.record(position)["item"] == history.record(page)["item"]
        if same and history.process_at(position) is history.process_at(page):
            return int(position)
    return None
