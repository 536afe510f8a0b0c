"""The command of a program that is not ours: which file it is, and where it works.

A path is looked for from the directory of the scenario's file and then from the working directory;
one that the command line gives from the working directory alone. A bare word that is in neither is
looked for in PATH.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import NamedTuple

from common.scenario.nodes import Node, Scalar, Sequence, describe
from common.scenario.settings import COMMAND_LINE
from common.scenario.values import Path, Reading


@dataclass(frozen=True)
class Command:
    """``words`` are the program, as an absolute path, and its arguments.

    ``directory`` is where it works: that of the program, or, for one out of PATH, that from which
    its arguments are to be read.
    """

    words: list[str]
    directory: str


class CommandShape(NamedTuple):
    """A program and its arguments, or one word; arguments are taken as they are written."""

    def read(self, node: Node, path: Path, reading: Reading) -> Command | None:
        """Return the command, or None after a complaint."""
        reading.nodes[path] = node
        items = node.items if isinstance(node, Sequence) else [node]
        words = []
        for at, item in enumerate(items):
            place = (*path, at) if isinstance(node, Sequence) else path
            reading.nodes[place] = item
            if not isinstance(item, Scalar):
                reading.complain(place, f"a word is wanted, not {describe(item)}")
                return None
            if "\0" in item.text or not (at or item.text):
                reading.complain(place, "names no program", "such as ./my_trader")
                return None
            words.append(item.text)
        if not words:
            reading.complain(path, "names no program", "such as ./my_trader")
            return None
        place = (*path, 0) if isinstance(node, Sequence) else path
        return _found(words, place, reading)


class WordsShape(NamedTuple):
    """A command of which the words alone are kept."""

    def read(self, node: Node, path: Path, reading: Reading) -> list[str] | None:
        """Return the words, or None after a complaint."""
        command = CommandShape().read(node, path, reading)
        return None if command is None else command.words


def _found(words: list[str], place: Path, reading: Reading) -> Command | None:
    source = reading.nodes[place].place.source
    here = FilePath.cwd()
    beside = here if source == COMMAND_LINE else here / FilePath(source).parent
    name = words[0]
    candidates = [FilePath(os.path.normpath(base / name)) for base in dict.fromkeys((beside, here))]
    chosen = next((path for path in candidates if os.path.lexists(path)), None)
    if chosen is None and "/" not in name:
        found = shutil.which(name)
        if found is not None:
            return Command([found, *words[1:]], str(beside))
    problem, hint = _problem(name, chosen or candidates[0])
    if problem:
        reading.complain(place, problem, hint)
        return None
    assert chosen is not None
    return Command([str(chosen), *words[1:]], str(chosen.parent))


def _problem(name: str, path: FilePath) -> tuple[str, str]:
    """Return why a file cannot be started, and the mend ("" when it can)."""
    quoted = shlex.quote(str(path))
    if not path.exists():
        folder = path.parent.parent
        if path.parent.name == "bin" and (folder / "Makefile").is_file():
            return f"there is no program {name}", f"build it: make -C {shlex.quote(str(folder))}"
        return f"there is no program {name}", f"it would be {path}"
    if path.is_dir():
        return f"{name} is a directory", "name the program in it"
    if not path.is_file():
        return f"{name} is not a regular file", f"ls -l {quoted}"
    if not os.access(path, os.X_OK):
        return f"{name} is not executable", f"chmod +x {quoted}"
    return "", ""
