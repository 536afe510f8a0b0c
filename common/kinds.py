"""Finds the kinds of a family: each file of its package is one kind, named after the file."""

from __future__ import annotations

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

LOCKS = "common.kernel.locks"
TABLES = "common.kernel.tables"
CHANNELS = "common.kernel.channels"
FAULTS = "common.process.faults"
PROPERTIES = "common.verdict.properties"
FINDINGS = "common.verdict.finding"


@functools.cache
def names(package: str) -> tuple[str, ...]:
    """Return the kinds of ``package`` in alphabetical order; no kind is imported."""
    path = importlib.import_module(package).__path__
    return tuple(
        sorted(module.name for module in pkgutil.iter_modules(path) if module.name[0] != "_")
    )


def load(package: str, kind: str) -> ModuleType:
    """Import and return one kind. Raises ``ModuleNotFoundError`` when there is no such file."""
    return importlib.import_module(f"{package}.{kind}")


def about(module: ModuleType) -> str:
    """Return the first sentence of a module's docstring."""
    return (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def nearest(word: str, words: Iterable[str], also: Iterable[str] = ()) -> str:
    """Return a hint naming the word of ``words`` that ``word`` was probably meant to be.

    ``also`` are paths that it may have meant, whole or by their last part; they are not listed.
    """
    choices = list(words)
    spelt = {path.rpartition("/")[2].lower(): path for path in also}
    spelt |= {choice.lower(): choice for choice in [*also, *choices]}
    close = difflib.get_close_matches(word.lower(), spelt, n=1)
    if close:
        return f"did you mean {spelt[close[0]]!r}?"
    return "one of: " + ", ".join(choices) if choices else ""


def findings() -> tuple[str, ...]:
    """Return the names of all findings."""
    kinds: tuple[str, ...] = importlib.import_module(FINDINGS).KINDS
    return kinds
