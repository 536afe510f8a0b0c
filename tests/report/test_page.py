"""The page of a run: what it says, in which order, and that it needs and believes nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from benchmarks import stored_run
from common.report.page.comparison_page import comparison_page
from common.report.page.headline import happened
from common.report.page.run_page import run_page
from common.verdict.finding import KINDS
from exchange.operations import BUY
from tests.report.pages import drawn, lost, read, subject
from tests.verdict.scenes import Scene, item, ring

EVIL = '</script ><script>alert("1")</script ><img src=x onerror=alert(2)>&amp;'


def hostile(directory: Path) -> Scene:
    """Draw a lost update in which every name is an attack."""
    scene = Scene(directory, rows=(EVIL,), stock=9450.0, lock="none", channels=[ring(name=EVIL)])
    scene.trade("<img src=x onerror=alert(3)>", -50, 9450, (1000, 2000, 9000))
    scene.trade('"><b onclick=x>', +10, 9450, (1000, 3000, 5000), checked=3.72)
    scene.case()
    return scene


def test_the_verdict_comes_first(tmp_path: Path) -> None:
    """Verdict, findings, pictures, timelines, records: a sentence before each picture."""
    lost(tmp_path / "run")
    page = drawn(tmp_path / "run")
    (title,) = page.texts["h1"]
    assert title.startswith("✗ anomaly 1 update was lost")
    assert title.endswith("in 3 operations of 3 processes.")
    order = [attributes["id"] for name, attributes in page.elements if name == "section"]
    assert order == ["findings", "pictures", "timelines", "records", "origin"]
    assert (
        "trader-1, who had also read 9,450, wrote 9,400 over it 4 µs later"
        in (page.texts["article"][0])
    )


def test_the_steps_are_those_of_the_story(tmp_path: Path) -> None:
    """A column a process, a row a step, a mark where another process goes on."""
    lost(tmp_path / "run")
    steps = page_steps = drawn(tmp_path / "run").texts["table"][0]
    for words in ("trader-1", "trader-3", "reads 9,450", "writes 9,460", "writes 9,400", "▸~"):
        assert words in page_steps, steps


def test_a_clean_run_says_so(tmp_path: Path) -> None:
    """Without a finding there is no timeline, and the limits of one clean run are told."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("trader-1", +10, 100, (1000, 2000, 3000), checked=3.72)
    scene.trade("trader-2", +10, 110, (1500, 4000, 5000), checked=3.72)
    scene.case()
    page = drawn(tmp_path / "run")
    assert page.texts["h1"][0].startswith("✓ valid 2 operations of 2 processes, 1 of which met")
    assert "bounds the rate of this race" in page.texts["header"][0]
    assert [a["id"] for name, a in page.elements if name == "section"] == [
        "findings", "pictures", "origin",
    ]  # fmt: skip


def test_an_undecided_run_says_why(tmp_path: Path) -> None:
    """The reason of the doubt is the headline."""
    scene = Scene(tmp_path / "run", stock=100.0)
    scene.trade("trader-1", +10, 100, (1000, 2000, 3000), checked=3.72)
    scene.trade("trader-2", +10, 110, (4000, 4000, 5000), checked=3.72)
    scene.case()
    assert drawn(tmp_path / "run").texts["h1"] == [
        "? undecided Nothing is proved: no two operations overlapped."
    ]


def test_nothing_that_a_scenario_says_becomes_markup(tmp_path: Path) -> None:
    """Names that are attacks stay text: two scripts, no image, no handler."""
    hostile(tmp_path / "run")
    page = drawn(tmp_path / "run")
    names = [name for name, _ in page.elements]
    assert names.count("script") == 2
    assert not {"img", "b", "iframe", "a"} & set(names)
    assert not [key for _, attributes in page.elements for key in attributes if key[:2] == "on"]
    assert page.plots[0]["title"] == f"Stock of {EVIL}"
    # A browser leaves a script at less than this parser does.
    assert "<" not in page.texts["script"][0]
    assert {lane["name"] for lane in page.plots[1]["lanes"]} == {
        "<img src=x onerror=alert(3)>", '"><b onclick=x>',
    }  # fmt: skip


def test_a_comparison_escapes_as_well(tmp_path: Path) -> None:
    """The name of a variant is an attack, too."""
    hostile(tmp_path / "run")
    found = subject(tmp_path / "run")
    text = comparison_page({EVIL: [found.document]}, {EVIL: found}, 0)
    page = read(text)
    assert [name for name, _ in page.elements].count("script") == 2
    assert EVIL in page.texts["h1"][0]


def test_the_page_needs_nothing_else(tmp_path: Path) -> None:
    """No address in it, and a policy under which only its own style and program count."""
    lost(tmp_path / "run")
    text = run_page(subject(tmp_path / "run"))
    addresses = set(re.findall(r"\w+://[^\s\"']+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, never fetched
    page = read(text)
    assert not [1 for _, attributes in page.elements if {"src", "href", "style"} & set(attributes)]
    (policy,) = [
        attributes["content"] for name, attributes in page.elements
        if name == "meta" and attributes.get("http-equiv")
    ]  # fmt: skip
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for own in (page.texts["style"][0], page.texts["script"][1]):
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_values_that_are_no_numbers_leave_a_readable_page(tmp_path: Path) -> None:
    """A foreign program wrote NaN and infinity: the data stay JSON that a browser takes."""
    scene = Scene(tmp_path / "run", stock=100.0, lock="none")
    scene.trade("trader-1", +10, float("nan"), (1000, 2000, 5000), checked=3.72)
    scene.trade("trader-2", +10, float("inf"), (1000, 3000, 4000), checked=3.72)
    scene.final = [110.0]
    scene.case()
    assert None in drawn(tmp_path / "run").plots[0]["series"][0]["y"]


def test_a_run_in_which_nothing_was_done(tmp_path: Path) -> None:
    """A process that crashed before its first operation still gives a page."""
    scene = Scene(tmp_path / "run")
    scene.recorder("trader-1")
    scene.outcomes["trader-1"].exit = 1
    scene.case()
    page = drawn(tmp_path / "run")
    assert page.texts["h1"] == ["✗ anomaly 1 process crashed, in 0 operations of 1 process."]
    assert page.plots == []


def test_a_killed_process_leaves_a_page(tmp_path: Path) -> None:
    """What was in flight is told as cut off, and has no end."""
    scene = Scene(tmp_path / "run", channels=[ring()])
    scene.job("producer-0", 32, item(0, 1), (1000, 2000, 0))
    scene.outcomes["producer-0"].exit, scene.outcomes["producer-0"].signal = None, 9
    scene.case()
    assert "process crashed" in drawn(tmp_path / "run").texts["h1"][0]


def test_a_record_names_its_job_as_the_sentences_do(tmp_path: Path) -> None:
    """By who made it and its number there, not by the number that the record holds."""
    scene = Scene(tmp_path / "run", channels=[ring()])
    scene.job("producer-0", 32, item(0, 1), (1000, 2000, 3000))
    scene.job("producer-0", 32, item(0, 2), (4000, 5000, 6000), declared=8.0)
    scene.recorder("consumer-0", "consumer")
    scene.case()
    cells = drawn(tmp_path / "run").texts["td"]
    assert "job 1 of producer-0" in cells
    assert not any(cell.startswith("0x") for cell in cells)


@pytest.mark.parametrize("locked", [True, False])
def test_a_large_run_is_thinned_and_says_so(tmp_path: Path, locked: bool) -> None:
    """100,000 operations give less than a megabyte, and each thinned picture says what is left."""
    stored_run.write(tmp_path / "run", 100_000, locked=locked)
    text = run_page(subject(tmp_path / "run"))
    assert len(text.encode()) < 1_000_000
    overviews = [plot for plot in read(text).plots if plot["group"] == "run"]
    assert len(overviews) == 5
    assert all(plot["thinned"] for plot in overviews)


def test_every_finding_has_its_words() -> None:
    """None is told as a bare kind."""
    assert [kind for kind in KINDS if kind in happened(kind, 1) + happened(kind, 2)] == ["deadlock"]


def test_what_never_began_has_no_place_in_time(tmp_path: Path) -> None:
    """A record that was only declared when its process was killed is on no timeline."""
    scene = Scene(tmp_path / "run", lock="none")
    recorder = scene.recorder("trader-1")
    recorder.begin(BUY, 0, 1, 0, 0, 10.0)
    scene.outcomes["trader-1"].exit, scene.outcomes["trader-1"].signal = None, 9
    scene.case()
    assert [plot for plot in drawn(tmp_path / "run").plots if "case" in plot["group"]] == []
