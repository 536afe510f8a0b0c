"""What ``clean`` and ``ps`` do where a ledger is damaged, forged, absent, or not alone."""

from __future__ import annotations

import os
import signal
import socket
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common import names
from common.kernel import existing, leftovers
from common.kernel.ledger import FILE, FILES, Ledger
from common.kernel.objects import Maker
from common.verbs import clean as verb
from tests.conftest import Fork
from tests.launching import launch

Leave = Callable[[Callable[[Maker], object]], Path]


def begin() -> Maker:
    directory = names.make_runtime_directory()
    return Maker(Ledger.create(directory, scenario="x", run_dir="/"), directory, directory)


@pytest.fixture
def leave(fork: Fork, kernel_clean: None, runtime_directory: Path) -> Iterator[Leave]:
    """Yield a function that lets a run do something and be killed; returns its directory."""

    def left(work: Callable[[Maker], object]) -> Path:
        def run() -> None:
            work(begin())
            os.kill(os.getpid(), signal.SIGKILL)

        child = fork(run)
        assert child.ended() == -signal.SIGKILL
        [directory] = runtime_directory.glob(f"lab-*-{child.pid}-*")
        return directory

    yield left
    # What a test is right to find left is removed by hand, so that nothing of it stays.
    for directory in names.runtime_directories():
        for path in directory.iterdir():
            path.rmdir() if path.is_dir() else path.unlink()
        directory.rmdir()


def append(directory: Path, text: str) -> None:
    with (directory / FILE).open("a") as file:
        file.write(text)


def clean() -> dict[str, Any]:
    done = launch("clean", "--json")
    assert done.status == 0
    return done.document


def listed(directory: Path) -> dict[str, Any]:
    """Return what ``ps`` says of one run: others may be at work on this machine."""
    runs = launch("ps", "--json").document["runs"]
    (run,) = [run for run in runs if run["directory"] == str(directory)]
    found: dict[str, Any] = run
    return found


def test_of_a_damaged_ledger_what_it_proves_is_removed_and_the_rest_not_abandoned(
    leave: Leave,
) -> None:
    """The object before the bad line goes; the directory stays, and the line is named."""
    keys: list[int] = [names.new_key(), names.new_key()]

    def work(maker: Maker) -> None:
        maker.sysv_sem(1, keys[0])
        append(maker.directory, "gar}bage\n")
        maker.sysv_sem(1, keys[1])

    directory = leave(work)
    later = existing.find("sysv_sem", keys[1])
    assert later is not None
    try:
        said = clean()["removed"]
        assert said[0].startswith(f"removed sysv_sem {existing.shown(keys[0])}")
        assert said[1:] == [f"left {directory}: its ledger cannot be read at line 4"]
        assert existing.find("sysv_sem", keys[0]) is None
        assert existing.find("sysv_sem", keys[1]) == later
        assert (directory / FILE).exists()
        assert clean()["removed"] == said[1:]
        run = listed(directory)
        assert run["problem"] == f"{directory}: its ledger cannot be read at line 4"
        assert not run["alive"]
        assert "cannot be read at line 4" in launch("ps").out
    finally:
        existing.remove("sysv_sem", keys[1], later)


def test_a_ledger_without_a_header_of_ours_is_kept_and_shown(leave: Leave) -> None:
    """Its first line is damaged: nobody knows what it names, so it is not as if never begun."""
    directory = leave(lambda maker: None)
    text = (directory / FILE).read_text()
    (directory / FILE).write_text(f"x{text}")
    assert clean()["removed"] == [f"left {directory}: its ledger cannot be read at line 1"]
    assert (directory / FILE).read_text() == f"x{text}"
    run = listed(directory)
    assert not run["alive"]
    assert "line 1" in run["problem"]


@pytest.mark.parametrize("line", [1, 3])
def test_a_damaged_ledger_of_a_live_run_is_left_alone(
    kernel_clean: None, runtime_directory: Path, line: int
) -> None:
    """Neither its objects nor its directory are touched."""
    maker = begin()
    key = maker.sysv_sem(1)
    lines = (maker.directory / FILE).read_text().splitlines()
    lines.insert(line - 1, "garbage")
    (maker.directory / FILE).write_text("\n".join([*lines, ""]))
    try:
        said = clean()
        assert said["removed"] == []
        assert said["alive"] >= 1
        assert existing.find("sysv_sem", key) is not None
        run = listed(maker.directory)
        assert run["alive"]
        assert run["pid"] == os.getpid()
        assert f"line {line}" in run["problem"]
    finally:
        maker.remove_all()
        (maker.directory / FILE).unlink()
        maker.directory.rmdir()


@pytest.mark.parametrize("text", [None, "", '{"event": "run", "ver'])
def test_a_ledger_that_was_never_begun_goes_with_its_directory(
    leave: Leave, text: str | None
) -> None:
    """Absent, empty, or cut in its first line: nothing can have been made."""
    directory = leave(lambda maker: None)
    (directory / FILE).unlink()
    if text is not None:
        (directory / FILE).write_text(text)
    assert listed(directory)["problem"].endswith("never begun")
    assert clean()["removed"] == [f"removed directory {directory}"]
    assert not directory.exists()


def test_what_a_dead_run_left_in_its_directory_goes(leave: Leave) -> None:
    """Job files, a FIFO and a socket of the ledger; nothing is left to say."""

    def work(maker: Maker) -> None:
        maker.fifo("orders")
        socket.socket(socket.AF_UNIX).bind(maker.socket_path("report"))
        (maker.directory / "teller-1.json").touch()

    directory = leave(work)
    assert all(sentence.startswith("removed") for sentence in clean()["removed"])
    assert not directory.exists()


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_a_directory_that_holds_something_else_is_left_with_a_sentence(
    leave: Leave, make: Callable[[Path], None]
) -> None:
    """A user's file or directory stays, and so does the ledger beside it."""
    directory = leave(lambda maker: make(maker.directory / "mine"))
    [sentence] = clean()["removed"]
    assert sentence == f"left {directory}: no run of ours made mine in it"
    assert (directory / "mine").exists()
    assert (directory / FILE).exists()
    assert "left" in launch("clean").out


def test_a_directory_that_is_only_named_alike_is_not_looked_into(
    leave: Leave, runtime_directory: Path
) -> None:
    """A copy somebody made of a runtime directory is that one's own."""
    directory = leave(lambda maker: None)
    copy = runtime_directory / f"{directory.name}.old"
    directory.rename(copy)
    assert clean()["removed"] == []
    assert (copy / FILE).exists()
    (copy / FILE).unlink()
    copy.rmdir()


def test_a_forged_ledger_never_leads_out_of_its_directory(leave: Leave, tmp_path: Path) -> None:
    """Files and FIFOs elsewhere, by any path or kind that it may claim, stay."""
    victim, pipe = tmp_path / "victim", tmp_path / "pipe"
    victim.write_text("precious")
    os.mkfifo(pipe)

    def forge(kind: str, name: str, id: int) -> Path:
        def work(maker: Maker) -> None:
            maker._ledger.made(maker._ledger.intend(kind, name), id=id)

        return leave(work)

    up = os.path.relpath(tmp_path, "/dev/shm")
    forged = [
        forge("file", str(victim), victim.stat().st_ino),
        forge("fifo", str(pipe), pipe.stat().st_ino),
        forge("socket", str(victim), victim.stat().st_ino),
        forge("posix_sem", f"/../{up}/victim", victim.stat().st_ino),
        forge("surprise", str(victim), 1),
    ]
    said = clean()["removed"]
    # A file entry is allowed, and never removed; all the others are no lines of ours.
    assert sorted(said) == sorted(
        f"left {directory}: its ledger cannot be read at line 2" for directory in forged[1:]
    )
    assert victim.read_text() == "precious"
    assert pipe.is_fifo()


def test_a_run_that_is_killed_while_clean_looks_is_read_to_its_end(
    fork: Fork, kernel_clean: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It makes an object after its ledger was read, and is dead when it is looked for."""
    key = names.new_key()
    read, write = os.pipe()
    ready, told = os.pipe()

    def run() -> None:
        maker = begin()
        os.write(told, b"r")
        os.read(read, 1)
        maker.sysv_sem(1, key)
        os.kill(os.getpid(), signal.SIGKILL)

    child = fork(run)
    assert os.read(ready, 1) == b"r"

    ledger_of = leftovers.ledger_of

    def look_and_lose(directory: Path) -> Any:
        state = ledger_of(directory)
        os.write(write, b"g")
        child.ended()
        return state

    monkeypatch.setattr(leftovers, "ledger_of", look_and_lose)
    verb.execute(Namespace(json=True), {})
    assert existing.find("sysv_sem", key) is None
    assert names.runtime_directories() == []
    for fd in (read, write, ready, told):
        os.close(fd)


def test_what_an_experiment_made_goes_with_its_directory(leave: Leave) -> None:
    """Whatever lies in the directory for it, deep as it may be; a link in its place does not."""

    def work(maker: Maker) -> None:
        files = maker.directory / FILES
        (files / "deep").mkdir(0o700, parents=True)
        files.chmod(0o700)
        (files / "deep" / "program").write_text("")

    directory = leave(work)
    clean()
    assert not directory.exists()
    linked = leave(lambda maker: (maker.directory / FILES).symlink_to("/usr"))
    clean()
    assert (linked / FILES).is_symlink()
    (linked / FILES).unlink()
