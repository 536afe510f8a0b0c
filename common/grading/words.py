"""What is said of a loss: a sentence that is the same each time, and how to see it again."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence as Several
from typing import Any

from common.grading.reading import Item
from common.grading.shapes import FAILURES
from common.scenario.nodes import Mapping, Node, Scalar, Sequence
from common.scenario.settings import Setting

CRASH, HANG, LEAK = (FAILURES[name] for name in ("crash", "hang", "leak"))

# What in a sentence is another each time: pids, what followed a hang, keys, spans of time.
_PASSING = (
    (re.compile(r" \(pid \d+, phase \w+\)"), ""),
    (re.compile(r"\bpid \d+"), "its pid"),
    (re.compile(r"( within [\d.]+ s): .*", re.DOTALL), r"\1"),
    (re.compile(r" [\d,.]+ (ns|µs|ms|s) later"), " later"),
    (re.compile(r"0x4[cC][0-9a-fA-F]{6}\b"), "its key"),
    (re.compile(r"/lab-[0-9a-f]{8}\b"), "its name"),
    (re.compile(r"\S*/\d{8}T\d{6}\.\d+Z-\d+/"), ""),
    (re.compile(r"/\S*/lab-grade-[\w-]+/(submission/)?"), ""),
)
# A word that YAML and a shell read as it stands.
_BARE = re.compile(r"[A-Za-z0-9_./+-]+")


def plain(sentence: str) -> str:
    """Return a sentence without what is another each time it is said."""
    for pattern, instead in _PASSING:
        sentence = pattern.sub(instead, sentence)
    return sentence


def failure(message: str) -> str:
    """Return which failure of a process a message tells of."""
    return HANG if " hung" in message or "did not come" in message else CRASH


def left(leaks: list[dict[str, Any]]) -> str:
    """Say what a run left behind."""
    return "left behind: " + ", ".join(sorted({leak["kind"] for leak in leaks}))


def command(item: Item, settings: Several[Setting], seed: int, token: str | None) -> str:
    """Return the command line that shows it again: of a schedule, else of the whole item."""
    verb = "explore" if item.walk is not None and token is None else "run"
    line = ["python3", "run.py", verb, item.scenario]
    for setting in settings:
        line += ["--set", f"{setting.path}={flow(setting.value)}"]
    if token is not None:
        return shlex.join([*line, "--schedule", token])
    line += ["--variant", item.variant, "--seed", str(seed)]
    if verb == "explore" and item.walk is not None:
        line += ["--schedules", str(item.walk.schedules), "--strategy", item.walk.strategy]
    return shlex.join(line)


def flow(node: Node) -> str:
    """Return a value of a YAML file on one line, so that ``--set`` reads the same."""
    match node:
        case Scalar(_, text, bare):
            # Quotes make a text of what would be a number or a boolean.
            return text if bare or _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
        case Sequence(_, items):
            return f"[{', '.join(map(flow, items))}]"
        case Mapping(_, entries):
            inner = ", ".join(f"{name}: {flow(child)}" for name, (_, child) in entries.items())
            return f"{{{inner}}}"
        case _:
            return ""
