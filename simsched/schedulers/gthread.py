"""gunicorn's ``gthread`` worker: one thread that watches connections, and a pool that answers.

Follows gunicorn 26 and 27, ``workers/gthread.py``, and the pool it uses, CPython's
``concurrent.futures.ThreadPoolExecutor``. This is one worker process; ``processes`` says how many
of them share the listening socket.

- The main thread goes round a selector. In one round it accepts *one* connection, if it has fewer
  than ``worker_connections``; submits each connection that has become readable to the pool; and
  takes back those that the pool is done with, to watch or to close them.
- A new connection is submitted without a look whether the client has sent anything. The pool's
  thread waits up to ``first_bytes`` for it, and only then hands the connection back as "pending".
  So clients that connect and say nothing take threads.
- The pool's queue is first in, first out, and has no bound but ``worker_connections``. What is
  beyond, is left in the kernel's accept queue.
- All threads share one interpreter lock, the main thread as well: a request that computes delays
  not only the others but also their being accepted. There is no time-out for requests, as the main
  thread shows that the worker lives.

A thread is started for a submission as long as there are fewer than ``threads`` and none is free.
All that the main thread does in one round is paid for together, before it takes effect: nobody else
could do anything before it lets go of the lock.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from simpy.events import Event

from simsched.schedulers.base import Scheduler
from simsched.schedulers.carry import book_start, carry, end_carried
from simsched.sim.clock import IO_DONE, Call, Process
from simsched.sim.gil import Gil
from simsched.sim.task import BLOCKING, CPU, GIL, IO, LOCK, OVERHEAD, RESOURCE, RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import GthreadSpec
    from simsched.sim.machine import Machine
    from simsched.sim.network import Connection
    from simsched.workload.program import Op


class GthreadThread:
    """A thread of the pool, and what it sleeps on."""

    __slots__ = ("awaits", "thread", "token", "woken")

    def __init__(self, machine: Machine, name: str) -> None:
        self.thread = machine.thread(name)
        self.token: Event | None = None
        self.awaits: Connection | None = None  # whose first bytes it waits for
        self.woken = False  # and has not yet told what that took


class Gthread(Scheduler):
    """One worker process: the main thread, the selector and the pool."""

    kind: ClassVar[str] = "gthread"
    listens: ClassVar[bool] = True

    def __init__(self, machine: Machine, spec: GthreadSpec) -> None:
        super().__init__(machine, spec)
        if spec.gil:
            machine.gil = Gil(machine, spec.switch_interval_s)
        self.main = machine.thread("main")
        self.selecting: Event | None = None  # what the main thread sleeps on, in select
        self.watched: set[Connection] = set()  # registered with the selector, and quiet
        self.readable_ones: deque[Connection] = deque()
        self.finished: deque[Connection] = deque()  # handed back through the pipe
        self.queue: deque[tuple[Connection, Task | None]] = deque()
        self.idle: deque[GthreadThread] = deque()
        self.awaiting: dict[Connection, GthreadThread] = {}
        self.n_threads = 0
        self.n_handling = 0  # threads that have a connection
        self.n_free = 0  # threads that are idle, or about to be, for which nothing was submitted

    @property
    def worker_limit(self) -> int | None:
        return int(self.spec.threads)

    def held_phases(self) -> frozenset[int]:
        return frozenset({RUN_QUEUE, CPU, IO, BLOCKING, RESOURCE, LOCK, GIL, OVERHEAD})

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return op_code.inline(ops)

    def start(self) -> None:
        self.clock.process(self._watch())

    # -- what comes from outside -------------------------------------------------------------

    def submit(self, task: Task) -> None:
        """A thread of the pool has read a request, and knows what to do with it."""

    def cancel(self, task: Task) -> None:
        """Nobody tells a thread: it will notice when its call returns."""

    def connection_waits(self) -> None:
        if self.may_accept():  # else the listener is not among what the selector watches
            self._wake_main()

    def readable(self, connection: Connection) -> None:
        if connection in self.watched:
            self.watched.remove(connection)
            self.readable_ones.append(connection)
            self._wake_main()
        else:
            self._first_bytes(connection)

    def closed(self, connection: Connection) -> None:
        self.watched.discard(connection)
        self._first_bytes(connection)  # or the news that there will be none
        super().closed(connection)

    # -- the main thread ---------------------------------------------------------------------

    def may_accept(self) -> bool:
        """Whether a connection waits, and there is room for it."""
        network = self.network
        assert network is not None
        most = network.listen.max_connections
        return bool(network.listener.queue) and (most is None or len(self.connections) < most)

    def _wake_main(self) -> None:
        if self.selecting is not None:
            token, self.selecting = self.selecting, None
            self.main.wake_with(token)

    def _watch(self) -> Process:
        """``ThreadWorker.run``: the rounds of the selector."""
        clock, main, spec = self.clock, self.main, self.spec
        assert self.network is not None
        while True:
            if clock.settling():
                yield clock.settle()
            accepts = self.may_accept()
            readable = len(self.readable_ones)
            finished = len(self.finished)
            if not (accepts or readable or finished):
                main.sleep()
                self.selecting = token = clock.event()
                self.network.slept(self)
                yield token
                continue
            cost_s = accepts * spec.accept_s + (accepts + readable + finished) * spec.dispatch_s
            if cost_s:
                wait = main.run(cost_s)
                if wait is not None:
                    yield wait
                self.observers.overhead(clock.now, cost_s)
            for _ in range(finished):
                self._take_back(self.finished.popleft())
            for _ in range(readable):
                self._enqueue(self.readable_ones.popleft())
            connection = self.accept() if accepts else None
            if connection is not None and connection.open:
                self._enqueue(connection)

    def _take_back(self, connection: Connection) -> None:
        """``finish_request``: watch the connection from now on, unless it is closed."""
        if not connection.open or connection.process is not self:
            return
        assert self.network is not None
        if connection.request is not None:  # the next request has come already
            self.readable_ones.append(connection)
        else:
            self.watched.add(connection)
            if not connection.served:  # "pending": it has as long as one that is kept alive
                self.network.idles(connection)

    # -- the pool ----------------------------------------------------------------------------

    def _enqueue(self, connection: Connection) -> None:
        """``executor.submit``."""
        task = connection.request
        if task is not None:
            task.process = self.machine.process  # whose queue it is in
        if self.detailed and task is not None:
            self.observers.queued(self.clock.now, task, "pool")
        self.queue.append((connection, task))
        if self.n_free:
            self.n_free -= 1
        elif self.n_threads < self.spec.threads:
            self._add_thread()
        if self.idle:
            self._signal(self.idle.popleft())

    def _add_thread(self) -> None:
        self.n_threads += 1
        self.observers.threads(self.clock.now, 1)
        mine = GthreadThread(self.machine, f"thread-{self.n_threads}")
        self.clock.process(self._work(mine))

    def _take(self) -> Connection:
        connection, task = self.queue.popleft()
        if self.detailed and task is not None:
            self.observers.dequeued(self.clock.now, task, "pool")
        return connection

    def _signal(self, pool_thread: GthreadThread) -> None:
        token, pool_thread.token = pool_thread.token, None
        assert token is not None
        pool_thread.woken = True
        pool_thread.thread.wake_with(token)

    def _work(self, mine: GthreadThread) -> Process:
        """``concurrent.futures.thread._worker``."""
        clock, thread, create_s = self.clock, mine.thread, self.spec.thread_create_s
        wait = thread.run(create_s)
        if wait is not None:
            yield wait
        if create_s:
            self.observers.overhead(clock.now, create_s)
        mine.woken = True
        busy = again = False  # again: woken for nothing
        while True:
            if clock.settling():
                yield clock.settle()
            if self.queue:
                again = False
                if not busy:
                    busy = True
                    self.observers.busy(clock.now, thread.name, 1)
                self.n_handling += 1
                yield from self._handle(mine, self._take())
                self.n_handling -= 1
                continue
            if busy:
                busy = False
                self.observers.busy(clock.now, thread.name, -1)
            self.n_free += not again
            again = True
            thread.sleep()
            mine.token = token = clock.event()
            self.idle.append(mine)
            yield token

    def _handle(self, mine: GthreadThread, connection: Connection) -> Process:
        """``ThreadWorker.handle``: one request, or the wait for one that does not come."""
        thread = mine.thread
        if connection.open and connection.request is None:
            yield self._await_first_bytes(mine, connection)
        task = self.read(connection)
        if task is not None:
            if mine.woken:
                book_start(self, thread, task, 0.0)
            mine.woken = False
            yield from carry(self, thread, task, self.spec.request_s, len(task.ops))
            end_carried(self, task)
        self.finished.append(connection)
        self._wake_main()

    # -- connections on which nothing has come yet -------------------------------------------

    def _await_first_bytes(self, mine: GthreadThread, connection: Connection) -> Event:
        mine.thread.sleep()
        mine.token = token = self.clock.event()
        mine.awaits = connection
        self.awaiting[connection] = mine
        self.clock.call_at(
            self.clock.now + self.spec.first_bytes_s,
            IO_DONE | connection.id,
            self._no_bytes,
            (mine, token),
        )
        return token

    def _first_bytes(self, connection: Connection) -> None:
        mine = self.awaiting.pop(connection, None)
        if mine is not None:
            mine.awaits = None
            self._signal(mine)

    def _no_bytes(self, call: Call) -> None:
        mine, token = call.arg
        if mine.token is token and mine.awaits is not None:
            self.observers.counted("connections_deferred", 1)
            self._first_bytes(mine.awaits)
