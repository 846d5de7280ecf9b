"""What the open and the closed workload have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from simsched.workload.streams import stream

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simsched.workload.offered import Offered
    from simsched.workload.program import Program

__all__ = [
    "CHUNK",
    "MAX_REQUESTS",
    "RequestSource",
    "RetryJitter",
    "TooManyRequests",
    "check_count",
    "check_demands",
    "choose_classes",
]

MAX_REQUESTS = 50_000_000
"""Most requests of one replication; the arrays of so many already take gigabytes."""

MAX_DEMANDS = 400_000_000
"""Most demands of one replication's requests; they take 8 bytes each."""

CHUNK = 4096
"""Requests drawn together where requests are drawn as they are needed."""


class TooManyRequests(ValueError):
    """The workload has more requests than a run can hold."""


def check_count(expected: float, what: str) -> None:
    """Refuse what could only end in running out of memory.

    Raises:
        TooManyRequests: If `expected` is above MAX_REQUESTS.
    """
    if not expected <= MAX_REQUESTS:
        raise TooManyRequests(
            f"{what} would be about {expected:,.0f}, more than the {MAX_REQUESTS:,} a run can hold:"
            " make the duration shorter or the rate lower"
        )


def check_demands(count: float) -> None:
    """Refuse requests of so many steps that their demands do not fit into memory.

    Raises:
        TooManyRequests: If `count` is above MAX_DEMANDS.
    """
    if not count <= MAX_DEMANDS:
        raise TooManyRequests(
            f"the demands of all steps of all requests would be about {count:,.0f}, more than the "
            f"{MAX_DEMANDS:,} a run can hold: make the duration shorter, or repeat less often"
        )


class RequestSource(Protocol):
    """What an engine may ask of a workload, open or closed."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """The program of each class, by class id."""

    def class_id_of(self, i: int) -> int:
        """Class of request `i`: an index into `programs`."""

    def demand_row(self, i: int) -> list[float]:
        """Seconds of each slot of request `i`: a fresh list that the caller may change."""

    def think_s(self, i: int) -> float:
        """Seconds the user who ends request `i` waits before the next; 0 in an open workload."""

    def retry_jitter(self, i: int, attempt: int) -> float:
        """A number in [-1, 1) for retry `attempt` (from 1) of request `i`."""

    def offered(self) -> Offered:
        """What the requests ask for, without queueing."""


class RetryJitter:
    """Uniform numbers in [-1, 1) keyed by request and attempt, drawn when first asked for.

    Few requests are retried, so nothing is drawn ahead; blocks of CHUNK requests come from a
    stream named by attempt and block, and are the same whatever the order of the questions.
    """

    __slots__ = ("_blocks", "_replication", "_seed")

    def __init__(self, seed: int, replication: int) -> None:
        self._seed = seed
        self._replication = replication
        self._blocks: dict[tuple[int, int], list[float]] = {}

    def __call__(self, i: int, attempt: int) -> float:
        """The number for retry `attempt` (from 1) of request `i`."""
        block, at = divmod(i, CHUNK)
        values = self._blocks.get((attempt, block))
        if values is None:
            rng = stream(self._seed, self._replication, f"retry:{attempt}:chunk:{block}")
            values = rng.uniform(-1.0, 1.0, CHUNK).tolist()
            self._blocks[attempt, block] = values
        return values[at]


def choose_classes(
    programs: tuple[Program, ...], uniform: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Class ids by weight, from one uniform number in [0, 1) per request."""
    edges = np.cumsum([p.weight for p in programs])
    # The last edge is left out, so that rounding cannot push a request past the last class.
    ids = np.searchsorted(edges[:-1] / edges[-1], uniform, side="right")
    return ids.astype(np.int32)
