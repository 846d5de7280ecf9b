"""What a mounted virtual thread does with its carrier: compute, block it, start branches.

Follows ``java.lang.VirtualThread`` and ``java.util.concurrent.StructuredTaskScope``; see
:mod:`simsched.schedulers.virtual_thread` for the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.base import Scheduler
from simsched.sim.clock import IO_DONE, Process
from simsched.sim.task import BLOCKING, CPU, IO, Task
from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.schedulers.fork_join import ForkJoin
    from simsched.schedulers.fork_join_parts import Carrier
    from simsched.workload.program import Op

NEW, STARTED = range(2)


class VirtualCalls(Scheduler):
    """Calls that a virtual thread makes while it is mounted."""

    pool: ForkJoin

    def _burst(self, carrier: Carrier, task: Task, demand_s: float) -> Process:
        owed_s, carrier.owed_s = carrier.owed_s, 0.0
        wait = carrier.thread.run(owed_s + demand_s, task.index)
        if wait is not None:
            yield wait
        self.observers.worked(self.clock.now, task, owed_s, carrier.thread)

    def _pinned_call(self, carrier: Carrier, task: Task, op: Op, compensated: bool) -> Process:
        """The carrier blocks together with the virtual thread."""
        clock = self.clock
        seconds = task.demands[op.slot]
        self.enter(task, BLOCKING if op.code == op_code.BLOCKING else IO)
        self.observers.pinned(clock.now, task)
        carrier.thread.sleep()
        active_again = self.pool.compensate() if compensated else False
        self.observers.counted("pinned_calls", 1)
        yield clock.event_at(clock.now + seconds, IO_DONE | task.index)
        self.observers.spent("pinned_s", seconds)
        if active_again:
            self.pool.unblocks()
        self.enter(task, CPU)

    def _pinned_wait(self, carrier: Carrier, task: Task) -> Process:
        """Wait for a permit, or for branches, with the carrier blocked."""
        since_s = self.clock.now
        self.observers.pinned(since_s, task)
        carrier.thread.sleep()
        self.observers.counted("pinned_calls", 1)
        task.wake = self.clock.event()
        yield task.wake
        self.observers.spent("pinned_s", self.clock.now - since_s)
        self.enter(task, CPU)

    # -- branches ----------------------------------------------------------------------------

    def _start_branches(self, carrier: Carrier, owner: Task, op: Op) -> Process:
        """``StructuredTaskScope.fork`` for each branch."""
        carrier.owed_s += self.spec.create_s * len(op.branches)
        if carrier.owed_s:
            yield from self._burst(carrier, owner, 0.0)
        for branch in self.fork(owner, op):
            branch.stage = STARTED
            if self.spec.jdk == 21:
                self.pool.push_local(carrier, branch)
            else:
                self.pool.push_from(carrier, branch)

    def _branch_done(self, carrier: Carrier, branch: Task) -> None:
        """The last one unparks the owner of the scope."""
        owner = self.branch_ended(branch)
        if owner is None:
            return
        if owner.wake is not None:  # parked on its carrier
            self.clock.wake(owner.wake)
            owner.wake = None
            return
        self._scope_ends(owner)
        self.pool.push_local(carrier, owner)

    def _scope_ends(self, owner: Task) -> None:
        """``join`` returns, or has thrown (it was interrupted, a branch threw): then no step."""
        if owner.cancelled or owner.broken:
            owner.pc = len(owner.ops)
        else:
            self.step_done(owner)
