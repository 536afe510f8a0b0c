"""The lecture's programs work with one another; where its own would hang or crash, these end."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sysv_ipc

from common import names
from common.kernel import existing
from tests.compiled import needs_compiler

pytestmark = needs_compiler

LETTERS = "abcdefghijklmnopqrstuvwxyz\n"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(programs: Path, tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a program, which is ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def begin(program: str, *words: str, **environment: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [str(programs / program), *words], cwd=tmp_path, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env={"PATH": os.environ["PATH"], "LAB_WAIT": "30", **environment},
            )
        )  # fmt: skip
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], lines: str = "") -> tuple[int, str, str]:
    """Give a process its input; returns how it ended, and what it said."""
    out, err = process.communicate(lines, timeout=60)
    return process.returncode, out, err


@pytest.fixture
def key(kernel_clean: None) -> Iterator[str]:
    """Return a key of this test's own; whatever is left under it is removed."""
    drawn = names.new_key()
    yield f"{drawn:#x}"
    for table, remove in (("shm", "-m"), ("msg", "-q")):
        for row in existing.listed(table):
            if row["key"] == drawn:
                number = row["shmid" if table == "shm" else "msqid"]
                subprocess.run(["ipcrm", remove, str(number)], check=True)


def test_one_makes_the_table_and_another_trades(start: Start, key: str) -> None:
    """The balance follows from the lecture's rates, and the table is there for the next one."""
    assert said(start("exchange1", key)) == (0, "", "")
    lines = "buy EURO 10\nsell POUND 100\n"
    assert said(start("exchange2", key), lines) == (0, "balance 960.56\nbalance 1284.56\n", "")
    assert said(start("exchange2", key), "buy POUND 400\n")[1] == "refused\nbalance 1000\n"
    assert said(start("exchange1", "-r", key)) == (0, "", "")


def test_the_key_may_come_from_the_lab(start: Start, key: str) -> None:
    """Without an argument LAB_TABLE_KEY says where the table is."""
    assert said(start("exchange1", LAB_TABLE_KEY=key))[0] == 0
    assert said(start("exchange2", LAB_TABLE_KEY=key), "buy EURO 1\n")[1] == "balance 996.056\n"


def test_a_live_table_is_not_filled_again(start: Start, key: str) -> None:
    """Run again, the maker refuses, and what was traded stays."""
    said(start("exchange1", key))
    said(start("exchange2", key), "sell POUND 4000\n")
    status, _out, err = said(start("exchange1", key))
    assert status == 1
    assert "there is a table already" in err
    assert said(start("exchange2", key), "sell POUND 2000\n")[1].startswith("refused")


def test_a_table_that_is_not_there(start: Start, key: str) -> None:
    """The trader says so and ends, where the lecture's runs into a bad address."""
    assert said(start("exchange2", key), "buy EURO 1\n") == (
        1, "", "shmget: No such file or directory\n",
    )  # fmt: skip


@pytest.mark.parametrize("line", ["buy EURO nan", "buy EURO -5", "sell LIRA 5", "hello", "buy"])
def test_what_is_no_order_changes_nothing(line: str, start: Start, key: str) -> None:
    """It is named on standard error, the balance stays, and the status is 1."""
    said(start("exchange1", key))
    status, out, err = said(start("exchange2", key), f"{line}\n")
    assert (status, out) == (1, "balance 1000\n")
    assert "is not an order" in err


def test_a_mapped_file_is_made_once(start: Start, tmp_path: Path) -> None:
    """Four that come at once make one whole file; what each trades stays in it."""
    four = [start("exchange_mmap") for _ in range(4)]
    for trader in four:
        assert said(trader, "")[0] == 0
    assert (tmp_path / "exchange.dat").stat().st_size == 96
    assert said(start("exchange_mmap"), "sell POUND 4000\n")[0] == 0
    assert said(start("exchange_mmap"), "sell POUND 2000\n")[1].startswith("refused")
    assert [path.name for path in tmp_path.iterdir()] == ["exchange.dat"]


def test_a_file_that_is_too_short(start: Start, tmp_path: Path) -> None:
    """It is refused, where the lecture's program would die of a SIGBUS."""
    (tmp_path / "exchange.dat").write_bytes(b"")
    status, _out, err = said(start("exchange_mmap"), "buy EURO 1\n")
    assert status == 1
    assert "too short" in err


@pytest.mark.parametrize("first", ["letters_server", "letters_client"])
def test_letters(first: str, start: Start, key: str) -> None:
    """Whoever comes first waits; all 26 letters are printed, and the segment is gone."""
    second = ({"letters_server", "letters_client"} - {first}).pop()
    pair = {program: start(program, key) for program in (first, second)}
    assert said(pair["letters_client"]) == (0, LETTERS, "")
    assert said(pair["letters_server"]) == (0, "", "")
    assert int(key, 16) not in [row["key"] for row in existing.listed("shm")]


def test_letters_that_are_not_there_yet(start: Start, key: str) -> None:
    """On a fresh segment the client waits, where the lecture's runs off the end of it."""
    segment = sysv_ipc.SharedMemory(int(key, 16), sysv_ipc.IPC_CREX, mode=0o600, size=27)
    try:
        client = start("letters_client", key)
        while segment.number_attached < 2 and client.poll() is None:
            os.sched_yield()
        segment.write(LETTERS.strip().encode())
        assert said(client) == (0, LETTERS, "")
        assert segment.read(1) == b"*"
    finally:
        segment.detach()
        segment.remove()


@pytest.mark.parametrize("first", ["message_send", "message_receive"])
def test_messages(first: str, start: Start, key: str) -> None:
    """The message comes through the queue, whoever was there first."""
    second = ({"message_send", "message_receive"} - {first}).pop()
    words = {"message_send": [key], "message_receive": ["-r", key]}
    pair = {program: start(program, *words[program]) for program in (first, second)}
    assert said(pair["message_receive"]) == (0, "Did you get this?\n", "")
    assert said(pair["message_send"]) == (0, 'Message: "Did you get this?" Sent\n', "")


@pytest.mark.parametrize("first", ["fifo_read", "fifo_write"])
def test_fifo(first: str, start: Start, tmp_path: Path) -> None:
    """The string comes through the FIFO, and its name is gone afterwards."""
    second = ({"fifo_read", "fifo_write"} - {first}).pop()
    path = str(tmp_path / "fifo")
    pair = {program: start(program, path) for program in (first, second)}
    assert said(pair["fifo_read"]) == (0, "Parent receive: 123456789\n", "")
    assert said(pair["fifo_write"]) == (0, "Child send: 123456789\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("first", ["socket_server", "socket_client"])
def test_socket(first: str, start: Start, tmp_path: Path) -> None:
    """Each prints the other's line; the socket's name is gone afterwards."""
    second = ({"socket_server", "socket_client"} - {first}).pop()
    pair = {program: start(program) for program in (first, second)}
    client, server = said(pair["socket_client"]), said(pair["socket_server"])
    assert client == (0, "This is the string from the server.\n", "")
    assert server == (0, "This is the first string from the client.\n", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "program",
    ["letters_server", "letters_client", "message_receive", "fifo_read", "fifo_write",
     "socket_server", "socket_client"],
)  # fmt: skip
def test_nobody_comes(program: str, start: Start, key: str, tmp_path: Path) -> None:
    """Where the lecture's program waits for ever, this one gives up, with status 1."""
    where = key if program.startswith(("letters", "message")) else str(tmp_path / "meeting")
    status, out, err = said(start(program, where, LAB_WAIT="1"))
    assert (status, out) == (1, "")
    assert err == "nobody came: giving up\n"


def test_what_is_in_the_way_is_not_removed(start: Start, tmp_path: Path) -> None:
    """The lecture unlinks whatever has the name; a file of somebody's stays."""
    mine = tmp_path / "mysocket"
    mine.write_text("mine")
    for program in ("socket_server", "fifo_read", "fifo_write"):
        assert said(start(program, str(mine)))[0] == 1
    assert mine.read_text() == "mine"
