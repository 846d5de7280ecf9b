"""The tables of a random scenario."""

from __future__ import annotations

import random
from typing import Any

QUANTUM_US = 500.0  # what tidy durations are multiples of
LOCKS = ("a", "b")
POOLS = ("cache", "db")


class Chance:
    """The dice, and what was decided for the scenario as a whole."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.tidy = self.of(0.33)
        self.closed = self.of(0.25)
        self.requests = rng.choice([3, 20, 60, 120])
        self.duration_us = 0.0
        # Closed users who do not think would hammer at a service that refuses them for ever.
        self.lossless = self.closed and self.of(0.4)
        self.lock_kinds = {name: rng.choice(["reentrant", "synchronized"]) for name in LOCKS}

    def of(self, probability: float) -> bool:
        """Yes, with this probability."""
        return self.rng.random() < probability

    def us(self, microseconds: float) -> str:
        """A duration as TOML has it; the longest one is the scenario's."""
        self.duration_us = self.duration_us or microseconds
        return f"{microseconds:.3f}us"

    def length_us(self, low: float, high: float) -> float:
        """A duration between two bounds, as likely short as long."""
        drawn: float = low * (high / low) ** self.rng.random()
        return max(1.0, round(drawn / QUANTUM_US)) * QUANTUM_US if self.tidy else drawn

    def dist(self, mean_us: float) -> Any:
        """A distribution with about this mean."""
        if self.tidy:
            return self.us(max(0.0, round(mean_us / QUANTUM_US)) * QUANTUM_US)
        mean, rng = self.us(mean_us), self.rng
        cv = round(rng.uniform(0.1, 4.0), 3)
        low, high = self.us(0.2 * mean_us), self.us(1.8 * mean_us)
        return rng.choice(
            [
                mean,
                {"dist": "exponential", "mean": mean},
                {"dist": "exponential", "mean": mean},
                {"dist": "lognormal", "mean": mean, "cv": cv},
                {"dist": "gamma", "mean": mean, "cv": cv},
                {"dist": "weibull", "mean": mean, "shape": 0.7},
                {"dist": "pareto", "mean": mean, "shape": 1.5},
                {"dist": "uniform", "low": low, "high": high},
                {"dist": "hyperexponential", "mean": mean, "cv": 1.0 + cv},
                {"dist": "empirical", "quantiles": [[0, "0s"], [0.9, mean], [1, high]]},
            ]
        )

    def cost(self, *microseconds: float) -> str:
        """One of the costs given, or none."""
        return "0s" if self.tidy else self.us(self.rng.choice([0.0, *microseconds]))

    def size(self) -> str:
        """Some memory, or none."""
        return self.rng.choice(["0B", "100B", "4KiB", "3MB"])


def host(chance: Chance) -> dict[str, Any]:
    """One to four cores, with or without a tick, slices from tiny to automatic."""
    rng = chance.rng
    system = {
        "time_slice": rng.choice(["auto", "auto", "100us", "500us", "3ms"]),
        "hz": rng.choice([0, 100, 250, 1000]),
        "switch_cost": chance.cost(1.5, 20),
        "wakeup_latency": chance.cost(5, 45),
        "wakeup_preemption": chance.of(0.7),
        "wakeup_granularity": rng.choice(["0s", "100us", "1ms"]),
    }
    return {"cores": rng.choice([1, 1, 2, 3, 4]), "os": system}


def resources(chance: Chance) -> dict[str, Any]:
    """No, one or two pools."""
    names = [name for name in POOLS if chance.of(0.5)]
    return {name: {"capacity": chance.rng.choice([1, 2, 5])} for name in names}


def arrivals(chance: Chance) -> dict[str, Any]:
    """Any kind of arrivals, about ``chance.requests`` of them; or as many users, or fewer."""
    rng = chance.rng
    if chance.closed:
        think_us = 0.0 if chance.lossless else chance.duration_us * rng.choice([0.1, 0.5])
        users = rng.choice([1, 3, 20, 40])
        return {
            "kind": "closed",
            "users": users,
            "think": chance.dist(think_us) if think_us else "0s",
        }
    rps = chance.requests / (chance.duration_us * 1e-6)
    rate = f"{rps:.3f}/s"
    twice, none = f"{2 * rps:.3f}/s", "0/s"
    dwell = chance.us(chance.duration_us / 5)
    later = chance.us(chance.duration_us / 2)
    return rng.choice(
        [
            {"kind": "constant", "rate": rate},
            {"kind": "poisson", "rate": rate},
            {
                "kind": "bursty",
                "rate_low": none,
                "rate_high": twice,
                "mean_low": dwell,
                "mean_high": dwell,
            },
            {"kind": "ramp", "from": none, "to": twice},
            {"kind": "steps", "steps": [{"at": "0s", "rate": twice}, {"at": later, "rate": none}]},
        ]
    )


def classes(chance: Chance, cores: int, pools: list[str]) -> list[dict[str, Any]]:
    """One to three classes which together load the cores by 10 % to 300 %."""
    load = chance.rng.choice([0.1, 0.5, 0.9, 1.5, 3.0])
    cpu_us = load * cores * chance.duration_us / chance.requests
    names = [f"c{i}" for i in range(chance.rng.randint(1, 3))]
    return [request_class(chance, name, cores, cpu_us, pools) for name in names]


def request_class(
    chance: Chance, name: str, cores: int, cpu_us: float, pools: list[str]
) -> dict[str, Any]:
    """A class with this mean CPU demand. Its first step takes time, so that no loop is endless."""
    rng = chance.rng
    n = rng.randint(1, 6)
    keys = sorted([*(("use", pool) for pool in pools), *(("lock", lock) for lock in LOCKS)])
    held = [key for key in keys if chance.of(0.3)]
    # Closed users who do not think send the next request at once: let that be rare enough.
    shortest_us = chance.duration_us * cores / 500 if chance.lossless else 1.0
    first = {"cpu": chance.us(max(shortest_us, cpu_us / n))}
    steps = [first, *(leaf(chance, cpu_us / n) for _ in range(n - 1))]
    table: dict[str, Any] = {
        "name": name,
        "weight": rng.choice([1.0, 5.0]),
        "memory": chance.size(),
        "steps": nest(chance, steps, held),
    }
    if chance.of(0.4):
        shortest_us = chance.duration_us / 20 if chance.lossless else 50.0
        table["timeout"] = chance.us(chance.length_us(shortest_us, chance.duration_us / 2))
    if chance.of(0.4):
        table["retries"] = {
            "max": rng.choice([0, 1, 3]),
            "backoff": chance.us(rng.choice([0.0, 500.0, 5000.0])),
            "factor": rng.choice([1.0, 2.0]),
            "jitter": 0.0 if chance.tidy else rng.choice([0.0, 0.5, 1.0]),
        }
    return table


def leaf(chance: Chance, cpu_us: float) -> dict[str, Any]:
    """A step without steps inside."""
    what = chance.rng.choice(["cpu", "cpu", "io", "sleep", "blocking"])
    if what == "cpu":
        return {"cpu": chance.dist(cpu_us)}
    step = {what: chance.dist(chance.length_us(5, chance.duration_us / 4))}
    if what == "blocking":
        step["kind"] = chance.rng.choice(["socket", "file", "synchronized", "native"])
    return step


def nest(chance: Chance, steps: list[Any], held: list[tuple[str, str]]) -> list[Any]:
    """Put some of the steps inside what is held, always in the same order: no deadlock."""
    if not held or not steps:
        return steps
    (kind, name), rest = held[0], held[1:]
    a = chance.rng.randrange(len(steps))
    b = chance.rng.randint(a + 1, len(steps))
    inner = nest(chance, steps[a:b], rest)
    holder: dict[str, Any] = {kind: name, "steps": inner}
    if kind == "lock":
        holder["kind"] = chance.lock_kinds[name]
    return [*steps[:a], holder, *steps[b:]]


def schedulers(chance: Chance) -> list[dict[str, Any]]:
    """One to four schedulers with random knobs; closed users without pause lose nothing."""
    kinds = [tomcat, jdk, event_loop, goroutine, virtual_thread]
    chosen = chance.rng.sample(kinds, chance.rng.randint(1, 4))
    memory = {key: chance.size() for key in ("base", "thread", "task", "connection")}
    return [{"memory": memory, "name": kind.__name__, **kind(chance)} for kind in chosen]


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


def event_loop(chance: Chance) -> dict[str, Any]:
    """One loop."""
    return {
        "kind": "event_loop",
        "timer_resolution": chance.rng.choice(["0s", "1ms", "10ms"]),
        "iteration": chance.cost(0.8, 10),
        "handle": chance.cost(1.2, 10),
        "task_create": chance.cost(4, 40),
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
