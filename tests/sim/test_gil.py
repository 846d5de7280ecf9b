"""CPython's interpreter lock, worked out on paper. Times are milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import FREE_OS, Journal, ms, request, run
from published.gil_tables import Guest
from published.rows import WITHIN

from simsched.scenario import Host as HostSpec
from simsched.sim.clients import Clients
from simsched.sim.clock import IO_DONE, Clock, Process
from simsched.sim.gil import Gil
from simsched.sim.gil_thread import GilThread
from simsched.sim.host import Host
from simsched.sim.machine import Machine
from simsched.sim.observer import Observers
from simsched.sim.task import Task
from simsched.workload.program import CPU, Op, Program

PROGRAM = Program("test", (Op(CPU, slot=0, name="step"),), ())


class Interpreter:
    """One process, whose threads follow plans: "cpu 3, wait 1, native 2"."""

    def __init__(self, cores: int = 2, interval: float = 5.0, **os: Any) -> None:
        self.journal = Journal()
        self.clock = Clock()
        free = {**FREE_OS, "time_slice": "1000s"}
        spec = HostSpec.model_validate({"cores": cores, "os": {**free, **os}})
        self.host = Host(self.clock, spec, Observers([self.journal]))
        observers = self.host.observers
        machine = Machine(self.clock, self.host, observers, {}, Clients.__new__(Clients), 1, 0)
        self.gil = Gil(machine, interval / 1e3)
        self.gil.slack_s = self.gil.jitter = self.gil.quick = 0.0
        self.threads: dict[str, GilThread] = {}
        self.done: list[tuple[float, str]] = []  # ends of cpu and native parts
        self.waited: dict[str, list[float]] = {}  # for the lock, by thread and part
        self.blames: dict[str, float] = {}

    def thread(self, name: str, plan: str, at: float = 0.0) -> GilThread:
        thread = self.threads[name] = GilThread(self.host, name, self.gil)
        self.waited[name] = []
        self.clock.process(self._life(thread, len(self.threads), plan, at))
        return thread

    def _life(self, thread: GilThread, rank: int, plan: str, at: float) -> Process:
        clock = self.clock
        yield clock.event_at(at / 1e3, IO_DONE | rank)
        for part in plan.split(", "):
            what, length = part.split()
            length_s = float(length) / 1e3
            if what == "wait":
                thread.sleep()
                yield clock.event_at(clock.now + length_s, IO_DONE | rank)
                continue
            run = thread.run if what == "cpu" else thread.run_native
            since_s = clock.now
            wait = run(length_s, rank)
            if wait is not None:
                yield wait
            self.done.append((ms(clock.now), thread.name))
            self.waited[thread.name].append(ms(thread.gil_s))
            spent_s = thread.cost_s + thread.waited_s + thread.gil_s + length_s
            assert spent_s == pytest.approx(clock.now - since_s, abs=1e-12)
        thread.sleep()

    def slices(self) -> list[tuple[float, float, str]]:
        """Run to the end; then who was on a core from when to when."""
        self.clock.run_until(1000.0)
        assert self.gil.holder is None
        assert not self.gil.waiters
        assert self.gil.n_waiting == 0
        return sorted((start, end, name) for start, end, _, name in self.journal.slices)


class TestTwoThatCompute:
    def test_they_take_turns_of_one_interval_however_many_cores_there_are(self) -> None:
        python = Interpreter(cores=4)
        python.thread("a", "cpu 12")
        python.thread("b", "cpu 12")
        assert python.slices() == [
            (0, 5, "a"),
            (5, 10, "b"),
            (10, 15, "a"),
            (15, 20, "b"),
            (20, 22, "a"),
            (22, 24, "b"),
        ]
        assert python.waited == {"a": [10], "b": [12]}

    def test_the_interval_is_what_it_is_set_to(self) -> None:
        python = Interpreter(interval=1)
        python.thread("a", "cpu 2")
        python.thread("b", "cpu 2")
        assert python.slices() == [(0, 1, "a"), (1, 2, "b"), (2, 3, "a"), (3, 4, "b")]

    def test_who_computes_alone_is_never_interrupted(self) -> None:
        python = Interpreter()
        python.thread("a", "cpu 100, cpu 50")
        assert python.slices() == [(0, 150, "a")]

    def test_a_waiter_has_to_wake_up_to_ask(self) -> None:
        """Both have a core at 1, and a is first. At 6 the time of b runs out, at 7 it asks.

        a drops the lock at once, and b is woken up for it, which takes until 8. At 10 b signals a,
        which has the lock again at 11, with 3 left to do.
        """
        python = Interpreter(wakeup_latency="1ms")
        python.thread("a", "cpu 9")
        python.thread("b", "cpu 2")
        python.slices()
        assert python.done == [(10, "b"), (14, "a")]

    def test_or_it_has_not_fallen_asleep_again_when_the_lock_is_dropped(self) -> None:
        """b has it at 7. a waits from then on, and has it at 10, a millisecond after b's end."""
        python = Interpreter(wakeup_latency="1ms")
        python.gil.quick = 1.0
        python.thread("a", "cpu 9")
        python.thread("b", "cpu 2")
        python.slices()
        assert python.done == [(9, "b"), (13, "a")]


class TestForcedSwitch:
    def test_the_dropper_waits_until_another_has_the_lock(self) -> None:
        """At 7, b asks and a drops the lock. b wakes up on another core, which takes until 8.

        All that time the lock is free, and a does not take it, although it has a core.
        """
        python = Interpreter(cores=3, wakeup_latency="1ms")
        python.thread("a", "cpu 9")
        python.thread("b", "cpu 2")
        python.slices()
        assert python.done == [(10, "b"), (14, "a")]

    def test_the_clock_starts_again_if_a_third_one_got_the_lock(self) -> None:
        """At 5, b asks, and so is the last in the queue; c is signalled. a waits from 5 on.

        At 6, c signals b, which waits since 5. So at 10, when the time of a runs out, the lock has
        gone to another thread: a does not ask before 15.
        """
        python = Interpreter(cores=4)
        python.thread("a", "cpu 6")
        python.thread("b", "cpu 30")
        python.thread("c", "cpu 1", at=4)
        assert python.slices() == [
            (0, 5, "a"),
            (5, 6, "c"),
            (6, 15, "b"),
            (15, 16, "a"),
            (16, 37, "b"),
        ]


class TestBlockingCalls:
    def test_the_lock_is_free_during_a_blocking_call(self) -> None:
        python = Interpreter()
        python.thread("a", "cpu 1, wait 3, cpu 1")
        python.thread("b", "cpu 2")
        assert python.slices() == [(0, 1, "a"), (1, 3, "b"), (4, 5, "a")]

    def test_it_comes_back_to_a_lock_that_is_taken(self) -> None:
        """The convoy: each of its calls costs a thread one interval."""
        python = Interpreter()
        python.thread("io", "cpu 1, wait 1, cpu 1, wait 1, cpu 1")
        python.thread("hog", "cpu 100")
        python.slices()
        assert python.waited["io"] == [0, 5, 5]

    def test_a_call_that_returns_before_the_waiter_is_awake_costs_nothing(self) -> None:
        """hog is signalled at 2, and would have a core at 3; by then the lock is taken again."""
        python = Interpreter(wakeup_latency="1ms")
        python.thread("io", "cpu 1, native 0.5, cpu 1")
        python.thread("hog", "cpu 10")
        python.slices()
        assert python.waited["io"] == [0, 0, 0]
        assert python.done[:3] == [(2, "io"), (2.5, "io"), (3.5, "io")]

    def test_native_code_runs_beside_python_code(self) -> None:
        """a is back at 11, has to wait for b, which ends at 13, and has the lock until 14."""
        python = Interpreter()
        python.thread("a", "cpu 1, native 10, cpu 1")
        python.thread("b", "cpu 12")
        assert python.slices() == [(0, 11, "a"), (1, 13, "b"), (13, 14, "a")]
        assert python.waited == {"a": [0, 0, 2], "b": [1]}


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


class TestWithFewerCoresThanThreads:
    def test_a_waiter_needs_a_core_to_ask(self) -> None:
        """One core: b gets it as soon as a timeout wakes it, asks, and a drops the lock."""
        python = Interpreter(cores=1)
        python.thread("a", "cpu 8")
        python.thread("b", "cpu 1")
        python.slices()
        assert [name for _, name in python.done] == ["b", "a"]
        assert python.done[-1] == (9, "a")


class TestOracles:
    @pytest.mark.parametrize(("interval", "measured"), [(5, 6.83), (1, 2.27)])
    def test_o12_an_echo_of_1_ms_takes_an_interval_more_beside_a_busy_thread(
        self, interval: int, measured: float
    ) -> None:
        """Measured: 6.83 and 2.27 ms, of which scheduling noise is a part."""
        echo = Guest(1, interval / 1e3, 1e-3).echo(5.0)
        assert echo.p50_s * 1e3 == pytest.approx(measured, rel=WITHIN)
        assert interval + 1 < echo.p50_s * 1e3 < interval + 2

    def test_o12_there_are_110_to_160_echoes_a_second(self) -> None:
        """Measured, one run and another. None is faster than its interval and its answer."""
        rate = Guest(1, 5e-3, 1e-3).echo(5.0).rate
        assert 110 * (1 - WITHIN) < rate < 160 * (1 + WITHIN)
        assert rate < 1 / 6e-3

    @pytest.mark.xfail(
        strict=True,
        reason="485 predicted, 355 measured: a guest often gives a woken thread its core 2 to 4 ms "
        "late, which is not modelled",
    )
    def test_o12_there_are_355_echoes_a_second_with_an_interval_of_1_ms(self) -> None:
        measured = 355
        assert Guest(1, 1e-3, 1e-3).echo(5.0).rate == pytest.approx(measured, rel=WITHIN)

    @pytest.mark.parametrize("k", [1, 2, 4, 8])
    def test_o13_busy_threads_run_at_the_speed_of_one_core(self, k: int) -> None:
        assert speed(k) == pytest.approx(1)

    @pytest.mark.parametrize("factor", [1.05, 1.4])
    @pytest.mark.parametrize("k", [1, 2, 3, 4, 6, 8])
    def test_o13_without_the_lock_at_that_of_all_cores_less_what_the_code_is_slower(
        self, k: int, factor: float
    ) -> None:
        assert speed(k, gil=False, cpu_factor=factor) == pytest.approx(min(k, 4) / factor)


def speed(k: int, **knobs: Any) -> float:
    """Seconds of computing done in a second on 4 cores, by as many Python threads as said.

    Each has 120 ms to compute, in time slices of 1 ms, so that they are all done together.
    """
    python = {"kind": "thread_pool", "policy": "python", "max_workers": k, **knobs}
    free = {"thread_create": "0s", "dispatch": "0s"}
    requests = [request("cpu 120ms") for _ in range(k)]
    finished = run({**python, **free}, *requests, cores=4, os={"time_slice": "1ms"})
    return k * 120 / max(finished.done.values())


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
