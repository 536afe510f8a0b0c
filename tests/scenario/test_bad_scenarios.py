"""Bad scenarios: each mistake is told once, at its line and column, with its reason and mend."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from common.errors import ScenarioError
from common.scenario import nodes
from common.scenario.load import load
from common.scenario.source import LARGEST
from tests.scenario.conftest import Systems

# Three good lines; what is wrong stands in line 4.
HEAD = "system: lab\ntable: {store: sysv_shm}\nprocesses: [{role: keeper}]\n"
# Two good lines that need a channel called c; what is wrong stands in line 3.
PIPE = "system: lab\nprocesses: [{role: writer, to: c}, {role: reader, source: c}]\n"

Content = str | bytes | Callable[[Path], Path]


class Bad(NamedTuple):
    """A bad scenario: what it holds, where it is wrong, and words of the reason and the hint."""

    id: str
    content: Content
    line: int
    column: int
    reason: str
    hint: str = ""


def keeper(options: str) -> str:
    """Return a scenario with one keeper, whose options are in line 4 from column 20 on."""
    return f"system: lab\ntable: {{store: sysv_shm}}\nprocesses:\n  - {{role: keeper, {options}}}\n"


def table(line: str) -> str:
    """Return a scenario whose line 2 is ``line``."""
    return f"system: lab\n{line}\nprocesses: [{{role: keeper}}]\n"


def fifo(path: Path) -> Path:
    os.mkfifo(path)
    return path


def loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


def misspelt(path: Path) -> Path:
    path.with_name("lost_update.yaml").touch()
    return path.with_name("lost_updaet.yaml")


NOT_YAML = [
    Bad("unclosed quote", "about: 'x\nseed: 1\n", 1, 8, "this quote or bracket is not closed"),
    Bad("unclosed bracket", "a: [1, 2\nb: 3\n", 1, 4, "this quote or bracket is not closed"),
    Bad("unclosed brace", "system: lab\na: {b: 1\n", 2, 4, "this quote or bracket is not closed"),
    Bad("tab", "delays:\n\twrite: 1\n", 2, 1, "a tab in the indentation", "indent with spaces"),
    Bad("two colons", "a: b: c\n", 1, 5, "a ':' that makes no sense", "quote the text"),
    Bad("odd indentation", "a: 1\n b: 2\n", 2, 3, "a ':' that makes no sense", "indentation"),
    Bad("no colon", HEAD + "seed 1\n", 4, 1, "a key without ': '", "with the space"),
    Bad("reserved character", "a: @x\n", 1, 4, "cannot begin with this", "quote the value"),
    Bad("unknown escape", HEAD + 'about: "\\q"\n', 4, 8, "unknown escape", "write \\\\"),
    Bad("two documents", HEAD + "---\nsystem: lab\n", 4, 1, "a second document", "one scenario"),
    Bad("YAML 2.0", "%YAML 2.0\n---\na: 1\n", 1, 1, "another version", "%YAML line"),
    Bad("deep nesting", "a: " + "[" * 500 + "]" * 500, 1, 35, "nested deeper than 32 levels"),
    Bad("too many values", "- 1\n" * 10_001, 10_000, 3, "more than 10000 values"),
]

NOT_A_FILE_OF_TEXT = [
    Bad("NUL", "a: b\nc: \0\n", 2, 4, "U+0000 is not allowed", "remove it"),
    Bad("control character", "a: b\nc: d\x07\n", 2, 5, "U+0007 is not allowed"),
    Bad("direction of writing", "about: a\u202eb\n", 1, 9, "U+202E is not allowed"),
    Bad("Latin-1", "a: 1\nabout: é\n".encode("latin-1"), 2, 8, "0xE9 is not UTF-8", "as UTF-8"),
    Bad("UTF-16", HEAD.encode("utf-16"), 1, 1, "UTF-16, not UTF-8", "save it as UTF-8"),
    Bad("UTF-16 without mark", HEAD.encode("utf-16-le"), 1, 1, "UTF-16", "save it as UTF-8"),
    Bad("too large", "#" * (LARGEST + 1), 1, 1, "larger than 256 KiB", "a short text"),
    Bad("directory", lambda path: path.parent, 1, 1, "not a regular file", "name a YAML file"),
    Bad("FIFO", fifo, 1, 1, "not a regular file", "name a YAML file"),
    Bad("endless device", lambda path: Path("/dev/zero"), 1, 1, "not a regular file"),
    Bad("symlink loop", loop, 1, 1, "Too many levels of symbolic links"),
    Bad("absent", lambda path: path, 1, 1, "No such file or directory"),
    Bad("misspelt file", misspelt, 1, 1, "No such file", "lost_update.yaml?"),
    Bad("NUL in the name", lambda path: Path("a\0b"), 1, 1, "null byte"),
]

NOT_A_SCENARIO = [
    Bad("empty", "", 1, 1, "holds no scenario", "system: exchange"),
    Bad("comment only", "# a comment\n", 1, 1, "holds no scenario", "system: exchange"),
    Bad("empty document", "---\n", 1, 1, "holds no scenario"),
    Bad("scalar", "\nsystem:lab\n", 2, 1, "a mapping, not 'system:lab'"),
    Bad("list", "- system: lab\n", 1, 1, "a mapping, not a list"),
    Bad("no system", HEAD.partition("\n")[2], 1, 1, "a scenario needs 'system'"),
    Bad("no processes", "system: lab\n", 1, 1, "a scenario needs 'processes'"),
    Bad("empty processes", "system: lab\nprocesses: []\n", 2, 12, "too short", "at least 1"),
    Bad("process is a word", "system: lab\nprocesses: [keeper]\n", 2, 13, "a mapping is wanted"),
]

REFUSED = [
    Bad("anchor", HEAD + "seed: &x 3\n", 4, 7, "the anchor &x is refused"),
    Bad("alias", HEAD + "seed: *x\n", 4, 7, "the alias *x is refused", "write the value again"),
    Bad("merge key", HEAD + "<<: {seed: 1}\n", 4, 1, "the merge key << is refused"),
    Bad("python tag", HEAD + "about: !!python/object:os.system x\n", 4, 8, "the tag '!!python"),
    Bad("unknown tag", HEAD + "seed: !odd 3\n", 4, 7, "the tag '!odd' is refused"),
    Bad("known tag", HEAD + "seed: !!int 3\n", 4, 7, "the tag '!!int' is refused"),
    Bad("escaped NUL", HEAD + 'about: "\\0"\n', 4, 8, "U+0000 is refused"),
    Bad("duplicate key", HEAD + "system: bare\n", 4, 1, "here twice", "line 1, column 1"),
    Bad("inner duplicate", keeper("turns: 1, turns: 2"), 4, 30, "'turns' is here twice",
        "line 4, column 20"),
    Bad("list as key", HEAD + "? [a]\n: 1\n", 4, 3, "a key must be a word, not a list"),
    Bad("number as key", HEAD + "1: 2\n", 4, 1, "the key 1 is read as a number", "words"),
    Bad("null as key", HEAD + "null: 2\n", 4, 1, "is read as nothing", "keys are words"),
    Bad("boolean as key", HEAD + "on: 2\n", 4, 1, "is read as a boolean", "keys are words"),
]  # fmt: skip

WRONG_VALUES = [
    Bad("exponent", HEAD + "seed: 1e3\n", 4, 7, "not 1e3", "write 1000"),
    Bad("octal", HEAD + "seed: 010\n", 4, 7, "not 010", "reads it in base 8; write 8"),
    Bad("new octal", HEAD + "seed: 0o10\n", 4, 7, "not 0o10", "write 8"),
    Bad("base 60", HEAD + "seed: 1:30\n", 4, 7, "not 1:30", "base 60, as 90"),
    Bad("underscore", HEAD + "seed: 1_000\n", 4, 7, "not 1_000", "write 1000"),
    Bad("boolean for a number", HEAD + "seed: on\n", 4, 7, "on is a boolean"),
    Bad("true for a number", keeper("count: true"), 4, 27, "true is a boolean"),
    Bad("quoted number", keeper('turns: "3"'), 4, 27, "is a text", "write 3, without quotes"),
    Bad("fraction", keeper("turns: 2.5"), 4, 27, "a whole number is wanted, not 2.5"),
    Bad("word for a number", keeper("turns: many"), 4, 27, "a whole number is wanted"),
    Bad("5000 digits", HEAD + f"seed: {'9' * 5000}\n", 4, 7, "5000 digits is too large"),
    Bad("no value", HEAD + "seed:\n", 4, 1, "has no value", "write a whole number"),
    Bad("negative", HEAD + "seed: -1\n", 4, 7, "-1 is too small", "the least is 0"),
    Bad("list for a number", HEAD + "seed: [1]\n", 4, 7, "one value is wanted, not a list"),
    Bad("nan", keeper("share: .nan"), 4, 27, "not .nan", "only finite numbers"),
    Bad("inf", HEAD + "deadlines: {run: .inf}\n", 4, 18, "not .inf", "only finite numbers"),
    Bad("overflow", keeper("share: 1.0e+999"), 4, 27, "'1.0e+999' is too large"),
    Bad("too large", keeper("share: 1.5"), 4, 27, "1.5 is too large", "the most is 1"),
    Bad("yes for true", keeper("loud: yes"), 4, 26, "not true or false", "write true"),
    Bad("true in quotes", keeper('loud: "yes"'), 4, 26, "not true or false", "write true, without"),
    Bad("y for true", keeper("loud: y"), 4, 26, "not true or false", "write true"),
    Bad("off for false", keeper("loud: off"), 4, 26, "not true or false", "write false"),
    Bad("1 for true", keeper("loud: 1"), 4, 26, "true or false is wanted, not '1'"),
    Bad("no for a text", keeper("note: no"), 4, 26, "is read as a boolean", 'quote it: "no"'),
    Bad("time for a text", keeper("note: 12:30"), 4, 26, "base 60", 'quote it: "12:30"'),
    Bad("version for a text", HEAD + "about: 1.10\n", 4, 8, "is read as a number", "quote it"),
    Bad("date for a text", HEAD + "about: 2026-01-02\n", 4, 8, "is read as a date", "quote it"),
    Bad("null for a text", keeper("note: ~"), 4, 26, "has no value"),
    Bad("not a choice", keeper("mood: clam"), 4, 26, "no choice 'clam'", "did you mean 'calm'?"),
    Bad("word for a list", keeper("rows: A"), 4, 26, "a list is wanted, not 'A'"),
    Bad("list too long", keeper("rows: [A, B, A]"), 4, 26, "too long", "at most 2"),
    Bad("name with a slash", keeper("name: ../etc"), 4, 26, "is not allowed", "1 to 24 letters"),
    Bad("role's own check", keeper("note: wrong"), 4, 26, "this note is wrong"),
]

WRONG_WORDS = [
    Bad("unknown system", HEAD.replace("lab", "labb"), 1, 9, "no system 'labb'", "'lab'?"),
    Bad("unknown key", HEAD + "abuot: x\n", 4, 1, "has no 'abuot'", "did you mean 'about'?"),
    Bad("key after a byte order mark", "\ufeffabuot: x\n" + HEAD, 1, 1, "has no 'abuot'"),
    Bad("key in a file with CRLF", (HEAD + "abuot: x\n").replace("\n", "\r\n"), 4, 1, "'abuot'"),
    Bad("unknown option", keeper("tunrs: 3"), 4, 20, "has no 'tunrs'", "did you mean 'turns'?"),
    Bad("unknown role", "system: lab\nprocesses: [{role: reeder}]\n", 2, 20, "no role 'reeder'",
        "did you mean 'reader'?"),
    Bad("no role", "system: lab\nprocesses: [{count: 2}]\n", 2, 13, "the role is missing"),
    Bad("unknown spawn", HEAD + "spawn: forc\n", 4, 8, "'forc'", "did you mean 'fork'?"),
    Bad("unknown verdict", HEAD + "expect: valud\n", 4, 9, "no verdict 'valud'", "'valid'?"),
    Bad("no verdict", HEAD + "expect: {findings: [leak]}\n", 4, 9, "needs 'verdict'"),
    Bad("unknown finding", HEAD + "expect: {verdict: anomaly, any: [lost_updat]}\n", 4, 34,
        "no finding 'lost_updat'", "did you mean 'lost_update'?"),
    Bad("valid with findings", HEAD + "expect: {verdict: valid, findings: [leak]}\n", 4, 36,
        "a valid run has no findings"),
    Bad("unknown deadline", HEAD + "deadlines: {strat: 3}\n", 4, 13, "'strat'", "'start'?"),
    Bad("unknown store", table("table: {store: sysv_shmm}"), 2, 16, "no store 'sysv_shmm'",
        "did you mean 'sysv_shm'?"),
    Bad("no store", table("table: {lock: none}"), 2, 8, "the table needs 'store'"),
    Bad("unknown lock", table("table: {store: sysv_shm, lock: sysv_sme}"), 2, 32,
        "no lock 'sysv_sme'", "did you mean 'sysv_sem'?"),
    Bad("lock without kind", table("table: {store: sysv_shm, lock: {undo: true}}"), 2, 32,
        "the kind is missing", "sysv_sem"),
    Bad("option of another lock", table("table: {store: sysv_shm, lock: {kind: none, undo: true}}"),
        2, 45, "lock 'none' has no 'undo'"),
    Bad("unknown channel kind", PIPE + "channels: {c: fifoo}\n", 3, 15, "'fifoo'", "'fifo'?"),
    Bad("unknown row", table("table: {store: sysv_shm, rows: {C: {x: 1}}}"), 2, 33,
        "the table has no 'C'", "A, B"),
    Bad("unknown field", table("table: {store: sysv_shm, rows: {A: {xx: 1}}}"), 2, 37,
        "a row has no 'xx'", "did you mean 'x'?"),
    Bad("negative row", table("table: {store: sysv_shm, rows: {A: {x: -1}}}"), 2, 40,
        "-1 is too small"),
    Bad("lock of the paper", HEAD + "paper: {lock: robst}\n", 4, 15, "no lock 'robst'"),
    Bad("key 0", table("table: {store: {kind: sysv_shm, key: 0}}"), 2, 38, "0 is too small"),
    Bad("key -1", table("table: {store: {kind: sysv_shm, key: -1}}"), 2, 38, "-1 is too small"),
    Bad("key of 33 bits", table("table: {store: {kind: sysv_shm, key: 0x100000000}}"), 2, 38,
        "0x100000000 is too large", "the most is 2147483647"),
    Bad("file elsewhere", table("table: {store: {kind: mmap_file, path: ../../etc/passwd}}"),
        2, 40, "leads out of the directory", "no .. in it"),
    Bad("absolute file", table("table: {store: {kind: mmap_file, path: /etc/passwd}}"), 2, 40,
        "leads out of the directory", "does not begin with /"),
    Bad("delay of no keys", HEAD + "delays: {write: {}}\n", 4, 17, "a delay is empty", "sleep_us"),
    Bad("unknown delay", HEAD + "delays: {write: {sleep: 1}}\n", 4, 18, "'sleep'", "'sleep_us'?"),
]  # fmt: skip

DOES_NOT_FIT = [
    Bad("no process", keeper("count: 0"), 4, 27, "0 is too small", "the least is 1"),
    Bad("too many processes", keeper("count: 10001"), 4, 27, "10001 is too large", "10000"),
    Bad("two groups of one name", "system: lab\ntable: {store: sysv_shm}\nprocesses:\n"
        "  - {role: keeper}\n  - {role: keeper}\n", 5, 12, "two groups are called 'keeper'"),
    Bad("process name too long", keeper("name: abcdefghijklmnopqrstuvw, count: 11"), 4, 26,
        "a name of 26 characters", "at most 24"),
    Bad("no table for a role", "system: lab\nprocesses: [{role: keeper}]\n", 2, 20,
        "the role keeper needs a table", "add table"),
    Bad("table of no system", "system: bare\ntable: {store: sysv_shm}\n"
        "channels: {c: fifo}\n" + PIPE.partition("\n")[2], 2, 1, "bare has no table"),
    Bad("no such channel", PIPE.replace("source: c", "source: d") + "channels: {c: fifo, dd: fifo}",
        2, 59, "there is no channel 'd'", "did you mean 'dd'?"),
    Bad("unused channel", PIPE + "channels: {c: fifo, d: fifo}\n", 3, 21, "no process uses"),
    Bad("nobody receives", "system: lab\nprocesses: [{role: writer, to: c}]\nchannels: {c: fifo}\n",
        3, 12, "nobody receives from this channel"),
    Bad("nobody sends", "system: lab\nprocesses: [{role: reader, source: c}]\n"
        "channels: {c: fifo}\n", 3, 12, "nobody sends to this channel"),
    Bad("option not given", "system: lab\nchannels: {c: fifo}\nprocesses:\n"
        "  - {role: writer}\n  - {role: reader, source: c}\n", 4, 5, "'writer' needs 'to'"),
    Bad("channel of no name", PIPE.replace("to: c", 'to: ""') + "channels: {c: fifo}\n", 2, 32,
        "names no channel", "c"),
    Bad("per no group", PIPE + "channels: {c: {kind: fifo, per: raeder}}\n", 3, 33,
        "there is no group 'raeder'", "did you mean 'reader'?"),
    Bad("per another group", PIPE + "channels: {c: {kind: fifo, per: writer}}\n", 2, 59,
        "only a writer receives from it", "per: reader"),
    Bad("shared answers", "system: lab\nchannels: {q: fifo, a: fifo}\nprocesses:\n"
        "  - {role: asker, asks: q, hears: a}\n  - {role: reader, source: q}\n"
        "  - {role: writer, to: a}\n", 4, 35, "would come through one channel", "per: asker"),
    Bad("channel too small", PIPE + "channels: {c: {kind: sysv_queue, capacity: 16}}\n", 3, 15,
        "a message of 64 bytes never fits in a queue of 16"),
    Bad("message over PIPE_BUF", "system: lab\nchannels: {c: fifo, d: fifo}\nprocesses:\n"
        "  - {role: writer, to: c, also: d}\n  - {role: reader, source: c}\n"
        "  - {role: reader, name: other, source: d}\n", 2, 24, "PIPE_BUF"),
    Bad("no such step", HEAD + "delays: {wriet: {yields: 1}}\n", 4, 10, "no process has a step",
        "did you mean 'write'?"),
    Bad("no such step of a group", keeper("delays: {relaese: {yields: 1}}"), 4, 29,
        "a keeper has no step 'relaese'", "did you mean 'release'?"),
]  # fmt: skip

WRONG_VARIANTS = [
    Bad("no variants", HEAD + "variants: {}\n", 4, 11, "no variant is named", "at least 1"),
    Bad("variant name", HEAD + "variants: {a b: {}}\n", 4, 12, "'a b' is not allowed"),
    Bad("empty variant", HEAD + "variants: {a: }\n", 4, 12, "a mapping is wanted, not nothing"),
    Bad("unknown part", HEAD + "variants: {a: {expcet: valid}}\n", 4, 16, "no 'expcet'", "expect"),
    Bad("its verdict", HEAD + "variants: {a: {expect: valud}}\n", 4, 24, "'valud'", "'valid'?"),
    Bad("path to nothing", HEAD + "variants: {a: {set: {table.lokc: none}}}\n", 4, 22,
        "the table has no 'lokc'", "did you mean 'lock'?"),
    Bad("path from nothing", HEAD + "variants: {a: {set: {tabel.lock: none}}}\n", 4, 22,
        "has no 'tabel'", "did you mean 'table'?"),
    Bad("path to no group", HEAD + "variants: {a: {set: {processes.keper.turns: 3}}}\n", 4, 22,
        "processes has no 'keper'", "did you mean 'keeper'?"),
    Bad("path to no option", HEAD + "variants: {a: {set: {processes.keeper.trns: 3}}}\n", 4, 22,
        "has no 'trns'", "did you mean 'turns'?"),
    Bad("path beyond the list", HEAD + "variants: {a: {set: {processes.1.turns: 3}}}\n", 4, 22,
        "processes has no '1'", "keeper, 0"),
    Bad("path through a number", "seed: 3\n" + HEAD + "variants: {a: {set: {seed.x: 4}}}\n", 5, 22,
        "one value is wanted, not a mapping"),
    Bad("path with a hole", HEAD + "variants: {a: {set: {table..lock: none}}}\n", 4, 22,
        "an empty part", "table.lock"),
    Bad("path to variants", HEAD + "variants: {a: {set: {variants.b: 1}}}\n", 4, 22,
        "variants cannot be set"),
    Bad("assigned value", HEAD + "variants: {a: {set: {processes.keeper.turns: 0}}, b: {}}\n",
        4, 46, "0 is too small"),
]  # fmt: skip

BAD = [
    *NOT_YAML, *NOT_A_FILE_OF_TEXT, *NOT_A_SCENARIO, *REFUSED, *WRONG_VALUES, *WRONG_WORDS,
    *DOES_NOT_FIT, *WRONG_VARIANTS,
]  # fmt: skip


def test_the_table_has_more_than_forty_kinds_of_bad_scenario() -> None:
    """No row is there twice."""
    assert len({bad.id + str(bad.content) for bad in BAD}) == len(BAD) > 40


@pytest.mark.parametrize("parser", ["libyaml", "python"])
@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id.replace(" ", "_"))
def test_a_bad_scenario_is_told_once_at_its_place(
    bad: Bad, parser: str, tmp_path: Path, systems: Systems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exactly one complaint: its place, its reason, its mend; the same with both parsers."""
    if parser == "python":
        monkeypatch.setattr(nodes, "_LOADER", yaml.SafeLoader)
    path = tmp_path / "bad.yaml"
    if isinstance(bad.content, bytes):
        path.write_bytes(bad.content)
    elif isinstance(bad.content, str):
        path.write_bytes(bad.content.encode())
    else:
        path = bad.content(path)

    with pytest.raises(ScenarioError) as raised:
        load(path, systems)

    [complaint] = raised.value.complaints
    assert (complaint.line, complaint.column) == (bad.line, bad.column), str(complaint)
    assert bad.reason in complaint.reason
    assert bad.hint in complaint.hint
    assert raised.value.exit_code == 2
    assert len(str(complaint).splitlines()) == 1


def test_only_what_stands_in_quotes_is_told_to_lose_them(tmp_path: Path, systems: Systems) -> None:
    """`yes` as it stands is a boolean elsewhere; `"yes"` is a text."""
    path = tmp_path / "scenario.yaml"
    for written, quotes in (("yes", False), ("off", False), ('"yes"', True), ("'no'", True)):
        path.write_text(keeper(f"loud: {written}"))
        with pytest.raises(ScenarioError) as caught:
            load(path, systems)
        (complaint,) = caught.value.complaints
        assert ("without quotes" in complaint.hint) == quotes, written
