"""The experiments on sockets, on message boundaries, and on who can use which mechanism."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import run
from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, Experiment
from common.claims.conduct import conduct
from common.claims.mechanisms import comparison, message_boundaries, sockets, unix_sockets
from tests.claims.conducting import conducted

MECHANISMS = ("sockets", "unix_sockets", "message_boundaries", "comparison")
EXPERIMENTS = {each.name: each for name in MECHANISMS for each in claim.experiments(name)}
# Those that another kernel, or a user with other rights, decides otherwise.
FREE = {"B148": {HOLDS, FAILS}, "B155": {HOLDS, DEPENDS}}
# What is in neither table holds.
OTHERWISE = {
    "B152": DEPENDS, "B153": DEPENDS, "B159": DEPENDS, "B161": FAILS, "B164": DEPENDS,
    "B167": DEPENDS, "B174": DEPENDS,
}  # fmt: skip


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda each: each.name)
def test_it_is_decided_as_linux_does_it(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence has the verdict that Linux gives it, and nothing is left."""
    shown = conducted(experiment, tmp_path / "seen").shown
    for each in experiment.claims:
        allowed = FREE.get(each.name, {OTHERWISE.get(each.name, HOLDS)})
        assert shown[each.name].verdict in allowed, shown


def test_they_cover_their_part_of_the_lecture() -> None:
    """B146 to B165 and the comparison, each in exactly one experiment."""
    named = [each.name for one in EXPERIMENTS.values() for each in one.claims]
    compared = ["B167", "B168", "B170", "B171", "B173", "B174", "B176"]
    assert sorted(named) == sorted([*(f"B{number}" for number in range(146, 166)), *compared])


def test_without_a_compiler_the_pair_is_played_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Server and client still exchange their lines, and it is said what was not tried."""
    monkeypatch.setenv("PATH", "/nonexistent")
    shown = conduct(EXPERIMENTS["lecture_pair"], run.SYSTEMS).shown
    assert (shown["B163"].verdict, shown["B165"].verdict) == (HOLDS, HOLDS)
    assert "not tried without a compiler" in shown["B165"].why


def test_a_pipe_with_boundaries_would_refute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one of the streams keeps messages apart, the sentence does not hold."""

    def records() -> tuple[int, int]:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return one.detach(), other.detach()

    monkeypatch.setattr(message_boundaries, "_pipe", records)
    shown = conduct(EXPERIMENTS["no_boundaries"], run.SYSTEMS).shown["B173"]
    assert shown.verdict == FAILS
    assert shown.why.endswith("UNIX stream, TCP")


def test_streams_of_one_protocol_only_are_not_all_streams() -> None:
    """TCP everywhere holds, nowhere fails, somewhere depends."""
    assert sockets.protocol_verdict({"AF_INET": 6, "AF_UNIX": 6}) == HOLDS
    assert sockets.protocol_verdict({"AF_INET": 6, "AF_UNIX": 0}) == DEPENDS
    assert sockets.protocol_verdict({"AF_INET": 0, "AF_UNIX": 0}) == FAILS


def test_datagrams_lost_in_one_domain_only() -> None:
    """Losses in both hold, in one depend, in none fail."""
    every = unix_sockets.DATAGRAMS
    assert unix_sockets.datagram_verdict(256, 256) == HOLDS
    assert unix_sockets.datagram_verdict(256, every) == DEPENDS
    assert unix_sockets.datagram_verdict(every, every) == FAILS


def test_a_backlog_is_a_number_a_bound_or_nothing() -> None:
    """Exactly the number holds, one that grows with it depends, one that ignores it fails."""
    assert unix_sockets.backlog_verdict({1: 1, 5: 5}) == HOLDS
    assert unix_sockets.backlog_verdict({1: 2, 5: 6}) == DEPENDS
    assert unix_sockets.backlog_verdict({1: 8, 5: 8}) == FAILS


def test_unlink_is_judged_by_what_it_takes() -> None:
    """A name that was free for the taking holds, a stolen one depends, a refused bind fails."""
    assert unix_sockets.unlink_verdict("EADDRINUSE", "bound", stolen=False) == HOLDS
    assert unix_sockets.unlink_verdict("EADDRINUSE", "bound", stolen=True) == DEPENDS
    assert unix_sockets.unlink_verdict("EADDRINUSE", "EADDRINUSE", stolen=True) == FAILS


def test_a_limit_is_judged_by_what_came_whole() -> None:
    """A limit that suffices holds, one that needs framing depends, where that fails it fails."""
    assert message_boundaries.framing_verdict(True, True, True) == HOLDS
    assert message_boundaries.framing_verdict(False, True, True) == DEPENDS
    assert message_boundaries.framing_verdict(False, False, True) == FAILS


def test_a_pipe_is_judged_by_both_halves() -> None:
    """Only relatives and one way holds, one of the two depends, neither fails."""
    assert comparison.relatives_verdict(reached=False, one_way=True) == HOLDS
    assert comparison.relatives_verdict(reached=True, one_way=True) == DEPENDS
    assert comparison.relatives_verdict(reached=True, one_way=False) == FAILS
