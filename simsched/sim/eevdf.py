"""A host whose kernel gives turns as Linux does from 6.6 on (EEVDF), as far as it can be seen.

Every runnable thread has a virtual deadline, one base slice beyond the time at which it last asked
for one, and the earliest deadline is next (kernel/sched/fair.c, ``pick_eevdf``). With equal weights
that comes to taking turns. What was measured on Linux 6.18 (HZ=250, base slice 1.4 ms, one core and
pools of up to 200 threads) decides the rest:

- **A slice lasts a base slice**, not until the next tick, once several threads compute: with them
  come wake-ups, each of which looks whether the slice is over (``update_curr``). Until then nobody
  takes the core (``RUN_TO_PARITY``).
- **A thread that computes alone is preempted at once** by whoever wakes: it has used up its slice
  long ago. The first waker therefore sees an almost idle core, and the second one does not.
- **Who wakes goes to the tail**, whatever it did before, if others wait already. Only those that
  need next to nothing per wake-up (a dispatcher, a timer thread) are owed time, and go first.

It costs O(1) per operation, like the rules of :mod:`simsched.sim.host`, whose queues it uses.
"""

from __future__ import annotations

from simsched.sim.host import Host
from simsched.sim.os_thread import Core, OsThread


class EevdfHost(Host):
    """A host whose threads take turns of one base slice."""

    def wake(self, thread: OsThread, latency_s: float | None = None) -> None:
        """A sleeping thread becomes runnable, at the tail unless it is owed time."""
        if self.idle:
            super().wake(thread, latency_s)
            return
        now = self.clock.now
        thread.queued_s = now
        used_s, thread.burst_s = thread.burst_s, 0.0
        self.observers.core_queue(now, 1)
        if not (self.woken or self.rotating):
            self._end_lone_slice(now)
        if self.preempts_on_wakeup and 0.0 < used_s < self.lag_s:
            self.woken.append(thread)
        else:
            self.rotating.append(thread)
        self._arm_slices()

    def _end_lone_slice(self, now: float) -> None:
        """Of the threads that nobody has waited for, the one that came first has had its slice."""
        longest: Core | None = None
        for core in self.cores:
            thread = core.thread
            if thread is None or now < thread.start_s:
                continue
            if longest is None or core.on_s < longest.on_s:
                longest = core
        if longest is not None:
            longest.slice_end_s = min(longest.slice_end_s, now)

    def _put(self, core: Core, thread: OsThread, latency_s: float) -> None:
        super()._put(core, thread, latency_s)
        if self.woken and core.thread is thread:
            self._arm(core, core.slice_end_s)

    def _next_slice_end(self, core: Core) -> float:
        return max(self.clock.now, core.slice_end_s)

    def _arm_for_woken(self) -> None:
        self._arm_slices()

    def _judge(self, core: Core, now: float) -> None:
        if now < core.slice_end_s:
            self._arm(core, core.slice_end_s)
        else:
            self._preempt(core, to_head=False)
