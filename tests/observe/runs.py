"""Scenarios for the checkers, and a run under some of them."""

from __future__ import annotations

from typing import Any

from kit import Spec, exponential, hold, offload, parallel, scenario_of, spec_of

from simsched.observe.checkers import Checker, all_checkers
from simsched.observe.record import RunRecord
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

DEFAULT_OS: dict[str, Any] = {"switch_cost": "1.5us", "wakeup_latency": "5us", "hz": 250}

# Each with the costs its runtime has, since those are where accounts go wrong.
SCHEDULERS: dict[str, Spec] = {
    "tomcat": {"kind": "thread_pool", "maxThreads": 8, "minSpareThreads": 2},
    "tomcat, short queue": {"kind": "thread_pool", "maxThreads": 3, "maxQueueSize": 5},
    "jdk, bounded": {
        "kind": "thread_pool",
        "policy": "jdk",
        "corePoolSize": 2,
        "maximumPoolSize": 5,
        "workQueue": 4,
        "keepAliveTime": "1ms",
        "rejectedExecutionHandler": "caller_runs",
    },
    "cpython threads": {"kind": "thread_pool", "policy": "python", "max_workers": 6},
    "cpython threads, short interval": {
        "kind": "thread_pool",
        "policy": "python",
        "max_workers": 3,
        "switch_interval": "100us",
    },
    "cpython free-threaded": {
        "kind": "thread_pool",
        "policy": "python",
        "gil": False,
        "cpu_factor": 1.08,
    },
    "event loop": {"kind": "event_loop"},
    "uvloop": {"kind": "event_loop", "loop": "uvloop", "max_workers": 2, "total_tokens": 3},
    "node": {"kind": "event_loop", "loop": "libuv", "UV_THREADPOOL_SIZE": 2},
    "fastapi def": {"kind": "event_loop", "endpoint": "def", "total_tokens": 4},
    "event loops, 503": {"kind": "event_loop", "processes": 2, "limit_concurrency": 4},
    "sync workers": {
        "kind": "sync_workers",
        "processes": 5,
        "timeout": "30ms",
        "startup": "20ms",
        "listen": {"backlog": 9},
    },
    "gthread": {"kind": "gthread", "threads": 3, "processes": 2, "listen": {"max_connections": 9}},
    "go": {"kind": "goroutine"},
    "go, more Ps than cores": {"kind": "goroutine", "GOMAXPROCS": 4},
    "go, two processes": {"kind": "goroutine", "processes": 2, "listen": {"max_requests": 3}},
    "tomcat, few connections": {
        "kind": "thread_pool",
        "maxThreads": 8,
        "listen": {"backlog": 2, "max_connections": 3, "keep_alive": "2ms"},
    },
    "virtual threads 21": {"kind": "virtual_thread", "jdk": 21},
    "virtual threads 23": {"kind": "virtual_thread", "jdk": 23},
    "virtual threads 25": {"kind": "virtual_thread", "jdk": 25},
    "reactor": {"kind": "reactor"},
    "reactor, few threads": {
        "kind": "reactor",
        "ioWorkerCount": 2,
        "defaultPoolSize": 1,
        "defaultBoundedElasticSize": 1,
        "boundedElasticTtl": "5ms",
        "publishOn": "parallel",
    },
    "reactors, two processes": {"kind": "reactor", "processes": 2, "listen": {"max_requests": 3}},
    "common pool": {"kind": "fork_join", "parallelism": 4},
    "common pool, managed": {
        "kind": "fork_join",
        "managedBlock": True,
        "maximumSpares": 5,
        "keepAlive": "1ms",
    },
    "futures, async": {
        "kind": "fork_join",
        "io": "async",
        "sleep": "delayed",
        "stages": "thenApply",
        "allOf": "then",
    },
    "futures, a thread per task": {"kind": "fork_join", "jdk": 21},
}

POISSON = {"kind": "poisson", "rate": "600/s"}
CPU = {"cpu": exponential("1ms")}
IO = {"io": exponential("5ms")}

WORKLOADS: dict[str, dict[str, Any]] = {
    "native code": {
        "classes": [
            {
                "name": "a",
                "timeout": "20ms",
                "steps": [CPU, {**CPU, "releases_gil": True}, IO, {**CPU, "releases_gil": True}],
            }
        ]
    },
    "time-outs": {"classes": [{"name": "a", "timeout": "8ms", "steps": [CPU, IO, CPU]}]},
    "retries": {
        "classes": [
            {
                "name": "a",
                "timeout": "9ms",
                "retries": {"max": 2, "backoff": "3ms", "jitter": 0.5},
                "steps": [IO, CPU, IO],
            }
        ]
    },
    "locks": {
        "classes": [
            {
                "name": "a",
                "timeout": "30ms",
                "steps": [CPU, hold("lock", "m", [CPU, {"io": "500us"}], kind="synchronized")],
            },
            {
                "name": "b",
                "steps": [
                    hold("lock", "n", [CPU, hold("lock", "m", [CPU], kind="synchronized")]),
                    IO,
                ],
            },
        ]
    },
    "executors": {
        "classes": [
            {
                "name": api,
                "timeout": "25ms",
                "retries": {"max": 1, "backoff": "2ms"},
                "steps": [CPU, offload(api, [hold("use", "db", [IO]), CPU]), CPU],
            }
            for api in ("to_thread", "run_in_threadpool", "getaddrinfo")
        ],
        "resources": {"db": 4},
    },
    "a pool": {
        "classes": [{"name": "a", "steps": [CPU, hold("use", "db", [IO, CPU])]}],
        "resources": {"db": 3},
    },
    "kinds of blocking": {
        "classes": [
            {
                "name": kind,
                "timeout": "40ms",
                "steps": [CPU, {"blocking": "2ms", "kind": kind}, CPU],
            }
            for kind in ("socket", "file", "synchronized", "native")
        ]
    },
    "branches": {
        "classes": [
            {
                "name": "a",
                "timeout": "25ms",
                "retries": {"max": 1, "backoff": "2ms"},
                "steps": [
                    CPU,
                    parallel(
                        [IO, CPU],
                        [hold("use", "api", [IO])],
                        [CPU, parallel([IO], [{"blocking": "1ms", "kind": "file"}])],
                    ),
                    CPU,
                ],
            },
            {"name": "b", "steps": [hold("use", "db", [parallel([CPU], [CPU, IO])])]},
        ],
        "resources": {"db": 4, "api": 6},
    },
    "connections": {
        "classes": [
            {
                "name": "a",
                "timeout": "20ms",
                "retries": {"max": 1, "backoff": "2ms"},
                "steps": [CPU, IO, CPU],
            }
        ],
        "connections": {"count": 8},
    },
    "timers": {"classes": [{"name": "a", "steps": [{"sleep": exponential("3ms")}, CPU] * 3}]},
    "closed": {
        "classes": [{"name": "a", "steps": [CPU, IO]}],
        "arrivals": {"kind": "closed", "users": 30, "think": exponential("10ms")},
    },
    "overload": {
        "classes": [{"name": "a", "memory": "1MB", "steps": [CPU, IO]}],
        "arrivals": {"kind": "poisson", "rate": "5000/s"},
        "drain": "0s",
    },
}


def workload_scenario(workload: str, scheduler: str, **more: Any) -> Scenario:
    """One of the workloads on one of the schedulers; every queue fills up now and then."""
    usual = {"arrivals": POISSON, "cores": 2, "os": DEFAULT_OS, "duration": "150ms"}
    settings = {**usual, **WORKLOADS[workload], **more}
    return scenario_of(scheduler=SCHEDULERS[scheduler], **settings)


def judged(scenario: Scenario, *checkers: Checker) -> RunRecord:
    """Run the scenario's only scheduler under these checkers, or under all of them."""
    observers = checkers or tuple(all_checkers())
    return simulate(scenario, spec_of(scenario), draw(scenario, 0), observers=observers)


def unwatched(scenario: Scenario) -> RunRecord:
    """Run it without any checker."""
    return simulate(scenario, spec_of(scenario), draw(scenario, 0))
