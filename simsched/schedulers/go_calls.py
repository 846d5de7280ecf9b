"""What a running goroutine asks of the runtime: branches, permits handed on, system calls.

Follows Go 1.25 ``runtime/proc.go``; see :mod:`simsched.schedulers.goroutine` for the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.go_locked import GoLocked
from simsched.schedulers.go_parts import RUNNING, SYSCALL, M
from simsched.schedulers.go_sched import ALIVE
from simsched.sim.clock import IO_DONE, Process
from simsched.sim.task import BLOCKING, CPU, Task

if TYPE_CHECKING:
    from simsched.workload.program import Op


class GoCalls(GoLocked):
    """Calls that a goroutine makes while its M runs it."""

    def _burst(self, m: M, g: Task, demand_s: float) -> Process:
        owed_s, m.owed_s = m.owed_s, 0.0
        thread = m.thread
        wait = thread.run(owed_s + demand_s, g.index)
        if wait is not None:
            yield wait
        g.left_s = 0.0
        if thread.unrun_s:  # the costs come first: they are left over only with all of the demand
            g.left_s = min(thread.unrun_s, demand_s)
            unpaid_s = thread.unrun_s - g.left_s
            owed_s -= unpaid_s
            m.owed_s += unpaid_s  # beside what was added meanwhile: the world may have stopped
            thread.unrun_s = 0.0
        self.observers.worked(self.clock.now, g, owed_s, thread)

    def _grant(self, heir: Task, m: M) -> None:
        self.step_done(heir)
        assert m.p is not None
        self.ready(heir, m.p)

    # -- branches ----------------------------------------------------------------------------

    def _go(self, m: M, g: Task, op: Op) -> Process:
        """``go`` for each branch, then ``WaitGroup.Wait``: the goroutine parks."""
        m.owed_s += self.spec.create_s * len(op.branches)
        if m.owed_s:
            yield from self._burst(m, g, 0.0)
        p = m.p
        assert p is not None
        branches = self.fork(g, op)
        self.inside |= dict.fromkeys(branches)  # all, before the process can die of one more M
        for branch in branches:
            branch.stage = ALIVE
            self.local_put(p, branch, as_next=True)
            self.wake_p()

    def _done(self, m: M, branch: Task) -> None:
        """``WaitGroup.Done``: the last one makes the parent ready."""
        parent = self.branch_ended(branch)
        if parent is None:
            return
        if parent.cancelled:
            parent.pc = len(parent.ops)
        else:
            self.step_done(parent)
        assert m.p is not None
        self.ready(parent, m.p)

    # -- system calls ------------------------------------------------------------------------

    def _syscall(self, m: M, g: Task, seconds: float) -> Process:
        """``entersyscall`` ... ``exitsyscall``; ``m.p`` is None if no P was to be had."""
        clock = self.clock
        p = m.p
        assert p is not None
        p.status = SYSCALL
        self.sysmon.look_soon()
        self.enter(g, BLOCKING)
        p.caller = g
        self.observers.pinned(clock.now, g)
        m.thread.sleep()
        yield clock.event_at(clock.now + seconds, IO_DONE | g.index)
        if self.dead:
            m.p = None
            return
        self.enter(g, CPU)
        wait = m.thread.run(0.0, g.index)
        if wait is not None:
            yield wait
        self.observers.worked(clock.now, g, 0.0, m.thread)
        if p.m is m and p.status == SYSCALL:
            p.caller = None
            p.status = RUNNING
            p.syscall_tick += 1
            return
        m.p = None
        other = self.idle_p_get()
        if other is not None:
            self.acquire_p(m, other)
            other.syscall_tick += 1
            if not other.busy:
                other.busy = True
                self.observers.busy(clock.now, other.name, 1)
            return
        # exitsyscall0: no P. The goroutine queues up globally and the thread parks.
        self.runs_again(g)
        self.global_put(g)
