"""What ``trace`` writes of hand-drawn runs, by the rules of the format, which have teeth."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from common.history import record
from common.history.case import Case
from common.report.trace import file, window
from common.report.trace.export import Export
from common.verdict.judge import judge
from exchange import operations as exchange
from spooler import operations as spooler
from tests.report.trace_rules import Trace, read
from tests.verdict.scenes import Scene, item, queue, ring

END = 10**9


def drawn(case: Case, shown: window.Window | None = None) -> Trace:
    """Return the trace of a hand-drawn run, which breaks no rule."""
    export = Export(case, judge(case), shown or window.everything(case))
    path = case_file(case)
    file.write(path, export.about(), export.events(lambda process, done: None))
    trace = read(path.read_text())
    assert trace.faults == []
    return trace


def case_file(case: Case) -> Path:
    """Return where the trace of a case is written: in the test's own directory."""
    return Path(f"{case.plan.scenario}.json")


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Return an empty run with a table without a lock, and a ring."""
    monkeypatch.chdir(tmp_path)
    return Scene(tmp_path / "run", lock="none", channels=[ring()])


def held(first: int, last: int | None = None) -> int:
    """Return what the place of a record adds for the lock held at its first and last access."""
    kind = first * record.HELD_FIRST + (first if last is None else last) * record.HELD_LAST
    return kind // record.OBJECT


def operations(trace: Trace) -> list[str]:
    """Return the names of the outermost slices."""
    return [bar.name for bar in trace.bars if not bar.inside]


def test_the_arrow_leads_from_the_lost_update_to_what_went_over_it(scene: Scene) -> None:
    """The victor went in first, so its write is a part that began with the victim."""
    scene.stock, scene.final = 9450.0, [9450.0]
    scene.trade("trader-1", -50, 9450, (1000, 2000, 9000))
    scene.trade("trader-3", +10, 9450, (1000, 3000, 5000), checked=3.72)
    scene.final = [9400.0]
    trace = drawn(scene.case())
    ((kind, lost, over),) = trace.arrows
    assert (kind, lost.track, over.track) == ("overwritten", "trader-3", "trader-1")
    assert (lost.name, lost.start, lost.end) == ("inside", 3000, 5000)
    assert (over.name, over.start, over.end) == ("write", 3000, 9000)
    assert over.inside == ["sell DOLLAR", "inside"]
    (victim,) = trace.named("buy DOLLAR")
    assert victim.args["fate"] == "lost"
    assert (victim.args["read"], victim.args["written"]) == (9450.0, 9460.0)
    assert "fate" not in trace.named("sell DOLLAR")[0].args


def test_a_chain_of_overwriting_is_a_chain_of_arrows(scene: Scene) -> None:
    """Three read one value, in the opposite order of their writes: two arrows, none turned."""
    scene.trade("a", 1, 10000, (0, 3000, 4000), checked=3.72)
    scene.trade("b", 2, 10000, (0, 2000, 5000), checked=3.72)
    scene.trade("c", 4, 10000, (0, 1000, 6000), checked=3.72)
    arrows = drawn(scene.case()).arrows
    assert [(lost.track, over.track) for _, lost, over in arrows] == [("a", "b"), ("b", "c")]


def test_operations_without_length_are_nested_and_apart(scene: Scene) -> None:
    """Equal stamps: each slice has 1 ns at least, its parts lie in it, and none is left out."""
    for at in range(10000, 10005):
        values = (1.0, 3.72, 3.72, at, at + 1.0)
        scene.record("a", exchange.BUY, held(record.TABLE_LOCK), (700, 700, 700), values)
    trace = drawn(scene.case())
    assert [(bar.start, bar.end) for bar in trace.named("hold")] == [
        (700 + n, 701 + n) for n in range(5)
    ]
    assert operations(trace) == ["buy DOLLAR"] * 5


@pytest.mark.parametrize(
    ("locks", "parts"),
    [
        (held(record.TABLE_LOCK), [("wait", 100, 250, {}), ("hold", 250, 400, "the table")]),
        (held(record.FIRST_ROW_LOCK + 1), [("wait", 100, 250, {}), ("hold", 250, 400, "EURO")]),
        (held(record.NO_LOCK), [("inside", 250, 400, {})]),
        (held(record.NO_LOCK, record.TABLE_LOCK), [("inside", 250, 400, {})]),
        (held(record.TABLE_LOCK, record.NO_LOCK), [("inside", 250, 400, {})]),
    ],
)
def test_waiting_for_a_lock_and_holding_it_are_parts(
    scene: Scene, locks: int, parts: list[tuple[str, int, int, Any]]
) -> None:
    """A hold is what the process says it held from its first access to its last, and which lock.

    From asked to entered is the wait, from entered to left the hold; without a lock, neither.
    """
    scene.rows, scene.final = ("DOLLAR", "EURO"), [10001.0, 10000.0]
    times, values = (100, 250, 400), (1.0, 3.72, 3.72, 10000.0, 10001.0)
    scene.record("a", exchange.BUY, locks, times, values)
    found = [
        (bar.name, bar.start, bar.end, bar.args.get("lock", {}))
        for bar in drawn(scene.case()).bars
        if bar.inside
    ]
    assert found == parts


def test_what_never_ended_lasts_until_the_run_did(scene: Scene) -> None:
    """Of what was cut off only the amount is told, and nothing is said of a hold."""
    scene.trade("a", 1, 10000, (100, 250, 400), checked=3.72)
    scene.record("a", exchange.BUY, 0, (500, 600, 0), (5.0,))
    (bar,) = drawn(scene.case()).named("buy DOLLAR (never ended)")
    assert (bar.start, bar.end, bar.args) == (500, END, {"amount": 5.0})


def test_what_was_only_declared_begins_after_what_came_before(scene: Scene) -> None:
    """A trade that was declared and perhaps begun has no stamps of its own."""
    scene.trade("a", 1, 10000, (100, 250, 400), checked=3.72)
    scene.record("a", exchange.BUY, 0, (-1_000_000, -1_000_000, 0), (5.0,))
    (bar,) = drawn(scene.case()).named("buy DOLLAR (never ended)")
    assert (bar.start, bar.end) == (400, END)


def test_what_was_refused_says_so(scene: Scene) -> None:
    """Only what the check saw is told: nothing was read or written after it."""
    values = (50.0, 20.0, 0.0, 0.0, 0.0)
    scene.record("a", exchange.SELL, 0, (100, 100, 200), values, refused=True)
    (bar,) = drawn(scene.case()).named("sell DOLLAR (refused)")
    assert bar.args == {"amount": 50.0, "checked": 20.0}


def test_pages_are_steps_of_their_print(scene: Scene) -> None:
    """Pages lie inside the print; those of a print that never came to its end stand alone."""
    scene.paper = ["x"] * 3
    for page, job, at in ((1, 1, 20), (2, 1, 40), (1, 2, 120)):
        times = (at, at, at + 10)
        scene.record("p", spooler.PAGE, 0, times, (page, 2, 0, 2), item(0, job))
        if page == 2:
            scene.job("p", spooler.PRINT, item(0, 1), (5, 10, 60))
    trace = drawn(scene.case())
    assert [bar.inside for bar in trace.named("page")] == [
        ["print the paper", "hold"], ["print the paper", "hold"], [],
    ]  # fmt: skip
    assert [bar.args["page"] for bar in trace.named("page")] == [1, 2, 1]


def test_a_print_without_a_lock_holds_nothing(scene: Scene) -> None:
    """On a shared paper that nothing guards it is inside; on its own, nobody else could be."""
    scene.paper, scene.paper_lock = [], "none"
    scene.job("p", spooler.PRINT, item(0, 1), (5, 10, 60))
    scene.job("p", spooler.PRINT, item(0, 2), (65, 70, 90), channel=1)
    assert [(bar.name, bar.inside) for bar in drawn(scene.case()).bars] == [
        ("print the paper", []), ("inside", ["print the paper"]), ("print its own paper", []),
    ]  # fmt: skip


def test_pages_of_another_job_are_no_part_of_a_print(scene: Scene) -> None:
    """Whose own print is not recorded stand alone, before the print that came next."""
    scene.paper = ["x"] * 2
    for job, at in ((1, 20), (2, 40)):
        times = (at, at, at + 10)
        scene.record("p", spooler.PAGE, 0, times, (1, 1, 0, 2), item(0, job))
    scene.job("p", spooler.PRINT, item(0, 3), (55, 55, 60))
    assert operations(drawn(scene.case())) == ["page", "page", "print the paper"]


def test_a_run_in_which_nothing_happened(scene: Scene) -> None:
    """A track without slices, and the stock that the table held."""
    scene.recorder("idle")
    trace = drawn(scene.case())
    assert (trace.bars, trace.arrows) == ([], [])
    assert trace.counters == {"DOLLAR stock": [(0, 10000.0)]}


def test_who_waits_for_a_message_receives_it_once_it_is_on_its_way(scene: Scene) -> None:
    """The receiver asked first and its stamp came first: the arrow still leads to it."""
    scene.channels = [queue()]
    scene.job("one", spooler.PUT, item(0, 1), (500, 500, 900))
    scene.job("two", spooler.TAKE, item(0, 1), (100, 100, 800))
    trace = drawn(scene.case())
    ((kind, sent, got),) = trace.arrows
    assert (kind, sent.name, got.name) == ("message", "put jobs", "receive")
    assert [(bar.name, bar.start, bar.end) for bar in trace.bars if bar.track == "two"] == [
        ("take jobs", 100, 800), ("wait", 100, 500), ("receive", 500, 800),
    ]  # fmt: skip
    assert sent.args["job"] == "job 1 of one"


def test_each_copy_of_a_job_has_its_arrow(scene: Scene) -> None:
    """Placed once and taken twice: two arrows; placed twice: each take has its own."""
    scene.job("one", spooler.PUT, item(0, 1), (100, 110, 120))
    scene.job("two", spooler.TAKE, item(0, 1), (200, 210, 220))
    scene.job("two", spooler.TAKE, item(0, 1), (300, 310, 320))
    scene.job("one", spooler.PUT, item(0, 2), (400, 410, 420))
    scene.job("one", spooler.PUT, item(0, 2), (500, 510, 520))
    for at in (600, 700):
        scene.job("two", spooler.TAKE, item(0, 2), (at, at + 10, at + 20))
    arrows = [(sent.start, got.start) for _, sent, got in drawn(scene.case()).arrows]
    assert sorted(arrows) == [(110, 210), (110, 310), (410, 610), (510, 710)]


def test_an_empty_slot_is_nobodys_message(scene: Scene) -> None:
    """Who takes a slot that nobody has filled takes item 0: no arrow leads there."""
    scene.job("one", spooler.PUT, 0, (100, 110, 120))
    scene.job("two", spooler.TAKE, 0, (200, 210, 220))
    assert drawn(scene.case()).arrows == []


def test_the_stock_is_what_was_written_when_its_writer_left(scene: Scene) -> None:
    """It opens at the gate with what the table held, and follows the writes by their end."""
    scene.trade("a", 5, 10000, (100, 200, 900), checked=3.72)
    scene.trade("b", -2, 10000, (100, 300, 400))
    assert drawn(scene.case()).counters["DOLLAR stock"] == [(0, 10000), (400, 9998), (900, 10005)]


def test_a_message_is_counted_before_it_is_taken(scene: Scene) -> None:
    """The sender's stamp may be later than the receiver's: no channel holds less than nothing."""
    scene.channels = [queue()]
    scene.job("one", spooler.PUT, item(0, 1), (100, 100, 900))
    scene.job("two", spooler.TAKE, item(0, 1), (100, 100, 800))
    scene.job("one", spooler.PUT, item(0, 2), (950, 950, 960))
    depth = drawn(scene.case()).counters["jobs depth"]
    assert depth == [(0, 0), (800, 1), (800, 0), (960, 1)]


def test_a_value_that_is_no_number_stays_out_of_the_counter(scene: Scene) -> None:
    """JSON has no NaN: the slice says it in a word, the counter leaves it out."""
    scene.record("a", exchange.BUY, 0, (0, 0, 50), (1.0, 3.72, 3.72, 10000.0, math.nan))
    trace = drawn(scene.case())
    assert trace.named("buy DOLLAR")[0].args["written"] == "nan"
    assert trace.counters["DOLLAR stock"] == [(0, 10000.0)]


def test_names_from_outside_harm_nothing(scene: Scene) -> None:
    """Quotes, ends of lines and tags come out as they went in; what is worse is not read at all."""
    process, row = 'a"\\\n<script>é', 'D"}],\n\u2028'
    scene.rows = (row,)
    scene.trade(process, 1, 10000, (0, 10, 50), checked=3.72)
    trace = drawn(scene.case())
    assert {bar.track for bar in trace.bars} == {process}
    assert operations(trace) == [f"buy {row}"]


def test_letters_stand_as_they_are(scene: Scene) -> None:
    """Perfetto shows the escape of a letter in a name as it is written, so there is none."""
    scene.trade("Händler", 1, 10000, (0, 10, 50), checked=3.72)
    case = scene.case()
    drawn(case)
    assert "Händler" in case_file(case).read_text()


def test_processes_of_one_number_have_tracks_of_their_own(scene: Scene) -> None:
    """Numbers are used again: two names, two tracks."""
    scene.trade("a", 1, 10000, (0, 10, 50), checked=3.72)
    scene.trade("b", 1, 10001, (0, 60, 90), checked=3.72)
    case = scene.case()
    assert len({process.pid for process in case.history.processes}) == 1
    assert {bar.track for bar in drawn(case).bars} == {"a", "b"}


def test_each_case_of_a_finding_is_a_moment(scene: Scene) -> None:
    """First, worst and last at the end of their operations; one case that is all three, once."""
    for turn, amount in enumerate((5, 9, 2)):
        at = turn * 1000
        scene.trade("a", amount, 100 + turn, (at, at, at + 50), checked=3.72)
        scene.trade("b", 1, 100 + turn, (at, at, at + 90), checked=3.72)
    scene.stock = 100.0
    trace = drawn(scene.case())
    found = [each for each in trace.moments if each["name"].startswith("lost_update")]
    assert [(each["name"], round(each["ts"] * 1000)) for each in found] == [
        ("lost_update (first)", 90), ("lost_update (worst)", 1090), ("lost_update (last)", 2090),
    ]  # fmt: skip
    assert "wrote 101 at about the same time" in found[0]["args"]["sentence"]


def test_a_finding_without_operations_is_at_the_end(scene: Scene) -> None:
    """A process that crashed names no operation: its moment is the end of the run."""
    scene.trade("a", 1, 10000, (0, 10, 50), checked=3.72)
    scene.outcomes["a"].exit = 1
    moments = drawn(scene.case()).moments
    assert [(each["name"], each["ts"]) for each in moments] == [
        ("process_crashed (first, worst, last)", END / 1000)
    ]


def test_a_part_of_a_run_shows_what_touches_it(scene: Scene) -> None:
    """Operations that reach into the window are whole; arrows and counters stay within."""
    stock = 10000.0
    for turn in range(10):
        at = turn * 100
        stock = scene.trade("a", 1, stock, (at, at, at + 50), checked=3.72)
    trace = drawn(scene.case(), window.Window(220, 430))
    assert [bar.start for bar in trace.bars if not bar.inside] == [200, 300, 400]
    assert trace.counters["DOLLAR stock"] == [(220, 10002), (250, 10003), (350, 10004)]


def test_an_arrow_with_an_end_out_of_the_window_is_left_out(scene: Scene) -> None:
    """Both of its operations are shown, or it is not drawn."""
    scene.job("one", spooler.PUT, item(0, 1), (100, 110, 120))
    scene.job("two", spooler.TAKE, item(0, 1), (200, 210, 220))
    case = scene.case()
    assert len(drawn(case).arrows) == 1
    assert drawn(case, window.Window(150, 300)).arrows == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"dur": 0}, "dur is not as it should be"),
        ({"dur": 99.0}, "reaches out of"),
        ({"name": ""}, "name is not as it should be"),
        ({"tid": 77}, "on a track without a name"),
        ({"ts": -1}, "ts is not as it should be"),
        ({"ph": "s", "id": 9, "cat": "c", "bp": "e"}, "is the beginning of no arrow"),
        ({"ph": "f", "id": 9, "cat": "c", "bp": "e"}, "ends no arrow"),
        ({"ph": "C", "args": {"stock": "many"}}, "args is not as it should be"),
    ],
)
def test_the_rules_have_teeth(change: dict[str, Any], fault: str) -> None:
    """A trace of two nested slices is faultless; each break of one rule is a fault."""
    one = {"pid": 1, "tid": 1, "ts": 0}
    names = [
        {"ph": "M", **one, "name": f"{what}_name", "args": {"name": "a"}}
        for what in ("process", "thread")
    ]
    inner = {**one, "ph": "X", "name": "inner", "ts": 2, "dur": 3}
    outer = {**one, "ph": "X", "name": "outer", "dur": 10}
    for event, expected in ((inner, None), ({**inner, **change}, fault)):
        document = {"displayTimeUnit": "ns", "traceEvents": [*names, outer, event]}
        faults = read(json.dumps(document)).faults
        assert (faults == []) if expected is None else any(expected in each for each in faults)
