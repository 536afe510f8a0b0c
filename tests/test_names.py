"""Names: recognisable, never in use by another, and never followed through a planted link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common import names
from common.errors import MachineError
from tests.conftest import Fork


def test_a_key_is_ours_at_sight_and_fits_a_key_t() -> None:
    """Positive in 31 bits: nothing of it is truncated, it is never 0 (private) and never -1."""
    keys = {names.new_key() for _ in range(200)}
    assert all(key >> 24 == ord("L") and 0 < key < 1 << 31 for key in keys)
    assert len(keys) > 190


def test_a_token_is_eight_hexadecimal_digits() -> None:
    """Short enough for a socket's path."""
    token = names.new_token()
    assert len(token) == 8
    assert int(token, 16) >= 0


def test_a_process_is_known_by_its_start_until_it_ends(fork: Fork) -> None:
    """A zombie counts as ended: kill(pid, 0) would still find it."""
    mine = names.start_time(os.getpid())
    assert mine is not None
    assert names.start_time(os.getpid()) == mine
    read, write = os.pipe()
    child = fork(lambda: os.read(read, 1))
    start = names.start_time(child.pid)
    assert start is not None
    assert start >= mine
    os.write(write, b"g")
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert names.start_time(child.pid) is None
    assert child.ended() == 0
    assert names.start_time(child.pid) is None
    os.close(read)
    os.close(write)


def test_the_command_of_a_process_may_look_like_the_fields_after_it(fork: Fork) -> None:
    """A process may call itself ``a) Z 1``: the fields begin after the last parenthesis."""
    read, write = os.pipe()

    def rename() -> None:
        Path("/proc/self/comm").write_text("a) Z 1 (b")
        os.write(write, b"r")
        os.read(read_go, 1)

    read_go, write_go = os.pipe()
    child = fork(rename)
    assert os.read(read, 1) == b"r"
    assert names.start_time(child.pid) is not None
    os.write(write_go, b"g")
    assert child.ended() == 0
    for fd in (read, write, read_go, write_go):
        os.close(fd)


def test_a_runtime_directory_is_new_short_and_closed_to_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In XDG_RUNTIME_DIR where there is one of ours, and listed among ours."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    first, second = names.make_runtime_directory(), names.make_runtime_directory()
    assert first != second
    assert first.parent == tmp_path
    assert first.stat().st_mode & 0o7777 == 0o700
    assert {first, second} <= set(names.runtime_directories())


@pytest.mark.parametrize("named", ["", "relative/run", "/nonexistent/run", "/proc"])
def test_without_a_usable_xdg_runtime_dir_it_is_tmp(
    monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """Unset, relative, absent, or not ours: /tmp, where the name keeps users apart."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", named)
    directory = names.make_runtime_directory()
    try:
        assert directory.parent == Path("/tmp")
        assert directory.name.startswith(f"lab-{os.geteuid()}-")
        assert directory in names.runtime_directories()
    finally:
        directory.rmdir()


def test_a_name_that_is_taken_is_drawn_again_not_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Somebody planted a link under the first name: its target is never entered."""
    tmp_path.chmod(0o700)
    target = tmp_path / "target"
    target.mkdir()
    (tmp_path / f"lab-{os.geteuid()}-{os.getpid()}-aaaaaaaa").symlink_to(target)
    tokens = iter(["aaaaaaaa", "bbbbbbbb"])
    monkeypatch.setattr(names, "new_token", lambda: next(tokens))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert names.make_runtime_directory().name.endswith("bbbbbbbb")


def test_links_files_open_directories_and_other_peoples_are_not_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What only looks like a runtime directory by its name is never read and never removed."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    stem = f"lab-{os.geteuid()}-1-"
    (tmp_path / "elsewhere").mkdir(0o700)
    (tmp_path / f"{stem}11111111").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f"{stem}22222222").touch(0o700)
    (tmp_path / f"{stem}33333333").mkdir(0o755)
    (tmp_path / "lab-424242-1-44444444").mkdir(0o700)
    if os.geteuid() == 0:
        (tmp_path / f"{stem}55555555").mkdir(0o700)
        os.chown(tmp_path / f"{stem}55555555", 65534, 65534)
    ours = [path for path in names.runtime_directories() if path.parent == tmp_path]
    assert ours == []


@pytest.mark.parametrize(
    "ending",
    ["", "1", "backup", "1-aaaaaaaa.old", "1-aaaaaaaaa", "1-AAAAAAAA", "1-aaaa", "-aaaaaaaa",
     "x-aaaaaaaa", "1-2-aaaaaaaa", "1-gggggggg", "1-aaaaaaaa\n", "\u0661-aaaaaaaa"],
)  # fmt: skip
def test_only_the_exact_name_is_a_runtime_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: str
) -> None:
    """A user's own directory with a name much like ours is none of ours, and its maker unknown."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    directory = tmp_path / f"lab-{os.geteuid()}-{ending}"
    directory.mkdir(0o700)
    assert directory not in names.runtime_directories()
    assert names.maker_lives(directory)


def test_a_runtime_directory_names_its_maker(fork: Fork) -> None:
    """Alive while this process is; dead when the one it names has ended."""
    directory = names.make_runtime_directory()
    assert names.maker_pid(directory) == os.getpid()
    assert names.maker_lives(directory)
    child = fork(lambda: None)
    child.ended()
    assert not names.maker_lives(directory.with_name(f"lab-{os.geteuid()}-{child.pid}-aaaaaaaa"))
    directory.rmdir()


def test_where_no_directory_can_be_made_place_and_mend_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """/proc refuses directories to everybody, as a file system without inodes does."""
    monkeypatch.setattr(names, "_parents", lambda: [Path("/proc")])
    with pytest.raises(MachineError, match="/proc") as caught:
        names.make_runtime_directory()
    assert "XDG_RUNTIME_DIR" in caught.value.hint
