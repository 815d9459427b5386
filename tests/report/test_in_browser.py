"""The page in headless Chromium: no message on the console, every figure drawn, nothing wider than a phone."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.report.conftest import Run
from tests.report.test_page import ANCHORS, EVALUATOR, ROUND, hostile
from xirecipe.report.page import render_report

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)

pytestmark = [
    pytest.mark.end_to_end,
    pytest.mark.skipif(CHROMIUM is None, reason=f"no Chromium on this machine (looked for {', '.join(NAMES)})"),
]


@dataclass(frozen=True)
class Shown:
    """What Chromium made of a page."""

    dom: str
    console: list[str]


def chromium(page: Path, *arguments: str) -> tuple[str, list[str]]:
    """(standard output, console messages). `--virtual-time-budget` lets timers run out before anything is taken."""
    assert CHROMIUM is not None
    ran = subprocess.run(
        [
            CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr",
            "--allow-file-access-from-files", "--virtual-time-budget=8000",
            f"--user-data-dir={page.parent / 'profile'}", *arguments, page.as_uri(),
        ],
        capture_output=True, text=True, check=True, timeout=180,
    )  # fmt: skip
    return ran.stdout, [line for line in ran.stderr.splitlines() if "CONSOLE" in line]


def show(page: Path) -> Shown:
    return Shown(*chromium(page, "--dump-dom", "--window-size=1400,1000"))


def screenshot(page: Path, width: int, height: int) -> Image.Image:
    target = page.with_name(f"{page.stem}-{width}.png")
    chromium(page, f"--screenshot={target}", f"--window-size={width},{height}")
    return Image.open(target)


@pytest.fixture
def report(run: Run, tmp_path: Path) -> Path:
    """A page with every figure and table, in Urdu."""
    run.in_urdu()
    run.changes |= {
        "rating_set": {}, "refine": {"rounds": 1, "min_score": 2}, "anchors": {"urd_Arab": ANCHORS},
    }  # fmt: skip
    run.facts = {"judge": {"evaluators": {"rubric": EVALUATOR}}, "refine 1": {"round": ROUND}}
    return written(run, tmp_path)


def written(run: Run, folder: Path) -> Path:
    plan, store = run.build()
    page = folder / "report.html"
    page.write_text(render_report(plan, store, command="xirecipe report", run_command="xirecipe run"), encoding="utf-8")
    return page


def test_messages_on_the_console_are_seen(tmp_path: Path) -> None:
    page = tmp_path / "broken.html"
    page.write_text("<script>console.error('here I am')</script>", encoding="utf-8")
    assert "here I am" in show(page).console[0]


def test_every_figure_is_drawn_and_the_console_stays_empty(report: Path) -> None:
    shown = show(report)
    assert shown.console == []
    plots = re.findall(r'<div class="plot[^"]*" id="([^"]+)"', shown.dom)
    drawn = re.findall(r'<div class="plot js-plotly-plot" id="([^"]+)"', shown.dom)
    assert len(plots) >= 10
    assert drawn == plots


def test_hostile_texts_run_nothing_and_break_nothing(run: Run, tmp_path: Path) -> None:
    run.change_row = hostile
    shown = show(written(run, tmp_path))
    assert shown.console == []
    assert "js-plotly-plot" in shown.dom
    assert "<img" not in shown.dom.replace("&lt;img", "").split("<script")[0]


def test_nothing_is_wider_than_a_phone(report: Path) -> None:
    phone = report.with_name("phone.html")
    phone.write_text(
        f"""<body style="margin:0"><iframe src="{report.name}" style="border:0;width:400px;height:8000px"></iframe>
        <script>addEventListener("load", () => setTimeout(() => {{
          const page = document.querySelector("iframe").contentDocument.documentElement;
          document.body.dataset.width = page.scrollWidth;
        }}, 3000));</script>""",
        encoding="utf-8",
    )
    shown = show(phone)
    assert shown.console == []
    assert 'data-width="400"' in shown.dom


@pytest.mark.parametrize("width", [1400, 400])
def test_a_screenshot_shows_more_than_paper(report: Path, width: int) -> None:
    image = screenshot(report, width, 3000).convert("RGB")
    assert image.size == (width, 3000)
    colours = image.getcolors(maxcolors=1 << 24)
    assert colours is not None
    paper = max(n for n, _ in colours) / (width * 3000)
    assert 0.4 < paper < 0.97
    assert len(colours) > 50
