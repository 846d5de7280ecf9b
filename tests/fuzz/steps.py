"""The classes of requests of a random scenario."""

from __future__ import annotations

from typing import Any

from .parts import LOCKS, Chance

BLOCKS = ["socket", "file", "synchronized", "native"]
APIS = ["to_thread", "run_in_threadpool", "getaddrinfo"]


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
        "steps": offload(chance, gather(chance, nest(chance, steps, held))),
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
        return {"cpu": chance.dist(cpu_us), "releases_gil": chance.of(0.25)}
    step = {what: chance.dist(chance.length_us(5, chance.duration_us / 4))}
    if what == "blocking":
        step["kind"] = chance.rng.choice(BLOCKS)
    return step


def nest(chance: Chance, steps: list[Any], held: list[tuple[str, str]]) -> list[Any]:
    """Put some of the steps inside what is held, always in the same order: no deadlock."""
    if not held or not steps:
        return steps
    (kind, name), rest = held[0], held[1:]
    a = chance.rng.randrange(len(steps))
    b = chance.rng.randint(a + 1, len(steps))
    inner = gather(chance, nest(chance, steps[a:b], rest))
    holder: dict[str, Any] = {kind: name, "steps": inner}
    if kind == "lock":
        holder["kind"] = chance.lock_kinds[name]
    return [*steps[:a], holder, *steps[b:]]


def gather(chance: Chance, steps: list[Any]) -> list[Any]:
    """Put some steps into branches or into a loop. At most one branch holds anything."""
    if len(steps) < 2 or not chance.of(0.3):
        return steps
    a = chance.rng.randrange(len(steps) - 1)
    b = chance.rng.randint(a + 2, len(steps))
    if chance.of(0.25):
        times = chance.rng.choice([1, 2, 3])
        return [*steps[:a], {"repeat": times, "steps": steps[a:b]}, *steps[b:]]
    half = chance.rng.randint(a + 1, b - 1)
    branches = [gather(chance, steps[a:half]), gather(chance, steps[half:b])]
    return [*steps[:a], {"parallel": branches}, *steps[b:]]


def offload(chance: Chance, steps: list[Any]) -> list[Any]:
    """Give some of the steps to executors, wherever they are; none of them twice."""
    done = []
    for step in steps:
        if chance.of(0.15):
            done.append({"offload": chance.rng.choice(APIS), "steps": [step]})
        elif "parallel" in step:
            done.append({"parallel": [offload(chance, branch) for branch in step["parallel"]]})
        elif "steps" in step:
            done.append({**step, "steps": offload(chance, step["steps"])})
        else:
            done.append(step)
    return done
