"""What each scheduler promises about work: whom it may let idle beside what, and whom not.

- **A thread pool**: while threads idle and tasks are queued, a thread is on its way to the queue.
  One may be enough: whoever takes a task and leaves others behind signals the next thread. A woken
  thread needs a core before it can look, and meanwhile a busy one may take the task.
- **A sync worker** of gunicorn is not in ``select`` while a connection waits to be accepted.
- **gthread**'s main thread is not either, nor while a connection is readable or handed back; and
  for connections in the pool's queue, the same holds as for any thread pool.
- **An event loop** does not sleep in its poll while a handle is ready, a descriptor is readable,
  or a timer is overdue by more than the timer resolution and the slack of timers.
- **A reactor**'s loops do not either: each only knows its own tasks and channels. The first one
  does not sleep while a connection waits to be accepted.
- **boundedElastic** and **parallel** of Reactor are *not* work-conserving as a whole: a task waits
  for the thread that was picked for it. That one does not sleep while it has a task.
- **Go**: while a P idles, runnable goroutines in the global queue or in a P's ring have an M on its
  way (starting or spinning). ``runnext`` is the exception: it is left to its own P for a while. The
  network is another: while nobody is blocked in netpoll, ready goroutines may go unnoticed, though
  not for longer than ``sysmon`` lets them, which is 10 ms and the 10 ms it may sleep itself.
- **The fork-join pool** signals only when a queue appeared empty, and a signal is passed on by who
  takes a task. So of several tasks only one may have a worker on its way; but one has, unless
  ``parallelism`` workers are active, blocked ones that were not compensated for included.

Each rule here returns what it has found against a promise, or None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.event_loop import CLOCK_RESOLUTION_S, EventLoop

if TYPE_CHECKING:
    from simsched.schedulers.fork_join import ForkJoin
    from simsched.schedulers.goroutine import Goroutine
    from simsched.schedulers.gthread import Gthread
    from simsched.schedulers.reactor import Reactor
    from simsched.schedulers.sync_workers import SyncWorker
    from simsched.schedulers.thread_pool import ThreadPool


def pool_problem(pool: ThreadPool) -> str | None:
    """Tasks in a thread pool's queue that no thread is on its way to."""
    carried = pool.submitted - len(pool.queue) - pool.submitter_runs
    if pool.queue and pool.idle and pool.size - len(pool.idle) - carried <= 0:
        return f"{len(pool.idle)} idle threads and {len(pool.queue)} tasks in the queue"
    return None


def sync_problem(worker: SyncWorker) -> str | None:
    """Connections that a sync worker sleeps through in ``select``."""
    network = worker.network
    if worker.selecting is None or worker.awaited is not None or network is None:
        return None
    waiting = len(network.listener.queue)
    return f"a worker in select and {waiting} connections to accept" if waiting else None


def gthread_problem(worker: Gthread) -> str | None:
    """What the main thread sleeps through, or connections that no thread is on its way to."""
    events = len(worker.readable_ones) + len(worker.finished) + worker.may_accept()
    if worker.selecting is not None and events:
        return f"the main thread in select with {events} events"
    on_their_way = worker.n_threads - len(worker.idle) - worker.n_handling
    if worker.queue and worker.idle and on_their_way <= 0:
        return f"{len(worker.idle)} idle threads and {len(worker.queue)} connections in the queue"
    return None


def reactor_problem(reactor: Reactor) -> str | None:
    """Work that one of a reactor's threads sleeps through."""
    for loop in reactor.loops:
        work = len(loop.ready) + len(loop.tasks) + (loop.accepts and reactor.may_accept())
        if loop.asleep is not None and work:
            return f"{loop.name} asleep with {work} things to do"
    for thread in reactor.single_threads():
        if thread.asleep is not None and thread.waiting:
            return f"{thread.name} asleep with {thread.waiting} tasks in its queue"
    return None


def loop_problem(loop: EventLoop, now: float) -> str | None:
    """Work that an event loop sleeps through."""
    if loop.poll is None:
        return None
    handles = len(loop.ready) + len(loop.epoll.readable)
    if handles:
        return f"the loop asleep with {handles} handles ready"
    slack_s = loop.host.timer_slack_s
    latest_s = now - loop.spec.timer_resolution_s - slack_s - CLOCK_RESOLUTION_S
    timers = loop.timers.heap
    if not timers or timers[0][0] >= latest_s:
        return None
    due_s = min((h.when_s for _, _, h in timers if h.task is not None), default=now)
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


def fork_join_problem(pool: ForkJoin, busy: int) -> str | None:
    """Tasks in a fork-join pool that no worker is on the way to."""
    on_their_way = pool.total - len(pool.idle) - busy
    if pool.active >= pool.parallelism or on_their_way > 0:
        return None
    waiting = sum(len(queue.items) for queue in pool.queues)
    if waiting and (pool.idle or pool.total < pool.parallelism):
        idle = f"{len(pool.idle)} of {pool.total} {pool.mode.worker}s idle"
        return f"{idle} and {waiting} tasks in queues"
    return None
