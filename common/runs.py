"""Where runs are stored: ``<out>/<scenario>/<UTC time>-<seed>/``, with a ``latest`` link.

Comparisons lie beside them: ``compare-<UTC time>/``, with a ``latest-compare`` link.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import stat
import time
from pathlib import Path

from common import names
from common.errors import StoredRunError, UsageError

OUT = Path("runs")


def add_out(parser: argparse.ArgumentParser) -> None:
    """Declare ``--out``, as every verb has it that stores runs or looks for them."""
    parser.add_argument(
        "--out", type=Path, default=OUT, metavar="DIR",
        help="where runs are stored (default: %(default)s)",
    )  # fmt: skip


def add_run(
    parser: argparse.ArgumentParser, about: str = "a run directory, or a scenario run before"
) -> None:
    """Declare how a stored run is named: RUN, ``--variant`` and ``--out`` (see ``chosen``)."""
    parser.add_argument("run", metavar="RUN", help=about)
    parser.add_argument(
        "--variant", metavar="NAME",
        help="RUN is a scenario: its latest run of this variant, not the latest of all",
    )  # fmt: skip
    add_out(parser)


def chosen(arguments: argparse.Namespace) -> Path:
    """Return the run directory that a command line of ``add_run`` names; as ``find`` raises."""
    return find(arguments.out, arguments.run, arguments.variant)


def passing(path: Path) -> Path:
    """Return where a file is written before it gets its name, beside it.

    The name is drawn: in a directory that is somebody else's nobody can have planted a link there.
    """
    return path.with_name(f".{path.name}.{names.new_token()}")


def make(out: Path, scenario: str, seed: int) -> Path:
    """Make the directory of a new run and point ``latest`` at it; raises ``UsageError``."""
    return _make(out / scenario, "{stamp}-" + str(seed), "latest")


def make_comparison(out: Path, scenario: str) -> Path:
    """Make the directory of a new comparison and point ``latest-compare`` at it."""
    return _make(out / scenario, "compare-{stamp}", "latest-compare")


def make_exploration(out: Path, scenario: str) -> Path:
    """Make the directory of a new exploration and point ``latest-explore`` at it."""
    return _make(out / scenario, "explore-{stamp}", "latest-explore")


def make_matrix(out: Path) -> Path:
    """Make the directory of a new table of faults, for its runs and itself."""
    return _make(out / "matrix", "{stamp}", "latest")


def _make(parent: Path, title: str, latest: str) -> Path:
    now = time.time()
    stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(now)) + f".{int(now * 1e6) % 1_000_000:06d}Z"
    name = title.format(stamp=stamp)
    _refuse_planted(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1000):
            run_dir = parent / (name + (f"-{attempt}" if attempt else ""))
            try:
                run_dir.mkdir(mode=0o700)
                break
            except FileExistsError:
                continue
        point_at(run_dir, latest)
    except OSError as error:
        raise UsageError(
            f"cannot keep the run in {parent}: {error.strerror}", "choose a directory with --out"
        ) from None
    return run_dir


def point_at(run_dir: Path, latest: str = "latest") -> None:
    """Have the link ``latest`` beside a run mean this run; raises ``OSError``."""
    link = run_dir.parent / f".{latest}-{os.getpid()}-{run_dir.name}"
    link.symlink_to(run_dir.name)
    link.replace(run_dir.parent / latest)


def _refuse_planted(directory: Path) -> None:
    """Raise ``UsageError`` where the way to ``directory`` leads over what somebody else planted.

    That is a directory or a link, in one that anybody may write to (as /tmp), which belongs neither
    to this user nor to whom that one belongs: what the kernel holds against links there
    (proc(5), protected_symlinks). Its owner could put his own in the place of what we write.
    """
    absolute = directory.absolute()
    above_it = list(reversed(absolute.parents))
    for parent, entry in zip(above_it, [*above_it[1:], absolute], strict=True):
        try:
            above, status = parent.stat(), entry.lstat()
        except OSError:
            # What is not there yet is made by us.
            return
        if above.st_mode & stat.S_IWOTH and status.st_uid not in (os.geteuid(), above.st_uid):
            raise UsageError(
                f"cannot keep the run in {directory}: {entry} belongs to uid {status.st_uid}, and "
                f"anybody may have put it into {parent}",
                "choose a directory of your own with --out",
            )


def scenario_of(name: str) -> str:
    """Return the name of a scenario that may be given by its file: ``configs/a/b.yaml`` is a/b."""
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        return name
    parts = path.with_suffix("").parts
    below = [at for at, part in enumerate(parts[:-1]) if part == "configs"]
    return "/".join(parts[below[-1] + 1 :] if below else parts[-1:])


def find(out: Path, name: str, variant: str | None = None) -> Path:
    """Return the run directory that ``name`` means: a path, or a scenario whose latest run it is.

    A scenario may be given by its file; with ``variant`` the latest of its runs of that variant is
    meant. Raises ``StoredRunError``, and ``UsageError`` for one run and a variant.
    """
    scenario = scenario_of(name)
    if variant is not None:
        if (Path(name) / "plan.json").is_file():
            raise UsageError(f"{name} is one run, of one variant", "leave --variant out")
        return _latest(out / scenario, variant)
    for candidate in (Path(name), out / scenario / "latest", out / name):
        if (candidate / "plan.json").is_file():
            return candidate.resolve()
    raise StoredRunError(
        f"{name} is not a stored run", f"a directory below {out}, or a scenario that was run"
    )


def by_variant(directory: Path) -> dict[str, Path]:
    """Return the latest run of each variant of a scenario, whose runs lie in ``directory``."""
    found: dict[str, Path] = {}
    # A run is named by its time, so the last in order is the latest; before it goes what the link
    # means, which may be the worst of many.
    stored = sorted(directory.glob("*Z-*/plan.json"), reverse=True)
    for plan in (directory / "latest/plan.json", *stored):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            found.setdefault(str(json.loads(plan.read_text())["variant"]), plan.parent.resolve())
    return found


def _latest(directory: Path, variant: str) -> Path:
    variants = by_variant(directory)
    if variant in variants:
        return variants[variant]
    known = ", ".join(variants)
    raise StoredRunError(
        f"no run of the variant {variant} is stored in {directory}",
        f"there are runs of {known}" if known else "run it first",
    )
