"""The workload, drawn before any simulation: arrivals, classes and every random demand."""

from simsched.workload.base import MAX_REQUESTS, RequestSource, TooManyRequests
from simsched.workload.closed import ClosedTrace
from simsched.workload.offered import Offered, OfferedClass
from simsched.workload.program import Op, Program, flatten
from simsched.workload.replay import TraceStats, trace_stats
from simsched.workload.sampling import sample
from simsched.workload.streams import stream
from simsched.workload.trace import RequestTrace, draw, is_deterministic

__all__ = [
    "MAX_REQUESTS",
    "ClosedTrace",
    "Offered",
    "OfferedClass",
    "Op",
    "Program",
    "RequestSource",
    "RequestTrace",
    "TooManyRequests",
    "TraceStats",
    "draw",
    "flatten",
    "is_deterministic",
    "sample",
    "stream",
    "trace_stats",
]
