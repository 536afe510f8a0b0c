"""The print spooler of the lecture: producers place jobs, a spooler takes them, printers print."""

from __future__ import annotations

from common.system import System
from spooler.operations import OPERATIONS

SYSTEM = System(
    name="spooler",
    about="Producers place print jobs, consumers take them, printers print them.",
    roles="spooler.roles",
    operations=OPERATIONS,
)
