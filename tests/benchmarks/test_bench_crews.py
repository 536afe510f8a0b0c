"""The processes that ``bench`` measures work where they are told, and end with their block."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.grid import stations
from benchmarks.grid.stations import StationFailed, Turn


def test_a_crew_works_where_it_is_told() -> None:
    """Each process runs on the cores of its turn, and on others in the next."""
    allowed = sorted(os.sched_getaffinity(0))

    def prepare() -> dict[str, stations.Task]:
        return {"where": lambda n: Turn(0, 0, sum(1 << cpu for cpu in os.sched_getaffinity(0)))}

    with stations.crew([prepare, prepare]) as crew:
        for cpus in ([allowed[:1], allowed[-1:]], [allowed, allowed[:1]]):
            turns, _cpu = crew.turn("where", 1, cpus)
            assert [turn.figure for turn in turns] == [sum(1 << c for c in each) for each in cpus]


def test_a_crew_ends_with_its_block() -> None:
    """No process is left, asleep or in the middle of a turn."""

    def prepare() -> dict[str, stations.Task]:
        return {"pid": lambda n: Turn(0, 0, os.getpid())}

    with stations.crew([prepare, prepare]) as crew:
        turns, _cpu = crew.turn("pid", 1, [[min(os.sched_getaffinity(0))]] * 2)
        pids = [int(turn.figure) for turn in turns]
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_one_that_dies_fails_the_crew_though_another_waits_for_it() -> None:
    """The reader of a pipe that waits for ever does not keep anybody from being told."""
    reading, writing = os.pipe()

    def waits(count: int) -> Turn:
        os.read(reading, 1)
        return Turn(0, 0)

    with (
        stations.crew([lambda: {"go": waits}, lambda: {"go": lambda n: os._exit(1)}]) as crew,
        pytest.raises(StationFailed, match="died without a word"),
    ):
        crew.turn("go", 1, [[min(os.sched_getaffinity(0))]] * 2)
    os.close(reading)
    os.close(writing)


def test_a_crew_that_failed_does_nothing_more() -> None:
    """What one of them says late would be taken for its answer to another turn."""
    cpus = [[min(os.sched_getaffinity(0))]] * 2

    def breaks(count: int) -> Turn:
        raise ValueError("it broke")

    works = [lambda: {"go": lambda n: Turn(0, 0)}, lambda: {"go": breaks}]
    with stations.crew(works) as crew:
        for _ in range(2):
            with pytest.raises(StationFailed, match="ValueError: it broke"):
                crew.turn("go", 1, cpus)


def test_what_a_process_raises_is_told() -> None:
    """The error's own words, from the preparation too."""

    def prepare() -> dict[str, stations.Task]:
        raise ValueError("no such end")

    with pytest.raises(StationFailed, match="ValueError: no such end"), stations.crew([prepare]):
        pass


def test_the_time_of_a_thread_that_works_on_is_counted() -> None:
    """A turn's CPU time is taken when all have answered, and of all their threads."""
    cpus = [[min(os.sched_getaffinity(0))]]

    def spin(count: int) -> Turn:
        begun = time.process_time()
        while time.process_time() < begun + 0.02:
            pass
        return Turn(0, 0)

    with stations.crew([lambda: {"spin": spin}]) as crew:
        _turns, cpu = crew.turn("spin", 1, cpus)
    assert cpu >= 0.02
