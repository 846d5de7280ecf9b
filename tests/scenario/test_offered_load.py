"""The offered load, reckoned by hand: rate x time, and what that means for each scheduler."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from simsched.scenario import OfferedLoad, Scenario, offered_load

A = {
    "name": "a",
    "weight": 3,
    "steps": [
        {"cpu": "2ms"},
        {"use": "db", "steps": [{"io": {"dist": "exponential", "mean": "10ms"}}, {"cpu": "1ms"}]},
        {"blocking": "5ms", "kind": "file"},
    ],
}
B = {
    "name": "b",
    "weight": 1,
    "steps": [
        {"cpu": {"dist": "uniform", "low": "1ms", "high": "3ms"}},
        {
            "lock": "m",
            "kind": "synchronized",
            "steps": [
                {"sleep": "4ms"},
                {"blocking": "2ms"},
                {"use": "db", "steps": [{"io": "8ms"}]},
            ],
        },
    ],
}
PRESETS = ["tomcat", "jdk-thread-pool", "asyncio", "go", "virtual-threads", "virtual-threads-21"]


def scenario(
    *classes: dict[str, object],
    arrivals: dict[str, object] | None = None,
    schedulers: list[dict[str, object]] | None = None,
    cores: int = 4,
    db: int = 20,
) -> Scenario:
    return Scenario.from_dict(
        {
            "scenario": {"name": "t", "duration": "10s"},
            "host": {"cores": cores},
            "workload": {
                "arrivals": arrivals or {"kind": "poisson", "rate": "400/s"},
                "requests": list(classes or (A, B)),
            },
            "resources": {"db": {"capacity": db}},
            "schedulers": schedulers or [{"preset": name} for name in PRESETS],
        }
    )


def approx(value: float) -> object:
    """Equal up to rounding."""
    return pytest.approx(value, rel=1e-12)


def test_rate_and_cpu() -> None:
    load = offered_load(scenario())
    cpu_s = 0.75 * 0.003 + 0.25 * 0.002
    assert load.rate_rps == load.peak_rate_rps == 400.0
    assert load.cpu_cores == approx(400 * cpu_s)
    assert load.cpu_utilization == approx(400 * cpu_s / 4)


def test_classes_have_their_share_and_their_means() -> None:
    a, b = offered_load(scenario()).to_dict()["classes"].values()
    assert a == {
        "share": 0.75,
        "rate_rps": 300.0,
        "cpu_s": approx(0.003),
        "wait_s": approx(0.010),
        "blocking_s": approx(0.005),
        "total_s": approx(0.018),
        "holding_s": {"db": approx(0.011)},
    }
    assert b["total_s"] == approx(0.002 + 0.004 + 0.002 + 0.008)
    assert b["holding_s"] == {"db": approx(0.008), "lock:m": approx(0.014)}


def test_a_resource_is_held_through_the_steps_inside_it() -> None:
    resources = offered_load(scenario()).to_dict()["resources"]
    db = 300 * 0.011 + 100 * 0.008
    assert resources == {
        "db": {"erlangs": approx(db), "capacity": 20, "utilization": approx(db / 20)},
        "lock:m": {"erlangs": approx(1.4), "capacity": 1, "utilization": approx(1.4)},
    }


@pytest.mark.parametrize(
    ("name", "unit", "demand_s", "available"),
    [
        ("tomcat", "threads", 0.75 * 0.018 + 0.25 * 0.016, 200),
        ("jdk-thread-pool", "threads", 0.75 * 0.018 + 0.25 * 0.016, 200),
        ("asyncio", "loops", 0.75 * 0.008 + 0.25 * 0.004, 1),
        ("go", "processors", 0.75 * 0.003 + 0.25 * 0.002, 4),
        # File reads pin from JDK 23 on, and are compensated before. Waiting in synchronized pins
        # before JDK 24: the sleep, the socket and the query inside the lock.
        ("virtual-threads", "carriers", 0.75 * 0.008 + 0.25 * 0.002, 4),
        ("virtual-threads-21", "carriers", 0.75 * 0.003 + 0.25 * (0.002 + 0.014), 4),
    ],
)
def test_what_each_scheduler_holds_while_it_serves(
    name: str, unit: str, demand_s: float, available: int
) -> None:
    place = offered_load(scenario()).schedulers[name]
    assert (place.unit, place.available) == (unit, available)
    assert place.demand_s == approx(demand_s)
    assert place.offered == approx(400 * demand_s)
    assert place.utilization == approx(400 * demand_s / available)
    assert place.limit_rps == approx(available / demand_s)


def test_a_jdk_pool_with_a_bounded_queue_grows_to_its_maximum() -> None:
    pool = {"kind": "thread_pool", "policy": "jdk", "corePoolSize": 2, "maximumPoolSize": 9}
    queues: list[tuple[object, int]] = [("unbounded", 2), ("synchronous", 9), (100, 9)]
    for queue, threads in queues:
        made = scenario(schedulers=[{**pool, "workQueue": queue}])
        assert offered_load(made).schedulers["thread_pool"].available == threads


@pytest.mark.parametrize(
    ("arrivals", "mean", "peak"),
    [
        ({"kind": "constant", "rate": "90/min"}, 1.5, 1.5),
        ({"kind": "ramp", "from": "100/s", "to": "500/s"}, 300.0, 500.0),
        (
            {
                "kind": "bursty",
                "rate_low": "100/s",
                "rate_high": "1000/s",
                "mean_low": "8s",
                "mean_high": "1s",
            },
            200.0,
            1000.0,
        ),
        (  # the last step begins after the duration of 10 s
            {
                "kind": "steps",
                "steps": [
                    {"at": "0s", "rate": "100/s"},
                    {"at": "4s", "rate": "200/s"},
                    {"at": "12s", "rate": "900/s"},
                ],
            },
            160.0,
            200.0,
        ),
    ],
)
def test_the_mean_and_peak_of_rates_that_vary(
    arrivals: dict[str, object], mean: float, peak: float
) -> None:
    load = offered_load(scenario(arrivals=arrivals))
    assert load.rate_rps == approx(mean)
    assert load.peak_rate_rps == approx(peak)


def warnings(load: OfferedLoad, start: str) -> list[str]:
    return [w for w in load.warnings if w.startswith(start)]


def test_what_cannot_keep_up_is_said() -> None:
    load = offered_load(scenario())
    assert warnings(load, "lock") == [
        'lock "m": offered 1.4 holders of work, 1 available: it cannot keep up'
    ]
    assert warnings(load, 'scheduler "asyncio"') == [
        'scheduler "asyncio": offered 2.8 loops of work, 1 available: it cannot keep up'
    ]
    assert not warnings(load, "host")
    assert not warnings(load, 'scheduler "go"')


def test_the_host_alone_can_be_too_small() -> None:
    assert warnings(offered_load(scenario(cores=1)), "host") == [
        "host: offered 1.1 cores of work, 1 available: it cannot keep up"
    ]


def test_a_call_that_hangs_has_its_sync_worker_until_the_kill() -> None:
    """99 of 100 take 50 ms, and one 90 s: 20/s x (0.99 x 50 ms + 0.01 x the 30 s of timeout)."""
    page: dict[str, object] = {"name": "page", "weight": 99, "steps": [{"io": "50ms"}]}
    hangs: dict[str, object] = {"name": "hangs", "steps": [{"blocking": "90s"}]}
    sync: dict[str, object] = {"kind": "sync_workers", "request": "0s", "processes": 8}
    load = offered_load(
        scenario(
            page,
            hangs,
            arrivals={"kind": "poisson", "rate": "20/s"},
            schedulers=[
                {**sync, "name": "killed"},
                {**sync, "name": "never", "timeout": "0s"},
                {**sync, "name": "patient", "timeout": "100s"},
            ],
        )
    )
    assert load.schedulers["killed"].offered == approx(0.99 + 6)
    assert load.schedulers["never"].offered == approx(0.99 + 18)
    assert load.schedulers["patient"].offered == approx(0.99 + 18)
    assert not warnings(load, 'scheduler "killed"')
    assert warnings(load, 'scheduler "never"')


def test_what_is_needed_is_never_written_as_a_power_of_ten() -> None:
    """4000/s x 0.6 s."""
    long: dict[str, object] = {"name": "long", "steps": [{"io": "600ms"}]}
    load = offered_load(scenario(long, arrivals={"kind": "poisson", "rate": "4000/s"}))
    assert warnings(load, 'scheduler "tomcat"') == [
        'scheduler "tomcat": offered 2,400 threads of work, 200 available: it cannot keep up'
    ]


def test_what_cannot_keep_up_at_the_peak_only_is_said_as_such() -> None:
    arrivals: dict[str, object] = {"kind": "ramp", "from": "0/s", "to": "800/s"}
    load = offered_load(scenario(A, arrivals=arrivals, cores=2))
    assert warnings(load, "host") == [
        "host: at the peak rate 2.4 cores of work, 2 available: a backlog builds up until the "
        "rate falls"
    ]


def test_a_closed_workload_has_no_rate_but_bounds() -> None:
    """Users / (think + demand) with few users; the scarcest thing with many."""
    few = offered_load(scenario(A, arrivals={"kind": "closed", "users": 10, "think": "82ms"}))
    assert few.rate_rps is None
    assert few.cpu_cores is None
    assert few.to_dict()["resources"]["db"] == {
        "erlangs": None,
        "capacity": 20,
        "utilization": None,
    }
    assert few.bound_rps == approx(10 / (0.082 + 0.018))
    many = offered_load(scenario(A, arrivals={"kind": "closed", "users": 10_000}))
    assert many.bound_rps == approx(min(4 / 0.003, 20 / 0.011))
    narrow = offered_load(scenario(A, arrivals={"kind": "closed", "users": 10_000}, db=2))
    assert narrow.bound_rps == approx(2 / 0.011)
    assert narrow.schedulers["asyncio"].limit_rps == approx(1 / 0.008)


@dataclass(frozen=True)
class Stats:
    """What a reader of traces tells."""

    replayed: int
    mean_s: dict[str, float | None] = field(default_factory=dict)


REPLAYED: dict[str, object] = {
    "name": "r",
    "steps": [{"cpu": {"column": "cpu_us"}}, {"use": "db", "steps": [{"io": "1ms"}]}],
}


def test_a_trace_brings_its_own_rate_and_means() -> None:
    trace: dict[str, object] = {"kind": "trace", "file": "t.csv"}
    made = scenario(REPLAYED, arrivals=trace)
    load = offered_load(made, Stats(replayed=5000, mean_s={"cpu_us": 0.004}))
    assert load.rate_rps == 500.0
    assert load.cpu_cores == approx(2.0)
    unread = offered_load(made)
    assert unread.rate_rps is None
    assert unread.cpu_cores is None
    assert unread.to_dict()["classes"]["r"]["cpu_s"] is None
    partly = offered_load(made, Stats(replayed=5000))
    assert partly.cpu_cores is None
    assert partly.resources["db"].erlangs == approx(0.5)
    assert partly.bound_rps == approx(20 / 0.001)


def test_shares_of_the_classes_of_a_trace_replace_the_weights() -> None:
    load = offered_load(scenario(), class_shares={"a": 0.5, "b": 0.5})
    assert load.classes["a"].rate_rps == 200.0


def test_things_without_effect_are_named() -> None:
    load = offered_load(scenario({"name": "x", "timeout": "1ms", "steps": [{"io": "2ms"}]}))
    assert 'resource "db": no request uses it' in load.warnings
    assert warnings(load, 'class "x"') == [
        'class "x": the timeout of 1ms is shorter than the 2ms that a request takes on average '
        "without any queueing"
    ]


def test_pools_taken_in_opposite_orders_can_deadlock_when_full() -> None:
    lock: dict[str, object] = {"lock": "m", "steps": [{"use": "db", "steps": [{"cpu": "1ms"}]}]}
    pool: dict[str, object] = {"use": "db", "steps": [{"lock": "m", "steps": [{"cpu": "1ms"}]}]}
    load = offered_load(scenario({"name": "x", "steps": [lock]}, {"name": "y", "steps": [pool]}))
    assert len(warnings(load, "can deadlock when full: ")) == 1
    assert not warnings(offered_load(scenario()), "can deadlock")


def test_waiting_in_synchronized_for_what_others_hold_can_stop_all_carriers_before_jdk_24() -> None:
    load = offered_load(scenario())
    (warning,) = [w for w in load.warnings if "nothing moves again" in w]
    assert warning.startswith('scheduler "virtual-threads-21": on JDK 21, class "b" waits for')
    assert 'resource "db"' in warning
    alone = offered_load(scenario(B))
    assert not [w for w in alone.warnings if "nothing moves again" in w]
