"""A recorded trader in C is led, explored, killed and judged like one of the lab's own."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from common.history import record
from tests.compiled import CONTRIB, needs_compiler
from tests.contrib.building import (
    ONE_PURCHASE,
    compiled,
    exact,
    harm,
    ours,
    process,
    run,
    scenario,
    theirs,
    walk,
)  # fmt: skip
from tests.launching import ROOT, launch

pytestmark = needs_compiler

TWO = str(ROOT / "configs/exchange/two_traders.yaml")
IN_PLACE = ("--set", "processes.trader.level=recorded", "--set")
RACE = [{"theirs-0": "read"}, {"ours-0": ["read", "write"]}, {"theirs-0": "write"}]


def in_place(program: Path) -> tuple[str, ...]:
    return (*IN_PLACE, f"processes.trader.command={program}")


@pytest.mark.parametrize(
    ("variant", "expected"),
    [("unlocked", (6, {"data_race": 6, "lost_update": 4})), ("locked", (2, {}))],
)
def test_explored_as_ours(
    variant: str, expected: tuple[int, dict[str, int]], programs: Path, tmp_path: Path
) -> None:
    """Two C traders have as many interleavings as two of ours, and as many of them do harm."""
    words = ("--variant", variant)
    assert harm(walk(TWO, tmp_path, *words)) == expected
    assert harm(walk(TWO, tmp_path, *words, *in_place(programs / "trader"))) == expected


def test_shrunk_as_ours(programs: Path, tmp_path: Path) -> None:
    """With two trades each the shortest harm is as short: who stopped left no record behind."""
    words = ("--set", "processes.trader.operations=2", "--variant", "unlocked")
    walked = (
        walk(TWO, tmp_path, *words),
        walk(TWO, tmp_path, *words, *in_place(programs / "trader")),
    )
    mine, of_c = (
        {kind: (each["operations"], each["switches"]) for kind, each in one["findings"].items()}
        for one in walked
    )
    assert harm(walked[0]) == harm(walked[1])
    assert of_c == mine
    assert mine["data_race"] == (2, 1)


def test_a_token_gives_the_same_twenty_times(programs: Path, tmp_path: Path) -> None:
    """The schedule of a lost update loses the same amount in 20 runs of 20."""
    token = (
        "v1:unlocked:1/trader-0:acquire,check,read/trader-1:acquire,check,read,write,release"
        "/trader-0:write,release"
    )
    done = launch(
        "run", TWO, "--json", "--out", str(tmp_path), "--repeat", "20", "--schedule", token,
        *in_place(programs / "trader"),
    )  # fmt: skip
    seen = {
        (run["verdict"], run["findings"][0]["kind"], run["findings"][0]["total"], str(run["final"]))
        for run in done.document["runs"]
    }
    assert len(done.document["runs"]) == 20
    ((verdict, kind, _total, _final),) = seen
    assert (verdict, kind) == ("anomaly", "lost_update")


@pytest.mark.parametrize(
    ("program", "locked"), [("racy_trader", False), ("broken_trader", True)], ids=lambda x: str(x)
)
def test_a_lost_update_names_the_c_program(
    program: str, locked: bool, programs: Path, tmp_path: Path
) -> None:
    """Led so that it writes over ours, the finding says that it did; lock or no lock."""
    late = [{"theirs-0": "acquire"}] if locked else []
    path = scenario(
        tmp_path, theirs(programs / program, operations=1), ours(**ONE_PURCHASE),
        table={"store": "sysv_shm", "lock": "sysv_sem" if locked else "none"},
        schedule=[*RACE[:1], {"ours-0": ["read", "write", "release"]}, *late, *RACE[2:]],
    )  # fmt: skip
    (finding,) = [f for f in run(path, tmp_path)["findings"] if f["kind"] == "lost_update"]
    assert finding["count"] == 1
    assert "bought by ours-0 are gone" in finding["explanation"]
    assert "theirs-0, who had also read 10,000, wrote" in finding["explanation"]


def test_the_lock_only_around_the_write_is_seen(programs: Path, tmp_path: Path) -> None:
    """Its own word for what it held: none at its first access, the table's at its last."""
    path = scenario(
        tmp_path, theirs(programs / "broken_trader", operations=1), ours(**ONE_PURCHASE),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        schedule=[{"theirs-0": "read"}, {"ours-0": "release"}],
    )  # fmt: skip
    (finding,) = [f for f in run(path, tmp_path)["findings"] if f["kind"] == "data_race"]
    assert "no lock when it read and the table's lock when it wrote" in finding["explanation"]


LATE = """
#include "lab.h"
static void work(struct lab *lab)
{
    struct Currency *c = &lab_table(lab)[DOLLAR];
    double balance = 1000, amount = lab_amount(lab, 10);
    lab_begin(lab, LAB_SELL, c, amount);
    if (lab_acquire(lab))
        return;
    if (lab_check(lab, &c->stock) < amount)
        lab_refuse(lab);
    lab_write(lab, &c->stock, lab_read(lab, &c->stock) - amount);
    lab_release(lab);
    balance += amount * lab_rate(lab, &c->sell);
    lab_end(lab);
    lab_report(lab, "balance", balance);
    lab_count(lab, "done", 1);
}
int main(void) { struct lab lab; lab_open(&lab); return lab_run(&lab, work); }
"""


def test_a_rate_that_is_read_after_the_release_makes_no_race_of_the_write(tmp_path: Path) -> None:
    """Which lock it held is told of its last access to the stock, and that was inside."""
    path = scenario(
        tmp_path, theirs(compiled(tmp_path, "late", LATE), count=2),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
    )  # fmt: skip
    assert harm(walk(path, tmp_path)) == (2, {})


EARLY = LATE.replace(
    "if (lab_acquire",
    "lab_second(lab, LAB_BUY, &lab_table(lab)[EURO], amount);\n    if (lab_acquire",
)


def test_who_is_stopped_before_its_first_step_leaves_no_record(tmp_path: Path) -> None:
    """Of neither half: both were declared, and nothing of either was done."""
    path = scenario(
        tmp_path, theirs(compiled(tmp_path, "early", EARLY)), ours(**ONE_PURCHASE),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        schedule=[{"theirs-0": ["stop"]}, {"ours-0": ["release"]}],
    )  # fmt: skip
    document = run(path, tmp_path)
    assert process(document, "theirs-0")["exit"] == 0
    records = Path(document["run_dir"], "history/theirs-0.rec").read_bytes()[record.HEADER_SIZE :]
    assert not any(records)


def test_its_history_survives_kill_9(programs: Path, tmp_path: Path) -> None:
    """Killed at its 25th write: 24 trades stand there whole, and one that was in flight."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=60),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        faults=[{"kind": "kill", "process": "theirs-0", "step": "write", "at": 25}],
    )  # fmt: skip
    document = run(path, tmp_path)
    assert process(document, "theirs-0")["signal"] == 9
    refused = document["measures"]["refused"]
    assert document["operations"] - refused == 24
    assert document["measures"]["in_flight"] == 1


def test_a_wait_is_no_step_that_a_fault_counts(programs: Path, tmp_path: Path) -> None:
    """It must wait for the lock after its first step: its second is `check` all the same."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=1), ours(operations=1),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        faults=[
            # Ours holds the lock until theirs waits for it.
            {"kind": "pause", "process": "theirs-0", "step": "acquire", "until": "held"},
            {"kind": "sign", "process": "ours-0", "step": "check", "gives": "held"},
            {"kind": "pause", "process": "ours-0", "step": "check", "until": "waiting"},
            {"kind": "sign", "process": "theirs-0", "step": "wait", "gives": "waiting"},
            {"kind": "kill", "process": "theirs-0", "at": 2},
        ],
    )  # fmt: skip
    struck = [(fault["kind"], fault["step"]) for fault in run(path, tmp_path)["faults"]]
    assert ("sign", "wait") in struck
    assert ("kill", "check") in struck


def test_its_history_grows(programs: Path, tmp_path: Path) -> None:
    """It has more to write than it foresaw: the file grows by windows, and nothing is missing."""
    group = theirs(programs / "trader", operations=2000)
    group["command"] = ["/usr/bin/env", "LAB_CAPACITY=1", str(programs / "trader")]
    document = run(
        scenario(tmp_path, group, table={"store": "sysv_shm", "lock": "sysv_sem"}), tmp_path
    )
    exact(document)
    assert document["operations"] == 2000


def test_stopped_by_a_schedule(programs: Path, tmp_path: Path) -> None:
    """Told to end its work before its second trade, it does, and its record is withdrawn."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=5), ours(**ONE_PURCHASE),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        schedule=[{"theirs-0": ["release", "stop"]}, {"ours-0": "release"}],
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert process(document, "theirs-0")["summary"]["done"] == 1
    assert document["measures"]["in_flight"] == 0


def test_a_storm_of_signals_does_no_harm(programs: Path, tmp_path: Path) -> None:
    """Signals interrupt its waits, which are made again; it counts them and loses nothing."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=100), ours(operations=100),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        delays={"write": {"sleep_us": 200}},
        faults=[{"kind": "signals", "process": "theirs-0", "after": 0, "number": 200}],
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert process(document, "theirs-0")["summary"]["signals"] > 0


def test_an_endless_one_ends_when_it_is_asked_to(programs: Path, tmp_path: Path) -> None:
    """SIGTERM while it holds the lock: its trade is finished, the lock given back, status 0."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=0), ours(operations=3),
        table={"store": "sysv_shm", "lock": {"kind": "sysv_sem", "undo": False}},
        deadlines={"run": 0},
        faults=[
            # Ours comes to the lock when it is too late to get it before.
            {"kind": "pause", "process": "ours-0", "step": "acquire", "at": 1, "until": "told"},
            {"kind": "sign", "process": "theirs-0", "step": "write", "at": 25, "gives": "told"},
            {"kind": "kill", "process": "theirs-0", "step": "write", "at": 25, "signal": "TERM"},
        ],
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    ended = process(document, "theirs-0")
    assert (ended["exit"], ended["signal"], ended["phase"]) == (0, None, "done")
    assert ended["summary"]["done"] == 25
    assert document["measures"]["in_flight"] == 0


def test_asked_to_end_while_it_waits_it_trades_once_more(programs: Path, tmp_path: Path) -> None:
    """SIGTERM in its wait for the lock: the trade that is begun is done when the lock comes."""
    path = scenario(
        tmp_path, theirs(programs / "trader", operations=0, sell_share=0), ours(operations=1),
        table={"store": "sysv_shm", "lock": "sysv_sem"},
        deadlines={"run": 0},
        faults=[
            {"kind": "pause", "process": "theirs-0", "step": "acquire", "at": 1, "until": "held"},
            {"kind": "sign", "process": "ours-0", "step": "check", "gives": "held"},
            {"kind": "pause", "process": "ours-0", "step": "check", "until": "told"},
            {"kind": "sign", "process": "theirs-0", "step": "wait", "gives": "told"},
            {"kind": "kill", "process": "theirs-0", "step": "wait", "signal": "TERM"},
        ],
    )  # fmt: skip
    document = run(path, tmp_path)
    exact(document)
    assert process(document, "theirs-0")["exit"] == 0
    assert process(document, "theirs-0")["summary"]["done"] == 1


def test_alone_it_trades_on_a_table_by_key(programs: Path) -> None:
    """Without the lab the same program says that there is no table at the lecture's key."""
    done = subprocess.run(
        [programs / "trader"], capture_output=True, text=True, timeout=60, check=False,
        env={"LAB_TABLE_KIND": "sysv_shm", "LAB_TABLE_KEY": "0x4c000001"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "the table: shared memory 0x4c000001: No such file or directory" in done.stderr


def test_the_header_needs_no_option(tmp_path: Path) -> None:
    """A program that includes it is compiled as strict C99, with every warning an error."""
    done = subprocess.run(
        ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2",
         "-o", tmp_path / "trader", CONTRIB / "c/trader.c", "-pthread", "-lrt"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


DIES = """
#include "lab.h"
static void work(struct lab *lab)
{
    struct Currency *c = &lab_table(lab)[DOLLAR];
    lab_begin(lab, LAB_BUY, c, 10);
    if (lab_acquire(lab)) return;
    lab_rate(lab, &c->buy);
    lab_write(lab, &c->stock, lab_read(lab, &c->stock) + 10);
    raise(SIGSEGV);
}
int main(void) { struct lab lab; lab_open(&lab); return lab_run(&lab, work); }
"""


def test_what_was_written_in_the_middle_of_a_crash_is_explained(tmp_path: Path) -> None:
    """Three crash after their write, one after the other: no other program is suspected."""
    path = scenario(
        tmp_path, theirs(compiled(tmp_path, "dies", DIES), operations=1, count=3),
        table={"store": "sysv_shm", "lock": {"kind": "sysv_sem", "undo": True}},
    )  # fmt: skip
    document = run(path, tmp_path)
    assert document["final"]["DOLLAR"]["stock"] == 10030
    assert [found["kind"] for found in document["findings"]] == ["process_crashed"]
    assert [doubt for doubt in document["doubts"] if "DOLLAR" in doubt] == []
