"""Real runtimes on known traces: what a prediction is held against.

`record` drives real runtimes (asyncio, thread pools, Go, virtual threads, HTTP servers) through
requests drawn beforehand and writes a folder of measurements.
"""

from simsched.reality.plan import RecordPlan, Skipped
from simsched.reality.record import Progress, Recorded, record
from simsched.reality.runtimes import RUNTIME_HELP, UnknownRuntime, runtime_named
from simsched.reality.toolchains import Tool, survey
from simsched.reality.traces import MIXES, CannotDrive

__all__ = [
    "MIXES",
    "RUNTIME_HELP",
    "CannotDrive",
    "Progress",
    "RecordPlan",
    "Recorded",
    "Skipped",
    "Tool",
    "UnknownRuntime",
    "record",
    "runtime_named",
    "survey",
]
