"""Results as text for people: one run, and the table of a comparison."""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from typing import Any

from common.scenario.faults import HARMLESS
from common.verdict.finding import FAILURES
from common.verdict.promise import promise
from common.verdict.wording import many

Document = dict[str, Any]

WIDTH = 100
_COLOURS = {"valid": "32", "anomaly": "31", "undecided": "33"}


def coloured(stream: Any = None) -> bool:
    """Return whether to colour: NO_COLOR forbids, FORCE_COLOR demands, else a terminal decides."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return bool((stream or sys.stdout).isatty())


def paint(word: str, text: str | None = None) -> str:
    """Return ``text`` in the colour of the verdict ``word``."""
    text = word if text is None else text
    if not coloured() or word not in _COLOURS:
        return text
    return f"\x1b[{_COLOURS[word]}m{text}\x1b[0m"


def number(value: float | None, digits: int = 0) -> str:
    """Return a figure for people: thousands apart, no needless zeros."""
    if value is None:
        return "-"
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if digits else text


def row_time(row: dict[str, Any], opening: int) -> str:
    """Return when a row of a story was, in µs since ``opening`` (ns): one time, or two bounds."""

    def shown(ns: int | None) -> str:
        return "" if ns is None else f"{(ns - opening) / 1000:,.1f}"

    if row["at_ns"] is not None:
        return shown(row["at_ns"])
    return f"{shown(row['from_ns'])}..{shown(row['to_ns'])}"


def wrapped(text: str, indent: str) -> str:
    """Return ``text`` in lines that people can read, each behind ``indent``."""
    width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False
    )


def run_text(document: Document) -> str:
    """Return the report of one run."""
    measures = document["measures"]
    waits = _waits(measures)
    lines = [
        f"{document['scenario']} · {document['variant']} · seed {document['seed']}",
        "",
        f"  verdict     {paint(document['verdict'])}"
        + ("" if document["as_expected"] else f" - {_surprise(document)}"),
        f"  operations  {number(document['operations'])}"
        f"{_refused(measures)} by {len(document['processes'])} "
        f"process{'es' if len(document['processes']) != 1 else ''} "
        f"in {document['wall_s']:.3f} s ({number(measures.get('per_second'))} a second)",
        f"  overlaps    {number(document['overlaps'])} critical sections overlapped, "
        f"{number(measures.get('contended'))} operations met",
    ]
    if waits:
        lines.append(
            f"  lock wait   median {number(waits['median_us'], 1)} µs, "
            f"99 % below {number(waits['p99_us'], 1)} µs"
        )
    longest = measures.get("longest_wait")
    if longest:
        lines.append(
            f"  longest     {longest['process']} waited {number(longest['wait_s'] * 1e3, 3)} ms "
            f"for {longest['lock']}; others got it {many(longest['overtaken'], 'time')} meanwhile"
        )
    if document["interrupted"]:
        lines.insert(
            2, f"  interrupted by signal {document['interrupted']}: judged as far as it came"
        )
    lines += _channel_lines(document)
    lines += _table_lines(document)
    lines += _sentences([document])
    notes = document["disturbances"] + document["remarks"]
    lines += [wrapped(f"note: {note}", "  ") for note in notes]
    lines += [*_left(document), f"  stored in {document['run_dir']}"]
    return "\n".join(lines)


def comparison_text(scenario: str, variants: dict[str, Any]) -> str:
    """Return the report of a comparison: one column a variant, then sentences, then the limits."""
    columns = list(variants)
    rows = [("", columns), *comparison_rows(variants)]
    widths = [max(len(row[0]) for row in rows)]
    widths += [max(len(cells[at]) for _, cells in rows) for at in range(len(columns))]
    most = max(len(entry["runs"]) for entry in variants.values())
    lines = [scenario + (f" (figures are medians of {most} runs)" if most > 1 else ""), ""]
    for at, (label, cells) in enumerate(rows):
        padded = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        if label == "verdict":
            padded = [
                paint(cell.split()[0], text) for cell, text in zip(cells, padded, strict=True)
            ]
        lines.append("  " + label.ljust(widths[0]) + "  " + "  ".join(padded))
        if at == 0:
            lines.append("  " + "-" * (sum(widths) + 2 * len(columns)))
    for column in columns:
        runs = variants[column]["runs"]
        sentences = _sentences(runs)
        lines += ["", f"{column}:", *(sentences or ["  nothing was found"])]
        if not any(run["findings"] for run in runs):
            lines.append(wrapped(promise(sum(run["verdict"] == "valid" for run in runs)), "  "))
        lines += [line for run in runs for line in _left(run) if run["leaks"] or run["kept"]]
        surprises = [run for run in runs if not run["as_expected"]]
        if surprises:
            lines.append(
                wrapped(
                    f"not as expected in {len(surprises)} of {len(runs)}: "
                    f"{surprises[0]['verdict']}, but {_surprise(surprises[0])}",
                    "  ",
                )
            )
        if runs[-1]["interrupted"]:
            lines.append("  interrupted: the last run was cut short")
    every = [run for entry in variants.values() for run in entry["runs"]]
    notes = _notes(variants)
    lines += ["", *(wrapped(note, "") for note in notes)] if notes else []
    last = variants[columns[-1]]["runs"][-1]
    clean = not any(run["leaks"] or run["kept"] for run in every)
    stored = f"the last is stored in {last['run_dir']}"
    lines += ["", f"every run left nothing behind; {stored}" if clean else stored]
    return "\n".join(lines)


def _notes(variants: dict[str, Any]) -> list[str]:
    """Return the remarks on the runs, with the variant where it is not all of them."""
    # Imported late: it brings numpy, which the list of verbs must not wait for.
    from common.report.remarks import of_variants

    return sorted(
        f"note ({who}): {remark}" if who else f"note: {remark}"
        for who, remark in of_variants(variants)
    )


def comparison_rows(variants: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return what a comparison shows line by line: a label, and a cell for each variant."""
    return [
        (label, [cell(entry["runs"]) for entry in variants.values()])
        for label, cell in [*_ROWS, *_kind_rows(variants)]
    ]


def summary(runs: list[Document]) -> dict[str, Any]:
    """Return what several runs of one variant have in common, for ``compare --json``."""
    verdicts = [run["verdict"] for run in runs]
    return {
        "runs": len(runs),
        "verdicts": {verdict: verdicts.count(verdict) for verdict in sorted(set(verdicts))},
        "as_expected": all(run["as_expected"] for run in runs),
        "findings": {
            kind: sum(f["count"] for run in runs for f in run["findings"] if f["kind"] == kind)
            for kind in sorted({f["kind"] for run in runs for f in run["findings"]})
        },
        "operations": sum(run["operations"] for run in runs),
        "per_second": statistics.median(run["measures"].get("per_second") or 0 for run in runs),
        "overlaps": sum(run["overlaps"] for run in runs),
        "lost_updates": sum(_count(run, "lost_update") for run in runs),
        "missing": sum(_missing(run) for run in runs),
        "promise": promise(verdicts.count("valid")),
    }


def _kind_rows(variants: dict[str, Any]) -> list[tuple[str, Any]]:
    # Kinds that the table does not have anyway get a row each where any run found them.
    runs = [run for entry in variants.values() for run in entry["runs"]]
    kinds = dict.fromkeys(f["kind"] for run in runs for f in run["findings"])
    disturbed: list[tuple[str, Any]] = []
    if any(map(_struck, runs)):
        disturbed.append(("faults that struck", _median(_struck)))
    if any(run["restarts"] for run in runs):
        disturbed.append(("started anew", _median(lambda run: run["restarts"])))
    return disturbed + [
        (kind.replace("_", " "), _median(partial(_count, kind=kind)))
        for kind in kinds
        if kind not in ("lost_update", "negative_stock")
    ]


def _of_table(pick: Callable[[Document], float]) -> Callable[[Document], float | None]:
    return lambda run: None if run["final"] is None else pick(run)


def _count(run: Document, kind: str) -> int:
    return sum(finding["count"] for finding in run["findings"] if finding["kind"] == kind)


def _missing(run: Document) -> float:
    missing = run["measures"].get("missing") or {}
    return float(sum(abs(value) for value in missing.values()))


def _median(pick: Callable[[Document], float | None], digits: int = 0) -> Any:
    def cell(runs: list[Document]) -> str:
        values = [value for run in runs if (value := pick(run)) is not None]
        return number(statistics.median(values), digits) if values else "-"

    return cell


def _wait(figure: str) -> Callable[[Document], float | None]:
    return lambda run: _waits(run["measures"]).get(figure)


def _waits(measures: dict[str, Any]) -> dict[str, float]:
    # Where nobody ever waited, there was nothing to wait for.
    waits: dict[str, float] = measures.get("waits") or {}
    return waits if waits.get("max_us") else {}


def _fairness(run: Document) -> float | None:
    fairness = run["measures"].get("fairness")
    return fairness.get("jain") if isinstance(fairness, dict) else fairness


def _verdict_cell(runs: list[Document]) -> str:
    verdicts = [run["verdict"] for run in runs]
    seen = sorted(set(verdicts), key=verdicts.count, reverse=True)
    if len(runs) == 1:
        return str(seen[0])
    return ", ".join(f"{verdict} {verdicts.count(verdict)}/{len(runs)}" for verdict in seen)


# One row of the comparison a line; figures of several runs are medians, counts are per run.
_ROWS: list[tuple[str, Callable[[list[Document]], str]]] = [
    ("verdict", _verdict_cell),
    ("operations", _median(lambda run: run["operations"])),
    ("operations/s", _median(lambda run: run["measures"].get("per_second"))),
    ("overlapping critical sections", _median(lambda run: run["overlaps"])),
    ("operations that met", _median(lambda run: run["measures"].get("contended"))),
    ("lost updates", _median(_of_table(lambda run: _count(run, "lost_update")))),
    ("missing stock", _median(_of_table(_missing), 6)),
    ("negative stock", _median(_of_table(lambda run: _count(run, "negative_stock")))),
    ("lock wait, median µs", _median(_wait("median_us"), 1)),
    ("lock wait, 99 % below µs", _median(_wait("p99_us"), 1)),
    ("fairness (1 is even)", _median(_fairness, 3)),
    ("CPU s", _median(lambda run: (run["measures"].get("cpu_s") or {}).get("total"), 3)),
]


def _sentences(runs: list[Document]) -> list[str]:
    lines = []
    for kind in dict.fromkeys(f["kind"] for run in runs for f in run["findings"]):
        found = [f for run in runs for f in run["findings"] if f["kind"] == kind]
        times = sum(f["count"] for f in found)
        spread = f" in {len(found)} of {len(runs)} runs" if len(runs) > 1 else ""
        lines.append(f"  {paint('anomaly', kind)} × {number(times)}{spread}")
        first = "in the first: " if len(runs) > 1 else ""
        lines.append(wrapped(f"{first}{found[0]['explanation']}", "    "))
    for doubt in dict.fromkeys(doubt for run in runs for doubt in run["doubts"]):
        lines.append(wrapped(f"{paint('undecided')}: {doubt}", "  "))
    return lines


def _refused(measures: dict[str, Any]) -> str:
    refused = measures.get("refused")
    return f" ({number(refused)} refused)" if refused else ""


def _surprise(document: Document) -> str:
    expected = document["expected"]
    wanted = [*expected["findings"]]
    if expected["any"]:
        wanted.append("one of " + ", ".join(expected["any"]))
    promise = f"the scenario promises {expected['verdict']}" + (
        f" with {', '.join(wanted)}" if wanted else ""
    )
    found = {finding["kind"] for finding in document["findings"]}
    failed = sorted(found & set(FAILURES))
    return f"{promise}, and no {' or '.join(failed)}" if failed else promise


def _struck(document: Document) -> int:
    return sum(fault["kind"] not in HARMLESS for fault in document["faults"])


def _channel_lines(document: Document) -> list[str]:
    lines = []
    for name, each in (document["measures"].get("channels") or {}).items():
        if each["sent"]:
            highest = each["highest"]
            fill = "" if highest is None else f", {number(highest)} or more in it at once"
            lines.append(
                f"  {name:<10}  {number(each['sent'])} sent, {number(each['taken'])} taken{fill}; "
                f"senders stood in it for {number(each['send_s'], 3)} s, "
                f"{number(each['longest_send_s'] * 1e3, 1)} ms at once"
            )
    return lines


def _table_lines(document: Document) -> list[str]:
    lines = []
    final, initial = document["final"], document["initial"]
    missing = document["measures"].get("missing") or {}
    for name, row in (final or {}).items():
        gone = missing.get(name) or 0
        lines.append(
            f"  {name:<10}  stock {number(initial[name]['stock'], 6)} -> "
            f"{number(row['stock'], 6)}"
            + (f", {number(abs(gone), 9)} {'missing' if gone > 0 else 'too much'}" if gone else "")
        )
    for process in document["processes"]:
        balances = process["summary"].get("balances") or [process["summary"].get("balance")]
        # A summary is what the process says: it may say anything.
        numbers = [value for value in balances if isinstance(value, int | float)]
        if numbers and len(document["processes"]) <= 8:
            shown = " then ".join(f"{value:.2f}" for value in numbers[-6:])
            lines.append(f"  {process['name']:<10}  balance {shown}")
    return lines


def _left(document: Document) -> list[str]:
    made = [entry for entry in document["objects"] if not entry.get("kept")]
    if document["kept"]:
        shown = "`run.py ps` shows them, `run.py clean` removes them"
        return [f"  kept        {len(made)} kernel objects: {shown}"]
    if document["leaks"]:
        names = ", ".join(f"{leak['kind']} {leak['name']}" for leak in document["leaks"])
        return [f"  {paint('anomaly', 'left behind')}: {names}"]
    return [f"  left behind nothing of {len(made)} kernel objects"]
