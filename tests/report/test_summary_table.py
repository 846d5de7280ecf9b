"""The summary in a terminal: what it says, in which order, and who can read it."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from simsched.report.table import render_summary

from .result_documents import LINK_NAME, SCRIPT_NAME, bare_document, example_document

Json = dict[str, Any]


def summary(doc: Json, width: int = 80, encoding: str = "utf-8", **artefacts: str) -> str:
    """The summary as a file that is no terminal would hold it."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="\n")
    render_summary(doc, Console(file=file, width=width), artefacts)
    file.flush()
    return raw.getvalue().decode(encoding)


def row(text: str, label: str) -> str:
    """The first line that starts with a label."""
    return next(line for line in text.splitlines() if line.strip().startswith(label))


def test_the_answer_comes_before_the_detail() -> None:
    text = summary(example_document(), dashboard="outputs/shop/dashboard.html")
    marks = [
        "Shop <script>alert('x')</script> at 900/s",
        "900/s · cpu 1.62 of 2 cores (81.0%) · db 18 of 40 (45.0%)",
        "60 s x 10 · steady state · seed 1",
        "495k requests per scheduler, first 5.00 s removed as warm-up",
        "OVERLOADED: asyncio.",
        "STABLE",
        "p99 < 200ms",
        "\nlatency",
        "\nqueueing delay",
        "\nrequests",
        "\nutilisation",
        "\nmemory",
        "\ntime spent",
        "\ntheory",
        "\nself-check",
        "What binds",
        "Compared with tomcat",
        "Warnings",
        "outputs/shop/dashboard.html",
    ]
    places = [text.find(mark) for mark in marks]
    assert -1 not in places, marks[places.index(-1)]
    assert places == sorted(places)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(len(line) for line in summary(example_document(), width).splitlines()) <= width


def test_four_schedulers_stand_side_by_side_in_80_columns() -> None:
    text = summary(example_document(), 80)
    assert row(text, "STABLE").split() == ["STABLE", "OVERLOADED", "STABLE", "BACKLOGGED"]
    assert row(text, "mean").split("  ")[1:] != []


def test_more_schedulers_than_fit_are_shown_in_blocks() -> None:
    doc = example_document()
    doc["schedulers"] = [{**doc["schedulers"][0], "name": f"pool-{i}"} for i in range(9)]
    text = summary(doc, 80)
    assert all(f"pool-{i}" in text for i in range(9))
    assert sum(line.startswith("latency") for line in text.splitlines()) == 3
    assert max(len(line) for line in text.splitlines()) <= 80


def test_every_rung_of_the_latency_ladder_is_shown_with_its_half_width() -> None:
    text = summary(example_document(), 120)
    assert "110.7 ms ±1.6" in row(text, "p90")
    assert "340 ms ±38" in row(text, "p99.9")


def test_an_objective_shows_its_state_and_what_was_observed() -> None:
    assert row(summary(example_document(), 120), "p99 < 200ms").split("  ")[1:] != []
    cells = [c.strip() for c in row(summary(example_document(), 120), "p99 <").split("   ")]
    shown = [cell for cell in cells if cell and cell[0] in "✓✗?"]
    assert shown == ["? 212 ms ±8", "? - ¹", "✓ 97 ms ±4", "✓ 115 ms ±5"]


def test_a_missing_quantile_is_a_dash_with_a_footnote() -> None:
    text = summary(example_document(), 120)
    assert "- ¹" in row(text, "p99.9")
    assert row(text, "¹").split("¹")[1].strip() == (
        "7,220 requests were unfinished when the run stopped"
    )


def test_quantiles_with_too_few_samples_share_one_footnote() -> None:
    doc = example_document()
    for scheduler, there in zip(doc["schedulers"], (810, 790, 800, 805), strict=True):
        for name, needed in (("p99", 2000), ("p999", 20000)):
            reason = f"too few samples: {there} per replication, {needed} are needed for "
            reason += name.replace("999", "99.9")
            scheduler["latency_s"][name] = {"value": None, "ci95": None, "reason": reason}
    text = summary(doc, 120)
    assert row(text, "p99.9").split()[1:] == ["-", "²"] * 4
    assert row(text, "²").split("²")[1].strip() == (
        "too few samples: 790 to 810 per replication; p99 needs 2000, p99.9 needs 20000"
    )
    assert text.count("too few samples: ") == 1


def test_permits_that_were_not_got_stand_under_the_pool_that_did_not_give_them() -> None:
    doc = example_document()
    assert "no permit" not in summary(doc)
    for scheduler, counts in zip(
        doc["schedulers"],
        (
            {"asked": 1000, "timeouts": 500, "refusals": 20},
            {"asked": 800, "timeouts": 0, "refusals": 0},
        ),
        strict=False,
    ):
        scheduler["resources"]["db"] |= counts
    text = summary(doc, 120)
    assert row(text, "no permit").split() == ["no", "permit", *["whole", "run"] * 4]
    assert row(text, "db timed out").split()[3:] == ["500", "(50.0%)", "0", "-", "-"]
    assert row(text, "db refused").split()[2:] == ["20", "(2.00%)", "0", "-", "-"]


def test_what_a_hypervisor_took_is_shown_core_by_core_and_only_where_it_takes_any() -> None:
    doc = example_document()
    assert "stolen" not in summary(doc, 120)
    for scheduler in doc["schedulers"]:
        scheduler["stolen_by_core_s"] = [1.5, 0.25]
    assert "1.50 s + 250 ms" in row(summary(doc, 160), "stolen")


def test_the_cores_that_work_is_compared_with_are_those_that_a_hypervisor_leaves() -> None:
    doc = example_document()
    doc["config"]["host"] = {**doc["config"]["host"], "steal": 0.1}
    doc["offered"]["cpu_utilization"] = 0.9  # of 1.8
    assert "cpu 1.62 of 1.8 cores (90.0%)" in summary(doc)


def test_an_overloaded_column_says_that_its_latencies_depend_on_the_run() -> None:
    text = summary(example_document(), 120)
    assert "! run-dependent" in row(text, "latency")
    assert "depend on the length of the run" in " ".join(text.split())


def test_a_column_that_sheds_load_says_whose_latencies_it_has() -> None:
    doc = example_document()
    doc["schedulers"][1]["verdict_reason"] = "sheds load: 12 % of requests are rejected"
    text = summary(doc, 120)
    assert "! admitted only" in row(text, "latency")
    flat = " ".join(text.split())
    assert "OVERLOADED: asyncio. asyncio turns requests away. Its latencies are those of" in flat
    assert "length of the run: do not read" not in flat


def test_without_overload_nothing_is_said_of_it() -> None:
    doc = example_document()
    del doc["schedulers"][1]
    assert "OVERLOADED" not in summary(doc)
    assert "run-dependent" not in summary(doc)


def test_classes_have_rows_of_their_own_where_there_are_several() -> None:
    doc = example_document()
    assert "by class" not in summary(doc, 120)
    for scheduler in doc["schedulers"]:
        (one,) = scheduler["classes"].values()
        slow = {**one, "latency_s": {**one["latency_s"], "mean": {"value": 7.5, "ci95": None}}}
        scheduler["classes"] = {"quick": one, "slow": slow}
    text = summary(doc, 120)
    lines = text[text.index("mean by class") :].splitlines()
    assert lines[1].split()[0] == "quick"
    assert lines[2].split() == ["slow", *["7.50", "s"] * 4]
    assert lines[4].startswith("p99 by class")


def test_the_tail_of_classes_is_the_farthest_that_has_the_samples() -> None:
    doc = example_document()
    for scheduler in doc["schedulers"]:
        (one,) = scheduler["classes"].values()
        few = {key: {"value": None, "ci95": None, "reason": "too few"} for key in ("p95", "p99")}
        scheduler["classes"] = {
            key: {**one, "latency_s": {**one["latency_s"], **few}} for key in ("a", "b")
        }
    text = summary(doc, 120)
    assert "p90 by class" in text
    assert "p95 by class" not in text
    assert "p99 by class" not in text


def test_parts_that_take_no_time_anywhere_are_left_out() -> None:
    text = summary(example_document(), 120)
    assert "gil" not in [line.strip().split(" ")[0] for line in text.splitlines()]
    assert "93.0%" in row(text, "run queue")


def test_a_broken_law_is_named() -> None:
    doc = example_document()
    doc["schedulers"][0]["self_check"]["littles_law"]["ok"] = False
    assert "✗ Little's law" in row(summary(doc, 120), "laws hold")


def test_a_factor_is_claimed_only_where_the_intervals_are_apart() -> None:
    doc = example_document()
    flat = " ".join(summary(doc, 200).split())
    assert "p99 2.2x lower (96.9 ms against 212 ms)" in flat
    assert "latency not compared (asyncio overloaded)" in flat
    doc["schedulers"][2]["latency_s"]["p99"] = {"value": 0.2, "ci95": [0.18, 0.22]}
    flat = " ".join(summary(doc, 200).split())
    assert "p99 indistinguishable" in flat
    assert "2.2x lower" not in flat


def test_a_single_replication_claims_no_factor() -> None:
    doc = example_document()
    for scheduler in doc["schedulers"]:
        scheduler["latency_s"]["p99"] = {"value": 0.1, "ci95": None}
    assert "p99 without an interval, not compared" in " ".join(summary(doc, 200).split())


def test_names_are_printed_as_they_are_and_never_as_markup() -> None:
    doc = example_document()
    doc["schedulers"][0]["name"] = "[red]pool[/red]"
    text = summary(doc, 200)
    assert "[red]pool[/red]" in text
    assert SCRIPT_NAME.split()[1] in text
    assert LINK_NAME.split("=")[0] in text


def test_a_name_without_room_on_one_line_is_broken_after_a_hyphen() -> None:
    doc = example_document()
    doc["schedulers"][0]["name"] = "gunicorn-gthread"
    lines = [line.split() for line in summary(doc, 80).splitlines()]
    first = next(i for i, words in enumerate(lines) if "gunicorn-" in words)
    assert lines[first + 1][0] == "gthread"


def test_control_characters_of_a_name_do_not_reach_the_terminal() -> None:
    doc = example_document()
    doc["scenario"]["name"] = "evil\x1b[2J\x07name"
    text = summary(doc)
    assert "\x1b" not in text
    assert "\x07" not in text


def test_a_pipe_gets_no_escape_sequences() -> None:
    assert "\x1b" not in summary(example_document())


def test_an_ascii_terminal_gets_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    doc = example_document()
    doc["schedulers"][0]["name"] = "café ☕"
    text = summary(doc, 120, encoding="ascii")
    assert "NO 0.25% +-0.05" in text
    assert "ok 97 ms +-4" in text
    assert "[1]" in text
    assert "caf? ?" in text


COLOUR_VARIABLES = ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "TTY_COMPATIBLE")


@pytest.mark.parametrize(
    ("environment", "coloured"),
    [
        ({}, False),
        ({"FORCE_COLOR": "1", "TERM": "xterm-256color"}, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm"}, False),
    ],
)
def test_colour_follows_the_environment(
    environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in COLOUR_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    file = io.StringIO()
    render_summary(example_document(), Console(file=file, width=100))
    assert ("\x1b[1;32m" in file.getvalue()) is coloured  # bold green: STABLE


def test_a_document_with_next_to_nothing_in_it_is_still_a_summary() -> None:
    text = summary(bare_document())
    assert "closed workload" in text
    assert "no warm-up removed" in text
    assert "Compared with" not in text
