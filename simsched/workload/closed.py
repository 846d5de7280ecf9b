"""The closed workload: a fixed number of users, each with one request at a time.

When a request is issued depends on when the user's last one ended, so arrival times cannot be
drawn ahead; everything else can. Requests are numbered in the order they are issued, and class,
demands and think time belong to that number. They are drawn in chunks of CHUNK requests, each
chunk from streams of its own, so any chunk can be dropped and drawn again: memory stays bounded
however long the run.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from simsched.workload.base import CHUNK, RetryJitter, check_count, choose_classes
from simsched.workload.offered import Offered, offered_load
from simsched.workload.program import Program, cpu_slots, flatten
from simsched.workload.sampling import sample
from simsched.workload.streams import stream

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from simsched.scenario import Closed, Dist, Scenario

    Floats = NDArray[np.float64]

__all__ = ["ClosedTrace"]


class _Chunk:
    """CHUNK consecutive requests, as lists for quick access one by one."""

    __slots__ = ("class_id", "rows", "think_s")

    def __init__(self, class_id: list[int], rows: list[list[float]], think_s: list[float]) -> None:
        self.class_id = class_id
        self.rows = rows
        self.think_s = think_s


class ClosedTrace:
    """A closed workload, drawn as far as it is asked for.

    User u issues its first request at start_s[u]. The user whose request i ends (in whatever
    way) waits think_s(i) seconds and then issues its next.

    Attributes:
        programs: Program of each class, by class id.
        users: Number of users.
        think: Distribution of the think time.
        start_s: When each user issues its first request: a draw of the think time, as if each
            had just been served; all 0 where there is no thinking.
        duration_s: Length of the window in which requests are issued.
        seed: Seed of the streams.
        replication: Replication of the streams.
    """

    def __init__(
        self,
        *,
        programs: tuple[Program, ...],
        users: int,
        think: Dist,
        duration_s: float,
        seed: int,
        replication: int,
        base_dir: Path,
    ) -> None:
        self.programs = programs
        self.users = users
        self.think = think
        self.duration_s = duration_s
        self.seed = seed
        self.replication = replication
        self._base_dir = base_dir
        self._cpu_factor = 1.0
        self.start_s = self._sample(think, "think:start", users)
        self._jitter = RetryJitter(seed, replication)
        # Requests in flight span about `users` numbers; older chunks are seldom asked for again.
        self._keep = 4 + 2 * -(-users // CHUNK)
        self._chunks: dict[int, _Chunk] = {}

    @classmethod
    def of(cls, scenario: Scenario, arrivals: Closed, replication: int) -> ClosedTrace:
        """The closed workload of a scenario whose arrivals are closed."""
        return cls(
            programs=tuple(flatten(c) for c in scenario.classes),
            users=arrivals.users,
            think=arrivals.think,
            duration_s=scenario.duration_s,
            seed=scenario.seed,
            replication=replication,
            base_dir=scenario.base_dir,
        )

    def slowed(self, factor: float) -> ClosedTrace:
        """The same requests on a runtime that takes `factor` times the CPU for them."""
        trace = copy(self)
        trace._cpu_factor = factor
        trace._chunks = {}
        return trace

    def class_id_of(self, i: int) -> int:
        """Class of request `i`: an index into `programs`."""
        return self._chunk(i // CHUNK).class_id[i % CHUNK]

    def demand_row(self, i: int) -> list[float]:
        """Seconds of each slot of request `i`: a fresh list that the caller may change."""
        return self._chunk(i // CHUNK).rows[i % CHUNK].copy()

    def think_s(self, i: int) -> float:
        """Seconds the user who ends request `i` waits before issuing the next."""
        return self._chunk(i // CHUNK).think_s[i % CHUNK]

    def retry_jitter(self, i: int, attempt: int) -> float:
        """A number in [-1, 1) for retry `attempt` (from 1) of request `i`."""
        return self._jitter(i, attempt)

    def ensure(self, i: int) -> None:
        """Draw request `i` and the requests of its chunk, unless they are at hand.

        Raises:
            TooManyRequests: If `i` is past MAX_REQUESTS: a user who neither thinks nor is served
                for any time issues without end.
        """
        self._chunk(i // CHUNK)

    def offered(self) -> Offered:
        """What the first CHUNK requests ask for: a sample, as a closed workload has no end."""
        class_id, demands, _ = self._draw(0)
        mine = [matrix[class_id == c] for c, matrix in enumerate(demands)]
        return offered_load(self.programs, mine, None)

    def _chunk(self, k: int) -> _Chunk:
        chunk = self._chunks.get(k)
        if chunk is None:
            check_count((k + 1) * CHUNK, "the requests issued by closed arrivals")
            if len(self._chunks) >= self._keep:
                del self._chunks[next(iter(self._chunks))]
            chunk = self._chunks[k] = self._as_lists(*self._draw(k))
        return chunk

    def _draw(self, k: int) -> tuple[NDArray[np.int32], list[Floats], Floats]:
        """Classes, per class the demands of all requests of chunk `k`, and think times."""
        uniform = stream(self.seed, self.replication, f"class:chunk:{k}").random(CHUNK)
        demands = []
        for program in self.programs:
            matrix = np.empty((CHUNK, program.slots))
            for slot, dist in enumerate(program.demands):
                purpose = f"demand:{program.name}:{slot}:chunk:{k}"
                matrix[:, slot] = self._sample(dist, purpose, CHUNK)
            if self._cpu_factor != 1.0:
                matrix[:, cpu_slots(program.ops)] *= self._cpu_factor
            demands.append(matrix)
        think_s = self._sample(self.think, f"think:chunk:{k}", CHUNK)
        return choose_classes(self.programs, uniform), demands, think_s

    def _sample(self, dist: Dist, purpose: str, n: int) -> Floats:
        rng = stream(self.seed, self.replication, purpose)
        return sample(dist, rng, n, base_dir=self._base_dir)

    @staticmethod
    def _as_lists(class_id: NDArray[np.int32], demands: list[Floats], think_s: Floats) -> _Chunk:
        rows: list[list[float]] = [[]] * CHUNK
        for c, matrix in enumerate(demands):
            mine = np.flatnonzero(class_id == c)
            for i, row in zip(mine.tolist(), matrix[mine].tolist(), strict=True):
                rows[i] = row
        return _Chunk(class_id.tolist(), rows, think_s.tolist())
