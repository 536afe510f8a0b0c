"""What the kinds of locks, tables and channels cost: one family a file, all measured one way.

``run.py bench`` finds the families by their file names among ``FAMILIES``. Each module has

- ``PACKAGE``: where its kinds are (``kinds.CHANNELS``);
- ``NOTE``: what a reader must know to believe the figures, one line a sentence;
- ``contests(asked: Asked) -> Generator[Contest, None, None]``: one contest after another, each with
  every entrant on the same terms. It keeps processes and objects open while a
  contest is measured, and lets go of them when it is closed (``with`` around ``yield``);
- ``goals(results: Sequence[Result]) -> list[Judged]``: the goals, judged on what was measured.

An entrant (``measuring.Entrant``) is a name, what kind it stands for, how it waits, and ``run``,
which does so many operations and returns a ``Sample``. The lab's own have ``side=OURS`` and a name
``kind[option=value]`` (``named``); C programs ``side=C``; Python's means ``side=INSTEAD``.
``Contest.against`` says whose figure stands beside each of ours. ``stations.crew`` forks processes
that wait for the word and do so many operations; ``stations.led`` makes samples of it.

What is measured (rounds in alternation, medians with their intervals, ratios within a round, ranks,
refusals to compare the unlike) is in ``measuring``, how it is shown in ``report``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FAMILIES = ("locks", "channels", "tables")

# By these words a kind says that its waiting costs the processor (``facts(options).waiting``).
_BUSY = ("again and again", "burns", "spins")


def named(kind: str, options: Mapping[str, Any]) -> str:
    """Return how a kind with ``options`` is called: ``kind[option=value,…]``."""
    if not options:
        return kind
    return f"{kind}[{','.join(f'{name}={_shown(value)}' for name, value in options.items())}]"


def busy(waiting: str) -> bool:
    """Return whether who waits so keeps a processor busy, by the kind's own word."""
    return any(word in waiting for word in _BUSY)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
