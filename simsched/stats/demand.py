"""What requests ask of the one station that queues, seen by queueing theory."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from simsched.stats.moments import Moments, mixture, moments, total

if TYPE_CHECKING:
    from simsched.scenario import Dist, RequestClass, Step


@dataclass(frozen=True)
class Demand:
    """What a request asks of the station that queues, and how long it is away from it."""

    visits: tuple[tuple[float, tuple[tuple[Dist, ...], ...]], ...]
    """(share of requests, (demands of visit 1, demands of visit 2, ...)) of each class."""
    delay_s: float
    """Mean time in delays that hold no server."""

    @property
    def visits_mean(self) -> float:
        """Mean number of visits of a request."""
        return sum(share * len(visits) for share, visits in self.visits)

    def exponential_s(self) -> float | None:
        """The mean of every visit, if all are exponential with the same one."""
        found = {self._one(visit) for _, visits in self.visits for visit in visits}
        return found.pop() if len(found) == 1 else None

    @staticmethod
    def _one(visit: tuple[Dist, ...]) -> float | None:
        from simsched.scenario import Exponential

        alone = visit[0] if len(visit) == 1 else None
        return alone.mean_s if isinstance(alone, Exponential) else None

    def single_visit(self) -> Moments | None:
        """Moments of the demand of those that visit, if none visits twice."""
        if any(len(visits) > 1 for _, visits in self.visits):
            return None
        return mixture(
            (share, total(moments(dist) for dist in visits[0]))
            for share, visits in self.visits
            if visits
        )

    def work(self) -> Moments | None:
        """Moments of what a request asks of the station in all its visits."""
        return mixture(
            (share, total(moments(dist) for visit in visits for dist in visit))
            for share, visits in self.visits
        )


def shares(classes: tuple[RequestClass, ...]) -> list[tuple[float, tuple[Step, ...]]]:
    """(share of requests, steps) of each class."""
    weight = sum(c.weight for c in classes)
    return [(c.weight / weight, c.steps) for c in classes]


def split(
    parts: list[tuple[float, tuple[Step, ...]]], served: set[str], delayed: set[str]
) -> Demand | None:
    """Split steps into visits (adjoining steps that hold the server) and delays.

    Args:
        parts: (share of requests, steps) of each class.
        served: kinds of step that hold the server, by their key in TOML.
        delayed: kinds of step that hold nothing.

    Returns:
        The demand, or None where a step is of another kind or its mean is not known.
    """
    from simsched.scenario import BlockingStep, CpuStep, IoStep, SleepStep

    delay_s = 0.0
    visits = []
    for share, steps in parts:
        demands = []
        for holds, run in groupby(steps, key=lambda step: what(step) in served):
            group = list(run)
            if not holds and any(what(step) not in delayed for step in group):
                return None
            dists = tuple(
                s.demand
                for s in group
                if isinstance(s, CpuStep | IoStep | SleepStep | BlockingStep)
            )
            if holds:
                demands.append(dists)
                continue
            known = [dist.mean_s for dist in dists]
            if any(mean is None for mean in known):
                return None
            delay_s += share * sum(mean for mean in known if mean is not None)
        visits.append((share, tuple(demands)))
    return Demand(tuple(visits), delay_s)


def what(step: Step) -> str:
    """The key a step has in TOML: cpu, io, sleep, blocking, use, lock, ..."""
    return type(step).__name__.removesuffix("Step").lower()
