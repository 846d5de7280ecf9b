"""The span log: every stay of every request, to be read as a timeline."""

from __future__ import annotations

from kit import LOOP, parallel, request, run, scenario_of

from simsched.observe.spans import SpanLog
from simsched.sim.engine import simulate
from simsched.workload import draw


def spans(log: SpanLog, **options: object) -> list[tuple[int, str, float, float]]:
    """Two requests, one millisecond apart, each cpu 3 ms, io 4 ms, cpu 2 ms on one loop."""
    scenario = scenario_of(
        [{"name": "w", "steps": [{"cpu": "3ms"}, {"io": "4ms"}, {"cpu": "2ms"}], **options}],
        LOOP,
        arrivals={"kind": "constant", "rate": "1000/s"},
        duration="2ms",
        drain="1s",
    )
    simulate(scenario, scenario.schedulers[0], draw(scenario, 0), observers=[log])
    rounded = ((s.request, s.part, s.start_s * 1e3, s.end_s * 1e3) for s in log.spans)
    return [(i, part, round(start, 9), round(end, 9)) for i, part, start, end in rounded]


def test_the_stays_of_two_requests_on_one_loop() -> None:
    assert spans(SpanLog()) == [
        (0, "cpu", 0.0, 3.0),
        (1, "admission", 1.0, 3.0),
        (1, "cpu", 3.0, 6.0),
        (0, "io", 3.0, 7.0),
        (0, "cpu", 7.0, 9.0),
        (1, "io", 6.0, 10.0),
        (1, "cpu", 10.0, 12.0),
    ]


def test_a_window_keeps_what_overlaps_it() -> None:
    assert spans(SpanLog(6.5e-3, 7.5e-3)) == [
        (0, "io", 3.0, 7.0),
        (0, "cpu", 7.0, 9.0),
        (1, "io", 6.0, 10.0),
    ]


def test_a_request_is_followed_until_its_client_gives_up() -> None:
    assert spans(SpanLog(), timeout="5ms")[-2:] == [(0, "io", 3.0, 5.0), (1, "cpu", 3.0, 6.0)]


def test_branches_are_followed_beside_their_request() -> None:
    """cpu 1 ms, then io 2 ms beside cpu 3 ms; the client gives up when 2 of those 3 are done."""
    log = SpanLog()
    steps = [{"cpu": "1ms"}, parallel("io 2ms", "cpu 3ms")]
    run(LOOP, request(steps, timeout="3ms"), watch=[log])
    rounded = [(s.branch, s.part, round(s.start_s * 1e3), round(s.end_s * 1e3)) for s in log.spans]
    assert sorted(rounded) == [
        (0, "cpu", 0, 1),
        (0, "join", 1, 3),
        (1, "io", 1, 3),
        (2, "cpu", 1, 3),
    ]
