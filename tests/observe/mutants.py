"""Schedulers, hosts and clients with one mistake each, and which checker has to see it.

A mutant replaces one method while it is active. The mistakes are of the kind that runs to the end
and reports plausible numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kit import Spec, hold, scenario_of

from simsched.observe import checkers as c
from simsched.observe.ledger import Ledger
from simsched.scenario import Scenario
from simsched.schedulers.base import Scheduler
from simsched.schedulers.event_loop import EventLoop
from simsched.schedulers.fork_join import ForkJoin
from simsched.schedulers.go_parts import P
from simsched.schedulers.go_sysmon import Sysmon
from simsched.schedulers.goroutine import Goroutine
from simsched.schedulers.pool_policies import TomcatPolicy
from simsched.schedulers.thread_pool import ThreadPool
from simsched.sim.clients import Clients
from simsched.sim.host import Host, OsThread
from simsched.sim.resources import Resource
from simsched.sim.task import COMPLETED

from .runs import CPU, DEFAULT_OS, IO

POOL: Spec = {"kind": "thread_pool", "maxThreads": 4, "minSpareThreads": 4}
LOOP: Spec = {"kind": "event_loop"}
GO: Spec = {"kind": "goroutine"}
VIRTUAL: Spec = {"kind": "virtual_thread"}

PLAIN: dict[str, Any] = {"classes": [{"name": "a", "steps": [CPU, IO, CPU]}]}
CONTENDED: dict[str, Any] = {
    "classes": [{"name": "a", "steps": [CPU, hold("use", "db", [IO, CPU])]}],
    "resources": {"db": 2},
}
IMPATIENT: dict[str, Any] = {"classes": [{"name": "a", "timeout": "8ms", "steps": [CPU, IO, CPU]}]}
# Long computing on one of two Ps, so that others have to come for what it makes ready.
BESIDE_HOGS: dict[str, Any] = {
    "classes": [
        {"name": "hog", "weight": 0.1, "steps": [{"cpu": "60ms"}]},
        {"name": "a", "steps": [{"cpu": "100us"}, {"io": "1ms"}, {"cpu": "100us"}]},
    ],
    "arrivals": {"kind": "poisson", "rate": "400/s"},
    "duration": "400ms",
}
# Who leaves two pools makes two others runnable, and goes on computing.
HANDS_ON: dict[str, Any] = {
    "classes": [
        {
            "name": "hog",
            "weight": 0.2,
            "steps": [hold("use", "a", [hold("use", "b", [{"io": "9ms"}])]), {"cpu": "40ms"}],
        },
        {"name": "a", "steps": [hold("use", "a", [{"cpu": "200us"}])]},
        {"name": "b", "steps": [hold("use", "b", [{"cpu": "200us"}])]},
    ],
    "resources": {"a": 1, "b": 1},
    "arrivals": {"kind": "poisson", "rate": "400/s"},
}


def scenario(scheduler: Spec, workload: dict[str, Any]) -> Scenario:
    settings = {
        "arrivals": {"kind": "poisson", "rate": "500/s"},
        "cores": 2,
        "os": DEFAULT_OS,
        "duration": "200ms",
        **workload,
    }
    return scenario_of(scheduler=scheduler, **settings)


@dataclass(frozen=True)
class Mutant:
    """`owner.method` is replaced by `wrong(the right method)`."""

    mistake: str
    checker: type[c.Checker]
    owner: type
    method: str
    wrong: Callable[[Any], Callable[..., Any]]
    scheduler: Spec
    workload: dict[str, Any]
    seen: str

    def __str__(self) -> str:
        return self.mistake

    @property
    def scenario(self) -> Scenario:
        return scenario(self.scheduler, self.workload)


def never(_: Any) -> Callable[..., None]:
    """Does nothing at all."""
    return lambda *_args, **_kwargs: None


def ends_twice(right: Any) -> Any:
    def completed(self: Clients, task: Any) -> None:
        right(self, task)
        if task.index == 5:
            self._end(task, COMPLETED)

    return completed


def forgets_the_release(_: Any) -> Any:
    return lambda self, task: self._left(task)


def skips_a_step(right: Any) -> Any:
    def step_done(self: Scheduler, task: Any) -> None:
        right(self, task)
        if task.index == 5 and task.pc == 1:
            task.pc += 1

    return step_done


def works_half(right: Any) -> Any:
    return lambda self, demand_s, rank=0: right(self, demand_s / 2, rank)


def works_more(right: Any) -> Any:
    return lambda self, demand_s, rank=0: right(self, demand_s * 1.01, rank)


def one_thread_more(right: Any) -> Any:
    def init(self: TomcatPolicy, spec: Any) -> None:
        right(self, spec)
        self.limit += 1

    return init


def one_permit_more(right: Any) -> Any:
    def init(self: Resource, *args: Any) -> None:
        right(self, *args)
        self.free += 1

    return init


def one_core_more(right: Any) -> Any:
    def init(self: Host, clock: Any, spec: Any, observers: Any) -> None:
        right(self, clock, spec.model_copy(update={"cores": spec.cores + 1}), observers)

    return init


def one_p_more(right: Any) -> Any:
    def init(self: Goroutine, machine: Any, spec: Any) -> None:
        right(self, machine, spec)
        self.ps.append(P(len(self.ps)))
        self.idle_ps.insert(0, self.ps[-1])

    return init


def hands_over_and_frees(right: Any) -> Any:
    def release(self: Resource, task: Any) -> Any:
        heir = right(self, task)
        if heir is not None:
            self._observers.resource(self._clock.now, self.name, -1)
        return heir

    return release


def keeps_to_itself(_: Any) -> Any:
    def release(self: Resource, task: Any) -> None:
        task.held.remove(self)
        self.free += 1
        self._observers.resource(self._clock.now, self.name, -1)

    return release


def idles_beside_a_thread(right: Any) -> Any:
    def refill(self: Host, core: Any) -> None:
        if self.rotating and not self.woken:
            self.idle.add(core.index)
        else:
            right(self, core)

    return refill


def signals_nobody(_: Any) -> Any:
    def enqueue(self: ThreadPool, task: Any) -> None:
        self.submitted += 1
        self.queue.append(task)
        self.observers.queued(self.clock.now, task, "pool")

    return enqueue


def loses_one(right: Any) -> Any:
    return lambda self, task: None if task.index == 60 else right(self, task)


def signals_only_the_first(right: Any) -> Any:
    return lambda self: None if self.total else right(self)


def last_in_first_out(_: Any) -> Any:
    def take(self: ThreadPool) -> Any:
        task = self.queue.pop()
        self.observers.dequeued(self.clock.now, task, "pool")
        if self.queue and self.idle:
            self._signal(self.idle.popleft())
        return task

    return take


def last_come_first_served(right: Any) -> Any:
    def release(self: Resource, task: Any) -> Any:
        self.waiting.reverse()
        heir = right(self, task)
        self.waiting.reverse()
        return heir

    return release


def shortest_job_first(right: Any) -> Any:
    def take(self: ThreadPool) -> Any:
        shortest = min(self.queue, key=lambda task: sum(task.demands))
        self.queue.remove(shortest)
        self.queue.appendleft(shortest)
        return right(self)

    return take


def peeks_at_the_first_step(right: Any) -> Any:
    def submit(self: Scheduler, task: Any) -> None:
        if task.demands[0] < 1.0:
            right(self, task)

    return submit


def never_gives_back(right: Any) -> Any:
    def released(self: Ledger, now: float, task: Any) -> None:
        right(self, now, task)
        self.held_log.add(now, task.class_id + 1)

    return released


def forgets_the_wait(_: Any) -> Any:
    def worked(self: Ledger, now: float, task: Any, overhead_s: float, thread: Any) -> None:
        """Neither overhead nor a wait for a core is told apart from computing."""

    return worked


MUTANTS = [
    Mutant("a request ends twice", c.Conservation, Clients, "completed", ends_twice,
           POOL, PLAIN, "a second one, after completed"),
    Mutant("a given-up attempt is never let go of", c.Conservation, Clients, "abandoned",
           forgets_the_release, POOL, IMPATIENT, "attempts held"),
    Mutant("a step is skipped", c.Causality, Scheduler, "step_done", skips_a_step,
           POOL, PLAIN, "step 1 to come next"),
    Mutant("computing takes half its time", c.Causality, OsThread, "run", works_half,
           GO, PLAIN, "the step to take"),
    Mutant("a pool has a thread too many", c.Capacity, TomcatPolicy, "__init__", one_thread_more,
           POOL, CONTENDED, "0 to 4 threads"),
    Mutant("a resource has a permit too many", c.Capacity, Resource, "__init__", one_permit_more,
           VIRTUAL, CONTENDED, "0 to 2 permits"),
    Mutant("a host has a core too many", c.Capacity, Host, "__init__", one_core_more,
           POOL, PLAIN, "a core below 2"),
    Mutant("Go has a P too many", c.Capacity, Goroutine, "__init__", one_p_more,
           GO, PLAIN, "2 busy workers at most"),
    Mutant("a permit is handed on and freed", c.Capacity, Resource, "release", hands_over_and_frees,
           LOOP, CONTENDED, "of 2 holders"),
    Mutant("a permit is never given back", c.Capacity, Scheduler, "release", never,
           POOL, CONTENDED, "nothing held at completion"),
    Mutant("a free permit waits beside a task", c.WorkConservation, Resource, "release",
           keeps_to_itself, POOL, CONTENDED, "free permits"),
    Mutant("a core idles beside a thread", c.WorkConservation, Host, "_refill",
           idles_beside_a_thread, POOL, {**PLAIN, "cores": 1}, "runnable threads"),
    Mutant("a thread sleeps on its core", c.WorkConservation, OsThread, "sleep", never,
           POOL, PLAIN, "with nothing to do"),
    Mutant("a pool wakes nobody", c.WorkConservation, ThreadPool, "enqueue", signals_nobody,
           POOL, PLAIN, "idle threads"),
    Mutant("a pool loses a task", c.WorkConservation, ThreadPool, "submit", loses_one,
           POOL, {**PLAIN, "drain": "200ms"}, "a task that waits to be run"),
    Mutant("a loop sleeps through arrivals", c.WorkConservation, EventLoop, "_interrupt_poll",
           never, LOOP, PLAIN, "the loop asleep"),
    Mutant("Go wakes no second P", c.WorkConservation, Goroutine, "wake_p", never,
           GO, HANDS_ON, "idle Ps"),
    Mutant("Go sleeps through arrivals", c.WorkConservation, Goroutine, "break_netpoll", never,
           GO, PLAIN, "asleep in netpoll"),
    Mutant("sysmon forgets the network", c.WorkConservation, Sysmon, "_poll_neglected_network",
           never, {**GO, "GOMAXPROCS": 1, "asyncpreempt": False}, BESIDE_HOGS, "neglected"),
    Mutant("a fork-join pool signals only once", c.WorkConservation, ForkJoin, "signal_work",
           signals_only_the_first, VIRTUAL, PLAIN, "carriers idle"),
    Mutant("a pool's queue is a stack", c.Discipline, ThreadPool, "take", last_in_first_out,
           POOL, PLAIN, "the head of queue"),
    Mutant("permits go to the last in line", c.Discipline, Resource, "release",
           last_come_first_served, GO, CONTENDED, "the longest waiting task"),
    Mutant("a pool knows the shortest job", c.Blindness, ThreadPool, "take", shortest_job_first,
           POOL, PLAIN, "being read"),
    Mutant("a loop knows the first step", c.Blindness, EventLoop, "submit", peeks_at_the_first_step,
           LOOP, PLAIN, "demand 0 being read"),
    Mutant("a host works more than it is asked", c.Utilization, OsThread, "run", works_more,
           VIRTUAL, PLAIN, "of core time"),
    Mutant("switches cost no core time in the books", c.Utilization, Ledger, "switched", never,
           POOL, PLAIN, "overhead_core_s"),
    Mutant("the memory of given-up attempts leaks", c.Memory, Ledger, "released", never_gives_back,
           VIRTUAL, IMPATIENT, "bytes"),
    Mutant("waiting for a core counts as computing", c.RecordCheck, Ledger, "worked",
           forgets_the_wait, POOL, PLAIN, "of cpu"),
]  # fmt: skip
