"""The workload of one replication, drawn before the simulation starts.

Every random number of a request (its arrival, its class, each demand of each step) is drawn here
from a stream of its own and stays with the request's index. A scheduler is then a deterministic
function of the trace: all schedulers face the same requests (common random numbers), and a class
added to the scenario changes no draw of the others at the same index.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.scenario import Closed, Column, Constant, ConstantRate, Trace
from simsched.workload.arrivals import draw_arrivals
from simsched.workload.base import (
    CHUNK,
    RetryJitter,
    TooManyRequests,
    check_demands,
    choose_classes,
)
from simsched.workload.closed import ClosedTrace
from simsched.workload.offered import Offered, offered_load
from simsched.workload.problems import check_samples, refuse
from simsched.workload.program import Program, cpu_slots, flatten
from simsched.workload.replay import read_trace
from simsched.workload.sampling import sample
from simsched.workload.streams import stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from simsched.scenario import Scenario

    Floats = NDArray[np.float64]

__all__ = ["RequestTrace", "draw", "is_deterministic"]


@dataclass(eq=False)
class RequestTrace:
    """An open workload: who arrives when, and what each request will ask for.

    Arrays are shared by whoever holds the trace: read them, never write.

    Attributes:
        programs: Program of each class, by class id.
        arrival_s: Arrival times in seconds, ascending, in [0, duration_s).
        class_id: Class of each request.
        demands: For each class, seconds by request of the class and slot.
        row: Row of each request in the matrix of its class.
        duration_s: Length of the arrival window.
        seed: Seed the trace was drawn with.
        replication: Replication the trace was drawn for.
    """

    programs: tuple[Program, ...]
    arrival_s: Floats
    class_id: NDArray[np.int32]
    demands: tuple[Floats, ...]
    row: NDArray[np.int64]
    duration_s: float
    seed: int
    replication: int
    _class_view: memoryview = field(init=False, repr=False)
    _row_view: memoryview = field(init=False, repr=False)
    _jitter: RetryJitter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # A memoryview hands out Python ints several times faster than an array's indexing.
        self._class_view = self.class_id.data
        self._row_view = self.row.data
        self._jitter = RetryJitter(self.seed, self.replication)

    def __reduce__(self) -> tuple[Any, ...]:
        # Memoryviews cannot be pickled; they are made again on the other side.
        arrays = (self.arrival_s, self.class_id, self.demands, self.row)
        return type(self), (
            self.programs,
            *arrays,
            self.duration_s,
            self.seed,
            self.replication,
        )

    def slowed(self, factor: float) -> RequestTrace:
        """The same requests on a runtime that takes `factor` times the CPU for them."""
        demands = []
        for program, matrix in zip(self.programs, self.demands, strict=True):
            slower = matrix.copy()
            slower[:, cpu_slots(program.ops)] *= factor
            demands.append(slower)
        return replace(self, demands=tuple(demands))

    def __len__(self) -> int:
        return len(self.arrival_s)

    def class_id_of(self, i: int) -> int:
        """Class of request `i`: an index into `programs`."""
        return self._class_view[i]

    def demand_row(self, i: int) -> list[float]:
        """Seconds of each slot of request `i`: a fresh list that the caller may change."""
        row: list[float] = self.demands[self._class_view[i]][self._row_view[i]].tolist()
        return row

    def requests(self) -> Iterator[tuple[float, int, list[float]]]:
        """Arrival, class and demand row of every request, in order; made CHUNK at a time."""
        return chain.from_iterable(map(self._chunk, range(0, len(self), CHUNK)))

    def _chunk(self, start: int) -> Iterator[tuple[float, int, list[float]]]:
        here = slice(start, start + CHUNK)
        class_id, row = self.class_id[here], self.row[here]
        rows: list[list[float]] = [[]] * len(row)
        for c in np.unique(class_id).tolist():
            mine = np.flatnonzero(class_id == c)
            for i, demands in zip(mine.tolist(), self.demands[c][row[mine]].tolist(), strict=True):
                rows[i] = demands
        return zip(self.arrival_s[here].tolist(), class_id.tolist(), rows, strict=True)

    def think_s(self, i: int) -> float:
        """Always 0: who arrives in an open workload waits for nobody."""
        return 0.0

    def retry_jitter(self, i: int, attempt: int) -> float:
        """A number in [-1, 1) for retry `attempt` (from 1) of request `i`."""
        return self._jitter(i, attempt)

    def offered_s(self, i: int) -> float:
        """The sum of the demands of request `i`: what it takes if it never waits, in a row.

        Where branches of a ``parallel`` step run at the same time, it takes less.
        """
        return sum(self.demand_row(i))

    def offered(self) -> Offered:
        """What all requests of the trace ask for, without queueing."""
        return offered_load(self.programs, self.demands, self.duration_s)


def draw(scenario: Scenario, replication: int) -> RequestTrace | ClosedTrace:
    """Draw the workload of one replication.

    The same scenario and replication give the same bytes, in whatever order and process.

    Raises:
        ScenarioError: If a trace or sample file cannot be used, or if the scenario asks for more
            than MAX_REQUESTS requests.
    """
    check_samples(scenario)
    arrivals = scenario.arrivals
    if isinstance(arrivals, Closed):
        return ClosedTrace.of(scenario, arrivals, replication)
    programs = tuple(flatten(c) for c in scenario.classes)
    columns: Mapping[str, Floats] = {}
    class_id: NDArray[np.int32] | None = None
    if isinstance(arrivals, Trace):
        table = read_trace(scenario)
        arrival_s, class_id, columns = table.arrival_s, table.class_id, table.columns
    else:
        try:
            arrival_s = draw_arrivals(arrivals, scenario.duration_s, scenario.seed, replication)
        except TooManyRequests as error:
            refuse(scenario, ("workload", "arrivals"), str(error), cause=error)
    if class_id is None:
        rng = stream(scenario.seed, replication, "class")
        class_id = choose_classes(programs, rng.random(len(arrival_s)))
    counts = np.bincount(class_id, minlength=len(programs)).tolist()
    try:
        check_demands(sum(n * p.slots for n, p in zip(counts, programs, strict=True)))
    except TooManyRequests as error:
        refuse(scenario, ("workload", "requests"), str(error), cause=error)
    row, demands = _draw_demands(scenario, replication, programs, class_id, columns)
    return RequestTrace(
        programs=programs,
        arrival_s=arrival_s,
        class_id=class_id,
        demands=demands,
        row=row,
        duration_s=scenario.duration_s,
        seed=scenario.seed,
        replication=replication,
    )


def _draw_demands(
    scenario: Scenario,
    replication: int,
    programs: tuple[Program, ...],
    class_id: NDArray[np.int32],
    columns: Mapping[str, Floats],
) -> tuple[NDArray[np.int64], tuple[Floats, ...]]:
    n = len(class_id)
    row = np.empty(n, np.int64)
    demands = []
    for c, program in enumerate(programs):
        mine = np.flatnonzero(class_id == c)
        row[mine] = np.arange(len(mine))
        matrix = np.empty((len(mine), program.slots))
        for slot, dist in enumerate(program.demands):
            # All n indices are drawn and this class's kept: a demand belongs to the request's
            # index, whatever the other classes are.
            rng = stream(scenario.seed, replication, f"demand:{program.name}:{slot}")
            matrix[:, slot] = sample(dist, rng, n, columns, scenario.base_dir)[mine]
        demands.append(matrix)
    return row, tuple(demands)


def is_deterministic(scenario: Scenario) -> bool:
    """Whether every replication is the same, because nothing in the workload is random.

    So it is for evenly spaced or replayed arrivals (or users who think for a constant time) when
    the classes do not have to be drawn, demands are constants or columns of the trace, and no
    retry has jitter. Replications are then copies, and say nothing about uncertainty.
    """
    programs = [flatten(c) for c in scenario.classes]
    demands = [dist for program in programs for dist in program.demands]
    one_class = len(programs) == 1
    arrivals = scenario.arrivals
    if isinstance(arrivals, Closed):
        demands.append(arrivals.think)
    elif isinstance(arrivals, Trace):
        one_class = one_class or read_trace(scenario).class_id is not None
    elif not isinstance(arrivals, ConstantRate):
        return False
    jitter = any(p.retries is not None and p.retries.jitter > 0 for p in programs)
    fixed = all(isinstance(dist, Constant | Column) for dist in demands)
    return one_class and fixed and not jitter
