"""The experiments on POSIX and System V message queues."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from common.claims import claim
from common.claims.claim import DEPENDS, FAILS, HOLDS, UNDECIDED, Experiment, Shown
from common.claims.mechanisms import (
    message_transfer,
    message_types,
    posix_queues,
    queue_notification,
    sysv_queues,
)
from tests.claims.conducting import conducted

MECHANISMS = (
    "posix_queues", "queue_notification", "sysv_queues", "message_types", "message_transfer",
)  # fmt: skip
EXPERIMENTS = [each for mechanism in MECHANISMS for each in claim.experiments(mechanism)]
# Not A51, which needs a compiler, nor A52, which limits decide.
CERTAIN = {
    HOLDS: "A44 A45 A46 A47 A48 A50 A53 A54 A55 A56 A57 A59 A61 A62 A63 A65 B129 B130 B133 B134 "
    "B135 B136 B140 B141 B142 B143 B144 B145",
    FAILS: "B132 B137",
    DEPENDS: "A49 A60 A64 B131 B138 B139",
}
VERDICTS = {name: verdict for verdict, names in CERTAIN.items() for name in names.split()}


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda each: each.name)
def test_it_comes_to_a_verdict_and_leaves_nothing(experiment: Experiment, tmp_path: Path) -> None:
    """Each sentence is decided, as the kernel decides it, and no object or process is left."""
    shown = conducted(experiment, tmp_path / "seen").shown
    assert set(shown) == {each.name for each in experiment.claims}
    for name, each in shown.items():
        assert each.verdict == VERDICTS.get(name, each.verdict), (name, each)
        assert each.verdict != UNDECIDED, (name, each)
        assert each.why


def test_without_a_compiler_the_structures_are_still_decided(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With no cc in PATH they rest on the calls alone, and say so."""
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    shown: dict[str, Shown] = {}
    for experiment in EXPERIMENTS:
        if experiment.name in ("attributes", "structure", "by_key"):
            result = conducted(experiment, tmp_path / "seen")
            shown |= result.shown
    assert {name: each.verdict for name, each in shown.items()} == {
        "A51": HOLDS, "A61": HOLDS, "B132": FAILS,
    }  # fmt: skip
    assert "compiler" in shown["A51"].why


def test_the_order_of_the_sentence_is_priority_and_then_age() -> None:
    """Equal priorities keep their order, others do not."""
    sent = [("a", 1), ("b", 9), ("c", 1), ("d", 9)]
    assert posix_queues.in_order(sent) == ["b 9", "d 9", "a 1", "c 1"]


def test_limits_make_it_depend() -> None:
    """A small queue that is refused fails; no limit met holds."""
    assert posix_queues.granted(False, ["", ""], "", "").verdict == FAILS
    assert posix_queues.granted(True, ["", ""], "", "").verdict == HOLDS
    assert posix_queues.granted(True, ["EINVAL", ""], "", "").verdict == DEPENDS
    assert posix_queues.granted(True, ["", ""], "EMFILE", "").verdict == DEPENDS


def test_an_alarm_for_each_message_would_hold() -> None:
    """For some it depends, for none it fails; of two forms one alone depends."""
    assert queue_notification.alarmed([True, True]).verdict == HOLDS
    assert queue_notification.alarmed([True, False]).verdict == DEPENDS
    assert queue_notification.alarmed([False, False]).verdict == FAILS
    assert queue_notification.both(True, True).verdict == HOLDS
    assert queue_notification.both(False, True).verdict == DEPENDS
    assert queue_notification.both(False, False).verdict == FAILS


def test_what_types_select_is_judged_message_by_message() -> None:
    """Age and type both count: one message in the wrong place turns its sentences alone."""
    sent = [(3, 1), (1, 2), (2, 3), (2, 4), (5, 5)]
    right = {
        0: sent,
        2: [(2, 3), (2, 4)],
        -3: [(1, 2), (2, 3), (2, 4), (3, 1)],
        -9: [(1, 2), (2, 3), (2, 4), (3, 1), (5, 5)],
    }

    def verdicts(**changed: list[tuple[int, int]]) -> dict[str, str]:
        came = right | {
            int(name.replace("minus", "-").lstrip("_")): c for name, c in changed.items()
        }
        return {name: shown.verdict for name, shown in message_types.judged(sent, came).items()}

    usual = verdicts()
    assert usual == dict.fromkeys(("A48", "A62", "A63", "B130", "B142"), HOLDS) | {"A64": DEPENDS}
    assert verdicts(_0=sent[::-1]) == usual | {"A62": FAILS, "B142": FAILS}
    turned = verdicts(_2=[(2, 4), (2, 3)])
    assert turned == usual | dict.fromkeys(("A48", "A63", "B130", "B142"), FAILS)
    # Were the absolute value no limit, the sentence that leaves it out would hold.
    assert verdicts(minus3=right[-9])["A64"] == HOLDS
    assert verdicts(minus3=[(3, 1), (1, 2), (2, 3), (2, 4)])["A64"] == FAILS


def test_a_type_that_ordered_would_be_the_priority() -> None:
    """Arrival order depends, any other holds; a type of 0 that were taken fails."""
    sent = [(1, 1), (9, 2), (1, 3)]
    assert message_types.prioritised(True, sent, sent).verdict == DEPENDS
    assert message_types.prioritised(True, sent, sorted(sent)).verdict == HOLDS
    assert message_types.prioritised(False, sent, sent).verdict == FAILS


def test_a_key_is_needed_only_where_an_id_does_not_do() -> None:
    """Sent by id alone it depends; refused by id it holds; any key at all would fail it."""
    assert sysv_queues.shared("sent", "ENOENT", "sent").verdict == DEPENDS
    assert sysv_queues.shared("sent", "ENOENT", "EACCES").verdict == HOLDS
    assert sysv_queues.shared("sent", "sent", "sent").verdict == FAILS
    assert sysv_queues.shared("ENOENT", "ENOENT", "sent").verdict == FAILS


def test_the_examples_depend_on_results_that_they_do_not_look_at() -> None:
    """Sent and printed where they could not be, they would hold; not at all, they fail."""
    assert message_transfer.sent_as_said(1, 0, 18).verdict == DEPENDS
    assert message_transfer.sent_as_said(1, 1, 18).verdict == HOLDS
    assert message_transfer.sent_as_said(0, 0, 18).verdict == FAILS
    assert message_transfer.sent_as_said(1, 0, 17).verdict == FAILS
    text = "prints 'Did you get this?'"
    assert message_transfer.printed_as_said(text, "prints ''").verdict == DEPENDS
    assert message_transfer.printed_as_said(text, text).verdict == HOLDS
    assert message_transfer.printed_as_said("prints ''", "prints ''").verdict == FAILS


def test_one_torn_message_is_enough() -> None:
    """And so is one that is taken though it does not fit."""
    assert message_transfer.untorn(0, 100, True).verdict == HOLDS
    assert message_transfer.untorn(1, 100, True).verdict == FAILS
    assert message_transfer.untorn(0, 100, False).verdict == FAILS
