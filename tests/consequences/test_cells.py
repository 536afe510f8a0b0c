"""Every kind has its cells, each of a real scenario; some of them are run from end to end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import run
from common import kinds, pipeline
from common.consequences import performing
from common.consequences.cell import Without
from common.consequences.performing import SECTIONS
from common.history import store
from common.kernel import small_disk
from common.system import operations_of
from tests.consequences.measuring import as_promised, measured
from tests.launching import launch, still_there

ALL = performing.places(performing.sections())
COLUMNS = list(dict.fromkeys((place.section, place.column.name) for place in ALL))


@pytest.mark.parametrize(
    ("section", "package"),
    [("locks", kinds.LOCKS), ("channels", kinds.CHANNELS), ("tables", kinds.TABLES)],
)
def test_every_kind_has_a_row(section: str, package: str) -> None:
    """A new kind is one by being there; no other file names it."""
    rows = kinds.load(SECTIONS, section).rows()
    assert {row.kind for row in rows} == set(kinds.names(package))
    assert len({row.label for row in rows}) == len(rows)


@pytest.mark.parametrize(("section", "column"), COLUMNS)
def test_every_cell_of_a_column_is_a_run_or_says_why_not(section: str, column: str) -> None:
    """Its scenario takes its kind, and has the variant that it asks for."""
    for place in ALL:
        if (place.section, place.column.name) != (section, column):
            continue
        found = performing.planned(place, run.SYSTEMS, 1)
        if isinstance(found, Without):
            assert found.why, place.row.label
        else:
            assert found.faults, place.row.label


def test_a_killed_holder_in_the_words_of_three_locks(tmp_path: Path) -> None:
    """Freed and not told, freed and told, held for ever: measured, and as the kinds say."""
    cells = measured(tmp_path, "locks", "killed", "sysv_sem", "robust_mutex", "posix_sem")
    words = {row: cell["word"].split()[0] for (row, _), cell in cells.items()}
    assert words == {
        "sysv_sem": "freed", "sysv_sem no undo": "HELD", "robust_mutex": "told",
        "posix_sem": "HELD",
    }  # fmt: skip
    for cell in cells.values():
        assert cell["as_expected"]
        assert cell["differs"] == ""
        assert Path(cell["run_dir"], "verdict.json").is_file()
    assert "GETPID, also when it was dead" in cells["sysv_sem no undo", "killed"]["sentence"]


def test_what_belongs_to_whom_is_seen_at_a_fork_and_at_a_reopening(tmp_path: Path) -> None:
    """The helper keeps a lock of an open file; a record lock is lost with any close of its file."""
    cells = measured(tmp_path, "locks", "forked", "reopened", "flock", "record_lock")
    words = {place: cell["word"].split()[0] for place, cell in cells.items()}
    assert words == {
        ("flock", "forked"): "kept", ("flock", "reopened"): "kept",
        ("record_lock", "forked"): "freed", ("record_lock", "reopened"): "LOST",
    }  # fmt: skip
    assert as_promised(cells)


def test_a_lock_that_is_freed_does_not_mend_the_table(tmp_path: Path) -> None:
    """Broken between two writes, unless an intent record undoes the first of them."""
    cells = measured(tmp_path, "crashes", "between", "between_intent", "record_lock")
    words = {column: cell["word"].split(",")[0] for (_, column), cell in cells.items()}
    assert words == {"between": "BROKEN", "between_intent": "undone"}
    assert as_promised(cells)


def test_who_stands_outside_a_lock_keeps_nobody_and_who_is_slow_inside_does(tmp_path: Path) -> None:
    """Stopped before it, its others go on; slow, or a waiter stormed, they wait out its time."""
    cells = measured(tmp_path, "locks", "outside", "slow", "storm", "posix_sem", "none")
    words = {place: " ".join(cell["word"].split()[:2]) for place, cell in cells.items()}
    assert words.pop(("posix_sem", "outside")).startswith("goes on")
    assert words.pop(("none", "outside")).startswith("goes on")
    for column in ("slow", "storm"):
        assert words["none", column] == "no lock"
        # That it was kept as long as the fault lasts is what the word says; no time is compared.
        assert words["posix_sem", column].startswith("kept ")
    assert as_promised(cells)


def test_a_storm_that_met_nobody_is_marked(tmp_path: Path) -> None:
    """It tried nothing; so is a holder that was to be slow, and was not."""
    (cell,) = measured(tmp_path, "locks", "storm", "flock").values()
    case = store.load_case(Path(cell["run_dir"]), operations_of(list(run.SYSTEMS.values())))
    (place,) = performing.places(["locks"], ["storm", "flock"])
    document: dict[str, Any] = {"findings": [], "measures": {}}
    assert place.module.see(place.row, place.column, case, document).differs == ""
    case.outcome.faults = [each for each in case.outcome.faults if each["kind"] != "signals"]
    seen = place.module.see(place.row, place.column, case, document)
    assert seen.differs == "no signal came while it waited"
    for each in case.outcome.faults:
        each["at_ns"] += 150_000_000 * (each["kind"] == "slow")
    seen = place.module.see(place.row, place.column, case, document)
    assert seen.differs == "it says kept, and was freed"


def test_both_writes_are_undone_before_the_commit(tmp_path: Path) -> None:
    """By the next one, or by the launcher where nobody ever gets the lock."""
    cells = measured(tmp_path, "crashes", "commit_intent", "flock", "posix_sem")
    words = {row: cell["word"] for (row, _), cell in cells.items()}
    assert words["flock"].startswith("undone, ")
    assert words["posix_sem"] == "undone, HELD"
    assert as_promised(cells)


def test_a_table_that_was_to_be_undone_and_is_whole_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the verdict: a table that nobody touched is valid, too."""
    monkeypatch.setitem(kinds.load(SECTIONS, "crashes")._LEFT, "read", "BROKEN")
    cell = measured(tmp_path, "crashes", "read", "flock")["flock", "read"]
    assert cell["as_expected"]
    assert cell["differs"] == "the table was to be BROKEN"


def test_half_a_message_is_cut_on_a_stream_and_on_no_queue(tmp_path: Path) -> None:
    """A part of it has arrived, is told from a whole one, and dropped."""
    cells = measured(tmp_path, "channels", "sending", "unix_stream", "unix_seqpacket")
    assert cells["unix_stream", "sending"]["word"].endswith("cut 1")
    assert "cut" not in cells["unix_seqpacket", "sending"]["word"]
    assert as_promised(cells)


def test_who_does_not_wait_for_room_is_refused_and_nothing_of_it_arrives(tmp_path: Path) -> None:
    """A queue refuses; a stream may have taken a part, and waits for its rest; UDP never tells."""
    cells = measured(tmp_path, "channels", "full", "sysv_queue", "unix_stream", "udp")
    words = {row: cell["word"].split(",")[0] for (row, _), cell in cells.items()}
    assert words == {"sysv_queue": "refused", "unix_stream": "begun", "udp": "never"}
    assert "and nothing of another" in cells["sysv_queue", "full"]["sentence"]
    assert "none cut" in cells["unix_stream", "full"]["sentence"]
    assert as_promised(cells)


def test_who_waits_after_a_refusal_has_not_begun_a_message(tmp_path: Path) -> None:
    """It waits for a lock, say, when the receiver goes on: the channel had refused before."""
    (place,) = performing.places(["channels"], ["full", "sysv_queue"])
    (cell,) = performing.perform([place], run.SYSTEMS, tmp_path, None, lambda _place, _number: None)
    case = store.load_case(Path(cell["run_dir"]), operations_of(list(run.SYSTEMS.values())))
    case.outcome.faults.append(
        {"kind": "sign", "process": "producer-0", "step": "wait", "at_ns": case.outcome.ended_ns}
    )
    seen = place.module.see(place.row, place.column, case, {})
    assert seen.word == cell["word"]
    assert seen.word.startswith("refused")


def test_a_refusal_that_was_a_wait_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who does not wait for room is not to be kept either."""
    monkeypatch.setattr(kinds.load(SECTIONS, "channels"), "_AT_ONCE", -1)
    cell = measured(tmp_path, "channels", "full", "sysv_queue")["sysv_queue", "full"]
    assert cell["differs"].startswith("who does not wait was kept")


def test_a_mapped_file_that_is_cut_kills_and_a_plain_one_tells(tmp_path: Path) -> None:
    """SIGBUS, or an error of the call."""
    cells = measured(tmp_path, "tables", "cut")
    words = {row: cell["word"].split()[0] for (row, _), cell in cells.items()}
    assert words == {
        "mmap_file": "SIGBUS", "posix_shm": "SIGBUS", "plain_file": "told", "sysv_shm": "-",
    }  # fmt: skip
    # With the time until both had died of it.
    assert re.fullmatch(r"SIGBUS [0-9.]+ m?s, missed", cells["mmap_file", "cut"]["word"])
    assert "keeps its size" in cells["sysv_shm", "cut"]["why"]


@pytest.mark.skipif(not small_disk.allowed(), reason="mounting needs CAP_SYS_ADMIN")
def test_a_table_on_a_full_disk_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """By ENOSPC when it is made, not by SIGBUS when it is used; a segment lies on no disk."""
    done = launch("matrix", "tables", "--only", "full", "--json", "--out", str(tmp_path))
    (section,) = done.document["sections"]
    cells = {cell["row"]: cell for cell in section["cells"]}
    words = {row: cell["word"] for row, cell in cells.items()}
    assert words == {
        "mmap_file": "refused", "plain_file": "refused", "posix_shm": "refused", "sysv_shm": "-",
    }  # fmt: skip
    assert "on no disk" in cells.pop("sysv_shm")["why"]
    for cell in cells.values():
        assert "No space left on device" in cell["sentence"]
        # Nobody was started who could have recorded anything.
        assert list(Path(cell["run_dir"], "history").iterdir()) == []
        assert cell["differs"] == ""


def test_what_a_refused_table_leaves_is_marked() -> None:
    """So is a refusal for any other reason than the full disk."""
    module = kinds.load(SECTIONS, "tables")
    (place,) = performing.places(["tables"], ["full", "mmap_file"])
    document = {"refused": "no room (No space left on device): 0 bytes", "left": []}
    assert module.refused(place.row, place.column, document).differs == ""
    left = document | {"left": ["the file exchange.dat of 0 bytes"]}
    assert "exchange.dat" in module.refused(place.row, place.column, left).differs
    other = document | {"refused": "too many open files"}
    assert "another reason" in module.refused(place.row, place.column, other).differs


def test_without_a_lock_whoever_stood_still_writes_over_all(tmp_path: Path) -> None:
    """Stopped between its read and its write, it takes three trades of the other with it."""
    cells = measured(tmp_path, "traders", "sysv_shm")
    words = {column: cell["word"] for (_, column), cell in cells.items()}
    assert words == {
        "outside": "its own lost", "before": "its own lost", "after": "stays", "half": "BROKEN",
        "stopped": "LOST 3",
    }  # fmt: skip


def test_a_kind_that_is_not_what_it_says_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the kind says of itself, the words are those of the run."""
    module = kinds.load(kinds.LOCKS, "flock")
    said = module.facts
    held = "held for ever: every waiter's deadline passes"
    monkeypatch.setattr(module, "facts", lambda options: said(options)._replace(holder_dies=held))
    cell = measured(tmp_path, "locks", "killed", "flock")["flock", "killed"]
    assert cell["word"].startswith("freed")
    assert cell["differs"] == "it says held, and was freed"
    assert not cell["as_expected"]


def test_the_command_prints_stores_and_links_what_it_found(tmp_path: Path) -> None:
    """A table that fits, a document, a page whose links lead to the runs; nothing left behind."""
    page = tmp_path / "page.html"
    done = launch(
        "matrix", "locks", "--only", "killed,who,sysv_sem", "--json", "--out", str(tmp_path),
        "--report", str(page),
    )  # fmt: skip
    assert done.status == 0, done.err
    document = done.document
    (section,) = document["sections"]
    assert [column["name"] for column in section["columns"]] == ["killed", "who"]
    for cell in section["cells"]:
        stored = Path(cell["run_dir"])
        assert f'href="{stored.relative_to(tmp_path)}/"' in page.read_text()
        assert still_there(pipeline.judge_run(stored, run.SYSTEMS)["objects"]) == []
    assert Path(document["directory"], "matrix.json").is_file()
    shown = launch("explain", section["cells"][0]["run_dir"])
    assert shown.status == 0, shown.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("lock",), "did you mean 'locks'?"),
        (("locks", "--only", "flok"), "did you mean 'flock'?"),
        (("locks", "--only", "kiled"), "did you mean 'killed'?"),
    ],
)
def test_what_is_not_in_the_table_is_refused(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    """Before anything runs, with the nearest right word."""
    done = launch("matrix", *words, "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert said in done.err
    assert not (tmp_path / "runs").exists()
