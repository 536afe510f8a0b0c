"""Who was passed over in a spool, or waited for nobody, is found."""

from __future__ import annotations

import json

from tests.verdict.stored_spools import Stored


def test_a_printer_that_passes_over_the_first_in_line_is_found(once_or_more: Stored) -> None:
    """A more urgent job was pending when it took another."""
    lines = once_or_more.lines
    gate = json.loads((once_or_more.directory / "outcome.json").read_text())["gate_ns"]
    urgent = {"job": 9, "from": "", "to": "pending/01-000000000000001-9-0-0", "who": "",
              "why": "found", "at": gate, "pages": 1}  # fmt: skip
    lines.insert(1, urgent)
    taken = {**urgent, "from": urgent["to"], "to": "canceled/01-000000000000001-9-0-0",
             "who": "operator-0", "why": "cancel", "at": lines[-1]["at"]}  # fmt: skip
    once_or_more.write([*lines, taken])
    found = once_or_more.found()["job_reordered"]
    assert "while job 9 of submitter-0 (of an earlier run), which was more urgent, was pending" in (
        found
    )


def starving(stored: Stored, seconds: float, *, stopped: bool = False) -> None:
    """Have a job stand in line from the gate on while printer-9 does nothing for so long."""
    gate = json.loads((stored.directory / "outcome.json").read_text())["gate_ns"]
    end = gate + round(seconds * 1e9)
    lines = stored.lines
    urgent = {"job": 9, "from": "", "to": "pending/10-000000000000001-9-0-0", "who": "",
              "why": "found", "at": 0, "pages": 1}  # fmt: skip
    canceled = {**urgent, "from": urgent["to"], "to": "canceled/10-000000000000001-9-0-0",
                "who": "operator-0", "why": "cancel", "at": end}  # fmt: skip
    ready = {"printer": "printer-9", "is": "stopped" if stopped else "ready", "pid": 1, "at": gate}
    gone = {**ready, "is": "gone", "at": end + 1}
    # The others are as if they had been killed: what they would have done nobody knows.
    others = [line for line in lines if line.get("is") != "gone"]
    stored.write([*others, urgent, ready, canceled, gone])
    stored.change(lambda outcome: outcome.update(ended_ns=end + 2))


def test_a_job_that_waits_while_a_printer_is_free_starves(once_or_more: Stored) -> None:
    """Both for longer than deadlines.starvation, at the same time."""
    starving(once_or_more, 2.5)
    assert "was pending for 2.5 s while printer-9 was free" in once_or_more.found()["starvation"]


def test_a_short_wait_is_none(once_or_more: Stored) -> None:
    """It is below the deadline."""
    starving(once_or_more, 1.5)
    assert "starvation" not in once_or_more.found()


def test_a_printer_that_is_stopped_is_not_free(once_or_more: Stored) -> None:
    """Its policy stopped it: what is pending waits for others."""
    starving(once_or_more, 2.5, stopped=True)
    assert "starvation" not in once_or_more.found()


def test_a_printer_that_goes_while_jobs_are_pending_leaves_them_to_starve(
    once_or_more: Stored,
) -> None:
    """However short the rest of the run is: nobody would come."""
    lines = once_or_more.lines
    left = {"job": 9, "from": "", "to": "pending/10-000000000000001-9-0-0", "who": "",
            "why": "found", "at": 0, "pages": 1}  # fmt: skip
    job = {"job": 9, "state": "pending", "claims": 0, "failures": 0, "path": left["to"]}
    once_or_more.write([lines[0], left, *lines[1:]])
    once_or_more.change(lambda outcome: outcome["spool"]["jobs"].append(job))
    assert "had gone by itself" in once_or_more.found()["starvation"]


def test_a_job_that_is_gone_was_not_pending(once_or_more: Stored) -> None:
    """It is lost, and that is all: nobody passed over it, nobody left it waiting."""
    first = once_or_more.lines
    gone = {"job": 9, "from": "", "to": "pending/01-000000000000001-9-0-0", "who": "",
            "why": "found", "at": 0, "pages": 1}  # fmt: skip
    once_or_more.write([first[0], gone, *first[1:]])
    document = once_or_more.judged()
    assert [each["kind"] for each in document["findings"]] == ["job_lost"]
    assert document["measures"]["spool"]["left"] == []
    assert "left in the spool" not in " ".join(document["remarks"])
