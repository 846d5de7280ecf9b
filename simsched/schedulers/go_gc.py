"""Go's garbage collector, as far as requests feel it: mark workers, assists, and two short stops.

Follows Go 1.25 ``runtime/mgcpacer.go`` and ``mgc.go``. Each request allocates so many bytes when it
begins. When the process has allocated as much as GOGC allows since the last cycle began, another
one begins. All of it has to be marked that is live, which takes CPU in proportion:

- A quarter of GOMAXPROCS is for marking (``gcBackgroundUtilization``). That many Ps do nothing else
  (dedicated workers). Where a whole number of them would be more than 30 % off, which it is for 1
  to 3 and 6 Ps, each P gives the rest as a share of its time (fractional workers).
- A P that finds nothing else to do marks, too, and looks every 100 kB whether there is work.
- Who allocates while the collector is behind its schedule has to help first (assist). The schedule
  is that all is marked before 30 % more of what GOGC allows has been allocated, which is the most
  room that the pacer leaves itself (``minTriggerRatioDistance``).
- Before and after, the world stops: running goroutines go to the global queue, and each P that
  was not idle loses ``pause``.

Sweeping, the write barrier, stacks and the forced cycle every two minutes are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.go_parts import RUNNING, helper
from simsched.sim.clock import Process

if TYPE_CHECKING:
    from simsched.scenario.spec_go import GoGc
    from simsched.schedulers.go_parts import M, P
    from simsched.schedulers.go_sched import GoSched
    from simsched.sim.task import Task

DEDICATED, FRACTIONAL, IDLE_MARKS = range(1, 4)  # stages of a worker: gcMarkWorkerMode
BACKGROUND_SHARE = 0.25  # gcBackgroundUtilization
MOST_OFF = 0.3  # maxUtilError
FRACTION_SLACK = 1.2  # pollFractionalWorkerExit
CHUNK_BYTES = 100_000  # idleCheckThreshold: how often a worker looks around
MOST_RUNWAY = 0.3  # 1 - minTriggerRatioDistance
OWN_QUEUE_KEPT_S = 10e-3  # a dedicated worker gives its P's queue away when it is first preempted


class Gc:
    """The collector of one Go process."""

    def __init__(self, sched: GoSched, spec: GoGc) -> None:
        self._sched = sched
        self._spec = spec
        self.marking = False
        self._room_bytes = spec.room_bytes
        self._allocated_bytes = 0  # since the last cycle began, or since the start
        self._mark_s = spec.cycle_s
        self._chunk_s = CHUNK_BYTES / 1e6 * spec.mark_s
        self._left_s = 0.0  # nobody has taken it yet
        self._done_s = 0.0
        self._at_work: dict[M, float] = {}  # who has taken some, and what the present run takes
        self._began_s = 0.0
        self._n_dedicated, self._fraction = workers_of(len(sched.ps))
        self._dedicated_wanted = 0
        self._fraction_s = [0.0] * len(sched.ps)  # by P, what its fractional worker has had
        self._workers = {mode: _worker(mode) for mode in (DEDICATED, FRACTIONAL, IDLE_MARKS)}

    # -- cycles ------------------------------------------------------------------------------

    def allocates(self, m: M) -> None:
        """A request begins on ``m``, and allocates what requests do."""
        self._allocated_bytes += self._spec.allocation_bytes
        if self.marking:
            self._assist(m)
        elif self._allocated_bytes >= self._room_bytes:
            self._begin()

    def _begin(self) -> None:
        """``gcStart``."""
        sched = self._sched
        sched.observers.counted("gc_cycles", 1)
        self._allocated_bytes = 0
        self._stop_the_world()
        self.marking = True
        self._began_s = sched.clock.now
        self._left_s, self._done_s = self._mark_s, 0.0
        self._dedicated_wanted = self._n_dedicated
        self._fraction_s = [0.0] * len(sched.ps)
        sched.wake_p()

    def _end_if_done(self) -> None:
        """``gcMarkDone``: nobody has anything left to mark."""
        if self.marking and not self._left_s and not self._at_work:
            self.marking = False
            self._stop_the_world()

    def _stop_the_world(self) -> None:
        """Preempt whatever runs, and start again after a while."""
        spec = self._sched.spec
        for p in self._sched.ps:
            m = p.m
            if m is None or p.status != RUNNING:
                continue
            m.owed_s += self._spec.pause_s
            if m.current is not None and spec.asyncpreempt:
                m.thread.cut()

    def _assist(self, m: M) -> None:
        """``gcAssistAlloc``: pay for what is allocated, as far as workers have not yet."""
        runway_bytes = MOST_RUNWAY * self._room_bytes
        due_s = self._mark_s * min(1.0, self._allocated_bytes / runway_bytes)
        own_s = self._mark_s * self._spec.allocation_bytes / runway_bytes
        assist_s = min(due_s - self._done_s, own_s, self._left_s)
        if assist_s > 0:
            self._take(assist_s)
            self._done_s += assist_s
            m.owed_s += assist_s
            self._sched.observers.spent("gc_assist_s", assist_s)
            self._sched.observers.spent("gc_cpu_s", assist_s)
            self._end_if_done()

    def _take(self, seconds: float) -> None:
        self._left_s -= seconds
        if self._left_s < 1e-12:
            self._left_s = 0.0

    # -- workers -----------------------------------------------------------------------------

    def worker_for(self, p: P) -> Task | None:
        """``findRunnableGCWorker``: the worker that this P has to run before anything else."""
        if not self._left_s:
            return None
        if self._dedicated_wanted:
            self._dedicated_wanted -= 1
            return self._workers[DEDICATED]
        if self._fraction and not self._beyond(p, 0.0, 1.0):
            return self._workers[FRACTIONAL]
        return None

    def idle_worker(self) -> Task | None:
        """What a P does that has found nothing."""
        return self._workers[IDLE_MARKS] if self._left_s else None

    def _beyond(self, p: P, more_s: float, slack: float) -> bool:
        """Whether the P has marked for more than its share of the time since marking began."""
        passed_s = self._sched.clock.now - self._began_s
        marked_s = self._fraction_s[p.index] + more_s
        return marked_s > slack * self._fraction * passed_s

    def work(self, m: M, worker: Task) -> Process:
        """``gcDrain``: mark, chunk by chunk, for as long as the worker's mode allows."""
        sched, p = self._sched, m.p
        clock, observers = sched.clock, sched.observers
        assert p is not None
        since_s = clock.now
        kept = worker.stage == DEDICATED
        while self._left_s:
            chunk_s = min(self._chunk_s, self._left_s)
            self._take(chunk_s)
            cost_s, m.owed_s = m.owed_s + chunk_s, 0.0
            self._at_work[m] = cost_s
            began_s = clock.now
            wait = m.thread.run(cost_s)
            if wait is not None:
                yield wait
            del self._at_work[m]
            self._done_s += chunk_s
            observers.overhead(clock.now, cost_s)
            observers.occupied(began_s, clock.now, sched.machine.process)
            observers.spent("gc_cpu_s", chunk_s)
            if kept and clock.now - since_s >= OWN_QUEUE_KEPT_S:
                kept = False
                self._give_queue_away(p)
            elif (
                worker.stage == FRACTIONAL and self._beyond(p, clock.now - since_s, FRACTION_SLACK)
            ) or (worker.stage == IDLE_MARKS and self._poll_work(p)):
                break
        if worker.stage == FRACTIONAL:
            self._fraction_s[p.index] += clock.now - since_s
        self._end_if_done()

    def end(self, now: float) -> None:
        """The run is over, or the process: tell what workers have done of their chunks."""
        for m, cost_s in self._at_work.items():
            thread = m.thread
            left_s = thread.left_s
            if thread.core is not None:
                left_s = (thread.end_s - max(now, thread.start_s)) / thread.pace
            self._sched.observers.overhead(now, max(0.0, cost_s - left_s))
        self._at_work.clear()

    def _poll_work(self, p: P) -> bool:
        """``pollWork``, and a look at the timers, for which the real one is preempted."""
        sched = self._sched
        if sched.global_queue or len(p.queue) or p.timers.earliest_s() <= sched.clock.now:
            return True
        return sched.poller is None and bool(sched.net_ready)

    def _give_queue_away(self, p: P) -> None:
        """``runqdrain``: others may run what waits for this P."""
        sched = self._sched
        given = False
        while (g := p.queue.get()[0]) is not None:
            sched.global_put(g)
            given = True
        if given:
            sched.wake_p()


def workers_of(n_ps: int) -> tuple[int, float]:
    """``startCycle``: Ps that only mark, and the share of its time that each P gives beside."""
    goal = n_ps * BACKGROUND_SHARE
    dedicated = int(goal + 0.5)
    if abs(dedicated / goal - 1) <= MOST_OFF:
        return dedicated, 0.0
    if dedicated > goal:
        dedicated -= 1
    return dedicated, (goal - dedicated) / n_ps


def _worker(mode: int) -> Task:
    worker = helper()
    worker.stage = mode
    return worker
