"""Virtual cores: who runs when, while the hypervisor takes cores away; to be checked on paper.

All times are milliseconds.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import numpy as np
import pytest
from kit import jdk, ms, replicate, scenario_of, spec_of

from simsched.calibration import loads_calibration
from simsched.scenario import Host as HostSpec
from simsched.scenario import Scenario, ScenarioError, loads_scenario
from simsched.scenario.offered import offered_load
from simsched.sim.bandwidth import QuotaHost
from simsched.sim.eevdf import EevdfHost
from simsched.sim.engine import simulate
from simsched.sim.smt import SmtHost
from simsched.sim.steal import StealHost, turns
from simsched.stats.assumptions import assumptions_hold
from simsched.stats.summary import summarise
from simsched.workload import draw
from simsched.workload.streams import stream

from .machines import Bench

Absences = list[tuple[float, float]]
ROUND_ROBIN: dict[str, Any] = {"time_slice": "1000s", "wakeup_preemption": False}


def guest(*absences: Absences, host: dict[str, Any] | None = None, **os: Any) -> Bench:
    """A host with a core for each list; the core is away from ... to ..., again and again."""
    made = Bench(len(absences), {"steal": 0.5, "steal_slice": "1000000s", **(host or {})}, **os)
    assert isinstance(made.host, StealHost)
    made.clock.heap.clear()  # what was drawn
    made.host.begin([((a / 1e3, b / 1e3) for a, b in core) for core in absences])
    return made


def test_a_burst_stands_still_while_its_core_is_away() -> None:
    bench = guest([(3, 5), (6, 10)])
    bench.thread("A", 6)
    assert bench.slices() == [(0, 3, "A"), (5, 6, "A"), (10, 12, "A")]
    assert bench.waited["A"] == 6
    assert ms(bench.counts["stolen_s"]) == 6


def test_what_nobody_wants_is_not_stolen() -> None:
    """/proc/stat counts a core as stolen while it has something to run: here 1 ms of 10."""
    bench = guest([(2, 12)])
    bench.thread("A", 1, at=11)
    assert bench.slices() == [(12, 13, "A")]
    assert ms(bench.counts["stolen_s"]) == 1


def test_a_thread_waits_for_the_core_it_was_woken_on_though_another_one_idles() -> None:
    bench = guest([(2, 9)], [])
    bench.thread("A", 1, 3, 1)
    assert bench.slices() == [(0, 1, "A"), (9, 10, "A")]


def test_a_core_that_has_a_thread_is_not_idle_and_others_go_elsewhere() -> None:
    bench = guest([(2, 9)], [])
    bench.thread("A", 4)
    bench.thread("B", 1, at=3)
    assert sorted(bench.slices()) == [(0, 2, "A"), (3, 4, "B"), (9, 11, "A")]


def test_runnable_threads_without_a_core_go_to_those_that_are_there() -> None:
    bench = guest([(2, 20)], [], **ROUND_ROBIN)
    for name in "ABC":
        bench.thread(name, 4)
    assert sorted(bench.slices()) == [(0, 2, "A"), (0, 4, "B"), (4, 8, "C"), (20, 22, "A")]


def test_what_ends_when_its_core_leaves_has_ended() -> None:
    """Its owner goes on at once, and finds that the core is away."""
    bench = guest([(4, 9)])
    bench.thread("A", 4, 0, 1)
    assert bench.slices() == [(0, 4, "A"), (9, 10, "A")]
    assert bench.done == [(4, "A"), (10, "A")]


def test_a_switch_that_has_begun_is_brought_to_its_end() -> None:
    bench = guest([(1, 9)], switch_cost="2ms")
    bench.thread("A", 4)
    assert bench.slices() == [(0, 2, "A"), (9, 13, "A")]
    assert bench.cost["A"] == 2  # paid once: nobody else was on its core meanwhile


def test_an_absence_within_a_switch_is_not_noticed() -> None:
    bench = guest([(0.5, 1.5)], switch_cost="2ms")
    bench.thread("A", 4)
    assert bench.slices() == [(0, 6, "A")]


def test_a_slice_goes_on_where_it_was() -> None:
    """Of a slice of 4 ms, 3 are used before the core leaves, and the fourth when it is back."""
    bench = guest([(3, 10)], time_slice="4ms", hz=0, wakeup_preemption=False)
    bench.thread("A", 6)
    bench.thread("B", 6)
    assert bench.slices(16) == [(0, 3, "A"), (10, 11, "A"), (11, 15, "B")]


def test_a_wake_up_takes_its_time_when_the_core_is_back() -> None:
    bench = guest([(0, 5)], wakeup_latency="1ms")
    bench.thread("A", 2, at=3)
    assert bench.slices() == [(6, 8, "A")]


def test_a_core_that_is_away_uses_no_quota() -> None:
    """30 ms per period of 100: gone after 10 + 20 ms, though 50 have passed."""
    bench = guest([(10, 30)], host={"cpu_quota": 0.3}, **ROUND_ROBIN)
    bench.thread("A", 40)
    assert bench.slices() == [(0, 10, "A"), (30, 50, "A"), (100, 110, "A")]


def test_a_period_that_begins_while_the_core_is_away_finds_nobody() -> None:
    bench = guest([(90, 120)], host={"cpu_quota": 0.3}, **ROUND_ROBIN)
    bench.thread("A", 40)
    assert bench.slices() == [(0, 30, "A"), (120, 130, "A")]
    assert ms(bench.counts["stolen_s"]) == 20  # from the beginning of the period on


def test_who_takes_a_hyper_thread_slows_the_other_one_down() -> None:
    """Full speed for 4 ms, then half of it for 6, until the core is back and idle."""
    smt = {"threads_per_core": 2, "sibling_speed": 0.5}
    bench = guest([], [(4, 10)], host=smt)
    bench.thread("A", 10)
    assert bench.slices() == [(0, 13, "A")]


class TestTurns:
    """When the cores are away."""

    def test_they_come_in_order_and_do_not_overlap(self) -> None:
        found = [t for turn in islice(turns(stream(1, 0, "a"), 0.3, 3e-3), 500) for t in turn]
        assert found == sorted(found)

    @pytest.mark.parametrize(("share", "mean_s"), [(0.05, 2e-3), (0.4, 10e-3)])
    def test_share_and_length_are_as_asked(self, share: float, mean_s: float) -> None:
        n = 20_000
        found = np.array(list(islice(turns(stream(1, 0, "a"), share, mean_s), n)))
        lengths = found[:, 1] - found[:, 0]
        # Exponential: of n lengths the mean has a standard deviation of mean / sqrt(n).
        assert abs(lengths.mean() / mean_s - 1) < 4 / n**0.5
        # The time between is as random, so the share has twice the variance at most.
        seen = lengths.sum() / found[-1, 1]
        assert abs(seen / share - 1) < 4 * (2 / n) ** 0.5

    def test_a_core_may_be_away_from_the_beginning(self) -> None:
        n = 2000
        away = sum(next(turns(stream(1, i, "a"), 0.3, 3e-3))[0] == 0.0 for i in range(n))
        assert abs(away / n - 0.3) < 4 * (0.3 * 0.7 / n) ** 0.5


UNTOLD = """
scenario = { name = "guest", duration = "1s" }
host = { cores = 2 }
[workload]
arrivals = { kind = "poisson", rate = "100/s" }
[[workload.requests]]
name = "a"
steps = [{ cpu = "1ms" }]
[[schedulers]]
preset = "go"
"""


def loaded(steal: float, rate: int = 600, **more: Any) -> Scenario:
    """Two cores on which so many requests a second compute for a millisecond each."""
    return scenario_of(
        [{"name": "a", "steps": [{"cpu": "1ms"}]}],
        jdk(50),
        arrivals={"kind": "poisson", "rate": f"{rate}/s"},
        duration="5s",
        cores=2,
        host={"steal": steal, "steal_slice": "4ms", **more},
    )


class TestRuns:
    """Whole runs, under all checkers."""

    def test_what_is_stolen_is_told_by_core_and_in_all(self) -> None:
        (record,) = replicate(loaded(0.2), 1)
        assert len(record.stolen_s) == 2
        assert sum(record.stolen_s) == pytest.approx(record.activity["stolen_s"])
        # A core is away for a fifth of the time, give or take, and wanted in some of that.
        assert all(0 < stolen_s < 0.3 * record.duration_s for stolen_s in record.stolen_s)

    def test_every_scheduler_meets_the_same_absences(self) -> None:
        one, other = (
            simulate(scenario, spec_of(scenario), draw(scenario, 0))
            for scenario in (loaded(0.2, 600), loaded(0.2, 200))
        )
        assert one.series["away_cores"].tolist() == other.series["away_cores"].tolist()

    def test_another_seed_has_others(self) -> None:
        first, second = replicate(loaded(0.2), 2)
        assert first.series["away_cores"].tolist() != second.series["away_cores"].tolist()

    def test_the_tail_is_longer_than_that_of_a_slower_clock(self) -> None:
        """A core that is away for a tenth of the time is not one that is a tenth slower."""
        stolen, slow = loaded(0.1), scenario_of(
            [{"name": "a", "steps": [{"cpu": "1.111ms"}]}],
            jdk(50),
            arrivals={"kind": "poisson", "rate": "600/s"},
            duration="5s",
            cores=2,
        )  # fmt: skip
        tails = []
        for scenario in (stolen, slow):
            (record,) = replicate(scenario, 1)
            tails.append(float(np.quantile(record.finish_s - record.arrival_s, 0.99)))
        assert tails[0] > 2 * tails[1]

    def test_without_theft_nothing_is_there_to_tell(self) -> None:
        (record,) = replicate(loaded(0.0), 1)
        assert record.stolen_s == []
        assert "away_cores" not in record.series
        assert "stolen_s" not in record.activity


class TestJudgement:
    """What there is to have is what the hypervisor leaves."""

    def test_busy_cores_are_compared_with_those_that_are_there(self) -> None:
        """2200 ms of work a second on two cores of which half is taken: all that is left."""
        scenario = loaded(0.5, 2200)
        entry = summarise(replicate(scenario, 2), scenario, spec_of(scenario))
        # The first request takes a moment to come.
        assert 0.999 < entry["utilization"]["cpu"]["value"] <= 1 + 1e-9
        assert entry["verdict"] == "OVERLOADED"
        assert entry["binding"].startswith("the cores are busy 100 % of the time that is left")
        assert len(entry["stolen_by_core_s"]) == 2

    def test_an_overload_is_more_than_what_is_left(self) -> None:
        offered = offered_load(loaded(0.5, 1200))
        assert offered.cpu_utilization == pytest.approx(1.2)
        assert offered.warnings == (
            "host: offered 1.2 cores of work, 1 available: it cannot keep up",
        )

    @pytest.mark.parametrize(
        ("host", "capacity"),
        [
            ({"steal": 0.25}, 3.0),
            ({"steal": 0.25, "cpu_quota": 2.0}, 2.0),
            ({"steal": 0.5, "cpu_quota": 3.0}, 2.0),
            # Both threads of a physical core are busy, or somebody else is.
            ({"steal": 0.25, "threads_per_core": 2, "sibling_speed": 0.6}, 4 * 0.75 * 0.6),
        ],
    )
    def test_capacity(self, host: dict[str, Any], capacity: float) -> None:
        assert HostSpec.model_validate({"cores": 4, **host}).capacity_cores == pytest.approx(
            capacity
        )

    def test_no_runtime_counts_fewer_cores(self) -> None:
        """A guest sees the virtual cores that it has been given."""
        assert HostSpec(cores=4, steal=0.5).quota_processors == 4

    def test_it_is_a_constant_of_a_machine_that_a_calibration_may_tell(self) -> None:
        text = 'schema = "simsched.calibration/1"\nname = "vm"\n[host]\nsteal = 0.05\n'
        told = loads_calibration(text + '[host.steal_slice]\nvalue = "2ms"\nhow = "by hand"\n')
        scenario = loads_scenario(UNTOLD, calibration=told)
        assert (scenario.host.steal, scenario.host.steal_slice_s) == (0.05, 2e-3)

    def test_there_is_no_closed_form(self) -> None:
        scenario = loaded(0.1)
        assert not assumptions_hold(scenario, spec_of(scenario))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("steal = 1.0", "a number >= 0 and <= 0.99, got 1.0"),
        ("steal = -0.1", "a number >= 0 and <= 0.99"),
        ('steal = "10%"', "a number >= 0 and <= 0.99"),
        ('steal_slice = "0s"', "a value above zero"),
        ("steel = 0.1", 'did you mean "steal"?'),
    ],
)
def test_bad_values_are_errors(line: str, expected: str) -> None:
    text = loaded(0.0).to_toml().replace("[host]", f"[host]\n{line}", 1)
    text = text.replace('steal_slice = "4ms"\n', "").replace("steal = 0.0\n", "")
    with pytest.raises(ScenarioError, match=re.escape(expected)):
        loads_scenario(text)


class TestKinds:
    def test_all_traits_of_a_host_can_be_had_together(self) -> None:
        host = {"steal": 0.1, "threads_per_core": 2, "cpu_quota": 1.5}
        bench = Bench(2, host, scheduler="eevdf")
        assert {QuotaHost, SmtHost, StealHost, EevdfHost} < set(type(bench.host).__mro__)
