"""Threads beside an event loop: what ``to_thread``, FastAPI's ``def`` and libuv's pool run on.

A coroutine gives an executor an errand and awaits it. What its thread has done reaches the loop as
``call_soon_threadsafe`` does it: a handle is put into the ready queue, and a byte into a pipe wakes
the loop if it sleeps. That handle resolves the future in one iteration, and the coroutine goes on
in the next.

A call that has begun is not interrupted: if its client gives up, it keeps its thread (and its
token) until it returns. One that waits for a thread or for a token is taken out.

Python's default executor is here; AnyIO's threads and libuv's pool have files of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.carry import book_start, carry
from simsched.sim.clock import Process
from simsched.sim.task import RUN_QUEUE, Task

if TYPE_CHECKING:
    from simpy.events import Event

    from simsched.schedulers.event_loop import EventLoop

# How far an errand has come.
NEW, ASKS, WAITS, QUEUED, RUNS, DONE, DROPPED = range(7)


class Errand:
    """What a coroutine has done by a thread: its steps from here to ``end``."""

    __slots__ = ("end", "executor", "granted", "hops", "since_s", "slow", "stage", "worker")

    def __init__(self, executor: Executor, end: int, *, hops: int = 1, slow: bool = False) -> None:
        self.executor = executor
        self.end = end
        self.hops = hops  # how often it still goes to a thread; only the last time does anything
        self.slow = slow  # "slow I/O" of libuv
        self.stage = NEW
        self.since_s = 0.0  # when it began to wait
        self.granted = False  # it has a token
        self.worker: Worker | None = None


class Worker:
    """One thread of an executor."""

    __slots__ = ("asleep", "idle_since_s", "job", "over", "thread")

    def __init__(self, executor: Executor, name: str) -> None:
        self.thread = executor.loop.machine.thread(name)
        self.asleep: Event | None = None
        self.job: Task | None = None  # handed to this thread
        self.idle_since_s = 0.0
        self.over = False


class Executor(ABC):
    """Threads that run errands of the coroutines on one loop."""

    def __init__(self, loop: EventLoop, name: str, limit: int) -> None:
        self.loop = loop
        self.name = name
        self.pool = f"pool:{name}"  # what observers know it as
        self.limit = limit
        self.clock = loop.clock
        self.observers = loop.observers
        self.size = 0  # threads that there are
        self.created = 0
        pools = loop.machine.pools
        pools[self.pool] = pools.get(self.pool, 0) + limit

    # -- what coroutines call ----------------------------------------------------------------

    @abstractmethod
    def submit(self, task: Task, errand: Errand) -> None:
        """The coroutine awaits its errand from now on."""

    def resumed(self, task: Task, errand: Errand) -> bool:
        """The loop resumes the coroutine; False if it has to go on waiting."""
        return True

    @abstractmethod
    def cancel(self, task: Task, errand: Errand) -> bool:
        """Take out what has not begun, and resume the coroutine; False if it has begun."""

    def reported(self, task: Task, errand: Errand) -> None:  # noqa: B027 - most do nothing
        """The loop resolves the future of an errand that is done."""

    # -- threads -----------------------------------------------------------------------------

    def start_thread(self) -> Worker:
        """One more thread."""
        self.size += 1
        self.created += 1
        self.observers.threads(self.clock.now, 1)
        worker = Worker(self, f"{self.name}-{self.created}")
        self.clock.process(self._thread(worker))
        return worker

    @abstractmethod
    def next_job(self, worker: Worker) -> Task | None:
        """What a thread that looks for work finds."""

    def idles(self, worker: Worker, *, again: bool) -> None:  # noqa: B027 - not all count them
        """A thread has found nothing and sleeps; ``again`` if it was woken for nothing."""

    def _thread(self, worker: Worker) -> Process:
        clock, thread = self.clock, worker.thread
        create_s: float = self.loop.spec.thread_create_s
        wait = thread.run(create_s)
        if wait is not None:
            yield wait
        woken, again = True, False
        while True:
            if clock.settling():
                yield clock.settle()
            task = self.next_job(worker)
            if task is not None:
                if woken:
                    book_start(self.loop, thread, task, create_s)
                yield from self._run(worker, task)
                create_s, woken, again = 0.0, False, False
                continue
            if create_s:
                self.observers.overhead(clock.now, create_s)
                create_s = 0.0
            thread.sleep()
            worker.asleep = asleep = clock.event()
            worker.idle_since_s = clock.now
            self.idles(worker, again=again)
            yield asleep
            woken = again = True
            if worker.over:
                thread.sleep()
                return

    def wake(self, worker: Worker) -> None:
        """Signal a thread that sleeps; it needs a core before it can look."""
        asleep, worker.asleep = worker.asleep, None
        if asleep is not None:
            worker.thread.wake_with(asleep)

    def _run(self, worker: Worker, task: Task) -> Process:
        """Carry the errand out, and tell the loop."""
        loop, errand = self.loop, task.worker
        assert isinstance(errand, Errand)
        errand.stage, errand.worker = RUNS, worker
        self._taken(errand)
        end = errand.end if errand.hops == 1 else task.pc
        inner = errand.hops == 1 and end < len(task.ops)  # between an OFFLOAD and its RETURN
        if inner:
            loop.step_done(task)
        yield from carry(loop, worker.thread, task, loop.spec.thread_hop_s, end)
        if inner and task.pc == end and loop.detailed and not task.cancelled:
            self.observers.step_started(self.clock.now, task)
        errand.stage = DONE
        self._given_back(errand)
        self.observers.moved(self.clock.now, task, "")
        loop.enter(task, RUN_QUEUE)
        loop.call_soon_threadsafe(task)

    def _taken(self, errand: Errand) -> None:
        """A thread begins with an errand that has waited for one."""
        now = self.clock.now
        self.observers.resource(now, self.pool, 1)
        self.observers.resource_waited(now, self.pool, now - errand.since_s)

    def _given_back(self, errand: Errand) -> None:
        self.observers.resource(self.clock.now, self.pool, -1)


class DefaultExecutor(Executor):
    """``asyncio.to_thread``, ``loop.run_in_executor(None, ...)``: ``ThreadPoolExecutor``.

    CPython 3.13 Lib/concurrent/futures/thread.py. ``submit`` puts the call into an unbounded
    first-come-first-served queue. If a thread has said that it is idle (a semaphore counts them),
    that is all; else one more thread is started while there are fewer than ``max_workers``. Threads
    never end. One that ends its call takes the head of the queue at once, even if another thread
    has been woken for it: that one waits again, but its place in the semaphore is gone.
    """

    def __init__(self, loop: EventLoop, limit: int) -> None:
        super().__init__(loop, "executor", limit)
        self.queue: deque[tuple[Task, Errand]] = deque()
        self.sleeping: deque[Worker] = deque()  # in SimpleQueue.get, the longest waiting first
        self.idle_tokens = 0  # the semaphore _idle_semaphore

    def submit(self, task: Task, errand: Errand) -> None:
        loop = self.loop
        errand.stage, errand.since_s = QUEUED, self.clock.now
        self.observers.moved(self.clock.now, task, self.pool)
        loop.enter(task, RUN_QUEUE)
        if loop.detailed:
            self.observers.queued(self.clock.now, task, self.pool)
        self.queue.append((task, errand))
        if self.sleeping:
            self.wake(self.sleeping.popleft())
        self._adjust_thread_count()

    def _adjust_thread_count(self) -> None:
        if self.idle_tokens:
            self.idle_tokens -= 1
        elif self.size < self.limit:
            self.start_thread()

    def next_job(self, worker: Worker) -> Task | None:
        while self.queue:
            task, errand = self.queue.popleft()
            if self.loop.detailed:
                self.observers.dequeued(self.clock.now, task, self.pool)
            if errand.stage == QUEUED:
                return task
        return None

    def idles(self, worker: Worker, *, again: bool) -> None:
        if not again:
            self.idle_tokens += 1
        self.sleeping.append(worker)

    def cancel(self, task: Task, errand: Errand) -> bool:
        if errand.stage != QUEUED:
            return False
        errand.stage = DROPPED  # its place in the queue stays: a call that does nothing
        return True
