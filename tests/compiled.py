"""The C programs of contrib/, built once before any test, where there is a compiler."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.launching import ROOT, SECONDS

CONTRIB = ROOT / "contrib"
BIN = CONTRIB / "bin"
COMPILER = shutil.which(os.environ.get("CC", "cc"))

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler")


def build() -> None:
    """Build what has changed; two builds at once do no harm (contrib/Makefile)."""
    done = subprocess.run(
        ["make", "-s", "-C", str(CONTRIB)],
        capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.exit(f"the programs of contrib/ cannot be built:\n{done.stderr}", done.returncode)
