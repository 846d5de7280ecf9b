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
from simsched.sim.clock import IO_DONE, Call, Moment, Process
from simsched.sim.task import BLOCKING, CPU, IO, OVERHEAD, RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import EventLoopSpec
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op

# What the handle in the ready queue will do for its task, and what a running step waits for.
CREATE, RESOLVE, STEP, BURST, PAYING, FROZEN = range(6)

END = op_code.Op(code=-1)

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
        self.io_ready: deque[Task] = deque()  # descriptors the kernel would report, oldest first
        self.timers: list[tuple[float, int, TimerHandle]] = []
        self.sleeping: dict[Task, TimerHandle] = {}
        self.poll: Event | None = None  # set while the loop is blocked in epoll_wait
        self.owed_s = 0.0  # bookkeeping costs not yet paid
        self.paid_s = 0.0  # what of them the running burst pays
        self._sequence = 0
        self._back_from_poll_s = 0.0

    @property
    def worker_limit(self) -> int | None:
        return 1

    @property
    def worker_noun(self) -> str:
        return "loop"

    def held_phases(self) -> frozenset[int]:
        return frozenset({CPU, BLOCKING, OVERHEAD})

    def start(self) -> None:
        self.observers.threads(0.0, 1)
        self.clock.process(self._run_forever())

    # -- what happens outside the loop -------------------------------------------------------

    def submit(self, task: Task) -> None:
        """A request becomes readable on its connection."""
        task.stage = CREATE
        self._readable(task)

    def _io_done(self, call: Call) -> None:
        task: Task = call.arg
        task.wait = None
        task.stage = RESOLVE
        if self.detailed:
            self.observers.step_ended(self.clock.now, task)
        task.pc += 1
        self.entered(self.clock.now, task, RUN_QUEUE)
        self._readable(task)

    def _readable(self, task: Task) -> None:
        if self.detailed:
            self.observers.queued(self.clock.now, task, "epoll")
        self.io_ready.append(task)
        if self.poll is not None:
            self._interrupt_poll()

    def _interrupt_poll(self) -> None:
        if self.poll is not None:
            poll, self.poll = self.poll, None
            self.thread.wake_with(poll)

    def cancel(self, task: Task) -> None:
        """``Task.cancel()``: a suspended coroutine is woken to be told, a running one is not."""
        if task.wait is not None:
            task.wait.cancel()
            task.wait = None
        elif task in self.sleeping:
            self.sleeping.pop(task).task = None
        else:
            op = task.ops[task.pc] if task.pc < len(task.ops) else None
            if op is None or op.code != op_code.ACQUIRE:
                return
            if not self.resources[op.arg].withdraw(task):
                return
        self._call_soon(task)
        self._interrupt_poll()

    # -- the loop ----------------------------------------------------------------------------

    def _run_forever(self) -> Process:
        clock, ready, step = self.clock, self.ready, self._step
        turn_s = self.spec.iteration_s + self.spec.handle_s
        handle_s = self.spec.handle_s
        took_turns = True  # others have run since the last look at what else happens now
        while True:
            if took_turns:
                took_turns = False
                if clock.settling():
                    yield clock.settle()
            if self.io_ready or self.timers:
                self._collect()
            handles = len(ready)
            if not handles:
                if clock.settling():  # a wait of no length
                    took_turns = True
                    continue
                self.poll = poll = Moment(clock)
                timer = self._enter_poll()
                yield poll
                self._leave_poll(timer)
                took_turns = True
                continue
            self.owed_s += turn_s
            task = ready.popleft()
            if handles == 1 and task.stage != STEP:
                # Its step will be alone in the next iteration, at this same instant: go on there.
                self._callback(task)
                ready.popleft()
                self.owed_s += turn_s
            while True:
                if task.stage == STEP:
                    wait = step(task)
                    while wait is not None:
                        took_turns = True
                        yield wait
                        wait = step(task)
                else:
                    self._callback(task)
                handles -= 1
                if not handles:
                    break
                task = ready.popleft()
                self.owed_s += handle_s

    def _callback(self, task: Task) -> None:
        """A handle without user code: accept a request, or resolve the future a task awaits."""
        if task.stage == CREATE:
            self.owed_s += self.spec.task_create_s
            self.entered(self.clock.now, task, RUN_QUEUE)
        task.stage = STEP
        if self.detailed:
            self.observers.dequeued(self.clock.now, task, "ready")
            self.observers.queued(self.clock.now, task, "ready")
        self.ready.append(task)

    def _enter_poll(self) -> Call | None:
        """Block in ``epoll_wait``: leave the core until I/O is ready or a timer is due."""
        clock = self.clock
        now = clock.now
        self.thread.sleep()
        self.observers.stalled(self._back_from_poll_s, now)
        while self.timers and self.timers[0][2].task is None:
            heappop(self.timers)
        if not self.timers:
            return None
        delay_s = self._round_up(self.timers[0][0] - now)
        return clock.call_at(now + delay_s, IO_DONE, self._poll_times_out)

    def _leave_poll(self, timer: Call | None) -> None:
        """Back on a core. Waking up has delayed all that are ready: nobody's own overhead."""
        if timer is not None:
            timer.cancel()
        self._back_from_poll_s = self.clock.now

    def _round_up(self, delay_s: float) -> float:
        """EpollSelector.select: the timeout is rounded up to whole milliseconds."""
        resolution_s: float = self.spec.timer_resolution_s
        if not resolution_s:
            return delay_s
        return math.ceil(delay_s / resolution_s - 1e-9) * resolution_s

    def _poll_times_out(self, _: Call) -> None:
        self._interrupt_poll()

    def _collect(self) -> None:
        """Steps 2 and 3: reader handles, then due timers."""
        now = self.clock.now
        io_ready, timers = self.io_ready, self.timers
        if io_ready:
            if self.detailed:
                for task in io_ready:
                    self.observers.dequeued(now, task, "epoll")
                    self.observers.queued(now, task, "ready")
            self.ready.extend(io_ready)
            io_ready.clear()
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
        clock, thread = self.clock, self.thread
        if task.stage == STEP:
            if self.detailed:
                self.observers.dequeued(clock.now, task, "ready")
            self.entered(clock.now, task, CPU)
        else:
            self._waited(task)
        ops = task.ops
        while True:
            pc = task.pc
            op = ops[pc] if pc < len(ops) else END
            code = op.code
            if code == op_code.CPU and not task.cancelled:
                if self.detailed:
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
            elif op is END or task.cancelled:
                self._finish(task)
                return None
            else:
                if self.detailed:
                    self.observers.step_started(clock.now, task)
                if code == op_code.IO:
                    self.entered(clock.now, task, IO)
                    self.after(task.demands[op.slot], task, self._io_done)
                    return None
                if code == op_code.BLOCKING:
                    return self._freeze(task, task.demands[op.slot])
                if code == op_code.RELEASE:
                    self._grant(self.release(task, op))
                elif code != op_code.ACQUIRE or not self.resources[op.arg].acquire(task):
                    self._suspend(task, op)
                    return None
            if self.detailed:
                self.observers.step_ended(clock.now, task)
            task.pc = pc + 1

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
