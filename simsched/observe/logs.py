"""The ledger's logs: what changes over time on the side of the server.

Workers, cores, connections, permits, the loop's stalls, and what the runtime counts. Whoever they
belong to, they are of no single request.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from simsched.observe.notes import Notes
from simsched.observe.series import DeltaLog, FloatArray, UnitLog

if TYPE_CHECKING:
    from simsched.sim.network import Connection
    from simsched.sim.os_thread import OsThread
    from simsched.sim.task import Task

N_BINS = 1000  # of each time series, over the arrival window
BLOCK = 1 << 15  # numbers kept as Python objects before they are packed


class Logs(Notes):
    """The part of the ledger that keeps these logs."""

    def __init__(self, duration_s: float, kind: str, slice_s: float) -> None:
        super().__init__(kind, slice_s)
        self.queued_log = UnitLog()
        self.core_log = UnitLog()
        self.away_log = UnitLog()  # virtual cores that the hypervisor has taken
        self.worker_log = UnitLog()
        self.thread_log = UnitLog()
        # If connections are modelled, what a process has read, +-(class + 1); and connections.
        self.read_log = DeltaLog("h")
        self.connection_log = UnitLog()
        self.overhead_bins: FloatArray = np.zeros(N_BINS + 1)  # the last one is the drain
        self.resource_logs: dict[str, UnitLog] = {}
        self.resource_waits: dict[str, array[float]] = {}
        self.counts: dict[str, float] = {}
        self.switches = 0
        self._bins_per_s = N_BINS / duration_s
        self._overheads: list[float] = []  # time, seconds, time, seconds, ...
        self._stalls: list[float] = []  # start, end, start, end, ...
        self._stall_log = array("d")

    # -- connections -------------------------------------------------------------------------

    def connection(self, now: float, connection: Connection, event: str) -> None:
        if event == "accepted":
            self.connection_log.add(now)
            self.counted("connections_opened", 1)
        elif event == "closed":
            self.connection_log.add(-now)

    def served(self, now: float, task: Task, change: int) -> None:
        self.read_log.add(now, change * (task.class_id + 1))

    # -- workers and cores -------------------------------------------------------------------

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        add = self.core_log.add
        add(now)

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        add = self.core_log.add
        add(-now)

    def core_away(self, now: float, core: int, change: int) -> None:
        self.away_log.add(now if change > 0 else -now)

    def switched(self, now: float, seconds: float) -> None:
        self.switches += 1
        if seconds:
            self.overhead(now, seconds)

    def core_queue(self, now: float, change: int) -> None:
        self.queued_log.add(now if change > 0 else -now)

    def busy(self, now: float, worker: str, change: int) -> None:
        self.worker_log.add(now if change > 0 else -now)

    def threads(self, now: float, change: int) -> None:
        self.thread_log.add(now if change > 0 else -now)
        if change > 0:
            self.counts["threads_created"] = self.counts.get("threads_created", 0) + change

    def overhead(self, now: float, seconds: float) -> None:
        self._overheads += now, seconds
        if len(self._overheads) > BLOCK:
            self._book_overheads()

    def _book_overheads(self) -> None:
        spent = np.fromiter(self._overheads, np.float64, len(self._overheads)).reshape(-1, 2)
        self._overheads.clear()
        bins = np.minimum((spent[:, 0] * self._bins_per_s).astype(np.intp), N_BINS)
        np.add.at(self.overhead_bins, bins, spent[:, 1])

    # -- resources and counters --------------------------------------------------------------

    def resource(self, now: float, name: str, change: int) -> None:
        log = self.resource_logs.get(name)
        if log is None:
            log = self.resource_logs[name] = UnitLog()
        log.add(now if change > 0 else -now)

    def resource_waited(self, now: float, name: str, seconds: float) -> None:
        waits = self.resource_waits.get(name)
        if waits is None:
            waits = self.resource_waits[name] = array("d")
        waits.append(seconds)

    def counted(self, name: str, n: int) -> None:
        counts = self.counts
        counts[name] = counts.get(name, 0) + n

    def spent(self, name: str, seconds: float) -> None:
        counts = self.counts
        counts[name] = counts.get(name, 0.0) + seconds

    def stalled(self, start_s: float, end_s: float) -> None:
        self._stalls += start_s, end_s

    def _book_stalls(self) -> None:
        if not self._stalls:
            return
        stalls = np.fromiter(self._stalls, np.float64, len(self._stalls)).reshape(-1, 2)
        self._stalls.clear()
        self._stall_log.frombytes(stalls.tobytes())
        longest = int(np.argmax(stalls[:, 1] - stalls[:, 0]))
        self.blame.watch(*stalls[longest].tolist())

    def stalls(self) -> tuple[FloatArray, FloatArray]:
        """Starts and ends of all stalls."""
        self._book_stalls()
        log = np.array(self._stall_log).reshape(-1, 2)
        return log[:, 0], log[:, 1]
