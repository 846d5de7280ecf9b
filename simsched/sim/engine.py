"""The engine door: one scenario, one scheduler, one replication in; one record out.

This is the SimPy engine. Another engine with the same semantics has to offer the same function.
"""

from __future__ import annotations

import gc
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simsched.observe.collect import collect
from simsched.observe.ledger import Ledger
from simsched.observe.slots import limits_of
from simsched.sim.clients import Clients
from simsched.sim.clock import Clock
from simsched.sim.machine import Machine
from simsched.sim.network import Network, NetworkClients
from simsched.sim.observer import Observer, Observers
from simsched.sim.resources import Resource
from simsched.sim.smt import host_of

if TYPE_CHECKING:
    import numpy as np

    from simsched.observe.record import RunRecord
    from simsched.scenario import Scenario, SchedulerSpec
    from simsched.schedulers.base import Scheduler
    from simsched.sim.task import Task
    from simsched.workload import ClosedTrace, RequestTrace

ENGINE = "simpy"


class Simulation:
    """One scheduler on one machine, ready to run. Tests use it to look inside."""

    def __init__(
        self,
        scenario: Scenario,
        spec: SchedulerSpec,
        trace: RequestTrace | ClosedTrace,
        replication: int = 0,
        observers: Sequence[Observer] = (),
    ) -> None:
        from simsched.schedulers import build, needs_network

        self.scenario = scenario
        self.spec = spec
        if spec.cpu_factor != 1.0:
            trace = trace.slowed(spec.cpu_factor)
        self.trace = trace
        self.watching = tuple(observers)
        self.ledger = Ledger(scenario.duration_s, spec.kind, scenario.host.slice_s)
        # The ledger goes last: it moves a task's books on, and the others see them as they were.
        self.observers = Observers([*observers, self.ledger])
        self.clock = Clock()
        self.host = host_of(self.clock, scenario.host, self.observers, scenario.seed, replication)
        self.clients: Clients
        self.network: Network | None = None  # if connections are modelled
        if scenario.connections is not None or needs_network(spec):
            self._connect()
        else:
            self.clients = Clients(self.clock, self.observers, trace, scenario.duration_s)
        resources = self._resources()
        self.machine = Machine(
            self.clock,
            self.host,
            self.observers,
            resources,
            self.clients,
            scenario.seed,
            replication,
            self.network,
            spec.visible_cpus(scenario.host),
        )
        for observer in self.watching:
            attach = getattr(observer, "attach", None)
            if attach is not None:
                attach(self)
        self.scheduler: Scheduler = build(self.machine, spec)
        self.ledger.blame.knows(
            limits_of(scenario, spec, self.scheduler.worker_limit, self.machine.pools)
        )
        for resource in resources.values():
            resource.wakes = self._wake

    def _wake(self, task: Task) -> None:
        """A task's wait for a permit is over: the process that has it goes on with it."""
        network = self.network
        owner = self.scheduler if network is None else network.processes[task.process]
        owner.granted(task)

    def _connect(self) -> None:
        """Put a network between the clients and the scheduler."""
        trace, scenario = self.trace, self.scenario
        self.clients = clients = NetworkClients(
            self.clock, self.observers, trace, scenario.duration_s
        )
        self.network = Network(
            self.clock,
            self.observers,
            clients,
            scenario.host,
            scenario.connections,
            self.spec.listen,
            getattr(trace, "users", None),
        )

    def _resources(self) -> dict[str, Resource]:
        made = {
            name: Resource(self.clock, self.observers, name, r.capacity, r.timeout_s, r.max_waiting)
            for name, r in self.scenario.resources.items()
        }
        for program in self.trace.programs:
            for key in program.wait_names:
                if key not in made:
                    made[key] = Resource(self.clock, self.observers, key, 1)  # a lock
        return made

    def run(self) -> RunRecord:
        """Run to the end of the arrival window, then until idle or the end of the drain."""
        gc_was_on = gc.isenabled()
        gc.disable()  # nothing a run makes is cyclic garbage before its end
        try:
            return self._run()
        finally:
            if gc_was_on:
                gc.enable()

    def _run(self) -> RunRecord:
        clock, clients = self.clock, self.clients
        self.scheduler.start()
        if self.network is not None:
            self.network.start()
        clients.start(self.network or self.scheduler)
        clock.run_until(self.scenario.duration_s)
        end_s = self.scenario.duration_s
        if not clients.idle():
            limit_s = self.scenario.duration_s + self.drain_limit_s()
            clock.run_until(limit_s, clients.idle)
            end_s = clock.now if clients.idle() else limit_s
        self.scheduler.end(end_s)
        self.host.end(end_s)
        record = collect(self, end_s)
        for observer in self.watching:
            finish = getattr(observer, "finish", None)
            if finish is not None:
                finish(self, record)
        return record

    def drain_limit_s(self) -> float:
        """How long the run may go on after the last arrival.

        A terminating study and a replayed trace end when all is done (bounded by ten times their
        duration). A steady-state study only lets the last requests finish under way: a tenth of
        the duration, or twice the longest request without queueing.
        """
        scenario = self.scenario
        if scenario.drain_s is not None:
            return scenario.drain_s
        if scenario.study == "terminating" or scenario.arrivals.kind == "trace":
            return 10.0 * scenario.duration_s
        longest_s = max((float(d.sum(axis=1).max()) for d in self._demands() if len(d)), default=0)
        return max(0.1 * scenario.duration_s, min(2.0 * longest_s, scenario.duration_s))

    def _demands(self) -> Sequence[np.ndarray]:
        return getattr(self.trace, "demands", ())


def simulate(
    scenario: Scenario,
    spec: SchedulerSpec,
    trace: RequestTrace | ClosedTrace,
    replication: int = 0,
    observers: Sequence[Observer] = (),
) -> RunRecord:
    """Run one scheduler over one drawn workload and return its measurements."""
    return Simulation(scenario, spec, trace, replication, observers).run()
