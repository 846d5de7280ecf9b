"""``findRunnable``: where an M looks for a goroutine, and in which order.

Follows Go 1.25 ``runtime/proc.go``. The order is the policy: it decides who waits behind whom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.schedulers.go_parts import RUNNING, M, P

if TYPE_CHECKING:
    from simsched.schedulers.go_sched import GoSched
    from simsched.sim.task import Task

GLOBAL_EVERY = 61  # schedtick % 61: look into the global queue first
BATCH_LIMIT = 128  # len(p.runq) / 2
STEAL_PASSES = 4
RUNNEXT_BACK_OFF_S = 3e-6  # runqgrab: give the victim time to run it itself


def find_runnable(sched: GoSched, m: M) -> Task | None:
    """The next goroutine for ``m``. None: nothing to do, or (``m.back_off_s`` set) look again."""
    p = m.p
    m.inherit = False
    g: Task | None
    if p is None:
        return None
    if m.take is not None:
        g, m.take = m.take, None
        return g
    if p.timers:
        sched.run_timers(p, p)
    gc = sched.gc if sched.gc is not None and sched.gc.marking else None
    if gc is not None and (worker := gc.worker_for(p)) is not None:
        return worker
    if p.sched_tick % GLOBAL_EVERY == 0 and sched.global_queue:
        return _global_get(sched, p, 1)
    g, m.inherit = p.queue.get()
    if g is not None:
        return g
    if sched.global_queue:
        return _global_get(sched, p, BATCH_LIMIT)
    g = _poll_network(sched, p)
    if g is not None:
        return g
    busy_ps = len(sched.ps) - len(sched.idle_ps)
    if m.spinning or 2 * sched.n_spinning < busy_ps:
        if not m.spinning:
            m.spinning = True
            sched.n_spinning += 1
        g = _steal_work(sched, m, p)
        if g is not None or m.back_off_s:
            return g
    return gc.idle_worker() if gc is not None else None


def _global_get(sched: GoSched, p: P, limit: int) -> Task:
    """``globrunqget``: a fair share of the global queue; the first to run, the rest to the ring."""
    queue = sched.global_queue
    n = min(limit, len(queue), len(queue) // len(sched.ps) + 1)
    now = sched.clock.now
    first = queue.popleft()
    if sched.detailed and first.index >= 0:
        sched.observers.dequeued(now, first, "global")
    for _ in range(n - 1):
        g = queue.popleft()
        if sched.detailed and g.index >= 0:
            sched.observers.dequeued(now, g, "global")
        sched.local_put(p, g)
    return first


def _poll_network(sched: GoSched, p: P) -> Task | None:
    """A look at the network without waiting, unless an M is blocked in it already."""
    if sched.poller is not None:
        return None
    ready = sched.netpoll()  # sched.lastpoll is left alone: sysmon goes by polls that waited
    if not ready:
        return None
    sched.inject(ready[1:], p)
    return ready[0]


def _steal_work(sched: GoSched, m: M, p: P) -> Task | None:
    """Four passes over all Ps in random order; timers and ``runnext`` only in the last."""
    if not _anything_to_steal(sched, p):
        m.backed_off = False
        return None
    g: Task | None
    for i in range(STEAL_PASSES):
        last = i == STEAL_PASSES - 1
        for index in sched.steal_order.over(len(sched.ps)):
            victim = sched.ps[index]
            if victim is p:
                continue
            if last:
                sched.run_timers(victim, p)
                g, m.inherit = p.queue.get()
                if g is not None:
                    return g
            g = _steal_from(sched, m, p, victim, and_next=last)
            if g is not None:
                sched.observers.counted("steals", 1)
                m.owed_s += sched.spec.steal_s
                return g
            if m.back_off_s:
                return None
    m.backed_off = False
    return None


def _anything_to_steal(sched: GoSched, p: P) -> bool:
    """Spares the four passes where they would find nothing, which is what usually happens."""
    now = sched.clock.now
    for victim in sched.ps:
        queue = victim.queue
        if victim is not p and (queue.ring or queue.next or victim.timers.earliest_s() <= now):
            return True
    return False


def _steal_from(sched: GoSched, m: M, p: P, victim: P, *, and_next: bool) -> Task | None:
    """``runqsteal``: half of the victim's ring; run the last one taken."""
    grabbed = victim.queue.grab()
    if grabbed:
        for g in grabbed[:-1]:
            sched.local_put(p, g)
        return grabbed[-1]
    next_g = victim.queue.next
    if next_g is None or not and_next:
        return None
    if victim.status == RUNNING and not m.backed_off:
        m.backed_off = True
        m.back_off_s = RUNNEXT_BACK_OFF_S
        return None
    m.backed_off = False
    victim.queue.next = None
    return next_g
