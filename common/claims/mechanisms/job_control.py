"""Process groups, jobs of a terminal, and the signals that reach them."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from common.claims.claim import Shown, claim, holds
from common.claims.lab import PATIENCE, Child, Lab, Tell
from common.claims.observing import facts
from common.kernel import libc

# A job that is alive ends with this status when it gets the probe.
PROBE, ALIVE = signal.SIGRTMIN, 7
# Fields of /proc/PID/stat after the command (proc(5)).
STATE, GROUP, SESSION, FOREGROUND = 0, 2, 3, 5


@claim("B59", 62, "Each process is in exactly one process group; getpgrp() and setpgid().")
def groups(lab: Lab) -> Shown:
    """A process looks at its group, makes one of its own, and goes back."""

    def target(tell: Tell) -> None:
        seen = [os.getpgrp()]
        for group in (0, os.getppid()):
            os.setpgid(0, group)
            seen.append(os.getpgrp())
            assert int(_stat(os.getpid())[GROUP]) == seen[-1]
        tell(json.dumps(seen))

    child = lab.fork(target)
    inherited, own, back = facts(child)
    lab.note(f"process {child.pid} inherits group {inherited} from its parent {os.getpid()}")
    lab.note(f"setpgid(0, 0): group {own}; setpgid(0, {os.getpid()}): group {back}")
    return holds(
        (inherited, own, back) == (os.getpgrp(), child.pid, os.getpgrp()),
        f"{inherited} → {own} → {back}",
        "/proc/PID/stat has one field for it: to enter a group is to leave the other",
    )


@claim("B60", 64, "kill -9 PID kills a process, kill -9 -PGID every process of a group.")
def group_killed(lab: Lab) -> Shown:
    """Four processes in a group, the last with a child in a session of its own; kill(1) twice."""
    lifeline = os.pipe()
    members: list[Child] = []
    for number in range(4):

        def member(tell: Tell, last: bool = number == 3) -> None:
            os.setpgid(0, members[0].pid if members else 0)
            if last:
                _bear(tell, lifeline, os.setsid)
            else:
                os.close(lifeline[1])
                tell("0")
            signal.pause()

        members.append(lab.fork(member))
        escaping = facts(members[-1])
    by = _kill("-9", str(members[1].pid))
    members[1].ended()
    one = [member.ended(0) for member in members]
    lab.note(f"{by} -9 PID: {_fates(one)}")
    _kill("-9", "--", f"-{members[0].pid}")
    every = [member.ended() for member in members]
    lab.note(f"{by} -9 -PGID: {_fates(every)}")
    escaped = _lives(escaping)
    lab.note("the last one's child, in a session of its own, " + ("lives" if escaped else "died"))
    _finish(escaping)
    killed = -signal.SIGKILL
    return holds(
        one == [None, killed, None, None] and every == [killed] * 4,
        f"{every.count(killed)} of {len(every)}",
        f"a descendant that left the group by setsid() {'lives on' if escaped else 'died, too'}",
    )


@claim("B61", 66, "Ctrl-c and ctrl-z send SIGINT and SIGTSTP to the foreground group's processes.")
@claim("B62", 66, "By default SIGINT ends each process, SIGTSTP stops it.")
def keyboard(lab: Lab) -> dict[str, Shown]:
    """A shell at a terminal of its own: two processes in the foreground, two in the background.

    Ctrl-c is typed, then ctrl-z with two new ones in the foreground.
    """
    master, slave = os.openpty()

    def shell(tell: Tell) -> None:
        os.login_tty(slave)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        for _ in range(2):
            background, foreground = _job(), _job()
            os.tcsetpgrp(0, foreground[0])
            tell(json.dumps("ready"))
            fates = [_fate(pid) for pid in foreground]
            # One that was hit, too, ends or stops by that instead of answering.
            for pid in background:
                os.kill(pid, PROBE)
            fates += [_fate(pid) for pid in background]
            tell(json.dumps(fates))

    child = lab.fork(shell)
    seen: dict[str, list[str]] = {}
    for name, key in (("ctrl-c", b"\x03"), ("ctrl-z", b"\x1a")):
        facts(child)
        os.write(master, key)
        seen[name] = facts(child)
        front, back = seen[name][:2], seen[name][2:]
        lab.note(f"{name}: foreground {', '.join(front)}; background {', '.join(back)}")
    reached = all(
        [each.split()[-1] for each in fates] == [str(int(number))] * 2 + ["running"] * 2
        for fates, number in zip(seen.values(), (signal.SIGINT, signal.SIGTSTP), strict=True)
    )
    acted = [each.split()[0] for fates in seen.values() for each in fates[:2]]
    figure = "; ".join(f"{name}: {', '.join(fates)}" for name, fates in seen.items())
    return {
        "B61": holds(reached, figure, "the terminal knows which group is in the foreground"),
        "B62": holds(
            acted == ["killed"] * 2 + ["stopped"] * 2,
            ", ".join(acted),
            "these processes had set no handlers",
        ),
    }


@claim("B63", 68, "ps(1) shows S, T and R for the state, s for a session leader, + for foreground.")
def letters(lab: Lab) -> Shown:
    """At a terminal of its own: a leader that waits, and jobs: asleep, computing, stopped."""
    slave = os.openpty()[1]

    def leader(tell: Tell) -> None:
        os.login_tty(slave)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        sleeping, stopped = _job(), _job()
        parent = os.getpid()
        busy = os.fork()
        if not busy:
            libc.prctl_die_with_parent(signal.SIGKILL, parent)
            os.setpgid(0, sleeping[0])
            while True:
                pass
        os.setpgid(busy, sleeping[0])
        os.tcsetpgrp(0, sleeping[0])
        os.kill(stopped[0], signal.SIGSTOP)
        os.waitid(os.P_PID, stopped[0], os.WSTOPPED | os.WNOWAIT)
        while _stat(sleeping[0])[STATE] != "S":
            os.sched_yield()
        tell(json.dumps([sleeping[0], busy, stopped[0]]))
        signal.pause()

    child = lab.fork(leader)
    pids = [child.pid, *facts(child)]
    child.asleep()
    which = shutil.which("ps")
    seen = [_letters(pid, which) for pid in pids]
    for what, word in zip(("leader", "sleeping", "computing", "stopped"), seen, strict=True):
        lab.note(f"{what}: {word}")
    return holds(
        seen == ["Ss", "S+", "R+", "T"],
        " ".join(seen),
        "as ps(1) prints them" if which else "as in /proc, where ps(1), which is not here, reads",
    )


@claim("B64", 68, "kill of a parent kills only the parent; a killed child becomes a zombie.")
def relatives(lab: Lab) -> Shown:
    """Two parents with a child each: one parent is killed, and one child."""
    lifeline = os.pipe()

    def parent(tell: Tell) -> None:
        _bear(tell, lifeline)
        signal.pause()

    first, second = lab.fork(parent), lab.fork(parent)
    orphan, child = facts(first), facts(second)
    first.kill(signal.SIGTERM)
    gone = first.ended()
    lives = _lives(orphan)
    lab.note(f"kill(parent): it ended with {gone}; its child {'lives on' if lives else 'died'}")
    _finish(child)
    state = _stat(child)[STATE]
    parent_lives = second.ended(0) is None
    lab.note(f"kill(child): its state is {state}, until its parent waits for it or ends")
    _finish(orphan)
    return holds(
        gone == -signal.SIGTERM and lives and state == "Z" and parent_lives,
        f"child {'lives' if lives else 'died'}; state {state}",
        "an orphan goes to init; a zombie is only the status that nobody has asked for yet",
    )


@claim("B65", 70, "fork12: five children killed by SIGINT, each reported as ended abnormally.")
def five_killed(lab: Lab) -> Shown:
    """As in the program: five children, each killed and waited for in turn with wait()."""

    def program(tell: Tell) -> None:
        pids, parent = [], os.getpid()
        for _ in range(5):
            pids.append(os.fork())
            if not pids[-1]:
                libc.prctl_die_with_parent(signal.SIGKILL, parent)
                signal.pause()
        ends = []
        for pid in pids:
            os.kill(pid, signal.SIGINT)
            found, status = os.wait()
            ends.append([found == pid, os.WIFEXITED(status), os.waitstatus_to_exitcode(status)])
        tell(json.dumps(ends))

    ends = facts(lab.fork(program))
    abnormal = sum(not exited and code == -signal.SIGINT for _, exited, code in ends)
    for number, (same, exited, code) in enumerate(ends, 1):
        how = f"exit status {code}" if exited else f"abnormally, by signal {-code}"
        lab.note(f"child {number}: {how}" + ("" if same else " (wait() returned another)"))
    return holds(
        abnormal == 5,
        f"{abnormal} of 5 abnormally",
        "wait() takes any child that has ended: the one just killed only if no other had",
    )


def _job() -> list[int]:
    """Start a job: two processes in a group of their own, which end with ALIVE at the PROBE."""
    pids: list[int] = []
    # Inherited: a job must not die of a probe that comes before it waits for one.
    signal.pthread_sigmask(signal.SIG_BLOCK, {PROBE})
    parent = os.getpid()
    for _ in range(2):
        pid = os.fork()
        if not pid:
            libc.prctl_die_with_parent(signal.SIGKILL, parent)
            os.setpgid(0, pids[0] if pids else 0)
            signal.sigwait({PROBE})
            os._exit(ALIVE)
        # Both set it, for neither knows which of them runs first (setpgid(2)).
        os.setpgid(pid, pids[0] if pids else pid)
        pids.append(pid)
    return pids


def _fate(pid: int) -> str:
    """Wait until a process of a job ends or stops; returns what it came to."""
    status = os.waitpid(pid, os.WUNTRACED)[1]
    if os.WIFSTOPPED(status):
        return f"stopped {os.WSTOPSIG(status)}"
    code = os.waitstatus_to_exitcode(status)
    return "running" if code == ALIVE else f"killed {-code}"


def _bear(
    tell: Tell, lifeline: tuple[int, int], first: Callable[[], object] = lambda: None
) -> None:
    """Fork a process that does ``first``, tells its pid, and outlives its parent.

    It ends when the experiment does, which alone keeps the write end of ``lifeline``.
    """
    os.close(lifeline[1])
    if not os.fork():
        first()
        tell(json.dumps(os.getpid()))
        os.read(lifeline[0], 1)
        os._exit(0)


def _finish(pid: int) -> None:
    """Kill a process that is not our child, and wait until it has ended."""
    fd = os.pidfd_open(pid)
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(PATIENCE * 1000)
    os.close(fd)


def _kill(*words: str) -> str:
    """Kill by kill(1), or where it is not installed by kill(2); returns which it was."""
    program = shutil.which("kill")
    if program is None:
        os.kill(int(words[-1]), -int(words[0]))
        return "kill(2)"
    subprocess.run([program, *words], check=True, timeout=PATIENCE)
    return program


def _letters(pid: int, ps: str | None) -> str:
    """Return the state of ``pid`` in the letters of ps(1); without that program, by its rules."""
    if ps is not None:
        said = subprocess.run(
            [ps, "-o", "stat=", "-p", str(pid)], capture_output=True, timeout=PATIENCE, check=True
        )
        # Without its marks for priority, locked pages and threads: they are no part of this.
        return re.sub("[<NLl]", "", said.stdout.decode().strip())
    fields = _stat(pid)
    leads, front = int(fields[SESSION]) == pid, fields[GROUP] == fields[FOREGROUND]
    return fields[STATE] + "s" * leads + "+" * front


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _lives(pid: int) -> bool:
    try:
        return _stat(pid)[STATE] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _fates(statuses: list[int | None]) -> str:
    return ", ".join("lives" if each is None else f"killed by {-each}" for each in statuses)
