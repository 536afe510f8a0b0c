"""What a producer does with a full channel is the scenario's choice, and is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.process.test_faults import printing, process, run

QUEUE = {"kind": "sysv_queue", "capacity": 192}
# The printer stands before its first receive for a while, or until the last job but one is offered.
LATE = [{"kind": "stop", "process": "printer-0", "step": "receive", "at": 1, "seconds": 0.4}]
LAST = [
    {"kind": "pause", "process": "printer-0", "step": "receive", "at": 1, "until": "offered"},
    {"kind": "sign", "process": "producer-0", "step": "send", "at": 30, "gives": "offered"},
]


def full(
    tmp_path: Path,
    choice: str,
    channel: dict[str, Any] = QUEUE,
    faults: list[dict[str, Any]] = LATE,
    body: int = 0,
) -> dict[str, Any]:
    """Return a run of a producer into a channel of a few jobs whose printer comes late."""
    content = printing(
        channels={"jobs": channel},
        processes=[
            {"role": "producer", "jobs": 30, "to": "jobs", "when_full": choice, "body": body},
            {"role": "printer", "source": "jobs"},
        ],
        faults=faults,
    )
    return run(tmp_path, content)


def full_events(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return who told the log of which channel that it was full."""
    lines = (Path(document["run_dir"]) / "log.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    return [(e["process"], e["channel"]) for e in events if e["event"] == "queue_full"]


# With the bytes behind each job, and how many fit: a page of a pipe each; as many as the kernel
# lets a sender have on the way (net.core.wmem_default), which is not ours to say. Of a stream it
# takes up to 32 KiB in one piece: all of it or nothing.
KINDS: dict[str, tuple[dict[str, Any], int, int | None]] = {
    "sysv_queue": (QUEUE, 0, 3),
    "ring": ({"kind": "ring", "slots": 3, "lock": "sysv_sem"}, 0, 3),
    "posix_queue": ({"kind": "posix_queue", "capacity": 3}, 0, 3),
    "fifo": ({"kind": "fifo"}, 4000, 16),
    "unix_stream": ({"kind": "unix_stream"}, 30_000, None),
    "unix_seqpacket": ({"kind": "unix_seqpacket"}, 60_000, None),
}


@pytest.mark.parametrize(("channel", "body", "fit"), KINDS.values(), ids=KINDS)
def test_what_is_dropped_is_counted_and_never_offered(
    channel: dict[str, Any], body: int, fit: int | None, tmp_path: Path
) -> None:
    """Placed and dropped make all jobs; the placed ones are printed; none counts as lost."""
    document = full(tmp_path, "drop", channel=channel, faults=LAST, body=body)
    told = process(document, "producer-0")["summary"]
    assert told["placed"] + told["dropped"] == 30
    # The last is offered when the printer goes on: there may be room again.
    assert told["placed"] in (range(1, 15) if fit is None else (fit, fit + 1))
    assert document["measures"]["refused"] == told["dropped"]
    assert process(document, "printer-0")["summary"]["printed"] == told["placed"]
    assert document["findings"] == []
    assert any(f"dropped {told['dropped']} jobs" in each for each in document["disturbances"])
    # Once, however many are dropped: how many, the summary says.
    assert full_events(document) == [("producer-0", "jobs")]


def test_what_a_stream_took_in_part_is_sent_to_its_end(tmp_path: Path) -> None:
    """Such a job cannot be dropped any more: it is placed, whole, and what follows it as well."""
    body = 1_000_000
    document = full(tmp_path, "drop", channel={"kind": "unix_stream"}, body=body)
    told = process(document, "producer-0")["summary"]
    assert told["placed"] >= 1
    assert told["placed"] + told["dropped"] == 30
    printer = process(document, "printer-0")
    assert printer["summary"] == {"printed": told["placed"]}
    assert document["findings"] == []


def test_who_always_finds_room_tells_of_no_full_channel(tmp_path: Path) -> None:
    """It does not wait either, and had no need to."""
    roomy = full(tmp_path, "drop", channel={"kind": "sysv_queue"}, faults=[])
    assert process(roomy, "producer-0")["summary"]["dropped"] == 0
    assert full_events(roomy) == []


def test_who_tries_again_places_everything(tmp_path: Path) -> None:
    """Retried until there is room: all are printed, and the tries are counted."""
    document = full(tmp_path, "retry")
    told = process(document, "producer-0")["summary"]
    assert (told["placed"], told["dropped"]) == (30, 0)
    assert told["retried"] >= 1
    assert full_events(document) == [("producer-0", "jobs")]
    assert process(document, "printer-0")["summary"] == {"printed": 30}


def test_who_fails_says_which_channel_was_full(tmp_path: Path) -> None:
    """The producer ends with the channel's name; what it had placed is printed."""
    document = full(tmp_path, "fail")
    assert full_events(document) == [("producer-0", "jobs")]
    assert process(document, "producer-0")["error"] == {
        "kind": "ChannelFull",
        "message": "there is no room in channel jobs",
    }
    assert [each["kind"] for each in document["findings"]] == ["process_crashed"]


def test_who_waits_shows_how_long(tmp_path: Path) -> None:
    """A blocked send is in the figures of its channel, as is the highest fill; the log has none."""
    document = full(tmp_path, "wait")
    assert full_events(document) == []
    channel = document["measures"]["channels"]["jobs"]
    assert (channel["sent"], channel["taken"], channel["highest"]) == (30, 30, 3)
    assert channel["longest_send_s"] >= 0.3
