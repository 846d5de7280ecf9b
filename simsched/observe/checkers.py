"""The checkers: what must be true of every run, whatever the scenario and the scheduler.

=================  ===============================================================================
conservation       each request ends once; arrived = the rest; no attempt is lost or kept
causality          monotone clock; steps follow their program and take what they demand
capacity           no more at work than there are cores, workers, threads and permits
cpu quota          no more core time than the container's quota gives
steal              nothing runs on a virtual core that the hypervisor has taken
work conservation  no idle core, worker or permit beside work it may take
discipline         what promises first come, first served keeps it
connections        each in one place, with one process, and not more than may be
blindness          no policy reads a demand that lies ahead
utilisation        core time = demands carried out + overhead
memory             base + threads + attempts held, and it comes back
record             the breakdown adds up to the latency; the series add up to the requests
=================  ===============================================================================

``simulate(scenario, spec, trace, observers=all_checkers())`` raises :class:`CheckFailed` at the
first thing that cannot be.
"""

from __future__ import annotations

from simsched.observe.check_accounts import Memory, Utilization
from simsched.observe.check_capacity import Capacity
from simsched.observe.check_causality import Causality
from simsched.observe.check_network import Connections
from simsched.observe.check_order import Blindness, Discipline
from simsched.observe.check_quota import CpuQuota
from simsched.observe.check_record import RecordCheck, check_record
from simsched.observe.check_requests import Conservation
from simsched.observe.check_steal import Steal
from simsched.observe.check_work import WorkConservation
from simsched.observe.checker import Checker, CheckFailed

__all__ = [
    "Blindness",
    "Capacity",
    "Causality",
    "CheckFailed",
    "Checker",
    "Connections",
    "Conservation",
    "CpuQuota",
    "Discipline",
    "Memory",
    "RecordCheck",
    "Steal",
    "Utilization",
    "WorkConservation",
    "all_checkers",
    "check_record",
]


def all_checkers() -> list[Checker]:
    """One new checker of each kind; a checker is good for one run."""
    # Blindness first: it covers the demands before anybody can look.
    return [
        Blindness(),
        Conservation(),
        Causality(),
        Capacity(),
        CpuQuota(),
        Steal(),
        WorkConservation(),
        Discipline(),
        Connections(),
        Utilization(),
        Memory(),
        RecordCheck(),
    ]
