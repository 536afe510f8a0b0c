"""What a producer does with a full channel is the scenario's choice, and is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.process.test_faults import printing, process, run


def full(tmp_path: Path, choice: str, **channel: Any) -> dict[str, Any]:
    """Return a run of a producer into a channel of three jobs whose printer comes late."""
    content = printing(
        channels={"jobs": channel or {"kind": "sysv_queue", "capacity": 192}},
        processes=[
            {"role": "producer", "jobs": 30, "to": "jobs", "when_full": choice},
            {"role": "printer", "source": "jobs"},
        ],
        faults=[{"kind": "stop", "process": "printer-0", "step": "receive", "at": 1,
                 "seconds": 0.4}],
    )  # fmt: skip
    return run(tmp_path, content)


@pytest.mark.parametrize(
    "channel",
    [{}, {"kind": "ring", "slots": 3, "lock": "sysv_sem"}, {"kind": "posix_queue", "capacity": 3}],
    ids=["sysv_queue", "ring", "posix_queue"],
)
def test_what_is_dropped_is_counted_and_never_offered(
    channel: dict[str, Any], tmp_path: Path
) -> None:
    """Placed and dropped make all jobs; the placed ones are printed; none counts as lost."""
    document = full(tmp_path, "drop", **channel)
    told = process(document, "producer-0")["summary"]
    assert told["placed"] + told["dropped"] == 30
    assert told["dropped"] >= 20
    assert document["measures"]["refused"] == told["dropped"]
    assert process(document, "printer-0")["summary"]["printed"] == told["placed"]
    assert document["findings"] == []
    assert any(f"dropped {told['dropped']} jobs" in each for each in document["disturbances"])


def test_who_tries_again_places_everything(tmp_path: Path) -> None:
    """Retried until there is room: all are printed, and the tries are counted."""
    document = full(tmp_path, "retry")
    told = process(document, "producer-0")["summary"]
    assert (told["placed"], told["dropped"]) == (30, 0)
    assert told["retried"] >= 1
    assert process(document, "printer-0")["summary"] == {"printed": 30}


def test_who_fails_says_which_channel_was_full(tmp_path: Path) -> None:
    """The producer ends with the channel's name; what it had placed is printed."""
    document = full(tmp_path, "fail")
    assert process(document, "producer-0")["error"] == {
        "kind": "ChannelFull",
        "message": "there is no room in channel jobs",
    }
    assert [each["kind"] for each in document["findings"]] == ["process_crashed"]


def test_who_waits_shows_how_long(tmp_path: Path) -> None:
    """A blocked send is in the figures of its channel, as is the highest fill."""
    channel = full(tmp_path, "wait")["measures"]["channels"]["jobs"]
    assert (channel["sent"], channel["taken"], channel["highest"]) == (30, 30, 3)
    assert channel["longest_send_s"] >= 0.3
