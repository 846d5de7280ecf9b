"""How long Linux lets a thread compute while others wait: measured, and by the rules of the host.

    python -m tests.published.kernel

Kernel commit a26979377bf3 measured the average time on the CPU between two switches, for four
stress-ng threads that always compute on one CPU, for 30 s, with base slices of 3 to 32 ms and with
a timer tick of 1 and of 10 ms.

By the tick rule alone (a slice ends at the first tick after the base slice) that would be the base
slice rounded up to whole ticks. The measured averages are below that, and the more so the longer
the slice: at HZ=1000 slices of 3 ms last 2.9, and those of 32 ms last 13.4. What cuts long slices
short are threads of the kernel, and of the measurement itself, that wake up for some microseconds,
preempt the thread that computes, and sleep again. Two kinds of wake-ups are in the model:

- from the timer wheel (kworkers, RCU, ksoftirqd), which happen at ticks. Where every slice is one
  tick long, they fall together with its end, and cut nothing short;
- from high-resolution timers and devices, at any time.

How often they happen is not published. The second rate shows where slices are one tick long (3 ms
at HZ=100: 9.1 instead of 10), the first one where they are longest (32 ms at HZ=1000). These two
figures set the two rates; the other ten are predicted.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from simsched.scenario import Host as HostSpec
from simsched.sim.clock import IO_DONE, Clock, Process
from simsched.sim.host import Host
from simsched.sim.observer import Observer, Observers
from simsched.sim.os_thread import OsThread

Row = tuple[str, float, float]
"""What it is, predicted, published."""

HOGS = 4
SECONDS = 30.0
WHEEL_RPS = 60.0
HRTIMER_RPS = 9.0
WORK_S = 20e-6
"""General knowledge: what a kworker does in one go; of no effect on the averages."""

SLICES_MS = (3, 6, 9, 12, 22, 32)
PUBLISHED = {  # HZ: milliseconds per run, by base slice
    1000: (2.914, 4.857, 6.754, 7.872, 11.294, 13.425),
    100: (9.144, 9.113, 8.991, 12.935, 16.031, 18.608),
}


class Runs(Observer):
    """How often, and for how long, the threads that compute have been on the CPU."""

    def __init__(self) -> None:
        self.since_s = self.sum_s = 0.0
        self.n = 0

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.since_s = now

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        if thread.name == "hog":
            self.sum_s += now - self.since_s
            self.n += 1


def average_run_ms(slice_ms: float, hz: int, *, disturbed: bool = True) -> float:
    """Mean milliseconds on the CPU between two switches."""
    clock, runs = Clock(), Runs()
    os = {"time_slice": f"{slice_ms}ms", "hz": hz}
    host = Host(clock, HostSpec.model_validate({"cores": 1, "os": os}), Observers([runs]))
    for _ in range(HOGS):
        clock.process(_hog(host))
    if disturbed:
        clock.process(_wakes(host, WHEEL_RPS, lambda time_s: math.ceil(time_s * hz) / hz))
        clock.process(_wakes(host, HRTIMER_RPS, lambda time_s: time_s))
    clock.run_until(SECONDS)
    return 1e3 * runs.sum_s / runs.n


def _hog(host: Host) -> Process:
    wait = host.thread("hog").run(1e9)
    assert wait is not None
    yield wait


def _wakes(host: Host, rate_rps: float, due_s: Callable[[float], float]) -> Process:
    """A thread that wakes at random moments, or when whatever keeps the time notices them."""
    clock, thread = host.clock, host.thread("background")
    rng = random.Random(rate_rps)
    while True:
        yield clock.event_at(due_s(clock.now + rng.expovariate(rate_rps)), IO_DONE)
        wait = thread.run(WORK_S)
        if wait is not None:
            yield wait
        thread.sleep()


def table() -> list[Row]:
    """All rows."""
    return [
        (f"slice {slice_ms} ms, HZ={hz}: run ms", average_run_ms(slice_ms, hz), published)
        for hz, averages in PUBLISHED.items()
        for slice_ms, published in zip(SLICES_MS, averages, strict=True)
    ]


if __name__ == "__main__":
    for what, predicted, published in table():
        off = predicted / published - 1
        print(f"{what:34} {predicted:8.3f} {published:8.3f} {off:+8.0%}")
