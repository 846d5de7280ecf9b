"""CPython's interpreter lock: who has it when, worked out on paper. Times are milliseconds."""

from __future__ import annotations

from .interpreter import Interpreter


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


class TestWithFewerCoresThanThreads:
    def test_a_waiter_needs_a_core_to_ask(self) -> None:
        """One core: b gets it as soon as a timeout wakes it, asks, and a drops the lock."""
        python = Interpreter(cores=1)
        python.thread("a", "cpu 8")
        python.thread("b", "cpu 1")
        python.slices()
        assert [name for _, name in python.done] == ["b", "a"]
        assert python.done[-1] == (9, "a")
