"""Spring Boot on threads, virtual threads and Netty as published, beside what the model predicts.

    python -m tests.published.spring            print the table, in some minutes
    python -m tests.published.spring --write    and put it into README.md

https://github.com/chrisgleissner/loom-webflux-benchmarks (see reactor.py): virtual threads behind
Tomcat's connector ("loom-tomcat") and behind Netty ("loom-netty"), which lets in any number of
connections. Of its scenarios, the one without any wait (1000/s) and that of 40,000/s are missing:
what they show is the CPU that Spring and the load generator take on that host, which is told
nowhere, and they cannot be predicted without being fitted.

https://www.besthub.dev/articles/boosting-spring-boot-performance-virtual-threads-vs-tomcat-pool-vs-webflux-cff84ee6d1e1
(Spring Boot 3.2, JDK 21): 500 threads of JMeter, each with 200 requests. The page tells neither the
host nor the wait; 500 users and 4700 requests a second leave 100 ms for it, so that only the
difference between the two is predicted. JMeter starts its threads within a second, by default.

JEP 444 and JEP 491: what a pool and what pinning do to sleeping tasks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from simsched.observe.record import COMPLETED, TIMED_OUT, RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

from .__main__ import README, line, with_table
from .reactor import SETTLED_S, THINK
from .rows import DESKTOP, Row, Steps, closed_loop, throughput_rps

BEGIN, END = "<!-- spring: begin -->", "<!-- spring: end -->"

SLEEP_100_MS: Steps = [{"sleep": "100ms"}]
Server = dict[str, Any]
LOOM_TOMCAT: Server = {"preset": "virtual-threads"}
# Netty's NetUtil.SOMAXCONN is its backlog; it has no other limits of connections.
ALL = {"backlog": 4096, "max_connections": 2**31 - 1, "keep_alive": "1h", "max_requests": 0}
LOOM_NETTY: Server = {"preset": "virtual-threads", "listen": ALL}
WEBFLUX: Server = {"preset": "webflux"}
SERVERS = {"loom-tomcat": LOOM_TOMCAT, "loom-netty": LOOM_NETTY, "webflux-netty": WEBFLUX}
LONG_ENOUGH = "64s"
"""Longer than the patience of a client (60 s) and the longest first thought (3 s)."""


def waits_100_ms(
    server: str, arrivals: dict[str, Any], connections: dict[str, Any], duration: str
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
            "schedulers": [SERVERS[server]],
        }
    )
    return simulate(scenario, scenario.schedulers[0], draw(scenario, 0))


@cache
def users(server: str, number: int, duration: str) -> RunRecord:
    """So many users who think for one to three seconds."""
    closed = {"kind": "closed", "users": number, "think": THINK}
    return waits_100_ms(server, closed, {"keep_alive": True}, duration)


def plateaus() -> list[Row]:
    """20009 and 60010 users at the end of the ramp; p90 of the rate per second."""
    published = (
        ("loom-tomcat", 20009, LONG_ENOUGH, 3944.0),
        ("loom-tomcat", 60010, "14s", 3955.0),
        ("loom-netty", 20009, "9s", 9471.0),
        ("loom-netty", 60010, "8s", 28478.0),
        ("webflux-netty", 60010, "8s", 28481.0),
    )
    return [
        (f"{server}, {n} users: requests/s", throughput_rps(users(server, n, t), SETTLED_S), seen)
        for server, n, t, seen in published
    ]


@cache
def steady(server: str, rate: int, duration: str) -> RunRecord:
    """So many requests a second over as many connections."""
    return waits_100_ms(
        server, {"kind": "constant", "rate": f"{rate}/s"}, {"count": rate}, duration
    )


def five_thousand_a_second() -> list[Row]:
    """results/scenarios-default: 5000 requests a second over 5000 connections."""
    rows = []
    for server in ("loom-tomcat", "loom-netty"):
        record = steady(server, 5000, "3s")
        times = 1e3 * (record.finish_s - record.arrival_s)[record.arrival_s > 1.0]
        what = f"{server}, 5000/s, 100 ms: "
        rows.append((what + "p50, ms", float(np.quantile(times, 0.5)), 101.0))
        rows.append((what + "p99, ms", float(np.quantile(times, 0.99)), 103.0))
    return rows


def errors(record: RunRecord) -> int:
    """Requests that their clients gave up."""
    return int(np.count_nonzero(record.outcome == TIMED_OUT))


SELDOM = {"dist": "uniform", "low": "0s", "high": "20s"}


@cache
def ten_thousand_users() -> RunRecord:
    """10,000 users with a connection each, on Tomcat, until the last of them has given up."""
    closed = {"kind": "closed", "users": 10_000, "think": SELDOM}
    return waits_100_ms("loom-tomcat", closed, {"keep_alive": True}, "81s")


def ten_thousand_connections() -> list[Row]:
    """results/scenarios-default: 10,000 requests a second over 10,000 connections.

    9350 errors of Tomcat in three minutes, and none of Netty. Each user of the load generator has a
    connection of its own, so it is users that give up here: those of an open workload share the
    connections that there are. Whom Tomcat does not let in gives up after a minute. What the others
    do meanwhile does not matter to them, so that these ask seldom.
    """
    record = steady("loom-tomcat", 10_000, "3s")
    times = 1e3 * (record.finish_s - record.arrival_s)[record.arrival_s > 1.0]
    what = "loom-tomcat, 10000 connections: "
    return [
        (what + "errors a minute", float(errors(ten_thousand_users())), 9350.0 / 3),
        (what + "p50 at 10000/s, ms", float(np.quantile(times, 0.5)), 101.0),
    ]


@cache
def jmeter(server: str) -> float:
    """Requests a second that JMeter reports: of 500 threads that send 200 requests each."""
    pool: Server = {"preset": "tomcat", "minSpareThreads": 500, "maxThreads": 1000}
    scheduler = pool if server == "tomcat" else {"preset": server}
    record = closed_loop(
        scheduler,
        500,
        SLEEP_100_MS,
        connections={"keep_alive": True},
        host=DESKTOP,
        duration="21s",
    )
    last_s = float(np.sort(record.finish_s[record.outcome == COMPLETED])[500 * 200 - 1])
    return 500 * 200 / (last_s + RAMP_UP_S)


RAMP_UP_S = 1.0
"""JMeter's default, within which its threads start; here they start at once."""


def five_hundred_threads_of_jmeter() -> list[Row]:
    """besthub.dev: a pool that is large enough, and virtual threads."""
    return [
        ("500 users, Tomcat pool of 500 to 1000: requests/s", jmeter("tomcat"), 4696.0),
        ("500 users, virtual threads: requests/s", jmeter("virtual-threads-21"), 4677.0),
    ]


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


EXPERIMENTS = (
    five_thousand_a_second,
    five_hundred_threads_of_jmeter,
    ten_thousand_sleepers,
    a_thousand_in_synchronized,
    plateaus,
    ten_thousand_connections,
)


def made() -> Iterator[str]:
    """All experiments, as Markdown, line by line."""
    yield "| what | predicted | seen | off |"
    yield "|---|---:|---:|---:|"
    for experiment in EXPERIMENTS:
        for row in experiment():
            yield line(*row)


def main(arguments: Sequence[str]) -> None:
    """Print the table as it grows; with ``--write``, put it into the README, too."""
    lines = []
    for text in made():
        print(text, flush=True)
        lines.append(text)
    if "--write" in arguments:
        readme = README.read_text("utf-8")
        README.write_text(with_table(readme, "\n".join(lines), BEGIN, END), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
