"""A submission: taken into a copy, built there, and put into the place of a role.

What is wrong with it is the student's (``Rejected``); what the machine lacks is not.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from common.errors import Complaint, ScenarioError, UsageError
from common.grading import means, warden
from common.grading.reading import Grading, SubmissionPlan
from common.grading.warden import Ended, GraderFailed, Wrong
from common.kernel.rooms import room as made
from common.kinds import nearest
from common.scenario import nodes, source
from common.scenario.settings import Setting
from common.scenario.values import implicit

# A submission is source text and a program or two.
MOST_FILES, MOST_BYTES = 10_000, 256 << 20
# What tells a build where the grading file lies, and with it what a teacher gives to all.
BESIDE = "GRADING_DIR"
# How much of what a build says is kept (bytes): its end.
KEPT = 4096


class Rejected(Exception):
    """The submission cannot be judged; the words are for the student."""


class Prepared(NamedTuple):
    """A submission that can be judged, or why it cannot (``rejected``).

    It is a program, whose command ``words`` go into every place, and ``asked`` are those words as
    the grading file has them; or it is ``settings``, each for its own place.
    """

    settings: tuple[Setting, ...] = ()
    words: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    rejected: str = ""

    def values(self, into: tuple[str, ...]) -> list[Setting]:
        """Return what is put into the places ``into``."""
        if self.words:
            return _commands(into, self.words)
        return [setting for setting in self.settings if setting.path in into]

    def told(self, into: tuple[str, ...]) -> list[Setting]:
        """Return the same as a student would write it, from the directory of the submission."""
        return _commands(into, self.asked) if self.words else self.values(into)


@contextmanager
def prepared(grading: Grading, given: Path | None) -> Iterator[Prepared]:
    """Build the submission at ``given``, else the reference; its copy is gone afterwards.

    Raises ``UsageError`` where there is none, and ``GraderFailed``.
    """
    wanted = grading.submission
    path = given or (wanted.reference if wanted is not None else None)
    if path is None or wanted is None:
        _check_none(grading, given)
        yield Prepared()
        return
    if not path.exists():
        raise UsageError(f"there is no submission {source.shown(path)}", "a directory, or a file")
    means.check_limits()
    with made() as room:
        try:
            if wanted.command:
                yield _program(wanted, path, room.resolve() / "submission")
            else:
                yield Prepared(settings=_values(wanted, path))
        except Rejected as rejected:
            yield Prepared(rejected=str(rejected))


def _check_none(grading: Grading, given: Path | None) -> None:
    wanted = grading.submission
    if given is not None:
        raise UsageError(f"{grading.source} takes no submission", "it has no `submission`")
    if wanted is not None and wanted.into:
        raise UsageError("there is nothing to grade", "--submission PATH, or a `reference`")


def _values(wanted: SubmissionPlan, path: Path) -> tuple[Setting, ...]:
    """Return the settings that a submitted YAML file holds: of those that it may set."""
    if path.is_dir():
        found = [each for each in sorted(path.iterdir()) if each.suffix in (".yaml", ".yml")]
        if len(found) != 1:
            raise Rejected(f"the submission has {len(found)} YAML files, and must have one")
        _check_link(found[0], path)
        path = found[0]
    try:
        tree, complaints = nodes.compose(source.read(path), source.shown(path))
    except ScenarioError as error:
        raise Rejected(f"the submission cannot be read: {error}") from None
    place = nodes.Place(source.shown(path), 1, 1)
    if not isinstance(tree, nodes.Mapping):
        hint = f"such as {wanted.into[0] if wanted.into else 'a.b'}: value"
        complaints = complaints or [place.complaint("", "it sets nothing", hint)]
        raise Rejected("the submission cannot be read: " + _lines(complaints))
    for name, (key, _) in tree.entries.items():
        if name not in wanted.into:
            reason = f"{name} is not for a submission to set"
            complaints.append(key.place.complaint("", reason, nearest(name, wanted.into)))
    absent = [name for name in wanted.into if name not in tree.entries]
    complaints += [place.complaint("", f"{name} is missing") for name in absent]
    if complaints:
        raise Rejected(_lines(complaints))
    return tuple(Setting(name, key.place, value) for name, (key, value) in tree.entries.items())


def _lines(complaints: list[Complaint]) -> str:
    return "\n".join(map(str, complaints))


def _program(wanted: SubmissionPlan, path: Path, room: Path) -> Prepared:
    """Copy a program and build it."""
    try:
        room.mkdir()
        if path.is_dir():
            _copy(path, room)
        else:
            name = path.name if wanted.build else Path(wanted.command[0]).name
            shutil.copyfile(path, room / name)
            (room / name).chmod(0o700)
        for name, file in wanted.given.items():
            _give(file, room / name, name)
    except OSError as error:
        raise GraderFailed(f"the submission cannot be copied: {error.strerror}") from None
    if wanted.build:
        _build(wanted, room)
    words = [_word(word, room, first=not at) for at, word in enumerate(wanted.command)]
    return Prepared(words=tuple(words), asked=wanted.command)


def _commands(into: tuple[str, ...], words: tuple[str, ...]) -> list[Setting]:
    place = nodes.Place("the submission", 1, 1)
    # Quoted where YAML would read something else in a word.
    items = [nodes.Scalar(place, word, plain=not implicit(word)) for word in words]
    value = nodes.Sequence(place, list(items)) if len(items) > 1 else items[0]
    return [Setting(path, place, value) for path in into]


def _word(word: str, room: Path, *, first: bool) -> str:
    """Return a word of the command with a file of the submission by its whole path."""
    file = room / word
    if first and "/" not in word:
        if shutil.which(word) is None:
            raise GraderFailed(f"this machine has no {word}, with which the submission is started")
        return word
    if first and not file.is_file():
        raise Rejected(f"the submission has no {word}" + (" after its build" if first else ""))
    if first:
        _check_link(file, room)
        # What was uploaded through a browser has lost its mode. What has a second name may be a
        # file of somebody else.
        facts = file.stat()
        if not facts.st_mode & stat.S_IXUSR and facts.st_nlink == 1:
            file.chmod(facts.st_mode | stat.S_IXUSR)
    return str(file) if first or file.is_file() else word


def _check_link(file: Path, room: Path) -> None:
    """Raise ``Rejected`` for a link that leads out of ``room``, also to where it is copied from."""
    away = file.is_symlink() and file.readlink().is_absolute()
    if away or not Path(os.path.realpath(file)).is_relative_to(os.path.realpath(room)):
        told = f"{file.relative_to(room)} is a link that leads out of the submission"
        raise Rejected(f"{told}: hand in the file itself")


def _give(file: Path, target: Path, name: str) -> None:
    """Put a file of the teacher's into the copy, whatever has its name there."""
    if target.is_dir() and not target.is_symlink():
        raise Rejected(f"{name} is a directory, and the build needs a file of that name")
    if any(each.exists() and not each.is_dir() for each in target.parents):
        raise Rejected(f"the build needs {name}, and a file is in its way")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    shutil.copyfile(file, target)


def _copy(origin: Path, room: Path) -> None:
    """Copy a directory's regular files, directories and links; nothing else can be copied."""
    files = size = 0
    for where, directories, names in os.walk(origin):
        below = Path(where).relative_to(origin)
        for name in [*names, *directories]:
            each = Path(where) / name
            mode = each.lstat().st_mode
            files += 1
            size += each.lstat().st_size if stat.S_ISREG(mode) else 0
            if files > MOST_FILES or size > MOST_BYTES:
                reason = f"more than {MOST_FILES:,} files or {MOST_BYTES >> 20} MiB"
                raise Rejected(f"the submission is too large: {reason}")
            if stat.S_ISLNK(mode):
                _check_link(each, origin)
                (room / below / name).symlink_to(each.readlink())
            elif stat.S_ISDIR(mode):
                (room / below / name).mkdir()
            elif stat.S_ISREG(mode):
                shutil.copy2(each, room / below / name)


def _build(wanted: SubmissionPlan, room: Path) -> None:
    """Run the build in ``room``; raises ``Rejected`` with the end of what it said."""
    program = wanted.build[0]
    if "/" not in program and shutil.which(program) is None:
        raise GraderFailed(f"this machine has no {program}, with which the submission is built")
    begun = time.monotonic()
    command = " ".join(wanted.build)

    def work() -> warden.Document:
        try:
            child = subprocess.Popen(
                wanted.build, cwd=room, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, BESIDE: str(wanted.directory.resolve())},
            )  # fmt: skip
        except OSError as error:
            if error.errno in warden.SHORTAGES:
                raise
            return {"status": None, "said": f"{program}: {error.strerror}"}
        said = b""
        assert child.stdout is not None
        while piece := os.read(child.stdout.fileno(), 1 << 16):
            said += piece
            if len(said) > KEPT:
                # Its end, and only whole lines of it.
                said = b"...\n" + said[-KEPT:].partition(b"\n")[2]
        return {"status": child.wait(), "said": said.decode(errors="replace")}

    try:
        done = warden.alone(work, wanted.seconds)
    except Wrong as wrong:
        raise GraderFailed(f"building failed: {wrong.message}") from None
    except Ended:
        raise Rejected(f"`{command}` ended the process that watches over it") from None
    except GraderFailed:
        if time.monotonic() - begun < wanted.seconds:
            raise
        raise Rejected(f"`{command}` did not end within {wanted.seconds:g} s") from None
    if means.size(room) > MOST_BYTES:
        raise Rejected(f"`{command}` makes more than {MOST_BYTES >> 20} MiB of files")
    if done["status"] != 0:
        means.check_room()
        how = "cannot be run" if done["status"] is None else f"failed with {_ended(done['status'])}"
        raise Rejected(f"`{command}` {how}:\n{_plain(done['said'], room)}")


def _ended(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"status {status}"


def _plain(said: str, room: Path) -> str:
    """Return the words of a build without what differs from one time to the next."""
    said = source.UNPRINTABLE.sub("?", said.replace("\r\n", "\n").replace(f"{room}/", ""))
    return re.sub(r"/\S*/cc\w{6}\.", "/tmp/cc.", said.replace(str(room), ".")).strip()
