"""The launcher's end of the report socket: who connects, what each says, who is refused."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.errors import MachineError
from common.history.outcome import ProcessOutcome
from common.process import reports

Listener = Callable[..., None]


class Member:
    """One process under supervision: its outcome, its pidfd, its connection."""

    def __init__(self, outcome: ProcessOutcome, group: str, record: Path) -> None:
        self.outcome = outcome
        self.group = group
        self.record = record
        self.pidfd = -1
        self.connection: socket.socket | None = None
        self.told_to_finish = False

    @property
    def ended(self) -> bool:
        """Whether the process is gone and reaped."""
        return self.pidfd < 0


class Reception:
    """Accepts reports at ``path`` and writes them into the outcomes of ``members``.

    ``admit`` makes a member of a process of the same user that the launcher did not start, and
    returns it with the job that it is given; ``tell`` hears of every report.
    """

    def __init__(
        self,
        path: str,
        selector: selectors.BaseSelector,
        members: list[Member],
        admit: Callable[[int, dict[str, Any]], tuple[Member, dict[str, Any]]],
        tell: Listener,
    ) -> None:
        self._listening = reports.listen(path, 1024)
        self._selector = selector
        self._members = members
        self._admit = admit
        self._tell = tell
        selector.register(self._listening, selectors.EVENT_READ, self._accept)

    def accept_all(self) -> None:
        """Accept whoever waits: who died at once may have connected, and spoken, before."""
        while self._accept():
            pass

    def drain(self, member: Member) -> None:
        """Read the last words of a process, which may still wait when its pidfd wakes us."""
        while member.connection is not None and self._receive(member, member.connection):
            pass

    def close(self) -> None:
        """Accept nobody any more."""
        self._listening.close()

    def _accept(self) -> bool:
        try:
            connection, _address = self._listening.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            raise MachineError(f"cannot accept a report: {error.strerror}", "ulimit -n") from None
        connection.setblocking(False)
        pid, uid = reports.peer(connection)
        member = next((m for m in self._members if m.outcome.pid == pid and not m.ended), None)
        if uid != os.getuid() or (member is not None and member.connection is not None):
            self._tell("peer_refused", pid=pid, uid=uid)
            connection.close()
        elif member is None:
            self._selector.register(
                connection, selectors.EVENT_READ, lambda: self._hear_stranger(pid, connection)
            )
        else:
            self._connect(member, connection)
        return True

    def _connect(self, member: Member, connection: socket.socket) -> None:
        member.connection = connection
        self._selector.register(
            connection, selectors.EVENT_READ, lambda: self._receive(member, connection)
        )

    def _hear_stranger(self, pid: int, connection: socket.socket) -> None:
        # A process that we did not start must say that it joins, before anything else.
        self._selector.unregister(connection)
        report = reports.decode(_read(connection) or b"")
        if report is None or report["type"] != "join":
            self._tell("peer_refused", pid=pid, uid=os.getuid())
            connection.close()
            return
        member, job = self._admit(pid, report)
        self._connect(member, connection)
        connection.send(reports.encode({"type": "job", **job}), socket.MSG_NOSIGNAL)

    def _receive(self, member: Member, connection: socket.socket) -> bool:
        message = _read(connection)
        if message is None:
            return False
        if not message:
            self._selector.unregister(connection)
            connection.close()
            member.connection = None
            return False
        report = reports.decode(message)
        if report is None or not self._take(member.outcome, report):
            self._tell("report_refused", process=member.outcome.name, size=len(message))
        return True

    def _take(self, outcome: ProcessOutcome, report: dict[str, Any]) -> bool:
        # Only what is known is passed on: a report is data from outside, whoever sent it.
        kind, summary = report["type"], report.get("summary")
        facts: dict[str, Any] = {}
        if kind == "ready":
            outcome.phase = "run" if outcome.guest else "ready"
        elif kind == "progress" and isinstance(report.get("done"), int):
            facts = {"done": report["done"]}
        elif kind == "summary" and isinstance(summary, dict):
            outcome.summary = summary
            outcome.phase = "done"
            facts = {"summary": summary}
        elif kind == "error":
            outcome.error = {"kind": str(report.get("kind")), "message": str(report.get("message"))}
            facts = {"error": outcome.error}
        else:
            return False
        self._tell(
            "progress" if kind == "progress" else f"process_{kind}", process=outcome.name, **facts
        )
        return True


def _read(connection: socket.socket) -> bytes | None:
    """Return the next record, empty at the end; None when there is none now."""
    try:
        return connection.recv(reports.LARGEST)
    except BlockingIOError:
        return None
    except ConnectionResetError:
        return b""
