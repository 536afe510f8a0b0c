"""The programs are built once a session, into a directory that goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contrib.building import build


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory with the C programs."""
    return build(tmp_path_factory.mktemp("bin"))
