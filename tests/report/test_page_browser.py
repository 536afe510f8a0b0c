"""The page in a real browser: it draws, tells, zooms and darkens, and nothing goes wrong in it.

Skipped where there is no Chromium.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from common.report.page.run_page import run_page
from tests.report.pages import lost, subject
from tests.report.test_page import hostile

if TYPE_CHECKING:
    from playwright.sync_api import Browser

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
)  # fmt: skip

LOSS = "after 9 µs: +10 DOLLAR of trader-3 lost, trader-1 wrote 9,400 over it"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Yield a headless Chromium that keeps its files in a directory of its own."""
    environment = {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("chromium"))}
    with api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(FLAGS), env=environment
        )
        yield launched
        launched.close()


Scheme = Literal["light", "dark"]


class Seen:
    """An open page, and everything in it that went wrong or asked for more than the file."""

    def __init__(self, browser: Browser, path: Path, scheme: Scheme = "light") -> None:
        self.context = browser.new_context(
            color_scheme=scheme, viewport={"width": 1200, "height": 900}
        )
        self.page = self.context.new_page()
        self.wrong: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.on("request", lambda request: self._asked(request.url))
        self.own = path.as_uri()
        self.page.goto(self.own)
        self.page.wait_for_selector("figure svg[role=img]")

    def _asked(self, url: str) -> None:
        if url != self.own:
            self.wrong.append(url)

    def view(self, plot: int) -> tuple[int, int]:
        """Return the stretch of time that a picture shows, in ns."""
        chart = self.page.locator(".chart").nth(plot)
        start, end = (chart.get_attribute(f"data-{end}") for end in ("from", "to"))
        assert start is not None
        assert end is not None
        return int(start), int(end)


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Seen]:
    """Yield the page of a lost update; afterwards nothing may have gone wrong in it."""
    lost(tmp_path / "run")
    path = tmp_path / "report.html"
    path.write_text(run_page(subject(tmp_path / "run")))
    seen = Seen(browser, path)
    yield seen
    assert seen.wrong == []
    seen.context.close()


def test_the_first_findings_sentence_is_visible(opened: Seen) -> None:
    """The reader sees it without a click, and every picture is drawn."""
    sentence = opened.page.get_by_text("who had also read 9,450, wrote 9,400 over it").first
    assert sentence.is_visible()
    charts = opened.page.locator(".chart")
    drawn = [charts.nth(at).locator("svg path, svg rect.inside").count() for at in range(3)]
    assert opened.page.locator("figure").count() == charts.count() >= 3
    assert all(drawn)
    assert opened.page.locator("path.lost title").first.text_content() == LOSS


def test_buttons_keys_wheel_and_drag_zoom(opened: Seen) -> None:
    """Each narrows the view, and the reset brings the first one back."""
    page, chart = opened.page, opened.page.locator(".chart").nth(0)
    first = opened.view(0)
    assert first == (0, 12000)
    page.get_by_label("Zoom in").first.click()
    assert opened.view(0) == (3000, 9000)
    page.get_by_label("As it was at first").first.click()
    assert opened.view(0) == first
    chart.focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    assert opened.view(0) == (4500, 10500)
    page.keyboard.press("0")
    box = chart.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 50)
    page.mouse.wheel(0, -100)
    page.wait_for_function("document.querySelector('.chart').dataset.to !== '12000'")
    narrow = opened.view(0)
    assert first[0] < narrow[0] < narrow[1] < first[1]
    page.keyboard.press("0")
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 60)
    page.mouse.up()
    start, end = opened.view(0)
    assert first[0] < start < end < first[1]


def test_the_pictures_of_a_run_zoom_together(opened: Seen) -> None:
    """The stock and the lanes show the same stretch; a timeline around a witness keeps its own."""
    own = opened.view(2)
    opened.page.get_by_label("Zoom in").first.click()
    assert opened.view(0) == opened.view(1) == (3000, 9000)
    assert opened.view(2) == own


def test_the_zoom_redraws_the_axis(opened: Seen) -> None:
    """What changes is the picture, not only a number."""
    axis = opened.page.locator(".chart").nth(0).locator(".axis text")
    before = axis.all_text_contents()
    opened.page.get_by_label("Zoom in").first.click()
    assert axis.all_text_contents() != before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_toggle_turns_light_and_dark(browser: Browser, tmp_path: Path, scheme: Scheme) -> None:
    """The page begins as the system does; the button turns it and is named for what it gives."""
    lost(tmp_path / "run")
    path = tmp_path / "report.html"
    path.write_text(run_page(subject(tmp_path / "run")))
    seen = Seen(browser, path, scheme)
    colour = "getComputedStyle(document.body).backgroundColor"
    light, dark = "rgb(255, 255, 255)", "rgb(20, 24, 29)"
    first, other = (light, dark) if scheme == "light" else (dark, light)
    assert seen.page.evaluate(colour) == first
    button = seen.page.locator("button.theme")
    assert button.text_content() == ("Dark" if scheme == "light" else "Light")
    button.click()
    assert seen.page.evaluate(colour) == other
    assert seen.wrong == []
    seen.context.close()


def test_hostile_names_do_nothing(browser: Browser, tmp_path: Path) -> None:
    """Names that are attacks are shown as text: no dialog, no error, no request."""
    hostile(tmp_path / "run")
    path = tmp_path / "report.html"
    path.write_text(run_page(subject(tmp_path / "run")))
    seen = Seen(browser, path)
    assert seen.page.locator("img").count() == 0
    assert seen.page.locator("svg text.lane").first.text_content() is not None
    assert seen.wrong == []
    seen.context.close()
