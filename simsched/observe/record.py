"""What one scheduler did with one replication: the hand-over from observers to statistics.

An observer fills a `RunRecord` while the simulation runs; `simsched.stats` judges it afterwards.
The record holds measurements only: no warm-up is removed, nothing is averaged over requests.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple, NotRequired, TypedDict

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

UNFINISHED: Final = 0
COMPLETED: Final = 1
REJECTED: Final = 2
TIMED_OUT: Final = 3
FAILED: Final = 4

OUTCOMES: Final[tuple[str, ...]] = ("unfinished", "completed", "rejected", "timed_out", "failed")
"""Name of each outcome code; `OUTCOMES[code]`. Codes 1 to 4 are terminal."""

PARTS: Final[tuple[str, ...]] = (
    "admission",
    "run_queue",
    "cpu",
    "io",
    "blocking",
    "resource",
    "lock",
    "gil",
    "overhead",
    "join",
)
"""Column order of `RunRecord.parts_s`. The parts of one request add up to its latency."""

SERIES: Final[tuple[str, ...]] = (
    "in_system",
    "queued",
    "busy_cores",
    "busy_workers",
    "workers",
    "memory_bytes",
    "overhead_cores",
    "arrivals",
    "completions",
)
"""Keys of `RunRecord.series`. The last two are counts per bin, the others time-weighted means.

Where cores are virtual and the hypervisor takes them away, there is `away_cores`, too."""


class ResourceUse(TypedDict):
    """How one resource was used over [0, `duration_s`)."""

    capacity: int
    """Permits."""
    utilization: float
    """Time-weighted mean of taken permits over `capacity`, 0 to 1."""
    wait_s_mean: float
    """Mean wait for a permit over all acquisitions, seconds (0 where there was none)."""
    acquisitions: int
    """How often a permit was taken."""
    timeouts: NotRequired[int]
    """How often the wait for one was too long, if it may be."""
    refusals: NotRequired[int]
    """How often too many waited already, if they may not all."""


class BlameRow(NamedTuple):
    """How long requests of one class waited because of another class in one of its steps.

    Over the whole run, warm-up included. All rows of a victim for one cause add up to what it
    waited for that.
    """

    cause: str
    """What was waited for: a slot of the runtime ("loop", "threads", "workers", "Ps", "carriers"),
    "core", "quota", "connections", "gil", the pool of an executor ("pool:NAME"; with ", others
    free" one thread of it, while others had nothing to do), or the name of a resource or lock."""
    victim: int
    """Class that waited."""
    culprit: int
    """Class that had what was waited for; -1 where nobody had it (the runtime's own doing). Of a
    quota, all that have used it have it, each by its share."""
    step: str
    """What the culprit did meanwhile; "" where there is none."""
    seconds: float
    """Seconds of waiting, summed over requests."""


class PinnedRow(NamedTuple):
    """For how long requests of one class kept slots that could do nothing meanwhile.

    Carriers of virtual threads that were pinned; Ps of Go in system calls, until handed on.
    """

    culprit: int
    """Class that kept them."""
    step: str
    """What it did meanwhile, or what it waited for."""
    seconds: float
    """Seconds of such slots, summed over requests."""


class Stall(NamedTuple):
    """The longest time in which a loop did not come back to its poll."""

    seconds: float
    culprit: int
    """Class of the longest single step in it; -1 where there is none."""
    step: str
    step_s: float
    """Seconds of this one step."""


@dataclass
class RunRecord:
    """Measurements of one replication of one scheduler. Times are seconds of simulated time.

    `n` requests in order of arrival; `n_bins` bins of `bin_s` over [0, `duration_s`), of which the
    last is shorter where `bin_s` does not divide `duration_s` (its mean is over its own width).
    A request is in the system from its arrival to its terminal outcome, back-off before a retry
    included; it is one request, whatever number of attempts it takes.
    """

    arrival_s: FloatArray
    """f8[n], not decreasing, in [0, `duration_s`]: arrival of the first attempt."""
    finish_s: FloatArray
    """f8[n]: time of the terminal outcome; nan where `outcome` is UNFINISHED."""
    outcome: npt.NDArray[np.int8]
    """i1[n]: index into OUTCOMES."""
    class_id: npt.NDArray[np.int32]
    """i4[n]: index into the scenario's request classes."""
    attempts: npt.NDArray[np.int16]
    """i2[n]: attempts made, 1 without a retry."""
    parts_s: FloatArray
    """f8[n, len(PARTS)]: where the latency went; for unfinished requests, until `end_s`."""

    duration_s: float
    """End of the arrival window."""
    end_s: float
    """When the run stopped, at or after `duration_s` (the difference is the drain)."""

    bin_s: float
    """Width of one bin of `series`."""
    series: dict[str, FloatArray]
    """f8[n_bins] per name of SERIES."""

    peak: dict[str, float] = field(default_factory=dict)
    """`memory_bytes` at its highest, and what it was made of at that moment: `base`, `stacks`,
    `tasks`, `requests`, `connections` (bytes)."""
    activity: dict[str, float] = field(default_factory=dict)
    """Counters over the whole run, as the kind of scheduler has them."""
    waits: dict[str, ResourceUse] = field(default_factory=dict)
    """Use of each resource by name."""

    worker_time_s: dict[str, float] = field(default_factory=dict)
    """Seconds summed over workers by state (`cpu`, `run_queue`, `io`, `blocking`, `resource`,
    `lock`, `sleep`, `gil`, `overhead`, `idle`), over [0, `duration_s`)."""
    workers_max: int = 0
    """Most workers alive at one moment."""
    worker_limit: int | None = None
    """Most workers the scheduler may have; None where it has no such limit."""

    blame: list[BlameRow] = field(default_factory=list)
    """Who made whom wait, sorted."""
    pinned: list[PinnedRow] = field(default_factory=list)
    """Which steps pinned carriers or kept Ps, sorted. Over [0, `end_s`)."""
    longest_stall: Stall | None = None
    """Of an event loop; None for other schedulers, or where the loop never had anything to do."""

    stolen_s: list[float] = field(default_factory=list)
    """Of each virtual core, seconds over [0, `end_s`] in which it had something to run and the
    hypervisor had taken it away; empty where none are ever taken."""

    totals: dict[str, float] = field(default_factory=dict)
    """Core seconds over [0, `end_s`], measured at the cores and not from the requests:
    `busy_core_s` (all), `overhead_core_s` (of which for the runtime and the kernel), `late_cpu_s`
    (of which for requests that had already timed out, so in no latency) and `branch_cpu_s` (of
    which for branches of `parallel` steps, whose request was in "join" meanwhile). Then
    `busy_core_s` = sum of the cpu parts + `overhead_core_s` + `late_cpu_s` + `branch_cpu_s`,
    plus, on hyper-threads, up to `stretch_core_s` for what slowed the runtime's own work down."""

    join_parts_s: FloatArray = field(default_factory=lambda: np.empty((0, len(PARTS))))
    """f8[n, len(PARTS)], or no rows where no request had branches: where the time in "join" went.
    It is what the slowest branch of each `parallel` step did, which the request waited for: a row
    adds up to the request's "join", except for attempts that were given up."""
    branch_cpu_s: FloatArray = field(default_factory=lambda: np.empty(0))
    """f8[n], or empty where no request had branches: CPU seconds of all branches of a request."""

    def __len__(self) -> int:
        """Number of requests that arrived."""
        return len(self.arrival_s)
