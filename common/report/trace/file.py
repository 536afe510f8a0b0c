"""How is a trace written? Event by event, whole or not at all, packed if its name says so."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from common import runs
from common.errors import UsageError
from common.report.trace.events import Event


def write(path: Path, about: dict[str, Any], events: Iterable[Event]) -> int:
    """Write a trace to ``path``, gzipped if it ends in ``.gz``; returns the number of events.

    ``about`` is kept beside the events. Raises ``UsageError`` when ``path`` cannot be written.
    """
    # Letters as they are: Perfetto shows \u00b7 in a name as these six letters.
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    encode = encoder.encode
    count = 0
    try:
        with _opened(path) as file:
            file.write(f'{{"displayTimeUnit":"ns","otherData":{encode(about)},"traceEvents":[\n')
            for count, event in enumerate(events, start=1):
                file.write(("" if count == 1 else ",\n") + encode(event))
            file.write("\n]}\n")
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", "choose a file with --output"
        ) from None
    return count


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Open ``path`` for writing; an ordinary file appears under its name once it is whole."""
    plain = not path.exists() or path.is_file()
    passing = runs.passing(path) if plain else path
    try:
        with _text(passing, packed=path.suffix == ".gz") as file:
            yield file
        if plain:
            passing.replace(path)
    finally:
        if plain:
            passing.unlink(missing_ok=True)


def _text(path: Path, *, packed: bool) -> IO[str]:
    if packed:
        # Twice as fast as the usual level, and hardly larger.
        return gzip.open(path, "wt", compresslevel=3, encoding="utf-8", errors="replace")
    return path.open("w", encoding="utf-8", errors="replace")
