"""A spool: jobs on disk, each a file; its state is the directory it lies in.

Accepted means on disk: the file is written and fsynced, the journal says where it goes, and a
rename(2) puts it there. Every move is written into the journal before it is made, under one lock
(:mod:`common.kernel.spool.moves`), and whoever comes next makes the last one if its maker was
killed in between: journal and directories always say the same.

The states and what may follow each are those of RFC 8011 (5.3.7, "job-state"): `held` is its
`pending-held`, `stopped` its `processing-stopped`.
"""

from __future__ import annotations

PENDING, HELD, PROCESSING, STOPPED = "pending", "held", "processing", "stopped"
CANCELED, ABORTED, COMPLETED = "canceled", "aborted", "completed"
STATES = (PENDING, HELD, PROCESSING, STOPPED, CANCELED, ABORTED, COMPLETED)
FINAL = (CANCELED, ABORTED, COMPLETED)
# Where a job is written before it is accepted; it has no state yet.
INCOMING = "incoming"

# What may follow each state; INCOMING stands for a job that was not accepted yet.
LEGAL: dict[str, tuple[str, ...]] = {
    INCOMING: (PENDING, HELD),
    PENDING: (PROCESSING, HELD, CANCELED),
    HELD: (PENDING, CANCELED),
    PROCESSING: (COMPLETED, ABORTED, CANCELED, STOPPED, HELD, PENDING),
    STOPPED: (PENDING, CANCELED),
    CANCELED: (),
    ABORTED: (),
    COMPLETED: (),
}

# What is promised of a job whose printer was killed: it is printed again, or it is given up.
AT_LEAST_ONCE, AT_MOST_ONCE = "at_least_once", "at_most_once"
PROMISES = (AT_LEAST_ONCE, AT_MOST_ONCE)

# What becomes of a job whose printing failed (cupsd.conf(5), ErrorPolicy; `hold` is ours).
ABORT, RETRY, RETRY_FIRST, STOP, HOLD = "abort", "retry", "retry_first", "stop", "hold"
POLICIES = (ABORT, RETRY, RETRY_FIRST, STOP, HOLD)

# What the exit statuses of a program that prints a job say (backend(7) of CUPS).
OK, FAILED, AUTH_REQUIRED, HOLD_JOB, STOP_QUEUE, CANCEL_JOB, RETRY_LATER, RETRY_NOW = range(8)
STATUSES = (
    "ok", "failed", "authentication required", "hold the job", "stop the queue", "cancel the job",
    "retry later", "retry at once",
)  # fmt: skip

# What a person may do with a job, and the states in which it goes.
VERBS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hold": (HELD, (PENDING,)),
    "release": (PENDING, (HELD, STOPPED)),
    "cancel": (CANCELED, (PENDING, HELD, PROCESSING, STOPPED)),
}
DONE = {"hold": "held", "release": "released", "cancel": "canceled"}
# Takes away what is over, where no run has the spool: not a move, since nothing follows it.
PURGE = "purge"
# Who moves jobs from `run.py jobs`, as the journal names it before the pid.
BY_HAND = "the shell"
# 0 is normal, as for a channel; higher is more urgent.
LARGEST_PRIORITY = 9
