"""`run.py doctor`: what this machine can run, what it cannot and why, and what to change."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import exchange
import spooler
from common import names
from common.kernel.ledger import FILE, Ledger, remove_directory
from common.verbs import doctor
from tests.compiled import CONTRIB, needs_compiler
from tests.conftest import Fork
from tests.launching import ROOT, SECONDS, Finished, command, launch

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs namespaces, limits or another user")


def ask(*words: str, limits: dict[int, int] | None = None, **options: Any) -> Finished:
    """Ask the doctor under lowered limits of the child alone."""

    def lower() -> None:
        for which, value in (limits or {}).items():
            resource.setrlimit(which, (value, value))

    done = subprocess.run(
        command("doctor", *words), capture_output=True, text=True, timeout=SECONDS,
        preexec_fn=lower, check=False, **options,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def within(script: str, *flags: str) -> Finished:
    """Run a script in namespaces of its own; $DOCTOR is the command line of the doctor."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare(1) here")
    if subprocess.run(["unshare", *flags, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no such namespaces here")
    done = subprocess.run(
        ["unshare", *flags, "sh", "-e", "-c", script], capture_output=True, text=True,
        timeout=SECONDS, check=False,
        env={**os.environ, "DOCTOR": " ".join(command("doctor", "--json"))},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return Finished(done.returncode, done.stdout, done.stderr)


def limit(document: dict[str, Any], words: str) -> dict[str, Any]:
    """Return the one limit whose name has these words."""
    (found,) = [each for each in document["limits"] if words in each["name"]]
    assert isinstance(found, dict)
    return found


def facility(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return one of the things that may be built in."""
    (found,) = [each for each in document["built_in"] if each["name"] == name]
    assert isinstance(found, dict)
    return found


def cannot(document: dict[str, Any]) -> set[str]:
    """Return the scenarios of which a variant cannot run."""
    return {entry["scenario"] for entry in document["scenarios"] if not entry["can_run"]}


@needs_compiler
def test_every_shipped_scenario_and_variant_is_looked_at_and_nothing_made(tmp_path: Path) -> None:
    """This machine can run them all: status 0; not even the directory for runs is made."""
    out = tmp_path / "runs"
    done = ask("--json", "--out", str(out))
    assert done.status == 0, done.err
    document = done.document
    shipped = [path.relative_to(ROOT / "configs") for path in (ROOT / "configs").rglob("*.yaml")]
    looked_at = {entry["scenario"] for entry in document["scenarios"]}
    assert looked_at == {str(path.with_suffix("")) for path in shipped}
    variants = [e["variant"] for e in document["scenarios"] if e["scenario"].endswith("/popen")]
    assert variants == ["no_turns", "turns"]
    assert document["to_change"] == []
    assert not out.exists()
    assert "can run here" in ask("--out", str(out)).out


@needs_compiler
def test_too_few_open_files_are_told_with_the_command_that_suffices(tmp_path: Path) -> None:
    """Status 4; each scenario has its reason, and what is to be changed is said once."""
    out = ("--out", str(tmp_path))
    done = ask("--json", *out, limits={resource.RLIMIT_NOFILE: 72})
    assert done.status == 4
    document = done.document
    assert limit(document, "ulimit -n")["value"] == 72
    assert "exchange/lost_update" in cannot(document)
    (mend,) = document["to_change"]
    assert mend.startswith("ulimit -n ")
    enough = int(mend.rpartition(" ")[2])
    assert ask(*out, limits={resource.RLIMIT_NOFILE: enough}).status == 0
    text = ask(*out, limits={resource.RLIMIT_NOFILE: 72})
    assert (text.status, mend in text.out) == (4, True)


@needs_compiler
def test_few_bytes_for_posix_queues_stop_only_who_has_such_a_queue(tmp_path: Path) -> None:
    """The others can run, and are not mentioned."""
    done = ask("--json", "--out", str(tmp_path), limits={resource.RLIMIT_MSGQUEUE: 100})
    assert limit(done.document, "RLIMIT_MSGQUEUE")["value"] == 100
    assert done.status == 4
    assert cannot(done.document) == {"spooler/posix_queue"}
    assert all(mend.startswith("ulimit -q ") for mend in done.document["to_change"])


def test_one_scenario_can_be_asked_for(tmp_path: Path) -> None:
    """By its name, or by its file; one that is not there is a usage error."""
    done = ask("exchange/rpc", "--json", "--out", str(tmp_path))
    assert {entry["scenario"] for entry in done.document["scenarios"]} == {"exchange/rpc"}
    assert ask(str(tmp_path / "none.yaml")).status == 2


@needs_compiler
@as_root
def test_counts_are_those_of_the_kernel() -> None:
    """In an IPC namespace of its own they are known: one segment, two sets, one limit used up."""
    done = within(
        "ipcmk -M 4096 >/dev/null; ipcmk -S 3 >/dev/null; ipcmk -S 2 >/dev/null\n"
        "echo 1 > /proc/sys/kernel/shmmni; $DOCTOR",
        "--ipc",
    )
    document = done.document
    segments = limit(document, "kernel.shmmni")
    assert (segments["used"], segments["value"]) == (1, 1)
    assert segments["allows"].startswith("0 more")
    assert limit(document, "semmni")["used"] == 2
    assert limit(document, "semmns")["used"] == 5
    assert done.status == 4
    assert "exchange/lost_update" in cannot(document)
    assert "spooler/queue" not in cannot(document)
    # Of the tables that are needed there is none free: what is used up already counts, too.
    (mend,) = document["to_change"]
    assert int(mend.removeprefix("sysctl kernel.shmmni=")) >= 2


@as_root
@pytest.mark.parametrize(
    ("hide", "name", "words", "still"),
    [
        ("mount -t tmpfs none /proc/sysvipc", "System V IPC", "System V IPC is unsupported", False),
        (
            "mount -t tmpfs -o ro none /dev/shm", "POSIX semaphores and shared memory",
            "/dev/shm is not writable", True,
        ),
    ],
    ids=["no /proc/sysvipc", "no /dev/shm"],
)  # fmt: skip
def test_what_a_sandbox_hides_is_unsupported_and_no_traceback(
    hide: str, name: str, words: str, still: bool
) -> None:
    """Who needs it cannot run; where it is only some scenarios, the others still can."""
    done = within(f"{hide}; $DOCTOR", "--mount")
    document = done.document
    assert done.status == 4
    assert not facility(document, name)["there"]
    assert facility(document, name)["says"].startswith("unsupported here")
    reasons = [why["reason"] for entry in document["scenarios"] for why in entry["why"]]
    assert any(words in reason for reason in reasons), reasons
    assert ("exchange/script" not in cannot(document)) is still


@as_root
def test_a_full_disk_is_told_with_its_free_bytes() -> None:
    """A small file system where runs would be stored."""
    done = within("mount -t tmpfs -o size=8k none /mnt; $DOCTOR --out /mnt/runs", "--mount")
    document = done.document
    assert done.status == 4
    assert "exchange/lost_update" in cannot(document)
    assert limit(document, "bytes of disk")["value"] <= 8192
    assert "df /mnt, or use --out" in document["to_change"]


def as_plain_user(fork: Fork, said: Path, *scenarios: str) -> int:
    """Ask the doctor as nobody, who writes the document to ``said``; returns the status."""

    def look() -> None:
        named = list(scenarios)
        arguments = argparse.Namespace(scenarios=named, out=Path("/tmp/of-nobody"), json=True)
        systems = {"exchange": exchange.SYSTEM, "spooler": spooler.SYSTEM}
        with Path(os.devnull).open("w") as sys.stdout:
            # Once as oneself: this Python may lie where another user finds no module.
            doctor.execute(arguments, systems)
        sys.stdout = said.open("w")
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        status = doctor.execute(arguments, systems)
        sys.stdout.flush()
        os._exit(status)

    return fork(look).ended()


@pytest.fixture
def for_everybody(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have the doctor look at copies: the checkout may lie where another user may not read."""
    with tempfile.TemporaryDirectory(prefix="lab-test-") as directory:
        place = Path(directory)
        place.chmod(0o755)
        shutil.copytree(ROOT / "configs", place / "configs")
        shutil.copytree(CONTRIB, place / "contrib")
        for path in place.rglob("*"):
            mode = path.stat().st_mode
            path.chmod(mode | 0o044 | (mode & 0o100) >> 3 | (mode & 0o100) >> 6)
        monkeypatch.setattr(doctor, "CONFIGS", place / "configs")
        yield


@as_root
@needs_compiler
@pytest.mark.usefixtures("for_everybody")
def test_a_plain_user_is_told_the_same(fork: Fork, tmp_path: Path) -> None:
    """Nothing that it looks at needs root; what that user may not do is said."""
    assert as_plain_user(fork, tmp_path / "said") == 4
    document = json.loads((tmp_path / "said").read_text())
    # A small disk cannot be mounted: that alone is root's.
    assert cannot(document) == {"faults/disk_full"}
    assert not facility(document, "mount(2)")["there"]
    assert facility(document, "System V IPC")["there"]


def test_a_runtime_directory_whose_sockets_would_be_too_long_stops_every_run(
    runtime_directory: Path, tmp_path: Path
) -> None:
    """107 bytes are all that a socket's path may have; a run is refused for the same reason."""
    deep = runtime_directory / ("d" * (90 - len(str(runtime_directory))))
    deep.mkdir(mode=0o700)
    try:
        done = launch("doctor", "--json", "--out", str(tmp_path), XDG_RUNTIME_DIR=str(deep))
        assert done.status == 4
        assert all(not entry["can_run"] for entry in done.document["scenarios"])
        assert "XDG_RUNTIME_DIR" in done.document["to_change"][0]
        run = launch("run", "exchange/script", "--out", str(tmp_path), XDG_RUNTIME_DIR=str(deep))
        assert (run.status, "107" in run.err) == (4, True)
    finally:
        deep.rmdir()


def test_an_out_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file lies where the directory would be."""
    (tmp_path / "runs").write_text("precious")
    # Of scenarios that need nothing to be built.
    done = ask("exchange/two_traders", "--json", "--out", str(tmp_path / "runs" / "deep"))
    assert done.status == 4
    assert done.document["to_change"] == ["choose another --out"]


def test_what_a_dead_run_left_is_told_in_words_that_no_terminal_obeys(
    fork: Fork, runtime_directory: Path, tmp_path: Path
) -> None:
    """With `run.py clean`; what its ledger says is somebody's text."""

    def launched() -> None:
        Ledger.create(names.make_runtime_directory(), scenario="x\x1b[2J\nfake", run_dir="/")
        os.kill(os.getpid(), signal.SIGKILL)

    assert fork(launched).ended() == -signal.SIGKILL
    [directory] = runtime_directory.iterdir()
    try:
        done = ask("exchange/two_traders", "--json", "--out", str(tmp_path))
        assert done.status == 0
        [left] = [e for e in done.document["leftovers"] if e["directory"] == str(directory)]
        assert not left["kept"]
        text = ask("--out", str(tmp_path)).out
        assert "run.py clean" in text
        assert "\x1b" not in text
        assert not any(line.startswith("fake") for line in text.splitlines())
        assert (directory / FILE).exists()
    finally:
        remove_directory(directory)


def test_a_mend_is_said_once_with_the_greatest_value() -> None:
    """As many scenarios as there are, one command each."""
    entries = [
        {"why": [{"mend": mend}]}
        for mend in ("ulimit -n 80", "ulimit -n 300", "ulimit -n 90", 'sysctl kernel.sem="1 2 3 4"',
                     'sysctl kernel.sem="1 2 3 12"', "df /x, or use --out", "")
    ]  # fmt: skip
    assert doctor._to_change(entries) == [
        "ulimit -n 300", 'sysctl kernel.sem="1 2 3 12"', "df /x, or use --out",
    ]  # fmt: skip


def test_json_and_text_have_the_same_parts(tmp_path: Path) -> None:
    """Machine, limits, what is built in, scenarios, leftovers."""
    out = ("--out", str(tmp_path))
    document = ask("--json", *out).document
    assert json.dumps(document)
    text = ask(*out).out
    for reading in document["limits"]:
        assert reading["name"] in text
    for each in document["built_in"]:
        assert each["name"] in text
    assert str(document["machine"]["cores"]) in text


SMALL_DISK = """\
system: spooler
channels:
  jobs: {kind: fifo}
processes:
  - {role: producer, count: 1, jobs: 2, to: jobs}
  - {role: printer, count: 1, source: jobs}
faults:
  - {kind: disk_full, after: 0.1}
"""


@as_root
def test_who_may_not_mount_is_told_that_the_disk_cannot_be_full(
    fork: Fork, tmp_path: Path, runtime_directory: Path
) -> None:
    """That fault needs a small file system; root has it, a plain user does not."""
    path = Path("/tmp") / f"{runtime_directory.name}.yaml"
    path.write_text(SMALL_DISK)
    try:
        assert ask(str(path), "--json", "--out", str(tmp_path)).status == 0
        assert as_plain_user(fork, tmp_path / "said", str(path)) == 4
        document = json.loads((tmp_path / "said").read_text())
        assert "mount(2)" in document["scenarios"][0]["why"][0]["reason"]
        assert "unshare" in document["to_change"][0]
    finally:
        path.unlink()
