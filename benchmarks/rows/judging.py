"""How fast is a run of a million operations judged, in how much memory? Beside ten million."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

VALID, LOST, LONG = "valid", "lost updates", "ten times as many"
LOCKED = {VALID: True, LOST: False, LONG: False}

# Bytes that count as none: the arrays of one window, and what the allocator keeps.
SMALL = 32e6


def row(bench: Bench) -> Row:
    """A fresh process each time; the runs are generated once, straight into the record files."""
    # Imported here: numpy is for this row alone.
    from benchmarks import stored_run

    operations = bench.work(1_000_000, 10_000)

    def judged(form: str) -> Callable[[], dict[str, float]]:
        run_dir = bench.out / form.replace(" ", "_")
        size = stored_run.write(
            run_dir, operations * (10 if form == LONG else 1), locked=LOCKED[form]
        )
        expected = "valid" if LOCKED[form] else "anomaly"

        def side() -> dict[str, float]:
            found = programs.run(programs.subject("judging", run_dir))
            found |= programs.run(programs.subject("judging", "--memory", run_dir))
            if found["verdict"] != expected:
                raise programs.ProgramFailed(f"a {form} run was judged {found}")
            return {
                form: found["operations"] / found["seconds"],
                f"{form}, memory": found["anonymous_bytes"] / 1e6,
                f"{form}, in files": found["file_bytes"] / 1e6,
                f"{form}, records": size / 1e6,
            }

        return side

    return Row(
        units={
            **dict.fromkeys(LOCKED, "operations/s"),
            **{
                f"{form}, {what}": "MB"
                for what in ("memory", "in files", "records")
                for form in LOCKED
            },
        },
        sides=[judged(form) for form in LOCKED],
        goals=[
            *(Goal(form, 2e6, at_least=1) for form in (VALID, LOST)),
            Goal(LONG, 1e6, at_least=1),
            *(Goal(f"{form}, memory", SMALL / 1e6, below=1) for form in LOCKED),
        ],
        rounds=5,
        note=f"{operations:,} operations of 4 processes, and {10 * operations:,}; memory: the most "
        f"that was resident and not in a file, above what imports take; in files: the mapped "
        f"records and the working files of the judge; Python {sys.version.split()[0]}",
    )
