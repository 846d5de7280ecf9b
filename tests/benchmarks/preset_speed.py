"""What a simulated request costs under each preset, beside the plain scheduler it is built on.

    python -m tests.benchmarks.preset_speed

Two schedulers take turns with the same steps, as in :mod:`tests.benchmarks.engine_speed`, each of
them at 60 % of what it can do itself. What counts is the ratio of two neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simsched.scenario import Scenario

from .engine_speed import CPU_S, STEPS, Pair, in_turns, ours

CORES = 4
LOAD = 0.6
WAITS_S = 30e-3  # of a request, for its I/O


@dataclass(frozen=True)
class Subject:
    """A preset, and what bounds its throughput.

    Attributes:
        preset: Its name.
        threads: How many requests it can have in progress; None if nothing limits them.
        computing: How many of them can compute at a time.
        knobs: Settings of the scheduler other than those of the preset.
    """

    preset: str
    threads: int | None
    computing: int
    knobs: dict[str, Any] = field(default_factory=dict)

    def rate_rps(self) -> float:
        """Requests per second at which it is loaded as it should be."""
        busy_s = CPU_S + self.overhead_s()
        bounds = [self.computing / busy_s]
        if self.threads is not None:
            bounds.append(self.threads / (busy_s + WAITS_S))
        return LOAD * min(bounds)

    def overhead_s(self) -> float:
        """CPU of server and framework per request, as the preset has it."""
        spec: Any = self._scenario(1, 1.0).schedulers[0]
        seconds: float = getattr(spec, "request_s", 0.0)
        if getattr(spec, "endpoint", "") == "def":
            seconds += spec.hop_s + spec.thread_hop_s
        return seconds

    def scenario(self, requests: int) -> Scenario:
        """About so many requests, all of which are served in the end."""
        return self._scenario(requests, self.rate_rps())

    def _scenario(self, requests: int, rate_rps: float) -> Scenario:
        return Scenario.from_dict(
            {
                "scenario": {
                    "name": "speed",
                    "duration": f"{requests / rate_rps!r}s",
                    "study": "terminating",
                },
                "host": {"cores": CORES},
                "workload": {
                    "arrivals": {"kind": "poisson", "rate": f"{rate_rps!r}/s"},
                    "requests": [{"name": "a", "steps": STEPS}],
                },
                "schedulers": [{"preset": self.preset, **self.knobs}],
            }
        )


ASYNCIO = Subject("asyncio", None, 1)
JDK = Subject("jdk-thread-pool", 200, CORES)
CPYTHON = Subject("cpython-threads", CORES + 4, 1)

PAIRS = (
    (Subject("fastapi-async", None, 1), ASYNCIO),
    (Subject("uvicorn-uvloop", None, 1), ASYNCIO),
    (Subject("node", None, 1), ASYNCIO),
    (CPYTHON, JDK),
    (Subject("gunicorn-gthread", 16, 1, {"threads": 16}), JDK),
    (Subject("gunicorn-sync", 4, CORES, {"processes": 4}), JDK),
    (Subject("fastapi-def", 40, 1), Subject("cpython-threads", 40, 1, {"max_workers": 40})),
)


def side_by_side(of: Subject, plain: Subject, rounds: int = 5, requests: int = 4000) -> Pair:
    """A preset and the plain scheduler: seconds per request, and how many times as long it is."""
    first, second = of.scenario(requests), plain.scenario(requests)
    return in_turns(lambda: ours(first), lambda: ours(second), rounds)


def main() -> None:
    """Print all of it."""
    print(f"{'at 60 % load, 4 cores':22}{'us/request':>12}", end="  ")
    print(f"{'beside':18}{'us/request':>12}{'ratio':>8}")
    for of, plain in PAIRS:
        pair = side_by_side(of, plain)
        print(
            f"{of.preset:22}{pair.first_s * 1e6:12.1f}  {plain.preset:18}"
            f"{pair.second_s * 1e6:12.1f}{pair.ratio:8.2f}"
        )


if __name__ == "__main__":
    main()
