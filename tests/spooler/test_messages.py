"""Jobs as messages: what was sent comes back, and a mixture of two jobs is known."""

from __future__ import annotations

from spooler.messages import LETTERS, SIZE, Job, alphabet, checksum, pack, unpack


def test_a_job_comes_back_whole() -> None:
    """Packing and unpacking lose nothing, and the declared checksum is the job's."""
    job = Job(alphabet(1, 7), 1, 4, (1 << 32) | 7)
    message = pack(job)
    assert len(message) == SIZE
    received = unpack(message)
    assert received.job == job
    assert received.declared == checksum(job)


def test_letters_of_one_job_in_another_fail_the_checksum() -> None:
    """The slot's letters and what lies behind them may come from two jobs: that shows."""
    first, second = (Job(alphabet(n, 1), 0, 1, n << 32 | 1) for n in (0, 1))
    mixed = unpack(pack(first)[:LETTERS] + pack(second)[LETTERS:])
    assert checksum(mixed.job) != mixed.declared


def test_even_equal_letters_do_not_hide_another_job() -> None:
    """The checksum covers the job's name too."""
    letters = alphabet(0, 1)
    assert checksum(Job(letters, 0, 1, 1)) != checksum(Job(letters, 0, 1, 2))


def test_two_jobs_in_a_row_differ_in_every_letter() -> None:
    """So that a half-written slot cannot pass for either of them."""
    for sequence in range(1, 60):
        before, after = alphabet(0, sequence), alphabet(0, sequence + 1)
        assert all(a != b for a, b in zip(before, after, strict=True))
        assert sorted(before) == sorted(after)
        assert b"*" not in before
