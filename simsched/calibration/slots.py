"""What requests cost on a real runtime in a few situations: CPU time of its process per request.

A slot is a stretch of time with requests of one kind. The slots of a runtime follow each other in
one run of its driver, over and over, and the CPU clock of the process is read between them: so what
it takes is told apart from what other programs take, and a driver is started once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from simsched.reality.injector import LEAD_NS
from simsched.reality.inproc import run_inproc
from simsched.reality.plan import Case
from simsched.reality.processes import RunFailed, Usage, put_first
from simsched.reality.runtimes import Runtime, runtime_named
from simsched.reality.toolchains import Tools
from simsched.reality.traces import WorkTrace
from simsched.reality.web import run_http

__all__ = ["DRIVEN", "SERVERS", "SLOTS", "Slot", "edges_s", "measure_slots", "slots_of", "work_of"]

DRIVEN: Mapping[str, str] = {
    "asyncio": "asyncio",
    "uvloop": "uvloop",
    "cpython-threads": "tpe40",
    "go": "go1",
    "virtual-threads": "vt1",
    "jdk-threads": "jf200",
}
"""The runtime that is driven for each name in a calibration."""

SERVERS: Mapping[str, str] = {
    "fastapi-async": "http_fa_async",
    "fastapi-def": "http_fa_def",
    "gunicorn-sync": "http_gsync2",
    "gunicorn-gthread": "http_gthread8",
    "go-http": "http_goweb1",
    "jdk-httpserver": "http_jw8",
    "jdk-httpserver-virtual": "http_jwvt1",
}
"""The web server that is driven for each preset."""

PATIENCE_S = 3.0
"""How long after the last slot unfinished requests are waited for."""

HEAD_S = 0.015
"""From the beginning of a slot to its first request: clocks of two processes meet no better."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A stretch of time with requests of one kind.

    Attributes:
        name: Its name.
        requests: How many.
        spacing_us: From one to the next; 0: all at once.
        cpu_us: What each computes.
        io_us: How long each waits then.
        length_s: How long the slot is, with time to end in.
    """

    name: str
    requests: int
    spacing_us: int
    cpu_us: int
    io_us: int
    length_s: float


SLOTS: Mapping[str, Slot] = {
    slot.name: slot
    for slot in (
        Slot("burst", 200, 0, 0, 0, 0.05),
        Slot("waits", 200, 0, 0, 5_000, 0.07),
        Slot("paced", 40, 1_000, 0, 0, 0.07),
        Slot("alone", 25, 2_500, 0, 1_000, 0.09),
        Slot("work", 12, 3_000, 1_000, 0, 0.065),
        Slot("served", 80, 2_000, 0, 0, 0.22),
    )
}
"""All at once without and with a wait; one at a time, without and with a wait, and with work; and
one at a time for a web server."""


def slots_of(runtime: Runtime) -> list[Slot]:
    """The slots that a runtime is measured in."""
    served = runtime.kind == "http"
    return [slot for slot in SLOTS.values() if (slot.name == "served") == served]


def edges_s(slots: Sequence[Slot], rounds: int) -> list[float]:
    """Where slots that follow each other, so many times, begin, and where the last one ends."""
    return [0.0, *np.cumsum([slot.length_s for slot in slots] * rounds).tolist()]


def work_of(slots: Sequence[Slot], rounds: int) -> WorkTrace:
    """The requests of slots that follow each other, so many times."""
    columns: list[tuple[float, int, int]] = []
    begin_s = 0.0
    for slot in [*slots] * rounds:
        first_us = (begin_s + HEAD_S) * 1e6
        columns += [
            (first_us + k * slot.spacing_us, slot.cpu_us, slot.io_us) for k in range(slot.requests)
        ]
        begin_s += slot.length_s
    arrival, cpu, io = (np.asarray(column) for column in zip(*columns, strict=True))
    none = np.zeros(len(arrival), np.int32)
    return WorkTrace(
        arrival.astype(np.int64),
        cpu.astype(np.int32),
        io.astype(np.int32),
        none,
        begin_s,
        float(cpu.mean()),
        float((cpu + io).mean()),
    )


@dataclass(slots=True)
class _Clock:
    """Reads the CPU clock of a process at the edges of slots."""

    edges_s: Sequence[float]
    cpu_s: list[float] = field(default_factory=list)

    def __call__(self, pid: int) -> None:
        zero = time.monotonic() + LEAD_NS / 1e9
        put_first(pid)
        for edge in self.edges_s:
            time.sleep(max(0.0, zero + edge - time.monotonic()))
            self.cpu_s.append(Usage(pid).cpu_s)


def measure_slots(
    name: str, tools: Tools, cpus: Sequence[int], rounds: int, ready_s: float
) -> Iterator[dict[str, Any]]:
    """Drive a runtime through its slots; one line for each, as programs that measure tell them.

    Args:
        name: of `DRIVEN` or `SERVERS`.
        tools: where drivers and servers come from.
        cpus: CPUs that may be used: the first for the runtime, the last for who asks.
        rounds: how often each slot is measured, after once to warm up.
        ready_s: how long the driver may take to be ready.

    Raises:
        RunFailed: it cannot be driven, or not in time.
    """
    if len(cpus) < 2:
        raise RunFailed("needs a second CPU, for who sends the requests")
    runtime = runtime_named(DRIVEN.get(name) or SERVERS[name])
    slots = slots_of(runtime)
    work = work_of(slots, rounds + 1)
    clock = _Clock(edges_s(slots, rounds + 1))
    case = Case(f"{runtime.name}__slots", runtime, "slots", len(work) / work.duration_s, work)
    with TemporaryDirectory(dir=tools.scratch) as folder:
        own, other, scratch = tuple(cpus[:1]), cpus[-1], Path(folder)
        limit_s = work.duration_s + PATIENCE_S
        if runtime.kind == "http":
            run_http(case, tools, own, other, scratch, limit_s, clock, ready_s)
        else:
            command = tools.driver(runtime)
            run_inproc(case, command, own, other, scratch, limit_s, clock, ready_s)
    took = np.diff(clock.cpu_s).reshape(rounds + 1, len(slots))[1:] * 1e6
    for slot, values in zip(slots, took.T, strict=True):
        yield _line(f"slot_{name}_{slot.name}", values / slot.requests, rounds * slot.requests)


def _line(test: str, each_us: Any, n: int) -> dict[str, Any]:
    marks = {f"p{q}": float(np.percentile(each_us, q)) for q in (5, 50, 95)}
    return {"test": test, "unit": "us", "clock": "cpu", **marks, "n": n}
