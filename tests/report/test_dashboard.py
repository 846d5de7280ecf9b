"""The dashboard: one self-contained page that shows everything and trusts no name."""

from __future__ import annotations

import json
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from plotly.offline import get_plotlyjs

from simsched.report.dashboard import CONTENT_SECURITY_POLICY, render_dashboard, write_dashboard
from simsched.report.files import OutputError
from simsched.report.page_tables import resource_table
from simsched.report.result_model import ResultDocument
from simsched.report.style import line_style

from .result_documents import LINK_NAME, SCRIPT_NAME, bare_document, example_document

Json = dict[str, Any]

DATA_BUDGET_BYTES = 1_500_000
FIGURES = (
    "percentiles",
    "cdf",
    "breakdown",
    "load",
    "in-system",
    "flow",
    "memory",
    "at-peak",
    "warmup",
    "replications",
)


class Page(HTMLParser):
    """What the tests ask of a page: its tags, its text and its embedded JSON."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.json: dict[str, Any] = {}
        self.text = ""
        self.open_tags: list[str] = []
        self._json_key: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.open_tags.append(tag)
        if tag == "script" and found.get("type") == "application/json":
            place = (found.get("data-for") or "").removeprefix("plot-")
            self._json_key = place or found.get("id")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open_tags:
            while self.open_tags.pop() != tag:
                pass
        self._json_key = None if tag == "script" else self._json_key

    def handle_data(self, data: str) -> None:
        if self._json_key is not None:
            self.json[self._json_key] = json.loads(data)
        elif not {"script", "style"} & set(self.open_tags):
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@cache
def example_html() -> str:
    return render_dashboard(example_document())


@cache
def example_page() -> Page:
    return Page(example_html())


def figure(key: str, doc: Json | None = None) -> Json:
    page = example_page() if doc is None else Page(render_dashboard(doc))
    spec: Json = page.json[key]
    return spec


def traces_of(spec: Json, index: int) -> list[Json]:
    return [trace for trace in spec["data"] if trace.get("legendgroup") == f"s{index}"]


def test_plotly_stands_in_the_page_exactly_once() -> None:
    assert example_html().count(get_plotlyjs()) == 1


def test_everything_but_plotly_fits_the_data_budget() -> None:
    assert len(example_html().encode()) - len(get_plotlyjs().encode()) < DATA_BUDGET_BYTES


def test_nothing_is_loaded_from_anywhere() -> None:
    loading = {"src", "href", "data", "action", "poster", "srcset"}
    links = [
        value or ""
        for _, attrs in example_page().tags
        for key, value in attrs.items()
        if key in loading
    ]
    assert links, "the navigation has links within the page"
    assert [link for link in links if not link.startswith("#")] == []
    assert example_page().count("link") == 0
    css = re.findall(r"<style>(.*?)</style>", example_html(), re.DOTALL)
    assert not any("url(" in text or "@import" in text for text in css)


def test_a_content_security_policy_forbids_every_request() -> None:
    policies = [a["content"] for t, a in example_page().tags if a.get("http-equiv")]
    assert policies == [CONTENT_SECURITY_POLICY]
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert "http" not in CONTENT_SECURITY_POLICY


def test_charts_cannot_be_uploaded_by_a_button() -> None:
    config = example_page().json["plot-config"]
    assert config["showSendToCloud"] is False
    assert config["displaylogo"] is False
    assert config["responsive"] is True


def test_names_cannot_become_elements_of_the_page() -> None:
    page = example_page()
    # JSON of the figures and of the two themes, plotly, and the script of the page.
    assert page.count("script") == len(FIGURES) + 4
    assert SCRIPT_NAME in page.text
    assert LINK_NAME in page.text
    assert not any("evil" in (attrs.get("href") or "") for _, attrs in page.tags)
    outside_plotly = example_html().replace(get_plotlyjs(), "")
    assert "<script>alert" not in outside_plotly
    assert '<a href="https://evil' not in outside_plotly


def strings(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [text for child in children for text in strings(child)]


@pytest.mark.parametrize("key", FIGURES)
def test_plotly_gets_no_pseudo_html_from_a_name(key: str) -> None:
    spec = figure(key)
    found = strings(spec)
    assert any("&lt;" in text for text in found), "the names are there, escaped"
    allowed = re.compile(r"<br>")
    assert [text for text in found if "<" in allowed.sub("", text)] == []
    templates = [trace.get("hovertemplate", "") for trace in spec["data"]]
    assert not any("script" in text or "evil" in text for text in templates)


@pytest.mark.parametrize("key", FIGURES)
def test_every_figure_is_one_that_plotly_knows(key: str) -> None:
    assert go.Figure(figure(key)).data  # raises on a property that plotly does not have


def test_every_figure_has_a_caption_and_a_table_of_its_data() -> None:
    page = example_page()
    assert tuple(page.json)[: len(FIGURES)] == FIGURES
    figures = [attrs for tag, attrs in page.tags if tag == "figure"]
    captions = {attrs.get("id") for tag, attrs in page.tags if tag == "figcaption"}
    assert len(figures) == len(FIGURES)
    assert all(attrs["role"] == "group" for attrs in figures)
    assert {attrs["aria-labelledby"] for attrs in figures} == captions
    for part in re.findall(r"<figure.*?</figure>", example_html(), re.DOTALL):
        assert re.search(r"<figcaption[^>]*>[^<]{20,}</figcaption>", part)
        assert part.count("<table>") == 1
        assert part.count("<tr>") >= 5


def test_a_scheduler_looks_the_same_in_every_figure() -> None:
    for key in ("percentiles", "cdf", "load", "in-system", "flow", "memory", "warmup"):
        for index in range(4):
            lines = [t for t in traces_of(figure(key), index) if "markers" in t["mode"]]
            assert lines, key
            for trace in lines:
                assert trace["line"]["color"] == line_style(index).colour
                assert trace["line"]["dash"] == line_style(index).dash
                assert trace["marker"]["symbol"] == line_style(index).marker


def test_schedulers_differ_in_colour_dash_and_marker() -> None:
    styles = [line_style(index) for index in range(5)]
    for attribute in ("colour", "dash", "marker"):
        assert len({getattr(style, attribute) for style in styles}) == 5


def test_the_objective_does_not_blow_up_the_logarithmic_axis() -> None:
    layout = figure("percentiles")["layout"]
    assert layout["shapes"][0]["y0"] == 0.2  # a shape takes the value,
    assert layout["annotations"][0]["y"] == pytest.approx(-0.69897)  # an annotation its logarithm
    assert layout["annotations"][0]["text"] == "p99 &lt; 200ms"
    low, high = layout["yaxis"]["range"]
    assert 10**low < 0.2 < 10**high
    assert high < 2  # the slowest known request of the example takes 14 s


def test_percentiles_without_enough_samples_are_dotted() -> None:
    traces = traces_of(figure("percentiles"), 0)
    line = next(t for t in traces if "markers" in t["mode"])
    faint = next(t for t in traces if t.get("line", {}).get("dash") == "dot")
    solid = [y is not None for y in line["y"]]
    dotted = [y is not None for y in faint["y"]]
    assert any(solid)
    assert any(dotted)
    both = [i for i in range(len(solid)) if solid[i] and dotted[i]]
    assert len(both) == 1, "the dotted line starts where the solid one ends"
    assert all(a or b for a, b in zip(solid, dotted, strict=True))


def test_unknown_quantiles_are_not_drawn() -> None:
    line = next(t for t in traces_of(figure("percentiles"), 1) if "markers" in t["mode"])
    assert max(line["x"]) <= 1 / (1 - 0.985) * 1.001


def test_the_parts_of_the_time_add_up_to_the_whole() -> None:
    bars = figure("breakdown")["data"]
    for i in range(4):
        assert sum(bar["x"][i] for bar in bars) == pytest.approx(100)


def test_overload_is_loud() -> None:
    html = example_html()
    assert '<p class="banner" role="alert">OVERLOADED: asyncio.' in html
    assert html.count('class="card overloaded"') == 1
    assert "its latencies grow with the length of the run" in html
    calm = example_document()
    del calm["schedulers"][1]
    assert "OVERLOADED" not in render_dashboard(calm).replace(get_plotlyjs(), "")


def test_warnings_binding_sentences_and_reasons_are_on_the_page() -> None:
    text = " ".join(example_page().text.split())
    for scheduler in example_document()["schedulers"]:
        for sentence in (*scheduler["warnings"], scheduler["binding"], scheduler["verdict_reason"]):
            assert sentence in text
    assert "7,220 requests were unfinished when the run stopped" in text


def test_the_table_of_resources_counts_the_waits_that_were_in_vain() -> None:
    doc = example_document()
    assert "timed out" not in resource_table(ResultDocument.model_validate(doc)).headers
    doc["schedulers"][0]["resources"]["db"] |= {"asked": 1000, "timeouts": 500}
    table = resource_table(ResultDocument.model_validate(doc))
    assert table.headers[-1] == "timed out"
    assert [row[-1] for row in table.rows] == ["500 (50.0%)", "-", "-", "-"]
    assert "500 (50.0%)" in Page(render_dashboard(doc)).text


def test_the_page_says_how_to_reproduce_it() -> None:
    text = example_page().text
    assert "simsched run configs/shop.toml --set scenario.seed=1" in text
    assert "9f2c1d7ab04e55d1" in text
    assert "numpy 2.4.6" in text
    assert "cores = 2" in text


def test_both_themes_are_there_and_the_screen_chooses() -> None:
    themes = example_page().json["themes"]
    assert themes["light"]["layout"]["font"]["color"] != themes["dark"]["layout"]["font"]["color"]
    assert "prefers-color-scheme: dark" in example_html()
    assert "@media print" in example_html()


def test_equal_documents_give_equal_pages() -> None:
    assert render_dashboard(example_document()) == example_html()


def test_a_document_with_next_to_nothing_in_it_is_still_a_page() -> None:
    page = Page(render_dashboard(bare_document()))
    assert page.count("figure") == len(FIGURES)
    for key in FIGURES:
        go.Figure(page.json[key])


def test_twelve_schedulers_fit_the_data_budget() -> None:
    doc = example_document()
    doc["schedulers"] = [
        {**scheduler, "name": f"{scheduler['kind']} {i}"}
        for i in range(3)
        for scheduler in doc["schedulers"]
    ]
    size = len(render_dashboard(doc).encode()) - len(get_plotlyjs().encode())
    assert size < DATA_BUDGET_BYTES


def test_an_earlier_page_survives_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dashboard.html"
    path.write_text("earlier")

    def full_disk(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(OutputError, match=r"dashboard\.html: no space left on device"):
        write_dashboard(example_document(), path)
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]
