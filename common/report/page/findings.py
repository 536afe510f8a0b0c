"""Findings as sentences, each with the steps of its worst, first and last case, and its records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.report.page.around import ROWS, Surroundings, around, raw, timeline
from common.report.page.markup import Markup, join, tag
from common.report.page.shell import figure
from common.report.page.subject import Subject, chosen
from common.report.page.tables import table
from common.report.story import tell
from common.report.text import row_time
from common.verdict.finding import Finding
from common.verdict.wording import many


def sentences(subject: Subject) -> Markup:
    """Return every finding of a run in words, with the steps of its cases."""
    findings = subject.verdict.findings
    parts = [_finding(subject, number, each) for number, each in enumerate(findings, start=1)]
    parts += [
        tag("p", tag("strong", "Undecided: "), doubt, class_="doubt")
        for doubt in subject.verdict.doubts
    ]
    return join(*parts) if parts else tag("p", "Nothing was found.")


def _finding(subject: Subject, number: int, finding: Finding) -> Markup:
    told = [
        _case(tell(subject.case, finding, which), finding.explanation, opened=at == 0)
        for at, which in enumerate(chosen(finding))
    ]
    return tag(
        "article",
        tag("h3", f"{number}. {finding.kind}", tag("small", f" × {finding.count:,}")),
        tag("p", finding.explanation, class_="explanation"),
        *told,
        class_="finding",
    )


def _case(story: dict[str, Any], said: str, *, opened: bool) -> Markup:
    # A single case is its first, its worst and its last.
    title = "How it happened" if story["count"] == 1 else f"The {story['which']} case"
    sentence = f": {story['sentence']}" if story["sentence"] not in said else ", step by step"
    return tag(
        "details",
        tag("summary", tag("strong", title), sentence),
        _steps(story) if story["rows"] else None,
        tag("p", tag("strong", "Prevention: "), story["prevention"] + ".", class_="prevention"),
        open=opened,
    )


def _steps(story: dict[str, Any]) -> Markup:
    rows, names = story["rows"], story["processes"]
    times = [row[key] for row in rows for key in ("from_ns", "to_ns") if row[key] is not None]
    opening = rows[0]["from_ns"] if rows[0]["from_ns"] is not None else min(times, default=0)
    on_paper = any(row["line"] is not None for row in rows)
    heads = ["", "µs", *(["line"] if on_paper else []), *names]
    body = []
    for row in rows:
        marks = ("▸" if row["switch"] else "") + ("" if row["in_order"] else "~")
        cells = [
            tag("td", marks, class_="mark"),
            tag("td", row_time(row, opening), class_="number"),
        ]
        if on_paper:
            cells.append(tag("td", str(row["line"] or ""), class_="number"))
        cells += [tag("td", row["text"] if row["process"] == name else "") for name in names]
        body.append(tag("tr", *cells, class_="switch" if row["switch"] else None))
    note = "▸ another process goes on; ~ may as well have come before the row above; "
    note += "1..2 at some time between the two."
    if story["left_out"]:
        note += f" {many(story['left_out'], 'operation')} around it left out."
    return join(
        table(
            "The steps as a table",
            heads,
            body,
            "steps",
            "A column a process, a row a step; times since the first row",
        ),
        tag("p", note, class_="note"),
    )


@dataclass(frozen=True)
class Told:
    """One case of a finding: its kind, title and sentence, and what happened around it."""

    kind: str
    title: str
    sentence: str
    scene: Surroundings


def cases(subject: Subject) -> list[Told]:
    """Return the cases of all findings to which records bear witness."""
    found = []
    for finding in subject.verdict.findings:
        for which in chosen(finding):
            instance = getattr(finding, which)
            scene = around(subject, instance)
            if scene is not None:
                which = "only" if finding.count == 1 else which
                title = f"Around the {which} {finding.kind}"
                found.append(Told(finding.kind, title, instance.sentence, scene))
    return found


def timelines(cases: list[Told], plots: list[dict[str, Any]], prefix: str) -> Markup:
    """Return a picture for each case; each is zoomed by itself."""
    note = (
        "A bar is an operation, from when it was let in to when it had left; hatched before it, "
        "the time it waited. Those that bear witness are outlined. Drag over a stretch to look "
        "closer, or click a picture and turn the wheel."
    )
    pictures = (
        timeline(case.scene, case.title, case.sentence, case.kind == "lost_update")
        for case in cases
    )
    return join(
        tag("p", note, class_="note"),
        *(figure(plots, each, f"{prefix} case {at}") for at, each in enumerate(pictures)),
    )


def records(cases: list[Told]) -> Markup:
    """Return the records around each case as they were made."""
    return join(
        *(
            tag(
                "details",
                tag("summary", tag("strong", case.title), f": {_counted(case.scene)}"),
                _records(case.scene),
                open=number == 0,
            )
            for number, case in enumerate(cases)
        )
    )


def _counted(scene: Surroundings) -> str:
    shown = min(len(scene.operations), ROWS)
    return f"{many(shown, 'record')}, {len(scene.witnesses)} of them bear witness"


def _records(scene: Surroundings) -> Markup:
    heads = (
        "", "process", "number", "operation", "of", "job", "asked, µs", "entered, µs", "left, µs",
        "values",
    )  # fmt: skip
    rows = []
    for each in raw(scene):
        times = [
            "-" if each[name] is None else f"{each[name] / 1000:,.3f}"
            for name in ("asked", "entered", "left")
        ]
        rows.append(
            tag(
                "tr",
                tag("td", "◆" if each["witness"] else "", class_="mark"),
                tag("td", each["process"]),
                tag("td", f"{each['seq']:,}", class_="number"),
                tag("td", each["operation"]),
                tag("td", each["place"]),
                tag("td", each["job"]),
                *(tag("td", time, class_="number") for time in times),
                tag("td", each["values"], class_="values"),
                class_="witness" if each["witness"] else None,
            )
        )
    return table(
        "The records as a table",
        heads,
        rows,
        "records",
        "◆ bears witness; times since the start gate opened",
    )
