"""A `parallel` step on each runtime: who runs the branches, in which order, and what it costs.

Request A has branches A1, A2, ..., numbered as they are made. All runs are under all checkers.
"""

from __future__ import annotations

from typing import Any

import pytest
from kit import (
    GO,
    LOOP,
    VIRTUAL,
    Request,
    Run,
    Spec,
    hold,
    letter,
    ms,
    parallel,
    request,
    run,
    steps_of,
    tomcat,
)

from simsched.observe.checkers import all_checkers
from simsched.observe.spans import SpanLog

Stays = dict[str, list[tuple[str, float, float]]]

CPU = {"cpu": "1ms"}
COSTS = {"create": "10us", "switch": "5us"}
VIRTUAL_21: Spec = {**VIRTUAL, "jdk": 21}
CONCURRENT = {"go": GO, "virtual threads": VIRTUAL, "asyncio": LOOP}


def watched(scheduler: Spec, *requests: Request, **options: Any) -> tuple[Run, Stays]:
    """The run, and where each request and each branch was from when to when, in milliseconds."""
    log = SpanLog()
    finished = run(scheduler, *requests, watch=[*all_checkers(), log], **options)
    stays: Stays = {}
    for span in log.spans:
        name = letter(span.request) + (str(span.branch) if span.branch else "")
        stays.setdefault(name, []).append((span.part, ms(span.start_s), ms(span.end_s)))
    return finished, stays


def stays_of(scheduler: Spec, *requests: Request, **options: Any) -> Stays:
    return watched(scheduler, *requests, **options)[1]


def done(scheduler: Spec, *requests: Request, **options: Any) -> dict[str, float]:
    return watched(scheduler, *requests, **options)[0].done


class TestOrder:
    """Three branches of 1 ms each on one core."""

    three = request([CPU, parallel("cpu 1ms", "cpu 1ms", "cpu 1ms"), CPU])

    def test_go_runs_the_last_one_first_because_it_is_in_runnext(self) -> None:
        assert stays_of(GO, self.three) == {
            "A": [("cpu", 0, 1), ("join", 1, 4), ("cpu", 4, 5)],
            "A3": [("cpu", 1, 2)],
            "A1": [("run_queue", 1, 2), ("cpu", 2, 3)],
            "A2": [("run_queue", 1, 3), ("cpu", 3, 4)],
        }

    @pytest.mark.parametrize("scheduler", [VIRTUAL, VIRTUAL_21, LOOP], ids=["25", "21", "asyncio"])
    def test_virtual_threads_and_gather_run_them_in_order(self, scheduler: Spec) -> None:
        assert stays_of(scheduler, self.three) == {
            "A": [("cpu", 0, 1), ("join", 1, 4), ("cpu", 4, 5)],
            "A1": [("cpu", 1, 2)],
            "A2": [("run_queue", 1, 2), ("cpu", 2, 3)],
            "A3": [("run_queue", 1, 3), ("cpu", 3, 4)],
        }

    def test_a_thread_does_one_after_the_other_itself(self) -> None:
        finished, stays = watched(tomcat(4), self.three, cores=4)
        assert stays == {"A": [("cpu", 0, 5)]}
        assert [name for _, name in finished.journal.steps] == [
            "A cpu 1", "A cpu 2", "A cpu 3", "A cpu 4", "A cpu 5",
        ]  # fmt: skip


class TestConcurrency:
    mixed = request([CPU, parallel("io 3ms, cpu 1ms", "cpu 2ms", "io 5ms"), CPU])

    def test_go_waits_while_it_computes(self) -> None:
        assert stays_of(GO, self.mixed) == {
            "A": [("cpu", 0, 1), ("join", 1, 6), ("cpu", 6, 7)],
            "A1": [("io", 1, 4), ("cpu", 4, 5)],
            "A2": [("cpu", 1, 3)],
            "A3": [("io", 1, 6)],
        }

    @pytest.mark.parametrize("scheduler", [VIRTUAL, LOOP], ids=["virtual threads", "asyncio"])
    def test_who_runs_them_in_order_begins_the_last_wait_late(self, scheduler: Spec) -> None:
        assert stays_of(scheduler, self.mixed) == {
            "A": [("cpu", 0, 1), ("join", 1, 8), ("cpu", 8, 9)],
            "A1": [("io", 1, 4), ("cpu", 4, 5)],
            "A2": [("cpu", 1, 3)],
            "A3": [("run_queue", 1, 3), ("io", 3, 8)],
        }

    def test_one_after_the_other_they_take_the_sum(self) -> None:
        assert done(tomcat(1), self.mixed) == {"A": 1 + 4 + 2 + 5 + 1}

    @pytest.mark.parametrize("scheduler", [GO, VIRTUAL], ids=["go", "virtual threads"])
    def test_branches_use_all_cores(self, scheduler: Spec) -> None:
        two = request([CPU, parallel("cpu 2ms", "cpu 2ms"), CPU])
        assert done(scheduler, two, cores=2) == {"A": 1 + 2 + 1}

    def test_a_loop_has_one_thread_for_all_of_them(self) -> None:
        two = request([CPU, parallel("cpu 2ms", "cpu 2ms"), CPU])
        assert done(LOOP, two, cores=2) == {"A": 1 + 2 + 2 + 1}

    @pytest.mark.parametrize("name", CONCURRENT)
    def test_branches_branch_again(self, name: str) -> None:
        """1 ms, then 2 ms beside 1 ms + (1 ms beside 2 ms of waiting) + 1 ms."""
        inner: list[dict[str, Any]] = [CPU, parallel("io 1ms", "io 2ms"), CPU]
        nested = request([CPU, parallel(inner, "cpu 2ms")])
        assert done(CONCURRENT[name], nested) == {"A": 7}

    @pytest.mark.parametrize("name", CONCURRENT)
    def test_a_parallel_step_may_come_first_and_last(self, name: str) -> None:
        assert done(CONCURRENT[name], request([parallel("io 2ms", "io 3ms")])) == {"A": 3}

    @pytest.mark.parametrize("name", CONCURRENT)
    def test_repeated_it_starts_anew_each_time(self, name: str) -> None:
        steps = [{"repeat": 3, "steps": [parallel("io 2ms", "io 3ms"), CPU]}]
        assert done(CONCURRENT[name], request(steps)) == {"A": 3 * (3 + 1)}
        assert done(tomcat(1), request(steps)) == {"A": 3 * (5 + 1)}


class TestCosts:
    three = TestOrder.three

    def test_go_pays_for_each_goroutine_before_they_begin(self) -> None:
        """5 us for each switch, 10 us for each goroutine: one for the request, three for branches.

        0.015 + 1 ms, 3 x 0.010, then 0.005 + 1 ms four times.
        """
        assert stays_of({**GO, **COSTS}, self.three) == {
            "A": [("cpu", 0, 1.045), ("join", 1.045, 4.06), ("cpu", 4.06, 5.065)],
            "A3": [("cpu", 1.045, 2.05)],
            "A1": [("run_queue", 1.045, 2.05), ("cpu", 2.05, 3.055)],
            "A2": [("run_queue", 1.045, 3.055), ("cpu", 3.055, 4.06)],
        }

    def test_so_do_virtual_threads(self) -> None:
        assert stays_of({**VIRTUAL, **COSTS}, self.three) == {
            "A": [("cpu", 0, 1.045), ("join", 1.045, 4.06), ("cpu", 4.06, 5.065)],
            "A1": [("cpu", 1.045, 2.05)],
            "A2": [("run_queue", 1.045, 2.05), ("cpu", 2.05, 3.055)],
            "A3": [("run_queue", 1.045, 3.055), ("cpu", 3.055, 4.06)],
        }

    @pytest.mark.parametrize("scheduler", [GO, VIRTUAL], ids=["go", "virtual threads"])
    def test_the_books_tell_the_cpu_of_branches_from_the_requests_own(
        self, scheduler: Spec
    ) -> None:
        record = watched({**scheduler, **COSTS}, self.three)[0].record
        assert record.branch_cpu_s.tolist() == pytest.approx([3e-3])
        assert record.totals["branch_cpu_s"] == pytest.approx(3e-3)
        assert record.totals["overhead_core_s"] == pytest.approx(65e-6)
        assert record.totals["busy_core_s"] == pytest.approx(5.065e-3)

    def test_each_branch_is_a_task_in_memory(self) -> None:
        spec = {**GO, "memory": {"task": "1KiB", "connection": "0B"}}
        record = watched(spec, self.three)[0].record
        assert record.peak["tasks"] == 4 * 1024
        assert record.peak["requests"] == 0


class TestJoin:
    def test_a_request_waits_for_what_its_slowest_branch_waits_for(self) -> None:
        """A2 waits 3 ms for the permit that A1 has, and then 1 ms for its own I/O."""
        branch = hold("use", "api", "io 3ms"), hold("use", "api", "io 1ms")
        finished, stays = watched(
            LOOP, request([parallel([branch[0]], [branch[1]])]), resources={"api": 1}
        )
        assert stays["A2"] == [("resource", 0, 3), ("io", 3, 4)]
        parts = dict(zip(("io", "resource"), finished.record.join_parts_s[0, [3, 5]], strict=True))
        assert parts == pytest.approx({"io": 1e-3, "resource": 3e-3})
        assert finished.record.join_parts_s.sum() == pytest.approx(4e-3)


class TestPermits:
    @pytest.mark.parametrize("name", CONCURRENT)
    def test_a_branch_takes_permits_of_its_own_and_the_parent_keeps_its_own(
        self, name: str
    ) -> None:
        """B wants the connection that A holds all along; A's branches share one place."""
        inner = hold("use", "api", "io 2ms")
        holding = hold("use", "db", [CPU, parallel([inner], [inner])])
        finished, stays = watched(
            CONCURRENT[name],
            request([holding]),
            request([hold("use", "db", "io 1ms")], at=0.5),
            resources={"db": 1, "api": 1},
        )
        assert finished.done == {"A": 1 + 2 + 2, "B": 5 + 1}
        assert ("resource", 1, 5) in stays["B"]
        first, second = sorted((stays["A1"], stays["A2"]))
        assert first == [("io", 1, 3)]
        assert second == [("resource", 1, 3), ("io", 3, 5)]


class TestCancellation:
    """A's client gives up at 3 ms. A1 waits for I/O, A2 for A1's permit, A3 computes until 5 ms."""

    waiting = hold("use", "api", "io 20ms")
    given_up = request([CPU, parallel([waiting], [waiting], "cpu 4ms, io 9ms"), CPU], timeout="3ms")

    @pytest.mark.parametrize("name", CONCURRENT)
    def test_all_branches_are_told_and_the_parent_waits_for_them(self, name: str) -> None:
        first = ["A3", "A1", "A2"] if name == "go" else ["A1", "A2", "A3"]
        finished, stays = watched(
            CONCURRENT[name],
            self.given_up,
            request([self.waiting], at=8),
            cores=2,
            resources={"api": 1},
        )
        assert finished.outcomes == {"A": "timed_out", "B": "completed"}
        assert finished.journal.let_go == [(5, "A")]
        assert finished.done == {"B": 28}
        assert set(stays) == {"A", *first, "B"}

    def test_one_that_computes_goes_on_to_its_next_wait(self) -> None:
        """4 ms of branches of which the last 2 ms are for nobody."""
        record = watched(GO, self.given_up, resources={"api": 1})[0].record
        assert record.totals["branch_cpu_s"] == pytest.approx(4e-3)
        assert record.totals["late_cpu_s"] == 0

    def test_branches_of_branches_are_told_too(self) -> None:
        inner = parallel("io 20ms", "io 30ms")
        nested = request([parallel([inner, CPU], "io 25ms"), CPU], timeout="3ms")
        for scheduler in CONCURRENT.values():
            finished, _ = watched(scheduler, nested)
            assert finished.journal.let_go == [(3, "A")]

    def test_a_cancelled_request_starts_no_branches(self) -> None:
        late = request([{"cpu": "5ms"}, parallel("cpu 1ms", "cpu 1ms")], timeout="3ms")
        for scheduler in CONCURRENT.values():
            finished, stays = watched(scheduler, late)
            assert finished.journal.let_go == [(5, "A")]
            assert list(stays) == ["A"]

    def test_a_thread_notices_between_two_branches(self) -> None:
        late = request([parallel("io 5ms", "io 5ms")], timeout="3ms")
        assert watched(tomcat(1), late)[0].journal.let_go == [(5, "A")]


class TestGo:
    def test_a_system_call_in_a_branch_takes_its_m_along(self) -> None:
        """Two calls of 5 ms on one P: the second waits until sysmon hands the P on."""
        calls = request([parallel("blocking file 5ms", "blocking file 5ms"), CPU])
        finished = watched(GO, calls)[0]
        assert 5 + 1 < finished.done["A"] < 5 + 1 + 0.1
        assert len(finished.journal.threads_made) >= 2

    def test_a_process_that_dies_takes_the_branches_with_it(self) -> None:
        calls = request([parallel("blocking file 5ms", "blocking file 5ms"), CPU])
        finished = watched({**GO, "maxThreads": 1}, calls)[0]
        assert finished.outcomes == {"A": "failed"}

    @pytest.mark.parametrize("most", [1, 2, 3])
    def test_so_it_does_if_it_dies_while_it_makes_them(self, most: int) -> None:
        branches = request([parallel("cpu 5ms", "cpu 5ms", "cpu 5ms")])
        finished = watched({**GO, "GOMAXPROCS": 4, "maxThreads": most}, branches, cores=4)[0]
        assert finished.outcomes == {"A": "failed"}

    def test_branches_beyond_the_ring_spill_into_the_global_queue(self) -> None:
        """64 branches of each of 5 requests, all of 1 us: nobody is lost."""
        many = [request([parallel(*["cpu 1us"] * 64)]) for _ in range(5)]
        finished = watched(GO, *many)[0]
        assert set(finished.outcomes.values()) == {"completed"}


class TestVirtualThreads:
    beside = (
        request([CPU, parallel("cpu 1ms", "cpu 1ms")]),
        request("cpu 1ms", at=0.5),
    )

    def test_started_threads_queue_behind_those_that_came_from_outside(self) -> None:
        """A's carrier goes on with the queue it took A from, where B waits."""
        assert done(VIRTUAL, *self.beside) == {"B": 2, "A": 4}

    def test_in_jdk_21_they_are_in_the_carriers_own_queue(self) -> None:
        assert done(VIRTUAL_21, *self.beside) == {"A": 3, "B": 4}

    @pytest.mark.parametrize(("kind", "end"), [("socket", 5), ("native", 10)])
    def test_a_blocking_call_in_a_branch_unmounts_or_pins(self, kind: str, end: float) -> None:
        calls = request([parallel(f"blocking {kind} 5ms", f"blocking {kind} 5ms")])
        assert done(VIRTUAL, calls) == {"A": end}

    @pytest.mark.parametrize(("jdk", "pinned_s"), [(21, 4e-3), (24, None)])
    def test_joining_inside_a_monitor_pins_until_jdk_24(
        self, jdk: int, pinned_s: float | None
    ) -> None:
        inside = [CPU, parallel("io 4ms", "io 2ms"), CPU]
        locked = request([hold("lock", "m", inside, kind="synchronized")])
        finished = watched({**VIRTUAL, "jdk": jdk}, locked, cores=2)[0]
        assert finished.done == {"A": 1 + 4 + 1}
        assert finished.activity.get("pinned_s") == pytest.approx(pinned_s)

    def test_an_owner_that_is_pinned_is_interrupted_as_well(self) -> None:
        inside = [CPU, parallel("io 40ms", "io 20ms"), CPU]
        locked = request([hold("lock", "m", inside, kind="synchronized")], timeout="3ms")
        finished = watched(VIRTUAL_21, locked, cores=2)[0]
        assert finished.journal.let_go == [(3, "A")]


def test_steps_of_branches_have_names_of_their_own() -> None:
    steps = [CPU, parallel(steps_of("cpu 1ms"), "io 1ms"), CPU]
    journal = watched(GO, request(steps))[0].journal
    assert [name for _, name in journal.steps] == [
        "A cpu 1", "A cpu 2", "A io", "A parallel", "A cpu 3",
    ]  # fmt: skip
