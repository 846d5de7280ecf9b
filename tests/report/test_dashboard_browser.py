"""The dashboard in a real browser. Optional: needs playwright and a Chromium of the system."""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from simsched.report.dashboard import write_dashboard
from simsched.report.style import THEMES

from .result_documents import example_document

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HAS_PLAYWRIGHT = importlib.util.find_spec("playwright") is not None

pytestmark = [
    pytest.mark.skipif(not HAS_PLAYWRIGHT, reason="playwright is not installed"),
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this system"),
]

FIGURES = 10
MOST_FRAMES = 1800
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


class Visit:
    """The example's page, opened; everything the browser complained about or asked for."""

    def __init__(self, browser: Any, uri: str, scheme: str, width: int) -> None:
        self.uri = uri
        self.width = width
        self.complaints: list[str] = []
        self.requests: list[str] = []
        size = {"width": width, "height": 900}
        self.page = browser.new_context(color_scheme=scheme, viewport=size).new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(uri)
        self.wait_for(f"document.querySelectorAll('.plot.js-plotly-plot .xy').length >= {FIGURES}")

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def wait_for(self, condition: str) -> None:
        """Look at every frame; playwright's own waiting evaluates text, which the page forbids."""
        self.ask(
            f"""new Promise((resolve, reject) => {{
                let frames = {MOST_FRAMES};
                const look = () => {{
                    if ({condition}) resolve();
                    else if (frames-- > 0) requestAnimationFrame(look);
                    else reject(new Error("never: " + {json.dumps(condition)}));
                }};
                look();
            }})"""
        )


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Visit]]:
    sync_playwright = importlib.import_module("playwright.sync_api").sync_playwright
    path = write_dashboard(example_document(), tmp_path_factory.mktemp("page") / "d.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield {
            "wide and light": Visit(browser, path.as_uri(), "light", 1400),
            "narrow and dark": Visit(browser, path.as_uri(), "dark", 400),
        }
        browser.close()


@pytest.fixture(params=["wide and light", "narrow and dark"])
def visit(request: pytest.FixtureRequest, visits: dict[str, Visit]) -> Visit:
    return visits[request.param]


def test_every_figure_is_drawn_without_a_complaint_or_a_request(visit: Visit) -> None:
    assert visit.complaints == []
    assert visit.requests == [visit.uri]
    assert visit.ask("document.querySelectorAll('.plot.js-plotly-plot').length") == FIGURES


def test_the_page_does_not_scroll_sideways(visit: Visit) -> None:
    assert visit.ask("document.documentElement.scrollWidth") <= visit.width


def test_no_name_is_a_link(visit: Visit) -> None:
    assert visit.ask("document.querySelectorAll('svg a').length") == 0
    legend = visit.ask("document.querySelector('#plot-percentiles .legend').textContent")
    assert "go <script>alert(1)</script>" in legend


def test_no_button_uploads(visit: Visit) -> None:
    titles = visit.ask(
        "[...document.querySelectorAll('.modebar-btn')].map(b => b.dataset.title || '')"
    )
    assert titles, "the mode bar is there"
    assert [t for t in titles if "share" in t.lower() or "cloud" in t.lower()] == []


def test_no_axis_is_blown_up_by_an_objective(visit: Visit) -> None:
    low, high = visit.ask("document.getElementById('plot-percentiles').layout.yaxis.range")
    assert -3 < low < high < 2


def test_legends_stay_within_their_figures(visit: Visit) -> None:
    outside = visit.ask(
        """[...document.querySelectorAll('.plot')].filter(plot => {
            const legend = plot.querySelector('.legend');
            if (!legend) return false;
            const a = legend.getBoundingClientRect(), b = plot.getBoundingClientRect();
            return a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 1;
        }).map(plot => plot.id)"""
    )
    assert outside == []


def test_figures_follow_the_screen_and_print_in_the_light_scheme(visits: dict[str, Visit]) -> None:
    light = json.dumps(THEMES["light"]["layout"]["font"]["color"])
    dark = json.dumps(THEMES["dark"]["layout"]["font"]["color"])
    colour = "document.getElementById('plot-cdf')._fullLayout.font.color"
    visit = visits["narrow and dark"]
    visit.wait_for(f"{colour} === {dark}")
    visit.page.emulate_media(color_scheme="light")
    visit.wait_for(f"{colour} === {light}")
    visit.page.emulate_media(color_scheme="dark")
    visit.wait_for(f"{colour} === {dark}")
    visit.ask("window.dispatchEvent(new Event('beforeprint'))")
    visit.wait_for(f"{colour} === {light}")
    visit.ask("window.dispatchEvent(new Event('afterprint'))")
    visit.wait_for(f"{colour} === {dark}")
