"""Virtual threads: mounted on a few carrier threads, unmounted while they wait.

Follows JDK 21 and 25 ``java.lang.VirtualThread`` and ``java.util.concurrent.ForkJoinPool`` in FIFO
mode (:mod:`simsched.schedulers.fork_join` holds the pool's rules).

- A started virtual thread goes to an external submission queue. One that is unparked by code on a
  carrier goes to the tail of that carrier's queue; one unparked by another thread (timer, poller)
  goes to an external queue.
- A carrier takes a task, runs it until it parks, pins or ends, then drains its own queue first in,
  first out, then looks around. There is *no time slicing*: a computing virtual thread keeps its
  carrier, and the operating system's slices only stall it together with its carrier.
- A wait of no length (data is there already, a sleep of 0) does not park.
- What a blocking call does depends on its kind and on the JDK: it unmounts, or it pins (the
  carrier blocks with it), with or without a spare carrier in compensation
  (:mod:`simsched.schedulers.pinning`).

I/O readiness: up to JDK 21 platform threads poll and unpark. Later the pollers are virtual threads
themselves: a platform thread wakes the poller, which has to queue for a carrier, unparks its
targets onto that carrier, yields, and polls again. So under load I/O waits for the queue twice.

A ``parallel`` step is a ``StructuredTaskScope``: its owner starts a virtual thread for each branch
and parks until the last one has ended, which unparks it. That one unmounts, unless the owner holds
a monitor that pins. Threads started from a carrier go to an external submission queue, too, one per
submitting carrier; in JDK 21 they went to the carrier's own.

Interrupting a virtual thread wakes it from a park. One that computes, or is in a pinned call, goes
on to its next park, which ends at once. Who interrupts the owner of a scope interrupts the threads
in it: ``join`` throws, and leaving the scope cancels and awaits them.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, ClassVar

from simsched.schedulers.fork_join import ForkJoin
from simsched.schedulers.fork_join_parts import VIRTUAL_THREADS, Carrier
from simsched.schedulers.pinning import (
    PINS_COMPENSATED,
    UNMOUNTS,
    monitors_pin,
    pins_while_acquiring,
    waiting_effect,
)
from simsched.schedulers.reader import Reader
from simsched.schedulers.service_thread import ServiceThread
from simsched.schedulers.timer_thread import TimerThread
from simsched.schedulers.virtual_calls import NEW, STARTED, VirtualCalls
from simsched.sim.clock import Call, Process
from simsched.sim.task import BLOCKING, CPU, IO, RUN_QUEUE, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.scenario import VirtualThreadSpec
    from simsched.sim.machine import Machine
    from simsched.workload.program import Op

POLL_BATCH = 64  # events a virtual-thread poller takes at a time
MOST_POLLERS = 32


class SubPoller:
    """A poller that is a virtual thread: targets whose I/O is ready, and whether it is parked."""

    __slots__ = ("parked", "ready")

    def __init__(self) -> None:
        self.ready: deque[Task] = deque()
        self.parked = True


Item = Task | SubPoller


class VirtualThread(VirtualCalls):
    """The JDK's scheduler of virtual threads."""

    kind: ClassVar[str] = "virtual_thread"

    def __init__(self, machine: Machine, spec: VirtualThreadSpec) -> None:
        super().__init__(machine, spec)
        self.pool = ForkJoin(self, spec, machine, VIRTUAL_THREADS)
        self.monitors_pin = monitors_pin(spec.jdk)
        self.has_virtual_pollers = spec.jdk >= 22
        n_pollers = min(1 << (machine.cores.bit_length() - 1), MOST_POLLERS)
        self.pollers = [SubPoller() for _ in range(n_pollers)]
        self.timer = TimerThread(machine, spec, self._unpark_from_timer)
        self.poller = ServiceThread(machine, "poller", spec.switch_s, self._io_ready)
        self.unblocker = ServiceThread(machine, "unblocker", spec.switch_s, self._unblock)
        self.reader = Reader(machine, spec, self._admit) if spec.ingress == "reader" else None

    @property
    def worker_limit(self) -> int | None:
        return self.pool.parallelism

    def start(self) -> None:
        for service in (self.timer, self.poller, self.unblocker):
            service.start()
        if self.reader is not None:
            self.reader.start()

    # -- becoming ready ----------------------------------------------------------------------

    def submit(self, task: Task) -> None:
        if self.reader is not None:
            self.reader.notify(task)
        else:
            self._admit(task)

    def _admit(self, task: Task) -> None:
        """A virtual thread is started for the request by a platform thread."""
        task.stage = NEW
        self.enter(task, RUN_QUEUE)
        self.pool.push_external("acceptor", task)

    def _io_done(self, call: Call) -> None:
        task: Task = call.arg
        self.runs_again(task)
        self.poller.notify(task)

    def granted(self, heir: Task) -> None:
        """Another process gives a permit: it tells so through the network."""
        if heir.wake is not None:
            super().granted(heir)
            return
        self.runs_again(heir)
        self.poller.notify(heir)

    def _timer_fires(self, call: Call) -> None:
        task: Task = call.arg
        self.runs_again(task)
        self.timer.due(task)

    def _unpark_from_timer(self, task: Task) -> None:
        self.pool.push_external("timer", task)

    def _unblock(self, task: Task) -> None:
        self.pool.push_external("unblocker", task)

    def _io_ready(self, task: Task) -> None:
        """On the platform thread that polls: unpark the target, or wake its poller."""
        if not self.has_virtual_pollers:
            self.pool.push_external("poller", task)
            return
        sub = self.pollers[task.index % len(self.pollers)]
        sub.ready.append(task)
        if sub.parked:
            sub.parked = False
            self.pool.push_external("poller", sub)

    def cancel(self, task: Task) -> None:
        """``Thread.interrupt``: a parked virtual thread is unparked to notice."""
        if self.cancel_branches(task):
            return
        if task.wait is not None:
            task.wait.cancel()
            task.wait = None
        else:
            op = task.ops[task.pc] if task.pc < len(task.ops) else None
            if op is None or op.code != op_code.ACQUIRE or task.wake is not None:
                return
            if not self.resources[op.arg].withdraw(task):
                return
        task.pc = len(task.ops)  # InterruptedException: no step follows
        self.enter(task, RUN_QUEUE)
        self.timer.notify(task)

    # -- on a carrier ------------------------------------------------------------------------

    def run_on(self, carrier: Carrier, item: Item) -> Process:
        """What a carrier does with an item it took from a queue."""
        if isinstance(item, SubPoller):
            self._poll(carrier, item)
        else:
            yield from self._mounted(carrier, item)

    def _poll(self, carrier: Carrier, sub: SubPoller) -> None:
        """A poller's turn: unpark up to 64 targets onto this carrier and yield, or park."""
        carrier.owed_s += self.spec.switch_s
        if not sub.ready:
            sub.parked = True
            return
        for _ in range(min(POLL_BATCH, len(sub.ready))):
            self.pool.push_local(carrier, sub.ready.popleft())
        self.pool.push_local(carrier, sub)

    def _mounted(self, carrier: Carrier, task: Task) -> Process:
        """Run a virtual thread until it unmounts or ends."""
        clock = self.clock
        task.thread = carrier.thread
        carrier.owed_s += self.spec.switch_s
        if task.stage == NEW:
            task.stage = STARTED
            if task.cancelled:  # nobody waits for it any more
                task.pc = len(task.ops)
            carrier.owed_s += self.spec.create_s + self.spec.request_s
        self.enter(task, CPU)
        ops = task.ops
        if task.broken:  # its wait, or `join`, has thrown: no step follows
            task.pc = len(ops)
        while task.pc < len(ops):
            op = ops[task.pc]
            if op.code == op_code.CPU:
                if self.detailed:
                    self.observers.step_started(clock.now, task)
                yield from self._burst(carrier, task, task.demands[op.slot])
                self.step_done(task)
                continue
            if carrier.owed_s or carrier.thread.core is None:
                yield from self._burst(carrier, task, 0.0)
            if self.detailed:
                self.observers.step_started(clock.now, task)
            if op.code == op_code.RELEASE:
                if op.kind == "synchronized" and self.monitors_pin:
                    task.pins -= 1
                self._grant(self.release(task, op), carrier)
            elif op.code == op_code.ACQUIRE:
                if not self.resources[op.arg].acquire(task):
                    pins = pins_while_acquiring(task, op, self.spec.jdk)
                    if task.broken or (task.cancelled and not pins):
                        self.resources[op.arg].withdraw(task)
                        break
                    self.enter(task, self.resources[op.arg].phase)
                    if not pins:
                        return
                    yield from self._pinned_wait(carrier, task)
                    if task.failed():
                        break
                if op.kind == "synchronized" and self.monitors_pin:
                    task.pins += 1
            elif op.code == op_code.FORK:
                if task.cancelled:
                    break
                yield from self._start_branches(carrier, task, op)
                if not task.pins:
                    return
                yield from self._pinned_wait(carrier, task)
                self._scope_ends(task)
                continue
            else:
                effect = waiting_effect(task, op, self.spec.jdk)
                if effect == UNMOUNTS:
                    if task.cancelled:
                        break
                    if task.demands[op.slot]:
                        self._park(task, op)
                        return
                else:
                    yield from self._pinned_call(carrier, task, op, effect == PINS_COMPENSATED)
            self.step_done(task)
        if carrier.owed_s or carrier.thread.core is None:
            yield from self._burst(carrier, task, 0.0)
        self._finish(carrier, task)

    def _park(self, task: Task, op: Op) -> None:
        self.enter(task, BLOCKING if op.code == op_code.BLOCKING else IO)
        if op.code == op_code.SLEEP:
            self.after(task.demands[op.slot], task, self._timer_fires)
            self.timer.pend()
        else:
            self.after(task.demands[op.slot], task, self._io_done)

    def _grant(self, heir: Task | None, carrier: Carrier) -> None:
        """Pass a permit on: the heir's carrier wakes, or the heir is unparked."""
        if heir is None:
            return
        if heir.wake is not None:
            self.clock.wake(heir.wake)
            heir.wake = None
            return
        op = heir.ops[heir.pc]
        self.runs_again(heir)
        if op.kind == "synchronized":
            self.unblocker.notify(heir)
        else:
            self.pool.push_local(carrier, heir)

    def _finish(self, carrier: Carrier, task: Task) -> None:
        if task.cancelled or task.broken:
            for heir in self.drop_held(task):
                self._grant(heir, carrier)
        if task.parent is not None:
            self._branch_done(carrier, task)
        else:
            self.ends(task)
