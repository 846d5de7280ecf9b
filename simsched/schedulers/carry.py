"""A thread that carries a task: it runs the task's steps and blocks in each of their waits.

Pool threads do so, server processes that serve one request at a time, and the threads beside an
event loop. A thread in a blocking call stays there until the call returns; only then does it notice
that its client has given up. What need not wait (I/O or a sleep of no length) keeps the core.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.sim.clock import IO_DONE, Process
from simsched.sim.task import BLOCKING, CPU, IO
from simsched.workload import program

if TYPE_CHECKING:
    from simsched.schedulers.base import Scheduler
    from simsched.sim.os_thread import OsThread
    from simsched.sim.task import Task


def carry(scheduler: Scheduler, thread: OsThread, task: Task, owed_s: float, end: int) -> Process:
    """Run a task from the step it stands at up to step ``end``, or until it notices its end.

    ``owed_s`` is CPU that comes before, on account of the runtime. What the task then is (complete,
    cancelled, at the end of an errand) is for the caller to see; it may still hold permits.
    """
    clock, observers, resources = scheduler.clock, scheduler.observers, scheduler.resources
    detailed = scheduler.detailed
    task.thread = thread
    thread.task = task
    scheduler.enter(task, CPU)
    ops = task.ops
    while task.pc < end and not task.cancelled and not task.broken:
        op = ops[task.pc]
        if detailed:
            observers.step_started(clock.now, task)
        if op.code == program.CPU:
            demand_s = task.demands[op.slot]
            if op.kind != "native":
                wait = thread.run(owed_s + demand_s, task.index)
            else:
                if owed_s:
                    wait = thread.run(owed_s, task.index)
                    if wait is not None:
                        yield wait
                    observers.worked(clock.now, task, owed_s, thread)
                    owed_s = 0.0
                wait = thread.run_native(demand_s, task.index)
            if wait is not None:
                yield wait
            observers.worked(clock.now, task, owed_s, thread)
            owed_s = 0.0
        else:
            if owed_s or thread.core is None:
                wait = thread.run(owed_s, task.index)
                if wait is not None:
                    yield wait
                observers.worked(clock.now, task, owed_s, thread)
                owed_s = 0.0
            if op.code == program.RELEASE:
                heir = scheduler.release(task, op)
                if heir is not None:
                    scheduler.granted(heir)
            elif op.code != program.ACQUIRE and task.demands[op.slot]:
                scheduler.enter(task, BLOCKING if op.code == program.BLOCKING else IO)
                thread.sleep()
                until_s = clock.now + task.demands[op.slot]
                if op.code == program.SLEEP:
                    until_s += scheduler.host.timer_slack_s
                yield clock.event_at(until_s, IO_DONE | task.index)
                scheduler.enter(task, CPU)
            elif op.code == program.ACQUIRE and not resources[op.arg].acquire(task):
                if not task.broken:
                    scheduler.enter(task, resources[op.arg].phase)
                    thread.sleep()
                    task.wake = clock.event()
                    yield task.wake
                    scheduler.enter(task, CPU)
                if task.failed():  # an exception is thrown: no step follows
                    task.pc = len(ops)
                    break
        scheduler.step_done(task)
    if owed_s or thread.core is None:
        wait = thread.run(owed_s, task.index)
        if wait is not None:
            yield wait
        observers.worked(clock.now, task, owed_s, thread)
    thread.task = None


def end_carried(scheduler: Scheduler, task: Task) -> None:
    """The thread is done with a request, or has noticed that its client has given up."""
    if task.cancelled or task.broken:
        for heir in scheduler.drop_held(task):
            scheduler.granted(heir)
    scheduler.ends(task)


def book_start(scheduler: Scheduler, thread: OsThread, task: Task, overhead_s: float) -> None:
    """Of a task's wait for a thread, tell apart what was overhead and what was queueing.

    ``thread`` was woken, or has spent ``overhead_s`` on looking for work, before it had the task.
    Both may have begun before the task came: then only what came later has delayed it.
    """
    now = scheduler.clock.now
    rest_s = now - task.since_s
    delay_s = min(overhead_s, rest_s)
    rest_s -= delay_s
    thread.cost_s = min(thread.cost_s, rest_s)
    rest_s -= thread.cost_s
    thread.waited_s = min(thread.waited_s, rest_s)
    thread.gil_s = min(thread.gil_s, rest_s - thread.waited_s)
    scheduler.observers.worked(now, task, delay_s, thread)
    if overhead_s > delay_s:
        scheduler.observers.overhead(now, overhead_s - delay_s)
