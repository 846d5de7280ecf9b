"""What is waited for: one of the runtime's own slots, a core of the machine, or its CPU quota."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from kit import (
    GO,
    LOOP,
    REACTOR,
    RUN_TO_END,
    VIRTUAL,
    Request,
    Spec,
    hold,
    letter,
    ms,
    offload,
    request,
    run,
    tomcat,
)

from simsched.observe.blame import Blame
from simsched.observe.marks import parse
from simsched.observe.record import BlameRow
from simsched.observe.slots import Limits
from simsched.observe.stays import Owners
from simsched.observe.steps import NOBODY
from simsched.sim.task import CPU, ENDED, N_PARTS, RUN_QUEUE

from .blames import blame_of, blamed, step

# -- slots and cores --------------------------------------------------------------------------


TWO_SLOTS = pytest.mark.parametrize(
    "scheduler", [{**GO, "GOMAXPROCS": 2}, {**VIRTUAL, "parallelism": 2}], ids=["go", "virtual"]
)


@TWO_SLOTS
def test_a_core_is_what_is_waited_for_while_a_slot_is_free(scheduler: Spec) -> None:
    """Two slots on one core, which A has from 0 to 10 ms. B comes at 2: its thread has to wait."""
    assert blamed(scheduler, request("cpu 10ms"), request("cpu 1ms", at=2), os=RUN_TO_END) == {
        ("core", "B", "A cpu"): 8.0
    }


@pytest.mark.parametrize(
    ("scheduler", "slots"),
    [({**GO, "GOMAXPROCS": 2}, "Ps"), ({**VIRTUAL, "parallelism": 2}, "carriers")],
)
def test_who_finds_all_slots_taken_waits_for_them_and_not_for_the_cores(
    scheduler: Spec, slots: str
) -> None:
    """Two slots, four cores. A has one until 10 ms and B one until 6. C comes at 2 ms."""
    found = blamed(
        scheduler, request("cpu 10ms"), request("cpu 6ms"), request("cpu 1ms", at=2), cores=4
    )
    assert found == {(slots, "C", "A cpu"): 2.0, (slots, "C", "B cpu"): 2.0}


def test_a_free_slot_on_a_free_core_has_to_be_woken() -> None:
    """A computes on one of two cores. B comes at 2 ms, and its core needs 1 ms to wake up."""
    found = blamed(
        {**VIRTUAL, "parallelism": 2}, request("cpu 10ms"), request("cpu 1ms", at=2),
        cores=2, os={"wakeup_latency": "1ms"},
    )  # fmt: skip
    assert found == {("core", "A", "nobody"): 1.0, ("core", "B", "nobody"): 1.0}


# -- pinned carriers --------------------------------------------------------------------------

NATIVE = [step("1ms", "parse"), {**step("20ms", "native call", "blocking"), "kind": "native"}]


def pinned(scheduler: Spec, *requests: Request, **more: Any) -> dict[str, float]:
    """Milliseconds by "class step"."""
    rows = run(scheduler, *requests, **more).record.pinned
    return {f"{letter(row.culprit)} {row.step}": ms(row.seconds) for row in rows}


def test_the_step_that_pins_a_carrier_has_a_name() -> None:
    assert pinned(VIRTUAL, request(NATIVE), request("cpu 1ms", at=1)) == {"A native call": 20.0}


def test_a_monitor_pins_whoever_waits_in_it_and_whoever_waits_for_it() -> None:
    """JDK 21: A waits for 20 ms in the monitor from 1 ms on; B is at its gate from 5 ms on."""
    guarded = [step("1ms", "parse"), hold("lock", "m", [step("20ms", "query", "io")])]
    guarded[1]["kind"] = "synchronized"
    two = request(guarded), request(guarded, at=4)
    assert pinned({**VIRTUAL, "jdk": 21, "parallelism": 2}, *two, cores=2) == {
        "A query": 20.0,
        "B waiting for a lock": 16.0,
        "B query": 20.0,
    }
    assert pinned({**VIRTUAL, "parallelism": 2}, *two, cores=2) == {}


def test_a_compensated_call_pins_its_carrier_all_the_same() -> None:
    """JDK 21: while A and B read a file, a spare carrier does C's work."""
    file = [{**step("20ms", "read", "blocking"), "kind": "file"}]
    knobs = {**VIRTUAL, "jdk": 21, "parallelism": 1, "maxPoolSize": 2}
    assert pinned(knobs, request(file), request("cpu 1ms", at=5)) == {"A read": 20.0}
    assert blamed(knobs, request(file), request("cpu 1ms", at=5)) == {}


def test_who_has_given_up_is_still_pinned() -> None:
    """A gives up at 10 ms, but the call lasts until 21. B comes at 5 ms."""
    two = request(NATIVE, timeout="10ms"), request("cpu 1ms", at=5)
    assert blamed(VIRTUAL, *two) == {("carriers", "B", "A native call"): 16.0}
    assert pinned(VIRTUAL, *two) == {"A native call": 20.0}


# -- threads that do their own work only ------------------------------------------------------


def elastic(seconds: str, name: str, at: float = 0.0) -> Request:
    """A blocking call on a thread of boundedElastic."""
    return request([offload("to_thread", [step(seconds, name, "blocking")])], at)


TWO_ELASTIC: Spec = {**REACTOR, "defaultBoundedElasticSize": 2}


def test_work_waits_behind_one_elastic_thread_though_another_is_idle() -> None:
    """A has a thread until 50 ms and B one until 10; C, at 2 ms, has to wait for A's.

    Both have one task: that of A has been busy longest. Until 10 ms no thread is free, then B's is.
    """
    record = run(
        TWO_ELASTIC, elastic("50ms", "export"), elastic("9ms", "scan", 1),
        elastic("1ms", "ping", 2),
        cores=4,
    ).record  # fmt: skip
    assert blame_of(record) == {
        ("pool:boundedElastic", "C", "A export"): 8.0,
        ("pool:boundedElastic, others free", "C", "A export"): 40.0,
    }
    assert ms(record.activity["waited_beside_idle_s"]) == 40.0


def test_who_waits_for_the_only_elastic_thread_waits_for_the_pool() -> None:
    record = run(
        {**TWO_ELASTIC, "defaultBoundedElasticSize": 1},
        elastic("50ms", "export"), elastic("1ms", "ping", 2),
        cores=4,
    ).record  # fmt: skip
    assert blame_of(record) == {("pool:boundedElastic", "B", "A export"): 48.0}
    assert "waited_beside_idle_s" not in record.activity


def test_an_elastic_thread_that_is_woken_is_nobodys_fault() -> None:
    """Each wake-up takes 1 ms: the loop's, then that of a new thread; another one is busy."""
    found = blamed(
        TWO_ELASTIC, elastic("50ms", "export"), elastic("1ms", "ping", 10),
        cores=4, os={"wakeup_latency": "1ms"},
    )  # fmt: skip
    assert {cause for cause, _, _ in found} <= {"loop", "pool:boundedElastic"}
    assert {culprit for _, _, culprit in found} == {"nobody"}


def test_threads_of_parallel_do_not_help_one_another_either() -> None:
    """Two threads, in turns: A, after its delay, computes on the first one until 31 ms, B on the
    second until 3. C's turn is on the first one again, from 5 ms on.
    """
    spec = {**REACTOR, "defaultPoolSize": 2}
    found = blamed(
        spec, request("sleep 1ms, cpu 30ms"), request("sleep 1ms, cpu 1ms", at=1),
        request("sleep 1ms, cpu 1ms", at=4),
        cores=4,
    )  # fmt: skip
    assert found == {("pool:parallel, others free", "C", "A cpu"): 26.0}


# -- the quota --------------------------------------------------------------------------------


def in_container(cores: int, quota: float) -> dict[str, Any]:
    """Arguments of a run; a period is 100 ms, and a core draws 5 ms at a time."""
    return {"cores": cores, "host": {"cpu_quota": quota}, "os": RUN_TO_END}


def test_who_is_stopped_waits_for_the_quota_because_of_all_who_have_used_it_up() -> None:
    """50 ms per period. A computes for 20 ms, B needs 60: it is stopped from 30 to 100 ms.

    Of the 50 ms, A has used 20 and B 30. B does the rest of its work from 100 to 130 ms.
    """
    two = request("cpu 20ms"), request("cpu 60ms")
    assert blamed(tomcat(2), *two, **in_container(2, 0.5)) == {
        ("quota", "B", "A cpu"): 28.0,
        ("quota", "B", "B cpu"): 42.0,
    }


def test_who_waits_for_a_core_that_is_stopped_waits_for_both_in_turn() -> None:
    """One core, 50 ms per period: A runs until 50 and from 100 to 130 ms. B comes at 60 ms."""
    carriers = {**VIRTUAL, "parallelism": 2}
    two = request("cpu 80ms"), request("cpu 10ms", at=60)
    assert blamed(carriers, *two, **in_container(1, 0.5)) == {
        ("quota", "A", "A cpu"): 50.0,
        ("quota", "B", "A cpu"): 40.0,
        ("core", "B", "A cpu"): 30.0,
    }


@TWO_SLOTS
def test_a_free_slot_whose_thread_is_stopped_is_no_help(scheduler: Spec) -> None:
    """As above; C comes at 50 ms, when nothing may run until 100 ms, though a slot is free."""
    three = request("cpu 20ms"), request("cpu 60ms"), request("cpu 1ms", at=50)
    assert blamed(scheduler, *three, **in_container(2, 0.5)) == {
        ("quota", "B", "A cpu"): 28.0,
        ("quota", "B", "B cpu"): 42.0,
        ("quota", "C", "A cpu"): 20.0,
        ("quota", "C", "B cpu"): 30.0,
    }


def test_a_loop_that_is_stopped_in_the_middle_holds_up_those_behind() -> None:
    """A computes until 50 ms and from 100 to 110. B waits for the loop, not for the quota."""
    assert blamed(LOOP, request("cpu 60ms"), request("cpu 1ms", at=40), **in_container(1, 0.5)) == {
        ("quota", "A", "A cpu"): 50.0,
        ("loop", "B", "A cpu"): 70.0,
    }


def test_a_loop_that_is_woken_in_vain_waits_for_the_quota() -> None:
    """A uses up the 50 ms exactly. B comes at 60 ms, and the loop may run again at 100."""
    assert blamed(LOOP, request("cpu 50ms"), request("cpu 1ms", at=60), **in_container(1, 0.5)) == {
        ("quota", "B", "A cpu"): 40.0
    }


def test_a_wait_is_blamed_on_its_own_period() -> None:
    """50 ms per period: A uses up that of the first one, B that of the second, and C waits twice.

    C is stopped with B at 150 ms, one core each, until 200 ms. They had 25 ms each.
    """
    found = blamed(
        tomcat(2),
        request("cpu 50ms"), request("cpu 60ms", at=100), request("cpu 60ms", at=100),
        **in_container(2, 0.5),
    )  # fmt: skip
    assert not any(culprit.startswith("A") for _, _, culprit in found)
    assert found["quota", "B", "B cpu"] == found["quota", "B", "C cpu"]


def test_the_quota_is_told_of_a_request_that_has_not_ended() -> None:
    """A gives up at 70 ms, in the middle of a stop that began at 50."""
    record = run(tomcat(1), request("cpu 80ms", timeout="70ms"), **in_container(1, 0.5)).record
    assert blame_of(record) == {("quota", "A", "A cpu"): 20.0}


# -- Ps and system calls ----------------------------------------------------------------------

ONE_P: Spec = {**GO, "GOMAXPROCS": 1}
FILE = {**step("20ms", "read", "blocking"), "kind": "file"}


def test_a_p_is_held_by_a_system_call_until_the_monitor_hands_it_on() -> None:
    """One P. A reads a file from 1 to 21 ms; the monitor, which looks every 20 us and has seen the
    call begin, takes the P from it at 1.02 ms. B comes at 1.001 ms, and has it from then on.
    """
    two = request([step("1ms", "parse"), FILE, step("1ms", "send")]), request("cpu 5ms", at=1.001)
    record = run(ONE_P, *two, cores=2).record
    assert blame_of(record) == {("Ps", "B", "A read"): 0.019}
    assert record.activity["handoffs"] == 1
    (kept,) = record.pinned
    assert (letter(kept.culprit), kept.step, ms(kept.seconds)) == ("A", "read", 0.02)
    assert "waited_after_handoff_s" not in record.activity  # it is free when A comes back


def test_who_comes_back_without_a_p_waits_for_those_who_have_them() -> None:
    """A calls from 1 to 5 ms. B, there since 0.5, has its P from 1.02 to 9.02 ms; then A has it."""
    call = {**FILE, "blocking": "4ms"}
    two = request([step("1ms", "parse"), call]), request("cpu 8ms", at=0.5)
    record = run(ONE_P, *two, cores=2).record
    assert blame_of(record) == {
        ("Ps", "B", "A parse"): 0.5,
        ("Ps", "B", "A read"): 0.02,
        ("Ps", "A", "B cpu"): 4.02,
    }
    assert ms(record.activity["waited_after_handoff_s"]) == 4.02


def test_a_short_call_keeps_its_p() -> None:
    """A's call lasts until 1.01 ms: the monitor does not see it. B is there since 0.5 ms."""
    call = {**FILE, "blocking": "10us"}
    steps = [step("1ms", "parse"), call, step("1ms", "send")]
    found = blamed(ONE_P, request(steps), request("cpu 1ms", at=0.5), cores=2)
    assert found == {
        ("Ps", "B", "A parse"): 0.5,
        ("Ps", "B", "A read"): 0.01,
        ("Ps", "B", "A send"): 1.0,
    }


def test_a_p_that_the_collector_marks_with_is_nobodys() -> None:
    """What the runtime does with a slot of its own is no request's fault, and no core's."""
    blame = Blame("goroutine")
    blame.knows(Limits(slots=1.0, cores=1))
    victim = [float(RUN_QUEUE), 0.0, float(CPU), 3.0, float(ENDED), 4.0]
    blame.occupied += 0.0, 3.0, 0
    key = blame.names.key(0, "cpu")
    blame.names._computing, blame.names._waiting = [[key]], [[NOBODY]]
    blame.names._other = [[NOBODY] * N_PARTS]
    one = np.zeros(1, np.int32)
    blame.add(parse([victim]), Owners(one, one, one, one > 0))
    blame.settle(math.inf)
    assert blame.rows() == [BlameRow("Ps", 0, -1, "", 3.0)]
