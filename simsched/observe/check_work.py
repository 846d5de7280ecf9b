"""Work conservation: nobody idles while there is work that it may take.

Where a real runtime is not work-conserving, neither is its model; the rules below know what each
of them promises:

- **The host**: no core idles while a thread is runnable, and no thread keeps a core without using
  it.
- **Permits**: none is free while a task waits for one.
- **A thread pool**: while threads idle and tasks are queued, a thread is on its way to the queue.
  One may be enough: whoever takes a task and leaves others behind signals the next thread. A woken
  thread needs a core before it can look, and meanwhile a busy one may take the task.
- **An event loop** does not sleep in its poll while a handle is ready, a descriptor is readable,
  or a timer is overdue by more than the timer resolution.
- **Go**: while a P idles, runnable goroutines in the global queue or in a P's ring have an M on its
  way (starting or spinning). ``runnext`` is the exception: it is left to its own P for a while. The
  network is another: while nobody is blocked in netpoll, ready goroutines may go unnoticed, though
  not for longer than ``sysmon`` lets them, which is 10 ms and the 10 ms it may sleep itself.
- **The fork-join pool** signals only when a queue appeared empty, and a signal is passed on by who
  takes a task. So of several tasks only one may have a carrier on its way; but one has, unless
  ``parallelism`` carriers are active, blocked ones that were not compensated for included.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.observe.checker import SettledChecker
from simsched.schedulers.event_loop import CLOCK_RESOLUTION_S, EventLoop
from simsched.schedulers.go_sysmon import LONGEST_SLEEP_S, NETPOLL_NEGLECTED_S, SHORTEST_SLEEP_S
from simsched.schedulers.goroutine import Goroutine
from simsched.schedulers.thread_pool import ThreadPool
from simsched.schedulers.virtual_thread import VirtualThread
from simsched.sim.task import ADMISSION, RUN_QUEUE, Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation
    from simsched.sim.os_thread import OsThread

LONGEST_NEGLECT_S = NETPOLL_NEGLECTED_S + LONGEST_SLEEP_S + 2 * SHORTEST_SLEEP_S

ASLEEP_S = 0.05
"""A machine that has been idle for so long does not go on by itself."""


class WorkConservation(SettledChecker):
    """No idle worker beside work it may take, at the end of any instant."""

    invariant = "work conservation"

    def __init__(self) -> None:
        self.busy_workers = 0
        self.last_event_s = 0.0
        self.phases: dict[Task, int] = {}  # the part of each attempt that the scheduler has
        self.in_netpoll: deque[float] = deque()  # since when what is ready waits there
        self.polled_s = 0.0  # when somebody last took something from there
        self.unpolled = False  # nobody was blocked in netpoll when the last instant ended
        self._rule: Callable[[float], str | None] | None = None

    # -- what touches the state --------------------------------------------------------------

    def arrived(self, now: float, task: Task) -> None:
        self.phases[task] = ADMISSION
        self.touch()

    def retried(self, now: float, task: Task, again: Task) -> None:
        if not task.cancelled:
            del self.phases[task]
        self.touch()

    def resent(self, now: float, task: Task) -> None:
        self.phases[task] = ADMISSION
        self.touch()

    def ended(self, now: float, task: Task, outcome: int) -> None:
        if not task.cancelled:
            del self.phases[task]
        self.touch()

    def released(self, now: float, task: Task) -> None:
        del self.phases[task]
        self.touch()

    def entered(self, now: float, task: Task, phase: int) -> None:
        if task in self.phases:
            self.phases[task] = phase
        self.touch()

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.touch()

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self.touch()

    def core_queue(self, now: float, change: int) -> None:
        self.touch()

    def threads(self, now: float, change: int) -> None:
        self.touch()

    def resource(self, now: float, name: str, change: int) -> None:
        self.touch()

    def busy(self, now: float, worker: str, change: int) -> None:
        self.busy_workers += change
        self.touch()

    def queued(self, now: float, task: Task, queue: str) -> None:
        if queue == "netpoll":
            self.in_netpoll.append(now)
        self.touch()

    def dequeued(self, now: float, task: Task, queue: str) -> None:
        if queue == "netpoll" and self.in_netpoll:
            neglect_s = self._neglect_s(now)
            if self.unpolled and neglect_s > LONGEST_NEGLECT_S:
                self.fail(f"netpoll within {LONGEST_NEGLECT_S} s", f"{neglect_s:.9g} s", task)
            self.in_netpoll.popleft()
            self.polled_s = now
        self.touch()

    # -- the verdict -------------------------------------------------------------------------

    def settled(self, now: float) -> None:
        self.last_event_s = now
        problem = self._host_problem(now) or self._permit_problem()
        if problem is None:
            if self._rule is None:
                self._rule = self._rule_of(self.simulation)
            problem = self._rule(now)
        if problem is not None:
            self.fail("no idle worker beside work it may take", problem)

    def _host_problem(self, now: float) -> str | None:
        host = self.simulation.host
        waiting = len(host.woken) + len(host.rotating)
        if host.idle and waiting:
            return f"{len(host.idle)} idle cores and {waiting} runnable threads"
        for core in host.cores:
            if (core.thread is None) != (core.index in host.idle):
                return f"core {core.index} neither idle nor used"
            if core.thread is not None and core.thread.end_s <= now:
                return f"{core.thread.name} on core {core.index} with nothing to do"
        return None

    def _permit_problem(self) -> str | None:
        for resource in self.simulation.machine.resources.values():
            if resource.free and resource.waiting:
                return (
                    f'{resource.free} free permits of "{resource.name}" '
                    f"and {len(resource.waiting)} tasks that wait"
                )
        return None

    def _rule_of(self, simulation: Simulation) -> Callable[[float], str | None]:
        scheduler = simulation.scheduler
        if isinstance(scheduler, ThreadPool):
            return lambda _: pool_problem(scheduler)
        if isinstance(scheduler, EventLoop):
            return lambda now: loop_problem(scheduler, now)
        if isinstance(scheduler, Goroutine):
            return lambda now: self._go_problem(scheduler, now)
        if isinstance(scheduler, VirtualThread):
            return lambda _: fork_join_problem(scheduler, self.busy_workers)
        return lambda _: None

    def _go_problem(self, sched: Goroutine, now: float) -> str | None:
        self.unpolled = sched.poller is None and not sched.dead
        if self.unpolled and self._neglect_s(now) > LONGEST_NEGLECT_S:
            return f"a ready network, neglected for {self._neglect_s(now):.9g} s"
        return go_problem(sched, self.busy_workers)

    def _neglect_s(self, now: float) -> float:
        """For how long nobody has looked at a ready network. A look takes a batch, not all."""
        return now - max(self.in_netpoll[0], self.polled_s) if self.in_netpoll else 0.0

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        """Not all that is left waits to be run, on a machine that has come to rest."""
        asleep_s = record.end_s - self.last_event_s
        if asleep_s < ASLEEP_S or len(simulation.host.idle) < len(simulation.host.cores):
            return
        # Who waits for anything else may hold the worker that the others wait for, for ever if it
        # is a lock: that deadlock of pinned carriers is real.
        waiting = [task for task, phase in self.phases.items() if phase in (ADMISSION, RUN_QUEUE)]
        if waiting and len(waiting) == len(self.phases):
            self.fail(
                "a machine at rest to have no work", "a task that waits to be run", waiting[0]
            )


def pool_problem(pool: ThreadPool) -> str | None:
    """Tasks in a thread pool's queue that no thread is on its way to."""
    carried = pool.submitted - len(pool.queue) - pool.submitter_runs
    if pool.queue and pool.idle and pool.size - len(pool.idle) - carried <= 0:
        return f"{len(pool.idle)} idle threads and {len(pool.queue)} tasks in the queue"
    return None


def loop_problem(loop: EventLoop, now: float) -> str | None:
    """Work that an event loop sleeps through."""
    if loop.poll is None:
        return None
    handles = len(loop.ready) + len(loop.epoll.readable)
    if handles:
        return f"the loop asleep with {handles} handles ready"
    latest_s = now - loop.spec.timer_resolution_s - CLOCK_RESOLUTION_S
    if not loop.timers or loop.timers[0][0] >= latest_s:
        return None
    due_s = min((h.when_s for _, _, h in loop.timers if h.task is not None), default=now)
    if due_s < latest_s:
        return f"the loop asleep with a timer overdue by {now - due_s:.9g} s"
    return None


def go_problem(sched: Goroutine, busy: int) -> str | None:
    """Runnable goroutines beside idle Ps that nobody is on the way to."""
    if sched.dead:
        return None
    poller = sched.poller
    if poller is not None and poller.token is not None and sched.net_ready:
        return f"an M asleep in netpoll with {len(sched.net_ready)} goroutines ready"
    idle = len(sched.idle_ps)
    if not idle or sched.n_spinning or len(sched.ps) - idle - busy > 0:
        return None
    if poller is not None and poller.token is None:
        return None  # it has been woken, and will take a P
    runnable = len(sched.global_queue) + sum(len(p.queue.ring) for p in sched.ps)
    return f"{idle} idle Ps and {runnable} runnable goroutines" if runnable else None


def fork_join_problem(scheduler: VirtualThread, busy: int) -> str | None:
    """Tasks in a fork-join pool that no carrier is on the way to."""
    pool = scheduler.pool
    on_their_way = pool.total - len(pool.idle) - busy
    if pool.active >= pool.parallelism or on_their_way > 0:
        return None
    waiting = sum(len(queue.items) for queue in pool.queues)
    if waiting and (pool.idle or pool.total < pool.parallelism):
        return f"{len(pool.idle)} of {pool.total} carriers idle and {waiting} tasks in queues"
    return None
