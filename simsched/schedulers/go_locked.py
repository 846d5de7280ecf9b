"""``runtime.LockOSThread``: a goroutine that runs on one thread only, and a thread only for it.

Follows ``schedule``, ``stoplockedm`` and ``startlockedm`` in Go 1.25 ``runtime/proc.go``. When such
a goroutine parks, or is preempted, its M cannot run anybody else: it hands its P on and sleeps.
When another M finds the goroutine in a queue, it gives its own P to that M, wakes it, and sleeps
itself. So each turn is a switch of OS threads, with their wake-up latency, where other goroutines
need a tenth of a microsecond. And each of these goroutines has a thread as long as it lives.

A request of a locked class locks when it begins, and unlocks when it ends. Its branches do not.
"""

from __future__ import annotations

from simsched.schedulers.go_idle import GoIdle
from simsched.schedulers.go_parts import M
from simsched.sim.clock import Process
from simsched.sim.task import Task


class GoLocked(GoIdle):
    """Goroutines that are locked to an M."""

    def _lock(self, m: M, g: Task) -> None:
        """``LockOSThread``, where the class asks for it."""
        if g.program.name in self.spec.locked_classes:
            m.locked = g
            self.locked_ms[g] = m

    def _unlock(self, m: M, g: Task) -> None:
        """``UnlockOSThread``."""
        if m.locked is g:
            m.locked = None
            del self.locked_ms[g]

    def _stop_locked(self, m: M) -> Process:
        """``stoplockedm``: somebody else takes the P, and this M sleeps until it has one again."""
        p = m.p
        if p is not None:
            m.p = None
            self.nobody_works_on(p)
            self.hand_off_p(p)
        m.thread.sleep()
        m.token = token = self.clock.event()
        yield token

    def _start_locked(self, m: M, owner: M) -> None:
        """``startlockedm``: the P goes to the M that this goroutine is locked to."""
        if m.spinning:
            m.spinning = False
            self.n_spinning -= 1
            self.wake_p()
        p = m.p
        assert p is not None
        self.nobody_works_on(p)
        m.p = None
        self.acquire_p(owner, p)
        owner.inherit = False
        self.observers.counted("locked_switches", 1)
        token, owner.token = owner.token, None
        assert token is not None
        owner.thread.wake_with(token)
