"""The page of the lecture's claims: each sentence, its verdict here, and what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from common.report.page.markup import Markup, join, tag
from common.report.page.shell import document, section
from common.report.page.tables import table
from common.verdict.wording import many

Row = Mapping[str, Any]

# The class of a verdict's badge, in the order in which a reader wants them counted.
_BADGES = {
    "holds": "valid",
    "does not hold": "anomaly",
    "depends": "undecided",
    "undecided": "undecided",
}
# How names are written that are not plain words.
_NAMES = {"posix": "POSIX", "sysv": "System V", "unix": "UNIX", "rpc": "RPC", "fifos": "FIFOs"}
_TEXTS = {"A": "first text", "B": "second text"}


def claims_page(rows: Sequence[Row], machine: str, definitions: Mapping[str, str]) -> str:
    """Return the whole page.

    ``rows`` are the claims in the order of the texts, each with ``claim``, ``line``, ``says``,
    ``mechanism``, ``setup``, ``verdict``, ``figure``, ``why`` and ``notes``; ``machine`` says where
    they were tried, ``definitions`` why other sentences were not.
    """
    mechanisms = list(dict.fromkeys(row["mechanism"] for row in rows))
    wrong = [row for row in rows if row["verdict"] == "does not hold"]
    parts = [
        section(
            mechanism,
            _title(mechanism),
            _table([row for row in rows if row["mechanism"] == mechanism], mechanism),
        )
        for mechanism in mechanisms
    ]
    body = join(
        tag(
            "header",
            tag("p", machine, class_="kicker"),
            tag("h1", "The lecture's sentences, tried on this kernel"),
            tag("p", "Each verdict is of the run that made this page; each row opens."),
            _counts(rows),
            _contents(mechanisms),
        ),
        tag(
            "main",
            section("wrong", "What does not hold here", _table(wrong, "what does not hold"))
            if wrong
            else None,
            *parts,
            _definitions(definitions) if definitions else None,
        ),
    )
    return document("The lecture's claims", body, [])


def _title(mechanism: str) -> str:
    words = [_NAMES.get(word, word) for word in mechanism.split("_")]
    return " ".join([words[0][0].upper() + words[0][1:], *words[1:]])


def _counts(rows: Sequence[Row]) -> Markup:
    pairs = []
    for verdict in _BADGES:
        count = sum(row["verdict"] == verdict for row in rows)
        if count:
            pairs.append(tag("div", tag("dt", verdict), tag("dd", str(count))))
    return tag("dl", *pairs)


def _contents(mechanisms: Sequence[str]) -> Markup:
    links = [
        join(tag("a", _title(name), href=f"#{name}"), " · " if at else "")
        for at, name in reversed(list(enumerate(reversed(mechanisms))))
    ]
    return tag("p", *links, class_="note")


def _table(rows: Sequence[Row], label: str) -> Markup:
    heads = ("", "the lecture says", "here", "figure", "why")
    return table(label, heads, [_row(row) for row in rows], "claims")


def _row(row: Row) -> Markup:
    badge = tag("span", row["verdict"], class_=f"badge {_BADGES.get(row['verdict'], '')}".strip())
    where = f"{_TEXTS.get(row['claim'][0], '')}, line {row['line']}"
    return tag(
        "tr",
        tag("th", row["claim"], scope="row", title=where),
        tag("td", row["says"]),
        tag("td", badge),
        tag("td", row["figure"]),
        tag("td", row["why"], _notes(row)),
    )


def _notes(row: Row) -> Markup | None:
    if not (row["notes"] or row["setup"]):
        return None
    return tag(
        "details",
        tag("summary", "what was done"),
        tag("p", row["setup"]) if row["setup"] else None,
        tag("ol", *(tag("li", note) for note in row["notes"])) if row["notes"] else None,
    )


def _definitions(definitions: Mapping[str, str]) -> Markup:
    rows = [
        tag("tr", tag("th", name, scope="row"), tag("td", reason))
        for name, reason in definitions.items()
    ]
    verb = "needs" if len(definitions) == 1 else "need"
    said = f"{many(len(definitions), 'sentence')} {verb} no experiment"
    return section("definitions", said, table(said, ("", "why"), rows, "claims"))
