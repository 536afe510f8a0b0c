"""What only a UNIX stream does: frames however they arrive, and what is left of a connection."""

from __future__ import annotations

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.errors import KernelObjectError, MachineError, ObjectVanished, PeerLost, WaitExpired
from common.kernel import sockets
from common.kernel.channels import Channel, unix_stream
from common.kernel.objects import Maker
from common.kernel.waits import Wait

SIZE = 64
# Far larger than what a connection holds, so that a send stands in the middle of it.
LARGE = 1 << 20
WHAT = "channel orders"
LOCK = {"kind": "none", "at": {}}
SHORT = 0.2
LONG = 60.0

Open = Callable[..., Any]


def body(number: int, size: int = SIZE) -> bytes:
    return b"%0*d" % (size, number)


@pytest.fixture
def address(maker: Maker) -> dict[str, Any]:
    return unix_stream.make(unix_stream.Options(), SIZE, LOCK, maker)


@pytest.fixture
def open_end(address: dict[str, Any]) -> Iterator[Open]:
    """Yield a function that opens ends; all are closed afterwards."""
    ends: list[Channel] = []

    def opened(mode: str, wait: Wait | None = None, **changed: Any) -> Channel:
        ends.append(unix_stream.attach(address | changed, mode, wait or Wait(SHORT), WHAT))
        return ends[-1]

    yield opened
    for end in ends:
        end.close()


@pytest.fixture
def call(address: dict[str, Any]) -> Iterator[Callable[[], socket.socket]]:
    """Yield a function that connects as another program would."""
    calls: list[socket.socket] = []

    def connected() -> socket.socket:
        calls.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        calls[-1].connect(address["path"])
        return calls[-1]

    yield connected
    for each in calls:
        each.close()


def frame(message: bytes) -> bytes:
    return len(message).to_bytes(4, "little") + message


def test_a_frame_that_comes_byte_by_byte_is_one_message(open_end: Open, call: Any) -> None:
    """Whatever the pieces: a message is there when all of it is, and not before."""
    receiver, line = open_end("receive", Wait(0.01)), call()
    whole = frame(body(1)) + frame(body(2))
    taken = []
    for n in range(len(whole)):
        line.send(whole[n : n + 1])
        try:
            taken.append((n, receiver.receive()))
        except WaitExpired:
            continue
    assert taken == [(SIZE + 3, body(1)), (2 * SIZE + 7, body(2))]


def test_messages_of_any_length_stand_behind_each_other(open_end: Open) -> None:
    """Full, short and empty ones: each comes as it was sent, also those that were read ahead."""
    receiver, sender = open_end("receive"), open_end("send")
    sent = [body(1), b"short", b"", body(2), body(3), b"x", body(4)]
    for one in sent:
        sender.send(one)
    assert [receiver.receive() for _ in sent] == sent


@pytest.mark.parametrize("last", [b"", b"short"])
def test_a_short_message_does_not_wait_for_the_next(open_end: Open, last: bytes) -> None:
    """Alone, and behind one of full size."""
    receiver, sender = open_end("receive"), open_end("send")
    sender.send(last)
    assert receiver.receive() == last
    sender.send(body(1))
    sender.send(last)
    assert [receiver.receive(), receiver.receive()] == [body(1), last]


def test_half_a_frame_is_dropped_with_its_connection(open_end: Open, call: Any) -> None:
    """A sender that died in the middle: counted, and the others' messages come."""
    receiver, sender, line = open_end("receive"), open_end("send"), call()
    line.send(frame(body(1)) + frame(body(2))[:-1])
    assert receiver.receive() == body(1)
    line.close()
    sender.send(body(3))
    assert receiver.receive() == body(3)
    with pytest.raises(WaitExpired):
        receiver.receive()
    assert receiver.cut_short == 1


def test_a_frame_longer_than_the_channels_ends_its_connection(open_end: Open, call: Any) -> None:
    """What came before it is delivered; where its next message begins nobody can tell."""
    receiver, sender, line = open_end("receive"), open_end("send"), call()
    line.send(frame(body(1)) + frame(bytes(SIZE + 1)) + frame(body(2)))
    sender.send(body(3))
    assert {receiver.receive(), receiver.receive()} == {body(1), body(3)}
    with pytest.raises(WaitExpired):
        receiver.receive()
    assert receiver.cut_short == 1


def test_a_sender_that_gave_up_in_the_middle_begins_anew(maker: Maker) -> None:
    """Half of a large message is out when its deadline passes: the next one comes whole."""
    address = unix_stream.make(unix_stream.Options(), LARGE, LOCK, maker)
    wait = Wait(SHORT)
    receiver = unix_stream.attach(address, "receive", wait, WHAT)
    sender = unix_stream.attach(address, "send", wait, WHAT)
    with pytest.raises(WaitExpired, match=f"room in {WHAT}"):
        sender.send(body(1, LARGE))
    sender.send(b"the next")
    assert receiver.receive() == b"the next"
    assert receiver.cut_short == 1  # type: ignore[attr-defined]
    sender.close()
    receiver.close()


def test_without_framing_the_lectures_hellos_are_joined_and_torn(maker: Maker) -> None:
    """No receive gives what one send of "Hello", "Hello", "How about an answer?" gave."""
    address = unix_stream.make(unix_stream.Options(framing="none"), 20, LOCK, maker)
    receiver = unix_stream.attach(address, "receive", Wait(SHORT), WHAT)
    sender = unix_stream.attach(address, "send", Wait(SHORT), WHAT)
    said = [b"Hello", b"Hello", b"How about an answer?"]
    for one in said * 2:
        sender.send(one)
    heard = [receiver.receive() or b"" for _ in range(2)]
    assert b"".join(heard) == b"".join(said * 2)
    assert heard[0].startswith(b"HelloHelloHow about an answer?H")
    sender.close()
    receiver.close()


def test_a_full_line_keeps_the_deadline(maker: Maker) -> None:
    """Who finds no place to stand in says so by name, and connects once there is one."""
    path, bound = maker.socket("line", socket.SOCK_STREAM)
    bound.listen(0)
    bound.setblocking(False)
    address = {"path": path, "message_size": SIZE, "framing": "length"}
    address["fd"] = maker.inherit(bound.detach())
    first, second = (unix_stream.attach(address, "send", Wait(SHORT), WHAT) for _ in range(2))
    first.send(body(1))
    with pytest.raises(WaitExpired, match=f"a place in the line of {WHAT}"):
        second.send(body(2))
    receiver = unix_stream.attach(address, "receive", Wait(SHORT), WHAT)
    assert receiver.receive() == body(1)
    second.send(body(2))
    assert receiver.receive() == body(2)
    for end in (first, second, receiver):
        end.close()


def test_who_sends_to_a_dead_receiver_is_told(
    address: dict[str, Any], maker: Maker, open_end: Open, fork: Any, signpost: Any
) -> None:
    """EPIPE is an error by name, where nobody else listens; SIGPIPE kills nobody."""
    served = signpost()

    def work() -> None:
        receiver = unix_stream.attach(address, "receive", Wait(LONG), WHAT)
        receiver.receive()
        served.show("s")

    serving = fork(work)
    sender = open_end("send", Wait(LONG))
    sender.send(body(1))
    served.see("s")
    assert serving.ended() == 0
    maker.let_go()
    with pytest.raises(KernelObjectError, match=f"nobody receives from {WHAT} any more"):
        sender.send(body(2))


def test_a_sender_goes_over_to_who_listens(open_end: Open) -> None:
    """Its receiver closed the connection, half a message is out: the whole comes to another."""
    wait = Wait(LONG)
    first, sender = (
        open_end("receive", message_size=LARGE),
        open_end("send", wait, message_size=LARGE),
    )
    sender.send(body(1))
    assert first.receive() == body(1)

    def close(what: str) -> None:
        if what.startswith("room"):
            first.close()

    wait.publish = close
    other = open_end("receive", message_size=LARGE)
    hearing = threading.Thread(target=lambda: heard.append(other.receive()))
    heard: list[bytes | None] = []
    hearing.start()
    sender.send(body(2, LARGE))
    hearing.join()
    assert heard == [body(2, LARGE)]


def test_without_framing_what_was_begun_is_not_sent_again(open_end: Open) -> None:
    """Somebody may have received a part: the sender is told, though another listens."""
    wait = Wait(LONG)
    first = open_end("receive", framing="none", message_size=LARGE)
    sender = open_end("send", wait, framing="none", message_size=LARGE)
    sender.send(b"a word")
    assert first.receive() == b"a word"
    wait.publish = lambda what: first.close() if what.startswith("room") else None
    with pytest.raises(PeerLost):
        sender.send(body(1, LARGE))
    sender.send(b"another")
    other = open_end("receive", framing="none", message_size=LARGE)
    assert other.receive() == b"another"


def test_a_line_that_only_hangs_up_keeps_the_deadline(
    address: dict[str, Any], open_end: Open, fork: Any
) -> None:
    """Whoever is accepted and left each time gives up at the deadline, by name."""

    def hang_up() -> None:
        listener = sockets.inherited(address, WHAT)
        listener.setblocking(True)
        while True:
            listener.accept()[0].close()

    serving = fork(hang_up)
    with pytest.raises(WaitExpired, match=f"a receiver of {WHAT}"):
        open_end("send", message_size=LARGE).send(body(1, LARGE))
    serving.kill()
    serving.ended()


def test_who_leaves_without_a_word_does_not_end_the_draining(open_end: Open, call: Any) -> None:
    """Told to finish, a receiver looks at everybody who stands in line."""
    wait = Wait(SHORT)
    for _ in range(3):
        call().close()
    open_end("send").send(body(1))
    wait.finishing = True
    receiver = open_end("receive", wait)
    assert [receiver.receive(), receiver.receive()] == [body(1), None]


def test_who_stands_in_line_is_sent_away(address: dict[str, Any], open_end: Open) -> None:
    """Nobody has accepted it yet: set back, its message is gone, and it connects anew."""
    receiver, sender = open_end("receive"), open_end("send")
    sender.send(body(1))
    unix_stream.reset(address)
    sender.restart()
    with pytest.raises(WaitExpired):
        receiver.receive()
    sender.send(body(2))
    assert receiver.receive() == body(2)


def test_two_receivers_share_the_senders(open_end: Open) -> None:
    """Who accepts a connection gets all that comes on it."""
    receivers = [open_end("receive") for _ in range(2)]
    senders = [open_end("send") for _ in range(2)]
    for number in range(2):
        senders[number].send(body(number))
        assert receivers[number].receive() == body(number)
    for number in range(2):
        senders[number].send(body(2 + number))
    assert [receiver.receive() for receiver in receivers] == [body(2), body(3)]


def test_no_descriptor_left_is_an_error_of_the_machine(
    address: dict[str, Any], open_end: Open, fork: Any
) -> None:
    """EMFILE at accept(2) names the limit, where a loop would spin."""
    open_end("send").send(body(1))

    def work() -> None:
        receiver = unix_stream.attach(address, "receive", Wait(SHORT), WHAT)
        free = os.dup(0)
        os.close(free)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, free))
        with pytest.raises(MachineError, match="no descriptor is left"):
            receiver.receive()

    assert fork(work).ended() == 0


def test_what_is_no_socket_of_the_channel_is_refused(
    address: dict[str, Any], tmp_path: Path
) -> None:
    """A file in its place, a path that is gone, and a descriptor that is something else by now."""
    planted = tmp_path / "planted"
    planted.touch()
    for mode in ("send", "receive"):
        with pytest.raises(KernelObjectError, match="is not a socket"):
            unix_stream.attach(address | {"path": str(planted)}, mode, Wait(SHORT), WHAT)
        with pytest.raises(ObjectVanished, match="was removed"):
            unix_stream.attach(address | {"path": f"{planted}-2"}, mode, Wait(SHORT), WHAT)
    other = socket.socket()
    for fd in (other.fileno(), 1 << 19):
        with pytest.raises(ObjectVanished, match=WHAT):
            unix_stream.attach(address | {"fd": fd}, "receive", Wait(SHORT), WHAT)
    other.close()


def test_only_a_receiver_is_handed_the_socket(address: dict[str, Any]) -> None:
    """A sender needs the path alone, and nobody sends where it opened to receive."""
    assert unix_stream.descriptors(address, "receive") == [address["fd"]]
    assert unix_stream.descriptors(address, "send") == []
    receiver = unix_stream.attach(address, "receive", Wait(SHORT), WHAT)
    sender = unix_stream.attach(address, "send", Wait(SHORT), WHAT)
    with pytest.raises(KernelObjectError, match="opened to receive"):
        receiver.send(body(1))
    with pytest.raises(KernelObjectError, match="opened to send"):
        sender.receive()
    receiver.close()
    sender.close()


def test_four_bytes_count_so_far() -> None:
    """The length in front of a message draws the line; without it there is none."""
    framed, bare = unix_stream.Options(), unix_stream.Options(framing="none")
    assert unix_stream.check(framed, (1 << 32) - 1) == ""
    assert str(1 << 32) in unix_stream.check(framed, 1 << 32)
    assert unix_stream.check(bare, 1 << 32) == ""


def test_ready_says_what_a_receive_would_find(open_end: Open) -> None:
    """A caller in line has sent something; a connection at its end has nothing."""
    receiver = open_end("receive")
    ready = receiver.receiving.ready
    assert not ready()
    sender = open_end("send")
    assert not ready()
    sender.send(body(1))
    assert ready()
    sender.send(body(2))
    assert receiver.receive() == body(1)
    assert ready()
    assert receiver.receive() == body(2)
    sender.close()
    assert not ready()


def test_the_token_is_no_part_of_a_unix_address(address: dict[str, Any]) -> None:
    """Its directory keeps strangers out: nobody else may search it."""
    assert "token" not in address
    assert os.stat(os.path.dirname(address["path"])).st_mode & 0o777 == 0o700  # noqa: PTH116, PTH120
    assert sockets.TOKEN_BYTES == 16
