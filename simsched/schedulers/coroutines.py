"""What a coroutine does when a loop runs it: from where it was resumed to its next await.

The loops (:mod:`simsched.schedulers.asyncio_loop`, :mod:`simsched.schedulers.uv_loop`) decide which
handle runs when; a coroutine's step is the same under each of them. It runs on the loop's thread
until it awaits something that is not done. Awaiting what is done already (a free permit, an answer
that is there, a wait of no length) does not give way; a blocking call does not either, and freezes
the loop.

The bookkeeping costs of handles without user code (readers, timers, the poll itself) are summed up
and paid together with the next step, which is the first thing of theirs that anybody can see.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.schedulers.base import Scheduler
from simsched.schedulers.epoll import Epoll
from simsched.schedulers.executor import NEW, Errand, Executor
from simsched.sim.clock import IO_DONE
from simsched.sim.task import BLOCKING, CPU, IO, RUN_QUEUE, Task
from simsched.workload import program as op_code
from simsched.workload.program import Op

if TYPE_CHECKING:
    from simsched.scenario import EventLoopSpec
    from simsched.schedulers.timers import Timers
    from simsched.sim.machine import Machine
    from simsched.sim.os_thread import OsThread

# What the handle in the ready queue will do for its task, and what a running step waits for.
CREATE, STEP, BURST, PAYING, FROZEN = range(5)  # ... or RESOLVE

COMPUTE, AWAIT_IO = op_code.CPU, op_code.IO  # the most frequent steps, by names found quickly
END = Op(code=-1)
SEND = Op(code=-2)  # give an executor what is to be done in a thread
SENDING = (SEND,)
WAITS = frozenset({op_code.IO, op_code.SLEEP, op_code.BLOCKING})
SUSPENDS = frozenset({op_code.IO, op_code.SLEEP, op_code.OFFLOAD, op_code.FORK})


class Coroutines(Scheduler):
    """Tasks on one thread, and the steps of each."""

    thread: OsThread
    timers: Timers

    def __init__(self, machine: Machine, spec: EventLoopSpec) -> None:
        super().__init__(machine, spec)
        self.ready: deque[Task] = deque()
        self.epoll = Epoll(machine)
        self.executors: dict[str, Executor] = {}  # by what calls them: the ``api`` of an offload
        self.owed_s = 0.0  # bookkeeping costs not yet paid
        self.paid_s = 0.0  # what of them the running burst pays
        self.tasks = 0  # requests that the server is working on
        self.locks = False  # whether threads beside the loop wait for the interpreter lock

    # -- the ready queue ---------------------------------------------------------------------

    def append(self, task: Task) -> None:
        """Put a handle at the tail of the ready queue."""
        if self.detailed:
            self.observers.queued(self.clock.now, task, "ready")
        self.ready.append(task)

    def call_soon(self, task: Task) -> None:
        """The task's next step goes to the tail: it runs in the next iteration."""
        task.stage = STEP
        self.enter(task, RUN_QUEUE)
        self.append(task)

    # -- a step ------------------------------------------------------------------------------

    def step(self, task: Task) -> Event | None:
        """Run a coroutine until it awaits something that is not done, or returns: then None.

        Until then, the result is what the loop's thread has to wait for before the next call:
        the end of a CPU burst or of a blocking call.
        """
        clock, thread, detailed = self.clock, self.thread, self.detailed
        if self.locks:
            thread.task = task  # whom a thread blames that waits for the interpreter lock
        if task.stage == STEP:
            if detailed:
                self.observers.dequeued(clock.now, task, "ready")
            entered = self.entered
            entered(clock.now, task, CPU)
            if task.left_s:  # what the server does for each request, or an executor's hand-over
                self.owed_s += task.left_s
                task.left_s = 0.0
            if task.cancelled or task.broken:  # an error is thrown where it waits: no step follows
                task.pc = len(task.ops)
            if task.worker is not None and not self._resumed(task):
                return None
        else:
            self._waited(task)
        ops, pc, worked = task.ops, task.pc, self.worked
        if task.worker is not None:
            ops, pc = SENDING, 0
        n_ops = len(ops)
        while True:
            op = ops[pc] if pc < n_ops else END
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
                    task.thread = thread
                    return wait
                worked(clock.now, task, owed_s, thread)
            elif self.owed_s or thread.core is None:
                # What comes now can be seen by others: first spend what bookkeeping is owed.
                owed_s = self.owed_s
                self.owed_s = 0.0
                wait = thread.run(owed_s, task.index)
                if wait is not None:
                    task.stage = PAYING
                    self.paid_s = owed_s
                    task.thread = thread
                    return wait
                worked(clock.now, task, owed_s, thread)
                continue
            elif op is END or (task.cancelled and code in SUSPENDS):
                self._finish(task)
                return None
            elif code in WAITS:
                if detailed:
                    self.observers.step_started(clock.now, task)
                seconds = task.demands[op.slot]
                if seconds:  # what need not wait goes on
                    return self._wait(task, code, seconds)
            elif code == op_code.OFFLOAD:
                self._call_executor(task, op)
                ops, pc, n_ops = SENDING, 0, 1
                continue
            elif not self._act(task, op):
                return None
            if detailed:
                self.observers.step_ended(clock.now, task)
            task.pc = pc = pc + 1

    def _act(self, task: Task, op: Op) -> bool:
        """Do what takes no time; False if the coroutine awaits something now, or has ended."""
        code = op.code
        if op is SEND:
            errand = task.worker
            assert isinstance(errand, Errand)
            errand.executor.submit(task, errand)
            return False
        if self.detailed:
            self.observers.step_started(self.clock.now, task)
        if code == op_code.RELEASE:
            self._grant(self.release(task, op))
            return True
        if code == op_code.ACQUIRE:
            resource = self.resources[op.arg]
            if resource.acquire(task):
                return True
            if task.cancelled or task.broken:
                resource.withdraw(task)
                self._finish(task)
            else:
                self.enter(task, resource.phase)
        elif code == op_code.FORK:
            # asyncio.gather: a task for each branch. Promise.all: a call of each.
            for branch in self.fork(task, op):
                branch.stage = STEP
                self.owed_s += self.spec.task_create_s
                self.append(branch)
        return False

    def _wait(self, task: Task, code: int, seconds: float) -> Event | None:
        """The coroutine suspends; or, in a blocking call, the loop freezes until the event."""
        if code == AWAIT_IO:
            self.epoll.await_io(task, seconds)
            return None
        if code == op_code.BLOCKING:
            return self._freeze(task, seconds)
        self.enter(task, IO)
        self.timers.start(task, seconds)
        return None

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

    # -- calls of an executor ----------------------------------------------------------------

    def _call_executor(self, task: Task, op: Op) -> None:
        """``await to_thread(...)`` and the like: pay for the call, before it is made."""
        if self.detailed:
            self.observers.step_started(self.clock.now, task)
        end = task.pc + 1
        while task.ops[end].code != op_code.RETURN:
            end += 1
        task.worker = Errand(self.executors[op.arg], end, slow=op.arg == "getaddrinfo")
        self.owed_s += 0.5 * self.spec.hop_s

    def _resumed(self, task: Task) -> bool:
        """A coroutine goes on that awaits an executor; False if it has to wait again."""
        errand = task.worker
        assert isinstance(errand, Errand)
        if errand.stage == NEW:  # a `def` endpoint, at its beginning
            if task.cancelled:
                task.worker = None
            return True
        if not errand.executor.resumed(task, errand):
            return False
        if errand.hops > 1 and not task.cancelled:
            errand.hops -= 1
            errand.stage = NEW
            self.owed_s += 0.5 * self.spec.hop_s
            return True
        task.worker = None
        if task.pc < len(task.ops):  # it stands at the RETURN
            self.step_done(task)
        return True

    # -- the end -----------------------------------------------------------------------------

    def _finish(self, task: Task) -> None:
        if task.cancelled or task.broken:
            for heir in self.drop_held(task):
                self._grant(heir)
        if task.parent is not None:
            self._branch_done(task)
            return
        self.tasks -= 1
        self.ends(task)

    def _branch_done(self, branch: Task) -> None:
        """The last branch resolves the future that its parent awaits."""
        parent = self.branch_ended(branch)
        if parent is None:
            return
        if not parent.cancelled:
            self.step_done(parent)
        self.call_soon(parent)

    def _grant(self, heir: Task | None) -> None:
        """The permit's future is resolved by the releasing task: no reader handle in between.

        Where the heir is in a thread, that wakes up and goes on from there.
        """
        if heir is None:
            return
        if heir.wake is not None:
            self.clock.wake(heir.wake)
            heir.wake = None
            return
        self.step_done(heir)
        self.call_soon(heir)
