"""A reactor as a server: clients that give up, connections, and its knobs. Milliseconds."""

from __future__ import annotations

from typing import Any

import pytest
from kit import REACTOR, offload, request, run

from simsched.scenario import ReactorSpec

CORES: dict[str, Any] = {"cores": 8}
ONE = REACTOR | {"ioWorkerCount": 1}
TWO = REACTOR | {"ioWorkerCount": 2}


def elastic(inside: str, **more: Any) -> Any:
    """A blocking call on boundedElastic()."""
    return request([offload("to_thread", inside)], **more)


class TestGivingUp:
    def test_who_waits_for_an_answer_is_told_at_once(self) -> None:
        finished = run(REACTOR, request("io 50ms", timeout="10ms"), **CORES)
        assert finished.journal.let_go == [(10, "A")]

    def test_but_not_before_the_loop_comes_to_it(self) -> None:
        work = [request("io 50ms", timeout="10ms"), request("blocking 30ms", at=1)]
        assert run(ONE, *work, **CORES).journal.let_go == [(31, "A")]

    def test_who_computes_goes_on_to_its_next_wait(self) -> None:
        finished = run(REACTOR, request("cpu 30ms, io 5ms", timeout="10ms"), **CORES)
        assert finished.journal.let_go == [(30, "A")]

    def test_a_call_that_has_begun_goes_on_and_one_that_waits_does_not(self) -> None:
        spec = REACTOR | {"defaultBoundedElasticSize": 1}
        calls = [elastic("blocking 50ms", timeout="10ms"), elastic("blocking 5ms", timeout="20ms")]
        finished = run(spec, *calls, elastic("blocking 5ms", at=1), **CORES)
        assert finished.journal.let_go == [(20, "B"), (50, "A")]
        assert finished.done == {"C": 55}

    def test_a_cancelled_call_does_not_count_although_it_has_its_thread(self) -> None:
        # A's thread counts as idle from 10 on, so B is put behind A instead of on a new thread.
        calls = [elastic("blocking 50ms", timeout="10ms"), elastic("blocking 5ms", at=15)]
        assert run(REACTOR, *calls, **CORES).done == {"B": 55}


class TestConnections:
    def test_a_connection_stays_on_its_loop(self) -> None:
        # A's connection is on the second loop and B's on the first. C and D come on A's again.
        work = [request("cpu 10ms"), request("blocking 50ms", at=1)]
        work += [request("cpu 1ms", at=20), request("cpu 1ms", at=30)]
        finished = run(TWO, *work, connections={"keep_alive": True}, **CORES)
        assert finished.done == {"A": 10, "B": 51, "C": 21, "D": 31}

    def test_while_the_first_loop_is_frozen_nobody_is_accepted(self) -> None:
        fresh = {"keep_alive": False}
        # The first connection is on the second loop, the next one on the first, which accepts.
        work = [request("cpu 1ms"), request("blocking 50ms", at=1), request("cpu 1ms", at=2)]
        finished = run(TWO, *work, connections=fresh, **CORES)
        assert finished.done == {"A": 1, "B": 51, "C": 52}

    def test_who_waits_to_be_accepted_blames_the_first_loop(self) -> None:
        work = [request("io 1ms"), request("blocking 50ms", at=1), request("io 1ms", at=11)]
        record = run(TWO, *work, connections={"keep_alive": False}, **CORES).record
        assert [(b.cause, b.victim, b.culprit) for b in record.blame] == [("loop", 2, 1)]
        assert record.blame[0].seconds == pytest.approx(0.040)

    def test_who_waits_to_be_registered_blames_the_loop_that_has_not_come_to_it(self) -> None:
        # The third connection is given to the second loop, as the first one was.
        work = [request("blocking 50ms"), request("io 60ms", at=1), request("io 1ms", at=2)]
        record = run(TWO, *work, connections={"keep_alive": False}, **CORES).record
        assert [(b.cause, b.victim, b.culprit) for b in record.blame] == [("loop", 2, 0)]
        assert record.blame[0].seconds == pytest.approx(0.048)

    def test_no_more_than_16_are_accepted_at_a_look(self) -> None:
        work = [request("blocking 10ms") for _ in range(17)]
        finished = run(ONE, *work, connections={"keep_alive": False}, **CORES)
        # 16 are registered, and read at the next look, which also accepts the last one: that is
        # registered when those 16 have blocked the loop in turn.
        assert list(finished.done.values()) == [10.0 * (i + 1) for i in range(17)]


KNOBS: dict[str, Any] = {
    "ioWorkerCount": 2,
    "defaultPoolSize": 1,
    "defaultBoundedElasticSize": 3,
    "defaultBoundedElasticQueueSize": 1,
    "boundedElasticTtl": "5ms",
    "publishOn": "parallel",
    "cpu_factor": 1.3,
    "iteration": "1ms",
    "event": "1ms",
    "request": "1ms",
    "hop": "1ms",
    "thread_create": "5ms",
}


class TestKnobs:
    def rich(self, **knobs: Any) -> tuple[Any, ...]:
        """What becomes of requests that use everything there is."""
        work = [elastic("blocking 20ms") for _ in range(4)]
        work += [request([offload("to_thread", "blocking 5ms"), {"cpu": "3ms"}])]
        work += [request("sleep 2ms, cpu 5ms"), request("sleep 2ms, cpu 5ms")]
        work += [request("cpu 1ms", at=20), request("io 10ms", at=60)]
        spec = {"kind": "reactor", "ioWorkerCount": 3, "defaultBoundedElasticSize": 2, **knobs}
        finished = run(spec, *work, **CORES)
        threads = (finished.journal.threads_made, finished.journal.threads_gone)
        return finished.journal.ends, threads

    @pytest.mark.parametrize("knob", KNOBS)
    def test_every_knob_changes_something(self, knob: str) -> None:
        assert self.rich(**{knob: KNOBS[knob]}) != self.rich()

    def test_no_knob_is_left_out_of_that_list(self) -> None:
        tested_elsewhere = {"maxTaskProcessingQuantum", "auto_loops"}
        common = {"preset", "name", "memory", "processes", "listen", "kind"}
        fields = ReactorSpec.model_fields.items()
        assert {
            info.alias or name for name, info in fields
        } - common == KNOBS.keys() | tested_elsewhere
