"""What the examples of a full accept queue and of killed workers say of themselves."""

from __future__ import annotations

import numpy as np
import pytest

from .runs import example, latencies_s, records, short, value


class TestFullBacklog:
    def teeth(self, name: str) -> list[float]:
        """Shares of the requests that are answered within the first second, the second, ..."""
        latency_s = latencies_s(example("full_backlog"), name)
        seconds = latency_s.astype(int)
        return [float(np.mean(seconds == s)) for s in range(4)]

    def test_a_long_queue_delays_by_the_work_itself(self) -> None:
        long = example("full_backlog", schedulers=("backlog-2048",))
        for record in records(long, "backlog-2048"):
            # 4.6 ms of its own, 350 us of the server, and 8 us for accepting; and one wake-up.
            busy_s = len(record) * 4.958e-3
            assert record.finish_s[-1] - record.arrival_s[0] == pytest.approx(busy_s, abs=50e-6)
            assert 0.09 < record.arrival_s[-1] - record.arrival_s[0] < 0.1
        assert 0.5 < float(np.median(latencies_s(long, "backlog-2048"))) < 0.6

    def test_a_short_one_shows_as_teeth_one_second_apart(self) -> None:
        latency_s = latencies_s(example("full_backlog"), "backlog-64")
        assert float((latency_s % 1.0).max()) < 0.45
        shares = self.teeth("backlog-64")
        assert min(shares[:3]) > 0.25
        assert 0 < shares[3] < 0.05

    def test_nobody_sees_an_error_and_everybody_waits_longer(self) -> None:
        result = example("full_backlog")
        short, long = (result.schedulers[n] for n in ("backlog-64", "backlog-2048"))
        for entry in (short, long):
            assert entry["counts"]["completed"] == entry["counts"]["arrived"]
        assert value(short["latency_s"]["p50"]) > 1.9 * value(long["latency_s"]["p50"])
        assert short["activity"]["accept_queue_max"] == 65

    def test_more_workers_make_the_first_tooth_larger(self) -> None:
        shares = self.teeth("backlog-64-four")
        assert 0.55 < shares[0] < 0.7
        assert sum(shares[:2]) > 0.99
        latency_s = latencies_s(example("full_backlog"), "backlog-64-four")
        assert float(latency_s[latency_s < 1.0].max()) < 0.1

    def test_older_kernels_leave_out_a_tooth(self) -> None:
        old = example("full_backlog", "host.os.tcp_syn_linear_timeouts=0")
        seconds = set(latencies_s(old, "backlog-64").astype(int).tolist())
        assert seconds == {0, 1, 3, 7}

    def test_a_kernel_that_aborts_refuses_the_others(self) -> None:
        entry = example("full_backlog", "host.os.tcp_abort_on_overflow=true").schedulers[
            "backlog-64"
        ]
        assert entry["counts"]["failed"] > 0.5 * entry["counts"]["arrived"]


@pytest.mark.slow
class TestSyncWorkerKilled:
    brief = short("200s", 3, warmup="40s")

    def lost_s(self, name: str) -> float:
        activity = example("sync_worker_killed", *self.brief).schedulers[name]["activity"]
        return float(activity["lost_worker_s"] / activity["workers_killed"])

    def test_a_call_that_hangs_costs_the_timeout_a_look_and_a_start(self) -> None:
        # The arbiter looks every second, and a new worker takes one: between 1 and 2 s more.
        assert 31 < self.lost_s("sync-30s") < 32.1
        assert 3 < self.lost_s("sync-2s") < 4.1

    def test_who_waits_is_mostly_who_did_nothing_wrong(self) -> None:
        result = example("sync_worker_killed", *self.brief)
        pages = {name: latencies_s(result, name, "page") for name in result.schedulers}
        p99_s = {name: float(np.quantile(pages[name], 0.99)) for name in pages}
        assert p99_s["sync-30s"] > 3
        assert p99_s["gthread"] < p99_s["sync-2s"] < 0.2
        assert value(result.schedulers["sync-30s"]["utilization"]["cpu"]) < 0.04
        assert len(pages["sync-30s"]) == len(pages["gthread"])  # none of them failed

    def test_threads_are_not_killed_and_cost_less(self) -> None:
        result = example("sync_worker_killed", *self.brief)
        gthread, sync = (result.schedulers[name] for name in ("gthread", "sync-30s"))
        assert gthread["counts"]["failed"] == 0
        assert latencies_s(result, "gthread", "hangs").min() > 90
        peaks = [value(entry["memory_bytes"]["peak"]) for entry in (gthread, sync)]
        assert peaks[0] < 0.27 * peaks[1]
