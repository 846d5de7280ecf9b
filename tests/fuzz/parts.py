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

    @property
    def long(self) -> bool:
        """Whether it goes on for seconds, as connection attempts and arbiters do."""
        return self.duration_us > 1e6

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
    """One to four cores, with or without a tick, slices from tiny to automatic; queues of one.

    Now and then the cores are hyper-threads, or there is a quota of them.
    """
    rng = chance.rng
    system = {
        # Tiny slices of long bursts would be all that a run consists of.
        "time_slice": rng.choice(["auto", "3ms", *([] if chance.long else ["100us", "500us"])]),
        "hz": rng.choice([0, 100, 250, 1000]),
        "switch_cost": chance.cost(1.5, 20),
        "wakeup_latency": chance.cost(5, 45),
        "wakeup_preemption": chance.of(0.7),
        "wakeup_granularity": rng.choice(["0s", "100us", "1ms"]),
    }
    if chance.of(0.3):
        system |= {
            "somaxconn": rng.choice([0, 3, 4096]),
            "tcp_syn_retries": rng.choice([1, 6]),
            "tcp_syn_linear_timeouts": rng.choice([0, 1, 4]),
            # Users who do not think would be refused for ever.
            "tcp_abort_on_overflow": not chance.lossless and chance.of(0.3),
        }
    machine: dict[str, Any] = {"cores": rng.choice([1, 1, 2, 3, 4]), "os": system}
    if machine["cores"] % 2 == 0 and chance.of(0.3):
        machine |= {"threads_per_core": 2, "sibling_speed": rng.choice([0.5, 0.62, 1.0])}
    if chance.of(0.25):
        period_us = rng.choice([1e3, 10e3, 100e3])
        cores = rng.choice([0.3, 0.5, 1.0, 1.7, 9.0])
        machine |= {"cpu_quota": cores, "cpu_period": chance.us(period_us)}
        machine |= {"cpu_burst": chance.us(rng.choice([0.0, 0.5 * cores * period_us]))}
        system["bandwidth_slice"] = rng.choice(["5ms", "5ms", "500us"])
    return machine


def resources(chance: Chance) -> dict[str, Any]:
    """No, one or two pools, some of which do not let everybody wait for ever."""
    pools: dict[str, Any] = {}
    for name in POOLS:
        if not chance.of(0.5):
            continue
        pool: dict[str, Any] = {"capacity": chance.rng.choice([1, 2, 5])}
        if not chance.lossless and chance.of(0.3):
            pool["timeout"] = chance.us(chance.rng.choice([100.0, 1e3, 20e3]))
        if not chance.lossless and chance.of(0.3):
            pool["max_waiting"] = chance.rng.choice([0, 1, 5])
        pools[name] = pool
    return pools


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


def connections(chance: Chance, *, closed: bool) -> dict[str, Any]:
    """How clients use connections, in a workload that models them."""
    rng = chance.rng
    table: dict[str, Any] = {"keep_alive": chance.of(0.8)}
    if not closed and chance.of(0.5):
        table["count"] = rng.choice([1, 3, 20])
    if (closed or "count" in table) and chance.of(0.4):
        table["connect"] = "start"
    return table
