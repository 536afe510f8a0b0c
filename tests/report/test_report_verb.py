"""``run.py report``: where the page goes, what it is drawn of, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.launching import ROOT, launch
from tests.report.pages import lost, read

LOST_UPDATE = str(ROOT / "configs/exchange/lost_update.yaml")


def compared(out: Path) -> str:
    """Compare twice with few trades; returns what was printed."""
    done = launch(
        "compare", LOST_UPDATE, "--repeat", "2", "--set", "processes.trader.operations=20",
        "--out", str(out),
    )  # fmt: skip
    return done.out


def test_the_page_is_put_beside_the_run(tmp_path: Path) -> None:
    """``report.html`` in the run directory, and its path is all that is printed."""
    lost(tmp_path / "run")
    done = launch("report", str(tmp_path / "run"))
    assert (done.status, done.err) == (0, "")
    assert done.out == f"{tmp_path / 'run' / 'report.html'}\n"
    assert "who had also read" in (tmp_path / "run/report.html").read_text()


def test_output_names_another_file(tmp_path: Path) -> None:
    """``--output`` is where it goes, and nothing else is written."""
    lost(tmp_path / "run")
    done = launch("report", str(tmp_path / "run"), "--output", str(tmp_path / "slide.html"))
    assert done.out == f"{tmp_path / 'slide.html'}\n"
    assert not (tmp_path / "run/report.html").exists()


def test_a_place_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    """The place and the mend, status 2."""
    lost(tmp_path / "run")
    done = launch("report", str(tmp_path / "run"), "--output", str(tmp_path / "no/such.html"))
    assert (done.status, done.out) == (2, "")
    assert done.err.count("\n") == 1
    assert "no/such.html cannot be written" in done.err


def test_what_is_no_run_is_one_error(tmp_path: Path) -> None:
    """So is a scenario that was never compared, and it says how to mend that."""
    assert "is not a stored run" in launch("report", "nothing", "--out", str(tmp_path)).err
    done = launch("report", "--compare", "exchange/lost_update", "--out", str(tmp_path))
    assert done.status == 2
    assert "run.py compare exchange/lost_update makes one" in done.err


def test_compare_says_where_it_is_stored(tmp_path: Path) -> None:
    """The last line names the directory, which lies beside its runs and has a link."""
    last = compared(tmp_path).splitlines()[-1]
    directory = Path(last.removeprefix("the comparison is stored in "))
    assert directory.parent == tmp_path / "exchange/lost_update"
    assert (tmp_path / "exchange/lost_update/latest-compare").resolve() == directory.resolve()


def test_the_page_of_a_comparison(tmp_path: Path) -> None:
    """A line a variant, intervals with their name, pictures in pairs; it may move with its runs."""
    compared(tmp_path / "runs")
    shutil.move(tmp_path / "runs", tmp_path / "moved")
    done = launch("report", "--compare", "exchange/lost_update", "--out", str(tmp_path / "moved"))
    assert done.status == 0, done.err
    page = read(Path(done.out.strip()).read_text())
    assert "unlocked" in page.texts["h1"][0]
    assert "locked: nothing was found in 2 of 2 runs" in page.texts["h1"][0]
    assert "Wilson" in page.texts["section"][0]
    titles = [plot["title"] for plot in page.plots]
    assert titles[:2] == ["Stock of DOLLAR: unlocked", "Stock of DOLLAR: locked"]
    assert page.plots[0]["range"] == page.plots[1]["range"]
    kinds = [attributes["id"] for name, attributes in page.elements if name == "section"]
    assert kinds.index("findings-0") < kinds.index("pictures") < kinds.index("records-0")


def test_a_comparison_without_its_run_is_one_error(tmp_path: Path) -> None:
    """A run directory that was deleted is named."""
    compared(tmp_path)
    for run_dir in (tmp_path / "exchange/lost_update").glob("2*"):
        shutil.rmtree(run_dir)
    done = launch("report", "--compare", "exchange/lost_update", "--out", str(tmp_path))
    assert done.status == 2
    assert "needs the run" in done.err
