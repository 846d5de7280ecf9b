"""How fast the engine is, beside the model that one would write with SimPy by hand.

    python -m tests.benchmarks.engine_speed

Both simulate an event loop that serves ``cpu 0.2 ms, io 20 ms, cpu 0.3 ms, io 10 ms, cpu 0.1 ms``.
They take turns in one process, so that a machine that is slow for a while is slow for both; what
counts is the ratio of two neighbours. Times are CPU seconds of this process, and include drawing
the workload. Ours includes everything that a `RunRecord` holds.
"""

from __future__ import annotations

import gc
import random
import time
import tracemalloc
from collections.abc import Callable, Generator
from dataclasses import dataclass
from statistics import median
from typing import Any

import simpy

from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

STEPS = [{"cpu": "0.2ms"}, {"io": "20ms"}, {"cpu": "0.3ms"}, {"io": "10ms"}, {"cpu": "0.1ms"}]
CPU_S = 0.6e-3
RATE_RPS = 1000.0
KINDS = ("event_loop", "thread_pool", "goroutine", "virtual_thread")


def scenario_of(kind: str, rate_rps: float, requests: int, cores: int) -> Scenario:
    """About so many requests, all of which are served in the end."""
    return Scenario.from_dict(
        {
            "scenario": {
                "name": "speed",
                "duration": f"{requests / rate_rps!r}s",
                "study": "terminating",
            },
            "host": {"cores": cores},
            "workload": {
                "arrivals": {"kind": "poisson", "rate": f"{rate_rps!r}/s"},
                "requests": [{"name": "a", "steps": STEPS}],
            },
            "schedulers": [{"kind": kind}],
        }
    )


# -- one run, in seconds of CPU per request ---------------------------------------------------


def idiomatic(requests: int, seed: int = 1) -> float:
    """One process per request and a `Resource` for the CPU, as SimPy's documentation has it."""
    latencies: list[float] = []
    waits: list[float] = []

    def request(env: simpy.Environment, cpu: simpy.Resource) -> Generator[simpy.Event, Any, None]:
        arrived = env.now
        waited = 0.0
        for cpu_s, io_s in ((0.2e-3, 20e-3), (0.3e-3, 10e-3), (0.1e-3, None)):
            asked = env.now
            with cpu.request() as turn:
                yield turn
                waited += env.now - asked
                yield env.timeout(cpu_s)
            if io_s is not None:
                yield env.timeout(io_s)
        latencies.append(env.now - arrived)
        waits.append(waited)

    def source(env: simpy.Environment, cpu: simpy.Resource) -> Generator[simpy.Event, Any, None]:
        rng = random.Random(seed)
        for _ in range(requests):
            yield env.timeout(rng.expovariate(RATE_RPS))
            env.process(request(env, cpu))

    gc.collect()
    start_s = time.process_time()
    env = simpy.Environment()
    env.process(source(env, simpy.Resource(env, capacity=1)))
    env.run()
    took_s = time.process_time() - start_s
    assert len(latencies) == len(waits) == requests
    return took_s / requests


def ours(scenario: Scenario) -> float:
    """One run of the scenario's scheduler, from drawing the workload to the record."""
    gc.collect()
    start_s = time.process_time()
    record = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
    took_s = time.process_time() - start_s
    assert bool((record.outcome == 1).all())
    return took_s / len(record)


# -- comparisons ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two things measured in turns: seconds per request, and the median of the ratios."""

    first_s: float
    second_s: float
    ratio: float
    """How many times as long the first takes."""


def in_turns(first: Callable[[], float], second: Callable[[], float], rounds: int) -> Pair:
    """Measure both `rounds` times, alternating, after one round for warming up."""
    first(), second()
    times = [(first(), second()) for _ in range(rounds)]
    firsts, seconds = zip(*times, strict=True)
    return Pair(median(firsts), median(seconds), median(a / b for a, b in times))


def beside_simpy(rounds: int = 9, requests: int = 10_000) -> Pair:
    """The idiomatic model, and our event loop."""
    scenario = scenario_of("event_loop", RATE_RPS, requests, cores=1)
    return in_turns(lambda: idiomatic(requests), lambda: ours(scenario), rounds)


def overload(rounds: int = 5, requests: int = 10_000) -> Pair:
    """Our event loop at twice its capacity, and at 80 % of it."""
    twice = scenario_of("event_loop", 2.0 / CPU_S, requests, cores=1)
    below = scenario_of("event_loop", 0.8 / CPU_S, requests, cores=1)
    return in_turns(lambda: ours(twice), lambda: ours(below), rounds)


def bytes_per_request(rho: float = 0.8, few: int = 20_000, many: int = 120_000) -> float:
    """Python's memory at its peak, as it grows with the number of requests."""
    peaks = []
    for requests in (few, many):
        scenario = scenario_of("event_loop", rho / CPU_S, requests, cores=1)
        gc.collect()
        tracemalloc.start()
        simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / (many - few)


def main() -> None:
    """Print all of it."""
    pair = beside_simpy()
    print(f"{'event loop at 1000/s':34}{'us/request':>12}{'requests/s':>12}")
    print(
        f"{'  SimPy, one process per request':34}{pair.first_s * 1e6:12.1f}{1 / pair.first_s:12.0f}"
    )
    print(f"{'  simsched':34}{pair.second_s * 1e6:12.1f}{1 / pair.second_s:12.0f}")
    print(f"{'  ratio':34}{pair.ratio:12.2f}")
    pair = overload()
    print(f"\n{'event loop under load':34}{'us/request':>12}")
    print(f"{'  rho = 0.8':34}{pair.second_s * 1e6:12.1f}")
    print(f"{'  rho = 2':34}{pair.first_s * 1e6:12.1f}")
    print(f"{'  ratio':34}{pair.ratio:12.2f}")
    print(f"\n{'memory of the event loop':34}{'bytes/request':>12}")
    for rho in (0.8, 2.0):
        print(f"{f'  rho = {rho:g}':34}{bytes_per_request(rho):12.0f}")
    print(f"\n{'schedulers at 1000/s, 4 cores':34}{'us/request':>12}")
    for kind in KINDS:
        scenario = scenario_of(kind, RATE_RPS, 10_000, cores=4)
        print(f"{f'  {kind}':34}{median(ours(scenario) for _ in range(3)) * 1e6:12.1f}")


if __name__ == "__main__":
    main()
