"""On a machine without costs, first-come-first-served schedulers are exact queues.

Request by request, not on average: the simulator and a recursion of three lines have to agree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kit import GO, LOOP, RUN_TO_END, VIRTUAL, Spec, hold, jdk, run_trace, tomcat

from simsched.observe.record import PARTS

from .recursions import Floats, kiefer_wolfowitz, lindley

N = 600
SAME_S = 1e-9


def poisson(rng: np.random.Generator, rate: float) -> Floats:
    return np.cumsum(rng.exponential(1 / rate, N))


def evenly(rng: np.random.Generator, rate: float) -> Floats:
    return np.arange(N) / rate


def in_batches_of_three(rng: np.random.Generator, rate: float) -> Floats:
    return np.repeat(np.cumsum(rng.exponential(3 / rate, N // 3)), 3)


def exponential(rng: np.random.Generator) -> Floats:
    return rng.exponential(1.0, N)


def heavy_tailed(rng: np.random.Generator) -> Floats:
    return rng.pareto(2.2, N) * 1.2


def constant(rng: np.random.Generator) -> Floats:
    return np.ones(N)


ARRIVALS = pytest.mark.parametrize("arrivals", [poisson, evenly, in_batches_of_three])
SERVICE = pytest.mark.parametrize("service", [exponential, heavy_tailed, constant])


def workload(arrivals: Any, service: Any, servers: int, load: float = 0.9) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(20)
    return arrivals(rng, load * servers), service(rng)


@ARRIVALS
@SERVICE
def test_one_loop_is_a_single_server_queue(arrivals: Any, service: Any) -> None:
    arrival_s, service_s = workload(arrivals, service, 1)
    record = run_trace(LOOP, "cpu 1s", arrival_s, service_s[:, None], cores=4)
    assert record.finish_s == pytest.approx(lindley(arrival_s, service_s), abs=SAME_S, rel=0)


@ARRIVALS
@SERVICE
@pytest.mark.parametrize("threads", [1, 4])
def test_threads_that_only_wait_are_the_servers(arrivals: Any, service: Any, threads: int) -> None:
    arrival_s, service_s = workload(arrivals, service, threads)
    expected = kiefer_wolfowitz(arrival_s, service_s, threads)
    for spec, step in ((tomcat(threads), "blocking 1s"), (jdk(threads), "io 1s")):
        record = run_trace(spec, step, arrival_s, service_s[:, None])
        assert record.finish_s == pytest.approx(expected, abs=SAME_S, rel=0)


@ARRIVALS
@SERVICE
@pytest.mark.parametrize("cores", [1, 4])
@pytest.mark.parametrize("kind", ["threads", "carriers"])
def test_cores_are_the_servers_of_a_pool_or_of_carriers_that_run_to_the_end(
    arrivals: Any, service: Any, cores: int, kind: str
) -> None:
    spec = tomcat(cores) if kind == "threads" else VIRTUAL
    arrival_s, service_s = workload(arrivals, service, cores)
    record = run_trace(spec, "cpu 1s", arrival_s, service_s[:, None], cores=cores, os=RUN_TO_END)
    expected = kiefer_wolfowitz(arrival_s, service_s, cores)
    assert record.finish_s == pytest.approx(expected, abs=SAME_S, rel=0)


@pytest.mark.parametrize("spec", [LOOP, VIRTUAL, tomcat(1000)], ids=["loop", "virtual", "pool"])
@SERVICE
def test_permits_are_the_servers_of_requests_that_wait_in_a_resource(
    spec: Spec, service: Any
) -> None:
    arrival_s, service_s = workload(poisson, service, 1)
    record = run_trace(spec, [hold("lock", "m", "io 1s")], arrival_s, service_s[:, None], cores=1)
    assert record.finish_s == pytest.approx(lindley(arrival_s, service_s), abs=SAME_S, rel=0)
    waited = record.parts_s[:, PARTS.index("lock")]
    assert waited == pytest.approx(record.finish_s - arrival_s - service_s, abs=1e-6)


def in_service(record: Any, service_s: Floats, at: Floats) -> Floats:
    """Number of requests that run at each moment, if they run without interruption."""
    starts, ends = np.sort(record.finish_s - service_s), np.sort(record.finish_s)
    n: Floats = (np.searchsorted(starts, at) - np.searchsorted(ends, at)).astype(float)
    return n


@ARRIVALS
@SERVICE
@pytest.mark.parametrize("cores", [1, 4])
def test_goroutines_are_not_first_come_first_served_but_no_p_idles_while_one_is_ready(
    arrivals: Any, service: Any, cores: int
) -> None:
    # netpoll returns batches, the latest first, and Ps steal them from each other: whose turn it
    # is differs from a plain queue, but never how many run.
    arrival_s, service_s = workload(arrivals, service, cores)
    spec = GO | {"asyncpreempt": False}
    record = run_trace(spec, "cpu 1s", arrival_s, service_s[:, None], cores=cores, os=RUN_TO_END)
    moments = np.unique(np.concatenate((arrival_s, record.finish_s)))
    long_enough = np.diff(moments) > 1e-6
    between = ((moments[1:] + moments[:-1]) / 2)[long_enough]
    arrived = np.searchsorted(arrival_s, between)
    ended = np.searchsorted(np.sort(record.finish_s), between)
    running = in_service(record, service_s, between)
    assert running.tolist() == np.minimum(arrived - ended, cores).tolist()


@ARRIVALS
@SERVICE
def test_one_p_and_one_loop_have_the_same_busy_periods(arrivals: Any, service: Any) -> None:
    arrival_s, service_s = workload(arrivals, service, 1)
    spec = GO | {"asyncpreempt": False}
    record = run_trace(spec, "cpu 1s", arrival_s, service_s[:, None])
    # At the end of a busy period all have left, whatever the order was.
    by_recursion = lindley(arrival_s, service_s)
    idle = by_recursion[:-1] < arrival_s[1:] - 1e-9
    last_of_period = np.flatnonzero(np.append(idle, True))
    latest_so_far = np.maximum.accumulate(record.finish_s)
    assert latest_so_far[last_of_period] == pytest.approx(by_recursion[last_of_period])
