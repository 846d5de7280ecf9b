"""One event loop on one thread, as asyncio runs it.

Follows CPython 3.13 ``Lib/asyncio/base_events.py`` (``_run_once``), ``tasks.py`` and
``selectors.py``. One iteration of the loop:

1. If no handle is ready, ``epoll_wait`` until I/O is ready or the earliest timer is due; the
   timeout is rounded *up* to the timer resolution of epoll, so that timers fire up to 1 ms late on
   an idle loop. If handles are ready, poll without waiting.
2. Append a reader handle for each descriptor that is ready, in kernel order.
3. Move every due timer to the ready queue, in order of its time. I/O goes before timers.
4. Take a *snapshot*: run exactly as many handles as are ready now, first in, first out. What they
   schedule waits for the next iteration.

Consequences that matter: there is no priority, no slice, and no preemption. An iteration lasts as
long as its handles take together, and everybody else waits for it. An awaited I/O costs two handles
in two iterations: the reader handle resolves the future, which schedules the task's next step. A
blocking call in a step freezes the loop with everything on it. One loop uses one core, however many
the host has.

A coroutine that is cancelled while it is suspended is thrown ``CancelledError`` in the next
iteration; one that is running goes on to its next await.

The bookkeeping costs of handles without user code (readers, timers, the poll itself) are summed up
and paid together with the next step, which is the first thing of theirs that anybody can see.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, ClassVar

from simpy.events import Event

from simsched.schedulers.base import Scheduler
from simsched.schedulers.epoll import IN_KERNEL, RESOLVE, Epoll
from simsched.sim.clock import IO_DONE, Call, Moment, Process
from simsched.sim.task import BLOCKING, CPU, IO, OVERHEAD, RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import EventLoopSpec
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op

# What the handle in the ready queue will do for its task, and what a running step waits for.
CREATE, STEP, BURST, PAYING, FROZEN = range(5)  # ... or RESOLVE

COMPUTE, AWAIT_IO = op_code.CPU, op_code.IO  # the most frequent steps, by names found quickly
END = op_code.Op(code=-1)
SUSPENDS = frozenset({op_code.IO, op_code.SLEEP})  # awaits that are never done at once

CLOCK_RESOLUTION_S = 1e-9  # time.get_clock_info("monotonic").resolution on Linux


class TimerHandle:
    """An entry of the timer heap; a cancelled one stays until its time comes."""

    __slots__ = ("task", "when_s")

    def __init__(self, when_s: float, task: Task) -> None:
        self.when_s = when_s
        self.task: Task | None = task


class EventLoop(Scheduler):
    """An asyncio loop and its one thread."""

    kind: ClassVar[str] = "event_loop"

    def __init__(self, machine: Machine, spec: EventLoopSpec) -> None:
        super().__init__(machine, spec)
        self.thread = machine.host.thread("loop")
        self.ready: deque[Task] = deque()
        self.epoll = Epoll(machine)
        self.timers: list[tuple[float, int, TimerHandle]] = []
        self.sleeping: dict[Task, TimerHandle] = {}
        self.poll: Event | None = None  # set while the loop is blocked in epoll_wait
        self.owed_s = 0.0  # bookkeeping costs not yet paid
        self.paid_s = 0.0  # what of them the running burst pays
        self._sequence = 0
        self._polled_s = 0.0  # when the loop last looked what has become ready

    @property
    def worker_limit(self) -> int | None:
        return 1

    def held_phases(self) -> frozenset[int]:
        return frozenset({CPU, BLOCKING, OVERHEAD})

    def start(self) -> None:
        self.observers.threads(0.0, 1)
        self.clock.process(self._run_forever())

    # -- what happens outside the loop -------------------------------------------------------

    def expect(self, arrival_s: float, index: int) -> bool:
        return self.epoll.accept(arrival_s, index)

    def submit(self, task: Task) -> None:
        """A request becomes readable on its connection."""
        task.stage = CREATE
        self.epoll.submit(task)
        if self.poll is not None:
            self._interrupt_poll()

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:
        self.epoll.catch_up(until_s, priority)

    def _interrupt_poll(self) -> None:
        if self.poll is not None:
            poll, self.poll = self.poll, None
            self._polled_s = self.clock.now
            self.thread.wake_with(poll)

    def cancel(self, task: Task) -> None:
        """``Task.cancel()``: a suspended coroutine is woken to be told, a running one is not."""
        if task in self.sleeping:
            self.sleeping.pop(task).task = None
        elif task.stage != IN_KERNEL:
            op = task.ops[task.pc] if task.pc < len(task.ops) else None
            if op is None or op.code != op_code.ACQUIRE:
                return
            if not self.resources[op.arg].withdraw(task):
                return
        self._call_soon(task)
        self._interrupt_poll()

    # -- the loop ----------------------------------------------------------------------------

    def _run_forever(self) -> Process:
        clock, thread, ready = self.clock, self.thread, self.ready
        epoll, pending, readable = self.epoll, self.epoll.pending, self.epoll.readable
        step, stalled, handle_s = self._step, self.observers.stalled, self.spec.handle_s
        turn_s = self.spec.iteration_s + handle_s
        heap = clock.heap
        while True:
            if heap and heap[0][0] <= clock.now and clock.settling():
                yield clock.settle()
            now = clock.now
            if now > self._polled_s:
                # Away from the poll for one iteration, not for a busy period.
                stalled(self._polled_s, now)
                self._polled_s = now
            if pending and pending[0][0] <= now:
                epoll.catch_up(now)
            if readable or self.timers:
                self._collect()
            handles = len(ready)
            if not handles:
                due_s = self._next_due_s()
                if thread.nap(due_s):
                    self._polled_s = clock.now
                elif not clock.settling():  # else it is a wait of no length
                    yield from self._poll_until(due_s)
                continue
            self.owed_s += turn_s
            task = ready.popleft()
            if handles == 1 and task.stage != STEP:
                # Its step will be alone in the next iteration, at this same instant: go on there.
                self._callback(task)
                self.owed_s += turn_s
            while True:
                if task.stage == STEP:
                    wait = step(task)
                    while wait is not None:
                        yield wait
                        wait = step(task)
                else:
                    self._callback(task)
                    ready.append(task)
                handles -= 1
                if not handles:
                    break
                task = ready.popleft()
                self.owed_s += handle_s

    def _callback(self, task: Task) -> None:
        """A handle without user code: accept a request, or resolve the future a task awaits.

        The task's next step has to be put into the ready queue.
        """
        if task.stage == CREATE:
            self.owed_s += self.spec.task_create_s
            self.entered(self.clock.now, task, RUN_QUEUE)
        task.stage = STEP
        if self.detailed:
            self.observers.dequeued(self.clock.now, task, "ready")
            self.observers.queued(self.clock.now, task, "ready")

    def _next_due_s(self) -> float:
        """When ``epoll_wait`` will return, as far as it is known now."""
        due_s, timers = self.epoll.next_s(), self.timers
        while timers and timers[0][2].task is None:
            heappop(timers)
        if timers:
            now = self.clock.now
            due_s = min(due_s, now + self._round_up(timers[0][0] - now))
        return due_s

    def _poll_until(self, due_s: float) -> Process:
        """Block in ``epoll_wait``: leave the core until I/O is ready or a timer is due."""
        clock = self.clock
        self.poll = poll = Moment(clock)
        self.thread.sleep()
        timeout = None
        if due_s < math.inf:
            timeout = clock.call_at(due_s, IO_DONE, self._poll_returns)
        yield poll
        # Back on a core. Waking up has delayed all that are ready: nobody's own overhead.
        if timeout is not None:
            timeout.cancel()
        self._polled_s = clock.now

    def _poll_returns(self, _: Call) -> None:
        self._interrupt_poll()

    def end(self, now: float) -> None:
        self.catch_up(now)
        if self.poll is None:
            self.observers.stalled(self._polled_s, now)

    def _round_up(self, delay_s: float) -> float:
        """EpollSelector.select: the timeout is rounded up to whole milliseconds."""
        resolution_s: float = self.spec.timer_resolution_s
        if not resolution_s:
            return delay_s
        return math.ceil(delay_s / resolution_s - 1e-9) * resolution_s

    def _collect(self) -> None:
        """Steps 2 and 3: reader handles, then due timers."""
        now = self.clock.now
        readable, timers = self.epoll.readable, self.timers
        if readable:
            if self.detailed:
                for task in readable:
                    self.observers.dequeued(now, task, "epoll")
                    self.observers.queued(now, task, "ready")
            self.ready.extend(readable)
            readable.clear()
        while timers and timers[0][0] < now + CLOCK_RESOLUTION_S:
            timed = heappop(timers)[2].task
            if timed is None:
                continue
            del self.sleeping[timed]
            timed.stage = RESOLVE
            self.step_done(timed)
            self.entered(now, timed, RUN_QUEUE)
            self._append(timed)

    def _append(self, task: Task) -> None:
        if self.detailed:
            self.observers.queued(self.clock.now, task, "ready")
        self.ready.append(task)

    def _call_soon(self, task: Task) -> None:
        """The task's next step goes to the tail: it runs in the next iteration."""
        task.stage = STEP
        self.enter(task, RUN_QUEUE)
        self._append(task)

    def _step(self, task: Task) -> Event | None:
        """Run a coroutine until it awaits something that is not done, or returns: then None.

        Until then, the result is what the loop's thread has to wait for before the next call:
        the end of a CPU burst or of a blocking call.
        """
        clock, thread, detailed = self.clock, self.thread, self.detailed
        if task.stage == STEP:
            if detailed:
                self.observers.dequeued(clock.now, task, "ready")
            self.entered(clock.now, task, CPU)
            if task.cancelled:  # CancelledError is thrown where it waits: no step follows
                task.pc = len(task.ops)
        else:
            self._waited(task)
        ops, pc = task.ops, task.pc
        while True:
            op = ops[pc] if pc < len(ops) else END
            code = op.code
            if code == COMPUTE:
                if detailed:
                    self.observers.step_started(clock.now, task)
                owed_s = self.owed_s
                self.owed_s = 0.0
                wait = thread.run(owed_s + task.demands[op.slot], task.index)
                if wait is not None:
                    task.stage = BURST
                    self.paid_s = owed_s
                    return wait
                self.worked(clock.now, task, owed_s, thread)
            elif self.owed_s or thread.core is None:
                # What comes now can be seen by others: first spend what bookkeeping is owed.
                owed_s = self.owed_s
                self.owed_s = 0.0
                wait = thread.run(owed_s, task.index)
                if wait is not None:
                    task.stage = PAYING
                    self.paid_s = owed_s
                    return wait
                self.worked(clock.now, task, owed_s, thread)
                continue
            elif op is END or (task.cancelled and code in SUSPENDS):
                self._finish(task)
                return None
            else:
                if detailed:
                    self.observers.step_started(clock.now, task)
                if code == AWAIT_IO:
                    self.epoll.await_io(task, task.demands[op.slot])
                    return None
                if code == op_code.BLOCKING:
                    return self._freeze(task, task.demands[op.slot])
                if code == op_code.RELEASE:
                    self._grant(self.release(task, op))
                elif code != op_code.ACQUIRE or not self.resources[op.arg].acquire(task):
                    if task.cancelled:
                        self.resources[op.arg].withdraw(task)
                        self._finish(task)
                    else:
                        self._suspend(task, op)
                    return None
            if detailed:
                self.observers.step_ended(clock.now, task)
            task.pc = pc = pc + 1

    def _waited(self, task: Task) -> None:
        """The burst or blocking call that the step waited for has ended."""
        if task.stage == FROZEN:
            self.entered(self.clock.now, task, CPU)
        else:
            self.worked(self.clock.now, task, self.paid_s, self.thread)
        if task.stage != PAYING:
            self.step_done(task)
        task.stage = STEP

    def _freeze(self, task: Task, seconds: float) -> Event:
        """A blocking call: the loop's thread sleeps, and with it everything on the loop."""
        task.stage = FROZEN
        self.observers.entered(self.clock.now, task, BLOCKING)
        self.thread.sleep()
        return self.clock.event_at(self.clock.now + seconds, IO_DONE | task.index)

    def _finish(self, task: Task) -> None:
        if task.cancelled:
            for heir in self.drop_held(task):
                self._grant(heir)
            self.clients.abandoned(task)
        else:
            self.clients.completed(task)

    def _suspend(self, task: Task, op: Op) -> None:
        """Await a timer, or a permit that somebody else holds."""
        if op.code == op_code.SLEEP:
            self.enter(task, IO)
            handle = TimerHandle(self.clock.now + task.demands[op.slot], task)
            self.sleeping[task] = handle
            self._sequence += 1
            heappush(self.timers, (handle.when_s, self._sequence, handle))
        else:
            self.enter(task, self.resources[op.arg].phase)

    def _grant(self, heir: Task | None) -> None:
        """The permit's future is resolved by the releasing task: no reader handle in between."""
        if heir is None:
            return
        self.step_done(heir)
        self._call_soon(heir)
