"""How often does a finding happen? Its share of several runs, with what that share is worth."""

from __future__ import annotations

from math import sqrt

# Of a standard normal distribution 95 % lies between minus and plus this.
Z = 1.959964


def wilson(hits: int, runs: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, JASA 1927); all of it without a run.

    Unlike the textbook's interval it stays within 0 and 1, and has a width where all runs agree.
    """
    if not runs:
        return 0.0, 1.0
    share, weight = hits / runs, Z * Z / runs
    middle = (share + weight / 2) / (1 + weight)
    reach = Z / (1 + weight) * sqrt(share * (1 - share) / runs + weight / (4 * runs))
    low = 0.0 if hits == 0 else max(0.0, middle - reach)
    high = 1.0 if hits == runs else min(1.0, middle + reach)
    return low, high
