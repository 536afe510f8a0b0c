"""The page of one run: verdict, findings, pictures, records, and how to repeat it."""

from __future__ import annotations

from typing import Any

from common.report.page import findings, headline
from common.report.page.activity import activity
from common.report.page.depth import depths
from common.report.page.markup import Markup, join, tag
from common.report.page.shell import document, figure, section
from common.report.page.stock import stocks
from common.report.page.subject import Subject
from common.verdict.promise import promise
from common.verdict.wording import number

READING = (
    "A write is drawn at the moment at which its operation had left; a cross marks the moment at "
    "which an update was lost: another write had gone over it. Hatched, a process waits to be let "
    "in (for a lock, for room, for a message); full, it is inside, between its first access and "
    "its last. Drag over a stretch to look closer; all pictures of a run follow."
)


def run_page(subject: Subject) -> str:
    """Return the whole page."""
    found = subject.document
    plots: list[dict[str, Any]] = []
    cases = findings.cases(subject)
    pictures = [figure(plots, plot, "run") for plot in overviews(subject)]
    body = join(
        tag(
            "header",
            tag("p", f"{found['scenario']} · {found['variant']}", class_="kicker"),
            tag(
                "h1", badge(found["verdict"]), " ", headline.of_run(found), class_=found["verdict"]
            ),
            tag("p", _lead(found)),
            facts(found),
        ),
        tag(
            "main",
            section("findings", "What was found", findings.sentences(subject)),
            section("pictures", "The run in pictures", tag("p", READING, class_="note"), *pictures),
            section(
                "timelines", "Around the witnesses", findings.timelines(cases, plots, "run")
            ) if cases else None,
            section("records", "The records", findings.records(cases)) if cases else None,
            section("origin", "Where this comes from", origin(found)),
        ),
    )  # fmt: skip
    return document(f"{found['scenario']} · {found['variant']}: {found['verdict']}", body, plots)


def overviews(subject: Subject) -> list[dict[str, Any]]:
    """Return the pictures of a whole run."""
    lanes = activity(subject)
    return [*stocks(subject), *([lanes] if lanes else []), *depths(subject)]


def badge(verdict: str) -> Markup:
    """Return the verdict as a mark that does not depend on colour."""
    sign = {"valid": "✓", "anomaly": "✗", "undecided": "?"}.get(verdict, "")
    return tag("span", f"{sign} {verdict}", class_=f"badge {verdict}")


def _lead(found: dict[str, Any]) -> str:
    text = headline.expectation(found)
    if found["verdict"] == "valid":
        told = promise(1)
        text += f" {told[:1].upper()}{told[1:]}."
    if found["interrupted"]:
        text = f"Interrupted by signal {found['interrupted']}: judged as far as it came. {text}"
    return text


def facts(found: dict[str, Any]) -> Markup:
    """Return a run's main figures."""
    measures = found["measures"]
    waits = measures.get("waits") or {}
    fairness = (measures.get("fairness") or {}).get("jain")
    shown = [
        ("operations", number(found["operations"])),
        ("processes", number(len(found["processes"]))),
        ("seconds", f"{found['wall_s']:.3f}"),
        ("operations a second", number(measures.get("per_second") or 0.0, 0)),
        ("sections that overlapped", number(found["overlaps"])),
    ]
    if waits.get("max_us"):
        shown.append(("µs waited, median", number(waits["median_us"], 1)))
        shown.append(("µs waited, 99 % below", number(waits["p99_us"], 1)))
    if fairness is not None:
        shown.append(("fairness (1 is even)", number(fairness, 3)))
    return tag(
        "dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in shown)
    )  # fmt: skip


def origin(found: dict[str, Any]) -> Markup:
    """Return how to find and repeat a run, and what else a reader should know."""
    command = f"run.py run {found['scenario']} --variant {found['variant']} --seed {found['seed']}"
    notes = [tag("p", f"Note: {remark}.", class_="note") for remark in found["remarks"]]
    left = len(found["leaks"])
    gone = f"{left} of them were left behind." if left else "None of them was left behind."
    if found["kept"]:
        gone = "They were kept on request."
    return join(
        tag("p", "Stored in ", tag("code", found["run_dir"]), ". The same trades and jobs again: ",
            tag("code", command), "."),
        tag("p", f"The run made {len(found['objects'])} kernel objects. {gone}"),
        *notes,
    )  # fmt: skip
