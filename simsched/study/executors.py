"""Running units: in this process, in worker processes, or wherever a given executor takes them."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager
from typing import TYPE_CHECKING

from simsched.study.units import Unit, forget_trace, simulate_unit

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord

    Sink = Callable[[Unit, RunRecord], None]
    Futures = dict[Future[RunRecord], Unit]

log = logging.getLogger("simsched")

MAX_JOBS = 1024
STOP_S = 10.0
"""How long a worker may take to end when it is told to."""

THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""One process per core leaves no core for the threads of numerical libraries."""


def run_here(units: Sequence[Unit], sink: Sink) -> None:
    """Run the units one after the other in this process.

    Args:
        units: what to run.
        sink: called with each unit and its record.
    """
    try:
        for unit in units:
            sink(unit, simulate_unit(unit))
    finally:
        forget_trace()


def run_on(executor: Executor, units: Sequence[Unit], sink: Sink) -> None:
    """Run the units on an executor; `sink` gets the records as they come, in no certain order.

    A unit whose worker died without a word (killed for its memory, say) is tried once more, in
    this process. Where a unit fails, or this is interrupted, units that have not started are
    cancelled.
    """
    futures: Futures = {}
    try:
        _drive(executor, units, sink, futures)
    finally:
        for future in futures:
            future.cancel()


def _drive(executor: Executor, units: Sequence[Unit], sink: Sink, futures: Futures) -> None:
    """Submit and collect; what is still in `futures` when this raises is not finished."""
    lost: list[Unit] = []
    for i, unit in enumerate(units):
        try:
            futures[executor.submit(simulate_unit, unit)] = unit
        except BrokenExecutor:
            lost += units[i:]
            break
    while futures:
        done, _ = wait(futures, return_when=FIRST_COMPLETED)
        for future in sorted(done, key=lambda future: futures[future].order):
            unit = futures.pop(future)  # lets go of the record, which may be big
            try:
                record = future.result()
            except BrokenExecutor:
                lost.append(unit)
            else:
                sink(unit, record)
    if lost:
        text = "a worker process died; the simulations it leaves (%d) are run in this process"
        log.warning(text, len(lost))
        run_here(sorted(lost, key=lambda unit: unit.order), sink)


def run_in_processes(units: Sequence[Unit], jobs: int, sink: Sink) -> None:
    """Run the units in worker processes of this machine.

    Args:
        units: what to run.
        jobs: number of processes.
        sink: called with each unit and its record, as they come.
    """
    with worker_pool(min(jobs, len(units))) as pool:
        _drive(pool, units, sink, {})


@contextmanager
def worker_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Worker processes that leave Ctrl-C to this one and do not outlive it.

    Where the block raises, they are stopped at once.
    """
    pool = ProcessPoolExecutor(max_workers=jobs, mp_context=_context(), initializer=_start_worker)
    try:
        with _single_threaded_children():
            yield pool
    except BaseException:
        # Nobody wants what they are busy with. What has not started ends with them: cancelling it,
        # too, would upset the pool's own bookkeeping. Nor is the pool waited for: it may be in the
        # middle of handing work to a process that is gone.
        _stop_workers(pool)
        pool.shutdown(wait=False)
        raise
    pool.shutdown()


def available_cores() -> int:
    """Cores that this process may use: its affinity, and the CPU quota of its container."""
    if sys.platform == "linux":
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    quota = _container_quota()
    return max(1, min(cores, round(quota) if quota is not None else cores))


def _container_quota(path: str = "/sys/fs/cgroup/cpu.max") -> float | None:
    """Cores that cgroup v2 grants, from "quota period" in microseconds; None without a limit."""
    try:
        with open(path, encoding="ascii") as file:
            quota, period = file.read().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _context() -> multiprocessing.context.BaseContext:
    """How workers start: never by a bare fork, which copies the locks of running threads."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    # The server imports numpy and SimPy once, and every worker is a copy of it.
    context.set_forkserver_preload(["__main__", "simsched.study.units"])
    return context


@contextmanager
def _single_threaded_children() -> Iterator[None]:
    """Processes started inside inherit limits of one thread per numerical library.

    A worker cannot set them for itself: they are read when numpy is first imported.
    """
    unset = [name for name in THREAD_LIMITS if name not in os.environ]
    os.environ.update(dict.fromkeys(unset, "1"))
    try:
        yield
    finally:
        for name in unset:
            os.environ.pop(name, None)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and do not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def _stop_workers(pool: ProcessPoolExecutor) -> None:
    # What ProcessPoolExecutor.terminate_workers of Python 3.14 does.
    processes = list((getattr(pool, "_processes", None) or {}).values())
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(STOP_S)
