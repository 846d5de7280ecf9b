"""Spring Boot on threads, virtual threads and Netty as published, beside what the model predicts.

    python -m tests.published.spring

https://github.com/chrisgleissner/loom-webflux-benchmarks (see reactor.py): virtual threads behind
Tomcat's connector. JEP 444 and JEP 491: what a pool and what pinning do to sleeping tasks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from simsched.observe.record import COMPLETED, RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

from .reactor import SETTLED_S, THINK
from .rows import Row, Steps, closed_loop, throughput_rps

SLEEP_100_MS: Steps = [{"sleep": "100ms"}]
LONG_ENOUGH = "64s"
"""Longer than the patience of a client (60 s) and the longest first thought (3 s)."""


def waits_100_ms(
    preset: str, arrivals: dict[str, Any], connections: dict[str, Any], duration: str
) -> RunRecord:
    """That server with that load, whose clients give up after 60 s."""
    request = {"name": "a", "timeout": "60s", "steps": SLEEP_100_MS}
    scenario = Scenario.from_dict(
        {
            "scenario": {"name": "published", "duration": duration},
            "host": {"cores": 20},
            "workload": {
                "arrivals": arrivals,
                "requests": [request],
                "connections": connections,
            },
            "schedulers": [{"preset": preset}],
        }
    )
    return simulate(scenario, scenario.schedulers[0], draw(scenario, 0))


@cache
def users(preset: str, number: int, duration: str) -> RunRecord:
    """So many users who think for one to three seconds."""
    closed = {"kind": "closed", "users": number, "think": THINK}
    return waits_100_ms(preset, closed, {"keep_alive": True}, duration)


def plateaus() -> list[Row]:
    """20009 and 60010 users at the end of the ramp; p90 of the rate per second."""
    published = (
        ("virtual-threads", 20009, LONG_ENOUGH, 3944.0),
        ("virtual-threads", 60010, "14s", 3955.0),
        ("webflux", 60010, "8s", 28481.0),
    )
    return [
        (f"{preset}, {n} users: requests/s", throughput_rps(users(preset, n, t), SETTLED_S), seen)
        for preset, n, t, seen in published
    ]


@cache
def at_5000_rps() -> RunRecord:
    """5000 requests a second over 5000 connections, on virtual threads behind Tomcat."""
    steady = {"kind": "constant", "rate": "5000/s"}
    return waits_100_ms("virtual-threads", steady, {"count": 5000}, "3s")


def five_thousand_a_second() -> list[Row]:
    """results/scenarios-default, loom-tomcat."""
    record = at_5000_rps()
    times = np.sort(1e3 * (record.finish_s - record.arrival_s)[record.arrival_s > 1.0])
    return [("virtual-threads, 5000/s, 100 ms: p50, ms", float(np.quantile(times, 0.5)), 101.0)]


def ten_thousand_sleepers() -> list[Row]:
    """JEP 444: 10,000 tasks that sleep for a second, on a fixed pool of 200 and on none."""
    second: Steps = [{"sleep": "1s"}]
    pool = closed_loop({"preset": "jdk-thread-pool"}, 10_000, second, duration="6.5s")
    virtual = closed_loop({"preset": "virtual-threads"}, 10_000, second, duration="6.5s")
    return [
        ("10,000 sleep 1 s, pool of 200: tasks/s", throughput_rps(pool, 1.5), 200.0),
        ("10,000 sleep 1 s, virtual threads: tasks/s", throughput_rps(virtual, 1.5), 10_000.0),
    ]


def thousandth_end_s(preset: str, duration: str) -> float:
    """When 1000 virtual threads on one carrier have slept 100 ms in synchronized."""
    steps: Steps = [{"blocking": "100ms", "kind": "synchronized"}]
    record = closed_loop(
        {"preset": preset, "parallelism": 1}, 1000, steps, think="0s", duration=duration
    )
    return float(np.sort(record.finish_s[record.outcome == COMPLETED])[999])


def a_thousand_in_synchronized() -> list[Row]:
    """pawelwlodarski.gitbook.io, on JEP 491: about 100 s before JDK 24, 0.1 s since."""
    return [
        (
            "1000 synchronized sleeps, JDK 21: s",
            thousandth_end_s("virtual-threads-21", "101s"),
            100,
        ),
        ("1000 synchronized sleeps, JDK 25: s", thousandth_end_s("virtual-threads", "1s"), 0.1),
    ]


EXPERIMENTS = (plateaus, five_thousand_a_second, ten_thousand_sleepers, a_thousand_in_synchronized)


def main() -> None:
    """Print all of it."""
    for experiment in EXPERIMENTS:
        for label, predicted, published in experiment():
            print(f"{label:48}{predicted:12.4g}{published:12.4g}{predicted / published - 1:+9.1%}")


if __name__ == "__main__":
    main()
