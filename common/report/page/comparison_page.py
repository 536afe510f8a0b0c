"""The page of a comparison: the variants side by side, and how often each finding happened."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from common.report.page import findings, headline
from common.report.page.frequency import wilson
from common.report.page.markup import Markup, join, tag
from common.report.page.run_page import READING, badge, overviews
from common.report.page.shell import document, figure, section
from common.report.page.subject import Subject
from common.report.page.tables import row, table
from common.report.remarks import of_variants
from common.report.text import comparison_rows
from common.verdict.promise import promise
from common.verdict.wording import many, number, span

Documents = Mapping[str, Sequence[dict[str, Any]]]


def comparison_page(documents: Documents, subjects: Mapping[str, Subject], turn: int) -> str:
    """Return the whole page.

    ``documents`` are those of all runs by variant; ``subjects`` one run of each variant to draw,
    all of the same ``turn`` (from 0): they had the same seed.
    """
    scenario = next(iter(subjects.values())).document["scenario"]
    plots: list[dict[str, Any]] = []
    told = [
        section(f"findings-{at}", f"What was found: {variant}", _source(subject, documents[variant],
                turn), findings.sentences(subject))
        for at, (variant, subject) in enumerate(subjects.items())
        if subject.verdict.findings or subject.verdict.doubts
    ]  # fmt: skip
    cases = {
        variant: found for variant, subject in subjects.items()
        if (found := findings.cases(subject))
    }  # fmt: skip
    body = join(
        tag(
            "header",
            tag("p", f"{scenario} · {many(len(documents), 'variant')} compared", class_="kicker"),
            tag("h1", *(_line(variant, runs) for variant, runs in documents.items())),
        ),
        tag(
            "main",
            section("frequency", "How often", _frequency(documents)),
            *told,
            section("pictures", "Side by side", _pictures(subjects, plots, turn)),
            *(
                section(
                    f"timelines-{at}",
                    f"Around the witnesses: {variant}",
                    findings.timelines(found, plots, variant),
                )
                for at, (variant, found) in enumerate(cases.items())
            ),
            section("figures", "In figures", _figures(documents)),
            *(
                section(f"records-{at}", f"The records: {variant}", findings.records(found))
                for at, (variant, found) in enumerate(cases.items())
            ),
            section("origin", "Where this comes from", _origin(documents)),
        ),
    )
    return document(f"{scenario}: {', '.join(documents)}", body, plots)


def _line(variant: str, runs: Sequence[dict[str, Any]]) -> Markup:
    verdicts = [run["verdict"] for run in runs]
    verdict = next((each for each in ("anomaly", "undecided") if each in verdicts), "valid")
    return tag(
        "span", badge(verdict), " ", tag("b", variant), ": ", headline.of_variant(runs),
        class_=f"variant {verdict}",
    )  # fmt: skip


def _source(subject: Subject, runs: Sequence[dict[str, Any]], turn: int) -> Markup:
    text = f"Told of run {turn + 1} of {len(runs)}, seed {subject.document['seed']}."
    return tag("p", text, class_="note")


def _frequency(documents: Documents) -> Markup:
    kinds = dict.fromkeys(f["kind"] for runs in documents.values() for run in runs
                          for f in run["findings"])  # fmt: skip
    if not kinds:
        return tag("p", "No run of any variant had a finding.")
    rows = [
        _row(kind, variant, runs, first=at == 0)
        for kind in kinds
        for at, (variant, runs) in enumerate(documents.items())
    ]
    heads = ("finding", "variant", "runs with it", "share of all runs, with its 95 % interval", "",
             "times in a run: median (range)")  # fmt: skip
    note = (
        "The intervals are Wilson's (1927) for a share: were the runs repeated as often again and "
        "again, 95 % of such intervals would hold the true share. "
    )
    clean = {
        variant: len(runs) for variant, runs in documents.items()
        if not any(run["findings"] for run in runs)
    }  # fmt: skip
    note += " ".join(f"{variant}: {promise(count)}." for variant, count in clean.items())
    return join(
        table("How often as a table", heads, rows, "frequency"),
        tag("p", note, class_="note"),
    )


def _row(kind: str, variant: str, runs: Sequence[dict[str, Any]], *, first: bool) -> Markup:
    counts = [sum(f["count"] for f in run["findings"] if f["kind"] == kind) for run in runs]
    hits = sum(count > 0 for count in counts)
    low, high = wilson(hits, len(runs))
    spread = f"{number(statistics.median(counts), 1)} ({min(counts):,} to {max(counts):,})"
    return tag(
        "tr",
        tag("th", kind if first else "", scope="row"),
        tag("td", variant),
        tag("td", f"{hits} of {len(runs)}", class_="number"),
        tag("td", _whiskers(hits / len(runs), low, high)),
        tag("td", f"{low:.0%} to {high:.0%}", class_="number"),
        tag("td", spread, class_="number"),
        class_="first" if first else None,
    )


def _whiskers(share: float, low: float, high: float) -> Markup:
    """Return a share as a dot with its interval, on a line from 0 to 100 %."""
    x, left, right = (16 + 300 * each for each in (share, low, high))
    ticks = [
        tag("line", x1=16 + 75.0 * at, x2=16 + 75.0 * at, y1=4.0, y2=24.0, class_="grid")
        for at in range(5)
    ]
    labels = [
        tag("text", f"{25 * at} %", x=16 + 75.0 * at, y=36.0, text_anchor="middle")
        for at in (0, 2, 4)
    ]
    return tag(
        "svg",
        *ticks,
        tag("line", x1=left, x2=right, y1=14.0, y2=14.0, class_="interval"),
        tag("line", x1=left, x2=left, y1=9.0, y2=19.0, class_="interval"),
        tag("line", x1=right, x2=right, y1=9.0, y2=19.0, class_="interval"),
        tag("circle", cx=x, cy=14.0, r=5.0, class_="share"),
        *labels,
        role="img",
        viewBox="0 0 340 40",
        width="340",
        height="40",
        aria_label=f"{share:.0%}, 95 % interval from {low:.0%} to {high:.0%}",
    )


def _pictures(subjects: Mapping[str, Subject], plots: list[dict[str, Any]], turn: int) -> Markup:
    drawn = {variant: overviews(subject) for variant, subject in subjects.items()}
    together: dict[str, dict[str, dict[str, Any]]] = {}
    for variant, pictures in drawn.items():
        for picture in pictures:
            together.setdefault(picture["title"], {})[variant] = picture
    rows = []
    for title, found in together.items():
        _same_scale(list(found.values()))
        figures = [
            figure(plots, {**picture, "title": f"{title}: {variant}"}, f"run {variant}")
            for variant, picture in found.items()
        ]
        rows.append(tag("div", *figures, class_="pair"))
    seeds = {subject.document["seed"] for subject in subjects.values()}
    same = f", with the same seed {seeds.pop()}" if len(seeds) == 1 else ""
    lasted = ", ".join(f"{name} {span(each.end_ns)}" for name, each in subjects.items())
    note = f"Run {turn + 1} of each variant{same}: stocks and depths on one scale, times each on "
    note += f"its own ({lasted}). {READING}"
    return join(tag("p", note, class_="note"), *rows)


def _same_scale(pictures: list[dict[str, Any]]) -> None:
    values = [y for each in pictures for line in each.get("series", []) for y in line["y"]]
    for picture in pictures:
        if values:
            picture["range"] = [min(values), max(values)]


def _figures(documents: Documents) -> Markup:
    variants = {variant: {"runs": list(runs)} for variant, runs in documents.items()}
    rows = [row(label, *cells) for label, cells in comparison_rows(variants)]
    most = max(len(runs) for runs in documents.values())
    caption = f"Medians of {many(most, 'run')} of each variant"
    return table("Figures as a table", ["", *variants], rows, "figures", caption)


def _origin(documents: Documents) -> Markup:
    rows = [
        tag("tr", tag("td", variant), tag("td", run["verdict"]),
            tag("td", f"{run['operations']:,}", class_="number"),
            tag("td", str(run["seed"]), class_="number"), tag("td", tag("code", run["run_dir"])))
        for variant, runs in documents.items()
        for run in runs
    ]  # fmt: skip
    heads = ("variant", "verdict", "operations", "seed", "stored in")
    remarks = of_variants({variant: {"runs": runs} for variant, runs in documents.items()})
    return join(
        table("The runs as a table", heads, rows, "runs"),
        *(
            tag("p", f"Note ({who}): {remark}." if who else f"Note: {remark}.", class_="note")
            for who, remark in remarks
        ),
    )  # fmt: skip
