"""How fast is a run of a million operations judged, in how much memory? By what it recorded."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import programs
from benchmarks.measuring import Bench, Goal, Row

IDLE = "idle with numpy"
FORMS = {"valid": True, "lost updates": False}


def row(bench: Bench) -> Row:
    """A fresh process each time; the run is generated once, straight into the record files."""
    # Imported here: numpy is for this row alone.
    from benchmarks import stored_run

    operations = bench.work(1_000_000, 10_000)
    idle = programs.subject("judging", "--idle")

    def judged(form: str, locked: bool) -> Callable[[], dict[str, float]]:
        run_dir = bench.out / form.replace(" ", "_")
        size = stored_run.write(run_dir, operations, locked=locked)
        command = programs.subject("judging", run_dir)
        expected = "valid" if locked else "anomaly"

        def side() -> dict[str, float]:
            found = programs.run(command)
            if found["verdict"] != expected:
                raise programs.ProgramFailed(f"a {form} run was judged {found}")
            above = found["peak_bytes"] - programs.run(idle)["peak_bytes"]
            return {
                form: found["operations"] / found["seconds"],
                f"{form}, memory": above / 1e6,
                "record files": size / 1e6,
            }

        return side

    return Row(
        units={
            **dict.fromkeys(FORMS, "operations/s"),
            **{f"{form}, memory": "MB" for form in FORMS},
            "record files": "MB",
        },
        sides=[judged(form, locked) for form, locked in FORMS.items()],
        goals=[
            goal
            for form in FORMS
            for goal in (
                Goal(form, 1e6, at_least=1),
                Goal(f"{form}, memory", "record files", below=3),
            )
        ],
        rounds=5,
        note=f"{operations:,} operations of 4 processes; memory: the most that was resident, the "
        f"mapped record files included, less that of an interpreter {IDLE}; "
        f"Python {sys.version.split()[0]}",
    )
