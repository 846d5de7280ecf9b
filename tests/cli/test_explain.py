"""Explanations: a topic for everything there is, knobs as the models have them, 80 columns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import tomli

from simsched.cli import complete
from simsched.explain import GROUPS, Topic, explain, topics
from simsched.explain.knobs import knobs_of
from simsched.explain.preset_file import settings
from simsched.explain.tables import CHOOSERS, policies_of, tables
from simsched.explain.topics import HEADINGS, full_name, parse
from simsched.observe.record import OUTCOMES, PARTS
from simsched.scenario import load_preset, loads_scenario, preset_names, preset_text
from simsched.scenario.arrivals import ARRIVAL_KINDS
from simsched.scenario.base import Model
from simsched.scenario.distributions import FAMILIES
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS
from simsched.stats import verdict

from .calls import call, call_json, shell

NAMES = [full_name(topic) for topic in topics()]
CONCEPTS = ("slo", "gil", "connections", "processes", "trace")
METRICS = (
    "latency", "queueing_delay", "breakdown", "throughput", "memory", "errors", "loop_lag",
    "littles_law", "utilization_law", "self_check", "blame", "binding", "warmup", "theory",
    "utilization.cpu", "utilization.workers", "utilization.overhead",
)  # fmt: skip


def in_group(group: str) -> set[str]:
    return {topic.name for topic in topics() if topic.group == group}


def test_everything_there_is_has_a_topic() -> None:
    assert in_group("preset") == set(preset_names())
    assert in_group("kind") == set(SCHEDULER_KINDS)
    assert in_group("policy") == {p for m in SCHEDULER_KINDS.values() for p in policies_of(m)}
    assert in_group("step") == set(STEP_KINDS)
    assert in_group("part") == set(PARTS)
    assert in_group("outcome") == set(OUTCOMES)
    assert in_group("verdict") == set(get_args(verdict.Kind))
    assert in_group("metric") >= set(METRICS)
    assert in_group("concept") >= set(CONCEPTS)


def knob_tables() -> Iterator[tuple[str, type[Model]]]:
    for kinds in (SCHEDULER_KINDS, STEP_KINDS, ARRIVAL_KINDS, FAMILIES):
        yield from kinds.items()
    for topic in topics():
        if topic.group == "concept":
            yield from ((title, model) for title, model, _ in tables(topic.name))


@pytest.mark.parametrize(("name", "model"), list(knob_tables()))
def test_every_knob_says_what_it_is(name: str, model: type[Model]) -> None:
    knobs = knobs_of(model, hide=frozenset({"kind", "dist", "name", "preset"}))
    undescribed = [knob.key for knob in knobs if not knob.description.endswith((".", ")"))]
    assert undescribed == []
    assert all(knob.takes for knob in knobs)


@pytest.mark.parametrize("kind", SCHEDULER_KINDS)
def test_a_kind_shows_each_knob_with_its_default(kind: str) -> None:
    shown = call("explain", kind).stdout
    for knob in knobs_of(SCHEDULER_KINDS[kind], hide=frozenset({"kind", "name", "preset"})):
        line = f"  {knob.key} = {knob.default}" if knob.default else f"  {knob.key} is absent"
        assert line in shown.splitlines()
        assert words(knob.description) in words(shown)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_shows_each_value_of_its_file_with_the_source(name: str) -> None:
    page = call_json("explain", f"preset:{name}", "--json")
    shown = {knob["key"]: knob for knob in page["knobs"]}
    written = flat(tomli.loads(preset_text(name))["scheduler"])
    del written["kind"]
    assert {key for key, knob in shown.items() if knob["value"] is not None} == set(written)
    for key, value in written.items():
        assert tomli.loads(f"v = {shown[key]['value']}")["v"] == value
        assert len(shown[key]["source"]) > 10 or key in CHOOSERS, key
    assert page["models"] == load_preset(name).models
    assert page["sources"]
    assert {"The real system", "In overload"} <= set(page["sections"])


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return found


def test_a_comment_belongs_to_the_keys_below_it() -> None:
    pool = settings("jdk-thread-pool")
    assert pool["maximumPoolSize"].source == pool["corePoolSize"].source
    assert pool["corePoolSize"].source.startswith("JDK Executors.java: newFixedThreadPool(n)")
    assert pool["memory.thread"].source.startswith("Measured: resident memory per parked")
    assert pool["memory.thread"].value == '"42KiB"'


def test_a_default_is_what_a_scenario_without_the_knob_has() -> None:
    scenario = loads_scenario(SCENARIO)
    own = scenario.resolved()["schedulers"][0]
    page = explain("policy:jdk")
    for knob in (knob for knobs in page.knobs.values() for knob in knobs):
        if knob.key in ("corePoolSize", "maximumPoolSize"):
            assert knob.required
        elif "." not in knob.key and knob.key in own:
            assert knob.default == json.dumps(own[knob.key])


SCENARIO = """
scenario = { name = "s", duration = "1s" }
host = { cores = 2 }
workload.arrivals = { kind = "poisson", rate = "1/s" }
workload.requests = [{ name = "r", steps = [{ cpu = "1ms" }] }]
schedulers = [{ kind = "thread_pool", policy = "jdk", corePoolSize = 1, maximumPoolSize = 1 }]
"""


@pytest.mark.parametrize("name", NAMES)
def test_a_page_fits_the_terminal(name: str) -> None:
    result = call("explain", name)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{name}  ")
    assert len(lines) >= 3
    assert not any(line.endswith(" ") for line in lines)
    assert "\x1b" not in result.stdout


def test_the_list_has_each_topic_on_one_line() -> None:
    lines = call("explain").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...")], "no summary is cut"
    assert [line for line in lines if line in GROUPS.values()] == list(GROUPS.values())
    assert [line.split()[0] for line in lines if line.startswith("  ")] == NAMES


@pytest.mark.parametrize("topic", [t for t in topics() if t.group != "preset"], ids=full_name)
def test_a_text_is_complete(topic: Topic) -> None:
    assert 10 <= len(topic.summary) <= 57, "one line of the list"
    assert topic.summary.endswith(".")
    assert set(explain(full_name(topic)).topic.see_also) <= set(NAMES)
    if topic.group in ("kind", "policy"):
        assert {"The real system", "In overload"} <= set(topic.sections)
        assert topic.sources
    for source in topic.sources:
        assert "https://" in source or "." in source


def test_names_are_told_apart_where_there_are_several() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert explain("tomcat").topic.group == "preset"
    assert explain("policy:tomcat").topic.group == "policy"
    assert "policy:tomcat" in words(call("explain", "tomcat").stdout)
    assert explain("cpu").topic.group == "step"
    assert explain("part:cpu").topic.group == "part"
    assert explain("gil").topic.group == "concept"
    assert explain("kind:goroutine") == explain("goroutine")
    assert explain("overloaded") == explain("OVERLOADED")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("tomkat", "tomcat"),
        ("policy:tomkat", "tomcat"),
        ("qeueing-delay", "queueing_delay"),
        ("Utilisation.cpu", "utilization.cpu"),
        ("backloged", "BACKLOGGED"),
        ("gunicorn", 'gunicorn-sync" or "gunicorn-gthread'),
    ],
)
def test_a_wrong_name_gets_the_right_one(wrong: str, right: str) -> None:
    result = call("explain", wrong)
    assert result.exit_code == 2
    assert f'no topic is called "{wrong}"' in result.stderr
    assert f'did you mean "{right}"?' in result.stderr
    assert result.stdout == ""


def test_a_percentile_is_a_latency() -> None:
    assert explain("p99").topic.name == explain("p99.9").topic.name == "latency"


def test_the_list_of_topics_cuts_no_sentence_in_80_columns() -> None:
    assert "..." not in call("explain").stdout


def test_a_knob_is_explained_wherever_it_is() -> None:
    shown = call("explain", "maxThreads").stdout
    assert "  maxThreads = 200" in shown.splitlines()
    assert "  maxThreads = 10000" in shown.splitlines()
    assert shown.splitlines()[-1] == "  thread_pool, goroutine"
    backlog = explain("listen.backlog").knobs
    (of_gunicorn,) = [title for title, (knob,) in backlog.items() if knob.default == "2048"]
    assert of_gunicorn == 'kind = "sync_workers", kind = "gthread"'
    assert explain("uv_threadpool_size").knobs


def test_a_name_like_no_other_is_sent_to_the_list() -> None:
    result = call("explain", "zzzzzzzz")
    assert result.exit_code == 2
    assert '"simsched explain" lists all topics' in result.stderr


def test_json_is_for_tools() -> None:
    listed = call_json("explain", "--json")
    assert listed["schema"] == "simsched.topics/1"
    assert [topic["name"] for topic in listed["topics"]] == NAMES
    page = call_json("explain", "go", "--json")
    assert page["schema"] == "simsched.explain/1"
    assert (page["name"], page["group"]) == ("go", "preset")
    knob = next(knob for knob in page["knobs"] if knob["key"] == "create")
    assert (knob["unit"], knob["default"], knob["value"]) == ("s", '"1.2us"', '"1.2us"')
    assert knob["source"].startswith("Measured: go + run + exit costs 1.2 to 1.5 us.")


def test_knobs_are_described_in_the_published_schema_too() -> None:
    schema = call_json("schema", "scenario")["$defs"]
    assert schema["ThreadPoolSpec"]["properties"]["maxThreads"]["description"]


def test_names_are_completed() -> None:
    assert ("policy:tomcat", "Grows to maxThreads first; only then does it queue.") in (
        complete.topic_names("pol")
    )
    assert [name for name, _ in complete.topic_names("stab")] == ["STABLE"]
    assert len(complete.topic_names("")) == len(NAMES)


def test_a_text_without_summary_or_with_an_unknown_heading_is_refused() -> None:
    with pytest.raises(ValueError, match="begins with a title"):
        parse("part", "x", "Just text.")
    with pytest.raises(ValueError, match='unknown heading "Srouces"'):
        parse("part", "x", "# X\n\nSummary.\n\n## Srouces\n\n- a\n")
    assert "Sources" in HEADINGS


def test_colours_are_for_terminals_only() -> None:
    assert "\x1b[" in call("explain", "go", env={"FORCE_COLOR": "1"}).stdout
    assert "\x1b[" not in shell("explain", "go").stdout
