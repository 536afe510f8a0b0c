"""The launcher's end of the report socket: who connects, what each says, who is refused.

Whatever comes is data from outside: it is bounded, made harmless, and never ends the run.
"""

from __future__ import annotations

import errno
import os
import selectors
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any

from common.errors import MachineError
from common.history.outcome import ProcessOutcome
from common.process import reports
from common.process.members import Member, Members

Listener = Callable[..., None]
Invite = Callable[[int, dict[str, Any]], dict[str, Any] | None]
Fault = Callable[[Member, dict[str, Any]], bool]

# Connections of processes that we did not start and that have not said yet what they want.
MOST_STRANGERS = 16
# How many may join a run in all, and how many refusals are told: more is a flood.
MOST_GUESTS, MOST_REFUSALS = 256, 100
# How many bytes of reports of a process are written down, with what a line of the log has beside
# them; of ours none makes more than four.
MOST_WRITTEN, BESIDE = 1 << 20, 200
# How much is shown of a report that is none (bytes).
SHOWN = 100
# What is read, or accepted, at one end of a process: what it left may go on for ever.
MOST_AT_ONCE = 10_000


class Reception:
    """Accepts reports at ``path`` and writes them into the outcomes of ``members``.

    ``invite`` makes a member of a process of the same user that the launcher did not start, and
    returns its job, or None to refuse it; ``tell`` hears of every report, ``fault`` of who stands
    at a step where a fault is due.
    """

    def __init__(
        self,
        path: str,
        selector: selectors.BaseSelector,
        members: Members,
        invite: Invite,
        tell: Listener,
        fault: Fault,
    ) -> None:
        self._listening = reports.listen(path, 1024)
        self._selector = selector
        self._members = members
        self._invite = invite
        self._tell = tell
        self._fault = fault
        self._strangers: list[socket.socket] = []
        self._said: Counter[str] = Counter()
        self._guests = self._refused = 0
        selector.register(self._listening, selectors.EVENT_READ, self._accept)

    def accept_all(self) -> None:
        """Accept whoever waits: who died at once may have connected, and spoken, before."""
        for _ in range(MOST_AT_ONCE):
            if not self._accept():
                return

    def drain(self, member: Member) -> None:
        """Read the last words of a process, which may still wait when its pidfd wakes us."""
        for _ in range(MOST_AT_ONCE):
            if member.connection is None or not self._receive(member, member.connection):
                return

    def hand_over(self, member: Member) -> None:
        """Leave a process's connection to somebody else, who reads all of it."""
        if member.connection is not None:
            self._selector.unregister(member.connection)

    def take_back(self, member: Member) -> None:
        """Read a process's connection again."""
        if member.connection is not None:
            member.connection.setblocking(False)
            self._connect(member, member.connection)

    def take(self, member: Member, message: bytes) -> None:
        """Take a report that was read elsewhere."""
        self._hear(member, message)

    def close(self) -> None:
        """Accept nobody any more."""
        self._listening.close()
        for connection in self._strangers:
            connection.close()

    def _hear(self, member: Member, message: bytes) -> str:
        # Returns the type of the report, "" where it was refused.
        report = reports.decode(message)
        if report is not None and report["type"] == "fault":
            taken = self._fault(member, report)
        else:
            taken = report is not None and self._take(member.outcome, report)
        if not taken:
            self._tell("report_refused", process=member.outcome.name, size=len(message))
            if member.outcome.level and member.outcome.error is None:
                # A program that is not ours: whoever wrote it must see what was wrong.
                member.outcome.error = {
                    "kind": "ProcessError",
                    "message": f"it sent a report that is none, of {len(message)} bytes: "
                    + reports.harmless(message[:SHOWN].decode(errors="replace")),
                }
        return report["type"] if report is not None and taken else ""

    def _accept(self) -> bool:
        try:
            connection, _address = self._listening.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno == errno.EMFILE and self._strangers:
                self._dismiss(self._strangers[0])
                return True
            raise MachineError(f"cannot accept a report: {error.strerror}", "ulimit -n") from None
        connection.setblocking(False)
        pid, uid = reports.peer(connection)
        member = self._members.living(pid)
        if uid != os.getuid() or (member is not None and member.connection is not None):
            self._refuse(pid, uid)
            connection.close()
        elif member is None:
            self._strangers.append(connection)
            self._selector.register(
                connection, selectors.EVENT_READ, lambda: self._hear_stranger(pid, connection)
            )
            if len(self._strangers) > MOST_STRANGERS:
                self._dismiss(self._strangers[0])
        else:
            self._connect(member, connection)
        return True

    def _connect(self, member: Member, connection: socket.socket) -> None:
        member.connection = connection
        self._selector.register(
            connection, selectors.EVENT_READ, lambda: self._receive(member, connection)
        )

    def _refuse(self, pid: int, uid: int) -> None:
        # Told, but not without end: a log is a file on a disk.
        self._refused += 1
        if self._refused <= MOST_REFUSALS:
            self._tell("peer_refused", pid=pid, uid=uid, last=self._refused == MOST_REFUSALS)

    def _dismiss(self, connection: socket.socket) -> None:
        self._strangers.remove(connection)
        self._selector.unregister(connection)
        connection.close()

    def _hear_stranger(self, pid: int, connection: socket.socket) -> None:
        # A process that we did not start must say that it joins, before anything else.
        report = reports.decode(_read(connection) or b"")
        job = None
        joins = report is not None and report["type"] == "join" and self._guests < MOST_GUESTS
        if report is not None and joins and self._members.living(pid) is None:
            job = self._invite(pid, report)
        member = self._members.living(pid)
        if job is None or member is None:
            self._refuse(pid, os.getuid())
            self._dismiss(connection)
            return
        self._guests += 1
        self._strangers.remove(connection)
        self._selector.unregister(connection)
        self._connect(member, connection)
        try:
            connection.send(reports.encode({"type": "job", **job}), socket.MSG_NOSIGNAL)
        except OSError:
            # It has gone again; its pidfd says so in a moment.
            return

    def _receive(self, member: Member, connection: socket.socket) -> bool:
        message = _read(connection)
        if message is None:
            return False
        flood = self._said[member.outcome.name] >= MOST_WRITTEN
        if flood:
            self._tell("report_refused", process=member.outcome.name, size=len(message), last=True)
        if flood or not message:
            self._selector.unregister(connection)
            connection.close()
            member.connection = None
            return False
        # Progress is only shown, and what is said at a fault is asked for.
        if self._hear(member, message) not in ("progress", "fault"):
            self._said[member.outcome.name] += len(message) + BESIDE
        return True

    def _take(self, outcome: ProcessOutcome, report: dict[str, Any]) -> bool:
        kind, done, summary = report["type"], report.get("done"), report.get("summary")
        if kind == "ready":
            outcome.phase = "run" if outcome.guest or outcome.life else "ready"
            self._tell("process_ready", process=outcome.name)
        elif kind == "progress" and type(done) is int and 0 <= done < reports.LARGEST_NUMBER:
            self._tell("progress", process=outcome.name, done=done)
        elif kind == "full":
            channel = reports.harmless(report.get("channel"))
            self._tell("queue_full", process=outcome.name, channel=channel)
        elif kind == "summary" and isinstance(summary, dict):
            outcome.summary = reports.bounded(summary)
            outcome.phase = "done"
            self._tell("process_summary", process=outcome.name, summary=outcome.summary)
        elif kind == "left":
            outcome.phase = "left"
            self._tell("process_left", process=outcome.name)
        elif kind == "error":
            outcome.error = {
                "kind": reports.harmless(report.get("kind")),
                "message": reports.harmless(report.get("message")),
            }
            self._tell("process_error", process=outcome.name, error=outcome.error)
        else:
            return False
        return True


def _read(connection: socket.socket) -> bytes | None:
    """Return the next record, empty at the end; None when there is none now."""
    try:
        return connection.recv(reports.LARGEST)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""
