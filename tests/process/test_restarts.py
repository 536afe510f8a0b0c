"""A process that was killed or failed is started anew, as often as its group's policy allows."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from common.scenario.faults import Restart
from tests.process.test_faults import LOCK, history, printing, process, run, scenario


def lives(document: dict[str, Any], name: str) -> list[str]:
    """Return the names of a process and of those that were started in its place."""
    return [
        each["name"] for each in document["processes"] if each["name"].partition(".")[0] == name
    ]


def test_a_killed_process_is_replaced_and_does_its_work(tmp_path: Path) -> None:
    """The new life has a name, an index and a history of its own, and does the whole role."""
    content = scenario(
        processes=[{"role": "trader", "count": 2, "operations": 30, "restart": {"limit": 3}}],
        faults=[{"kind": "kill", "process": "trader-0", "step": "write", "at": 7}],
    )
    document = run(tmp_path, content)
    assert lives(document, "trader-0") == ["trader-0", "trader-0.1"]
    again = process(document, "trader-0.1")
    assert (again["index"], again["life"], again["first"]) == (2, 1, 0)
    assert history(document, "trader-0.1") == 30
    assert (document["findings"], document["restarts"]) == ([], 1)


def test_the_limit_holds_and_is_told(tmp_path: Path) -> None:
    """Killed in every life, a process has as many as the limit, and the run says who is missed."""
    content = scenario(
        processes=[{"role": "trader", "count": 2, "operations": 30, "restart": {"limit": 2}}],
        faults=[{"kind": "kill", "process": "trader-0", "step": "acquire", "every": 10}],
    )
    document = run(tmp_path, content)
    assert lives(document, "trader-0") == ["trader-0", "trader-0.1", "trader-0.2"]
    assert any("trader-0 was not started any more" in each for each in document["disturbances"])
    assert document["findings"] == []


def test_a_count_is_of_the_first_life(tmp_path: Path) -> None:
    """`at` strikes once: who is started anew passes the same step unharmed."""
    content = scenario(
        processes=[{"role": "trader", "operations": 30, "restart": 5}],
        faults=[{"kind": "kill", "process": "trader", "step": "acquire", "at": 10}],
    )
    assert lives(run(tmp_path, content), "trader-0") == ["trader-0", "trader-0.1"]


def test_the_pauses_double_up_to_the_longest() -> None:
    """Back-off: each pause is twice the one before, and never more than the longest."""
    policy = Restart(limit=10, back_off=0.01, longest=0.1)
    pauses = [policy.pause(life) for life in range(1, 7)]
    assert pauses[0] == 0.01
    assert all(after in (2 * before, 0.1) for before, after in pairwise(pauses))
    assert pauses[-1] == 0.1


def test_a_receiver_that_dies_while_it_drains_is_replaced(tmp_path: Path) -> None:
    """Its senders have ended: who is started anew is told to finish, drains the rest, and ends."""
    content = printing(
        processes=[
            {"role": "producer", "jobs": 20, "to": "jobs"},
            {"role": "printer", "source": "jobs", "restart": {"limit": 3, "back_off": 0.3}},
        ],
        faults=[{"kind": "kill", "process": "printer-0", "step": "receive", "at": 3}],
    )
    document = run(tmp_path, content)
    assert lives(document, "printer-0") == ["printer-0", "printer-0.1"]
    assert process(document, "printer-0.1")["summary"] == {"printed": 18}
    assert document["findings"] == []


def test_an_inherited_channel_is_there_for_a_new_life(tmp_path: Path) -> None:
    """A pipe that only children have is handed to who is started anew as well."""
    content = printing(
        channels={"jobs": {"kind": "pipe"}},
        processes=[
            {"role": "producer", "jobs": 20, "to": "jobs"},
            {"role": "printer", "source": "jobs", "restart": {"limit": 3}},
        ],
        faults=[{"kind": "kill", "process": "printer-0", "step": "receive", "at": 5}],
    )
    document = run(tmp_path, content)
    assert process(document, "printer-0.1")["summary"] == {"printed": 16}
    assert document["findings"] == []


@pytest.mark.parametrize("kind", ["fifo", "signals"])
def test_senders_go_on_while_nobody_receives(tmp_path: Path, kind: str) -> None:
    """As long as a receiver is to be started anew, what is sent waits for it: all is printed."""
    content = printing(
        channels={"jobs": {"kind": kind} | ({"lock": LOCK} if kind == "signals" else {})},
        processes=[
            {"role": "producer", "jobs": 20, "to": "jobs"},
            {"role": "printer", "source": "jobs", "restart": {"limit": 1, "back_off": 0.1}},
        ],
        faults=[
            {"kind": "pause", "process": "producer-0", "step": "send", "at": 6, "until": "gone"},
            {"kind": "sign", "process": "printer-0", "step": "receive", "at": 6, "gives": "gone"},
            {"kind": "kill", "process": "printer-0", "step": "receive", "at": 6},
        ],
        # So that it sends before the other comes, and after.
        delays={"send": {"sleep_us": 15_000}},
    )
    document = run(tmp_path, content)
    assert process(document, "producer-0")["summary"] == {"placed": 20}
    assert process(document, "printer-0.1")["summary"] == {"printed": 15}
    assert document["findings"] == []


@pytest.mark.parametrize(("kind", "lost"), [("unix_stream", 0), ("unix_seqpacket", 0), ("tcp", 1)])
def test_senders_connect_to_a_receiver_that_is_started_anew(
    tmp_path: Path, kind: str, lost: int
) -> None:
    """What is sent when it has come is printed; of TCP the first is lost, as the kind says."""
    content = printing(
        channels={"jobs": {"kind": kind}},
        processes=[
            {"role": "producer", "jobs": 20, "to": "jobs"},
            {"role": "printer", "source": "jobs", "restart": 1},
        ],
        faults=[
            {"kind": "pause", "process": "producer-0", "step": "send", "at": 6, "until": "back"},
            {"kind": "sign", "process": "printer-0", "step": "receive", "at": 6, "gives": "gone"},
            {"kind": "kill", "process": "printer-0", "step": "receive", "at": 6},
            {"kind": "sign", "process": "printer-0", "step": "wait", "every": 1, "since": "gone",
             "gives": "back"},
        ],
    )  # fmt: skip
    document = run(tmp_path, content)
    assert process(document, "producer-0")["summary"] == {"placed": 20}
    assert process(document, "printer-0.1")["summary"] == {"printed": 15 - lost}
    assert [each["count"] for each in document["findings"]] == [lost][:lost]


def test_jobs_in_a_fifo_outlive_its_receiver(tmp_path: Path) -> None:
    """Their sender has ended, and nobody had it open: who is started anew prints them."""
    content = printing(
        channels={"jobs": {"kind": "fifo"}},
        processes=[
            {"role": "producer", "jobs": 20, "to": "jobs"},
            {"role": "printer", "source": "jobs", "restart": {"limit": 1, "back_off": 0.3}},
        ],
        faults=[{"kind": "kill", "process": "printer-0", "step": "receive", "at": 3}],
    )
    document = run(tmp_path, content)
    assert process(document, "printer-0.1")["summary"] == {"printed": 18}
    assert document["findings"] == []


def test_senders_are_told_when_no_receiver_is_started_any_more(tmp_path: Path) -> None:
    """The limit is reached: who waits for room in a FIFO hears it, long before its deadline."""
    content = printing(
        channels={"jobs": {"kind": "fifo"}},
        processes=[
            {"role": "producer", "jobs": 5000, "to": "jobs"},
            {"role": "printer", "source": "jobs", "restart": 1},
        ],
        faults=[{"kind": "kill", "process": "printer-0", "step": "receive", "every": 3}],
        deadlines={"wait": 50, "run": 40},
    )
    document = run(tmp_path, content)
    (told,) = [each for each in document["findings"] if each["kind"] == "process_crashed"]
    assert "nobody reads channel jobs any more" in told["explanation"]
    assert document["restarts"] == 1


def test_a_program_of_its_own_is_started_anew(tmp_path: Path) -> None:
    """`spawn: exec` and restarts go together."""
    content = scenario(
        spawn="exec",
        processes=[{"role": "trader", "operations": 30, "restart": 3}],
        faults=[{"kind": "kill", "process": "trader-0", "step": "read", "at": 4}],
    )
    document = run(tmp_path, content)
    assert history(document, "trader-0.1") == 30


def test_a_new_life_has_the_channel_of_the_one_before(tmp_path: Path) -> None:
    """Where each printer has a channel of its own, who is started anew takes what waits in it."""
    content = printing(
        channels={
            "jobs": {"kind": "sysv_queue"},
            "devices": {"kind": "sysv_queue", "by_recipient": True, "per": "printer"},
        },
        processes=[
            {"role": "producer", "count": 2, "jobs": 20, "to": "jobs"},
            {"role": "consumer", "source": "jobs", "to": "devices", "restart": 1},
            {"role": "printer", "source": "devices", "restart": 1},
        ],
        # Before they take the next job nobody has one in his hands.
        faults=[
            {"kind": "kill", "process": "printer-0", "step": "receive", "at": 3},
            {"kind": "kill", "process": "consumer-0", "step": "receive", "at": 3},
        ],
    )
    document = run(tmp_path, content)
    assert document["findings"] == []
    assert process(document, "printer-0.1")["summary"]["printed"] > 0
    assert process(document, "consumer-0.1")["phase"] == "done"


def test_an_answer_to_the_dead_reaches_who_is_in_its_place(tmp_path: Path) -> None:
    """Killed between order and answer, a client is replaced by one that takes the answer, too."""
    content = scenario(
        channels={
            "orders": {"kind": "sysv_queue"},
            "fills": {"kind": "sysv_queue", "by_recipient": True, "per": "client"},
        },
        processes=[
            {"role": "client", "count": 2, "count_orders": 10, "orders": "orders",
             "fills": "fills", "restart": 1},
            {"role": "broker", "count": 2, "orders": "orders", "fills": "fills",
             "balance": 100_000},
        ],
        faults=[{"kind": "kill", "process": "client-0", "step": "receive", "at": 4}],
    )  # fmt: skip
    document = run(tmp_path, content)
    assert (document["findings"], document["doubts"]) == ([], [])
    told = process(document, "client-0.1")["summary"]
    assert told["done"] + told["refused"] == 11


def test_a_policy_does_not_keep_pipes_open(tmp_path: Path) -> None:
    """A command that reads to end-of-file ends, though its writers might have been replaced."""
    content = printing(
        channels={"jobs": {"kind": "popen", "command": "dd obs=100 status=none",
                           "lock": {"kind": "sysv_sem", "undo": True}}},
        processes=[
            {"role": "producer", "count": 2, "jobs": 10, "to": "jobs", "restart": 3},
            {"role": "printer", "source": "jobs", "restart": 3},
        ],
        faults=[{"kind": "kill", "process": "producer-0", "step": "send", "at": 4}],
        deadlines={"wait": 50, "run": 40},
    )  # fmt: skip
    document = run(tmp_path, content)
    assert document["restarts"] == 1
    assert "process_hung" not in {each["kind"] for each in document["findings"]}
    assert process(document, "printer-0")["phase"] == "done"


def test_one_after_another_needs_no_lock(tmp_path: Path) -> None:
    """A lone unlocked teller that is replaced never meets another: undecided, and said why."""
    content = scenario(
        table={"store": "sysv_shm", "lock": "none"},
        processes=[{"role": "teller", "lines": ["buy EURO 1"] * 3, "restart": 1}],
        faults=[{"kind": "kill", "process": "teller", "step": "write", "at": 3}],
    )
    document = run(tmp_path, content)
    assert (document["verdict"], document["findings"]) == ("undecided", [])
    assert document["doubts"] == ["no two operations overlapped"]
