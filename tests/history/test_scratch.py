from __future__ import annotations

import gc
import resource
from pathlib import Path

import numpy as np
import pytest

from common.errors import MachineError
from common.history import scratch

MANY = 3 * scratch.LARGE // 8


def files(directory: Path) -> list[str]:
    """Return the files of ``directory`` that this process has mapped, named or not."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return [line for line in lines if str(directory) in line]


def descriptors() -> int:
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_large_array_lies_in_a_file_without_a_name(directory: Path) -> None:
    """It is mapped from the directory that TMPDIR names, where nothing can be seen."""
    array = scratch.empty(MANY, np.int64)
    array[:] = 7
    (line,) = files(directory)
    assert line.endswith("(deleted)")
    assert list(directory.iterdir()) == []
    assert int(array.sum()) == 7 * MANY


def test_a_small_array_lies_in_memory(directory: Path) -> None:
    """A short run opens no file."""
    arrays = [scratch.full(10, 3), scratch.join([np.arange(10)] * 3, np.int64)]
    assert files(directory) == []
    assert [len(array) for array in arrays] == [10, 30]


def test_a_file_goes_with_its_array(directory: Path) -> None:
    """Nothing stays mapped or open."""
    before = descriptors()
    array = scratch.join([np.arange(MANY)], np.int64)
    assert len(files(directory)) == 1
    del array
    assert (descriptors(), files(directory)) == (before, [])


def test_what_was_begun_and_left_is_closed(directory: Path) -> None:
    """A checker that stops in the middle leaves no open file."""
    before = descriptors()
    growing = scratch.Growing(np.int64)
    growing.append(np.arange(MANY))
    del growing
    assert descriptors() == before


@pytest.mark.parametrize("sizes", [[], [0, 0], [5], [5, 0, 7], [MANY], [3, MANY, 0, 2], [9] * 9999])
def test_parts_are_joined_in_their_order(sizes: list[int], directory: Path) -> None:
    """In memory, in a file, and where the file begins in the middle."""
    bounds = np.cumsum([0, *sizes])
    parts = [np.arange(begin, begin + size) for begin, size in zip(bounds, sizes, strict=False)]
    joined = scratch.join(parts, np.int64)
    assert np.array_equal(joined, np.arange(bounds[-1]))
    assert joined.dtype == np.int64
    assert joined.flags.writeable


@pytest.mark.parametrize("make", ["empty", "join"])
def test_a_disk_without_room_is_told_with_the_mend(make: str, directory: Path) -> None:
    """Before any page is touched that has nothing behind it, and with the directory's name."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    part = np.arange(MANY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(MachineError, match=f"no room in {directory}") as caught:
            scratch.empty(MANY, np.int64) if make == "empty" else scratch.join([part], np.int64)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "TMPDIR" in caught.value.hint


def test_places_are_those_of_a_search() -> None:
    """For values that are there, between, below and above."""
    ordered = np.sort(np.random.default_rng(1).integers(0, 300, 200))
    wanted = np.random.default_rng(2).integers(-20, 320, 500)
    assert np.array_equal(scratch.places(ordered, wanted), np.searchsorted(ordered, wanted))
