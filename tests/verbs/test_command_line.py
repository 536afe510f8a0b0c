"""What the verbs print, and the exit status of each end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.launching import ROOT, launch

CONFIGS = ROOT / "configs"
LOST_UPDATE = str(CONFIGS / "exchange/lost_update.yaml")
SCRIPT = str(CONFIGS / "exchange/script.yaml")


def test_a_bare_path_is_run(tmp_path: Path) -> None:
    """``run.py FILE`` is ``run.py run FILE``: the scenario's first variant, status 0."""
    done = launch(LOST_UPDATE, "--out", str(tmp_path))
    assert done.status == 0
    assert "exchange/lost_update · unlocked" in done.out
    assert "lost_update" in done.out


def test_json_is_one_document_and_has_what_the_design_promises(tmp_path: Path) -> None:
    """``run --json`` prints nothing else, and has every promised key."""
    run = launch("run", LOST_UPDATE, "--out", str(tmp_path), "--json").document
    assert set(run) >= {
        "scenario", "variant", "seed", "run_dir", "verdict", "expected", "as_expected", "overlaps",
        "operations", "wall_s", "findings", "processes", "objects", "leaks",
    }  # fmt: skip
    assert set(run["findings"][0]) >= {"kind", "count", "total", "first", "worst", "explanation"}
    assert set(run["processes"][0]) >= {"name", "role", "pid", "exit", "signal"}
    assert {"kind", "id"} <= set(run["objects"][0])
    assert run["leaks"] == []


def test_compare_json_has_runs_and_summary(tmp_path: Path) -> None:
    """``compare --json`` maps each variant to its runs, in alternation, and a summary."""
    done = launch("compare", LOST_UPDATE, "--repeat", "2", "--out", str(tmp_path), "--json")
    document = done.document
    assert list(document["variants"]) == ["unlocked", "locked"]
    for entry in document["variants"].values():
        assert len(entry["runs"]) == entry["summary"]["runs"] == 2
    unlocked, locked = (document["variants"][v]["runs"] for v in ("unlocked", "locked"))
    assert [run["seed"] for run in unlocked] == [run["seed"] for run in locked]
    stamps = [Path(run["run_dir"]).name for run in (unlocked[0], locked[0], unlocked[1], locked[1])]
    assert stamps == sorted(stamps)


def test_compare_prints_a_column_a_variant(tmp_path: Path) -> None:
    """The table has the promised rows; sentences and the limits of clean runs follow."""
    out = launch("compare", LOST_UPDATE, "--out", str(tmp_path)).out
    for row in (
        "verdict", "operations", "operations/s", "overlapping critical sections", "lost updates",
        "missing stock", "negative stock", "lock wait, median", "lock wait, 99 %", "fairness",
        "CPU s",
    ):  # fmt: skip
        assert any(line.strip().startswith(row) for line in out.splitlines()), row
    assert "who had also read" in " ".join(out.split())
    assert "without a finding" in out
    assert "\x1b" not in out


def test_compare_narrows_to_named_variants(tmp_path: Path) -> None:
    """``--variant a,b`` takes these, in this order."""
    done = launch(
        "compare", LOST_UPDATE, "--variant", "locked,unlocked", "--out", str(tmp_path), "--json"
    )
    assert list(done.document["variants"]) == ["locked", "unlocked"]


def test_colour_obeys_the_environment(tmp_path: Path) -> None:
    """FORCE_COLOR colours a pipe, NO_COLOR wins over it."""
    forced = launch("check", _stored(tmp_path), FORCE_COLOR="1")
    assert "\x1b[32m" in forced.out
    assert "\x1b" not in launch("check", _stored(tmp_path), FORCE_COLOR="1", NO_COLOR="1").out


def _stored(tmp_path: Path) -> str:
    run: str = launch("run", SCRIPT, "--out", str(tmp_path), "--json").document["run_dir"]
    return run


def test_check_judges_a_stored_run_again(tmp_path: Path) -> None:
    """The same files give the same verdict, findings and status, without any process."""
    first = launch("run", LOST_UPDATE, "--out", str(tmp_path), "--json")
    again = launch("check", first.document["run_dir"], "--json")
    assert again.status == first.status
    assert again.document == first.document
    latest = launch("check", "exchange/lost_update", "--out", str(tmp_path), "--json")
    assert latest.document == first.document


def test_the_run_directory_has_each_stage(tmp_path: Path) -> None:
    """Plan, histories, outcome, verdict and log are files; ``latest`` points at the newest run."""
    run_dir = Path(launch("run", LOST_UPDATE, "--out", str(tmp_path), "--json").document["run_dir"])
    assert {path.name for path in run_dir.iterdir()} >= {
        "plan.json", "history", "outcome.json", "verdict.json", "log.jsonl",
    }  # fmt: skip
    assert (run_dir.parent / "latest").resolve() == run_dir.resolve()
    events = [json.loads(line) for line in (run_dir / "log.jsonl").read_text().splitlines()]
    names = [event["event"] for event in events]
    assert names[0] == "run_started"
    assert names[-1] == "run_ended"
    assert names.count("process_started") == names.count("process_ended") == 4
    assert {"gate_open", "objects_removed", "finding", "process_summary"} <= set(names)


def test_log_operations_adds_each_operation(tmp_path: Path) -> None:
    """``--log operations`` writes as many operation lines as there were operations."""
    done = launch(
        "run", SCRIPT, "--out", str(tmp_path), "--json", "--log", "operations"
    )  # fmt: skip
    lines = (Path(done.document["run_dir"]) / "log.jsonl").read_text().splitlines()
    operations = [e for line in lines if (e := json.loads(line))["event"] == "operation"]
    assert [operation["operation"] for operation in operations] == ["buy", "sell"]
    assert operations[0]["values"]["written"] == 10010.0
    assert operations[0]["asked_ns"] >= 0


def test_the_same_seed_makes_the_same_trades(tmp_path: Path) -> None:
    """Equal seeds give equal operations: amounts and rows, process by process."""

    def trades(seed: str) -> list[tuple[object, ...]]:
        done = launch(
            "run", LOST_UPDATE, "--variant", "locked", "--seed", seed, "--out", str(tmp_path),
            "--json", "--log", "operations",
        )  # fmt: skip
        lines = (Path(done.document["run_dir"]) / "log.jsonl").read_text().splitlines()
        found = [e for line in lines if (e := json.loads(line))["event"] == "operation"]
        return sorted((e["process"], e["seq"], e["object"], e["values"]["amount"]) for e in found)

    assert trades("7") == trades("7") != trades("8")


def test_set_changes_one_value(tmp_path: Path) -> None:
    """``--set`` puts the table into a file, and the document's objects say so."""
    run = launch(
        "run", LOST_UPDATE, "--set", "table.store=mmap_file", "--out", str(tmp_path), "--json"
    ).document
    kinds = {entry["kind"] for entry in run["objects"]}
    assert "sysv_shm" not in kinds
    assert (tmp_path / "exchange/lost_update/exchange.dat").is_file()


@pytest.mark.parametrize("spawn", ["fork", "exec"])
def test_children_forked_or_executed_do_the_same(tmp_path: Path, spawn: str) -> None:
    """``spawn: exec`` starts programs of their own, told only names and keys; same verdict."""
    run = launch(
        "run", LOST_UPDATE, "--variant", "locked", "--set", f"spawn={spawn}", "--out",
        str(tmp_path), "--json",
    ).document  # fmt: skip
    assert run["verdict"] == "valid"
    assert run["operations"] == 800


def test_without_undo_and_with_a_posix_semaphore(tmp_path: Path) -> None:
    """Every lock keeps every unit when nobody dies."""
    for lock in ("{kind: sysv_sem, undo: false}", "posix_sem"):
        run = launch(
            "run", LOST_UPDATE, "--variant", "locked", "--set", f"table.lock={lock}", "--out",
            str(tmp_path), "--json",
        ).document  # fmt: skip
        assert run["verdict"] == "valid", lock


def test_not_as_expected_is_status_1(tmp_path: Path) -> None:
    """A valid run of a scenario that promises an anomaly: not as the scenario expects."""
    done = launch("run", SCRIPT, "--set", "expect=anomaly", "--out", str(tmp_path), "--json")
    assert (done.document["verdict"], done.status) == ("valid", 1)


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml"),
        (["rnu", "x.yaml"], "did you mean 'run'?"),
        (["check", "nothing"], "not a stored run"),
        (["run", LOST_UPDATE, "--variant", "lokced"], "did you mean 'locked'?"),
        (["run", LOST_UPDATE, "--set", "table.lokc=none"], "did you mean"),
        (["run", LOST_UPDATE, "--set", "table"], "--set"),
        (["run", LOST_UPDATE, "--repeat", "0"], "--repeat"),
        (["trade", "nowhere"], "no exchange is open"),
    ],
)
def test_a_wrong_command_line_is_status_2(words: list[str], fragment: str) -> None:
    """One clear error that names the mend; no traceback, nothing on standard output."""
    done = launch(*words)
    assert done.status == 2
    assert fragment in done.err
    assert done.out == ""


def test_a_bad_scenario_makes_nothing(tmp_path: Path) -> None:
    """All complaints at once, at file:line:column, status 2; no run directory is made."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("system: exchnage\nprocesses: []\nlokc: none\n")
    done = launch("run", str(bad), "--out", str(tmp_path / "runs"))
    assert done.status == 2
    assert f"{bad}:1:9:" in done.err
    assert f"{bad}:3:1:" in done.err
    assert not (tmp_path / "runs").exists()


def test_an_unwritable_out_is_an_error_with_a_mend(tmp_path: Path) -> None:
    """A run that cannot be stored is not run."""
    (tmp_path / "file").write_text("")
    done = launch("run", SCRIPT, "--out", str(tmp_path / "file"))
    assert done.status == 2
    assert "--out" in done.err


def test_list_names_every_kind() -> None:
    """``list --json`` has each lock, table, channel, role and scenario with a sentence."""
    found = launch("list", "--json").document
    assert {"none", "sysv_sem", "posix_sem"} <= set(found["locks"])
    assert {"sysv_shm", "mmap_file"} <= set(found["tables"])
    assert {"sysv_queue", "fifo", "ring", "one_slot"} <= set(found["channels"])
    assert "exchange/lost_update" in found["scenarios"]
    assert all(text for family in found.values() for text in family.values())


def test_list_of_one_kind_has_that_kind_alone() -> None:
    """Of a family of mechanisms, of roles by their own name, as text and as JSON."""
    out = launch("list", "locks", "flock").out
    assert "  flock: " in out
    assert "  ofd_lock: " not in out
    assert launch("list", "roles", "trader").out.count("\n") == 2
    found = launch("list", "locks", "flock", "--json").document
    assert [entry["kind"] for entry in found["locks"]] == ["flock"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("lock",), "did you mean 'locks'?"),
        (("locks", "flok"), "did you mean 'flock'?"),
        (("roles", "tradr"), "did you mean 'trader'?"),
    ],
)
def test_list_of_what_is_not_there_says_what_was_meant(words: tuple[str, ...], hint: str) -> None:
    """A word that is almost a family or a kind."""
    done = launch("list", *words)
    assert done.status == 2
    assert hint in done.err


def test_the_schema_file_is_the_generated_one() -> None:
    """configs/schema.json is what ``run.py schema`` prints: regenerate it after a change."""
    assert (CONFIGS / "schema.json").read_text() == launch("schema").out


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("exlore", "explore"), ("exchange/lost_updat", "exchange/lost_update"),
        ("lost_update", "exchange/lost_update"), ("spooler/spool_filte", "spooler/spool_filter"),
    ],
)  # fmt: skip
def test_a_word_that_is_neither_verb_nor_scenario_gets_the_nearest(word: str, meant: str) -> None:
    """A usage error; a scenario is known by its last name, too."""
    done = launch(word)
    assert (done.status, done.out) == (2, "")
    assert f"did you mean {meant!r}?" in done.err


def test_help_lists_the_verbs() -> None:
    """``--help`` names every verb with its sentence; no words at all are a usage error."""
    out = launch("--help").out
    for verb in ("run", "compare", "check", "explain", "list", "schema", "ps", "clean", "trade"):
        assert f"\n  {verb} " in out
    assert launch().status == 2


@pytest.mark.parametrize("verb", ["check", "explain", "trace", "report"])
def test_a_run_may_be_named_by_its_scenario_file(verb: str, tmp_path: Path) -> None:
    """What `run` takes, the verbs for stored runs take too: they mean its latest run."""
    path = str(ROOT / "configs/exchange/two_sales.yaml")
    assert launch("run", path, "--out", str(tmp_path)).status == 0
    assert launch(verb, path, "--out", str(tmp_path)).status == 0
