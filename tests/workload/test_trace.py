"""A trace is the same whenever it is drawn, and each draw stays with its request."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from simsched.scenario import Scenario, ScenarioError
from simsched.workload import RequestTrace, draw, is_deterministic

from .scenarios import exponential, request_class, scenario

TAIL = 3.4e-6

GET = request_class("get", {"cpu": exponential("1ms")}, {"io": exponential("20ms")}, weight=3)
PUT = request_class("put", {"cpu": {"dist": "gamma", "mean": "2ms", "cv": 0.5}})
SCAN = request_class("scan", {"cpu": exponential("50ms")}, weight=2)


def trace(made: Scenario, replication: int = 0) -> RequestTrace:
    drawn = draw(made, replication)
    assert isinstance(drawn, RequestTrace)
    return drawn


def arrays(drawn: RequestTrace) -> list[bytes]:
    counted = [drawn.arrival_s.tobytes(), drawn.class_id.tobytes(), drawn.row.tobytes()]
    return counted + [matrix.tobytes() for matrix in drawn.demands]


class TestShape:
    DRAWN = trace(scenario(GET, PUT))

    def test_each_request_has_an_arrival_a_class_and_a_row_of_its_class(self) -> None:
        drawn = self.DRAWN
        assert len(drawn) == len(drawn.arrival_s) == len(drawn.class_id) == len(drawn.row)
        for c, program in enumerate(drawn.programs):
            mine = drawn.class_id == c
            assert drawn.demands[c].shape == (mine.sum(), program.slots)
            assert drawn.row[mine].tolist() == list(range(mine.sum()))

    def test_the_demand_row_has_one_number_per_slot_of_the_class(self) -> None:
        drawn = self.DRAWN
        for i in range(len(drawn)):
            c = drawn.class_id_of(i)
            row = drawn.demand_row(i)
            assert row == drawn.demands[c][drawn.row[i]].tolist()
            assert len(row) == drawn.programs[c].slots
            assert drawn.offered_s(i) == sum(row)

    def test_the_demand_row_is_the_callers_own(self) -> None:
        before = self.DRAWN.demand_row(0)
        self.DRAWN.demand_row(0)[0] = 1e9
        assert self.DRAWN.demand_row(0) == before

    def test_plain_python_numbers_come_out(self) -> None:
        """Numpy scalars would slow down every addition of the engine."""
        assert type(self.DRAWN.class_id_of(0)) is int
        assert {type(x) for x in self.DRAWN.demand_row(0)} == {float}

    def test_nobody_thinks_in_an_open_workload(self) -> None:
        assert self.DRAWN.think_s(0) == 0.0


class TestSameDraws:
    def test_drawing_twice_gives_identical_bytes(self) -> None:
        made = scenario(GET, PUT)
        assert arrays(trace(made)) == arrays(trace(made))

    def test_replications_do_not_depend_on_the_order_they_are_drawn_in(self) -> None:
        made = scenario(GET, PUT)
        forwards = {r: arrays(trace(made, r)) for r in (0, 1, 2)}
        backwards = {r: arrays(trace(made, r)) for r in (2, 1, 0)}
        assert forwards == backwards
        assert len({parts[0] for parts in forwards.values()}) == 3

    def test_a_trace_sent_to_another_process_is_the_same(self) -> None:
        drawn = trace(scenario(GET, PUT))
        copy = pickle.loads(pickle.dumps(drawn))
        assert arrays(copy) == arrays(drawn)
        assert copy.demand_row(5) == drawn.demand_row(5)
        assert copy.retry_jitter(5, 1) == drawn.retry_jitter(5, 1)

    def test_a_longer_run_begins_with_the_shorter_runs_requests(self) -> None:
        short, long = trace(scenario(GET, PUT)), trace(scenario(GET, PUT, duration="20s"))
        n = len(short)
        assert n < len(long)
        assert np.array_equal(long.arrival_s[:n], short.arrival_s)
        assert np.array_equal(long.class_id[:n], short.class_id)
        assert all(long.demand_row(i) == short.demand_row(i) for i in range(n))

    def test_a_higher_rate_brings_the_same_requests_sooner(self) -> None:
        slow = trace(scenario(GET, PUT))
        fast = trace(scenario(GET, PUT, arrivals={"kind": "poisson", "rate": "200/s"}))
        n = len(slow)
        assert np.allclose(fast.arrival_s[:n], slow.arrival_s / 2, rtol=1e-14)
        assert all(fast.demand_row(i) == slow.demand_row(i) for i in range(n))


class TestWhatDoesNotMove:
    def test_adding_a_class_changes_no_draw_of_the_others_at_the_same_index(self) -> None:
        two, three = trace(scenario(GET, PUT)), trace(scenario(GET, PUT, SCAN))
        assert np.array_equal(two.arrival_s, three.arrival_s)
        both = np.flatnonzero(two.class_id == three.class_id)
        assert len(both) > len(two) / 4
        assert all(two.demand_row(i) == three.demand_row(i) for i in both.tolist())

    def test_a_class_keeps_its_draws_wherever_it_stands_in_the_file(self) -> None:
        """At an index where the same class comes up, whatever was written before it."""
        before = trace(scenario(GET, PUT))
        after = trace(scenario({**SCAN, "weight": 1}, GET, PUT))
        same = [
            i
            for i in range(len(before))
            if before.programs[before.class_id_of(i)].name
            == after.programs[after.class_id_of(i)].name
        ]
        assert len(same) > len(before) / 4
        assert all(before.demand_row(i) == after.demand_row(i) for i in same)

    def test_classes_and_slots_have_numbers_of_their_own(self) -> None:
        """Two classes that ask for the same must not get the same at the same index."""
        twin = {**GET, "name": "twin"}
        mostly_get = trace(scenario(GET, {**twin, "weight": 1}))
        mostly_twin = trace(scenario({**GET, "weight": 1}, twin))
        other = np.flatnonzero(mostly_get.class_id != mostly_twin.class_id).tolist()
        assert len(other) > len(mostly_get) / 4
        for i in other:
            get, put = mostly_get.demand_row(i), mostly_twin.demand_row(i)
            assert len({get[0], get[1] / 20, put[0], put[1] / 20}) == 4

    def test_adding_a_step_at_the_end_changes_no_earlier_step(self) -> None:
        longer = request_class("get", *GET["steps"], {"cpu": exponential("3ms")}, weight=3)
        before, after = trace(scenario(GET, PUT)), trace(scenario(longer, PUT))
        assert np.array_equal(after.demands[0][:, :2], before.demands[0])
        assert np.array_equal(after.demands[1], before.demands[1])

    def test_a_longer_mean_is_the_same_draw_scaled(self) -> None:
        slower = request_class(
            "get", {"cpu": exponential("2ms")}, {"io": exponential("20ms")}, weight=3
        )
        before, after = trace(scenario(GET, PUT)), trace(scenario(slower, PUT))
        assert np.array_equal(after.demands[0], before.demands[0] * [2, 1])

    def test_wrapping_steps_in_a_resource_changes_no_draw(self) -> None:
        wrapped = request_class("get", {"use": "db", "steps": GET["steps"]}, weight=3)
        before = trace(scenario(GET, PUT, resources=["db"]))
        after = trace(scenario(wrapped, PUT, resources=["db"]))
        assert arrays(before) == arrays(after)


class TestClasses:
    def test_classes_come_by_weight(self) -> None:
        drawn = trace(scenario(GET, PUT, SCAN, duration="1000s"))
        counts = np.bincount(drawn.class_id, minlength=3)
        expected = len(drawn) * np.array([3, 1, 2]) / 6
        statistic = ((counts - expected) ** 2 / expected).sum()
        assert stats.chi2.ppf(TAIL, 2) < statistic < stats.chi2.isf(TAIL, 2)

    def test_the_class_of_a_request_tells_nothing_of_the_next(self) -> None:
        drawn = trace(scenario(PUT, {**PUT, "name": "other"}, duration="1000s"))
        x = drawn.class_id.astype(float)
        correlation = np.corrcoef(x[:-1], x[1:])[0, 1]
        assert abs(correlation) < 4.5 / np.sqrt(len(x) - 1)

    def test_a_class_that_never_comes_has_an_empty_matrix(self) -> None:
        rare = {**SCAN, "weight": 1e-9}
        drawn = trace(scenario(GET, rare))
        assert drawn.demands[1].shape == (0, 1)


class TestRetryJitter:
    def test_it_is_uniform_from_minus_one_to_one(self) -> None:
        drawn = trace(scenario(GET))
        n = 20_000
        values = np.array([drawn.retry_jitter(i, 1) for i in range(n)])
        assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > 2 * TAIL

    def test_it_belongs_to_request_and_attempt_not_to_the_order_of_questions(self) -> None:
        keys = [(i, attempt) for i in (0, 5, 4095, 4096, 9000) for attempt in (1, 2, 3)]
        first, second = trace(scenario(GET)), trace(scenario(GET))
        forwards = {key: first.retry_jitter(*key) for key in keys}
        backwards = {key: second.retry_jitter(*key) for key in reversed(keys)}
        assert forwards == backwards
        assert len(set(forwards.values())) == len(keys)


class TestDeterministic:
    """Replications that are copies of each other must be known as such."""

    EVEN: ClassVar = {"kind": "constant", "rate": "100/s"}
    FIXED: ClassVar = request_class("get", {"cpu": "1ms"}, {"io": "20ms"})

    def is_so(self, *classes: dict[str, Any], arrivals: dict[str, Any]) -> bool:
        made = scenario(*classes, arrivals=arrivals)
        known = is_deterministic(made)
        if arrivals["kind"] != "closed" and "retries" not in classes[0]:
            assert known == (arrays(trace(made, 0)) == arrays(trace(made, 1)))
        return known

    def test_even_arrivals_of_constant_demands_are(self) -> None:
        assert self.is_so(self.FIXED, arrivals=self.EVEN)

    def test_anything_drawn_makes_it_random(self) -> None:
        assert not self.is_so(self.FIXED, arrivals={"kind": "poisson", "rate": "100/s"})
        assert not self.is_so(GET, arrivals=self.EVEN)
        assert not self.is_so(self.FIXED, {**self.FIXED, "name": "b"}, arrivals=self.EVEN)
        jitter = {"max": 1, "backoff": "1ms", "jitter": 0.1}
        assert not self.is_so({**self.FIXED, "retries": jitter}, arrivals=self.EVEN)

    def test_users_who_think_for_a_constant_time_are(self) -> None:
        closed = {"kind": "closed", "users": 5}
        assert self.is_so(self.FIXED, arrivals={**closed, "think": "1s"})
        assert not self.is_so(self.FIXED, arrivals={**closed, "think": exponential("1s")})


class TestRefusals:
    def test_too_many_requests_are_a_problem_of_the_arrivals(self) -> None:
        made = scenario(GET, arrivals={"kind": "poisson", "rate": "10/us"})
        with pytest.raises(ScenarioError, match=r"workload\.arrivals: .*100,000,000"):
            draw(made, 0)

    def test_a_bad_file_of_samples_is_a_problem_of_its_step(self) -> None:
        bad = request_class("bad", {"cpu": "1ms"}, {"io": {"dist": "empirical", "file": "no.txt"}})
        with pytest.raises(ScenarioError, match=r"requests\[1\]\.steps\[1\]\.io: .*no\.txt"):
            draw(scenario(GET, bad), 0)


MEAN = st.sampled_from(["1us", "1ms", "2s"])
DEMAND = st.one_of(
    MEAN,
    st.builds(lambda m: {"dist": "exponential", "mean": m}, MEAN),
    st.builds(
        lambda kind, m, cv: {"dist": kind, "mean": m, "cv": cv},
        st.sampled_from(["lognormal", "gamma"]),
        MEAN,
        st.floats(0.01, 20),
    ),
    st.builds(
        lambda m, cv: {"dist": "hyperexponential", "mean": m, "cv": cv}, MEAN, st.floats(1.01, 50)
    ),
    st.builds(
        lambda kind, m, shape: {"dist": kind, "mean": m, "shape": shape},
        st.sampled_from(["weibull", "pareto"]),
        MEAN,
        st.floats(1.01, 30),
    ),
)
LEAF = st.builds(
    lambda key, demand: {key: demand}, st.sampled_from(["cpu", "io", "sleep", "blocking"]), DEMAND
)
HELD = st.builds(
    lambda steps: {"use": "db", "steps": steps}, st.lists(LEAF, min_size=1, max_size=2)
)
STEPS = st.lists(st.one_of(LEAF, HELD), min_size=1, max_size=4)
RATE = st.sampled_from(["0/s", "3/s", "500/s"])
ARRIVALS = st.one_of(
    st.sampled_from(["poisson", "constant"]).map(lambda kind: {"kind": kind, "rate": "70/s"}),
    st.builds(lambda a: {"kind": "ramp", "from": a, "to": "90/s"}, RATE),
    st.builds(lambda a: {"kind": "ramp", "from": "90/s", "to": a}, RATE),
    st.builds(
        lambda a: {
            "kind": "steps",
            "steps": [{"at": "0s", "rate": a}, {"at": "1s", "rate": "50/s"}],
        },
        RATE,
    ),
    st.builds(
        lambda a: {
            "kind": "bursty",
            "rate_low": a,
            "rate_high": "500/s",
            "mean_low": "500ms",
            "mean_high": "100ms",
        },
        RATE,
    ),
)


@given(
    arrivals=ARRIVALS,
    classes=st.lists(st.tuples(STEPS, st.floats(0.1, 10)), min_size=1, max_size=3),
    seed=st.integers(0, 2**63 - 1),
    replication=st.integers(0, 9_999),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_workload_is_sorted_finite_not_negative_and_repeatable(
    arrivals: dict[str, Any],
    classes: list[tuple[list[Any], float]],
    seed: int,
    replication: int,
) -> None:
    made = scenario(
        *(request_class(f"c{k}", *steps, weight=w) for k, (steps, w) in enumerate(classes)),
        arrivals=arrivals,
        duration="2s",
        seed=seed,
        resources=["db"],
    )
    drawn = trace(made, replication)
    assert arrays(drawn) == arrays(trace(made, replication))
    assert (np.diff(drawn.arrival_s) >= 0).all()
    assert ((drawn.arrival_s >= 0) & (drawn.arrival_s < 2)).all()
    assert ((drawn.class_id >= 0) & (drawn.class_id < len(classes))).all()
    assert sum(len(matrix) for matrix in drawn.demands) == len(drawn)
    for matrix in drawn.demands:
        assert np.isfinite(matrix).all()
        assert (matrix >= 0).all()
