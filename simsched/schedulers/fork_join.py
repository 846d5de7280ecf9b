"""The fork-join pool under virtual threads: queues, signals, stealing, compensation.

Follows ``java.util.concurrent.ForkJoinPool`` of JDK 25 in asynchronous (FIFO) mode:

- ``push`` signals only if the queue appeared empty. ``signalWork`` releases the worker that became
  idle *last*, or creates one while there are fewer than ``parallelism``; it does nothing when
  ``parallelism`` workers are active.
- What carriers submit as if from outside goes to a queue of its own for each of them.
- A worker scans all queues from a random start. It takes the *oldest* task, one at a time; if that
  queue holds more, it signals another worker (propagation). Then it runs the task, drains its own
  queue, and goes on with the queue it took the task from while that lasts.
- A worker that finds nothing goes to the idle stack.
- ``tryCompensate``, for calls that announce that they block, is weaker than one spare per blocked
  thread: it wakes an idle worker; else lets the number of active ones fall, down to
  ``minRunnable``; else creates a spare, up to ``maxPoolSize``; else blocks without compensation.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simpy.events import Event

from simsched.schedulers.random_order import RandomOrder
from simsched.sim.clock import DISPATCH, Call, Process
from simsched.sim.task import Task

if TYPE_CHECKING:
    from simsched.scenario import VirtualThreadSpec
    from simsched.schedulers.virtual_thread import Item, VirtualThread
    from simsched.sim.machine import Machine

EXTERNAL_QUEUES = ("acceptor", "timer", "poller", "unblocker")


class WorkQueue:
    """A queue of the pool: external, or a carrier's own. First in, first out for everybody."""

    __slots__ = ("items", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.items: deque[Item] = deque()


class Carrier:
    """A worker of the pool: an OS thread with a queue."""

    __slots__ = (
        "busy", "exits", "idle_since_s", "local", "name", "owed_s", "thread", "timer", "token",
    )  # fmt: skip

    def __init__(self, machine: Machine, name: str) -> None:
        self.thread = machine.thread(name)
        self.name = self.thread.name
        self.local = WorkQueue(name)
        self.token: Event | None = None
        self.timer: Call | None = None
        self.idle_since_s = 0.0
        self.exits = False
        self.busy = False
        self.owed_s = 0.0


class ForkJoin:
    """The pool's state. ``active`` counts released workers, ``total`` all of them."""

    def __init__(self, owner: VirtualThread, spec: VirtualThreadSpec, machine: Machine) -> None:
        cores = machine.cores
        self.owner = owner
        self.machine = machine
        self.clock = machine.clock
        self.observers = machine.observers
        self.spec = spec
        self.parallelism = spec.resolved_parallelism(cores)
        self.max_pool_size = spec.resolved_max_pool_size(cores)
        self.min_runnable = spec.resolved_min_runnable(cores)
        self.external = {name: WorkQueue(name) for name in EXTERNAL_QUEUES}
        self.queues = list(self.external.values())
        self.idle: list[Carrier] = []
        self.active = 0
        self.total = 0
        self._order = RandomOrder(machine.stream("scan order"))
        self._created = 0

    # -- submitting --------------------------------------------------------------------------

    def push_external(self, name: str, item: Item) -> None:
        """Submit from a thread that is no carrier."""
        self._push(self.external[name], item)

    def push_local(self, carrier: Carrier, item: Item) -> None:
        """Submit from code that runs on a carrier."""
        self._push(carrier.local, item)

    def push_from(self, carrier: Carrier, item: Item) -> None:
        """``externalSubmit`` from code that runs on a carrier: its thread's submission queue."""
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

    def _pop(self, queue: WorkQueue) -> Item:
        item = queue.items.popleft()
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
        token, carrier.token = carrier.token, None
        assert token is not None
        carrier.thread.wake_with(token)

    def _create(self) -> None:
        self._created += 1
        self.total += 1
        self.active += 1
        carrier = Carrier(self.machine, f"carrier-{self._created}")
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
            self.observers.counted("spare_carriers", 1)
            return True
        return False

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
                yield self._deactivate(carrier)
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
            return self._pop(carrier.local)
        if source.items:
            return self._pop(source)
        return None

    def _scan(self) -> WorkQueue | None:
        queues = self.queues
        for i in self._order.over(len(queues)):
            if queues[i].items:
                return queues[i]
        return None

    def _deactivate(self, carrier: Carrier) -> Event:
        now = self.clock.now
        self.active -= 1
        self.idle.append(carrier)
        carrier.thread.sleep()
        carrier.owed_s = 0.0
        if carrier.busy:
            carrier.busy = False
            self.observers.busy(now, carrier.name, -1)
        carrier.token = token = self.clock.event()
        carrier.idle_since_s = now
        if carrier.timer is None:
            self._set_timer(carrier)
        return token

    def _set_timer(self, carrier: Carrier) -> None:
        due_s = carrier.idle_since_s + self.spec.keep_alive_s
        carrier.timer = self.clock.call_at(due_s, DISPATCH, self._keep_alive_ends, carrier)

    def _keep_alive_ends(self, call: Call) -> None:
        carrier: Carrier = call.arg
        carrier.timer = None
        if carrier.token is None:
            return
        if carrier.idle_since_s + self.spec.keep_alive_s > self.clock.now:
            self._set_timer(carrier)
            return
        self.idle.remove(carrier)
        self.total -= 1
        self.queues.remove(carrier.local)
        self.observers.threads(self.clock.now, -1)
        carrier.exits = True
        token, carrier.token = carrier.token, None
        carrier.thread.wake_with(token)
