"""What ``explain`` tells: of hand-drawn runs to the letter, of real runs what must be there."""

from __future__ import annotations

import json
import signal
from itertools import pairwise, permutations
from pathlib import Path
from typing import Any

import pytest

from common.report.order import Step, arrange
from exchange import operations as exchange
from spooler import operations as spooler
from tests.launching import ROOT, launch
from tests.verdict.scenes import Scene, item, ring


def explained(run: Path | str, *words: str) -> str:
    """Return the text for a terminal of 100 columns without colour."""
    done = launch("explain", str(run), *words, NO_COLOR="1", COLUMNS="100")
    assert done.status == 0, done.err
    return done.out


def stories(run: Path | str, *words: str) -> list[dict[str, Any]]:
    """Return the findings of ``explain --json``."""
    found: list[dict[str, Any]] = launch("explain", str(run), *words, "--json").document["findings"]
    return found


def lost(directory: Path, lock: str = "none") -> Scene:
    """Draw the lost update of two traders, and a third who reads what was left."""
    scene = Scene(directory, stock=9450.0, lock=lock)
    scene.trade("trader-1", -50, 9450, (1000, 2000, 9000))
    scene.trade("trader-3", +10, 9450, (1000, 3000, 5000), checked=3.72)
    scene.trade("trader-2", +1, 9400, (6000, 6000, 12000), checked=3.72)
    scene.case()
    return scene


LOST = """\
test · only · anomaly

1. lost_update × 1, the worst:
  trader-3 read 9,450 DOLLAR and wrote 9,460 (+10); trader-1, who had also read 9,450, wrote 9,400
  over it 4 µs later: 10 DOLLAR bought by trader-3 are gone.

             µs  trader-1         trader-3          trader-2
  --------------------------------------------------------------
            0.0  enters: sell 50
       0.0..3.0  checks 9,450
       0.0..3.0  reads 9,450
  >~        1.0                   enters: buy 10
       1.0..3.0                   checks rate 3.72
       1.0..3.0                   reads 9,450
       1.0..3.0                   writes 9,460
            3.0                   leaves
  >~   1.0..7.0  writes 9,400
  >   4.0..10.0                                     reads 9,400
  >~        7.0  leaves
  >~  4.0..10.0                                     writes 9,401
  > another process goes on; ~ may as well have come before the row above; 1..2 at some time between
  the two

  prevention: table.lock is none: with a lock, whoever came second would have read what the first
  had written
"""


def test_a_lost_update_to_the_letter(tmp_path: Path) -> None:
    """Values narrow what stamps leave open.

    Both read the opening value, so before either wrote; trader-2 saw the 9,400, so trader-1 wrote
    after trader-3. Whether that was before trader-3 had left, nothing says.
    """
    lost(tmp_path / "run")
    assert explained(tmp_path / "run", "--finding", "1") == LOST


def test_a_switch_is_marked_and_open_order_is_told(tmp_path: Path) -> None:
    """Rows say whether another process goes on and whether they surely follow the row above."""
    lost(tmp_path / "run")
    (story,) = stories(tmp_path / "run", "--finding", "1")
    rows = story["rows"]
    for above, row in pairwise(rows):
        assert row["switch"] == (row["process"] != above["process"])
        if row["at_ns"] is not None and above["at_ns"] is not None:
            assert row["in_order"] == (row["at_ns"] > above["at_ns"])
    access = next(row for row in rows if row["process"] == "trader-3" and row["step"] == "writes")
    assert (access["value"], access["from_ns"], access["to_ns"]) == (9460.0, 3000, 5000)


@pytest.mark.parametrize("shuffled", list(permutations(range(4))))
def test_values_order_what_stamps_leave_open(shuffled: tuple[int, ...]) -> None:
    """All accesses lie between the same stamps; who read what was written came after it."""
    a = [Step(0, "reads", "", None, "x", 1.0), Step(0, "writes", "", None, "x", 2.0, True)]
    b = [Step(1, "reads", "", None, "x", 2.0), Step(1, "writes", "", None, "x", 3.0, True)]
    steps = [*a, *b]
    placed = arrange(
        [steps[at] for at in shuffled], [(a[0], a[1]), (b[0], b[1])], [(None, a[0]), (a[1], b[0])]
    )
    assert [each.step for each in placed] == [*a, *b]
    assert all(each.in_order for each in placed)


def test_a_write_between_a_write_and_its_reader_is_ruled_out() -> None:
    """A third write that stamps put before the read came before the write that the read saw."""
    write, other = (Step(n, "writes", "", None, "x", float(n), True) for n in (1, 2))
    left, entered = Step(2, "leaves", "", 10), Step(3, "enters", "", 20)
    read = Step(3, "reads", "", None, "x", 1.0)
    placed = arrange(
        [write, other, left, entered, read], [(other, left), (entered, read)], [(write, read)]
    )
    order = [each.step for each in placed]
    assert order.index(other) < order.index(write) < order.index(read)
    bounds = {each.step: (each.earliest, each.latest) for each in placed}
    assert bounds[other] == (None, 10)


def test_values_that_contradict_the_stamps_are_left_aside() -> None:
    """A read that had ended before the write began did not see it: stamps alone count."""
    read, left = Step(1, "reads", "", None, "x", 1.0), Step(1, "leaves", "", 10)
    entered, write = Step(2, "enters", "", 20), Step(2, "writes", "", None, "x", 1.0, True)
    steps = [write, entered, left, read]
    placed = arrange(steps, [(read, left), (entered, write)], [(write, read)])
    assert [each.step for each in placed] == [read, left, entered, write]


def test_accesses_that_nothing_orders_are_not_in_order() -> None:
    """Two writes between the same stamps: one is drawn first, and the other is marked."""
    one, other = (Step(n, "writes", "", None, "x", float(n), True) for n in (1, 2))
    assert [each.in_order for each in arrange([one, other], [], [])] == [True, False]


def test_no_write_is_drawn_between_a_write_and_its_reader() -> None:
    """The drawn order is one in which every read sees what it saw, marked or not."""
    before, left = Step(0, "writes", "", None, "buy", 1.0, True, True), Step(0, "leaves", "", 5)
    entered = Step(1, "enters", "", 10)
    sell, buy = Step(1, "reads", "", None, "sell", 2.0), Step(1, "reads", "", None, "buy", 1.0)
    after, out = Step(2, "writes", "", None, "buy", 2.0, True, True), Step(2, "leaves", "", 30)
    seen, end = Step(3, "writes", "", None, "sell", 2.0, True, True), Step(3, "leaves", "", 50)
    placed = arrange(
        [before, left, entered, sell, buy, after, out, seen, end],
        [(before, left), (entered, sell), (sell, buy), (after, out), (seen, end)],
        [(seen, sell), (before, buy)],
    )
    order = [each.step for each in placed]
    assert order.index(before) < order.index(buy) < order.index(after)


def test_a_write_that_is_not_told_of_still_bounds_who_read_it(tmp_path: Path) -> None:
    """The auditor's second look saw a later change: so it came after the first change's end."""
    scene = Scene(tmp_path / "run", lock="none")
    scene.record("setter", exchange.SET_RATES, 0, (0, 0, 500), (4.0, 4.5))
    scene.record("setter", exchange.SET_RATES, 0, (600, 600, 900), (5.0, 5.5))
    scene.record("auditor", exchange.READ_ROW, 0, (100, 100, 400), (4.0, 3.72, 10000.0))
    scene.record("auditor", exchange.READ_ROW, 0, (420, 420, 990), (5.0, 5.5, 10000.0))
    scene.case(final=[[5.0, 5.5, scene.stock]])
    (story,) = stories(tmp_path / "run", "--finding", "1")
    seen = [row for row in story["rows"] if row["seq"] == 2]
    assert [row["process"] for row in seen] == ["auditor", "auditor"]
    assert [row["from_ns"] for row in seen] == [600, 600]
    assert story["rows"][-2:] == seen


def test_a_value_that_was_written_twice_names_no_writer(tmp_path: Path) -> None:
    """Where two wrote what a third read, nothing follows for either: stamps alone bound them."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    scene.trade("a", 5, 100, (0, 0, 9000))
    scene.trade("b", 5, 100, (0, 0, 9500))
    scene.trade("c", 1, 105, (0, 100, 5000))
    scene.case()
    rows = [row for row in stories(tmp_path / "run")[0]["rows"] if row["step"] == "writes"]
    assert {row["process"]: row["to_ns"] for row in rows} == {"a": 9000, "b": 9500, "c": 5000}


def test_the_lines_of_the_paper_around_the_cut(tmp_path: Path) -> None:
    """Twelve lines around the place where a long job was cut, in the order of the paper."""
    lay = [*((0, page) for page in range(1, 21)), (1, 1), (0, 21)]
    paper = [f"[job {item(maker, 1):012x} page {page}/21] abc" for maker, page in lay]
    scene = Scene(tmp_path / "run", paper=paper, paper_lock="none")
    offset = 0
    for (maker, page), line in zip(lay, paper, strict=True):
        # Only the paper tells that the other's page was not the last.
        size = len(line) + 1
        values = (page, 21, offset, size)
        scene.record(f"p{maker}", spooler.PAGE, 0, (9, 9 + 90 * maker, 500), values, item(maker, 1))
        offset += size
    for maker in (0, 1):
        scene.job(f"p{maker}", spooler.PRINT, item(maker, 1), (5, 5, 600))
    scene.case()
    told = stories(tmp_path / "run")
    story = next(each for each in told if each["kind"] == "pages_interleaved")
    lines = [(row["line"], row["process"]) for row in story["rows"] if row["line"]]
    assert lines == [*((line, "p0") for line in range(16, 21)), (21, "p1"), (22, "p0")]
    assert story["left_out"] == 15
    assert "prints page 21 of 21" in explained(tmp_path / "run")


def test_with_a_lock_that_was_there_it_says_who_was_inside(tmp_path: Path) -> None:
    """Who waited for the lock, for whom, how long, and that two were inside all the same."""
    lost(tmp_path / "run", lock="sysv_sem")
    text = " ".join(explained(tmp_path / "run").split())
    assert "waits for the table's lock (held by trader-1)" in text
    assert "enters with the table's lock after 2.0 µs: buy 10" in text
    assert "table.lock is sysv_sem, so the lock was there, yet trader-3 and trader-1" in text


def test_first_worst_and_last_are_told_apart(tmp_path: Path) -> None:
    """The case that was asked for, and the worst without asking."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    for turn, amount in enumerate((5, 9, 2)):
        at = turn * 1000
        scene.trade("a", amount, 100 + turn, (at, at, at + 50))
        scene.trade("b", 1, 100 + turn, (at, at, at + 90))
    scene.case()
    amounts = {
        which: stories(tmp_path / "run", *which)[0]["amount"]
        for which in ((), ("--first",), ("--worst",), ("--last",))
    }
    assert list(amounts.values()) == [9.0, 5.0, 9.0, 2.0]


def test_a_finding_by_its_number(tmp_path: Path) -> None:
    """``--finding N`` tells of this one; a number that does not exist is refused with those."""
    scene = Scene(tmp_path / "run", stock=8.0, lock="none")
    scene.trade("a", -7, 8, (0, 0, 50))
    scene.trade("b", -2, 1, (0, 0, 60), checked=8)
    scene.trade("c", -4, 8, (0, 0, 70))
    scene.final[0] = -1.0
    scene.case()
    assert [story["kind"] for story in stories(tmp_path / "run")] == [
        "lost_update",
        "negative_stock",
        "data_race",
    ]
    (second,) = stories(tmp_path / "run", "--finding", "2")
    assert (second["number"], second["kind"]) == (2, "negative_stock")
    assert "between the check and the read" in second["prevention"]
    for number in ("0", "4"):
        done = launch("explain", str(tmp_path / "run"), "--finding", number)
        assert (done.status, done.out) == (2, "")
        assert "1 lost_update, 2 negative_stock" in done.err


def test_a_run_that_cannot_be_read_is_status_2(tmp_path: Path) -> None:
    """One error, nothing on standard output."""
    done = launch("explain", str(tmp_path))
    assert (done.status, done.out) == (2, "")
    assert "not a stored run" in done.err


def test_a_run_without_findings_says_so_and_why(tmp_path: Path) -> None:
    """Nothing was found; what leaves the run undecided follows."""
    scene = Scene(tmp_path / "run", rows=("DOLLAR", "EURO"), lock="none")
    scene.trade("a", 5, 10000, (0, 0, 50))
    scene.trade("b", 1, 10000, (60, 60, 90), row=1)
    scene.case()
    text = explained(tmp_path / "run")
    assert "Nothing was found." in text
    assert "undecided: no two operations overlapped" in text


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    """Of 42 overlapping operations 12 are told: the witnesses, their kin, and the nearest."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    scene.trade("a", 5.25, 100, (0, 0, 9000))
    stock = 100.0
    for turn in range(40):
        stock = scene.trade("b", 1, stock, (turn * 100, turn * 100, turn * 100 + 50))
    scene.trade("c", 7.5, 100, (0, 0, 9500))
    scene.final[0] = 107.5
    scene.case()
    (story,) = stories(tmp_path / "run", "--last", "--finding", "1")
    told = {(row["process"], row["seq"]) for row in story["rows"]}
    assert len(told) == 12
    # Far away, but it read the value that both witnesses had read.
    assert ("b", 1) in told
    assert story["left_out"] == 30
    assert "30 operations around it are left out" in explained(tmp_path / "run", "--last")


def test_an_operation_that_was_cut_off_is_told_as_such(tmp_path: Path) -> None:
    """Nobody knows what a killed process did after it had entered."""
    scene = Scene(tmp_path / "run", lock="none")
    scene.record("dead", exchange.BUY, 0, (0, 100, 0), (5.0,))
    scene.trade("b", 1, 10005, (200, 200, 900))
    scene.trade("c", 2, 10000, (150, 150, 950))
    scene.outcomes["dead"].signal = signal.SIGKILL
    scene.case()
    rows = [row for story in stories(tmp_path / "run") for row in story["rows"]]
    (cut,) = {(row["step"], row["to_ns"]) for row in rows if "cut off" in row["text"]}
    assert cut == ("ends", None)


def test_two_producers_at_one_position(tmp_path: Path) -> None:
    """Both read the position, both write the next; who took what stood there is told too."""
    scene = Scene(tmp_path / "run", channels=[ring(lock="none")])
    for maker, name in enumerate(("one", "two")):
        scene.recorder(name, "producer")
        scene.job(name, spooler.PUT, item(maker, 1), (10, 100 + maker, 500 + maker))
    scene.job("three", spooler.TAKE, item(1, 1), (0, 700, 800))
    scene.job("three", spooler.PRINT, item(1, 1), (810, 820, 900))
    scene.case()
    story = next(each for each in stories(tmp_path / "run") if each["kind"] == "job_lost")
    texts = [(row["process"], row["text"]) for row in story["rows"]]
    for name in ("one", "two"):
        assert (name, "reads position 0") in texts
        assert (name, "writes position 1") in texts
    assert ("three", "takes job 1 of two from jobs") in texts
    assert texts[-1][1].startswith("delivers job 1 of two")
    assert story["prevention"].startswith("channels.jobs.lock is none")


def test_a_job_that_died_with_its_taker(tmp_path: Path) -> None:
    """No lock prevents that, and the text does not claim it."""
    scene = Scene(tmp_path / "run", channels=[ring()])
    scene.job("one", spooler.PUT, item(0, 1), (0, 100, 200))
    scene.job("two", spooler.TAKE, item(0, 1), (0, 300, 400))
    scene.outcomes["two"].signal = signal.SIGKILL
    scene.case()
    story = next(each for each in stories(tmp_path / "run") if each["kind"] == "job_lost")
    assert story["prevention"] == "no lock prevents this: two died with the job in its hands"


@pytest.mark.parametrize(
    ("scenario", "kinds", "steps", "prevention"),
    [
        ("exchange/lost_update", {"lost_update"}, {"enters", "reads", "writes", "leaves"},
         "table.lock is none"),
        ("exchange/negative_stock", {"negative_stock"}, {"checks", "reads", "writes"},
         "table.lock is none"),
        ("exchange/torn_read", {"torn_read"}, {"reads", "writes"}, "table.lock is none"),
        ("spooler/bounded_buffer", {"job_lost", "job_duplicated", "job_corrupted"}, {"offers"},
         "channels.jobs.lock is none"),
        ("spooler/one_slot", {"job_lost", "job_corrupted"}, {"enters", "leaves"},
         "channels.jobs.sync is star"),
        ("spooler/shared_paper", {"pages_interleaved"}, {"prints"}, "paper.lock is none"),
    ],
)  # fmt: skip
def test_real_runs_are_told(
    tmp_path: Path, scenario: str, kinds: set[str], steps: set[str], prevention: str
) -> None:
    """Each finding with witnesses has its steps, in the sentence's words, 100 columns at most."""
    config = ROOT / "configs" / f"{scenario}.yaml"
    run = launch("run", str(config), "--out", str(tmp_path), "--json").document
    told = stories(scenario, "--out", str(tmp_path))
    assert [story["sentence"] for story in told] == [
        f["worst"]["sentence"] for f in run["findings"]
    ]
    chosen = [story for story in told if story["kind"] in kinds]
    assert chosen
    for story in chosen:
        assert {row["step"] for row in story["rows"]} >= steps
        assert story["prevention"].startswith(prevention)
        stamps = [row["at_ns"] for row in story["rows"] if row["at_ns"] is not None]
        assert stamps == sorted(stamps)
        lines = [row["line"] for row in story["rows"] if row["line"] is not None]
        assert lines == sorted(lines)
    text = explained(scenario, "--out", str(tmp_path))
    assert max(map(len, text.splitlines())) <= 100
    assert "\x1b" not in text


def test_narrow_terminals_and_colour(tmp_path: Path) -> None:
    """At 60 columns nothing is wider, and no figure is cut; FORCE_COLOR colours a pipe."""
    lost(tmp_path / "run")
    words = ("explain", str(tmp_path / "run"))
    narrow = launch(*words, NO_COLOR="1", COLUMNS="60").out
    assert max(map(len, narrow.splitlines())) <= 60
    assert "9,460" in narrow
    assert "\x1b[31m" in launch(*words, NO_COLOR="", FORCE_COLOR="1").out


def test_json_is_one_document(tmp_path: Path) -> None:
    """Verdict, doubts and findings, nothing else on standard output."""
    lost(tmp_path / "run")
    document = json.loads(launch("explain", str(tmp_path / "run"), "--json").out)
    assert set(document) == {
        "scenario", "variant", "run_dir", "verdict", "doubts", "findings", "elsewhere",
    }  # fmt: skip
