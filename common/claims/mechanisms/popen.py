"""popen and the shell's pipelines: programs that know nothing of pipes, joined by them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from common.claims.claim import Shown, claim, holds
from common.claims.lab import PATIENCE, Lab, Tell
from common.claims.mechanisms.pipes import refusal
from common.kernel.libc.streams import Stream

# Trades as a trader reports them, in no order.
REPORT = [
    "sell POUND 3",
    "buy EURO 10",
    "sell DOLLAR 7",
    "buy DOLLAR 2",
    "buy POUND 1",
    "buy EURO 4",
]


@claim("A39", 275, "popen() starts a command by fork and exec; r reads its output, w its input.")
def by_popen(lab: Lab) -> Shown:
    """popen(3) with r: the command says who it is; with w: sort(1) is fed and writes a paper."""
    source = Stream('echo "$0 $PPID $$"; exit 3', "r")
    shell, parent, pid = source.read().decode().split()
    wrong = refusal(lambda: os.write(source.fd, b"x"))
    status = source.close()
    lab.note(f"r: the command runs in {shell}, process {pid}, whose parent is {parent} (we)")
    lab.note(f"r: what it wrote was read; writing to it: {wrong}; pclose() gives {status}")
    paper = lab.directory / "paper"
    sink = Stream(f"LC_ALL=C sort > '{paper}'", "w")
    os.write(sink.fd, "".join(f"{line}\n" for line in REPORT).encode())
    sink.close()
    printed = paper.read_text().splitlines()
    lab.note(f"w: sort was fed {len(REPORT)} lines and printed {printed}")
    started = int(parent) == os.getpid() != int(pid)
    return holds(
        started and wrong == "EBADF" and status == 3 and printed == sorted(REPORT),
        f"process {pid} of {parent}",
        f"a child of ours runs the command (in {shell}), and one pipe leads to it or from it",
    )


@claim("B7", 12, "The shell hands one program's output to another: cat file1 file2 | sort.")
@claim("B21", 16, "Example who | sort | lpr: each program's output is the next one's input.")
def pipelines(lab: Lab) -> dict[str, Shown]:
    """The shell joins cat and sort over two files, then a report, sort and a printer."""
    for name, lines in (("file1", REPORT[:2]), ("file2", REPORT[2:])):
        (lab.directory / name).write_text("".join(f"{line}\n" for line in lines))
    two = _shell(lab, "cat file1 file2 | sort").splitlines()
    lab.note(f"cat file1 file2 | sort: {', '.join(two)}")
    # A trader's report in place of who(1), a paper in place of the line printer.
    _shell(lab, "cat file2 | sort | cat > paper")
    three = (lab.directory / "paper").read_text().splitlines()
    lab.note(f"report | sort | printer: on the paper are {', '.join(three)}")
    return {
        "B7": holds(
            two == sorted(REPORT), f"{len(two)} lines", "sort printed what cat had read, in order"
        ),
        "B21": holds(
            three == sorted(REPORT[2:]),
            f"{len(three)} lines",
            "what the first wrote came through the second to the paper",
        ),
    }


def _shell(lab: Lab, line: str) -> str:
    return subprocess.run(
        ["sh", "-c", line], cwd=lab.directory, env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True,
    ).stdout  # fmt: skip


@claim("B28", 26, "For a | b the shell makes a's stdout the write end and b's stdin the read end.")
def plumbed(lab: Lab) -> Shown:
    """What the shell does, done by hand: fork twice, dup2, exec cat and wc, wait for both.

    Before that the shell itself is asked what its two programs have there.
    """
    links = _shell(lab, "readlink /proc/self/fd/1 | { cat; readlink /proc/self/fd/0; }").split()
    lab.note(f"the shell's own pipe: standard output is {links[0]}, standard input {links[-1]}")
    reading, writing = os.pipe()
    answered, answering = os.pipe()
    programs = []
    for words, plumbing in (
        (["cat", "/etc/passwd"], {writing: 1}),
        (["wc", "-l"], {reading: 0, answering: 1}),
    ):

        def run(_: Tell, words: list[str] = words, plumbing: dict[int, int] = plumbing) -> None:
            for end, standard in plumbing.items():
                os.dup2(end, standard)
            # Python's descriptors close at exec, so no program keeps an end that it does not use.
            os.execv(shutil.which(words[0]) or words[0], words)

        programs.append(lab.fork(run))
    for end in (reading, writing, answering):
        os.close(end)
    statuses = [program.ended() for program in programs]
    counted = os.read(answered, 100).decode().strip()
    lines = Path("/etc/passwd").read_bytes().count(b"\n")
    lab.note(f"cat and wc end with {statuses}; wc says {counted}, the file has {lines} lines")
    return holds(
        counted == str(lines) and statuses == [0, 0] and links[0] == links[-1],
        f"{counted} lines",
        "dup2(2) puts an end in the place of standard input or output, and exec keeps it there",
    )
