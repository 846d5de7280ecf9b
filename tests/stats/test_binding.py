"""The sentence that names what binds, and the words that numbers get."""

from __future__ import annotations

import numpy as np
import pytest

from simsched.observe.record import PARTS, PinnedRow, RunRecord
from simsched.scenario import Host
from simsched.stats.binding import binding
from simsched.stats.quota import Quota, quota_of
from simsched.stats.wording import duration, number, percent, size

from .queues import BINS, lindley_start, record_from


def record(
    *,
    cores: float = 0.0,
    workers: float = 0.0,
    limit: int | None = None,
    times: dict[str, float] | None = None,
    **resources: tuple[int, float, float],
) -> RunRecord:
    """A record without requests: busy cores, busy workers, and (capacity, use, wait) each."""
    made = record_from(np.empty(0), np.empty(0), np.empty(0), 10.0)
    made.series["busy_cores"] = np.full(BINS, cores)
    made.series["busy_workers"] = np.full(BINS, workers)
    made.worker_limit = limit
    made.worker_time_s = times or {}
    made.waits = {
        name.replace("lock_", "lock:").replace("pool_", "pool:"): {
            "capacity": capacity,
            "utilization": use,
            "wait_s_mean": wait,
            "acquisitions": 100,
        }
        for name, (capacity, use, wait) in resources.items()
    }
    return made


def test_threads_that_are_all_taken_by_io_bind() -> None:
    times = {"io": 93.0, "cpu": 7.0, "idle": 50.0}
    made = record(cores=0.8, workers=198.0, limit=200, times=times)
    assert binding([made], "thread_pool", 4, 0.0) == (
        "198 of 200 threads are taken on average (99 %), 93 % of that waiting on io"
    )


def test_the_resource_that_threads_wait_for_binds_rather_than_the_threads() -> None:
    made = record(
        workers=199.0, limit=200, times={"resource": 90.0, "io": 10.0}, db=(20, 0.99, 0.812)
    )
    assert binding([made], "thread_pool", 4, 0.0) == (
        "db: 19.8 of 20 are taken on average (99 %), and requests wait 812 ms for one"
    )


def test_the_cores_that_threads_wait_for_bind_rather_than_the_threads() -> None:
    made = record(cores=3.9, workers=200.0, limit=200, times={"run_queue": 90.0, "cpu": 10.0})
    assert binding([made], "thread_pool", 4, 0.0) == (
        "the cores are busy 98 % of the time (3.9 of 4)"
    )


def test_fewer_ps_than_cores_bind() -> None:
    made = record(cores=1.9, workers=1.95, limit=2, times={"cpu": 1.0})
    assert binding([made], "goroutine", 8, 0.0) == "1.95 of 2 Ps are taken on average (98 %)"


def test_carriers_that_are_pinned_are_counted() -> None:
    made = record(cores=0.1, workers=3.7, limit=4, times={"cpu": 1.0})
    made.pinned = [PinnedRow(0, "query", 30.0), PinnedRow(1, "read", 6.0)]  # in 10 s
    assert binding([made], "virtual_thread", 4, 0.0) == (
        "3.7 of 4 carriers are taken on average (93 %), 3.6 of them pinned (90 % of their time)"
    )
    assert binding([made], "virtual_thread", 4, 0.0, names=("order", "export")).endswith(
        "3.6 of them pinned (90 % of their time), most by order in query"
    )
    made.pinned = [PinnedRow(0, "query", 0.3)]
    assert binding([made], "virtual_thread", 4, 0.0) == (
        "3.7 of 4 carriers are taken on average (93 %)"
    )


def test_ps_in_system_calls_are_counted() -> None:
    made = record(cores=0.5, workers=1.9, limit=2, times={"cpu": 1.0})
    made.pinned = [PinnedRow(0, "read", 5.0)]
    assert binding([made], "goroutine", 2, 0.0) == (
        "1.9 of 2 Ps are taken on average (95 %), 0.5 of them in system calls (25 % of their time)"
    )


def test_spare_carriers_may_be_pinned_beyond_the_number_of_carriers() -> None:
    made = record(cores=0.1, workers=20.5, limit=4, times={"cpu": 1.0})
    made.pinned = [PinnedRow(0, "read", 200.0)]
    assert "20 of them pinned" in binding([made], "virtual_thread", 4, 0.0)
    assert "of their time" not in binding([made], "virtual_thread", 4, 0.0)


def test_a_loop_is_one_core_at_most_so_the_loop_is_named() -> None:
    made = record(cores=0.61, workers=0.91, limit=1, times={"blocking": 3.0, "cpu": 1.0})
    assert binding([made], "event_loop", 8, 0.0) == (
        "the loop is busy 91 % of the time, 75 % of that in blocking calls"
    )


def test_one_loop_on_one_core_is_named_rather_than_the_core() -> None:
    made = record(cores=0.97, workers=0.98, limit=1, times={"cpu": 1.0})
    assert binding([made], "event_loop", 1, 0.0) == "the loop is busy 98 % of the time"


def test_several_loops_are_counted() -> None:
    made = record(cores=3.0, workers=3.2, limit=4, times={"cpu": 1.0})
    assert binding([made], "event_loop", 8, 0.0) == (
        "the loops are busy 80 % of the time (3.2 of 4)"
    )


def test_more_loops_than_cores_wait_for_the_cores() -> None:
    made = record(cores=1.98, workers=7.9, limit=8, times={"run_queue": 3.0, "cpu": 1.0})
    assert (
        binding([made], "event_loop", 2, 0.0) == "the cores are busy 99 % of the time (1.98 of 2)"
    )


def test_threads_of_an_executor_are_called_that() -> None:
    busy = record(workers=0.02, limit=1, pool_anyio=(40, 0.94, 0.139))
    assert binding([busy], "event_loop", 2, 0.0) == (
        "37.6 of 40 threads of anyio are taken on average (94 %), and requests wait 139 ms for one"
    )
    enough = record(workers=0.02, limit=1, pool_anyio=(80, 0.47, 0.0))
    assert binding([enough], "event_loop", 2, 0.0) == (
        "nothing is short: 37.6 of 80 threads of anyio are taken on average (47 %), and requests "
        "never wait for one"
    )


def test_threads_of_gunicorn_are_threads() -> None:
    made = record(workers=15.0, limit=16, times={"gil": 90.0, "cpu": 10.0})
    assert binding([made], "gthread", 2, 0.0) == (
        "15 of 16 threads are taken on average (94 %), 90 % of that waiting for the interpreter "
        "lock"
    )


def test_much_waiting_is_told_of_though_nothing_is_short() -> None:
    """Each request is served for 0.5 s; two of five seconds, the lock is what it waits for."""
    arrival, service = np.arange(0.0, 1000.0, 10.0), np.full(100, 0.5)
    made = record_from(arrival, arrival + 0.5, service, 1000.0)
    made.parts_s[:] = 0.0
    made.parts_s[:, PARTS.index("gil")] = 0.4
    made.parts_s[:, PARTS.index("io")] = 0.6
    assert binding([made], "thread_pool", 1, 0.0).endswith(
        "; yet 40 % of the requests' time is waiting for the interpreter lock"
    )
    made.parts_s[:, PARTS.index("gil")] = 0.1
    assert "yet" not in binding([made], "thread_pool", 1, 0.0)


def test_loops_that_never_rest_are_so_only_all_together() -> None:
    """A burst of 200 requests every 100 s on two loops: busy half the time, or one of them is."""
    arrival = np.repeat(np.arange(0.0, 1000.0, 100.0), 100) + np.tile(np.arange(100) * 0.01, 10)
    service = np.full(1000, 0.5)
    made = record_from(arrival, lindley_start(arrival, service), service, 1000.0, drain_s=100.0)
    made.worker_limit = 1
    assert binding([made], "event_loop", 8, 0.0) == (
        "short in bursts: the loop never rests 50 % of the time"
    )
    made.worker_limit = 2
    assert not binding([made], "event_loop", 8, 0.0).startswith("short in bursts")
    made.series["busy_workers"] *= 2
    assert binding([made], "event_loop", 8, 0.0) == (
        "short in bursts: none of the 2 loops rests 50 % of the time"
    )


def test_a_lock_is_called_a_lock() -> None:
    made = record(cores=0.5, workers=1.0, limit=4, lock_cache=(1, 0.97, 0.012))
    assert binding([made], "virtual_thread", 4, 0.0) == (
        "the lock cache is held 97 % of the time: requests wait 12 ms for it"
    )


def test_nothing_is_short_on_an_idle_machine() -> None:
    made = record(cores=0.92, workers=10.0, limit=200)
    assert binding([made], "thread_pool", 4, 0.0) == (
        "nothing is short: the cores are busy 23 % of the time (0.92 of 4)"
    )


def test_what_is_short_in_bursts_only_is_told_where_requests_mostly_wait() -> None:
    """Ten bursts of 100 requests on one server: busy half the time, and a queue in every burst."""
    arrival = np.repeat(np.arange(0.0, 1000.0, 100.0), 100) + np.tile(np.arange(100) * 0.01, 10)
    service = np.full(1000, 0.5)
    made = record_from(arrival, lindley_start(arrival, service), service, 1000.0, drain_s=100.0)
    assert binding([made], "goroutine", 1, 0.0) == (
        "short in bursts: the cores are all busy 50 % of the time"
    )
    calm = np.arange(0.0, 1000.0, 1.0)
    made = record_from(calm, calm, service, 1000.0)
    assert binding([made], "goroutine", 1, 0.0).startswith("nothing is short")


def test_the_only_worker_is_not_all_one_workers() -> None:
    arrival = np.repeat(np.arange(0.0, 1000.0, 100.0), 100) + np.tile(np.arange(100) * 0.01, 10)
    service = np.full(1000, 0.5)
    made = record_from(arrival, lindley_start(arrival, service), service, 1000.0, drain_s=100.0)
    made.worker_limit = 1
    assert binding([made], "sync_workers", 8, 0.0) == (
        "short in bursts: the only worker is taken 50 % of the time"
    )


def test_only_the_measured_window_counts() -> None:
    made = record(workers=1.0, limit=200)
    made.series["busy_cores"] = np.where(np.arange(BINS) < BINS / 2, 0.0, 0.9)
    assert binding([made], "thread_pool", 1, 5.0) == "the core is busy 90 % of the time"


def test_means_are_over_replications() -> None:
    made = [record(cores=0.8), record(cores=1.0)]
    assert binding(made, "goroutine", 1, 0.0) == "the core is busy 90 % of the time"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234.5, "1234"), (12.34, "12.3"), (0.01234, "0.0123"), (5.0, "5"), (99.96, "100")],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_units_suit_the_size() -> None:
    assert [duration(x) for x in (90.0, 1.5, 0.812, 4e-5, 0.0)] == [
        "90 s",
        "1.5 s",
        "812 ms",
        "40 us",
        "0 s",
    ]
    assert [percent(x) for x in (0.126, 0.012, 1e-6, 0.0)] == [
        "13 %",
        "1.2 %",
        "under 0.01 %",
        "0 %",
    ]
    assert [size(x) for x in (512, 1536, 5 * 2**30)] == ["512 B", "1.5 KiB", "5 GiB"]


class TestQuota:
    """A container with a CPU quota: what matters is the quota, not the cores."""

    quota = Quota(2.0, 0.1)

    def test_one_that_is_used_up_binds_rather_than_the_threads_that_wait_for_it(self) -> None:
        made = record(cores=2.0, workers=16.0, limit=16, times={"run_queue": 90.0, "cpu": 10.0})
        made.activity["throttled_periods"] = 95.0  # of 100 in 10 s
        assert binding([made], "thread_pool", 16, 0.0, self.quota) == (
            "the quota of 2 cores is used to 100 %: threads are stopped in 95 % of its periods of "
            "100 ms"
        )

    def test_of_several_classes_the_one_that_takes_most_of_the_time_is_named(self) -> None:
        """10 requests of 1 s and 5 of 6 s: 30 of the 40 seconds of CPU are reports'."""
        arrival, service = np.arange(15.0), np.array([1.0] * 10 + [6.0] * 5)
        made = record_from(arrival, arrival, service, 100.0)
        made.class_id = np.array([0] * 10 + [1] * 5, np.int32)
        made.series["busy_cores"] = np.full(BINS, 2.0)
        made.activity["throttled_periods"] = 950.0
        sentence = binding([made], "thread_pool", 16, 0.0, self.quota, ("search", "report"))
        assert sentence.endswith("periods of 100 ms; 75 % of the CPU time is report's")
        alone = binding([made], "thread_pool", 16, 0.0, self.quota, ("search",))
        assert alone.endswith("periods of 100 ms")

    def test_one_loop_may_be_what_binds_within_it(self) -> None:
        made = record(cores=1.0, workers=1.0, limit=1)
        sentence = binding([made], "event_loop", 16, 0.0, self.quota)
        assert sentence == "the loop is busy 100 % of the time"

    def test_a_loop_that_is_stopped_is_not_what_binds(self) -> None:
        made = record(cores=0.5, workers=0.99, limit=1)
        made.activity["throttled_periods"] = 99.0
        assert binding([made], "event_loop", 16, 0.0, Quota(0.5, 0.1)) == (
            "the quota of 0.5 cores is used to 100 %: threads are stopped in 99 % of its periods "
            "of 100 ms"
        )

    @pytest.mark.parametrize(("cores", "quota"), [(4, None), (4, 4.0), (4, 9.0)])
    def test_without_one_that_can_bind_there_is_none(self, cores: int, quota: float | None) -> None:
        assert quota_of(Host(cores=cores, cpu_quota=quota)) is None
