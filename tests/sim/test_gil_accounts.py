"""What the interpreter lock costs, and whom a wait for it is blamed on. Times are milliseconds."""

from __future__ import annotations

import pytest
from kit import ms

from simsched.sim.task import Task
from simsched.workload.program import CPU, Op, Program

from .interpreter import Interpreter

PROGRAM = Program("test", (Op(CPU, slot=0, name="step"),), ())


class TestWhatSignalsCost:
    def test_who_drops_the_lock_pays_for_waking_a_waiter(self) -> None:
        """a signals b until 1.5, and is back at 3.5; b has had the lock since 1, and ends at 4."""
        python = Interpreter(wakeup_cost="500us")
        a = python.thread("a", "cpu 1, native 2")
        python.thread("b", "cpu 3")
        python.slices()
        assert python.done == [(1, "a"), (3.5, "a"), (4, "b")]
        assert ms(a.cost_s) == 0.5

    def test_nobody_pays_if_nobody_waits(self) -> None:
        python = Interpreter(wakeup_cost="500us")
        python.thread("a", "cpu 1, native 2, cpu 1, wait 3, cpu 1")
        assert python.slices() == [(0, 4, "a"), (7, 8, "a")]

    def test_what_comes_before_a_sleep_is_paid_after_it(self) -> None:
        """At 1, a signals b, and sleeps until 4, when b is at its end already."""
        python = Interpreter(wakeup_cost="500us")
        python.thread("a", "cpu 1, wait 3, cpu 1")
        python.thread("b", "cpu 2")
        assert python.slices() == [(0, 1, "a"), (1, 3, "b"), (4, 5.5, "a")]

    def test_who_takes_it_by_force_pays_for_waking_the_one_that_had_it(self) -> None:
        """Both have a core at 1, and a is first. b asks at 7; a signals it, until 7.5.

        b is up at 8, signals a until 8.5, and is done at 10.5. a is up at 9, goes to wait, is
        signalled when b ends, and has the lock at 11.5, with 1 left to do.
        """
        python = Interpreter(cores=3, wakeup_latency="1ms", wakeup_cost="500us")
        a = python.thread("a", "cpu 7")
        b = python.thread("b", "cpu 2")
        assert python.slices() == [
            (1, 7.5, "a"),
            (8, 10.5, "b"),
            (11.5, 12.5, "a"),
        ]
        assert (ms(a.cost_s), ms(b.cost_s)) == (1 + 0.5 + 1 + 1, 1 + 1 + 1 + 0.5)

    def test_the_slower_the_signal_the_sooner_a_call_loses_the_lock(self) -> None:
        """io drops the lock at 2, for half a millisecond, and hog is up at 3.

        If its signal takes 0.6, io is back at 3.1, and waits: hog's time is its own until 8.1, io
        is up at 9.1, hog's signal wakes it up again at 10.1.
        """
        kept = Interpreter(cores=3, wakeup_latency="1ms")
        lost = Interpreter(cores=3, wakeup_latency="1ms", wakeup_cost="600us")
        for python in (kept, lost):
            python.thread("io", "cpu 1, native 0.5, cpu 1")
            python.thread("hog", "cpu 10")
            python.slices()
        assert kept.waited["io"] == [0, 0, 0]
        assert lost.waited["io"] == [0, 0, 5]
        assert lost.done[2] == (10.1 + 0.6 + 1, "io")


class TestBlame:
    def test_what_a_run_has_waited_is_shared_out_among_those_who_had_the_lock(self) -> None:
        """a has the lock until 5 and b until 9; c waits all the time, and b until 5."""
        python = Interpreter(cores=4)
        python.thread("a", "cpu 5")
        b, c = python.thread("b", "cpu 4"), python.thread("c", "cpu 1")
        for thread, class_id in zip(python.threads.values(), (0, 1, 2), strict=True):
            thread.task = Task(0, class_id, PROGRAM, [], 0.0)
        assert python.slices() == [(0, 5, "a"), (5, 9, "b"), (9, 10, "c")]
        assert b.blames == pytest.approx({(0, "step"): 5e-3})
        assert c.blames == pytest.approx({(0, "step"): 5e-3, (1, "step"): 4e-3})

    def test_a_run_that_is_interrupted_adds_its_waits_up(self) -> None:
        python = Interpreter()
        a = python.thread("a", "cpu 14")
        b = python.thread("b", "cpu 100")
        for thread, class_id in ((a, 0), (b, 1)):
            thread.task = Task(0, class_id, PROGRAM, [], 0.0)
        python.slices()
        assert python.waited["a"] == [10]
        assert a.blames == pytest.approx({(1, "step"): 10e-3})

    def test_the_last_run_of_a_request_is_blamed_on_it(self) -> None:
        """train computes from 0 to 3, and is no longer at work when the lock is dropped."""
        python = Interpreter()
        train = python.thread("train", "cpu 3")
        other = python.thread("other", "cpu 1")
        train.task, other.task = (Task(0, i, PROGRAM, [], 0.0) for i in (0, 1))
        python.clock.run_until(3e-3)
        train.task = None
        python.slices()
        assert other.blames == pytest.approx({(0, "step"): 3e-3})


class TestWhoGivesUp:
    def test_half_way_it_knows_what_it_has_waited_for_until_then(self) -> None:
        """b is woken at 0, waits for the lock until 5, a core is there all the time."""
        python = Interpreter()
        python.thread("a", "cpu 8")
        b = python.thread("b", "cpu 4")
        python.clock.run_until(3e-3)
        assert b.so_far(3e-3) == (0.0, 0.0, 3e-3)
        python.clock.run_until(7e-3)
        assert b.so_far(7e-3) == pytest.approx((0.0, 0.0, 2e-3))
