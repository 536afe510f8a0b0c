"""Bad grading files: each mistake is told at its line and column, with its reason and mend."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

import exchange
import spooler
from common.errors import ScenarioError
from common.grading.reading import Grading, read

SYSTEMS = {"exchange": exchange.SYSTEM, "spooler": spooler.SYSTEM}
SERIAL = (
    "v1:locked:1/trader-0:acquire,check,read,write,release"
    "/trader-1:acquire,check,read,write,release"
)
GOOD = "scenario: exchange/two_traders, variant: locked"


# Stands before what a complaint is about.
HERE = "§"


def item(words: str, *, more: str = "") -> str:
    """Return a grading file with one item."""
    return f"items:\n  - {{name: a, points: 2, {words}}}\n{more}"


def whole(words: str, more: str = "") -> str:
    """Return one whose item itself is what is complained of."""
    return item(words, more=more).replace("- {", f"- {HERE}{{")


class Bad(NamedTuple):
    """A bad grading file with HERE where it is wrong, and words of the reason and of the hint."""

    id: str
    content: str
    reason: str
    hint: str = ""


WALKED = f"{GOOD}, walk: 5"
BAD = [
    Bad("empty", "§", "grades nothing", "a list of items"),
    Bad("a list", "§- a\n", "grades nothing"),
    Bad("no items", "§title: x\n", "needs 'items'"),
    Bad("empty items", "items: §[]\n", "too short"),
    Bad("unknown key", "§itmes: []\n", "has no 'itmes'", "did you mean 'items'?"),
    Bad("no points", f"items:\n  - §{{name: a, {GOOD}}}\n", "needs 'points'"),
    Bad("points", f"items:\n  - {{name: a, points: §ten, {GOOD}}}\n", "a number is wanted"),
    Bad("no scenario", item("scenario: §exchange/nothing"), "no scenario", "a shipped one"),
    Bad("variant", item("scenario: exchange/two_traders, variant: §lokced, walk: 5"),
        "has no variant 'lokced'", "did you mean 'locked'?"),
    Bad("free", whole("scenario: exchange/lost_update"), "4 processes run freely", "walk:"),
    Bad("seconds", item(f"{GOOD}, walk: {{schedules: 5, §seconds: 3}}"),
        "a number of schedules, never seconds", "schedules: 50"),
    Bad("both", item(f"{GOOD}, walk: §5, schedules: ['{SERIAL}']"), "an item walks, or"),
    Bad("cut token", item(f"{GOOD}, schedules: [{SERIAL.replace(',', ',§', 1)}]"),
        "is not a schedule", "put it in quotes"),
    Bad("weights", item(f"{GOOD}, weights: §[1, 2], schedules: ['{SERIAL}']"),
        "2 weights for 1 schedules"),
    Bad("two seeds", item(f"{GOOD}, seed: §4, schedules: ['{SERIAL}']"), "its own seed"),
    Bad("depth", item(f"{GOOD}, walk: {{schedules: 5, depth: §2}}"),
        "means nothing to the strategy exhaustive", "only to pct"),
    Bad("strategy", item(f"{GOOD}, walk: {{schedules: 5, strategy: §pcd}}"), "no strategy 'pcd'",
        "did you mean 'pct'?"),
    Bad("setting", item(f"{WALKED}, set: {{§table.lokc: none}}"), "has no 'lokc'", "'lock'?"),
    Bad("endless", whole(f"{WALKED}, set: {{processes.trader.operations: 0, deadlines.run: 0}}"),
        "its schedules have no end"),
    Bad("no deadline", whole("scenario: exchange/script, set: {deadlines.run: 0}"),
        "a run has no deadline"),
    Bad("deadline 0", item(WALKED, more="deadlines: {run: §0}\n"), "too small"),
    Bad("unwalkable", whole("scenario: spooler/udp, walk: 5"), "cannot be walked"),
    Bad("same name", item(WALKED) + f"  - {{name: §a, points: 1, {WALKED}}}\n",
        "item 1 has this name"),
    Bad("place", item(WALKED.replace("exchange/", "§exchange/"),
                      more="submission: {into: processes.tradre.locking}\n"),
        "there is no such group here", "did you mean 'trader'?"),
    Bad("nowhere", item(WALKED, more="submission: §{command: ./a}\n"), "`into` some place"),
    Bad("built for nothing",
        item(WALKED, more="submission: {build: §make, into: processes.trader.locking}\n"),
        "what is built is not used", "name its `command`"),
    Bad("reference",
        item(WALKED, more="submission: {into: processes.trader.locking, reference: §x}\n"),
        "there is no x beside this file"),
    Bad("plain",
        item(WALKED, more="submission: {command: §./a, into: processes.trader.command}\n"),
        "is a plain program", "level: recorded"),
]  # fmt: skip


def reading(tmp_path: Path, content: str) -> Grading:
    """Read a grading file that holds ``content``."""
    path = tmp_path / "grading.yaml"
    path.write_text(content)
    return read(path, SYSTEMS)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_each_mistake_is_told_at_its_place(bad: Bad, tmp_path: Path) -> None:
    """The complaint names line and column, the reason and the mend."""
    before, _, after = bad.content.partition(HERE)
    with pytest.raises(ScenarioError) as caught:
        reading(tmp_path, before + after)
    told = next(each for each in caught.value.complaints if bad.reason in each.reason)
    lines = before.split("\n")
    assert (told.line, told.column) == (len(lines), len(lines[-1]) + 1), str(told)
    assert bad.hint in told.hint


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Three items, each wrong in its own way: three complaints, in the order of their places."""
    wrong = item("scenario: exchange/lost_update")
    wrong += "  - {name: b, points: -1, scenario: exchange/script}\n"
    wrong += "  - {name: c, points: 1, scenario: exchange/script, variant: x}\n"
    with pytest.raises(ScenarioError) as caught:
        reading(tmp_path, wrong)
    assert [each.line for each in caught.value.complaints] == [2, 3, 4]


def test_what_has_no_seed_is_given_one(tmp_path: Path) -> None:
    """A scenario that draws its seed is graded with 1, always; an item's own comes first."""
    items = item("scenario: exchange/script")
    items += "  - {name: b, points: 1, scenario: exchange/script, seed: 9}\n"
    assert [each.seed for each in reading(tmp_path, items).items] == [1, 9]


def test_a_wait_is_no_longer_than_a_run(tmp_path: Path) -> None:
    """With `run: 3` no single step is waited for longer, unless the file says so."""
    one = reading(tmp_path, item("scenario: exchange/script", more="deadlines: {run: 3}\n"))
    assert one.items[0].seconds.wait == 3
    more = "deadlines: {run: 3, wait: 7}\n"
    two = reading(tmp_path, item("scenario: exchange/script", more=more))
    assert two.items[0].seconds.wait == 7


SUBMITTED = (
    "submission: {command: ./a, into: processes.trader.command, "
    "set: {processes.trader.level: recorded}, with: {include: h/lab*.h}}\n"
)


def test_a_star_gives_every_file_like_it(tmp_path: Path) -> None:
    """Into the directory that is named, directories left out; none at all is a mistake."""
    words = item(f"{GOOD}, walk: 5", more=SUBMITTED)
    with pytest.raises(ScenarioError, match="no file like h/lab"):
        reading(tmp_path, words)
    (tmp_path / "h/lab_d.h").mkdir(parents=True)
    for name in ("lab.h", "lab_b.h", "trader.c"):
        (tmp_path / "h" / name).touch()
    wanted = reading(tmp_path, words).submission
    assert wanted is not None
    assert {name: path.name for name, path in wanted.given.items()} == {
        "include/lab.h": "lab.h", "include/lab_b.h": "lab_b.h",
    }  # fmt: skip
