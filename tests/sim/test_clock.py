"""The order of what happens at one instant is part of the model."""

from __future__ import annotations

import pytest
from kit import LOOP, RUN_TO_END, request, run, tomcat

from simsched.observe.record import PARTS
from simsched.sim.clock import ARRIVAL, DISPATCH, IO_DONE, WORK_END, Call, Clock


def test_work_that_ends_goes_before_io_before_arrivals_before_dispatch() -> None:
    clock, log = Clock(), []
    for priority, name in [(DISPATCH, "d"), (ARRIVAL, "a"), (IO_DONE, "i"), (WORK_END, "w")]:
        clock.call_at(1.0, priority, lambda call: log.append(call.arg), name)
    clock.run_until(2.0)
    assert log == ["w", "i", "a", "d"]


def test_within_a_kind_the_request_index_decides() -> None:
    clock, log = Clock(), []
    for index in (2, 0, 1):
        clock.call_at(1.0, IO_DONE | index, lambda call: log.append(call.arg), index)
    clock.run_until(2.0)
    assert log == [0, 1, 2]


def test_dispatches_are_first_come_first_served() -> None:
    clock, log = Clock(), []
    for name in "xyz":
        clock.call_at(1.0, DISPATCH, lambda call: log.append(call.arg), name)
    clock.run_until(2.0)
    assert log == ["x", "y", "z"]


def test_what_an_event_causes_at_its_own_instant_keeps_the_order() -> None:
    clock, log = Clock(), []

    def work_ends(_: Call) -> None:
        clock.call_at(clock.now, IO_DONE, lambda _: log.append("its i/o"))
        log.append("work")

    clock.call_at(1.0, ARRIVAL, lambda _: log.append("arrival"))
    clock.call_at(1.0, WORK_END, work_ends)
    clock.run_until(1.0)
    assert log == ["work", "its i/o", "arrival"]


def test_a_cancelled_call_does_nothing() -> None:
    clock, log = Clock(), []
    call = clock.call_at(1.0, IO_DONE, lambda _: log.append("x"))
    call.cancel()
    clock.run_until(2.0)
    assert log == []
    call.cancel()  # harmless once its time has come


def test_times_are_exact() -> None:
    clock, log = Clock(), []
    times = [0.1 * k for k in range(1, 50)]
    for t in times:
        clock.call_at(t, IO_DONE, lambda _: log.append(clock.now))
    clock.run_until(10.0)
    assert log == times


def test_the_clock_stops_at_the_end_of_a_run_and_goes_on_from_there() -> None:
    clock, log = Clock(), []
    for t in (1.0, 2.0, 3.0):
        clock.call_at(t, IO_DONE, lambda _: log.append(clock.now))
    clock.run_until(2.0)
    assert log == [1.0, 2.0]
    clock.run_until(5.0, done=lambda: True)
    assert log == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("steps", ["cpu 10ms", "io 10ms", "blocking 10ms"])
def test_a_thread_that_becomes_free_as_a_request_arrives_takes_it(steps: str) -> None:
    finished = run(tomcat(1), request(steps), request(steps, at=10), os=RUN_TO_END)
    assert finished.done == {"A": 10, "B": 20}
    assert finished.record.parts_s[1, PARTS.index("admission")] == 0


def test_requests_of_one_instant_are_served_in_their_order() -> None:
    for spec in (LOOP, tomcat(1)):
        assert run(spec, *[request("cpu 1ms")] * 4).done == {"A": 1, "B": 2, "C": 3, "D": 4}
