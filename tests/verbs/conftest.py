"""What several tests of verbs ask for: an open exchange, and a directory for what passes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.opened import exchange

__all__ = ["exchange"]


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the grader a directory for what passes; it must be empty when the grader has ended."""
    place = tmp_path / "room"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    # What Python has found out already; put back after the test.
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place
