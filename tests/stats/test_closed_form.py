"""Which closed form is offered, and that none is where its assumptions fail."""

from __future__ import annotations

from typing import Any

import pytest

from simsched.stats import theory
from simsched.stats.closed_form import TheoryLine, closed_form

from .scenarios import EXPONENTIAL, GO, LOOP, POISSON, TOMCAT, VIRTUAL, scenario, spec_of

CPU = {"cpu": EXPONENTIAL}
IO = {"io": "50ms"}


def line(*steps: dict[str, Any], **options: Any) -> TheoryLine | None:
    made = scenario(*steps, **options)
    return closed_form(made, spec_of(made))


def found(*steps: dict[str, Any], **options: Any) -> TheoryLine:
    answer = line(*steps, **options)
    assert answer is not None
    assert "the costs of the runtime and the kernel are not in the formula" in answer.assumptions
    return answer


# -- the cores, the loop, the carriers ------------------------------------------------------------


@pytest.mark.parametrize("scheduler", [LOOP, TOMCAT, VIRTUAL, GO], ids=lambda s: s["kind"])
def test_exponential_cpu_on_one_core_is_mm1_for_all(scheduler: dict[str, Any]) -> None:
    answer = found(CPU, scheduler=scheduler)
    assert answer.model == "M/M/1"
    assert answer.mean_latency_s == pytest.approx(0.05)
    assert answer.mean_wait_s == pytest.approx(0.04)
    assert answer.exact == (scheduler is not GO)


@pytest.mark.parametrize("scheduler", [TOMCAT, VIRTUAL, GO], ids=lambda s: s["kind"])
def test_on_four_cores_it_is_mm4(scheduler: dict[str, Any]) -> None:
    arrivals = {"kind": "poisson", "rate": "320/s"}
    answer = found(CPU, scheduler=scheduler, arrivals=arrivals, cores=4)
    assert answer.model == "M/M/4"
    assert answer.mean_latency_s == pytest.approx(theory.mmc_sojourn(320.0, 0.01, 4))


def test_a_loop_has_one_server_on_any_number_of_cores() -> None:
    assert found(CPU, cores=8).model == "M/M/1"


def test_fewer_carriers_ps_or_threads_than_cores_are_the_servers() -> None:
    limited: list[dict[str, Any]] = [
        {**VIRTUAL, "parallelism": 2},
        {**GO, "GOMAXPROCS": 2},
        {**TOMCAT, "maxThreads": 2},
    ]
    for scheduler in limited:
        assert found(CPU, scheduler=scheduler, cores=8).model == "M/M/2"


def test_waiting_for_io_is_a_delay_that_holds_no_server() -> None:
    arrivals = {"kind": "poisson", "rate": "40/s"}
    answer = found(CPU, {"sleep": "7ms"}, CPU, arrivals=arrivals)
    assert answer.mean_latency_s == pytest.approx(2 * 0.05 + 0.007)
    assert answer.mean_wait_s == pytest.approx(2 * 0.04)


@pytest.mark.parametrize(
    "steps", [(IO, CPU), (CPU, IO), (CPU, IO, {"sleep": "7ms"}, CPU)], ids=["first", "last", "two"]
)
def test_a_turn_without_work_queues_too_and_has_no_formula(steps: Any) -> None:
    assert line(*steps) is None


def test_equal_exponential_visits_are_a_jackson_network() -> None:
    arrivals = {"kind": "poisson", "rate": "40/s"}
    answer = found(CPU, IO, CPU, arrivals=arrivals)
    # Twice through M/M/1 at 80/s.
    assert answer.mean_latency_s == pytest.approx(2 * 0.05 + 0.05)
    assert answer.exact


def test_one_visit_of_any_demand_on_a_loop_is_mg1() -> None:
    answer = found({"cpu": "10ms"})
    assert answer.model == "M/G/1"
    assert answer.mean_wait_s == pytest.approx(0.02)
    assert answer.exact


def test_a_run_of_cpu_steps_is_one_visit() -> None:
    answer = found({"cpu": "4ms"}, {"cpu": "6ms"})
    assert answer.mean_wait_s == pytest.approx(0.02)


def test_a_blocking_call_holds_the_loop() -> None:
    answer = found({"cpu": "4ms"}, {"blocking": "6ms"})
    assert answer.mean_wait_s == pytest.approx(0.02)


def test_a_mix_of_classes_is_mg1_with_the_moments_of_the_mix() -> None:
    requests = [
        {"name": "short", "weight": 3, "steps": [{"cpu": "2ms"}]},
        {"name": "long", "weight": 1, "steps": [{"cpu": "20ms"}]},
    ]
    answer = found(requests=requests)
    mean = 0.75 * 0.002 + 0.25 * 0.020
    square = 0.75 * 0.002**2 + 0.25 * 0.020**2
    wait = 80 * square / (2 * (1 - 80 * mean))
    assert answer.mean_wait_s == pytest.approx(wait)
    assert answer.mean_latency_s == pytest.approx(wait + mean)


def test_several_carriers_with_any_demand_are_approximate() -> None:
    arrivals = {"kind": "poisson", "rate": "320/s"}
    answer = found({"cpu": "10ms"}, scheduler=VIRTUAL, arrivals=arrivals, cores=4)
    assert answer.model == "M/G/4"
    assert not answer.exact
    assert "Allen-Cunneen" in answer.assumptions


def test_threads_that_share_one_core_in_short_slices_are_processor_sharing() -> None:
    demand = {"cpu": {"dist": "lognormal", "mean": "100ms", "cv": 2}}
    arrivals = {"kind": "poisson", "rate": "7/s"}
    answer = found(demand, scheduler=TOMCAT, arrivals=arrivals)
    assert answer.model == "M/G/1-PS"
    assert answer.mean_latency_s == pytest.approx(0.1 / 0.3)
    assert not answer.exact


def test_nobody_waits_where_nothing_holds_a_server() -> None:
    answer = found(IO)
    assert answer.model == "M/G/inf"
    assert answer.mean_latency_s == pytest.approx(0.05)
    assert answer.mean_wait_s == 0.0


# -- threads held while waiting -------------------------------------------------------------------

WAIT = {"io": {"dist": "exponential", "mean": "100ms"}}
TEN = {"kind": "thread_pool", "maxThreads": 10}


def jdk(**knobs: Any) -> dict[str, Any]:
    return {"kind": "thread_pool", "policy": "jdk", **knobs}


@pytest.mark.parametrize(
    "scheduler",
    [TEN, jdk(corePoolSize=10, maximumPoolSize=40, workQueue="unbounded")],
    ids=["tomcat", "jdk"],
)
def test_threads_that_wait_for_io_are_the_servers(scheduler: dict[str, Any]) -> None:
    answer = found(WAIT, scheduler=scheduler)
    assert answer.model == "M/M/10"
    assert answer.mean_latency_s == pytest.approx(theory.mmc_sojourn(80.0, 0.1, 10))


def test_any_wait_makes_it_approximate() -> None:
    answer = found({"io": "100ms"}, scheduler=TEN)
    assert answer.model == "M/G/10"
    assert not answer.exact
    assert answer.mean_wait_s == pytest.approx(theory.mmc_wait(80.0, 0.1, 10) / 2)


@pytest.mark.parametrize(
    "scheduler",
    [
        {**TEN, "maxQueueSize": 5},
        jdk(corePoolSize=10, maximumPoolSize=10, workQueue=5),
    ],
    ids=["tomcat", "jdk"],
)
def test_a_bounded_queue_loses_requests(scheduler: dict[str, Any]) -> None:
    answer = found(WAIT, scheduler=scheduler)
    assert answer.model == "M/M/10/15"
    assert answer.mean_latency_s == pytest.approx(theory.mmck(80.0, 0.1, 10, 15)[1])


def test_a_synchronous_queue_is_a_loss_system_for_any_wait() -> None:
    scheduler = jdk(corePoolSize=2, maximumPoolSize=10, workQueue="synchronous")
    answer = found({"io": "100ms"}, scheduler=scheduler)
    assert answer.model == "M/G/10/10"
    assert answer.mean_latency_s == pytest.approx(0.1)


def test_a_resource_held_while_waiting_has_its_permits_as_servers() -> None:
    use = {"use": "db", "steps": [WAIT]}
    for scheduler in (LOOP, GO, VIRTUAL, TOMCAT):
        answer = found(use, scheduler=scheduler, resources={"db": {"capacity": 10}})
        assert answer.model == "M/M/10"
        assert answer.mean_latency_s == pytest.approx(theory.mmc_sojourn(80.0, 0.1, 10))


# -- closed populations ---------------------------------------------------------------------------

USERS = {"kind": "closed", "users": 20, "think": "100ms"}


def test_users_that_think_are_the_machine_repairman() -> None:
    answer = found(CPU, arrivals=USERS)
    assert answer.model == "M/M/1//20"
    assert answer.mean_latency_s == pytest.approx(theory.repairman(20, 0.1, 0.01)[1])


def test_io_and_several_visits_make_it_a_closed_network() -> None:
    answer = found(CPU, IO, CPU, arrivals=USERS)
    response = theory.mva(20, [0.02], 0.15)[1]
    assert answer.mean_latency_s == pytest.approx(response + 0.05)
    assert answer.mean_wait_s == pytest.approx(response - 0.02)


def test_threads_held_while_waiting_serve_a_closed_population() -> None:
    answer = found(WAIT, arrivals=USERS, scheduler=TEN)
    assert answer.mean_latency_s == pytest.approx(theory.repairman(20, 0.1, 0.1, 10)[1])


# -- no formula where none holds ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("steps", "options"),
    [
        ([CPU], {"run": {"study": "terminating"}}),
        ([CPU], {"arrivals": {"kind": "constant", "rate": "80/s"}}),
        ([CPU], {"timeout": "1s"}),
        ([CPU], {"arrivals": {"kind": "poisson", "rate": "100/s"}}),
        ([{"cpu": "4ms"}, IO, {"cpu": "4ms"}], {}),
        ([CPU, IO, {"cpu": {"dist": "exponential", "mean": "1ms"}}], {}),
        ([{"lock": "cache", "steps": [CPU]}], {}),
        ([{"blocking": "1ms"}, CPU], {"scheduler": GO}),
        ([{"blocking": "1ms"}, CPU], {"scheduler": VIRTUAL}),
        ([{"cpu": "10ms"}], {"scheduler": GO}),
        ([{"cpu": "10ms"}], {"scheduler": TOMCAT}),
        ([{"cpu": "100ms"}], {"scheduler": TOMCAT, "cores": 16}),
        ([{"cpu": {"dist": "pareto", "mean": "5ms", "shape": 1.8}}], {}),
        ([{"cpu": "10ms"}], {"arrivals": USERS}),
        ([CPU, {"io": "2s"}], {"scheduler": TEN}),
        ([CPU], {"scheduler": jdk(corePoolSize=1, maximumPoolSize=9, workQueue=5)}),
        ([{"io": "100ms"}], {"scheduler": {**TEN, "maxQueueSize": 5}}),
        (
            [WAIT],
            {
                "scheduler": jdk(
                    corePoolSize=10,
                    maximumPoolSize=10,
                    workQueue=5,
                    rejectedExecutionHandler="caller_runs",
                )
            },
        ),
        ([CPU], {"scheduler": TEN, "arrivals": {**USERS, "users": 11}}),
        ([CPU, {"parallel": [[IO], [IO]]}, CPU], {"scheduler": GO}),
        ([{"parallel": [[IO], [IO]]}], {"scheduler": TEN}),
        ([{"offload": "to_thread", "steps": [CPU]}], {}),
        ([{"repeat": 2, "steps": [CPU, IO]}, CPU], {}),
        ([CPU], {"scheduler": {**LOOP, "processes": 2}}),
        ([CPU], {"scheduler": {**LOOP, "request": "1ms"}}),
        ([CPU], {"scheduler": {**LOOP, "endpoint": "def"}}),
        ([CPU], {"scheduler": {"kind": "thread_pool", "policy": "python", "max_workers": 4}}),
        ([CPU], {"scheduler": {"kind": "gthread", "threads": 4}}),
        ([CPU], {"scheduler": {"kind": "sync_workers"}}),
    ],
    ids=[
        "terminating",
        "constant-arrivals",
        "timeout",
        "unstable",
        "two-visits-not-exponential",
        "unequal-visits",
        "lock",
        "go-syscall",
        "pinned",
        "go-not-exponential",
        "slice-not-short",
        "sharing-many-cores",
        "infinite-variance",
        "closed-not-exponential",
        "pool-limits",
        "jdk-grows-when-full",
        "bounded-not-exponential",
        "caller-runs",
        "closed-pool-limits",
        "parallel",
        "parallel-in-a-pool",
        "offload",
        "repeat",
        "processes",
        "work-of-the-server",
        "hops-between-threads",
        "interpreter-lock",
        "gthread",
        "sync-workers",
    ],
)
def test_no_formula_is_offered_where_its_assumptions_fail(
    steps: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    assert line(*steps, **options) is None


def test_the_default_arrivals_of_these_tests_are_stable() -> None:
    assert POISSON["rate"] == "80/s"
