"""libuv's loop, as uvloop and Node run on it.

Follows libuv ``uv_run`` and ``uv__io_poll`` (src/unix/core.c, src/unix/linux.c). One iteration:

1. uvloop only: an *idle* handle runs the ready queue (uvloop/loop.pyx, ``_on_idle``): a snapshot,
   as in asyncio. A response leaves when it is written (uvloop/handles/stream.pyx,
   ``_initiate_write``). Before 0.22 it waited for the end of the batch (``_exec_queued_writes``).
2. Poll; without waiting if something is ready. The callbacks of what has become readable run at
   once, in kernel order. uvloop's resolve a future, and the step comes with the next batch; the
   step of an awaited I/O is one handle less than in asyncio. In Node the callback is the step:
   whatever it resolves runs right after it, before the next callback (the queues of
   ``process.nextTick`` and of microtasks).
3. Timers that are due.

The listening socket is served once per iteration, and **one** connection is accepted
(``uv__server_io``). Where iterations are long, connections starve in the accept queue, while those
that got in before go round.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.coroutines import STEP
from simsched.schedulers.loop_server import ACCEPT, ServerHandle
from simsched.sim.clock import Process
from simsched.sim.task import RUN_QUEUE

if TYPE_CHECKING:
    from simsched.schedulers.event_loop import EventLoop
    from simsched.sim.task import Task


def run_forever(loop: EventLoop) -> Process:
    """uvloop: ``uv_run`` with the ready queue in an idle handle."""
    ready = loop.ready
    while True:
        if ready:
            loop.owed_s += loop.spec.iteration_s
            yield from _run(loop, len(ready))
        yield from _poll(loop)
        for task in _readable(loop):
            _called_back(loop, task, "epoll")
        for task in _timed_out(loop):
            _called_back(loop, task, "")


def run_node(loop: EventLoop) -> Process:
    """Node: each callback, and then all that it has made ready."""
    ready = loop.ready
    while True:
        yield from _run_all(loop)
        yield from _poll(loop)
        loop.owed_s += loop.spec.iteration_s
        yield from _run_all(loop)  # who has just connected
        for task in _readable(loop):
            if _called_back(loop, task, "epoll"):
                yield from _run_all(loop)
        for task in _timed_out(loop):
            _called_back(loop, task, "")
            yield from _run_all(loop)
        assert not ready


def _run(loop: EventLoop, handles: int) -> Process:
    """Run so many handles of the ready queue."""
    ready, step, handle_s = loop.ready, loop.step, loop.spec.handle_s
    for _ in range(handles):
        task = ready.popleft()
        loop.owed_s += handle_s
        if task.stage == STEP:
            wait = step(task)
            while wait is not None:
                yield wait
                wait = step(task)
        elif task.stage >= ACCEPT:
            loop.serve(task, 1)  # type: ignore[arg-type]
        else:  # call_soon_threadsafe
            if loop.detailed:
                loop.observers.dequeued(loop.clock.now, task, "ready")
            loop.callback(task)
            loop.append(task)


def _run_all(loop: EventLoop) -> Process:
    while loop.ready:
        yield from _run(loop, len(loop.ready))


def _poll(loop: EventLoop) -> Process:
    """``uv__io_poll``: until something has happened, if nothing is ready; then accept."""
    clock, epoll = loop.clock, loop.epoll
    if loop.waiting and loop.owed_s:
        yield from loop.pay()  # others look at the same accept queue: who is first has to be true
    while True:
        if clock.settling():
            yield clock.settle()
        now = clock.now
        if now > loop.polled_s:
            loop.observers.stalled(loop.polled_s, now)
            loop.polled_s = now
        epoll.catch_up(now)
        if loop.unwatched:
            loop.watch()
        accepts = bool(loop.waiting) and loop.may_accept()
        if loop.ready or epoll.readable or accepts:
            break
        due_s = loop.next_due_s()
        if due_s <= now:
            break
        if not loop.owed_s and loop.thread.nap(due_s):
            loop.polled_s = clock.now
        elif not clock.settling():
            yield from loop.poll_until(due_s)
    if accepts:
        loop.owed_s += loop.spec.handle_s
        loop.serve(ServerHandle(ACCEPT), 1)


def _readable(loop: EventLoop) -> list[Task]:
    """What the poll has reported: what comes later has to wait for the next one."""
    tasks = list(loop.epoll.readable)
    loop.epoll.readable.clear()
    return tasks


def _timed_out(loop: EventLoop) -> list[Task]:
    tasks = []
    while (task := loop.timers.expired()) is not None:
        loop.step_done(task)
        loop.entered(loop.clock.now, task, RUN_QUEUE)
        tasks.append(task)
    return tasks


def _called_back(loop: EventLoop, task: Task, queue: str) -> bool:
    """Run the callback of a descriptor or a timer; False if no step follows."""
    loop.owed_s += loop.spec.handle_s
    if task.stage >= ACCEPT:  # the callback of a descriptor of the server
        loop.serve(task, 1)  # type: ignore[arg-type]
        return bool(loop.ready)
    if loop.detailed and queue:
        loop.observers.dequeued(loop.clock.now, task, queue)
    if not loop.callback(task):
        return False
    loop.append(task)
    return True
