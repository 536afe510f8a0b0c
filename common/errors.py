"""Every exception of the lab; each carries its exit status and a hint.

::

    LabError                  1
    ├── UsageError            2  the command line asks for what is not there
    │   └── ScheduleMisfit       a schedule is not one of this scenario
    ├── ScenarioError         2  a scenario file is wrong (all its complaints at once)
    ├── StoredRunError        2  a run directory cannot be read
    ├── MachineError          4  this machine cannot run it: a limit, a missing facility
    ├── KernelObjectError     4  a kernel object is not as it should be
    │   ├── ObjectExists         somebody else holds the name or key
    │   ├── ObjectVanished       it was removed while in use
    │   ├── NotPermitted         it belongs to somebody else
    │   └── PeerLost             who was to answer closed the connection or died
    ├── WaitExpired           4  a wait reached its deadline
    ├── ChannelFull           4  there is no room, and the sender does not wait for it
    └── ProcessError          4  a process of the run failed
        └── ProcessLost          one that was led died, failed or stood still
"""

from __future__ import annotations

from dataclasses import dataclass


class LabError(Exception):
    """An error that the user can understand and mend.

    ``exit_code`` is the process's exit status; ``hint`` says how to mend it (may be empty).
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(LabError):
    """The command line asks for something that is not there."""

    exit_code = 2


class ScheduleMisfit(UsageError):
    """A schedule does not fit the scenario: names the first step that differs."""


@dataclass(frozen=True)
class Complaint:
    """One thing wrong with a scenario: where (1-based line and column), what, and the mend."""

    source: str
    line: int
    column: int
    field: str
    reason: str
    hint: str = ""

    def __str__(self) -> str:
        field = f"{self.field}: " if self.field else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.source}:{self.line}:{self.column}: {field}{self.reason}{hint}"


class ScenarioError(LabError):
    """A scenario is wrong; ``complaints`` holds everything that is wrong with it."""

    exit_code = 2

    def __init__(self, complaints: list[Complaint]) -> None:
        super().__init__("\n".join(str(complaint) for complaint in complaints))
        self.complaints = complaints


class StoredRunError(LabError):
    """A run directory is missing, incomplete or not one of ours."""

    exit_code = 2


class MachineError(LabError):
    """This machine cannot run the scenario: a kernel limit, memory, disk, a missing facility."""

    exit_code = 4


class KernelObjectError(LabError):
    """A kernel object is not as it should be."""

    exit_code = 4


class ObjectExists(KernelObjectError):
    """The key, name or path that was asked for is already in use."""


class ObjectVanished(KernelObjectError):
    """A kernel object was removed from outside while it was in use."""


class NotPermitted(KernelObjectError):
    """A kernel object belongs to somebody else or has the wrong mode."""


class PeerLost(KernelObjectError):
    """The other end of a connection closed it, or died, before it answered.

    Nobody can know from here whether it did what it was asked (Birrell and Nelson, "Implementing
    Remote Procedure Calls", 1984).
    """


class WaitExpired(LabError):
    """A wait reached its deadline; ``what`` names what was waited for, ``seconds`` how long."""

    exit_code = 4

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"waited {seconds:g} s for {what}, in vain")
        self.what = what
        self.seconds = seconds


class ChannelFull(LabError):
    """A channel has no room for one more message, and its sender does not wait for it."""

    exit_code = 4


class ProcessError(LabError):
    """A process of the run could not be started or broke the protocol."""

    exit_code = 4


class ProcessLost(ProcessError):
    """A process that was led from step to step died, failed, or did not come to its next one."""
