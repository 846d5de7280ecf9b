"""Writes the index of each request into a pipe at the time the request arrives.

Run as a script, with the standard library only, on another core than the measured runtime. The
pipe gets the start of the clock (8 bytes, CLOCK_MONOTONIC in ns), then 4 bytes per request, all
little-endian. Requests that are due together are written together. How late the writes were goes
to standard error as one JSON line.
"""

from __future__ import annotations

import gc
import json
import os
import struct
import sys
import time
from array import array

LEAD_NS = 50_000_000
"""From the word to start to the start of the clock: the reader then waits for the first index."""


def read_arrivals(path: str) -> array[int]:
    """Arrival times in microseconds, from the head of a trace file."""
    with open(path, "rb") as file:
        (n,) = struct.unpack("<q", file.read(8))
        arrivals = array("q")
        arrivals.fromfile(file, n)
    return arrivals


def inject(arrivals_us: array[int], fd: int) -> list[int]:
    """Write the start and every index when it is due; returns the lateness of each in ns."""
    start = time.monotonic_ns() + LEAD_NS
    due = [start + at * 1000 for at in arrivals_us]
    indices = array("i", range(len(due))).tobytes()
    late = [0] * len(due)
    os.write(fd, struct.pack("<q", start))
    i, n = 0, len(due)
    while i < n:
        now = time.monotonic_ns()
        if now < due[i]:
            time.sleep((due[i] - now) * 1e-9)
            now = time.monotonic_ns()
        end = i
        while end < n and due[end] <= now:
            late[end] = now - due[end]
            end += 1
        if end > i:
            view = indices[4 * i : 4 * end]
            while view:
                view = view[os.write(fd, view) :]
            i = end
    return late


def main(trace: str) -> None:
    """Inject the requests of a trace file into standard output, when a byte comes in."""
    arrivals = read_arrivals(trace)
    gc.disable()
    os.read(0, 1)
    late = sorted(inject(arrivals, 1))
    policy = "fifo" if os.sched_getscheduler(0) == os.SCHED_FIFO else "normal"
    told = {"policy": policy, "late_us": {"p50": 0.0, "p99": 0.0, "max": 0.0}}
    if late:
        marks = {"p50": len(late) // 2, "p99": len(late) * 99 // 100, "max": len(late) - 1}
        told["late_us"] = {name: round(late[k] / 1000, 1) for name, k in marks.items()}
    print(json.dumps(told), file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
