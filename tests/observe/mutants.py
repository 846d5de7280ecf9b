"""Schedulers, hosts and clients with one mistake each, and which checker has to see it.

A mutant replaces one method while it is active. The mistakes are of the kind that runs to the end
and reports plausible numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kit import Spec, hold, offload, parallel, scenario_of

from simsched.observe import checkers as c
from simsched.observe.branch_books import BranchBooks
from simsched.observe.ledger import Ledger
from simsched.scenario import Scenario
from simsched.schedulers.anyio_threads import AnyioThreads
from simsched.schedulers.base import Scheduler
from simsched.schedulers.event_loop import EventLoop
from simsched.schedulers.fork_join import ForkJoin
from simsched.schedulers.go_sysmon import Sysmon
from simsched.schedulers.goroutine import Goroutine
from simsched.schedulers.pool_policies import TomcatPolicy
from simsched.schedulers.reactor_loop import Loop
from simsched.schedulers.reactor_threads import SingleThread
from simsched.schedulers.sync_workers import SyncWorker
from simsched.schedulers.thread_pool import ThreadPool
from simsched.sim.bandwidth import QuotaHost
from simsched.sim.clients import Clients
from simsched.sim.gil_thread import GilThread
from simsched.sim.host import Host
from simsched.sim.network import Listener, Network
from simsched.sim.os_thread import OsThread
from simsched.sim.resources import Resource
from simsched.sim.steal import StealHost

from . import mistakes as m
from .runs import CPU, DEFAULT_OS, IO

POOL: Spec = {"kind": "thread_pool", "maxThreads": 4, "minSpareThreads": 4}
LOOP: Spec = {"kind": "event_loop"}
GO: Spec = {"kind": "goroutine"}
PYTHON: Spec = {"kind": "thread_pool", "policy": "python"}
FASTAPI: Spec = {"kind": "event_loop", "endpoint": "def", "total_tokens": 3}
SYNC: Spec = {"kind": "sync_workers", "processes": 2, "timeout": "50ms", "startup": "10ms"}
VIRTUAL: Spec = {"kind": "virtual_thread"}
FUTURES: Spec = {"kind": "fork_join", "parallelism": 2}
REACTOR: Spec = {"kind": "reactor", "defaultBoundedElasticSize": 1}

PLAIN: dict[str, Any] = {"classes": [{"name": "a", "steps": [CPU, IO, CPU]}]}
CONTENDED: dict[str, Any] = {
    "classes": [{"name": "a", "steps": [CPU, hold("use", "db", [IO, CPU])]}],
    "resources": {"db": 2},
}
FORKED: dict[str, Any] = {
    "classes": [{"name": "a", "steps": [CPU, parallel([IO, CPU], [CPU]), CPU]}]
}
OFFLOADED: dict[str, Any] = {
    "classes": [{"name": "a", "steps": [CPU, offload("to_thread", [CPU])]}]
}
IMPATIENT: dict[str, Any] = {"classes": [{"name": "a", "timeout": "8ms", "steps": [CPU, IO, CPU]}]}
# More connections than the server takes, and now and then more than fit into its queue.
WIRED: dict[str, Any] = {**PLAIN, "connections": {"keep_alive": False}}
NARROW: Spec = {**POOL, "listen": {"backlog": 3, "max_connections": 3}}
# Some requests hang until the arbiter comes.
HANGING: dict[str, Any] = {
    "classes": [
        {"name": "a", "steps": [CPU, IO]},
        {"name": "hangs", "weight": 0.02, "steps": [{"blocking": "9s"}]},
    ],
    "arrivals": {"kind": "poisson", "rate": "100/s"},
    "duration": "2s",
}
# One and a half of two cores, in an overload.
CONTAINED: dict[str, Any] = {**PLAIN, "host": {"cpu_quota": 0.6, "cpu_period": "20ms"}}
# Two virtual cores that are away for a third of the time.
TAKEN: dict[str, Any] = {**PLAIN, "host": {"steal": 0.33, "steal_slice": "2ms"}}
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


MUTANTS = [
    Mutant("a request ends twice", c.Conservation, Clients, "completed", m.ends_twice,
           POOL, PLAIN, "a second one, after completed"),
    Mutant("a given-up attempt is never let go of", c.Conservation, Clients, "abandoned",
           m.forgets_the_release, POOL, IMPATIENT, "attempts held"),
    Mutant("a step is skipped", c.Causality, Scheduler, "step_done", m.skips_a_step,
           POOL, PLAIN, "step 1 to come next"),
    Mutant("a request goes on after its first branch", c.Causality, Scheduler, "branch_ended",
           m.joins_at_the_first, GO, FORKED, "the end of all 2 branches"),
    Mutant("a branch is made and never run", c.WorkConservation, Scheduler, "fork",
           m.forgets_a_branch, VIRTUAL, {**FORKED, "drain": "200ms"}, "a task that waits"),
    Mutant("nobody hears of a branch that ends", c.Conservation, Scheduler, "branch_ended",
           m.ends_unheard, GO, FORKED, "its branches to end before it does"),
    Mutant("branches leave their memory behind", c.Memory, BranchBooks, "joined",
           m.keeps_the_branch, VIRTUAL, FORKED, "bytes"),
    Mutant("branches know what lies ahead", c.Blindness, Scheduler, "fork", m.longest_first,
           GO, FORKED, "being read"),
    Mutant("branches compute at nobody's cost", c.RecordCheck, BranchBooks, "pack", m.never,
           LOOP, FORKED, "no join without branches"),
    Mutant("computing takes half its time", c.Causality, OsThread, "run", m.works_half,
           GO, PLAIN, "the step to take"),
    Mutant("a pool has a thread too many", c.Capacity, TomcatPolicy, "__init__", m.one_thread_more,
           POOL, CONTENDED, "0 to 4 threads"),
    Mutant("a resource has a permit too many", c.Capacity, Resource, "__init__", m.one_permit_more,
           VIRTUAL, CONTENDED, "0 to 2 permits"),
    Mutant("a host has a core too many", c.Capacity, Host, "__init__", m.one_core_more,
           POOL, PLAIN, "a core below 2"),
    Mutant("Go has a P too many", c.Capacity, Goroutine, "__init__", m.one_p_more,
           GO, PLAIN, "2 busy workers at most"),
    Mutant("two threads have the interpreter lock", c.Capacity, GilThread, "__init__",
           m.has_a_lock_of_its_own, PYTHON, PLAIN, "one thread at a time"),
    Mutant("there is a token too many", c.Capacity, AnyioThreads, "__init__", m.one_token_more,
           FASTAPI, PLAIN, "0 to 3 permits"),
    Mutant("some tokens are never given back", c.Capacity, AnyioThreads, "_give_back",
           m.keeps_the_token_of_some, {**FASTAPI, "total_tokens": 200}, {**PLAIN, "drain": "1s"},
           "tokens back"),
    Mutant("tokens stay away and nobody gets on", c.WorkConservation, AnyioThreads, "_give_back",
           m.never, FASTAPI, {**PLAIN, "drain": "200ms"}, "a task that waits"),
    Mutant("a permit is handed on and freed", c.Capacity, Resource, "release",
           m.hands_over_and_frees, LOOP, CONTENDED, "of 2 holders"),
    Mutant("a permit is never given back", c.Capacity, Scheduler, "release", m.never,
           POOL, CONTENDED, "nothing held at completion"),
    Mutant("a free permit waits beside a task", c.WorkConservation, Resource, "release",
           m.keeps_to_itself, POOL, CONTENDED, "free permits"),
    Mutant("a core idles beside a thread", c.WorkConservation, Host, "_refill",
           m.idles_beside_a_thread, POOL, {**PLAIN, "cores": 1}, "runnable threads"),
    Mutant("a thread sleeps on its core", c.WorkConservation, OsThread, "sleep", m.never,
           POOL, PLAIN, "with nothing to do"),
    Mutant("a pool wakes nobody", c.WorkConservation, ThreadPool, "enqueue", m.signals_nobody,
           POOL, PLAIN, "idle threads"),
    Mutant("a pool loses a task", c.WorkConservation, ThreadPool, "submit", m.loses_one,
           POOL, {**PLAIN, "drain": "200ms"}, "a task that waits to be run"),
    Mutant("a loop sleeps through arrivals", c.WorkConservation, EventLoop, "interrupt_poll",
           m.never, LOOP, PLAIN, "the loop asleep"),
    Mutant("one of several loops sleeps through arrivals", c.WorkConservation, Loop, "wake",
           m.never, REACTOR, PLAIN, "loop-1 asleep"),
    Mutant("the queue of an elastic thread is a stack", c.Discipline, SingleThread, "_next",
           m.newest_first, REACTOR, OFFLOADED, "the head of queue"),
    Mutant("Go wakes no second P", c.WorkConservation, Goroutine, "wake_p", m.never,
           GO, HANDS_ON, "idle Ps"),
    Mutant("Go sleeps through arrivals", c.WorkConservation, Goroutine, "break_netpoll", m.never,
           GO, PLAIN, "asleep in netpoll"),
    Mutant("sysmon forgets the network", c.WorkConservation, Sysmon, "_poll_neglected_network",
           m.never, {**GO, "GOMAXPROCS": 1, "asyncpreempt": False}, BESIDE_HOGS, "neglected"),
    Mutant("a fork-join pool signals only once", c.WorkConservation, ForkJoin, "signal_work",
           m.signals_only_the_first, VIRTUAL, PLAIN, "carriers idle"),
    Mutant("a common pool signals only once", c.WorkConservation, ForkJoin, "signal_work",
           m.signals_only_the_first, {**FUTURES, "io": "async"}, PLAIN, "workers idle"),
    Mutant("a common pool has spares without end", c.Capacity, ForkJoin, "compensate",
           m.spares_without_end, {**FUTURES, "managedBlock": True, "maximumSpares": 1}, PLAIN,
           "0 to 3 threads"),
    Mutant("a common pool is a stack to everybody", c.Discipline, ForkJoin, "_pop",
           m.newest_for_all, FUTURES, PLAIN, "the head of queue"),
    Mutant("a pool's queue is a stack", c.Discipline, ThreadPool, "take", m.last_in_first_out,
           POOL, PLAIN, "the head of queue"),
    Mutant("tokens go to the last in line", c.Discipline, AnyioThreads, "_leaves",
           m.serves_the_last_in_line, FASTAPI, PLAIN, "the head of queue"),
    Mutant("permits go to the last in line", c.Discipline, Resource, "release",
           m.last_come_first_served, GO, CONTENDED, "the longest waiting task"),
    Mutant("the kernel admits whoever comes", c.Connections, Listener, "admits", m.admits_all,
           NARROW, WIRED, "4 in the accept queue at most"),
    Mutant("the accept queue is no queue", c.Connections, Network, "accept", m.accepts_the_next,
           NARROW, WIRED, "the head of the accept queue"),
    Mutant("a process takes a connection too many", c.Connections, Network, "accept",
           m.accepts_one_more, NARROW, WIRED, "3 open connections at most"),
    Mutant("a connection changes its process", c.Connections, Network, "read",
           m.reads_in_the_first, {**POOL, "processes": 2}, WIRED, "read by who accepted"),
    Mutant("a killed worker's request is forgotten", c.Connections, SyncWorker, "_abort",
           m.forgets_the_killed, SYNC, HANGING, "no worker in select"),
    Mutant("an acceptor sleeps on", c.Connections, Network, "look_again", m.never,
           NARROW, WIRED, "no idle acceptor"),
    Mutant("a request is served before it is read", c.Connections, Scheduler, "read",
           m.serves_unread, NARROW, WIRED, "nobody to work on"),
    Mutant("a pool knows the shortest job", c.Blindness, ThreadPool, "take", m.shortest_job_first,
           POOL, PLAIN, "being read"),
    Mutant("a loop knows the first step", c.Blindness, EventLoop, "submit",
           m.peeks_at_the_first_step, LOOP, PLAIN, "demand 0 being read"),
    Mutant("a quota that is never used up", c.CpuQuota, QuotaHost, "_draw", m.draws_from_nowhere,
           POOL, CONTAINED, "of CPU at most"),
    Mutant("a core computes on though it is away", c.Steal, StealHost, "_put",
           m.puts_threads_on_absent_cores, POOL, TAKEN, "to run nothing while it is away"),
    Mutant("all of an absence counts as stolen, and more", c.Steal, StealHost, "_book_stolen",
           m.steals_twice, POOL, TAKEN, "stolen of core"),
    Mutant("a host works more than it is asked", c.Utilization, OsThread, "run", m.works_more,
           VIRTUAL, PLAIN, "of core time"),
    Mutant("switches cost no core time in the books", c.Utilization, Ledger, "switched", m.never,
           POOL, PLAIN, "overhead_core_s"),
    Mutant("idle connections cost nothing", c.Memory, Ledger, "connection", m.never,
           NARROW, WIRED, "bytes"),
    Mutant("the memory of given-up attempts leaks", c.Memory, Ledger, "released",
           m.never_gives_back, VIRTUAL, IMPATIENT, "bytes"),
    Mutant("waiting for a core counts as computing", c.RecordCheck, Ledger, "worked",
           m.forgets_the_wait, POOL, PLAIN, "of cpu"),
]  # fmt: skip
