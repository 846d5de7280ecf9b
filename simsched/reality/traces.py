"""The requests of a real run: when each arrives, how much it computes, and how long it waits.

A request computes (cpu1), waits (io) and computes again (cpu2). Every number is drawn from the seed
before anything runs, one stream per quantity, so every runtime and every repetition gets the same
requests, and a higher rate is the same requests closer together.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from simsched.scenario import load_scenario
from simsched.workload import MAX_REQUESTS, RequestTrace, draw, stream
from simsched.workload.program import CPU, IO, OP_NAMES, SLEEP

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from simsched.workload import Program

    Floats = NDArray[np.float64]

__all__ = ["MIXES", "CannotDrive", "Mix", "Part", "WorkTrace", "draw_mix", "trace_of_scenario"]

MOST_REQUESTS = 1_000_000
"""Most requests of one case; the indices of more would not say more."""

MOST_US = 2**31 - 1
"""Longest demand in microseconds: what an int32 holds, 35 minutes."""


class CannotDrive(ValueError):
    """A real runtime cannot be given this workload; the message says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of request of a mix.

    Attributes:
        share: Share of the requests.
        cpu_us: Mean CPU in all, half of it before the wait and half after.
        cpu_cv: Coefficient of variation of the CPU (gamma; 1 is exponential, 0 constant).
        io_us: Mean wait; 0 for none.
        io_cv: Coefficient of variation of the wait (gamma).
    """

    share: float
    cpu_us: float
    cpu_cv: float
    io_us: float
    io_cv: float


class Mix(NamedTuple):
    """Kinds of requests with shares that sum to 1."""

    name: str
    parts: tuple[Part, ...]

    @property
    def cpu_us(self) -> float:
        """Mean CPU of a request."""
        return sum(part.share * part.cpu_us for part in self.parts)

    @property
    def busy_us(self) -> float:
        """Mean CPU and wait of a request: how long it holds a thread of a pool."""
        return self.cpu_us + sum(part.share * part.io_us for part in self.parts)


_IO = Part(1.0, cpu_us=200.0, cpu_cv=0.5, io_us=50_000.0, io_cv=0.3)

MIXES: dict[str, Mix] = {
    "io_heavy": Mix("io_heavy", (_IO,)),
    "cpu_heavy": Mix("cpu_heavy", (Part(1.0, 5_000.0, 1.0, 2_000.0, 0.3),)),
    "mixed": Mix(
        "mixed",
        (
            Part(0.8, _IO.cpu_us, _IO.cpu_cv, _IO.io_us, _IO.io_cv),
            Part(0.2, cpu_us=10_000.0, cpu_cv=0.25, io_us=0.0, io_cv=0.0),
        ),
    ),
}
"""The built-in mixes."""


@dataclass(frozen=True, eq=False)
class WorkTrace:
    """Requests by order of arrival; times in microseconds.

    Attributes:
        arrival_us: Arrival, from the start (int64, ascending).
        cpu1_us: CPU before the wait (int32).
        io_us: The wait (int32).
        cpu2_us: CPU after the wait (int32).
        duration_s: Length of the window in which requests arrive.
        cpu_mean_us: Mean CPU of a request: of the distributions if they are known, else of the
            draws.
        busy_mean_us: Mean CPU and wait of a request, likewise.
    """

    arrival_us: NDArray[np.int64]
    cpu1_us: NDArray[np.int32]
    io_us: NDArray[np.int32]
    cpu2_us: NDArray[np.int32]
    duration_s: float
    cpu_mean_us: float
    busy_mean_us: float

    def __len__(self) -> int:
        return len(self.arrival_us)

    @property
    def nominal_cpu_s(self) -> float:
        """CPU that all requests ask for."""
        return float(self.cpu1_us.sum(dtype=np.int64) + self.cpu2_us.sum(dtype=np.int64)) / 1e6

    def save(self, path: Path) -> None:
        """Write the file the drivers read: count, arrivals (int64), three columns of int32."""
        with path.open("wb") as file:
            file.write(struct.pack("<q", len(self)))
            file.write(self.arrival_us.astype("<i8").tobytes())
            for column in (self.cpu1_us, self.io_us, self.cpu2_us):
                file.write(column.astype("<i4").tobytes())


def draw_mix(mix: Mix, rate_rps: float, duration_s: float, seed: int) -> WorkTrace:
    """Poisson arrivals of a mix.

    Args:
        mix: what the requests do.
        rate_rps: mean arrivals per second.
        duration_s: length of the arrival window in seconds.
        seed: seed of all draws.

    Raises:
        CannotDrive: If more requests are expected than a case may have.
    """
    _check_count(rate_rps * duration_s)
    arrival_s = _poisson(rate_rps, duration_s, stream(seed, 0, f"reality:{mix.name}:arrivals"))
    n = len(arrival_s)
    uniform = stream(seed, 0, f"reality:{mix.name}:part").random(n)
    edges = np.cumsum([part.share for part in mix.parts])[:-1]
    which = np.searchsorted(edges, uniform, side="right")
    cpu, io = np.zeros(n), np.zeros(n)
    for k, part in enumerate(mix.parts):
        mine = which == k
        for out, mean, cv, what in (
            (cpu, part.cpu_us, part.cpu_cv, "cpu"),
            (io, part.io_us, part.io_cv, "io"),
        ):
            rng = stream(seed, 0, f"reality:{mix.name}:{k}:{what}")
            out[mine] = _gamma(mean, cv, n, rng)[mine]
    half = cpu / 2
    return _trace(arrival_s, half, io, half, duration_s, mix.cpu_us, mix.busy_us)


def trace_of_scenario(path: Path, seed: int | None, duration_s: float | None) -> WorkTrace:
    """The requests a scenario file draws, as a real runtime can be given them.

    Args:
        path: a scenario: TOML, with arrivals of any open kind.
        seed: instead of the scenario's, if not None.
        duration_s: instead of the scenario's, if not None.

    Raises:
        ScenarioError: If the file is not a valid scenario.
        CannotDrive: If its requests do what the drivers cannot.
    """
    overrides = [] if seed is None else [f"scenario.seed={seed}"]
    if duration_s is not None:
        overrides.append(f"scenario.duration={duration_s}s")
    scenario = load_scenario(path, overrides)
    drawn = draw(scenario, 0)
    if not isinstance(drawn, RequestTrace):
        raise CannotDrive(
            "closed arrivals depend on the answers: give arrivals at a rate, or a trace"
        )
    _check_count(len(drawn))
    phases = [_phases(program) for program in drawn.programs]
    columns = np.zeros((3, len(drawn)))
    for c, (matrix, phase) in enumerate(zip(drawn.demands, phases, strict=True)):
        mine = np.flatnonzero(drawn.class_id == c)
        for slot, column in phase:
            columns[column, mine] += matrix[drawn.row[mine], slot] * 1e6
    cpu1, io, cpu2 = columns
    means = (float((cpu1 + cpu2).mean()), float(columns.sum(axis=0).mean())) if len(drawn) else ()
    return _trace(drawn.arrival_s, cpu1, io, cpu2, drawn.duration_s, *(means or (0.0, 0.0)))


def _phases(program: Program) -> list[tuple[int, int]]:
    """Slot and column (0 cpu1, 1 io, 2 cpu2) of each step.

    Raises:
        CannotDrive: If the steps are not CPU, then waiting, then CPU.
    """
    who = f"requests of class {program.name!r}"
    if program.timeout_s is not None or program.retries is not None:
        raise CannotDrive(f"{who} have a time-out or retries, which no driver has")
    found, column = [], 0
    for op in program.ops:
        if op.code == CPU and op.kind:
            raise CannotDrive(f"{who} run native code without the interpreter lock ({op.name!r})")
        if op.code == CPU:
            column = 2 if column else 0
        elif op.code in (IO, SLEEP):
            if column == 2:
                raise CannotDrive(
                    f"{who} wait more than once with CPU between; a driver does CPU, a wait, CPU"
                )
            column = 1
        else:
            raise CannotDrive(
                f"{who} have a step {OP_NAMES[op.code]!r}; a driver does cpu, io and sleep only"
            )
        found.append((op.slot, column))
    return found


def _trace(
    arrival_s: Floats,
    cpu1: Floats,
    io: Floats,
    cpu2: Floats,
    duration_s: float,
    cpu_mean_us: float,
    busy_mean_us: float,
) -> WorkTrace:
    for column in (cpu1, io, cpu2):
        if len(column) and column.max() > MOST_US:
            raise CannotDrive("a demand is longer than 35 minutes")
    return WorkTrace(
        np.floor(arrival_s * 1e6).astype(np.int64),
        np.rint(cpu1).astype(np.int32),
        np.rint(io).astype(np.int32),
        np.rint(cpu2).astype(np.int32),
        duration_s,
        cpu_mean_us,
        busy_mean_us,
    )


def _check_count(expected: float) -> None:
    if expected > min(MOST_REQUESTS, MAX_REQUESTS):
        raise CannotDrive(
            f"about {expected:,.0f} requests are more than the {MOST_REQUESTS:,} of one case: "
            "make the duration shorter or the rate lower"
        )


def _poisson(rate_rps: float, duration_s: float, rng: np.random.Generator) -> Floats:
    """Arrivals of one unit-rate process, brought closer by the rate."""
    blocks, last = [], 0.0
    while last < rate_rps * duration_s:
        times = last + np.cumsum(rng.standard_exponential(1024))
        last = float(times[-1])
        blocks.append(times)
    times = np.concatenate(blocks) / rate_rps if blocks else np.empty(0)
    return times[times < duration_s]


def _gamma(mean: float, cv: float, n: int, rng: np.random.Generator) -> Floats:
    if mean == 0.0 or cv == 0.0:
        return np.full(n, mean)
    shape = 1 / (cv * cv)
    return rng.gamma(shape, mean / shape, n)
