"""The launcher: verbs and the table of systems."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from pathlib import Path

import exchange
import spooler
from common import kinds
from common.errors import LabError
from common.names import printable

SYSTEMS = {"exchange": exchange.SYSTEM, "spooler": spooler.SYSTEM}
VERBS = {verb: f"common.verbs.{verb}" for verb in kinds.names("common.verbs")}
VERBS["trade"] = "exchange.trade"
VERBS["jobs"] = "spooler.jobs"
VERBS["bench"] = "benchmarks.bench"


def usage() -> str:
    """Return the list of verbs, each with its module's first sentence."""
    lines = ["usage: run.py VERB … (a bare SCENARIO.yaml is run; run.py VERB --help says more)", ""]
    for verb, module in VERBS.items():
        lines.append(f"  {verb:<8} {kinds.about(importlib.import_module(module))}")
    return "\n".join(lines)


def _shipped() -> list[str]:
    configs = Path(__file__).resolve().parent / "configs"
    return [str(path.relative_to(configs).with_suffix("")) for path in configs.rglob("*.yaml")]


def main(words: list[str]) -> int:
    """Run the command line ``words``; returns the exit status."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(usage())
        return 0 if words else 2
    verb, rest = (words[0], words[1:]) if words[0] in VERBS else ("run", words)
    if words[0] not in VERBS and not words[0].endswith((".yaml", ".yml")):
        shipped = _shipped()
        if words[0] not in shipped:
            print(
                f"run.py: {words[0]!r} is neither a verb nor a scenario "
                f"({kinds.nearest(words[0], VERBS, shipped)})",
                file=sys.stderr,
            )
            return 2
    try:
        module = importlib.import_module(VERBS[verb])
        parser = argparse.ArgumentParser(prog=f"run.py {verb}", description=module.__doc__)
        module.add_arguments(parser)
        arguments = parser.parse_args(rest)
        status: int = module.execute(arguments, SYSTEMS)
    except LabError as error:
        # It may quote a file, a name or a program that is somebody else's.
        print("\n".join(map(printable, str(error).split("\n"))), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read the result has gone; Python must not complain about it once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        # Python 3.11 wraps what comes while a class is made in a module that is being read.
        if not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        return 130
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
