"""What do clean runs promise? Less than they seem to."""

from __future__ import annotations


def promise(clean: int) -> str:
    """Return what ``clean`` runs without a finding can and cannot say.

    The rule of three: if a race showed with probability p, n clean runs would happen with
    (1 - p)**n, which is under 5 % once p is over 3/n (Hanley and Lippman-Hand, JAMA 1983).
    """
    if clean <= 0:
        return "no run was without a finding: nothing is promised"
    runs = "1 run" if clean == 1 else f"{clean:,} runs"
    verb = "bounds" if clean == 1 else "bound"
    if clean <= 3:
        return f"{runs} without a finding {verb} the rate of this race not at all (95 %)"
    bound = 300 / clean
    return (
        f"{runs} without a finding {verb} the rate of this race only below about 3/{clean:,}, "
        f"{bound:.3g} % of all runs (95 %)"
    )
