"""Where the programs lie that the suite built before its first test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compiled import BIN


@pytest.fixture
def programs() -> Path:
    """Return the directory with the C programs."""
    return BIN
