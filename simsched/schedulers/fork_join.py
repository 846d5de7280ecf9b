"""The fork-join pool: queues, signals, stealing, compensation.

Follows ``java.util.concurrent.ForkJoinPool`` of JDK 25, in asynchronous (FIFO) mode as under
virtual threads, and in the usual (LIFO) one of the common pool. They differ in one thing only: the
owner of a queue takes its oldest task, or its newest.

- ``push`` signals only if the queue appeared empty. ``signalWork`` releases the worker that became
  idle *last*, or creates one while there are fewer than ``parallelism``; it does nothing when
  ``parallelism`` workers are active.
- What workers submit as if from outside goes to a queue of its own for each of them.
- A worker scans all queues from a random start. It takes the *oldest* task, one at a time; if that
  queue holds more, it signals another worker (propagation). Then it runs the task, drains its own
  queue, and goes on with the queue it took the task from while that lasts.
- A worker that finds nothing goes to the idle stack. When all have been idle for the
  keep-alive time, the one that became idle last ends, and 20 ms later the next one, and so on. As
  long as one works or is blocked, none ends (``quiescent``).
- ``tryCompensate``, for calls that announce that they block, is weaker than one spare per blocked
  thread: it wakes an idle worker; else lets the number of active ones fall, down to
  ``minRunnable``; else creates a spare, up to ``maxPoolSize``; else says no. Then a virtual thread
  pins its carrier without compensation, and the common pool throws.
- A worker that joins first runs what is in its own queue, oldest first (``helpAsyncBlocker``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.fork_join_parts import Carrier, WorkQueue
from simsched.schedulers.random_order import RandomOrder
from simsched.sim.clock import DISPATCH, Call, Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.scenario import ForkJoinSpec, VirtualThreadSpec
    from simsched.schedulers.fork_join_parts import Item, Mode, Owner
    from simsched.sim.machine import Machine

TRIM_S = 0.02
"""``TIMEOUT_SLOP``: time between the ends of two workers of a pool that stays idle."""


class ForkJoin:
    """The pool's state. ``active`` counts released workers, ``total`` all of them."""

    def __init__(
        self, owner: Owner, spec: VirtualThreadSpec | ForkJoinSpec, machine: Machine, mode: Mode
    ) -> None:
        cores = machine.cores
        self.owner = owner
        self.machine = machine
        self.clock = machine.clock
        self.observers = machine.observers
        self.spec = spec
        self.mode = mode
        self.spin_s = getattr(spec, "idle_spin_s", 0.0)
        self.parallelism = spec.resolved_parallelism(cores)
        self.max_pool_size = spec.resolved_max_pool_size(cores)
        self.min_runnable = spec.resolved_min_runnable(cores)
        self.external = {name: WorkQueue(name) for name in mode.external}
        self.queues = list(self.external.values())
        self.idle: list[Carrier] = []
        self.active = 0
        self.total = 0
        self._order = RandomOrder(machine.stream("scan order"))
        self._created = 0
        self._quiet_since_s = 0.0  # since when all workers are idle, if they are
        self._timer: Call | None = None

    # -- submitting --------------------------------------------------------------------------

    def push_external(self, name: str, item: Item) -> None:
        """Submit from a thread that is no worker."""
        self._push(self.external[name], item)

    def push_local(self, carrier: Carrier, item: Item) -> None:
        """Submit from code that runs on a worker."""
        self._push(carrier.local, item)

    def push_from(self, carrier: Carrier, item: Item) -> None:
        """``externalSubmit`` from a thread: to the submission queue that is its own."""
        name = f"{carrier.name} submits"
        queue = self.external.get(name)
        if queue is None:
            queue = self.external[name] = WorkQueue(name)
            self.queues.append(queue)
        self._push(queue, item)

    def _push(self, queue: WorkQueue, item: Item) -> None:
        appeared_empty = not queue.items
        queue.items.append(item)
        if self.observers.detailed and isinstance(item, Task):
            self.observers.queued(self.clock.now, item, queue.name)
        if appeared_empty:
            self.signal_work()

    def _pop(self, queue: WorkQueue, *, newest: bool = False) -> Item:
        item = queue.items.pop() if newest else queue.items.popleft()
        if self.observers.detailed and isinstance(item, Task):
            self.observers.dequeued(self.clock.now, item, queue.name)
        return item

    def signal_work(self) -> None:
        """Release or create one worker, unless enough are active."""
        if self.active >= self.parallelism:
            return
        if self.idle:
            self._release_idle()
        elif self.total < self.parallelism:
            self._create()

    def _release_idle(self) -> None:
        carrier = self.idle.pop()
        self.active += 1
        self._unpark(carrier)

    def _unpark(self, carrier: Carrier) -> None:
        """It hears of it at once as long as it still looks on, and needs a wake-up later."""
        token, carrier.token = carrier.token, None
        assert token is not None
        if carrier.spins:
            carrier.thread.cut()
        else:
            carrier.thread.wake_with(token)

    def _create(self) -> None:
        self._created += 1
        self.total += 1
        self.active += 1
        carrier = Carrier(self.machine, f"{self.mode.worker}-{self._created}")
        self.queues.append(carrier.local)
        self.observers.threads(self.clock.now, 1)
        self.clock.process(self._work(carrier))

    # -- compensation ------------------------------------------------------------------------

    def compensate(self) -> bool:
        """``tryCompensate``; whether the caller becomes active *in addition* when it unblocks."""
        if self.idle and self.active <= self.parallelism:
            self.active -= 1
            self._release_idle()
            return True
        if self.active > self.min_runnable and self.total >= self.parallelism:
            self.active -= 1
            return True
        if self.total < self.max_pool_size:
            self.active -= 1
            self._create()
            self.observers.counted(self.mode.spares, 1)
            return True
        return False

    def unblocks(self) -> None:
        """A caller that :meth:`compensate` said yes to has unblocked."""
        self.active += 1

    def oldest_own(self, carrier: Carrier) -> Item | None:
        """What a worker that joins runs meanwhile; None if its queue is empty."""
        return self._pop(carrier.local) if carrier.local.items else None

    # -- a worker ----------------------------------------------------------------------------

    def _work(self, carrier: Carrier) -> Process:
        clock = self.clock
        wait = carrier.thread.run(self.spec.thread_create_s)
        if wait is not None:
            yield wait
        self.observers.overhead(clock.now, self.spec.thread_create_s)
        while True:
            if clock.settling():
                yield clock.settle()
            source = self._scan()
            if source is None:
                yield from self._deactivate(carrier)
                if carrier.exits:
                    carrier.thread.sleep()
                    return
                continue
            if not carrier.busy:
                carrier.busy = True
                self.observers.busy(clock.now, carrier.name, 1)
            if source is not carrier.local:
                if source.name not in self.external:
                    self.observers.counted("steals", 1)
                carrier.owed_s += self.spec.steal_s
            item: Item | None = self._pop(source)
            if source.items:
                self.signal_work()
            while item is not None:
                yield from self.owner.run_on(carrier, item)
                if clock.settling():
                    yield clock.settle()
                item = self._next(carrier, source)

    def _next(self, carrier: Carrier, source: WorkQueue) -> Item | None:
        """The own queue until it is empty, then the queue the last task came from."""
        if carrier.local.items:
            return self._pop(carrier.local, newest=not self.mode.fifo)
        if source.items:
            return self._pop(source)
        return None

    def _scan(self) -> WorkQueue | None:
        queues = self.queues
        for i in self._order.over(len(queues)):
            if queues[i].items:
                return queues[i]
        return None

    def _deactivate(self, carrier: Carrier) -> Process:
        now = self.clock.now
        self.active -= 1
        self.idle.append(carrier)
        carrier.owed_s = 0.0
        if carrier.busy:
            carrier.busy = False
            self.observers.busy(now, carrier.name, -1)
        carrier.token = token = self.clock.event()
        if len(self.idle) == self.total:
            self._quiet_since_s = now
            if self._timer is None:
                self._set_timer(now + self.spec.keep_alive_s)
        if self.spin_s:
            yield from self._spin(carrier)
        if carrier.token is token:  # else it has been released while it spun
            carrier.thread.sleep()
            yield token

    def _spin(self, carrier: Carrier) -> Process:
        thread = carrier.thread
        carrier.spins, thread.unrun_s = True, 0.0
        wait = thread.run(self.spin_s)
        if wait is not None:
            yield wait
        carrier.spins = False
        self.observers.overhead(self.clock.now, self.spin_s - thread.unrun_s)

    def _set_timer(self, due_s: float) -> None:
        self._timer = self.clock.call_at(due_s, DISPATCH, self._keep_alive_ends)

    def _keep_alive_ends(self, _: Call) -> None:
        """``tryTrim``: if the pool has been idle all the time, its latest idler ends."""
        self._timer = None
        now = self.clock.now
        if not self.idle or len(self.idle) < self.total:
            return
        due_s = self._quiet_since_s + self.spec.keep_alive_s
        if due_s > now:
            self._set_timer(due_s)
            return
        carrier = self.idle.pop()
        self.total -= 1
        self.queues.remove(carrier.local)
        self.observers.threads(now, -1)
        carrier.exits = True
        self._unpark(carrier)
        if self.idle:
            self._set_timer(now + TRIM_S)
