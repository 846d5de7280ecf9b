"""gunicorn's ``sync`` workers: one request at a time per process, and no queue but the kernel's.

Follows gunicorn 26 and 27, ``workers/sync.py`` (``run_for_one``) and ``arbiter.py``
(``murder_workers``). This is one worker; ``processes`` says how many of them share the listening
socket.

- A worker accepts, reads, runs the application, writes, closes, and accepts again *without* asking
  whether a connection waits. Only when there is none (EAGAIN) does it go to ``select``. So what
  waits, waits in the accept queue, which all workers share and which is first come, first served.
- All workers in ``select`` are woken by a new connection, and one of them gets it; the others find
  nothing and go back. Which one it is, is chance.
- Keep-alive is ignored: the connection is closed after its response.
- A worker shows that it lives between two requests, never during one. The arbiter looks every
  second; a worker that has not been seen for more than ``timeout`` gets SIGABRT. Its request fails
  with it, and another worker is forked, which is of use only when it has imported the application.
  So a request may last for ``timeout`` and no longer, whether it computes or waits.

Simplified: SIGABRT ends a worker at once. Native code that does not come back to the interpreter
lives until the arbiter's next look, one second later, and is killed then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

import simpy
from simpy.events import Event

from simsched.schedulers.base import Scheduler
from simsched.schedulers.carry import book_start, carry, end_carried
from simsched.sim.clock import DISPATCH, Call, Process
from simsched.sim.task import BLOCKING, CPU, IO, LOCK, OVERHEAD, RESOURCE, RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import SyncWorkersSpec
    from simsched.sim.machine import Machine
    from simsched.sim.network import Connection
    from simsched.sim.os_thread import OsThread
    from simsched.workload.program import Op

LOOK_EVERY_S = 1.0  # gunicorn arbiter.py, run: wait_for_signals(timeout=1.0)

_DRAWS = 1024


class SyncWorker(Scheduler):
    """One worker process, and what the arbiter does about it."""

    kind: ClassVar[str] = "sync_workers"
    listens: ClassVar[bool] = True
    keeps_alive: ClassVar[bool] = False

    def __init__(self, machine: Machine, spec: SyncWorkersSpec) -> None:
        super().__init__(machine, spec)
        self.thread: OsThread
        self.selecting: Event | None = None  # what it sleeps on, in select
        self.task: Task | None = None  # the request it works on
        self.awaited: Connection | None = None  # accepted, and the request has not come yet
        self.seen_s = 0.0  # its last heartbeat
        self.lost_since_s: float | None = None  # since when it has done nothing of use
        self._booting = False
        self._busy = False
        self._life: simpy.Process
        self._select_timer: Call | None = None
        self._rng = machine.stream("select")
        self._drawn: list[float] = []

    @property
    def worker_limit(self) -> int | None:
        return 1

    def held_phases(self) -> frozenset[int]:
        return frozenset({RUN_QUEUE, CPU, IO, BLOCKING, RESOURCE, LOCK, OVERHEAD})

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        return op_code.inline(ops)

    def start(self) -> None:
        self._fork(boots=False)
        if self.spec.timeout_s:
            self._arm_arbiter()

    # -- what comes from outside -------------------------------------------------------------

    def submit(self, task: Task) -> None:
        """It has read a request."""
        self.task = task

    def cancel(self, task: Task) -> None:
        """Nobody tells a worker: it will notice when its call returns."""

    def connection_waits(self) -> None:
        if self.selecting is not None:
            self._wake()

    def readable(self, connection: Connection) -> None:
        """What it waits for in ``recv``."""
        if connection is self.awaited:
            self._wake()

    def closed(self, connection: Connection) -> None:
        """It accepts another one in any case; but it may be waiting for this one's request."""
        if connection is self.awaited:
            self._wake()

    def _wake(self) -> None:
        token, self.selecting = self.selecting, None
        if self.awaited is not None:
            self.awaited = None
        assert token is not None
        self.thread.wake_with(token)

    # -- the worker --------------------------------------------------------------------------

    def _fork(self, *, boots: bool) -> None:
        self.thread = self.machine.thread("worker")
        self.observers.threads(self.clock.now, 1)
        self.seen_s = self.clock.now  # the file of its heartbeat is made when it is forked
        self._booting = boots
        self._life = self.clock.process(self._run())

    def _run(self) -> Process:
        clock, thread, accept_s = self.clock, self.thread, self.spec.accept_s
        if self._booting:
            yield from self._boot()
        while True:
            self.seen_s = clock.now
            if accept_s:
                cost_s, waited_s = thread.cost_s, thread.waited_s  # of its wake-up, if it slept
                stopped_s = thread.stopped_s
                wait = thread.run(accept_s)
                if wait is not None:
                    yield wait
                thread.cost_s += cost_s
                thread.waited_s += waited_s
                thread.stopped_s += stopped_s
            if clock.settling():
                yield clock.settle()
            connection = self.accept()
            if connection is not None:
                yield from self._handle(connection)
                thread.cost_s = thread.waited_s = thread.stopped_s = 0.0
                continue
            if accept_s:
                self.observers.overhead(clock.now, accept_s)
            self._rest()
            yield self._sleep_in_select()

    def _boot(self) -> Process:
        """Import the application."""
        wait = self.thread.run(self.spec.startup_s)
        if wait is not None:
            yield wait
        self.observers.overhead(self.clock.now, self.spec.startup_s)
        self._booting = False
        self._found_again(self.clock.now)

    def _handle(self, connection: Connection) -> Process:
        thread, accept_s = self.thread, self.spec.accept_s
        if connection.open and connection.request is None:
            self.observers.overhead(self.clock.now, accept_s)
            accept_s = 0.0
            self._rest()
            yield self._await_request(connection)
        task = self.read(connection)
        if task is None:  # the client has closed it
            self.observers.overhead(self.clock.now, accept_s)
            return
        book_start(self, thread, task, accept_s)
        if not self._busy:
            self._busy = True
            self.observers.busy(self.clock.now, thread.name, 1)
        yield from carry(self, thread, task, self.spec.request_s, len(task.ops))
        self.task = None
        end_carried(self, task)

    def _await_request(self, connection: Connection) -> Event:
        """A client has connected and says nothing: the worker is there for nobody else."""
        self.awaited = connection
        self.thread.sleep()
        self.selecting = token = self.clock.event()
        return token

    def _rest(self) -> None:
        if self._busy:
            self._busy = False
            self.observers.busy(self.clock.now, self.thread.name, -1)

    # -- select ------------------------------------------------------------------------------

    def _sleep_in_select(self) -> Event:
        assert self.network is not None
        self.thread.sleep()
        self.selecting = token = self.clock.event()
        self.seen_s = self.clock.now
        # Whoever is woken first wins, unless the cores decide otherwise. A random place among the
        # others makes the order of those who sleep uniformly random.
        turns = self.network.turns
        if len(turns) > 1:
            turns.remove(self)
            turns.insert(int(self._draw() * (len(turns) + 1)), self)
        if self._select_timer is None and self.spec.timeout_s:
            self._arm_select()
        return token

    def _draw(self) -> float:
        if not self._drawn:
            self._drawn = self._rng.random(_DRAWS).tolist()
        return self._drawn.pop()

    def _arm_select(self) -> None:
        due_s = self.seen_s + self.spec.timeout_s / 2
        self._select_timer = self.clock.call_at(due_s, DISPATCH, self._select_ends)

    def _select_ends(self, _: Call) -> None:
        """One timer per worker, set anew only when it fires: idle periods are short and many."""
        self._select_timer = None
        if self.selecting is None or self.awaited is not None:
            return  # it is busy; its next select sets a timer
        if self.seen_s + self.spec.timeout_s / 2 > self.clock.now:
            self._arm_select()
        else:
            self._wake()

    # -- the arbiter -------------------------------------------------------------------------

    def _arm_arbiter(self) -> None:
        """It looks every second; the looks before the time-out cannot find anything."""
        looks = math.floor((self.seen_s + self.spec.timeout_s) / LOOK_EVERY_S) + 1
        self.clock.call_at(looks * LOOK_EVERY_S, DISPATCH, self._arbiter_looks)

    def _arbiter_looks(self, _: Call) -> None:
        if self.clock.now - self.seen_s > self.spec.timeout_s:
            self._abort()
            self._fork(boots=True)
        self._arm_arbiter()

    def _abort(self) -> None:
        """The worker dies, and with it whatever it was doing."""
        clock, thread = self.clock, self.thread
        now = clock.now
        self.observers.counted("workers_killed", 1)
        if self.lost_since_s is None:
            self.lost_since_s = self.seen_s
        self._book_half_done(now)
        life = self._life.target
        if life.callbacks is not None:
            life.callbacks = []
        self.host.kill([thread])
        self._rest()
        self.observers.threads(now, -1)
        self.selecting = self.awaited = None
        task, self.task = self.task, None
        if task is not None:
            self._let_go(task)
            self.clients.failed(task)
        assert self.network is not None
        self.network.reset(self)

    def _book_half_done(self, now: float) -> None:
        """What the run that is cut short has used, and waited for."""
        thread, task = self.thread, self.task
        if task is not None and task.phase == CPU:
            thread.cost_s, thread.waited_s, thread.gil_s = thread.so_far(now)
            self.observers.worked(now, task, 0.0, thread)
        elif self._booting:
            self._book_boot(now)

    def _book_boot(self, now: float) -> None:
        thread = self.thread
        if thread.event is None:
            return  # forked at this very instant
        on_core = thread.core is not None
        left_s = thread.left_s
        if on_core:
            left_s = (thread.end_s - max(now, thread.start_s)) / thread.pace
        if left_s < self.spec.startup_s:
            self.observers.overhead(now, self.spec.startup_s - left_s)

    def _let_go(self, task: Task) -> None:
        """The connections to databases that it had are closed, and others take their place."""
        op = task.ops[task.pc] if task.pc < len(task.ops) else None
        if op is not None and op.code == op_code.ACQUIRE:
            self.resources[op.arg].withdraw(task)
        for heir in self.drop_held(task):
            self.granted(heir)

    def _found_again(self, now: float) -> None:
        if self.lost_since_s is not None:
            self.observers.spent("lost_worker_s", now - self.lost_since_s)
            self.lost_since_s = None

    def end(self, now: float) -> None:
        if self._booting:
            self._book_boot(now)
        self._found_again(now)
