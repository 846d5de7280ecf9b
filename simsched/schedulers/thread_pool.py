"""A pool of OS threads: one request at a time per thread, whatever the request waits for.

Follows ``java.util.concurrent.ThreadPoolExecutor`` (``execute``, ``getTask``,
``processWorkerExit``) and Tomcat's ``TaskQueue``/``ThreadPoolExecutor``; the two differ in
admission only (:mod:`simsched.schedulers.pool_policies`).

- One queue, first in, first out. Idle threads wait on it in the order in which they became idle.
- Putting a task into an *empty* queue signals the longest idle thread, which then needs a core to
  look into the queue; whoever takes a task and leaves others behind signals the next one. So the
  threads that a burst needs wake one after the other. A busy thread that ends its task in the
  meantime takes the queue's head without asking: the woken one finds nothing and waits again. That
  is how ``java.util.concurrent.LinkedBlockingQueue`` behaves.
- Signalled threads need the queue's ``takeLock``, and ``AbstractQueuedSynchronizer`` unparks only
  the first of those that line up for it. While that one waits for a core, the lock is free for
  threads that end a task, but the others in line sleep on. So in overload about one thread per
  round of the run queue joins those at work, and tasks wait in the queue although threads idle.
- A blocked thread keeps its place in the pool: I/O, sleeps, and waits for connections or locks all
  hold it. The operating system shares the cores among the threads that are runnable.
- A pool does not know time-outs. A thread in a blocking call stays there until the call returns;
  only then is a cancelled request dropped. One that is still queued is dropped when a thread
  takes it.

Threads of a *puller* have no queue and no submitter: each takes the next arrival of a list, sleeps
until it is due, and runs it. They take arrivals in order, so that the next one is always of the
thread that has slept longest, which its timer wakes (late by the kernel's slack). A thread that
comes late, because all were busy, runs it at once.

The threads of a Python process share an interpreter lock (:mod:`simsched.sim.gil`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from simpy.events import Event

from simsched.schedulers.base import Scheduler
from simsched.schedulers.carry import book_start, carry, end_carried
from simsched.schedulers.pool_policies import POLICIES, Policy
from simsched.schedulers.reader import Reader
from simsched.sim.clock import DISPATCH, IO_DONE, Call, Process
from simsched.sim.gil import Gil
from simsched.sim.task import BLOCKING, CPU, GIL, IO, LOCK, OVERHEAD, RESOURCE, RUN_QUEUE, Task
from simsched.workload import program

if TYPE_CHECKING:
    from simsched.scenario import ThreadPoolSpec
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op


class PoolThread:
    """A thread of the pool, and what it waits on while idle."""

    __slots__ = ("exits", "given", "idle_since_s", "thread", "timer", "token")  # fmt: skip

    def __init__(self, machine: Machine, name: str) -> None:
        self.thread = machine.thread(name)
        self.token: Event | None = None
        self.given: Task | None = None  # handed over directly, past the queue
        self.exits = False
        self.idle_since_s = 0.0
        self.timer: Call | None = None


class ThreadPool(Scheduler):
    """Threads, the queue before them, and the submitter that fills it."""

    kind: ClassVar[str] = "thread_pool"

    def __init__(self, machine: Machine, spec: ThreadPoolSpec) -> None:
        super().__init__(machine, spec)
        if spec.gil:
            machine.gil = Gil(machine, spec.switch_interval_s)
        self.policy: Policy = POLICIES[spec.policy](spec, machine.cores)
        self.queue: deque[Task] = deque()
        self.idle: deque[PoolThread] = deque()
        self.in_line: deque[PoolThread] = deque()  # signalled, asleep until the lock is passed on
        self.unparked: PoolThread | None = None  # the first in line, awake but without the lock
        self.size = 0
        self.submitted = 0  # tasks queued or running
        self.submitter = PoolThread(machine, "submitter")
        self.submitter_runs = False
        self.backlog: deque[Task] = deque()  # arrivals while the submitter runs a task itself
        self._created = 0
        self.pulls = spec.ingress == "puller"
        self.reader = Reader(machine, spec, self._admit) if spec.ingress == "reader" else None

    @property
    def worker_limit(self) -> int | None:
        return self.policy.limit

    def held_phases(self) -> frozenset[int]:
        return frozenset({RUN_QUEUE, CPU, IO, BLOCKING, RESOURCE, LOCK, GIL, OVERHEAD})

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return program.inline(ops)

    def start(self) -> None:
        if self.reader is not None:
            self.reader.start()
        n_threads = self.policy.prestarted
        if self.pulls:
            assert self.policy.limit is not None
            n_threads = self.policy.limit
        for _ in range(n_threads):
            self.add_thread(None, started=True)

    # -- admission ---------------------------------------------------------------------------

    def submit(self, task: Task) -> None:
        if self.reader is not None:
            self.reader.notify(task)
        elif self.pulls:
            self._is_due(task)
        else:
            self._admit(task)

    def _is_due(self, task: Task) -> None:
        """The time of an arrival has come, for the thread that sleeps until then, if one does."""
        self.submitted += 1
        if not self.idle:
            self.queue.append(task)
            if self.detailed:
                self.observers.queued(self.clock.now, task, "pool")
            return
        puller = self.idle.popleft()
        puller.given = task
        late_s = self.clock.now + self.host.timer_slack_s
        self.clock.call_at(late_s, IO_DONE | task.index, self._timer_ends, puller)

    def _timer_ends(self, call: Call) -> None:
        self._signal(call.arg)

    def _admit(self, task: Task) -> None:
        if self.submitter_runs:
            self.backlog.append(task)
            return
        if self.policy.execute(self, task) is not None:
            self.submitter_runs = True
            self.clock.process(self._caller_runs(task))

    def add_thread(self, first: Task | None, *, started: bool = False) -> None:
        """Start a thread, with its first task if it was made for one."""
        self._created += 1
        self.size += 1
        self.observers.threads(self.clock.now, 1)
        pool_thread = PoolThread(self.machine, f"thread-{self._created}")
        if first is not None:
            self.submitted += 1
        self.clock.process(self._work(pool_thread, first, started))

    def enqueue(self, task: Task) -> None:
        """Put a task at the tail of the queue; if it is alone there, signal a thread."""
        self.submitted += 1
        self.queue.append(task)
        if self.detailed:
            self.observers.queued(self.clock.now, task, "pool")
        if self.idle and len(self.queue) == 1:
            self._line_up(self.idle.popleft())

    def hand_over(self, task: Task) -> None:
        """Give a task to the longest idle thread directly."""
        self.submitted += 1
        pool_thread = self.idle.popleft()
        pool_thread.given = task
        self._signal(pool_thread)

    def take(self) -> Task:
        """The head of the queue; if others are left in it, the next idle thread is signalled."""
        task = self.queue.popleft()
        if self.detailed:
            self.observers.dequeued(self.clock.now, task, "pool")
        if self.queue and self.idle:
            self._line_up(self.idle.popleft())
        return task

    def reject(self, task: Task) -> None:
        """Refuse a task."""
        self.clients.rejected(task)

    def _caller_runs(self, task: Task | None) -> Process:
        """CallerRunsPolicy: the submitter runs the task, and what arrives meanwhile waits."""
        while task is not None:
            self.submitted += 1
            yield from self._carry(self.submitter, task)
            task = None
            while self.backlog and task is None:
                task = self.policy.execute(self, self.backlog.popleft())
        self.submitter.thread.sleep()
        self.submitter_runs = False

    def cancel(self, task: Task) -> None:
        """Nothing in the pool hears of it: the thread will notice when its call returns."""

    # -- a thread's life ---------------------------------------------------------------------

    def _work(self, mine: PoolThread, task: Task | None, started: bool) -> Process:
        clock, thread = self.clock, mine.thread
        if not started:
            wait = thread.run(self.spec.thread_create_s)
            if wait is not None:
                yield wait
            self._book_start(mine, task, self.spec.thread_create_s)
        busy = False
        while True:
            if task is None:
                if clock.settling():
                    yield clock.settle()
                if self.queue:
                    task = self.take()
            if task is not None:
                if not busy:
                    busy = True
                    self.observers.busy(clock.now, thread.name, 1)
                yield from self._carry(mine, task)
                task = None
                continue
            if busy:
                busy = False
                self.observers.busy(clock.now, thread.name, -1)
            self.policy.falls_idle()
            yield self._await_signal(mine)
            if mine.exits:
                thread.sleep()
                return
            task, mine.given = mine.given, None
            if task is None and self.queue:
                task = self.take()
            if mine is self.unparked:
                self._pass_on()
            self._book_start(mine, task, 0.0)

    def _book_start(self, mine: PoolThread, task: Task | None, overhead_s: float) -> None:
        """Of a task's wait for its thread, tell apart what was overhead and what was queueing."""
        thread, now = mine.thread, self.clock.now
        if task is not None:
            book_start(self, thread, task, overhead_s)
        elif overhead_s:
            self.observers.overhead(now, overhead_s)

    def _await_signal(self, mine: PoolThread) -> Event:
        mine.thread.sleep()
        mine.token = token = self.clock.event()
        mine.idle_since_s = self.clock.now
        self.idle.append(mine)
        if mine.timer is None and not self.pulls and self.policy.may_exit(self):
            due_s = mine.idle_since_s + self.policy.keep_alive_s
            mine.timer = self.clock.call_at(due_s, DISPATCH, self._keep_alive_ends, mine)
        return token

    def _line_up(self, pool_thread: PoolThread) -> None:
        """``Condition.signal``: the thread is to have the lock after those before it."""
        self.in_line.append(pool_thread)
        if self.unparked is None:
            self._pass_on()

    def _pass_on(self) -> None:
        """The lock is released: the first in line is unparked."""
        self.unparked = self.in_line.popleft() if self.in_line else None
        if self.unparked is not None:
            self._signal(self.unparked)

    def _signal(self, pool_thread: PoolThread) -> None:
        token, pool_thread.token = pool_thread.token, None
        assert token is not None
        pool_thread.thread.wake_with(token)

    def _keep_alive_ends(self, call: Call) -> None:
        """One timer per thread, set anew only when it fires: idle periods are short and many."""
        mine: PoolThread = call.arg
        mine.timer = None
        if mine.token is None:
            return  # it is busy; its next wait sets a timer
        due_s = mine.idle_since_s + self.policy.keep_alive_s
        if due_s > self.clock.now:
            mine.timer = self.clock.call_at(due_s, DISPATCH, self._keep_alive_ends, mine)
        elif mine in self.idle and self.policy.may_exit(self):  # one in line has been signalled
            self.idle.remove(mine)
            self.size -= 1
            self.observers.threads(self.clock.now, -1)
            mine.exits = True
            self._signal(mine)
        # Else the pool has shrunk to its core in the meantime: the thread waits on, untimed.

    # -- carrying a task ---------------------------------------------------------------------

    def _carry(self, mine: PoolThread, task: Task) -> Process:
        """Run a task from its first step to its last on one thread."""
        owed_s = self.spec.dispatch_s + self.spec.request_s
        yield from carry(self, mine.thread, task, owed_s, len(task.ops))
        self.submitted -= 1
        end_carried(self, task)
