"""How a program that is not ours is started: what it is told, what it has, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.process import programs
from tests.process.programs import finding, launched, outcome, printed, program, run

TELLS = """
import json, os, signal, resource
fds = {}
for fd in os.listdir("/proc/self/fd"):
    try:
        fds[fd] = os.readlink("/proc/self/fd/" + fd)
    except OSError:
        pass
print(json.dumps({
    "environment": dict(os.environ), "arguments": __import__("sys").argv[1:], "pid": os.getpid(),
    "session": os.getsid(0), "directory": os.getcwd(), "descriptors": fds,
    "ignored": open("/proc/self/status").read().split("SigIgn:")[1].split()[0],
    "blocked": open("/proc/self/status").read().split("SigBlk:")[1].split()[0],
    "core": resource.getrlimit(resource.RLIMIT_CORE),
    "stdin": __import__("sys").stdin.read(),
}))
"""
ONE = """
system: exchange
table: {{store: {{kind: sysv_shm, key: {key}}}, lock: {{kind: sysv_sem, undo: true}}}}
processes:
  - role: teller
    name: theirs
    lines: [buy EURO 1, "sell EURO 1"]
    command: [./tells, "{{LAB_TABLE_KEY}}", "key={{LAB_LOCK_0_KEY}}", "{{x}}"]
expect: {{verdict: anomaly}}
"""


def key() -> str:
    """Return a key that nobody has."""
    from common import names

    return hex(names.new_key())


def test_a_plain_program_is_told_all_by_its_environment(tmp_path: Path) -> None:
    """Names, keys, options and lock are variables; arguments may refer to them; nothing is open."""
    program(tmp_path, "tells", TELLS)
    wanted = key()
    document = run(tmp_path, ONE.format(key=wanted))
    said = json.loads(printed(document, "theirs-0"))
    told = said["environment"]
    assert told["LAB_TABLE_KEY"] == wanted
    assert told["LAB_TABLE_ROWS"] == "DOLLAR EURO STERLIN POUND"
    assert [told[f"LAB_{each}"] for each in ("NAME", "ROLE", "LEVEL")] == [
        "theirs-0", "teller", "plain",
    ]  # fmt: skip
    assert [told[f"LAB_{each}"] for each in ("LOCKS", "LOCK_KIND", "LOCK_0_UNDO")] == [
        "1", "sysv_sem", "1",
    ]  # fmt: skip
    assert told["LAB_OPTION_LINES"] == "buy EURO 1\nsell EURO 1"
    assert told["LAB_OPTION_BALANCE"] == "1000.0"
    assert said["arguments"] == [wanted, f"key={told['LAB_LOCK_0_KEY']}", "{x}"]
    assert said["stdin"] == "buy EURO 1\nsell EURO 1\n"
    assert "LAB_REPORT" not in told


def test_a_plain_program_is_alone_in_its_session(tmp_path: Path) -> None:
    """It has its pid from before the gate, three descriptors, signals as a shell gives them."""
    program(tmp_path, "tells", TELLS)
    document = run(tmp_path, ONE.format(key=key()))
    said = json.loads(printed(document, "theirs-0"))
    assert said["pid"] == said["session"] == outcome(document, "theirs-0")["pid"]
    assert said["directory"] == str(tmp_path)
    opened = {fd for fd, target in said["descriptors"].items() if "/proc/" not in target}
    assert opened == {"0", "1", "2"}
    assert said["core"] == [0, 0]


def test_a_program_has_the_signals_that_a_shell_gives(tmp_path: Path) -> None:
    """Python ignores SIGPIPE and SIGXFSZ; what is ignored stays so across execve(2)."""
    path = tmp_path / "tells"
    path.write_text("#!/bin/sh\nexec grep -E '^Sig(Ign|Blk)' /proc/self/status\n")
    path.chmod(0o700)
    document = run(tmp_path, ONE.format(key=key()))
    words = printed(document, "theirs-0").split()
    # Of those behind 31 the C library keeps the first for itself: whoever started us decides.
    standard = (1 << 31) - 1
    assert [int(word, 16) & standard for word in words[1::2]] == [0, 0]


def test_addresses_of_every_kind_are_told_by_their_entries(tmp_path: Path) -> None:
    """A channel's key or path, one a row's lock, and one channel for each owner: all are told."""
    program(tmp_path, "tells", TELLS)
    document = run(
        tmp_path,
        """
system: [exchange, spooler]
table: {store: posix_shm, lock: sysv_semset, granularity: row}
channels:
  jobs: {kind: sysv_queue}
  own-one: {kind: fifo, per: printer}
processes:
  - {role: teller, name: theirs, lines: [], command: ./tells}
  - {role: producer, jobs: 1, to: jobs}
  - {role: consumer, source: jobs, to: own-one}
  - {role: printer, count: 2, source: own-one}
expect: {verdict: anomaly}
""",
    )
    told = json.loads(printed(document, "theirs-0"))["environment"]
    assert told["LAB_TABLE_NAME"].startswith("/lab-")
    assert told["LAB_LOCKS"] == "4"
    assert {told[f"LAB_LOCK_{row}_ROW"] for row in range(4)} == set("0123")
    assert told["LAB_CHANNELS"] == "jobs own-one"
    assert told["LAB_CHANNEL_JOBS_KEY"].startswith("0x")
    assert told["LAB_CHANNEL_OWN_ONE_OWNERS"] == "printer-0 printer-1"
    paths = [told[f"LAB_CHANNEL_OWN_ONE_PRINTER_{n}_PATH"] for n in range(2)]
    assert len(set(paths)) == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"\x7fELFnothing", "Exec format error"),
        (b"#!/nowhere/at/all\n", "its interpreter"),
    ],
)
def test_a_program_that_cannot_be_started_is_a_crash_with_its_reason(
    tmp_path: Path, text: bytes, reason: str
) -> None:
    """That is found out at execve(2), when the gate is open: the sentence says why."""
    path = tmp_path / "bad"
    path.write_bytes(text)
    path.chmod(0o700)
    document = run(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm}
processes: [{role: teller, lines: [], command: ./bad}]
""",
    )
    assert reason in finding(document, "process_crashed")["explanation"]


def test_a_variable_that_there_is_not_is_named_before_anything_starts(tmp_path: Path) -> None:
    """`{LAB_TABLE_PATH}` of a table without a path is an error, with the nearest that there is."""
    program(tmp_path, "tells", TELLS)
    done = launched(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm}
processes: [{role: teller, lines: [], command: [./tells, "{LAB_TABLE_KEI}"]}]
""",
    )
    assert done.status == 2
    assert "LAB_TABLE_KEI" in done.err
    assert "LAB_TABLE_KEY" in done.err


def test_output_without_end_does_not_fill_the_disk(tmp_path: Path) -> None:
    """At 64 MiB the program is killed (SIGXFSZ), and the sentence says what it did."""
    program(
        tmp_path,
        "prints",
        "import os, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_DFL)\n"
        "for _ in range(1 << 10): os.write(1, bytes(1 << 20))\n",
    )
    document = run(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm}
processes: [{role: teller, name: theirs, lines: [], command: ./prints}]
""",
    )
    explanation = finding(document, "process_crashed")["explanation"]
    assert "RLIMIT_FSIZE" in explanation
    assert "theirs-0.out" in explanation
    path = Path(document["run_dir"], "theirs-0.out")
    assert path.stat().st_size <= 64 << 20
    path.unlink()


def test_what_a_program_started_ends_with_the_run(tmp_path: Path) -> None:
    """Neither a child in its session nor one in a session of its own (setsid) outlives the run."""
    program(
        tmp_path,
        "forks",
        "import os, time\n"
        "for away in (False, True):\n"
        "    if not os.fork():\n"
        "        if away: os.setsid()\n"
        "        print(os.getpid(), flush=True)\n"
        "        time.sleep(600)\n"
        "end = time.monotonic() + 30\n"
        "while len(open(os.environ['LAB_RUN'] + '/theirs-0.out').readlines()) < 2:\n"
        "    assert time.monotonic() < end\n"
        "    time.sleep(0.001)\n",
    )
    document = run(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm}
processes: [{role: teller, name: theirs, lines: [], command: ./forks}]
""",
    )
    pids = [int(line) for line in printed(document, "theirs-0").split()]
    assert len(pids) == 2
    from common import names

    assert [names.start_time(pid) for pid in pids] == [None, None]


RECORDED = """
system: exchange
table: {store: sysv_shm}
deadlines: {start: 2}
processes: [{role: trader, name: theirs, operations: 1, command: ./prog, level: recorded}]
"""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("import time; time.sleep(600)", "never connected to LAB_REPORT"),
        (
            "import os, socket, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "s.connect(os.environ['LAB_REPORT'])\ntime.sleep(600)",
            "connected, but made no LAB_RECORD",
        ),
        (
            "import os, socket, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "s.connect(os.environ['LAB_REPORT'])\ns.send(b'hello\\x1b[31m')\ntime.sleep(600)",
            r"sent a report that is none, of 10 bytes: hello\x1b[31m",
        ),
    ],
)
def test_a_recorded_program_that_does_not_get_ready_is_told_what_is_missing(
    tmp_path: Path, text: str, sentence: str
) -> None:
    """The start's deadline names it, and what it had not done; nonsense is shown harmless."""
    program(tmp_path, "prog", text)
    explanation = finding(run(tmp_path, RECORDED), "process_hung")["explanation"]
    assert sentence in explanation


def test_a_recorded_program_that_ends_at_once_is_named(tmp_path: Path) -> None:
    """Status 0 is no success for who was to say that it is ready."""
    program(tmp_path, "prog", "pass")
    explanation = finding(run(tmp_path, RECORDED), "process_crashed")["explanation"]
    assert "before it had said that it is ready" in explanation


def test_a_report_that_is_none_is_a_failure_of_its_program(tmp_path: Path) -> None:
    """Whoever wrote the program sees what it sent, also when it goes on as if nothing were."""
    program(
        tmp_path,
        "prog",
        "import json, os, socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "s.connect(os.environ['LAB_REPORT'])\n"
        "s.send(json.dumps({'type': 'ready'}).encode())\n"
        's.send(b\'{"type": "redy"}\')\n',
    )
    explanation = finding(run(tmp_path, RECORDED), "process_crashed")["explanation"]
    assert "redy" in explanation


def test_programs_die_with_the_launcher(tmp_path: Path) -> None:
    """A plain program is killed by the kernel when the launcher is (PR_SET_PDEATHSIG)."""
    import signal
    import subprocess
    import time

    from common import names
    from tests.launching import ROOT, command

    program(
        tmp_path, "sleeps", "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(600)\n"
    )
    path = programs.scenario(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm}
processes: [{role: teller, name: theirs, lines: [], command: ./sleeps}]
""",
    )
    launcher = subprocess.Popen(
        command("run", str(path), "--out", str(tmp_path / "runs")),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    text = ""
    while not text.endswith("\n"):
        assert time.monotonic() < deadline
        time.sleep(0.01)  # a pause between two looks: the program tells by a file alone
        for out in tmp_path.glob("runs/scenario/*/theirs-0.out"):
            text = out.read_text()
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    while names.start_time(int(text)) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    clean = subprocess.run(
        command("clean"), capture_output=True, timeout=60, check=False, env=os.environ
    )
    assert clean.returncode == 0
