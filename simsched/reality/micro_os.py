"""What the operating system takes for switches, wake-ups and timers: JSON lines, in microseconds.

Run as a script, with the standard library only. Two processes talk through pipes; processes, not
threads, so that no interpreter lock stands between them.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
busy: Any = importlib.import_module("busy")

PR_SET_TIMERSLACK = 29
"""include/uapi/linux/prctl.h; its argument is in nanoseconds."""
STAMP = struct.Struct("q")
BATCH = 50
WAKES = 20
"""Wake-ups over which CPU time is taken: its clock is slower than the one on the wall."""
now = time.monotonic_ns


def tell(test: str, values: Sequence[float], clock: str = "wall") -> None:
    """One measured cost: percentiles in microseconds, of CPU time if the clock is "cpu"."""
    ranked, last = sorted(values), len(values) - 1
    marks = {f"p{q}": round(ranked[q * last // 100], 4) for q in (5, 50, 95)}
    busy.tell(test=f"os_{test}", unit="us", clock=clock, **marks, n=len(values))


def beside(cpu: int, body: Callable[[], None]) -> int:
    """A process on a CPU that does this and ends; returns its id."""
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setaffinity(0, (cpu,))
            body()
        finally:
            os._exit(0)
    return pid


def pipe_alone(batches: int) -> list[float]:
    """A write to a pipe and the read of it, without another process."""
    out, into = os.pipe()
    found = []
    for _ in range(batches):
        begin = now()
        for _ in range(BATCH):
            os.write(into, b"x")
            os.read(out, 1)
        found.append((now() - begin) / 1000 / BATCH)
    return found


def ping_pong(cpu: int, batches: int) -> list[float]:
    """Half of a round trip between two processes on one CPU: a write, a switch and a read."""
    (out, there), (back, into) = os.pipe(), os.pipe()

    def echo() -> None:
        for _ in range(BATCH * batches):
            os.write(into, os.read(out, 1))

    other, found = beside(cpu, echo), []
    for _ in range(batches):
        begin = now()
        for _ in range(BATCH):
            os.write(there, b"x")
            os.read(back, 1)
        found.append((now() - begin) / 2000 / BATCH)
    os.waitpid(other, 0)
    return found


def wake_ups(cpu: int, count: int) -> list[float]:
    """From a write on this CPU to the reader's first instruction on another that had halted."""
    (out, there), (back, into) = os.pipe(), os.pipe()

    def listen() -> None:
        for _ in range(count):
            begin = STAMP.unpack(os.read(out, STAMP.size))[0]
            os.write(into, STAMP.pack(now() - begin))

    other, found = beside(cpu, listen), []
    for _ in range(count):
        time.sleep(0.001)  # the other falls asleep
        os.write(there, STAMP.pack(now()))
        found.append(STAMP.unpack(os.read(back, STAMP.size))[0] / 1000)
    os.waitpid(other, 0)
    return found


def keep_awake() -> None:
    """Compute whenever nobody else wants the core (SCHED_IDLE), so that it never halts."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    while True:
        busy.spin(1000)


def wake_cpu(cpu: int, batches: int, idle_s: float) -> tuple[list[float], list[float]]:
    """CPU time per wake-up through a pipe: of who is woken on that CPU, and of who wakes it.

    Between two of them nobody has anything to do for so long, and for some 0.1 ms: timer slack and
    the wake-up of who wakes.
    """
    (out, there), (back, into) = os.pipe(), os.pipe()

    def listen() -> None:
        for _ in range(batches):
            begin = time.thread_time_ns()
            for _ in range(WAKES):
                os.read(out, 1)
            os.write(into, STAMP.pack(time.thread_time_ns() - begin))

    other, woken, waking = beside(cpu, listen), [], []
    for _ in range(batches):
        took = 0
        for _ in range(WAKES):
            time.sleep(idle_s)
            begin = time.thread_time_ns()
            os.write(there, b"x")
            took += time.thread_time_ns() - begin
        waking.append(took / 1000 / WAKES)
        woken.append(STAMP.unpack(os.read(back, STAMP.size))[0] / 1000 / WAKES)
    os.waitpid(other, 0)
    return woken, waking


def idle_exits(cpu: int, batches: int) -> None:
    """What a wake-up takes of a core that had halted, briefly or for long, or is kept awake."""
    for name, idle_s in (("200us", 0.0001), ("4ms", 0.0039)):
        woken, waking = wake_cpu(cpu, batches, idle_s)
        tell(f"woken_after_{name}", woken, "cpu")
    tell("waking_other_core", waking, "cpu")
    keeper = beside(cpu, keep_awake)
    try:
        tell("woken_awake", wake_cpu(cpu, batches, 0.001)[0], "cpu")
    finally:
        os.kill(keeper, signal.SIGKILL)
        os.waitpid(keeper, 0)


def lateness(count: int) -> list[float]:
    """By how much a sleep of 2 ms ends late."""
    found = []
    for _ in range(count):
        begin = now()
        time.sleep(0.002)
        found.append((now() - begin) / 1000 - 2000)
    return found


def main(rounds: int) -> None:
    """All costs, on the CPUs this process may use."""
    cpus = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cpus[:1])
    tell("pipe_alone", pipe_alone(4 * rounds))
    tell("pipe_switch", ping_pong(cpus[0], 4 * rounds))
    if len(cpus) > 1:
        tell("wakeup_other_core", wake_ups(cpus[1], rounds))
        idle_exits(cpus[1], max(5, rounds // WAKES))
    tell("sleep_late", lateness(rounds))
    if ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0) == 0:
        tell("sleep_late_no_slack", lateness(rounds))


if __name__ == "__main__":
    main(int(sys.argv[1]))
