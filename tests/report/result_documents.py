"""A made-up result document that looks like a real one, for tests of what is shown of it.

Four schedulers: one rejects requests, one is overloaded (unfinished requests, tail quantiles
unknown), and two have names that are HTML.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

from simsched.observe.record import PARTS

SCRIPT_NAME = "go <script>alert(1)</script>"
LINK_NAME = '<a href="https://evil.example">vt</a>'
CENSORED = "7,220 requests were unfinished when the run stopped"

REPLICATIONS = 10
DURATION_S = 60.0
T_HALF_WIDTHS = 0.715  # t(0.975, 9) / sqrt(10)

Json = dict[str, Any]


def wobble(i: int, scale: float = 1.0) -> float:
    """A fixed pattern of small deviations that looks like noise."""
    return scale * (math.sin(12.9898 * (i + 1)) + math.sin(78.233 * (i + 1) * 0.37)) / 2


def estimate(value: float, relative: float = 0.02) -> Json:
    return {"value": value, "ci95": [value * (1 - relative), value * (1 + relative)]}


def unknown(reason: str) -> Json:
    return {"value": None, "ci95": None, "reason": reason}


def quantile(p: float, median: float, sigma: float) -> float:
    return median * math.exp(sigma * NormalDist().inv_cdf(p))


def ladder(median: float, sigma: float, censored_from: float = 1.0) -> Json:
    result = {"mean": estimate(median * math.exp(sigma**2 / 2), 0.01)}
    for name, p in (("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999)):
        if p >= censored_from:
            result[name] = unknown(CENSORED)
        else:
            result[name] = estimate(quantile(p, median, sigma), 0.005 / (1 - p) ** 0.45)
    result["max"] = estimate(quantile(0.99999, median, sigma), 0.3)
    if censored_from < 1:
        result["max"]["reason"] = CENSORED
    return result


def percentiles(median: float, sigma: float, censored_from: float = 1.0) -> Json:
    grid = [1 - 10 ** (-4 * i / 59) for i in range(60)]
    points: Json = {"p": grid, "latency_s": [], "ci95": [], "enough": []}
    for p in grid:
        known = p < censored_from
        value = quantile(max(p, 1e-3), median, sigma)
        relative = 0.005 / (1 - p) ** 0.4
        points["latency_s"].append(value if known else None)
        points["ci95"].append([value * (1 - relative), value * (1 + relative)] if known else None)
        points["enough"].append(p < 0.9993)
    return points


def series(rate: float, level: Callable[[float], float], loss: float, memory: float) -> Json:
    """`level(t)` requests in the system at t; `loss` of the arrivals never complete."""
    times = [(i + 0.5) * DURATION_S / 300 for i in range(300)]
    in_system = [max(0.0, level(t) * (1 + wobble(i, 0.12))) for i, t in enumerate(times)]
    return {
        "time_s": times,
        "in_system": in_system,
        "queued": [max(0.0, n - 45) * 0.9 for n in in_system],
        "busy_cores": [min(2.0, 1.62 * (1 + wobble(i, 0.06))) for i in range(300)],
        "busy_workers": [min(200.0, n) for n in in_system],
        "memory_bytes": [memory + 65536 * n for n in in_system],
        "arrivals_rps": [rate * (1 + wobble(i, 0.08)) for i in range(300)],
        "completions_rps": [rate * (1 - loss) * (1 + wobble(i + 7, 0.08)) for i in range(300)],
    }


def self_check(load: float, ok: bool = True) -> Json:
    return {
        "conservation": {
            "ok": True,
            **counts(495_000),
            "classes": {"checkout <b>": counts(495_000)},
            "problems": [],
        },
        "littles_law": {
            "ok": ok,
            "l": load,
            "lambda_w": load * 0.999,
            "difference": load * 0.001,
            "tolerance": load * 0.01,
            "window": {"lambda_rps": 900.0, "w_s": load / 900, "inside_ci": ok},
        },
        "utilization_law": {
            "ok": True,
            "busy_core_s": 97.2,
            "work_core_s": 97.2,
            "difference": 0.0,
            "tolerance": 1e-5,
            "window": {"demand_s": 0.0018, "inside_ci": None},
        },
    }


def counts(arrived: int, **others: int) -> Json:
    parts = {"rejected": 0, "timed_out": 0, "failed": 0, "unfinished": 0, **others}
    return {"arrived": arrived, "completed": arrived - sum(parts.values()), **parts}


BREAKDOWNS = {
    "thread_pool": (0.31, 0.09, 0.05, 0.36, 0.0, 0.14, 0.03, 0.0, 0.02, 0.0),
    "event_loop": (0.0, 0.93, 0.01, 0.05, 0.0, 0.0, 0.0, 0.0, 0.01, 0.0),
    "goroutine": (0.0, 0.11, 0.06, 0.62, 0.04, 0.16, 0.0, 0.0, 0.01, 0.0),
    "virtual_thread": (0.01, 0.10, 0.06, 0.53, 0.05, 0.13, 0.0, 0.0, 0.02, 0.10),
}
PART_NAMES = list(PARTS)


def scheduler(
    name: str,
    kind: str,
    median: float,
    sigma: float,
    *,
    verdict: str = "STABLE",
    outcome: Json | None = None,
    level: Callable[[float], float] = lambda t: 45 * (1 - math.exp(-t / 1.2)),
    loss: float = 0.0,
    base: int = 40 * 2**20,
    censored_from: float = 1.0,
    p99_state: str = "pass",
) -> Json:
    latency = ladder(median, sigma, censored_from)
    mean = latency["mean"]["value"]
    counted = outcome or counts(495_000)
    curve = series(900.0, level, loss, base)
    errors = counted["rejected"] / counted["arrived"]
    peak = max(curve["memory_bytes"])
    p99s = [
        None if censored_from <= 0.99 else quantile(0.99, median, sigma) * (1 + wobble(i, 0.1))
        for i in range(REPLICATIONS)
    ]
    return {
        "name": name,
        "kind": kind,
        "preset": kind,
        "verdict": verdict,
        "verdict_reason": {
            "STABLE": "Arrivals and completions balance; no trend in the requests in system.",
            "BACKLOGGED": "A queue built up during the run and was worked off after it.",
            "OVERLOADED": "Requests in system grow by 120 per second until the end.",
        }[verdict],
        "binding": "Workers spend 72% of their time waiting for io: "
        "more workers would help, more cores would not.",
        "warnings": [] if verdict == "STABLE" else ["Latencies depend on the length of the run."],
        "counts": counted,
        "classes": {"checkout <b>": {"counts": counted, "latency_s": latency}},
        "throughput_rps": estimate(900 * (1 - loss), 0.003),
        "latency_s": latency,
        "queueing_delay_s": ladder(median / 4, sigma * 1.3, censored_from),
        "breakdown_s": {
            part: estimate(mean * share, 0.02)
            for part, share in zip(PART_NAMES, BREAKDOWNS[kind], strict=True)
        },
        "utilization": {
            "cpu": estimate(0.99 if verdict == "OVERLOADED" else 0.812, 0.004),
            "workers": estimate(0.41, 0.02),
            "overhead": estimate(0.021, 0.01),
        },
        "memory_bytes": {
            "mean": estimate(peak * 0.8, 0.01),
            "peak": estimate(peak, 0.04),
            "base": base,
            "at_peak": {
                "stacks": round((peak - base) * 0.15),
                "tasks": round((peak - base) * 0.05),
                "requests": round((peak - base) * 0.6),
                "connections": round((peak - base) * 0.15),
                "garbage": round((peak - base) * 0.05),
            },
        },
        "activity": {"context_switches": 1_234_567.0, "loop_lag_p99_s": 0.0123, "steals": 0.0},
        "resources": {
            "db": {
                "capacity": 40,
                "utilization": estimate(0.45, 0.01),
                "wait_s": estimate(0.0021, 0.08),
            }
        },
        "self_check": self_check(45.0),
        "theory": None,
        "slo": [
            {
                "rule": "latency.p99 < 200ms",
                "metric": "latency.p99",
                "limit": 0.2,
                "observed": latency["p99"],
                "state": p99_state,
            },
            {
                "rule": "error_rate < 0.1%",
                "metric": "error_rate",
                "limit": 0.001,
                "observed": {"value": errors, "ci95": [errors * 0.8, errors * 1.2]},
                "state": "fail" if errors > 0.001 else "pass",
            },
        ],
        "warmup": {
            "method": "mser5",
            "cut_s": 5.0,
            "steady": verdict != "OVERLOADED",
            "latency_cut_s": 4.2,
            "in_system_cut_s": 5.0,
            "removed_requests": 45_000,
        },
        "per_replication": {
            "latency_p99_s": p99s,
            "latency_mean_s": [mean * (1 + wobble(i, 0.02)) for i in range(REPLICATIONS)],
            "throughput_rps": [900 * (1 - loss) + wobble(i) for i in range(REPLICATIONS)],
        },
        "percentiles": percentiles(median, sigma, censored_from),
        "series": curve,
    }


def schedulers() -> list[Json]:
    tomcat = scheduler(
        "tomcat",
        "thread_pool",
        0.05,
        0.62,
        outcome=counts(495_000, rejected=1_240),
        loss=0.0025,
        base=180 * 2**20,
        p99_state="unknown",
    )
    tomcat["warnings"] = ["1,240 requests (0.25%) were rejected: maxQueueSize is full in bursts."]
    asyncio = scheduler(
        "asyncio",
        "event_loop",
        2.1,
        0.9,
        verdict="OVERLOADED",
        outcome=counts(495_000, unfinished=7_220),
        level=lambda t: 120 * t,
        loss=0.13,
        censored_from=0.985,
        p99_state="unknown",
    )
    go = scheduler(
        SCRIPT_NAME,
        "goroutine",
        0.034,
        0.45,
        level=lambda t: 34 * (1 - math.exp(-t / 0.8)),
        base=12 * 2**20,
    )
    go["theory"] = {
        "model": "M/M/c",
        "mean_latency_s": go["latency_s"]["mean"]["value"] * 1.004,
        "mean_wait_s": 0.0021,
        "simulated_mean_s": go["latency_s"]["mean"],
        "inside_ci": True,
        "assumptions": "Poisson arrivals, exponential demand, no overhead",
    }
    virtual = scheduler(
        LINK_NAME,
        "virtual_thread",
        0.036,
        0.5,
        verdict="BACKLOGGED",
        level=lambda t: 45 + 300 * math.exp(-(((t - 30) / 6) ** 2)),
        base=150 * 2**20,
    )
    virtual["warnings"] = []
    return [tomcat, asyncio, go, virtual]


def example_document() -> Json:
    """A fresh result document of the published form."""
    return {
        "schema": "simsched.run/1",
        "version": "0.1.0",
        "scenario": {
            "name": "Shop <script>alert('x')</script> at 900/s",
            "hash": "9f2c1d7ab04e55d1",
            "source": "configs/shop.toml",
        },
        "config": {
            "scenario": {"name": "Shop <script>alert('x')</script> at 900/s", "duration": "60s"},
            "host": {"cores": 2, "memory": None},
            "workload": {"arrivals": {"kind": "poisson", "rate": "900/s"}},
            "schedulers": [{"name": "tomcat", "kind": "thread_pool", "maxThreads": 200}],
        },
        "command": ["simsched", "run", "configs/shop.toml", "--set", "scenario.seed=1"],
        "seed": 1,
        "replications": REPLICATIONS,
        "duration_s": DURATION_S,
        "warmup_s": None,
        "study": "steady",
        "engine": "simpy",
        "versions": {
            "python": "3.11.7",
            "numpy": "2.4.6",
            "simpy": "4.1.2",
            "simsched": "0.1.0",
        },
        "offered": {
            "rate_rps": 900.0,
            "cpu_cores": 1.62,
            "cpu_utilization": 0.81,
            "resources": {"db": {"erlangs": 18.0, "capacity": 40, "utilization": 0.45}},
            "classes": {"checkout <b>": {"share": 1.0, "rate_rps": 900.0, "cpu_s": 0.0018}},
        },
        "schedulers": schedulers(),
    }


def bare_document() -> Json:
    """A document in which everything that may be missing is: one replication, nothing measured."""
    doc = example_document()
    nothing = unknown("no request completed")
    blank = dict.fromkeys(("mean", "p50", "p90", "p95", "p99", "p999", "max"), nothing)
    scheduler = doc["schedulers"][0]
    scheduler |= {
        "preset": None,
        "warnings": [],
        "counts": counts(0),
        "classes": {},
        "throughput_rps": {"value": 0.0, "ci95": None},
        "latency_s": blank,
        "queueing_delay_s": blank,
        "breakdown_s": dict.fromkeys(PARTS, nothing),
        "utilization": dict.fromkeys(("cpu", "workers", "overhead"), nothing),
        "memory_bytes": {
            "mean": nothing,
            "peak": nothing,
            "base": 0,
            "at_peak": dict.fromkeys(("stacks", "tasks", "requests", "connections", "garbage"), 0),
        },
        "activity": {},
        "resources": {},
        "slo": [],
        "percentiles": {"p": [], "latency_s": [], "ci95": [], "enough": []},
        "per_replication": {},
        "series": {key: [] for key in scheduler["series"]},
    }
    scheduler["warmup"] |= {"method": "none", "cut_s": 0.0, "steady": None}
    doc["offered"] |= {"rate_rps": None, "cpu_cores": None, "cpu_utilization": None}
    return doc | {"replications": 1, "config": {}, "command": [], "schedulers": [scheduler]}
