"""Threads of Reactor's schedulers: executors of one thread each, and ``Schedulers.parallel()``.

reactor-core makes both ``parallel()`` and ``boundedElastic()`` of
``ScheduledThreadPoolExecutor(1)``: one thread with a queue of its own, first come, first served.
Nothing is stolen: a task that was put behind a long one waits for it, however idle the other
threads are. What sets the two apart is how a thread is picked
(:mod:`simsched.schedulers.bounded_elastic`): ``parallel()`` takes its threads in turns.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.carry import book_start
from simsched.sim.clock import Process

if TYPE_CHECKING:
    from simpy.events import Event

    from simsched.schedulers.signals import Signals
    from simsched.sim.task import Task


class Worker:
    """A thread that runs pipelines, and what it owes for bookkeeping."""

    def __init__(self, owner: Signals, name: str, place: str, number: int = 0) -> None:
        self.owner = owner
        self.name = name
        self.place = place  # what observers know it as
        self.number = number  # among the threads there, of which no other does its work; from 1
        self.thread = owner.machine.thread(name)
        self.owed_s = 0.0
        self.asleep: Event | None = None

    def wake(self) -> None:
        """It needs a core before it can look."""
        asleep, self.asleep = self.asleep, None
        if asleep is not None:
            self.thread.wake_with(asleep)


class SingleThread(Worker):
    """``ScheduledThreadPoolExecutor(1)``: one thread, started by the first task, and its queue."""

    def __init__(self, owner: Signals, name: str, place: str, number: int) -> None:
        super().__init__(owner, name, place, number)
        self.queue: deque[Task] = deque()
        self.dropped: set[Task] = set()  # those in the queue that were taken back
        self.started = False
        self.over = False
        self.runs: Task | None = None

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return len(self.queue) - len(self.dropped)

    def put(self, task: Task) -> None:
        """A task joins the queue."""
        owner = self.owner
        task.left_s = owner.clock.now  # since when it waits
        if owner.detailed:
            owner.observers.queued(owner.clock.now, task, self.name)
        self.queue.append(task)
        if not self.started:
            self.started = True
            owner.observers.threads(owner.clock.now, 1)
            owner.clock.process(self._live())
        else:
            self.wake()

    def take_back(self, task: Task) -> None:
        """A task that waits is cancelled: its place in the queue is passed over."""
        self.dropped.add(task)

    def end(self) -> None:
        """The thread ends; it has nothing to do."""
        self.over = True
        self.owner.observers.threads(self.owner.clock.now, -1)
        self.wake()

    def done(self) -> None:
        """What a task had this thread do has been done."""

    def _next(self) -> Task | None:
        owner = self.owner
        while self.queue:
            task = self.queue.popleft()
            if owner.detailed:
                owner.observers.dequeued(owner.clock.now, task, self.name)
            if task not in self.dropped:
                return task
            self.dropped.remove(task)
        return None

    def _live(self) -> Process:
        owner, thread = self.owner, self.thread
        clock, observers = owner.clock, owner.observers
        create_s: float = owner.spec.thread_create_s
        wait = thread.run(create_s)
        if wait is not None:
            yield wait
        woken = True
        while not self.over:
            if clock.settling():
                yield clock.settle()
            task = self._next()
            if task is not None:
                if woken:
                    book_start(owner, thread, task, create_s)
                create_s, woken = 0.0, False
                yield from self._run(task)
                continue
            if create_s:
                observers.overhead(clock.now, create_s)
                create_s = 0.0
            thread.sleep()
            self.asleep = asleep = clock.event()
            yield asleep
            woken = True
        if create_s:  # its only task was cancelled long ago
            observers.overhead(clock.now, create_s)
        thread.sleep()

    def _run(self, task: Task) -> Process:
        owner, now = self.owner, self.owner.clock.now
        observers = owner.observers
        observers.resource(now, self.place, 1)
        observers.resource_waited(now, self.place, now - task.left_s)
        self.runs = task
        self.owed_s += owner.spec.hop_s
        yield from owner.run_job(self, task)
        self.runs = None
        observers.resource(owner.clock.now, self.place, -1)
        self.done()


class Parallel:
    """``Schedulers.parallel()``: as many threads as cores, picked in turns.

    reactor-core ParallelScheduler.java, ``pick``. ``Mono.delay`` ends here, and what follows runs
    here. It is for code that does not block: a thread that does keeps its queue waiting.
    """

    PLACE = "pool:parallel"

    def __init__(self, owner: Signals, size: int) -> None:
        self.threads = [
            SingleThread(owner, f"parallel-{i}", self.PLACE, i) for i in range(1, size + 1)
        ]
        self.turn = 0
        owner.machine.pools[self.PLACE] = owner.machine.pools.get(self.PLACE, 0) + size

    def pick(self) -> SingleThread:
        """The next one."""
        picked = self.threads[self.turn]
        self.turn = (self.turn + 1) % len(self.threads)
        return picked
