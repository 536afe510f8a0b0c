"""The comparison of one kind of channel, shared by the rows of the kinds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

QUEUE = "multiprocessing.Queue"


def row(
    bench: Bench, kind: str, forms: Mapping[str, Mapping[str, Any]], words: Sequence[object]
) -> Row:
    """Compare ``forms`` of a channel of ``kind`` (options by name) with C and multiprocessing.

    ``words`` are further arguments of the C program. All run on one core.
    """
    messages = bench.work(100_000, 1_000)
    in_c = [programs.reference("channel"), kind, str(messages), *map(str, words)]
    # Ten times slower: fewer messages take as long.
    queue = programs.subject("mp_queue", messages // 2)

    def ours(name: str, options: Mapping[str, Any]) -> Callable[[], dict[str, float]]:
        command = programs.subject("channel", kind, json.dumps(options), messages)
        return lambda: {name: programs.run(command, cores=1)["per_second"]}

    return Row(
        units=dict.fromkeys([*forms, "C", QUEUE], "messages/s"),
        sides=[
            *(ours(name, options) for name, options in forms.items()),
            lambda: {"C": programs.run(in_c, cores=1)["per_second"]},
            lambda: {QUEUE: programs.run(queue, cores=1)["per_second"]},
        ],
        goals=[
            goal
            for name in forms
            for goal in (Goal(name, "C", at_least=0.5), Goal(name, QUEUE, at_least=2.5))
        ],
        note=f"{messages:,} messages of 64 bytes, one producer, one consumer, one core",
    )
