"""gunicorn as measured and as published, beside what the model says of the same.

    python -m tests.published.wsgi

Each function simulates one experiment and returns rows: what it is, what the model predicts, what
was seen. Measured figures are of a guest with 2 virtual cores on which waking an idle core takes
about 45 us: gunicorn 27.0.1, Flask 3.1.3, one worker, clients that ask again at once.
"""

from __future__ import annotations

from functools import cache

from simsched.observe.record import COMPLETED, RunRecord

from .rows import Row, closed_loop, latencies_ms, quantile, throughput_rps

WARM = 0.1  # of the time is left out at the beginning


def cpu_us_per_request(record: RunRecord) -> float:
    """CPU time of the server, costs of the kernel included."""
    return 1e6 * record.totals["busy_core_s"] / int((record.outcome == COMPLETED).sum())


@cache
def sync_with_slow_requests() -> list[Row]:
    """One sync worker, 10 clients, 100 ms of ``time.sleep`` per request."""
    record = closed_loop({"preset": "gunicorn-sync"}, 10, [{"blocking": "100ms"}], duration="100s")
    return [
        ("gunicorn sync, 10 clients, 100 ms: requests/s", _rate(record), 9.8),
        ("gunicorn sync, 10 clients, 100 ms: p50, ms", _quantile(record, 0.5), 1017),
    ]


@cache
def gthread_with_slow_requests() -> list[Row]:
    """One gthread worker with 8 threads, 40 keep-alive clients, 100 ms of ``time.sleep``."""
    record = closed_loop(
        {"preset": "gunicorn-gthread", "threads": 8},
        40,
        [{"blocking": "100ms"}],
        connections={"keep_alive": True},
        duration="50s",
    )
    what = "gunicorn gthread, 8 threads, 40 clients, 100 ms: "
    return [
        (what + "requests/s", _rate(record), 78.6),
        (what + "p50, ms", _quantile(record, 0.5), 506),
        (what + "p99, ms", _quantile(record, 0.99), 516),
    ]


@cache
def cpu_of_hello() -> list[Row]:
    """What a request costs that does nothing, under full load."""
    hello = [{"cpu": "0s"}]
    sync = closed_loop({"preset": "gunicorn-sync"}, 10, hello, duration="2s")
    gthread = closed_loop(
        {"preset": "gunicorn-gthread", "threads": 8},
        40,
        hello,
        connections={"keep_alive": True},
        duration="2s",
    )
    return [
        ("gunicorn sync, hello: CPU us", cpu_us_per_request(sync), 358),
        ("gunicorn gthread, hello: CPU us", cpu_us_per_request(gthread), 578),
    ]


# Cal Paterson, "Async Python is not faster" (2020): a row of PostgreSQL per request, asked for by
# 100 clients through a reverse proxy. calpaterson.com/async-python-is-not-faster.html
# Of the machine it says little. Four cores, and half a millisecond of the application's own CPU
# beside the framework's, are assumptions: they are to tell which way it goes, and not how far.
PATERSON_HOST = {"cores": 4}
CONNECT = "10us"  # general knowledge: what a non-blocking connect costs a client
ROW_OF_POSTGRES = [
    {"cpu": {"dist": "gamma", "mean": "300us", "cv": 0.3}, "name": "driver"},
    {"io": {"dist": "gamma", "mean": "2ms", "cv": 0.5}, "name": "query"},
    {"cpu": {"dist": "gamma", "mean": "200us", "cv": 0.3}, "name": "render"},
]


@cache
def many_processes() -> list[Row]:
    """gunicorn sync with 14 processes and Flask: p50 28 ms, p99 42 ms."""
    record = closed_loop(
        {"preset": "gunicorn-sync", "processes": 14},
        100,
        ROW_OF_POSTGRES,
        host=PATERSON_HOST,
        duration="5s",
    )
    return [("gunicorn sync, 14 processes, 100 clients: p99 / p50", _tail(record), 42 / 28)]


@cache
def few_loops() -> list[Row]:
    """uvicorn with 5 processes and Starlette: p50 16 ms, p99 75 ms.

    The client opens its connections one after the other, as fast as it can, and keeps them; a loop
    of asyncio that is woken accepts all that are there. Who got many has long queues for ever. How
    uneven it gets depends on how fast that is: 5 us apart 93 of 100 go to one loop (p99 / p50 is
    19), 20 us apart none has more than a third (1.7).
    """
    record = closed_loop(
        {"preset": "uvicorn", "processes": 5},
        100,
        ROW_OF_POSTGRES,
        connections={"connect": "start", "connect_interval": CONNECT},
        host=PATERSON_HOST,
        duration="5s",
    )
    return [("uvicorn, 5 processes, 100 kept connections: p99 / p50", _tail(record), 75 / 16)]


def _quantile(record: RunRecord, p: float) -> float:
    return quantile(latencies_ms(record, WARM * record.duration_s), p)


def _rate(record: RunRecord) -> float:
    return throughput_rps(record, WARM * record.duration_s)


def _tail(record: RunRecord) -> float:
    return _quantile(record, 0.99) / _quantile(record, 0.5)


EXPERIMENTS = (
    sync_with_slow_requests,
    gthread_with_slow_requests,
    cpu_of_hello,
    many_processes,
    few_loops,
)


def rows() -> list[Row]:
    """All of them."""
    return [row for experiment in EXPERIMENTS for row in experiment()]


if __name__ == "__main__":
    for what, predicted, published in rows():
        print(f"{what:60} {predicted:10.4g} {published:10.4g} {predicted / published - 1:+7.1%}")
