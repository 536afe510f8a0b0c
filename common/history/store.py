"""How is a run kept? Its plan, outcome and verdict as JSON documents, written whole or not at all.

A document is a dataclass with its format and version; what is read equals what was written, to
the last bit of every float.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from common import runs
from common.errors import StoredRunError
from common.history import plain
from common.history.operations import Operation
from common.history.outcome import Outcome
from common.scenario.plan import Plan

if TYPE_CHECKING:
    from common.history.case import Case

VERSION = 3
PLAN, OUTCOME, VERDICT = "plan", "outcome", "verdict"
HISTORY = "history"
# How much of what a program printed is looked at, from its end (bytes).
LONGEST_OUTPUT = 1 << 20

T = TypeVar("T")


def write_document(run_dir: Path, name: str, document: Any) -> Path:
    """Write ``document``, a dataclass or a dict, as ``<name>.json``: all of it or nothing.

    Raises ``StoredRunError`` when the directory cannot be written to.
    """
    path = run_dir / f"{name}.json"
    body = {"format": f"concurrency-lab {name}", "version": VERSION, **json_ready(document)}
    passing = runs.passing(path)
    try:
        passing.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        passing.replace(path)
    except OSError as error:
        passing.unlink(missing_ok=True)
        raise StoredRunError(f"{path} cannot be written: {error.strerror}") from error
    return path


def read_document(run_dir: Path, name: str, kind: type[T]) -> T:
    """Read ``<name>.json`` back as the dataclass ``kind``.

    Raises ``StoredRunError`` when it is missing, garbled, or of another format or version.
    """
    path = run_dir / f"{name}.json"
    try:
        body = json.loads(plain.read(path))
    except FileNotFoundError:
        hint = "is it the directory of a run?" if run_dir.is_dir() else "no such directory"
        raise StoredRunError(f"{path} is missing", hint) from None
    except OSError as error:
        raise StoredRunError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise StoredRunError(f"{path} is garbled: {error}") from error
    if not isinstance(body, dict) or body.pop("format", None) != f"concurrency-lab {name}":
        article = "an" if name[0] in "aeiou" else "a"
        raise StoredRunError(f"{path} is not {article} {name} of this lab")
    version = body.pop("version", None)
    if version != VERSION:
        raise StoredRunError(f"{path} has version {version!r}, this program reads {VERSION}")
    if name != VERDICT:
        # A verdict's sentences may quote a paper; who shows them makes them harmless.
        plain.check_words(body, str(path))
    found: T = _typed(kind, body, str(path))
    return found


def write_plan(run_dir: Path, plan: Plan) -> Path:
    """Write ``plan.json``."""
    return write_document(run_dir, PLAN, plan)


def read_plan(run_dir: Path) -> Plan:
    """Read ``plan.json``; raises ``StoredRunError``."""
    return read_document(run_dir, PLAN, Plan)


def write_outcome(run_dir: Path, outcome: Outcome) -> Path:
    """Write ``outcome.json``."""
    return write_document(run_dir, OUTCOME, outcome)


def read_outcome(run_dir: Path) -> Outcome:
    """Read ``outcome.json``; raises ``StoredRunError``."""
    return read_document(run_dir, OUTCOME, Outcome)


def write_verdict(run_dir: Path, verdict: Any) -> Path:
    """Write ``verdict.json``: a dataclass or the document of a run."""
    return write_document(run_dir, VERDICT, verdict)


def read_verdict(run_dir: Path) -> dict[str, Any]:
    """Read ``verdict.json`` as it was written; raises ``StoredRunError``."""
    return read_document(run_dir, VERDICT, dict[str, Any])


def load_case(run_dir: Path, operations: Mapping[int, Operation]) -> Case:
    """Read a whole stored run; raises ``StoredRunError`` when it is incomplete or not ours."""
    # Imported here: whoever only writes a plan, before it forks, must not pay for numpy.
    from common.history.case import Case
    from common.history.merge import load_history
    from common.history.spooled import load as load_spool

    plan, outcome = read_plan(run_dir), read_outcome(run_dir)
    _check_names(run_dir, plan, outcome)
    known = {process.name: process.index for process in outcome.processes}
    history = load_history(run_dir / HISTORY, operations, known)
    shared = None if outcome.paper is None else _lines(run_dir / outcome.paper)
    own = {process.name: run_dir / f"paper-{process.name}.txt" for process in outcome.processes}
    papers = {name: _lines(path) for name, path in own.items() if path.is_file()}
    spool = None if plan.spool is None else load_spool(run_dir, outcome.spool)
    programs = [each.name for each in plan.processes if each.program is not None]
    outputs = {name: _end_of(run_dir / f"{name}.out") for name in programs}
    return Case(history, outcome, plan, shared, papers, spool, outputs)


def _check_names(run_dir: Path, plan: Plan, outcome: Outcome) -> None:
    # They become names of files in the directory of the run, which is not left.
    for where, name in [
        *((PLAN, each.name) for each in plan.processes),
        *((OUTCOME, each.name) for each in outcome.processes),
        *((OUTCOME, each) for each in (outcome.paper,) if each is not None),
    ]:
        plain.check_name(name, f"{run_dir}/{where}.json")


def _end_of(path: Path) -> str:
    """Return the end of what a program printed; "" where it printed nothing."""
    try:
        with plain.opened(path) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LONGEST_OUTPUT))
            return file.read(LONGEST_OUTPUT).decode(errors="replace")
    except OSError:
        return ""


def _lines(path: Path) -> list[str]:
    try:
        # Only a newline ends a line: a page may hold any other character, and any other byte.
        return plain.read(path, errors=plain.ANY_BYTE).split("\n")
    except OSError as error:
        raise StoredRunError(f"{path} cannot be read: {error.strerror}") from error


def json_ready(value: Any) -> Any:
    """Return ``value`` with every dataclass in it turned into a dict."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: json_ready(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {key: json_ready(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(each) for each in value]
    return value


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Return JSON ``value`` as what ``hint`` declares; raises ``StoredRunError`` at ``where``."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _typed(next(kind for kind in arguments if kind is not type(None)), value, where)
    if dataclasses.is_dataclass(hint):
        return _record(hint, value, where)
    if origin is list and isinstance(value, list):
        return [_typed(arguments[0], each, f"{where}[{n}]") for n, each in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _typed(arguments[1], each, f"{where}.{key}") for key, each in value.items()}
    wanted = (int, float) if hint is float else hint
    plain = origin is None and isinstance(value, wanted)
    if plain and (hint is bool or not isinstance(value, bool)):
        return value
    raise StoredRunError(f"{where} should be {getattr(hint, '__name__', hint)}, not {value!r:.60}")


def _record(kind: Any, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        raise StoredRunError(f"{where} should be an object, not {value!r:.60}")
    hints = _hints(kind)
    fields = {field.name for field in dataclasses.fields(kind)}
    for name in sorted(fields ^ value.keys()):
        problem = "is missing" if name in fields else "is not known"
        raise StoredRunError(f"{where}: the field {name!r} {problem}")
    return kind(**{name: _typed(hints[name], value[name], f"{where}: {name}") for name in fields})


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    # Evaluating the hints anew for each of hundreds of processes takes longer than the rest.
    return typing.get_type_hints(kind)
