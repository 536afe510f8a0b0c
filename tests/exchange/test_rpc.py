"""Remote procedure calls: what travels, what a lost answer means, and what a key is worth."""

from __future__ import annotations

import json
import os
import resource
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import PeerLost, ProcessError
from common.history.merge import load_history
from common.kernel.channels import unix_seqpacket
from common.kernel.objects import Maker
from common.kernel.waits import Wait
from exchange import SYSTEM, remote
from exchange.operations import BUY, SELL
from exchange.remembering import Answers
from tests.conftest import PATIENCE, Fork, Signpost
from tests.launching import launch

RPC, DIES = "exchange/rpc", "exchange/rpc_office_dies"
OPERATIONS = {operation.code: operation for operation in SYSTEM.operations}
CALL = remote.Call(item=1 << 32 | 7, buying=True, row=2, amount=3.5 + 2**-30, key="")


def run(name: str, variant: str, out: Path, *words: str) -> dict[str, Any]:
    """Run a variant and return its document."""
    return launch("run", name, "--variant", variant, "--out", str(out), "--json", *words).document


def applied(document: dict[str, Any]) -> Counter[int]:
    """Return how often each call was done at an office, by its item."""
    history = load_history(Path(document["run_dir"]) / "history", OPERATIONS)
    found: Counter[int] = Counter()
    for at in range(len(history)):
        if history.operation(at).code in (BUY, SELL):
            found[history.record(at)["item"]] += 1
    return found


# What travels


@pytest.mark.parametrize("key", ["", "a1"])
def test_what_is_marshalled_comes_out_as_it_went_in(key: str) -> None:
    """To the last bit of the amount; the key only where there is one."""
    message = remote.pack_call(CALL._replace(key=key))
    assert len(message) <= remote.SIZE
    assert remote.unpack_call(message) == CALL._replace(key=key)
    assert ("key" in json.loads(message)) is bool(key)
    for done in (True, False):
        answer = remote.Answer(CALL.item, done)
        assert remote.unpack_answer(remote.pack_answer(answer)) == answer


@pytest.mark.parametrize("message", [b"", b"[]", b"{}", b'{"call": "steal"}', b"\xff", b"1"])
def test_what_is_no_call_and_no_answer_is_refused(message: bytes) -> None:
    """A clear error of the process, whatever somebody sends."""
    with pytest.raises(ProcessError, match="this is no call"):
        remote.unpack_call(message)
    with pytest.raises(ProcessError, match="this is no answer"):
        remote.unpack_answer(message)


def test_the_longest_call_fits() -> None:
    """The channel is made for messages of this size."""
    longest = remote.Call((1 << 64) - 1, False, 3, 2.0**22 - 2.0**-30, f"{(1 << 64) - 1:x}")
    assert len(remote.pack_call(longest)) <= remote.SIZE


# The line


Line = Callable[[str], Any]


@pytest.fixture
def line(maker: Maker) -> Line:
    """Return a function that opens an end of one line."""
    made = unix_seqpacket.make(unix_seqpacket.Options(), remote.SIZE, {}, maker)
    return lambda mode: unix_seqpacket.attach(made, mode, Wait(PATIENCE), "channel calls")


def test_an_answer_comes_back_to_who_asked(line: Line, fork: Fork) -> None:
    """Two callers on connections of their own, one office: each gets the answer to its call."""

    def ask(what: bytes) -> None:
        end = line("send")
        for _ in range(50):
            end.send(what)
            assert end.answer() == what.upper()

    office = line("receive")
    callers = [fork(lambda what=what: ask(what)) for what in (b"one", b"other")]  # type: ignore[misc]
    for _ in range(100):
        office.reply(office.receive().upper())
    assert [caller.ended() for caller in callers] == [0, 0]
    office.close()


def test_an_office_that_dies_is_told_and_the_next_one_can_be_called(
    line: Line, fork: Fork, signpost: Callable[[], Signpost]
) -> None:
    """It had the call and died: the caller knows that it does not know; then it connects anew."""
    told = signpost()

    def die() -> None:
        office = line("receive")
        told.show("r")
        assert office.receive() == b"buy"

    caller = line("send")
    office = fork(die)
    told.see("r")
    caller.send(b"buy")
    with pytest.raises(PeerLost, match="channel calls"):
        caller.answer()
    assert office.ended() == 0
    other = line("receive")
    caller.send(b"again")
    assert other.receive() == b"again"
    other.reply(b"done")
    assert caller.answer() == b"done"
    other.hang_up()
    other.reply(b"nobody is there, and that is no error")
    caller.close()
    other.close()


# Remembering


def test_what_one_office_remembers_in_the_file_another_knows() -> None:
    """Also what it wrote after the other had looked; each key has its own answer."""
    with tempfile.TemporaryFile() as file:
        one, other = (Answers(os.dup(file.fileno())) for _ in range(2))
        assert other.look("a") is None
        one.remember("a", b"1")
        one.remember("b", b'{"done": true}')
        assert other.look("a") == b"1"
        assert other.look("b") == b'{"done": true}'
        assert Answers(file.fileno()).look("a") == b"1"


def test_an_answer_that_a_full_disk_cuts_is_an_error(fork: Fork) -> None:
    """Half of it in the file is none: what is not remembered must not be sent."""

    def office() -> None:
        with tempfile.TemporaryFile() as file:
            # Of a write that begins below the limit, what fits is written (setrlimit(2)).
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
            with pytest.raises(OSError, match="No space left"):
                Answers(os.dup(file.fileno())).remember("a", b"more than ten bytes")

    assert fork(office).ended() == 0


def test_what_is_kept_in_memory_dies_with_it() -> None:
    """Another office, or the next one, does not know it."""
    one = Answers(None)
    one.remember("a", b"1")
    assert one.look("a") == b"1"
    assert Answers(None).look("a") is None


# The whole


def test_who_never_calls_again_does_not_know_what_was_done(tmp_path: Path) -> None:
    """Each call that nobody answered was done all the same, once, and is lost to its caller."""
    document = run(RPC, "never_again", tmp_path)
    counts = applied(document)
    assert set(counts.values()) == {1}
    callers = [p["summary"] for p in document["processes"] if p["role"] == "caller"]
    unknown = sum(each["unknown"] for each in callers)
    assert unknown > 0
    (lost,) = [f for f in document["findings"] if f["kind"] == "job_lost"]
    assert lost["count"] == unknown
    assert document["doubts"] == []


def test_a_retried_call_is_done_twice_without_a_key_and_once_with_one(tmp_path: Path) -> None:
    """At least once, and exactly once: the same calls, the same lost answers."""
    blind = run(RPC, "blindly", tmp_path)
    retried = sum(p["summary"].get("retried", 0) for p in blind["processes"])
    (doubled,) = [f for f in blind["findings"] if f["kind"] == "job_duplicated"]
    assert retried > 0
    assert sum(count - 1 for count in applied(blind).values()) == retried == doubled["total"]
    keyed = run(RPC, "with_a_key", tmp_path)
    assert sum(p["summary"].get("retried", 0) for p in keyed["processes"]) > 0
    assert set(applied(keyed).values()) == {1}
    assert (keyed["verdict"], keyed["doubts"]) == ("valid", [])


def test_a_key_is_worth_what_its_memory_outlives(tmp_path: Path) -> None:
    """A call that a dead office had done is done again by one that never heard of its key."""
    own, shared = (
        applied(run(DIES, variant, tmp_path)) for variant in ("own_memory", "shared_file")
    )
    assert 2 in own.values()
    assert set(shared.values()) == {1}


def test_the_steps_of_a_call_come_in_the_lectures_order(tmp_path: Path) -> None:
    """Stub and send, receive and the real procedure, the answer, and back to the caller."""
    words = (
        "processes.caller.count=1",
        "processes.caller.operations=1",
        "processes.office.count=1",
    )
    document = launch(
        "run", RPC, "--variant", "with_a_key", "--out", str(tmp_path), "--json",
        *(word for each in (*words, "processes.office.hangs_up_every=0",
                            "schedule=[{caller-0: send}]", "processes.caller.sell_share=0")
          for word in ("--set", each)),
    ).document  # fmt: skip
    outcome = json.loads((Path(document["run_dir"]) / "outcome.json").read_text())
    steps = [" ".join(line.split()[1:3]) for line in outcome["trace"]]
    called = ["caller-0 send", "office-0 receive"]
    traded = [f"office-0 {step}" for step in ("acquire", "check", "read", "write", "release")]
    assert [step for step in steps if step in (*called, *traded, "office-0 send")][:8] == [
        *called, *traded, "office-0 send",
    ]  # fmt: skip
    assert steps.index("caller-0 receive") > steps.index("office-0 send")


def test_a_channel_that_carries_no_answer_back_is_refused(tmp_path: Path) -> None:
    """At its place, with the kinds that do."""
    done = launch("run", RPC, "--set", "channels.calls=fifo", "--out", str(tmp_path))
    assert done.status == 2
    assert "channels.calls: a fifo carries no answer back (one of: unix_seqpacket)" in done.err


def test_a_line_for_each_office_is_refused(tmp_path: Path) -> None:
    """Whoever calls would not know which: answers come back by connection anyway."""
    word = "channels.calls={kind: unix_seqpacket, per: office}"
    done = launch("run", RPC, "--set", word, "--out", str(tmp_path))
    assert done.status == 2
    assert "channels.calls.per" in done.err
    assert "leave `per` out" in done.err
