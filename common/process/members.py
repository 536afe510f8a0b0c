"""The processes of a run: who lives, who is told to finish and when, and how each ended."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from common import names
from common.history.outcome import ProcessOutcome
from common.process import sessions
from common.scenario.groups import PLAIN
from common.scenario.plan import GroupPlan, Plan

if TYPE_CHECKING:
    from common.process.reception import Reception

CLOSING = b'{"type": "closing"}'
# How long to wait for the end of a helper that was killed (s).
PATIENCE = 2.0


class Member:
    """One process under supervision: its outcome, its pidfd, its connection.

    ``first_name`` is the name in the plan of the process that it is, or that it was started for.
    """

    def __init__(
        self, outcome: ProcessOutcome, group: str, record: Path, first_name: str = ""
    ) -> None:
        self.outcome = outcome
        self.group = group
        self.record = record
        self.first_name = first_name or outcome.name
        self.pidfd = -1
        self.connection: socket.socket | None = None
        self.told_to_finish = False

    @property
    def ended(self) -> bool:
        """Whether the process is gone and reaped."""
        return self.pidfd < 0

    def signal(self, number: int) -> None:
        """Send a signal, if the process still lives."""
        if not self.ended:
            try:
                signal.pidfd_send_signal(self.pidfd, number)
            except ProcessLookupError:
                return

    def death(self) -> str:
        """Say how the process ended, which was seen to be gone: its signal, or its status."""
        if self.ended:
            number, status = self.outcome.signal, self.outcome.exit
        else:
            # Its connection is closed before it can be asked for; whoever reaps it comes later.
            _await_end(self.pidfd)
            how = None
            # A guest is no child.
            with contextlib.suppress(ChildProcessError):
                how = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            ended = how is not None and how.si_code == os.CLD_EXITED
            number = None if how is None or ended else how.si_status
            status = how.si_status if how is not None and ended else None
        if number is not None:
            return f"was killed by signal {number} ({signal.strsignal(number)})"
        return "died" if status is None else f"ended with status {status}"

    def say(self, message: bytes) -> None:
        """Say something to the process; one that is gone, or does not read, is told in vain."""
        if self.connection is not None:
            with contextlib.suppress(OSError):
                self.connection.send(message, socket.MSG_NOSIGNAL)


class Members:
    """All processes of a run, in the order in which they came.

    A group that receives is told to finish (SIGTERM) when all who send to it have ended: it
    drains its channel and stops. Guests are no children: they are told, never killed.
    """

    def __init__(
        self, plan: Plan, selector: selectors.BaseSelector, tell: Callable[..., None]
    ) -> None:
        self._plan = plan
        self._selector = selector
        self._tell = tell
        self._members: list[Member] = []
        self.reception: Reception | None = None
        # How many of each group are about to be started anew.
        self.coming: Counter[str] = Counter()
        # What a reader of the run should know.
        self.remarks: list[str] = []
        self.on_end: Callable[[Member], None] = lambda member: None
        self._helpers: list[int] = []

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        return bool(self._members)

    def living(self, pid: int) -> Member | None:
        """Return the member that is process ``pid``, if it lives."""
        return next((m for m in self._members if m.outcome.pid == pid and not m.ended), None)

    def watch(self, member: Member) -> None:
        """Take a process in; raises ``ProcessLookupError`` when it is gone and not our child."""
        member.pidfd = os.pidfd_open(member.outcome.pid)
        self._members.append(member)
        self._selector.register(member.pidfd, selectors.EVENT_READ, lambda: self._reap(member))

    def adopt(self, member: Member, pid: int) -> None:
        """Take in a helper that a process of the run started: it is killed with the others.

        Only who is in that process's session is one: the pid is data from outside.
        """
        with contextlib.suppress(OSError):
            helper = os.pidfd_open(pid)
            standing = names.standing(pid)
            if standing is None or standing.session != member.outcome.pid:
                os.close(helper)
                return
            self._helpers.append(helper)

    def all_ready(self) -> bool:
        """Whether every child stands at the gate, or has done its part before it."""
        return all(member.outcome.phase in ("ready", "done") for member in self._children())

    def any_ended(self) -> bool:
        """Whether a child has ended before it was done."""
        return any(m.ended and m.outcome.phase != "done" for m in self._children())

    def all_ended(self) -> bool:
        """Whether every child has ended, and none is about to be started anew."""
        return not self.coming.total() and all(member.ended for member in self._children())

    def guests_left(self) -> bool:
        """Whether no guest is there any more."""
        return all(member.ended for member in self._members if member.outcome.guest)

    def enter(self, before: str, after: str) -> None:
        """Move all children from one phase to the next."""
        for member in self._children():
            if not member.ended and member.outcome.phase == before:
                member.outcome.phase = after

    def finish_stages(self) -> None:
        """Tell each group to finish whose senders have all ended."""
        for group in self._plan.groups:
            senders = self._senders(group)
            if senders and all(self.group_ended(sender.name) for sender in senders):
                # A plain program knows no such signal: it takes what is left, and ends by itself.
                self._finish_group(group.name, but=PLAIN)

    def finish_everybody(self) -> None:
        """Tell those to finish who start the work; the others follow, so that nothing is lost."""
        for group in self._plan.groups:
            if not self._senders(group):
                self._finish_group(group.name)
        for member in self._children():
            # A stopped process hears SIGTERM only once it goes on.
            member.signal(signal.SIGCONT)

    def dismiss_guests(self) -> None:
        """Tell the guests that the run ends; they look before each trade."""
        for member in self._members:
            if member.outcome.guest:
                member.say(CLOSING)

    def kill(self) -> None:
        """Kill and reap every child that still lives."""
        living = [member for member in self._children() if not member.ended]
        for member in living:
            status = os.waitid(
                os.P_PIDFD, member.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT
            )  # fmt: skip
            member.outcome.ended_by_launcher = status is None
            # The whole group: a child leads its own, and may have started others.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(member.outcome.pid, signal.SIGKILL)
            member.signal(signal.SIGKILL)
        for member in living:
            self._reap(member)
        while self._helpers:
            _end(self._helpers.pop())

    def close(self) -> None:
        """Close every descriptor."""
        for member in self._members:
            if member.pidfd >= 0:
                os.close(member.pidfd)
                member.pidfd = -1
            if member.connection is not None:
                member.connection.close()
        if self.reception is not None:
            self.reception.close()

    def _children(self) -> Iterator[Member]:
        return (member for member in self._members if not member.outcome.guest)

    def _senders(self, group: GroupPlan) -> list[GroupPlan]:
        return [
            other
            for other in self._plan.groups
            if other is not group and set(other.sends) & set(group.receives)
        ]

    def group_ended(self, name: str) -> bool:
        """Whether nobody of a group lives, nor is about to be started anew."""
        ended = all(member.ended for member in self._members if member.group == name)
        return ended and not self.coming[name]

    def _finish_group(self, name: str, but: str = "nobody") -> None:
        for member in self._children():
            if member.outcome.level == but:
                continue
            # Who has just been started does not yet take the signal for what it is.
            early = ("start",) if member.outcome.life else ("start", "ready")
            late = member.outcome.phase in early
            if member.group == name and not (member.told_to_finish or member.ended or late):
                member.told_to_finish = True
                # Where nothing catches it, it is the end, and no crash.
                member.outcome.ended_by_launcher |= member.outcome.level == PLAIN
                member.signal(signal.SIGTERM)

    def _end_session(self, outcome: ProcessOutcome) -> None:
        """Kill whom a program left behind in its session, now that itself has ended."""
        left = sessions.end_rest(outcome.pid)
        if left:
            self.remarks.append(
                f"{outcome.name} left others in its session when it ended, which were killed: "
                f"process {', '.join(map(str, left))}"
            )

    def _reap(self, member: Member) -> None:
        if self.reception is not None:
            self.reception.accept_all()
            self.reception.drain(member)
        self._selector.unregister(member.pidfd)
        os.close(member.pidfd)
        member.pidfd = -1
        outcome = member.outcome
        if outcome.guest:
            outcome.exit = 0
        else:
            if outcome.level:
                self._end_session(outcome)
            _pid, status, usage = os.wait4(outcome.pid, 0)
            outcome.cpu_s = usage.ru_utime + usage.ru_stime
            if os.WIFSIGNALED(status):
                outcome.signal = os.WTERMSIG(status)
            else:
                outcome.exit = os.WEXITSTATUS(status)
            if outcome.level == PLAIN and outcome.exit == 0 and outcome.error is None:
                # It can say no more than this.
                outcome.phase = "done"
        self._tell(
            "process_ended",
            process=outcome.name,
            pid=outcome.pid,
            exit=outcome.exit,
            signal=outcome.signal,
            cpu_s=round(outcome.cpu_s, 6),
        )
        self.on_end(member)


def _end(helper: int) -> None:
    """Kill a process that is nobody's child here, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(helper, signal.SIGKILL)
    _await_end(helper)
    os.close(helper)


def _await_end(pidfd: int) -> None:
    """Wait until the process is gone. select(2) takes no descriptor above 1023, poll(2) any."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll(PATIENCE * 1000)
