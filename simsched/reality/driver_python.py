"""Serves a known trace on a Python runtime, and notes when each request got how far.

Run as a script, with the standard library only (and uvloop, if asked for), so that the process is
as small as a server of its kind. Talks to whoever started it: standard input is the pipe of the
injector, standard output gets one JSON line when it is ready and one when the last request has
ended. After that it waits for the end of its input, while its CPU time and memory are read from
outside, and writes what it noted into a file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import itertools
import os
import struct
import sys
import threading
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_YET = -1
MARKS = 5
"""Read by the process, first instruction, end of cpu1, resumed after the wait, end."""

now = time.monotonic_ns

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
busy: Any = importlib.import_module("busy")
spin: Callable[[int], int] = busy.spin
tell: Callable[..., None] = busy.tell


class Work:
    """The trace, and what is noted of each request in ns since the start (-1: not yet)."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            (self.n,) = struct.unpack("<q", file.read(8))
            arrival, cpu1, io, cpu2 = array("q"), array("i"), array("i"), array("i")
            for column in (arrival, cpu1, io, cpu2):
                column.fromfile(file, self.n)
        self.cpu1, self.cpu2 = cpu1, cpu2
        self.io_s = [us / 1e6 for us in io]
        self.marks = [array("q", [NOT_YET]) * self.n for _ in range(MARKS)]
        self.start = 0
        self.read = 0

    def ready(self) -> None:
        """Turn microseconds into iterations at today's speed, and say that all is ready."""
        per_us = busy.iterations_per_us(0.3)
        for column in (self.cpu1, self.cpu2):
            column[:] = array("i", (round(us * per_us) for us in column))
        tell(event="ready", per_us=round(per_us, 4))

    def take(self, data: bytes) -> array[int]:
        """Indices in a piece of the pipe's bytes; notes that they were read now."""
        at = now() - self.start
        indices = array("i")
        indices.frombytes(data)
        read = self.marks[0]
        for i in indices:
            read[i] = at
        self.read += len(indices)
        return indices

    def save(self, path: str) -> None:
        """Write the marks, one array after the other."""
        with open(path, "wb") as file:
            for mark in self.marks:
                mark.tofile(file)


def read_exactly(fd: int, n: int) -> bytes:
    """`n` bytes of a blocking pipe, or fewer at its end."""
    data = b""
    while len(data) < n:
        more = os.read(fd, n - len(data))
        if not more:
            break
        data += more
    return data


def whole(read: Callable[[], bytes], left: bytes) -> tuple[bytes, bytes, bool]:
    """Read once; returns the bytes of whole indices, the rest, and whether the pipe has ended."""
    data = read()
    left += data
    cut = len(left) & ~3
    return left[:cut], left[cut:], not data


async def serve_on_loop(work: Work, blocking: bool, limit_s: float) -> None:
    """A task per request on this loop; the loop reads the pipe itself."""
    loop = asyncio.get_running_loop()
    started, done = asyncio.Event(), loop.create_future()
    _, begun, worked, resumed, ended = work.marks
    left, finished = b"", 0
    tasks: set[asyncio.Task[None]] = set()

    async def handle(i: int) -> None:
        nonlocal finished
        start = work.start
        begun[i] = now() - start
        spin(work.cpu1[i])
        worked[i] = now() - start
        if work.io_s[i] > 0:
            if blocking:
                time.sleep(work.io_s[i])
            else:
                await asyncio.sleep(work.io_s[i])
        resumed[i] = now() - start
        spin(work.cpu2[i])
        ended[i] = now() - start
        finished += 1
        if finished == work.n and not done.done():
            done.set_result(None)

    def give_up() -> None:
        if not done.done():
            done.set_result(None)

    def readable() -> None:
        nonlocal left
        if not work.start:
            work.start = struct.unpack("<q", read_exactly(0, 8))[0]
            started.set()
            return
        data, left, over = whole(lambda: os.read(0, 65536), left)
        for i in work.take(data):
            task = loop.create_task(handle(i))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if over or work.read == work.n:
            loop.remove_reader(0)

    loop.add_reader(0, readable)
    await started.wait()
    if work.n:
        loop.call_later(limit_s, give_up)
        await done


def loop_driver(work: Work, runtime: str, limit_s: float) -> None:
    """Serve on asyncio's loop or uvloop's."""
    factory = None
    if runtime == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(warm_loop(work))
        work.ready()
        runner.run(serve_on_loop(work, runtime == "asyncio_block", limit_s))
        end_of_run(work)


async def warm_loop(work: Work) -> None:
    """Tasks that sleep and end, so that the first request pays for nothing of its own."""

    async def one() -> None:
        spin(100)
        await asyncio.sleep(0.001)

    await asyncio.gather(*(one() for _ in range(500)))


def pool_driver(work: Work, threads: int, limit_s: float) -> None:
    """A reader thread hands requests to a ThreadPoolExecutor."""
    _, begun, worked, resumed, ended = work.marks
    done, count = threading.Event(), itertools.count(1)
    pool = ThreadPoolExecutor(threads)
    list(pool.map(spin, [1000] * 200))

    def handle(i: int) -> None:
        start = work.start
        begun[i] = now() - start
        spin(work.cpu1[i])
        worked[i] = now() - start
        if work.io_s[i] > 0:
            time.sleep(work.io_s[i])
        resumed[i] = now() - start
        spin(work.cpu2[i])
        ended[i] = now() - start
        if next(count) == work.n:
            done.set()

    def reader() -> None:
        left, over = b"", False
        work.start = struct.unpack("<q", read_exactly(0, 8))[0]
        while not over and work.read < work.n:
            data, left, over = whole(lambda: os.read(0, 65536), left)
            for i in work.take(data):
                pool.submit(handle, i)

    work.ready()
    threading.Thread(target=reader, daemon=True).start()
    if work.n:
        done.wait(limit_s)
    end_of_run(work)


def end_of_run(work: Work) -> None:
    """Say that the last request ended, wait to be looked at, write what was noted, and go."""
    tell(event="end")
    os.set_blocking(0, True)
    while os.read(0, 65536):
        pass
    tell(event="after", per_us=round(busy.iterations_per_us(0.1), 4))
    work.save(options.out)
    sys.stdout.flush()
    os._exit(0)  # tasks and threads of unfinished requests do not hold the process up


def idle_memory(kind: str, n: int) -> dict[str, Any]:
    """Memory of `n` idle tasks or threads of this process; of fewer, if there is a limit."""
    found: dict[str, Any] = {"test": f"mem_py_{kind}", "n": n}
    if kind == "threads":
        found |= idle_threads(n)
    elif kind == "uvloop":
        import uvloop

        found |= uvloop.run(idle_tasks(n))
    else:
        found |= asyncio.run(idle_tasks(n))
    return found


async def idle() -> None:
    """A coroutine of the program, as requests have one, that waits in one of the library."""
    await asyncio.sleep(3600)


async def idle_tasks(n: int) -> dict[str, Any]:
    """Tasks that sleep."""
    before, begin = rss_kb(), now()
    made = [asyncio.ensure_future(idle()) for _ in range(n)]
    await asyncio.sleep(0.05)
    found = memory_of(n, before, begin)
    for task in made:
        task.cancel()
    return found


def idle_threads(n: int) -> dict[str, Any]:
    """Threads that wait; each is started before the next."""
    gate, before, begin, made = threading.Event(), rss_kb(), now(), 0
    with contextlib.suppress(RuntimeError):  # no more threads to be had
        for _ in range(n):
            threading.Thread(target=gate.wait, daemon=True).start()
            made += 1
    return {"made": made, **memory_of(made, before, begin)}


def memory_of(n: int, before_kb: int, begin: int) -> dict[str, Any]:
    """Entries of memory.json for `n` tasks made since `begin`."""
    each_us, after_kb = (now() - begin) / 1000 / max(1, n), rss_kb()
    return {
        "rss0_kb": before_kb,
        "rss1_kb": after_kb,
        "bytes_per": round((after_kb - before_kb) * 1024 / max(1, n)),
        "create_us_each": round(each_us, 3),
    }


def rss_kb() -> int:
    """Resident memory of this process."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def main() -> None:
    """Calibrate, serve a trace, or measure memory, as the arguments say."""
    if options.mode == "calibrate":
        tell(per_us=round(busy.iterations_per_us(0.5), 4))
    elif options.mode == "memory":
        tell(**idle_memory(options.runtime, options.threads))
        sys.stdout.flush()
        os._exit(0)
    else:
        work = Work(options.trace)
        if options.runtime == "py_tpe":
            pool_driver(work, options.threads, options.limit)
        else:
            loop_driver(work, options.runtime, options.limit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["calibrate", "run", "memory"])
    parser.add_argument("--runtime", default="asyncio")
    parser.add_argument("--trace", default="")
    parser.add_argument("--out", default="")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--limit", type=float, default=60.0)
    options = parser.parse_args()
    main()
