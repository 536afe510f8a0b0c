"""What a child process runs, from its first line to its exit status; also a program of its own.

``python -m common.process.child JOB.json`` is told only names, keys and its role's options.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from common import kinds
from common.errors import LabError
from common.history.recorder import Recorder
from common.kernel import libc
from common.kernel.waits import Wait
from common.process import gate
from common.process.context import Context
from common.process.reports import Reporter, encode
from common.process.turns import Leave

FAILED = 1


def run(job: dict[str, Any]) -> int:
    """Take the role that ``job`` describes, from the gate to the summary; returns the exit status.

    Every failure is reported to the launcher with its kind and message before the process ends;
    a failure that is not one of the lab's own also leaves its traceback on standard error.
    """
    libc.set_title(job["title"])
    reporter = Reporter(job["report"])
    try:
        module = kinds.load(job["roles"], job["role"])
        options = module.Options(**job["options"])
        recorder = Recorder(
            Path(job["record"]), job["name"], job["role"], job["index"], job["capacity"]
        )
        context = Context(job, recorder, reporter)
        if context.turns is not None:
            context.turns.begins = getattr(module, "BEGINS", "")
        context.finish_on_signal()
        role = module.prepare(context, options)
        reporter.send("ready")
        # As long as the others may take to get ready, not as long as a wait of the run may take.
        at_gate = Wait(job["start_s"], context.wait.publish)
        gate.pass_through(job["addresses"]["gate"], at_gate)
        if context.triggers is not None:
            context.triggers.armed = True
        if context.turns is None:
            summary = role()
            if context.recovered:
                summary |= {"recovered": context.recovered}
            if context.signals:
                summary |= {"signals": context.signals}
            if context.cut_short:
                summary |= {"cut_short": context.cut_short}
            context.close()
            reporter.send("summary", summary=summary)
            return 0
        while True:
            try:
                report = {"type": "summary", "summary": role()}
            except Leave:
                report = {"type": "left"}
            context.abandon()
            context.turns.over(encode(report))
            if not context.turns.again():
                break
            context.restart()
            role = module.prepare(context, options)
        context.close()
    except LabError as error:
        reporter.send("error", kind=type(error).__name__, message=str(error))
        return FAILED
    except Exception as error:
        traceback.print_exc()
        reporter.send("error", kind=type(error).__name__, message=str(error))
        return FAILED
    return 0


def main() -> None:
    """Run the job named on the command line; exits without running the interpreter's own exit."""
    job = json.loads(Path(sys.argv[1]).read_text())
    status = run(job)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
