"""What a reader makes of a job that came torn, or joined with the next."""

from __future__ import annotations

import pytest

from spooler.messages import SIZE, Job, alphabet, checksum, cut_to_size, pack, unpack

FIRST, SECOND = (Job(alphabet(n, 1), 0, 1, n << 32 | 1) for n in (1, 2))


def test_of_joined_jobs_the_first_is_seen() -> None:
    """The second is lost, and the first whole."""
    assert unpack(cut_to_size(pack(FIRST) + pack(SECOND))).job == FIRST


@pytest.mark.parametrize("cut", [1, 26, SIZE // 2])
def test_a_torn_job_fails_its_checksum(cut: int) -> None:
    """Both parts: what is missing is read as zeros."""
    for part in (pack(FIRST)[:cut], pack(FIRST)[cut:]):
        found = unpack(cut_to_size(part))
        assert checksum(found.job) != found.declared


def test_a_whole_job_is_left_alone() -> None:
    """There is nothing to cut."""
    assert cut_to_size(pack(FIRST)) == pack(FIRST)
