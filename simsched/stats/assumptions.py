"""What every closed form takes for granted of the scenario and of the scheduler.

What it asks of the requests' steps is found where they are split (:mod:`simsched.stats.demand`):
there is no formula for those it does not know, which are ``offload``, ``parallel`` and ``repeat``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simsched.scenario import Scenario, SchedulerSpec


def assumptions_hold(scenario: Scenario, spec: SchedulerSpec) -> bool:
    """Whether there can be a closed form at all."""
    return (
        scenario.study == "steady"
        and scenario.arrivals.kind in ("poisson", "closed")
        and all(c.timeout_s is None and c.retries is None for c in scenario.classes)
        and scenario.connections is None
        and scenario.host.cpu_quota is None
        and scenario.host.threads_per_core == 1
        and scenario.host.steal == 0.0
        and _is_one_station(spec)
    )


def _is_one_station(spec: SchedulerSpec) -> bool:
    """Whether nothing queues or computes beside the workers or the cores.

    That is: one process, no lock that its threads share, and no work that no step asks for. Where
    connections are not modelled, how many a server accepts does not matter.
    """
    shares_a_lock = spec.kind != "event_loop" and getattr(spec, "gil", False)
    return (
        spec.kind not in ("sync_workers", "gthread", "fork_join", "reactor")
        and getattr(spec, "policy", "") != "python"
        and not shares_a_lock
        and spec.processes == 1
        and spec.cpu_factor == 1.0
        and getattr(spec, "request_s", 0.0) == 0.0
        and getattr(spec, "endpoint", "async") == "async"
        and getattr(spec, "sync_dependencies", 0) == 0
        and getattr(spec, "limit_concurrency", None) is None
    )
