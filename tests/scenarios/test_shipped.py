"""Every shipped scenario does what it promises: each file is a test of its own."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest

from common.kernel import small_disk
from tests.alone import alone
from tests.compiled import COMPILER
from tests.launching import ROOT, launch, still_there

CONFIGS = ROOT / "configs"
# Runs until it is interrupted: tests/verbs/test_interruption.py runs it.
OPEN_ENDED = "exchange/open_for_business"
SCENARIOS = sorted(
    name
    for path in CONFIGS.rglob("*.yaml")
    if (name := str(path.relative_to(CONFIGS).with_suffix(""))) != OPEN_ENDED
)
NEEDS_MOUNT = "faults/disk_full"
# Where jobs go through memory that the lab itself guards, or does not.
IN_SHARED_MEMORY = {"spooler/one_slot", "spooler/bounded_buffer"}
ISSUE = {
    "exchange/lost_update", "exchange/negative_stock", "exchange/mmap_file", "exchange/torn_read",
    "exchange/order_desk", "exchange/order_desk_fifo", "exchange/script", "spooler/one_slot",
    "spooler/bounded_buffer", "spooler/queue", "spooler/fifo", "spooler/shared_paper", "receipts",
}  # fmt: skip


def compare(name: str, out: Path, *words: str, one_core: bool = False) -> dict[str, Any]:
    """Compare all variants of a shipped scenario; returns the first run of each."""
    if name == NEEDS_MOUNT and not small_disk.allowed():
        pytest.skip("mounting needs CAP_SYS_ADMIN")
    if name.startswith("programs/"):
        if COMPILER is None:
            pytest.skip("there is no C compiler")
        with alone():
            return _compared(name, out, *words, one_core=one_core)
    return _compared(name, out, *words, one_core=one_core)


def _compared(name: str, out: Path, *words: str, one_core: bool) -> dict[str, Any]:
    done = launch(
        "compare", str(CONFIGS / f"{name}.yaml"), "--out", str(out), "--json", *words,
        one_core=one_core,
    )  # fmt: skip
    assert done.status == 0, done.out[-3000:] + done.err
    document = done.document
    assert document["scenario"] == name
    for entry in document["variants"].values():
        for run in entry["runs"]:
            assert run["as_expected"]
            assert run["leaks"] == []
            assert still_there(run["objects"]) == []
    return {variant: entry["runs"][0] for variant, entry in document["variants"].items()}


def kinds_of(run: dict[str, Any]) -> set[str]:
    """Return the kinds of a run's findings."""
    return {finding["kind"] for finding in run["findings"]}


def test_the_scenarios_of_the_lecture_are_all_there() -> None:
    """Each system of the lecture has all its forms as scenarios."""
    assert set(SCENARIOS) >= ISSUE


@pytest.mark.parametrize("one_core", [False, True], ids=["all cores", "one core"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_each_variant_is_as_expected(name: str, one_core: bool, tmp_path: Path) -> None:
    """Anomalies show, locked variants are valid, nothing is left; on one core as on two."""
    runs = compare(name, tmp_path, one_core=one_core)
    for run in runs.values():
        # These happen only where two were inside together, or where one was struck inside.
        together = {"lost_update", "negative_stock", "torn_read", "pages_interleaved"}
        met = kinds_of(run) & together or (name in IN_SHARED_MEMORY and kinds_of(run))
        if met and not run["faults"]:
            assert run["overlaps"] > 0
        # Whom a fault of the scenario struck has no good end, nor whom it left waiting.
        promised = {*run["expected"]["findings"], *run["expected"]["any"]}
        if not promised & {"process_crashed", "process_hung", "object_vanished"}:
            assert all(each["exit"] == 0 or each["struck"] for each in run["processes"])


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_file_begins_with_what_it_shows(name: str) -> None:
    """A scenario file names its schema, says what it shows, and quotes the lecture."""
    lines = (CONFIGS / f"{name}.yaml").read_text().splitlines()
    assert re.fullmatch(r"# yaml-language-server: \$schema=(\.\./)?schema.json", lines[0])
    comment = [line for line in lines if line.startswith("#")]
    assert any(line.startswith("# Lecture (") for line in comment)
    assert len(lines[1]) > 20


def test_missing_stock_is_what_the_lost_updates_took(tmp_path: Path) -> None:
    """The attributed losses add up to the missing stock exactly, row by row, as doubles."""
    runs = compare("exchange/lost_update", tmp_path)
    measures = runs["unlocked"]["measures"]
    assert measures["missing"] == measures["lost"]
    assert any(measures["missing"].values())
    (lost,) = [f for f in runs["unlocked"]["findings"] if f["kind"] == "lost_update"]
    first, second = lost["first"]["witnesses"]
    assert first["values"]["read"] == second["values"]["read"]
    assert first["process"] != second["process"]
    # Stamps are taken outside the accesses, so they bound the order but need not show it.
    assert first["entered_ns"] <= second["left_ns"]
    assert not any(runs["locked"]["measures"]["missing"].values())


def test_every_unit_is_kept_with_the_lock(tmp_path: Path) -> None:
    """With the lock the final stock is the initial one plus what was bought minus what was sold."""
    locked = compare("exchange/lost_update", tmp_path, "--variant", "locked")["locked"]
    assert locked["overlaps"] == 0
    assert locked["measures"]["contended"] > 0
    # Judged again from nothing but the records, by hand.
    from common.history.merge import load_history
    from exchange import SYSTEM

    operations = {operation.code: operation for operation in SYSTEM.operations}
    history = load_history(Path(locked["run_dir"]) / "history", operations)
    change = dict.fromkeys(range(4), 0.0)
    for at in range(len(history)):
        record = history.record(at)
        sign = operations[history.operation(at).code].sign
        if sign and history.done[at]:
            change[int(history.objects[at])] += sign * record["v0"]
    for row, (name, first) in enumerate(locked["initial"].items()):
        assert locked["final"][name]["stock"] == first["stock"] + change[row]


def test_a_negative_stock_names_check_and_write(tmp_path: Path) -> None:
    """The finding holds the sale with its check and the write that came in between."""
    unlocked = compare("exchange/negative_stock", tmp_path)["unlocked"]
    (finding,) = [f for f in unlocked["findings"] if f["kind"] == "negative_stock"]
    names = {witness["process"] for witness in finding["first"]["witnesses"]}
    sale = finding["first"]["witnesses"][-1]["values"]
    assert len(names) >= 2
    assert any(
        w["values"]["checked"] >= w["values"]["amount"] > w["values"]["read"]
        for w in finding["first"]["witnesses"]
        if w["operation"] == "sell"
    ), sale


def test_a_second_run_continues_from_the_file(tmp_path: Path) -> None:
    """What the first run left in exchange.dat is what the second run starts from, to the bit."""
    first = compare("exchange/mmap_file", tmp_path, "--variant", "locked")["locked"]
    second = compare("exchange/mmap_file", tmp_path, "--variant", "locked")["locked"]
    assert first["initial"]["DOLLAR"]["stock"] == 10000
    assert second["initial"] == first["final"] != first["initial"]
    assert (tmp_path / "exchange/mmap_file/exchange.dat").stat().st_size >= 96


def test_a_torn_row_is_one_that_no_one_wrote(tmp_path: Path) -> None:
    """The auditor saw a pair of rates that no change and no beginning ever made a pair."""
    unlocked = compare("exchange/torn_read", tmp_path)["unlocked"]
    assert "torn_read" in kinds_of(unlocked)


@pytest.mark.parametrize("name", ["exchange/order_desk", "exchange/order_desk_fifo"])
def test_every_order_is_answered_once(name: str, tmp_path: Path) -> None:
    """Messages are safe with and without the lock: as many fills as orders, none lost or double."""
    runs = compare(name, tmp_path)
    for run in runs.values():
        by_name = run["measures"]["by_name"]
        assert by_name["order"] == by_name["fill"] == by_name["take_order"] == 200
        assert not kinds_of(run) & {"job_lost", "job_duplicated", "job_corrupted"}


def test_the_script_ends_with_the_lectures_figures(tmp_path: Path) -> None:
    """EURO 10010, POUND 4900; the balance is 960.56 and then 1284.56."""
    run = compare("exchange/script", tmp_path)["default"]
    assert run["final"]["EURO"]["stock"] == 10010
    assert run["final"]["POUND"]["stock"] == 4900
    balances = run["processes"][0]["summary"]["balances"]
    assert [round(balance, 2) for balance in balances] == [960.56, 1284.56]


def test_each_job_is_printed_once_and_in_order(tmp_path: Path) -> None:
    """On the papers of the locked ring each job stands once, and each producer's in order."""
    locked = compare("spooler/bounded_buffer", tmp_path)["mutex"]
    papers = sorted(Path(locked["run_dir"]).glob("paper-*.txt"))
    printed: list[str] = []
    for paper in papers:
        jobs = re.findall(r"\[job ([0-9a-f]+) page 1/1\]", paper.read_text())
        for producer in {job[:-8] for job in jobs}:
            own = [job for job in jobs if job[:-8] == producer]
            assert own == sorted(own)
        printed += jobs
    assert len(printed) == len(set(printed)) == 180


@pytest.mark.parametrize("name", ["spooler/queue", "spooler/fifo"])
def test_a_kernel_channel_loses_nothing(name: str, tmp_path: Path) -> None:
    """Every job that was placed is printed exactly once."""
    run = compare(name, tmp_path)["default"]
    printed: list[str] = []
    for paper in Path(run["run_dir"]).glob("paper-*.txt"):
        printed += re.findall(r"\[job ([0-9a-f]+) ", paper.read_text())
    assert len(printed) == len(set(printed)) == 300


def test_interleaved_pages_can_be_read_on_the_paper(tmp_path: Path) -> None:
    """Unlocked, the paper itself shows pages of one job between those of another; locked, never."""
    runs = compare("spooler/shared_paper", tmp_path)

    def pieces(run: dict[str, Any]) -> tuple[int, int]:
        lines = (Path(run["run_dir"]) / "paper.txt").read_text().splitlines()
        jobs = [line.split()[1] for line in lines]
        changes = sum(before != after for before, after in itertools.pairwise(jobs))
        return changes + 1, len(set(jobs))

    runs_of_pages, jobs = pieces(runs["locked"])
    assert runs_of_pages == jobs == 40
    runs_of_pages, jobs = pieces(runs["unlocked"])
    assert runs_of_pages > jobs == 40


def test_every_trade_has_exactly_one_receipt(tmp_path: Path) -> None:
    """Locked, as many distinct receipts are on the paper as trades were done."""
    locked = compare("receipts", tmp_path)["locked"]
    trades = sum(process["summary"].get("done", 0) for process in locked["processes"])
    printed: list[str] = []
    for paper in Path(locked["run_dir"]).glob("paper*.txt"):
        printed += re.findall(r"\[job ([0-9a-f]+) ", paper.read_text())
    assert len(printed) == len(set(printed)) == trades > 0


def test_a_run_without_overlap_is_undecided(tmp_path: Path) -> None:
    """Two tellers of one trade each and no delays prove nothing: status 3 or an honest verdict."""
    done = launch(
        "run", str(CONFIGS / "exchange/lost_update.yaml"), "--variant", "unlocked",
        "--set", "processes.trader.operations=1", "--set", "processes.trader.count=1",
        "--set", "delays.write.sleep_us=0", "--set", "delays.write.jitter_us=0",
        "--out", str(tmp_path), "--json",
    )  # fmt: skip
    run = done.document
    assert run["overlaps"] == 0
    assert not run["as_expected"]
    assert done.status in (1, 3)


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    """The scenario that docs/scenarios.md shows is one, and keeps its own promises."""
    text = (ROOT / "docs/scenarios.md").read_text()
    example = tmp_path / "example.yaml"
    example.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    done = launch("compare", str(example), "--out", str(tmp_path / "runs"), "--json")
    assert done.status == 0, done.err + done.out[-2000:]


def test_a_file_of_somebody_else_is_not_continued(tmp_path: Path) -> None:
    """exchange.dat with numbers that no exchange wrote: refused, status 4, the file untouched."""
    file = tmp_path / "exchange/mmap_file/exchange.dat"
    file.parent.mkdir(parents=True)
    file.write_bytes(bytes(range(1, 256)) * 20)
    before = file.read_bytes()
    done = launch("run", "exchange/mmap_file", "--out", str(tmp_path))
    assert done.status == 4
    assert "move it away" in done.err
    assert file.read_bytes()[:96] == before[:96]
