"""One System V queue for a group of receivers: the type of a message is its recipient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sysv_ipc

from common.errors import ScenarioError, WaitExpired
from common.kernel import limits
from common.kernel.channels import sysv_queue
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from common.process import jobs
from common.scenario.load import load
from common.scenario.plan import plan
from run import SYSTEMS

SIZE = 64
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
OWNERS = ["printer-0", "printer-1", "printer-2"]
SCENARIO = """
system: spooler
channels:
  jobs: {{kind: {kind}}}
  devices: {devices}
processes:
  - {{role: producer, count: 2, jobs: 3, to: jobs}}
  - {{role: consumer, source: jobs, to: devices}}
  - {{role: printer, count: 3, source: devices}}
"""
BY_RECIPIENT = "{kind: sysv_queue, by_recipient: true, per: printer}"


def frame(number: int) -> bytes:
    return b"%063d\n" % number


@pytest.fixture
def addresses(maker: Maker) -> dict[str, dict[str, Any]]:
    options = sysv_queue.Options(by_recipient=True)
    return sysv_queue.make_for(options, SIZE, OWNERS, LOCK, maker)


def opened(address: dict[str, Any], wait: Wait) -> sysv_queue.Queue:
    return sysv_queue.attach(address, "receive", wait, WHAT)


def test_one_queue_serves_all(addresses: dict[str, dict[str, Any]], maker: Maker) -> None:
    """Each has a type of its own in it; without the option each has a queue."""
    assert len({address["key"] for address in addresses.values()}) == 1
    assert len(maker.objects()) == 1
    assert sorted(address["recipient"] for address in addresses.values()) == [1, 2, 3]
    apart = sysv_queue.make_for(sysv_queue.Options(), SIZE, OWNERS, LOCK, maker)
    assert len({address["key"] for address in apart.values()}) == 3


def test_each_receives_its_own_in_order(addresses: dict[str, dict[str, Any]]) -> None:
    """Whatever stands before it in the queue; and the type is the recipient's number."""
    wait = Wait(SHORT)
    wait.finishing = True
    ends = [opened(addresses[owner], wait) for owner in OWNERS]
    for number in range(9):
        ends[number % 3].send(frame(number), priority=number)
    for at in (2, 0, 1):
        assert list(iter(ends[at].receive, None)) == [frame(at), frame(at + 3), frame(at + 6)]
    ends[1].send(frame(0))
    foreign = sysv_ipc.MessageQueue(addresses[OWNERS[0]]["key"], max_message_size=SIZE)
    assert foreign.receive(False)[1] == 2


def test_what_is_anothers_is_not_waited_for_in_vain(addresses: dict[str, dict[str, Any]]) -> None:
    """A queue with another's messages only is empty for this one, and a schedule is told so."""
    mine, other = (opened(addresses[owner], Wait(SHORT)) for owner in OWNERS[:2])
    other.send(frame(0))
    assert mine.receiving.ready is not None
    assert not mine.receiving.ready()
    with pytest.raises(WaitExpired):
        mine.receive()
    mine.send(frame(1))
    assert mine.receiving.ready()
    # To look takes nothing.
    assert [mine.receive(), other.receive()] == [frame(1), frame(0)]


def loaded(tmp_path: Path, devices: str, kind: str = "sysv_queue") -> Any:
    path = tmp_path / "scenario.yaml"
    path.write_text(SCENARIO.format(kind=kind, devices=devices))
    return load(str(path), SYSTEMS, [])


def test_the_machine_is_asked_for_one_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three printers share one; jobs have another. Without the option there are four."""
    asked: list[dict[str, Any]] = []

    def note(**needs: Any) -> list[str]:
        asked.append(needs)
        return []

    monkeypatch.setattr(limits, "shortages", note)
    for devices in (BY_RECIPIENT, "{kind: sysv_queue, per: printer}"):
        jobs.shortages(plan(loaded(tmp_path, devices), None, 1, SYSTEMS), SYSTEMS, tmp_path)
    assert [needs["queues"] for needs in asked] == [2, 4]


@pytest.mark.parametrize(
    ("kind", "devices", "told"),
    [
        ("sysv_queue", "{kind: sysv_queue, by_recipient: true}", "it needs `per: GROUP`"),
        (
            "sysv_queue",
            "{kind: sysv_queue, by_recipient: true, per: printer, priorities: 2}",
            "by_recipient goes with one priority",
        ),
        ("sysv_queue", "{kind: signals}", "there are 3 receivers"),
        ("{kind: socketpair, type: stream}", "{kind: fifo, per: printer}", "2 senders"),
    ],
)
def test_what_a_kind_cannot_do_is_refused_in_the_scenario(
    kind: str, devices: str, told: str, tmp_path: Path
) -> None:
    """By the word of the kind, at the channel's place."""
    text = SCENARIO.replace("{{kind: {kind}}}", "{kind}") if kind.startswith("{") else SCENARIO
    path = tmp_path / "scenario.yaml"
    path.write_text(text.format(kind=kind, devices=devices))
    with pytest.raises(ScenarioError) as raised:
        load(str(path), SYSTEMS, [])
    [complaint] = raised.value.complaints
    assert complaint.field == ("channels.jobs" if kind.startswith("{") else "channels.devices")
    assert told in complaint.reason


def test_per_makes_it_right(tmp_path: Path) -> None:
    """One receiver each: signals for each printer, and recipients, are accepted."""
    for devices in (BY_RECIPIENT, "{kind: signals, per: printer}"):
        assert loaded(tmp_path, devices).variants
