"""The schedulers of a random scenario."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .parts import Chance


def schedulers(chance: Chance) -> list[dict[str, Any]]:
    """One to four schedulers with random knobs; closed users without pause lose nothing."""
    chosen = chance.rng.sample(KINDS, chance.rng.randint(1, 4))
    memory: dict[str, Any] = {
        key: chance.size() for key in ("base", "thread", "task", "connection")
    }
    # From what is drawn already, so that older seeds keep their scenarios.
    memory |= {"gc_factor": 1.7, "young": memory["base"], "young_task": memory["connection"]}
    return [
        {"memory": memory, "name": kind.__name__, **server(chance), **kind(chance)}
        for kind in chosen
    ]


def server(chance: Chance) -> dict[str, Any]:
    """Several processes, and how they treat connections."""
    rng = chance.rng
    entry: dict[str, Any] = {}
    if chance.of(0.3):
        entry["processes"] = rng.choice([2, 3, 4])
    if chance.of(0.5):
        entry["listen"] = {
            "backlog": rng.choice([0, 2, 100]),
            "max_requests": rng.choice([0, 1, 5]),
            **rng.choice([{}, {"max_connections": rng.choice([1, 3, 10])}]),
            **rng.choice([{}, {"keep_alive": rng.choice(["0s", "1ms", "1s"])}]),
        }
    return entry


def tomcat(chance: Chance) -> dict[str, Any]:
    """Tomcat's pool."""
    rng = chance.rng
    most = rng.choice([1, 2, 3, 8, 200])
    knobs = {
        "kind": "thread_pool",
        "policy": "tomcat",
        "maxThreads": most,
        "minSpareThreads": rng.randint(0, min(most, 10)),
        "threadsMaxIdleTime": rng.choice(["0s", "1ms", "60s"]),
        "thread_create": chance.cost(80, 1000),
        "dispatch": chance.cost(5, 50),
    }
    if not chance.lossless and chance.of(0.5):
        knobs["maxQueueSize"] = rng.choice([0, 1, 10])
    return knobs


def jdk(chance: Chance) -> dict[str, Any]:
    """The JDK's pool, with all its queues and handlers."""
    rng = chance.rng
    core = rng.choice([0, 1, 2, 8])
    keep_alive = rng.choice(["0s", "1ms", "60s"])
    queue = "unbounded" if chance.lossless else rng.choice(["unbounded", "synchronous", 1, 5])
    return {
        "kind": "thread_pool",
        "policy": "jdk",
        "corePoolSize": core,
        "maximumPoolSize": max(1, core) + rng.choice([0, 1, 5]),
        "workQueue": queue,
        "keepAliveTime": keep_alive,
        "allowCoreThreadTimeOut": keep_alive != "0s" and chance.of(0.3),
        "rejectedExecutionHandler": rng.choice(
            ["abort", "caller_runs", "discard", "discard_oldest"]
        ),
        "thread_create": chance.cost(80, 1000),
        "dispatch": chance.cost(5, 50),
    }


def python_threads(chance: Chance) -> dict[str, Any]:
    """CPython's pool, with a lock or free-threaded."""
    return {
        "kind": "thread_pool",
        "policy": "python",
        "max_workers": chance.rng.choice(["auto", 1, 2, 5]),
        "thread_create": chance.cost(80, 1000),
        "dispatch": chance.cost(5, 50),
        **interpreter(chance),
    }


def interpreter(chance: Chance) -> dict[str, Any]:
    """An interpreter lock or none, and how fast Python is."""
    return {
        "gil": chance.of(0.7),
        "switch_interval": chance.rng.choice(["5ms"] if chance.long else ["500us", "1ms", "5ms"]),
        "cpu_factor": chance.rng.choice([1.0, 1.0, 0.5, 1.4]),
    }


def event_loop(chance: Chance) -> dict[str, Any]:
    """asyncio or uvloop, with both of their executors, and endpoints of either kind."""
    rng = chance.rng
    knobs: dict[str, Any] = {
        "loop": rng.choice(["asyncio", "uvloop"]),
        "endpoint": rng.choice(["async", "async", "def"]),
        "total_tokens": rng.choice([1, 2, 8]),
        "max_workers": rng.choice(["auto", 1, 2]),
        **interpreter(chance),
        **loop_costs(chance),
    }
    if knobs["endpoint"] == "def":
        knobs["sync_dependencies"] = rng.choice([0, 1, 3])
    return knobs


def node(chance: Chance) -> dict[str, Any]:
    """Node's loop and its pool."""
    return {
        "loop": "libuv",
        "UV_THREADPOOL_SIZE": chance.rng.choice([1, 2, 4]),
        "cpu_factor": chance.rng.choice([1.0, 0.5]),
        **loop_costs(chance),
    }


def loop_costs(chance: Chance) -> dict[str, Any]:
    """What all loops have; users who do not think would be refused for ever."""
    knobs: dict[str, Any] = {
        "kind": "event_loop",
        "timer_resolution": chance.rng.choice(["0s", "1ms", "10ms"]),
        "iteration": chance.cost(0.8, 10),
        "handle": chance.cost(1.2, 10),
        "task_create": chance.cost(4, 40),
        "request": chance.cost(50, 500),
        "hop": chance.cost(25, 200),
        "thread_hop": chance.cost(10, 200),
        "thread_create": chance.cost(100, 1000),
    }
    if not chance.lossless and chance.of(0.3):
        knobs["limit_concurrency"] = chance.rng.choice([1, 3, 20])
    return knobs


def sync_workers(chance: Chance) -> dict[str, Any]:
    """gunicorn's plain workers; some are killed all the time."""
    return {
        "kind": "sync_workers",
        "processes": chance.rng.choice([1, 2, 4]),
        "listen": {"backlog": chance.rng.choice([0, 2, 2048])},
        "timeout": chance.rng.choice(["0s", "20ms", "500ms", "1s", "30s"]),
        "startup": chance.rng.choice(["0s", "5ms", "300ms"]),
        "request": chance.cost(50, 500),
        "accept": chance.cost(8, 80),
        "cpu_factor": chance.rng.choice([1.0, 0.5, 1.4]),
    }


def gthread(chance: Chance) -> dict[str, Any]:
    """gunicorn's workers with threads."""
    return {
        "kind": "gthread",
        "threads": chance.rng.choice([1, 2, 5]),
        "first_bytes": chance.rng.choice(["0s", "2ms", "5s"]),
        "request": chance.cost(50, 500),
        "dispatch": chance.cost(35, 200),
        "accept": chance.cost(8, 80),
        "thread_create": chance.cost(100, 1000),
        **interpreter(chance),
    }


def goroutine(chance: Chance) -> dict[str, Any]:
    """Go, also with more Ps than cores, and with hardly any threads."""
    rng = chance.rng
    return {
        "kind": "goroutine",
        "GOMAXPROCS": rng.choice(["auto", 1, 2, 4]),
        "maxThreads": 10_000 if chance.lossless else rng.choice([1, 3, 10_000, 10_000]),
        "asyncpreempt": chance.of(0.8),
        "create": chance.cost(1.2, 20),
        "switch": chance.cost(0.15, 10),
        "steal": chance.cost(0.5, 10),
        "thread_create": chance.cost(12, 500),
    }


def virtual_thread(chance: Chance) -> dict[str, Any]:
    """Virtual threads of any JDK, with and without spare carriers."""
    rng = chance.rng
    parallelism = rng.choice([1, 2, 4])
    return {
        "kind": "virtual_thread",
        "jdk": rng.choice([21, 21, 22, 23, 24, 25]),
        "parallelism": parallelism,
        "maxPoolSize": parallelism + rng.choice([0, 1, 200]),
        "minRunnable": rng.randint(1, parallelism),
        "keepAlive": rng.choice(["0s", "1ms", "30s"]),
        "create": chance.cost(0.7, 20),
        "switch": chance.cost(0.7, 10),
        "steal": chance.cost(0.5, 10),
        "thread_create": chance.cost(80, 500),
    }


def completable_future(chance: Chance) -> dict[str, Any]:
    """Async tasks on the common pool or on threads of their own, written in every way."""
    rng = chance.rng
    io, all_of = rng.choice(["blocking", "async"]), rng.choice(["join", "join", "then"])
    plain = io == "blocking" and all_of == "join"
    parallelism = rng.choice(["auto", 0, 1, 2, 4])
    return {
        "kind": "fork_join",
        "jdk": rng.choice([17, 21, 25, 25]),
        "parallelism": parallelism,
        # What finds no spare fails, and closed users who do not think would try for ever.
        "maximumSpares": 256 if chance.lossless else rng.choice([0, 1, 256]),
        "minRunnable": 2 if parallelism in (2, 4) and chance.of(0.5) else 1,
        "keepAlive": rng.choice(["0s", "1ms", "60s"]),
        "io": io,
        "sleep": rng.choice(["blocking", "delayed"]),
        "stages": "thenApplyAsync" if plain else rng.choice(["thenApplyAsync", "thenApply"]),
        "allOf": all_of,
        "managedBlock": chance.of(0.4),
        "io_threads": rng.choice([1, 2]),
        "task": chance.cost(0.15, 10),
        "steal": chance.cost(0.5, 10),
        "thread_create": chance.cost(80, 500),
    }


def reactor(chance: Chance) -> dict[str, Any]:
    """Netty's loops, with Reactor's schedulers."""
    rng = chance.rng
    return {
        "kind": "reactor",
        "ioWorkerCount": rng.choice(["auto", 1, 2, 5]),
        "auto_loops": rng.choice(["reactor_netty", "netty"]),
        "defaultPoolSize": rng.choice(["auto", 1, 2]),
        "defaultBoundedElasticSize": rng.choice(["auto", 1, 2, 5]),
        "defaultBoundedElasticQueueSize": 100_000 if chance.lossless else rng.choice([1, 3, 1000]),
        "boundedElasticTtl": rng.choice(["1ms", "5ms", "60s"]),
        "publishOn": rng.choice(["boundedElastic", "parallel"]),
        "maxTaskProcessingQuantum": rng.choice(["0s", "1ms", "1s"]),
        "iteration": chance.cost(1, 10),
        "event": chance.cost(1, 10),
        "request": chance.cost(50, 500),
        "hop": chance.cost(5, 50),
        "thread_create": chance.cost(80, 500),
    }


KINDS: list[Callable[[Chance], dict[str, Any]]] = [
    tomcat,
    jdk,
    python_threads,
    event_loop,
    node,
    sync_workers,
    gthread,
    goroutine,
    virtual_thread,
    reactor,
    completable_future,
]
