"""Spring WebFlux on Netty as published, beside what the model predicts.

    python -m tests.published.reactor

Each function simulates one experiment and returns rows: what it is, what the model predicts, what
was seen. https://github.com/chrisgleissner/loom-webflux-benchmarks: Spring Boot 3.4.3 on an
i5-14600K (20 logical processors), load from k6 on the same host, a wait of 100 ms (``Mono.delay``)
per request, three minutes; here it is some seconds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from simsched.observe.record import COMPLETED, RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

Row = tuple[str, float, float]
"""What it is, predicted, published."""

THINK = {"dist": "uniform", "low": "1s", "high": "3s"}
SETTLED_S = 6.0
"""Users who begin together spread out over two or three rounds of 2.1 s."""


def waits_100_ms(arrivals: dict[str, Any], connections: dict[str, Any], duration: str) -> RunRecord:
    """WebFlux with that load."""
    scenario = Scenario.from_dict(
        {
            "scenario": {"name": "published", "duration": duration},
            "host": {"cores": 20},
            "workload": {
                "arrivals": arrivals,
                "requests": [{"name": "a", "steps": [{"sleep": "100ms"}]}],
                "connections": connections,
            },
            "schedulers": [{"preset": "webflux"}],
        }
    )
    return simulate(scenario, scenario.schedulers[0], draw(scenario, 0))


@cache
def users(number: int, duration: str = "10s") -> RunRecord:
    """So many users who think for one to three seconds."""
    closed = {"kind": "closed", "users": number, "think": THINK}
    return waits_100_ms(closed, {"keep_alive": True}, duration)


def throughput_rps(record: RunRecord) -> float:
    """Completions per second, once everybody has begun."""
    ended_s = record.finish_s[record.outcome == COMPLETED]
    inside = (ended_s > SETTLED_S) & (ended_s <= record.duration_s)
    return float(np.count_nonzero(inside)) / (record.duration_s - SETTLED_S)


def twenty_thousand_users() -> list[Row]:
    """results/scenarios-default: 20009 users at the end of the ramp; p90 of the rate per second."""
    return [("webflux, 20009 users: requests/s", throughput_rps(users(20009)), 9485.0)]


@cache
def at_5000_rps() -> RunRecord:
    """5000 requests a second over 5000 connections."""
    return waits_100_ms({"kind": "constant", "rate": "5000/s"}, {"count": 5000}, "3s")


def five_thousand_a_second() -> list[Row]:
    """results/scenarios-default: 5000 requests a second over 5000 connections."""
    record = at_5000_rps()
    times = np.sort(1e3 * (record.finish_s - record.arrival_s)[record.arrival_s > 1.0])
    what = "webflux, 5000/s, 100 ms: "
    return [
        (what + "p50, ms", float(np.quantile(times, 0.5)), 101.0),
        (what + "p99, ms", float(np.quantile(times, 0.99)), 102.0),
    ]


EXPERIMENTS = (twenty_thousand_users, five_thousand_a_second)


def main() -> None:
    """Print all of it."""
    for experiment in EXPERIMENTS:
        for label, predicted, published in experiment():
            print(f"{label:44}{predicted:12.4g}{published:12.4g}{predicted / published - 1:+9.1%}")


if __name__ == "__main__":
    main()
