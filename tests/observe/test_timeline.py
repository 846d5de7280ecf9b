"""The timeline log: what it writes agrees with the run's own record, and is bounded."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from kit import GO, LOOP, VIRTUAL, hold, jdk, offload, parallel, scenario_of, tomcat

from simsched import Scenario, trace
from simsched.observe.record import PARTS
from simsched.observe.timeline import Timeline
from simsched.observe.timeline_log import TimelineLog
from simsched.sim.engine import Simulation, simulate
from simsched.workload import draw

BUSY = [
    {
        "name": "mixed",
        "steps": [
            {"cpu": {"dist": "exponential", "mean": "1ms"}},
            {"io": {"dist": "exponential", "mean": "3ms"}},
            hold("use", "db", "cpu 1ms, io 2ms"),
            parallel("io 2ms, cpu 1ms", "cpu 1ms"),
            offload("to_thread", "blocking file 1ms, cpu 1ms"),
        ],
    }
]
SPECS: dict[str, dict[str, Any]] = {
    "loop": LOOP,
    "pool": tomcat(8),
    "python": {"preset": "cpython-threads"},
    "go": GO,
    "virtual": VIRTUAL,
    "pinned": {**VIRTUAL, "jdk": 21},
}


def busy(spec: dict[str, Any], **options: Any) -> Scenario:
    """Some 60 requests on two cores and two connections of a database."""
    return scenario_of(
        BUSY,
        spec,
        arrivals={"kind": "poisson", "rate": "300/s"},
        duration="200ms",
        drain="10s",
        resources={"db": 2},
        cores=2,
        **options,
    )


def watched(scenario: Scenario) -> tuple[Timeline, Any]:
    log = TimelineLog()
    simulation = Simulation(scenario, scenario.schedulers[0], draw(scenario, 0), 0, [log])
    record = simulation.run()
    return log.close(), record


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
class TestARun:
    def test_its_record_is_the_same_whether_it_is_watched_or_not(self, spec: Any) -> None:
        scenario = busy(spec)
        _, seen = watched(scenario)
        alone = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
        assert np.array_equal(seen.finish_s, alone.finish_s, equal_nan=True)
        assert np.array_equal(seen.parts_s, alone.parts_s)

    def test_the_stays_of_a_request_are_its_latency_without_gap_or_overlap(self, spec: Any) -> None:
        timeline, record = watched(busy(spec))
        stays = timeline.stays_of()
        assert len(timeline.requests) == len(record)
        for span in timeline.requests:
            own = [stay for stay in stays[span.request] if not stay.branch]
            assert own[0].start_s == span.start_s == record.arrival_s[span.request]
            assert own[-1].end_s == span.end_s == record.finish_s[span.request]
            assert all(a.end_s == b.start_s for a, b in pairwise(own))

    def test_the_stays_add_up_to_the_breakdown(self, spec: Any) -> None:
        """But for overhead inside a burst, which the record tells apart from computing."""
        timeline, record = watched(busy(spec))
        sums: dict[str, float] = defaultdict(float)
        for stay in timeline.stays:
            if not stay.branch:
                sums[stay.part] += stay.end_s - stay.start_s
        want = dict(zip(PARTS, record.parts_s.sum(axis=0).tolist(), strict=True))
        for parts in (sums, want):
            parts["cpu"] += parts.pop("overhead", 0.0)
        assert {p: s for p, s in sums.items() if s} == pytest.approx(
            {p: s for p, s in want.items() if s > 1e-12}, abs=1e-9
        )

    def test_a_thread_does_one_thing_at_a_time_and_a_core_has_one_thread(self, spec: Any) -> None:
        timeline, _ = watched(busy(spec))
        free_s: dict[object, float] = defaultdict(float)
        pieces = [(p.worker, p.start_s, p.end_s) for p in timeline.workers]
        for key, start_s, end_s in pieces + [(p.core, p.start_s, p.end_s) for p in timeline.cores]:
            assert free_s[key] <= start_s < end_s
            free_s[key] = end_s

    def test_threads_compute_on_cores_and_nowhere_else(self, spec: Any) -> None:
        timeline, _ = watched(busy(spec))
        on_core: dict[str, float] = defaultdict(float)
        for piece in timeline.cores:
            on_core[piece.thread] += piece.end_s - piece.start_s
        computing: dict[str, float] = defaultdict(float)
        for work in timeline.workers:
            if work.state == "cpu":
                computing[work.worker] += work.end_s - work.start_s
        assert computing
        assert all(computing[name] <= on_core[name] + 1e-9 for name in computing)

    def test_who_computes_at_once_has_a_core_and_a_lock_each(self, spec: Any) -> None:
        timeline, _ = watched(busy(spec))
        changes = [(p.start_s, 1) for p in timeline.workers if p.state == "cpu"]
        changes += [(p.end_s, -1) for p in timeline.workers if p.state == "cpu"]
        most = now = 0
        for _, change in sorted(changes):
            now += change
            most = max(most, now)
        locked = spec is SPECS["python"] or spec is SPECS["loop"]
        assert most == (1 if locked else 2)

    def test_queues_are_never_negative_and_empty_in_the_end(self, spec: Any) -> None:
        timeline, _ = watched(busy(spec))
        values = {count.name: count.value for count in timeline.counts}
        assert min(count.value for count in timeline.counts) == 0
        assert set(values.values()) == {0}
        assert {"requests in the system", "db: in use", "db: waiting"} <= set(values)

    def test_an_arrow_ends_where_its_request_goes_on(self, spec: Any) -> None:
        timeline, _ = watched(busy(spec))
        starts = {(p.worker, p.request, p.start_s) for p in timeline.workers}
        assert {wake.kind for wake in timeline.wakes} >= {"permit"}
        for wake in timeline.wakes:
            assert wake.from_s <= wake.to_s
            assert (wake.to_worker, wake.request, wake.to_s) in starts
            assert (wake.by == wake.request) == (wake.kind != "permit")
            assert wake.kind not in ("move", "return") or wake.from_worker != wake.to_worker


def test_a_window_is_a_part_of_the_whole() -> None:
    scenario = busy(jdk(4))
    (whole,) = trace(scenario).timelines
    (part,) = trace(scenario, start_s=0.05, end_s=0.1).timelines
    assert (part.start_s, part.end_s, part.cut) == (0.05, 0.1, False)
    inside = [
        stay._replace(start_s=max(stay.start_s, 0.05), end_s=min(stay.end_s, 0.1))
        for stay in whole.stays
        if stay.end_s > 0.05 and stay.start_s < 0.1
    ]
    key = lambda stay: (stay.start_s, stay.request, stay.branch, stay.end_s)  # noqa: E731
    assert sorted(part.stays, key=key) == sorted(inside, key=key)
    under_way = [s for s in whole.requests if s.start_s < 0.1 and (s.end_s or 0.0) >= 0.05]
    assert [s.request for s in part.requests] == [s.request for s in under_way]
    values = {c.name: c.value for c in part.counts if c.time_s == 0.05}
    before = {c.name: c.value for c in whole.counts if c.time_s <= 0.05}
    assert values == before | values


def test_what_is_too_much_is_cut_at_one_time_for_all() -> None:
    scenario = busy({"preset": "go"})
    both = scenario.model_copy(
        update={"schedulers": [*scenario.schedulers, *busy({"preset": "tomcat"}).schedulers]}
    )
    found = trace(both, limit=2_000)
    assert found.cut
    assert len({line.end_s for line in found.timelines}) == 1
    assert 0.0 < found.end_s < 0.2
    for line in found.timelines:
        assert all(piece.end_s <= found.end_s for piece in line.workers)
        assert all(stay.end_s <= found.end_s for stay in line.stays)
        assert any(span.end_s is None for span in line.requests)


@pytest.mark.parametrize(
    "wrong", [{"start_s": 2.0, "end_s": 1.0}, {"replication": -1}, {"limit": 0}, {"start_s": -1.0}]
)
def test_a_window_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"window|negative"):
        trace(busy(GO), **wrong)
