"""One event loop on one thread: what is the same for asyncio, uvloop and Node.

A loop alternates between running handles and asking the kernel (``epoll_wait``) what has become
ready. In which order, and how many at a time, is what sets the three apart; see
:mod:`simsched.schedulers.asyncio_loop` and :mod:`simsched.schedulers.uv_loop`.

Consequences that matter, for all of them: there is no priority, no slice, and no preemption. An
iteration lasts as long as its handles take together, and everybody else waits for it. A blocking
call in a step freezes the loop with everything on it. One loop uses one core, however many the host
has.

Where threads run Python code beside it, a loop that sleeps in its poll has dropped the interpreter
lock. A poll that does not wait drops it, too, for about a microsecond, which is less than a waiter
takes to wake up: the loop has it back for free. That is left out, because the windows in which a
waiter may slip in (around each ``send`` and ``recv``) are not modelled either. So a thread waits
for a busy loop one switch interval, where it may in truth be luckier.

A coroutine that is cancelled while it is suspended is thrown ``CancelledError`` in the next
iteration; one that is running goes on to its next await. What it has asked a thread to do
(:mod:`simsched.schedulers.executor`) goes on to its end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar

from simpy.events import Event

from simsched.schedulers.anyio_threads import AnyioThreads
from simsched.schedulers.coroutines import CREATE
from simsched.schedulers.epoll import IN_KERNEL, RESOLVE
from simsched.schedulers.executor import DefaultExecutor, Errand, Executor
from simsched.schedulers.loop_server import ACCEPT, LoopServer
from simsched.schedulers.timers import CLOCK_RESOLUTION_S, Timers, UvTimers
from simsched.schedulers.uv_threads import UvThreadPool
from simsched.sim.clock import IO_DONE, Call, Moment, Process
from simsched.sim.gil import Gil
from simsched.sim.task import BLOCKING, CPU, OVERHEAD, RUN_QUEUE, Task
from simsched.workload import program

if TYPE_CHECKING:
    from simsched.scenario import EventLoopSpec
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op

__all__ = ["CLOCK_RESOLUTION_S", "EventLoop"]


class EventLoop(LoopServer):
    """A loop, its one thread, and the executors beside it."""

    kind: ClassVar[str] = "event_loop"

    def __init__(self, machine: Machine, spec: EventLoopSpec) -> None:
        super().__init__(machine, spec)
        apis = {
            op.arg
            for request_class in machine.clients.trace.programs
            for op in program.every(request_class.ops)
            if op.code == program.OFFLOAD
        }
        if spec.endpoint == "def":
            apis = {"run_in_threadpool"}
        # A lock that only one thread ever takes costs nothing.
        if spec.gil and apis:
            machine.gil = Gil(machine, spec.switch_interval_s)
            self.locks = True
        self.thread = machine.thread("loop")
        times = machine.clock, spec.timer_resolution_s, machine.host.timer_slack_s
        if spec.loop == "asyncio":
            self.timers = Timers(*times)
        else:
            self.timers = UvTimers(*times, node=spec.loop == "libuv")
        if apis or spec.processes > 1:  # who comes first at an instant is then for the clock to say
            self.epoll.prompt = True
        self.poll: Event | None = None  # set while the loop is blocked in epoll_wait
        self.polled_s = 0.0  # when the loop last looked what has become ready
        for api in sorted(apis):
            self.executors[api] = self._executor(api)

    def _executor(self, api: str) -> Executor:
        """The one behind an ``api``; it may have been made for another already."""
        spec = self.spec
        for made in self.executors.values():
            if spec.loop == "libuv" or (isinstance(made, DefaultExecutor) and api == "to_thread"):
                return made
        if spec.loop == "libuv":
            return UvThreadPool(self, spec.uv_threadpool_size)
        if api == "run_in_threadpool":
            return AnyioThreads(self, spec.total_tokens)
        return DefaultExecutor(self, spec.resolved_max_workers(self.machine.cores))

    @property
    def worker_limit(self) -> int | None:
        return 1  # the loop; the threads of executors are pools of their own

    def held_phases(self) -> frozenset[int]:
        if self.executors:  # blocking calls are made there
            return frozenset({CPU, OVERHEAD})
        return frozenset({CPU, BLOCKING, OVERHEAD})

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """A ``def`` endpoint runs on a thread as a whole, where nothing is offloaded again."""
        if self.spec.endpoint == "def":
            return program.inline(ops)
        return program.threads_inline(ops)

    def start(self) -> None:
        from simsched.schedulers import asyncio_loop, uv_loop

        self.observers.threads(0.0, 1)
        run: Any = {
            "asyncio": asyncio_loop.run_forever,
            "uvloop": uv_loop.run_forever,
            "libuv": uv_loop.run_node,
        }[self.spec.loop]
        self.clock.process(run(self))

    # -- what happens outside the loop -------------------------------------------------------

    def expect(self, arrival_s: float, index: int) -> bool:
        if self.fired:
            self.coming_s = arrival_s
            return True
        if self.alarm is not None and not self.epoll.prompt:
            self.comes = True
            self.timers.start_at(self.alarm, arrival_s)  # type: ignore[arg-type]
            return True
        return self.epoll.accept(arrival_s, index)

    def submit(self, task: Task) -> None:
        """A request becomes readable on its connection, or on the pipe of all of them."""
        task.stage = CREATE
        if self.fired:
            self.take(task)
            return
        if self.alarm is not None:  # others act on its arrival, too
            self._sets_timer(task)
            return
        self.epoll.submit(task)
        if self.poll is not None:
            self.interrupt_poll()

    def _sets_timer(self, task: Task) -> None:
        """The timer that makes a request is due; a loop that sleeps wakes up late."""
        unread, now = self.epoll.unread, self.clock.now
        unread.append(task)
        if len(unread) == 1:
            self.timers.start_at(self.alarm, now)  # type: ignore[arg-type]
        late_s = now + self.host.timer_slack_s
        self.clock.call_at(late_s, IO_DONE | task.index, self._timer_ends)

    def _timer_ends(self, _: Call) -> None:
        if self.epoll.unread:
            self.interrupt_poll()

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:
        self.epoll.catch_up(until_s, priority)

    def interrupt_poll(self) -> None:
        """``epoll_wait`` returns: the thread needs a core now."""
        if self.poll is not None:
            poll, self.poll = self.poll, None
            self.polled_s = self.clock.now
            self.thread.wake_with(poll)

    def call_soon_threadsafe(self, task: Task) -> None:
        """A thread has done what ``task`` awaits."""
        task.left_s += 0.5 * self.spec.hop_s
        task.thread = None
        task.stage = RESOLVE
        if self.spec.loop == "libuv":  # uv__work_done is a callback of the poll
            self.catch_up(self.clock.now, IO_DONE)
            if self.detailed:
                self.observers.queued(self.clock.now, task, "epoll")
            self.epoll.readable.append(task)
        else:
            self.append(task)
        self.interrupt_poll()

    def cancel(self, task: Task) -> None:
        """``Task.cancel()``: a suspended coroutine is woken to be told, a running one is not."""
        errand = task.worker
        if isinstance(errand, Errand):
            if not errand.executor.cancel(task, errand):
                return
            self.observers.moved(self.clock.now, task, "")
        elif self.cancel_branches(task):
            return
        elif not self.timers.cancel(task) and task.stage != IN_KERNEL:
            op = task.ops[task.pc] if task.pc < len(task.ops) else None
            if op is None or op.code != program.ACQUIRE:
                return
            if not self.resources[op.arg].withdraw(task):
                return
        self.call_soon(task)
        self.interrupt_poll()

    def granted(self, heir: Task) -> None:
        self._grant(heir)
        self.interrupt_poll()

    def connection_waits(self) -> None:
        """The listening socket is readable: whoever sleeps in its poll wakes up."""
        if self.poll is not None and self.may_accept():
            self.interrupt_poll()

    # -- the poll ----------------------------------------------------------------------------

    def next_due_s(self) -> float:
        """When ``epoll_wait`` will return, as far as it is known now."""
        due_s = self.epoll.next_s()
        return min(due_s, self.timers.next_s()) if self.timers.heap else due_s

    def poll_until(self, due_s: float) -> Process:
        """Block in ``epoll_wait``: leave the core until I/O is ready or a timer is due."""
        clock = self.clock
        if self.owed_s:  # for what has come to nothing
            yield from self.pay()
            return
        self.poll = poll = Moment(clock)
        self.thread.sleep()
        if self.network is not None:
            self.network.slept(self)
        timeout = None
        if due_s < math.inf:
            timeout = clock.call_at(due_s, IO_DONE, self._poll_returns)
        yield poll
        # Back on a core. Waking up has delayed all that are ready: nobody's own overhead.
        if timeout is not None:
            timeout.cancel()
        self.polled_s = clock.now
        if self.network is not None:
            yield clock.settle()  # of those woken by one connection, the first one looks first

    def pay(self) -> Process:
        """Spend what bookkeeping is owed, on no request's account."""
        owed_s, self.owed_s = self.owed_s, 0.0
        self.thread.task = None
        wait = self.thread.run(owed_s)
        if wait is not None:
            yield wait
        self.observers.overhead(self.clock.now, owed_s)

    def _poll_returns(self, _: Call) -> None:
        self.interrupt_poll()

    def end(self, now: float) -> None:
        self.catch_up(now)
        if self.poll is None:
            self.observers.stalled(self.polled_s, now)

    def expire_timers(self) -> None:
        """Every timer that is due goes to the ready queue, in order of its time."""
        now = self.clock.now
        while (task := self.timers.expired()) is not None:
            if task.stage >= ACCEPT:
                self.ready.append(task)
                continue
            task.stage = RESOLVE
            self.step_done(task)
            self.entered(now, task, RUN_QUEUE)
            self.append(task)
