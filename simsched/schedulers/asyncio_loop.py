"""asyncio's loop.

Follows CPython 3.13 ``Lib/asyncio/base_events.py`` (``_run_once``), ``tasks.py`` and
``selectors.py``. One iteration of the loop:

1. If no handle is ready, ``epoll_wait`` until I/O is ready or the earliest timer is due; the
   timeout is rounded *up* to the timer resolution of epoll, so that timers fire up to 1 ms late on
   an idle loop. If handles are ready, poll without waiting.
2. Append a reader handle for each descriptor that is ready, in kernel order. The listening socket
   has stayed in the kernel's list if it was ready before, and so comes first.
3. Move every due timer to the ready queue, in order of its time. I/O goes before timers.
4. Take a *snapshot*: run exactly as many handles as are ready now, first in, first out. What they
   schedule waits for the next iteration.

An awaited I/O costs two handles in two iterations: the reader handle resolves the future, which
schedules the task's next step. The handle of the listening socket accepts whatever is in the accept
queue (``selector_events.py``, ``_accept_connection``: up to ``backlog`` connections).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.coroutines import STEP
from simsched.schedulers.loop_server import ACCEPT, ServerHandle
from simsched.sim.clock import Process

if TYPE_CHECKING:
    from simsched.schedulers.event_loop import EventLoop
    from simsched.sim.task import Task


def run_forever(loop: EventLoop) -> Process:
    """As ``BaseEventLoop.run_forever``."""
    clock, thread, ready = loop.clock, loop.thread, loop.ready
    epoll, pending, readable = loop.epoll, loop.epoll.pending, loop.epoll.readable
    timers, waiting = loop.timers.heap, loop.waiting
    step, stalled, handle_s = loop.step, loop.observers.stalled, loop.spec.handle_s
    turn_s = loop.spec.iteration_s + handle_s
    backlog = max(1, loop.spec.listen.backlog)  # with 0, asyncio accepts nothing and spins
    heap, detailed = clock.heap, loop.detailed
    while True:
        if heap and heap[0][0] <= clock.now and clock.settling():
            yield clock.settle()
        now = clock.now
        if now > loop.polled_s:
            # Away from the poll for one iteration, not for a busy period.
            stalled(loop.polled_s, now)
            loop.polled_s = now
        if pending and pending[0][0] <= now:
            epoll.catch_up(now)
        if waiting and loop.may_accept():
            ready.append(ServerHandle(ACCEPT))  # type: ignore[arg-type]
        if readable:
            if detailed:
                _reported(loop)
            ready.extend(readable)
            readable.clear()
        if timers:
            loop.expire_timers()
        handles = len(ready)
        if not handles:
            due_s = loop.next_due_s() if timers else epoll.next_s()
            if not loop.owed_s and thread.nap(due_s):
                loop.polled_s = clock.now
            elif not clock.settling():  # else it is a wait of no length
                yield from loop.poll_until(due_s)
            continue
        loop.owed_s += turn_s
        task = ready.popleft()
        if handles == 1 and task.stage != STEP:
            if task.stage >= ACCEPT:
                loop.serve(task, backlog)  # type: ignore[arg-type]
                continue
            # Its step will be alone in the next iteration, at this same instant: go on there.
            again = loop.callback(task)
            if detailed:
                _moved(loop, task, again)
            if not again:
                continue
            loop.owed_s += turn_s
        while True:
            if task.stage == STEP:
                wait = step(task)
                while wait is not None:
                    yield wait
                    wait = step(task)
            elif task.stage >= ACCEPT:
                loop.serve(task, backlog)  # type: ignore[arg-type]
            else:
                again = loop.callback(task)
                if detailed:
                    _moved(loop, task, again)
                if again:
                    ready.append(task)
            handles -= 1
            if not handles:
                break
            task = ready.popleft()
            loop.owed_s += handle_s


def _moved(loop: EventLoop, task: Task, again: bool) -> None:
    """A handle has left the ready queue, and the step that follows it has come to its tail."""
    now = loop.clock.now
    loop.observers.dequeued(now, task, "ready")
    if again:
        loop.observers.queued(now, task, "ready")


def _reported(loop: EventLoop) -> None:
    """What the poll has reported goes from the kernel's list to the ready queue."""
    now = loop.clock.now
    for task in loop.epoll.readable:
        if task.stage >= ACCEPT:
            continue
        loop.observers.dequeued(now, task, "epoll")
        loop.observers.queued(now, task, "ready")
