"""An open exchange, for any test that asks for it."""

from __future__ import annotations

from tests.opened import exchange

__all__ = ["exchange"]
