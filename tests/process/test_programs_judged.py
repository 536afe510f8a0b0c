"""What a run of programs without a history means: the balance sheet, and what nobody saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from common import names
from tests.process.programs import MEET, finding, launched, program, run, teller

PAIR = """
system: exchange
table: {{store: {store}, lock: {lock}}}
processes:
  - {{role: teller, count: {count}, lines: [buy EURO 10], command: ./teller}}
"""


def test_two_that_met_leave_a_sheet_that_is_wrong_to_the_unit(tmp_path: Path) -> None:
    """Both read before either writes: one update is gone, the amount is known, the culprit not."""
    teller(tmp_path, MEET)
    document = run(tmp_path, PAIR.format(store="sysv_shm", lock="none", count=2))
    assert document["verdict"] == "anomaly"
    lost = finding(document, "lost_update")
    assert lost["total"] == 10
    assert "10,020" in lost["explanation"]
    assert "Nobody can be named" in lost["explanation"]
    assert document["measures"]["missing"]["EURO"] == 10


def test_one_program_alone_is_valid_by_its_sheet(tmp_path: Path) -> None:
    """Its lines are in the stock to the last unit; that this is all that is known is said."""
    teller(tmp_path)
    document = run(tmp_path, PAIR.format(store="sysv_shm", lock="none", count=1))
    assert document["verdict"] == "valid"
    assert document["final"]["EURO"]["stock"] == 10010
    assert any("balance sheet alone" in remark for remark in document["remarks"])


@pytest.mark.parametrize(("lock", "verdict"), [("none", "undecided"), ("sysv_sem", "valid")])
def test_a_right_sheet_proves_nothing_where_nothing_guards(
    tmp_path: Path, lock: str, verdict: str
) -> None:
    """Two programs on rows of their own: without a lock nobody saw whether they met."""
    teller(tmp_path)
    document = run(
        tmp_path,
        f"""
system: exchange
table: {{store: sysv_shm, lock: {lock}}}
processes:
  - {{role: teller, lines: [buy EURO 10], command: ./teller}}
  - {{role: teller, name: other, lines: [sell POUND 10], command: ./teller}}
""",
    )
    assert document["verdict"] == verdict
    assert document["findings"] == []


def test_our_records_and_their_lines_add_up_together(tmp_path: Path) -> None:
    """On one row with a lock everywhere the sheet is exact: our fractions and their whole ones."""
    program(
        tmp_path,
        "locked",
        """
import os, sys, sysv_ipc
table = sysv_ipc.SharedMemory(int(os.environ["LAB_TABLE_KEY"], 16))
lock = sysv_ipc.Semaphore(int(os.environ["LAB_LOCK_0_KEY"], 16))
lock.undo = os.environ["LAB_LOCK_0_UNDO"] == "1"
cells = memoryview(table).cast("d")
for line in sys.stdin:
    with lock:
        cells[5] += float(line.split()[2])
""",
    )
    document = run(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm, lock: sysv_sem}
delays: {write: {yields: 2}}
processes:
  - {role: teller, lines: [buy EURO 1, buy EURO 2, buy EURO 3], command: ./locked}
  - {role: trader, count: 2, operations: 100, currencies: [EURO]}
""",
    )
    assert document["findings"] == []
    assert document["verdict"] == "valid"
    assert document["measures"]["missing"]["EURO"] == 0


def test_what_no_trade_makes_is_named_with_its_row(tmp_path: Path) -> None:
    """A stock that is no number is an anomaly, whatever the sheet would say."""
    program(
        tmp_path,
        "teller",
        "import os, sysv_ipc\n"
        "m = sysv_ipc.SharedMemory(int(os.environ['LAB_TABLE_KEY'], 16))\n"
        "memoryview(m).cast('d')[8] = float('nan')\n",
    )
    document = run(tmp_path, PAIR.format(store="sysv_shm", lock="none", count=1))
    assert document["verdict"] == "anomaly"
    assert "STERLIN: the stock is nan" in str(finding(document, "lost_update"))
    # In JSON a number that is none is a word.
    assert document["final"]["STERLIN"]["stock"] == "nan"


def test_rates_that_nobody_changes_here_are_named(tmp_path: Path) -> None:
    """Who wrote over a whole row is known by its rates: a row that nobody ever wrote."""
    program(
        tmp_path,
        "teller",
        "import os, sysv_ipc\n"
        "m = sysv_ipc.SharedMemory(int(os.environ['LAB_TABLE_KEY'], 16))\n"
        "c = memoryview(m).cast('d')\nc[9] = 7.0\nc[5] += 10\n",
    )
    document = run(tmp_path, PAIR.format(store="sysv_shm", lock="none", count=1))
    assert [each["kind"] for each in document["findings"]] == ["torn_read"]
    assert "sell 7 and buy 3.25 of POUND" in finding(document, "torn_read")["explanation"]


def test_a_table_filled_anew_during_the_trading_is_named(tmp_path: Path) -> None:
    """The lecture's first program, started while others trade: a record shows the jump back."""
    program(
        tmp_path,
        "teller",
        """
import os, sys, time, sysv_ipc
cells = memoryview(sysv_ipc.SharedMemory(int(os.environ["LAB_TABLE_KEY"], 16))).cast("d")
end = time.monotonic() + 60
while cells[5] == 10000.0:
    assert time.monotonic() < end
    time.sleep(0.0005)
cells[5] = 10000.0
open(os.environ["LAB_RUN"] + "/anew", "w").close()
""",
    )
    document = run(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm, lock: sysv_sem}
processes:
  - {role: teller, name: theirs, lines: [buy DOLLAR 1], command: ./teller}
  - role: trader
    count: 2
    operations: 400
    currencies: [EURO]
    delays: {acquire: {sleep_us: 500}}
""",
    )
    told = str(finding(document, "lost_update"))
    assert "somebody put the row back to its beginning" in told
    assert "EURO" in told


@pytest.mark.parametrize(("said", "doubted"), [("962.80", False), ("960.56", True), ("963", False)])
def test_a_balance_that_was_printed_is_compared_as_it_was_printed(
    tmp_path: Path, said: str, doubted: bool
) -> None:
    """1000 - 10 * 3.72: two decimals must be right to two, none to none."""
    program(
        tmp_path,
        "teller",
        "import os, sysv_ipc\n"
        "m = sysv_ipc.SharedMemory(int(os.environ['LAB_TABLE_KEY'], 16))\n"
        "memoryview(m).cast('d')[2] += 10\n"
        f"print('balance 1')\nprint('my balance {said}')\nprint('bye')\n",
    )
    text = PAIR.format(store="sysv_shm", lock="none", count=1).replace("EURO", "DOLLAR")
    document = run(tmp_path, text)
    assert document["verdict"] == ("undecided" if doubted else "valid")
    assert any("printed a balance" in doubt for doubt in document["doubts"]) is doubted


def test_who_did_not_end_well_is_not_charged_with_its_lines(tmp_path: Path) -> None:
    """How much of them was done cannot be told: a crash, and no lost update."""
    program(tmp_path, "teller", "raise SystemExit(3)")
    document = run(tmp_path, PAIR.format(store="sysv_shm", lock="none", count=1))
    assert [each["kind"] for each in document["findings"]] == ["process_crashed"]
    assert any("cannot be told" in doubt for doubt in document["doubts"])


def test_a_role_without_lines_leaves_a_doubt(tmp_path: Path) -> None:
    """What a plain trader did is in no line: its run is never valid."""
    program(tmp_path, "trader", "pass")
    document = run(
        tmp_path,
        """
system: exchange
table: {store: sysv_shm}
processes: [{role: trader, command: ./trader}]
""",
    )
    assert document["verdict"] == "undecided"
    assert any("cannot be seen" in doubt for doubt in document["doubts"])


MAKER = """
import os, sys, sysv_ipc
table = sysv_ipc.SharedMemory(
    int(os.environ["LAB_TABLE_KEY"], 16), sysv_ipc.IPC_CREX, size=96, mode=0o600,
    init_character=b"\\0")
cells = memoryview(table).cast("d")
for at, value in enumerate([3.73, 3.72, 10000, 3.932, 3.944, 10000, 4.551, 4.552, 10000,
                            3.24, 3.25, 5000]):
    cells[at] = value
for line in sys.stdin:
    cells[5] += float(line.split()[2])
"""
THEIRS_MAKES = """
system: exchange
table: {{store: {{kind: sysv_shm, key: {key}, made_by: office}}, lock: sysv_sem}}
deadlines: {{start: {start}}}
processes:
  - {{role: teller, name: office, lines: [buy EURO 10], command: ./office}}
  - {{role: trader, count: 2, operations: 40, currencies: [DOLLAR]}}
delays: {{write: {{yields: 5}}}}
"""


def test_ours_trades_on_a_table_that_theirs_made(tmp_path: Path) -> None:
    """The launcher waits until it is filled; its maker's lines come when the gate opens."""
    program(tmp_path, "office", MAKER)
    key = hex(names.new_key())
    document = run(tmp_path, THEIRS_MAKES.format(key=key, start=60))
    assert document["verdict"] == "valid", document["doubts"]
    assert document["final"]["EURO"]["stock"] == 10010
    assert any("office left its sysv_shm" in remark for remark in document["remarks"])
    assert document["measures"]["operations"] == 80


def test_a_maker_that_ends_before_it_has_made_its_object_is_named(tmp_path: Path) -> None:
    """Nobody waits for what will never come."""
    program(tmp_path, "office", "raise SystemExit(5)")
    done = launched(tmp_path, THEIRS_MAKES.format(key=hex(names.new_key()), start=60))
    assert done.status == 4
    assert "office-0 ended before it made sysv_shm" in done.err
    assert "status 5" in done.err


def test_a_maker_that_makes_nothing_is_waited_for_until_the_deadline(tmp_path: Path) -> None:
    """The sentence says what was waited for, and who was to make it."""
    program(tmp_path, "office", "import time; time.sleep(600)")
    done = launched(tmp_path, THEIRS_MAKES.format(key=hex(names.new_key()), start=1))
    assert done.status == 4
    assert "waited 1 s for sysv_shm" in done.err
    assert "which office is to make" in done.err
