"""A role that needs the table, with an option of every type."""

from __future__ import annotations

from dataclasses import dataclass

from common.options import option

NEEDS_TABLE = True
STEPS = ("acquire", "write", "release")


@dataclass(frozen=True)
class Options:
    """What a keeper can be told."""

    turns: int = option(5, about="How often.", minimum=1, maximum=1000)
    share: float = option(0.5, about="A share.", minimum=0, maximum=1)
    loud: bool = option(False, about="Whether it can be heard.")
    mood: str = option("calm", about="How it feels.", choices=("calm", "angry"))
    note: str = option("", about="Any text; `wrong` is refused.")
    rows: list[str] = option([], about="Rows.", choices=("A", "B"), maximum=2)
    limit: int | None = option(None, about="A limit; none when empty.", minimum=1)


def check(options: Options) -> dict[str, str]:
    """Refuse one text, to show that a role may."""
    return {"note": "this note is wrong"} if options.note == "wrong" else {}
