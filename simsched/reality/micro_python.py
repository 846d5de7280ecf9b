"""What single operations cost on Python's runtimes: one JSON line per cost, in microseconds.

Run as a script, with the standard library only (and uvloop, if it is here).
"""

from __future__ import annotations

import asyncio
import importlib
import os
import queue
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
busy: Any = importlib.import_module("busy")
spin: Callable[[int], int] = busy.spin

PREFIX = f"py{sys.version_info.major}.{sys.version_info.minor}"
SLEEPS_MS = (0.5, 2.0, 13.7, 50.0)
now = time.monotonic_ns


def tell(test: str, values: Sequence[float], clock: str = "wall") -> None:
    """One measured cost: percentiles in microseconds, of CPU time if the clock is "cpu"."""
    ranked, last = sorted(values), len(values) - 1
    marks = {f"p{q}": round(ranked[q * last // 100], 4) for q in (5, 50, 95)}
    busy.tell(test=f"{PREFIX}_{test}", unit="us", clock=clock, **marks, n=len(values))


def sleeps(wait_ms: float) -> int:
    """How many sleeps to time: half a second of them, within reason."""
    return int(max(10, min(400, 500 / wait_ms)))


async def per_operation(
    test: str, ops: int, batch: Callable[[int], Awaitable[None]], batches: int = 40
) -> None:
    """The CPU time of one operation of a batch of `ops`; a few batches first to warm up."""
    values = []
    for b in range(-4, batches):
        begin = time.process_time_ns()
        await batch(ops)
        if b >= 0:
            values.append((time.process_time_ns() - begin) / 1000 / ops)
    tell(test, values, "cpu")


async def loop_costs(name: str) -> None:
    """Tasks, switches, timers and wake-ups of an event loop."""
    loop = asyncio.get_running_loop()

    async def nothing() -> None: ...

    async def bulk(ops: int) -> None:
        await asyncio.gather(*[loop.create_task(nothing()) for _ in range(ops)])

    async def untied(ops: int) -> None:
        tasks = [loop.create_task(nothing()) for _ in range(ops)]
        await tasks[-1]

    async def switches(ops: int) -> None:
        async def yields() -> None:
            for _ in range(ops // 2):
                await asyncio.sleep(0)

        await asyncio.gather(yields(), yields())

    async def napping(ops: int) -> None:
        await asyncio.gather(*[loop.create_task(asyncio.sleep(0.002)) for _ in range(ops)])

    await per_operation(f"{name}_task_create_run_gather", 1000, bulk)
    await yielding(name)
    await hops(name)
    await creations(name, loop)
    await per_operation(f"{name}_task_create_run_nogather", 1000, untied)
    await per_operation(f"{name}_sleep0_switch", 4000, switches)
    await cpu_per_operation(f"{name}_task_with_sleep_cpu_each", 2000, napping)
    for wait_ms in SLEEPS_MS:
        late = []
        for _ in range(sleeps(wait_ms)):
            begin = now()
            await asyncio.sleep(wait_ms / 1000)
            late.append((now() - begin) / 1000 - wait_ms * 1000)
        tell(f"{name}_sleep_overshoot_{wait_ms:g}ms_idle", late)

    async def wakes(ops: int) -> None:
        for _ in range(ops):
            await asyncio.sleep(0.003)

    await cpu_per_operation(f"{name}_cpu_per_idle_wake_sleep3ms", 20, wakes)


async def yielding(name: str) -> None:
    """A turn of the loop for one task, and for one of many tasks."""

    async def yields(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0)

    async def many(ops: int) -> None:
        await asyncio.gather(*[yields(ops // 1000) for _ in range(1000)])

    await per_operation(f"{name}_sleep0_alone", 2000, yields)
    await per_operation(f"{name}_sleep0_of_many", 20_000, many, batches=10)


async def hops(name: str) -> None:
    """Calls of an executor: CPU time of the loop's thread, and of the executor's, per call."""
    loop, ops = asyncio.get_running_loop(), 200
    of_loop, of_executor = [], []
    with ThreadPoolExecutor(1) as pool:
        for b in range(-2, 20):
            begin, begin_all = time.thread_time_ns(), time.process_time_ns()
            await asyncio.gather(*[loop.run_in_executor(pool, int) for _ in range(ops)])
            spent, spent_all = time.thread_time_ns() - begin, time.process_time_ns() - begin_all
            if b >= 0:
                of_loop.append(spent / 1000 / ops)
                of_executor.append((spent_all - spent) / 1000 / ops)
    tell(f"{name}_hop_loop", of_loop, "cpu")
    tell(f"{name}_hop_executor", of_executor, "cpu")


async def creations(name: str, loop: asyncio.AbstractEventLoop) -> None:
    """The call of create_task alone."""

    async def nothing() -> None: ...

    values = []
    for _ in range(40):
        begin = now()
        tasks = [loop.create_task(nothing()) for _ in range(1000)]
        values.append((now() - begin) / 1000 / 1000)
        await asyncio.gather(*tasks)
    tell(f"{name}_task_create", values)


async def cpu_per_operation(
    test: str, ops: int, batch: Callable[[int], Awaitable[None]], batches: int = 12
) -> None:
    """The CPU time of the process per operation."""
    values = []
    for _ in range(batches):
        begin = time.process_time_ns()
        await batch(ops)
        values.append((time.process_time_ns() - begin) / 1000 / ops)
    tell(test, values, "cpu")


def thread_costs() -> None:
    """Threads: creation, hand-over through a pool and a queue, timers."""
    created = []
    for _ in range(300):
        begin = time.process_time_ns()
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        created.append((time.process_time_ns() - begin) / 1000)
    tell("thread_create_join", created, "cpu")
    with ThreadPoolExecutor(2) as pool:
        rounds = []
        for _ in range(2000):
            begin = now()
            pool.submit(int).result()
            rounds.append((now() - begin) / 1000)
        tell("tpe_submit_result_roundtrip", rounds)
        bulk = []
        for _ in range(30):
            begin = time.process_time_ns()
            for future in [pool.submit(int) for _ in range(1000)]:
                future.result()
            bulk.append((time.process_time_ns() - begin) / 1000 / 1000)
        tell("tpe_submit_run_bulk_per_task", bulk, "cpu")
    tell("lock_handoff_one_way", hand_offs(3000))
    tell("time_sleep_2ms_overshoot_idle", overshoots(2.0, 200))


def hand_offs(count: int) -> list[float]:
    """Half of a round trip between two threads through two queues."""
    there: queue.SimpleQueue[int] = queue.SimpleQueue()
    back: queue.SimpleQueue[int] = queue.SimpleQueue()

    def echo() -> None:
        for _ in range(count):
            back.put(there.get())

    other, found = threading.Thread(target=echo), []
    other.start()
    for _ in range(count):
        begin = now()
        there.put(0)
        back.get()
        found.append((now() - begin) / 2000)
    other.join()
    return found


def overshoots(wait_ms: float, count: int) -> list[float]:
    """How much later than asked for a sleep ends."""
    late = []
    for _ in range(count):
        begin = now()
        time.sleep(wait_ms / 1000)
        late.append((now() - begin) / 1000 - wait_ms * 1000)
    return late


def interpreter_lock_costs() -> None:
    """How long a thread waits for the interpreter lock beside computing threads."""
    for count in (1, 2, 4):
        stop = threading.Event()

        def compute(stop: threading.Event = stop) -> None:
            while not stop.is_set():
                spin(5000)

        hogs = [threading.Thread(target=compute, daemon=True) for _ in range(count)]
        for hog in hogs:
            hog.start()
        tell(f"gil_sleep2ms_overshoot_with_{count}_cpu_threads", overshoots(2.0, 60))
        stop.set()
        for hog in hogs:
            hog.join()
    tell("gil_run_length_2_cpu_threads", run_lengths(1.5))


def run_lengths(seconds: float) -> list[float]:
    """The stretches for which one of two computing threads runs undisturbed."""
    end, last, found = now() + int(seconds * 1e9), [-1], []

    def compute(who: int) -> None:
        begin = latest = now()
        while latest < end:
            spin(200)
            if last[0] != who:  # the other ran since `latest`
                if last[0] >= 0:
                    found.append((latest - begin) / 1000)
                last[0], begin = who, now()
            latest = now()

    both = [threading.Thread(target=compute, args=(who,)) for who in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    return found or [seconds * 1e6]


PARTS = ("asyncio", "uvloop", "threads", "lock")


def main(parts: Sequence[str]) -> None:
    """The costs of these parts, or all."""
    if "asyncio" in parts:
        asyncio.run(loop_costs("asyncio"))
    if "uvloop" in parts:
        try:
            import uvloop
        except ImportError:
            pass
        else:
            uvloop.run(loop_costs("uvloop"))
    if "threads" in parts:
        thread_costs()
    if "lock" in parts:
        interpreter_lock_costs()


if __name__ == "__main__":
    main(sys.argv[1:] or PARTS)
