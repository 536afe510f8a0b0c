"""What did a plain teller print of its balance? The last line of its output that tells one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from common import names

_NUMBER = r"([-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?)"
# A line that tells a balance: anything, and then ``balance 960.56``.
_BALANCE = re.compile(rf"(?:^|\s)balance[ =:]+{_NUMBER}\s*$", re.IGNORECASE)
# A line that means to.
_MEANT = re.compile(r"\s*balance\b", re.IGNORECASE)
# As much of a line as is shown.
SHOWN = 60
# The largest power of ten that a double has.
_LARGEST = 308


@dataclass(frozen=True)
class Printed:
    """``balance`` is the text of the last one, None where there is none; ``slack`` its rounding.

    ``strange`` is the last line that begins with the word, and is followed by no finite number.
    """

    balance: str | None = None
    slack: float = 0.0
    strange: str | None = None


def read(output: str) -> Printed:
    """Return what the lines of an output tell."""
    balance, slack, strange = None, 0.0, None
    for line in output.splitlines():
        found = _BALANCE.search(line)
        number = Decimal(found[1]) if found else None
        if found and number is not None and (not number or number.adjusted() < _LARGEST):
            # As exactly as it was printed: the last digit is rounded.
            balance, slack = found[1], 0.5 * 10.0 ** int(number.as_tuple().exponent)
        elif _MEANT.match(line):
            strange = names.printable(line.strip()[:SHOWN])
    return Printed(balance, slack * (1 + 1e-9), strange)
