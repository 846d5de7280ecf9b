"""A thread that runs Python code, and so has to have its process's interpreter lock.

The rules are told in :mod:`simsched.sim.gil`. Owners see an :class:`OsThread`: whatever a run has
to do with the lock happens before the event that it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from simpy.events import Event

from simsched.sim.clock import DISPATCH, IO_DONE, Call, Moment
from simsched.sim.gil import NOBODY, Gil, Key
from simsched.sim.os_thread import NANOSECOND_S, OsThread

if TYPE_CHECKING:
    from simsched.sim.host import Host
    from simsched.sim.task import Task


class GilThread(OsThread):
    """An OS thread that runs Python code: the same interface, and the lock behind it.

    Whatever a run is, it begins with the lock, and ``sleep`` drops it. What it has waited for it,
    asleep, is ``gil_s`` of that run, and ``blames`` tells who had it meanwhile. ``waited_s`` and
    ``cost_s`` include what its wake-ups for the lock have waited for a core and have cost.
    """

    __slots__ = (
        "asleep_s", "before", "demand_s", "gil", "owed_s", "pc", "requested", "seen", "timed_out",
        "timer", "waiting", "worker_of",
    )  # fmt: skip

    def __init__(self, host: Host, name: str, gil: Gil) -> None:
        super().__init__(host, name)
        self.gil = gil
        self.worker_of: Task | None = None  # whose code it runs since its last run began
        self.pc = 0  # the step of it
        self.owed_s = 0.0  # CPU of the kernel that it had no time for before it fell asleep
        self.requested = False  # somebody wants it to drop the lock
        self.demand_s = 0.0  # what the present run still has to do, once it has the lock
        self.waiting: list[Any] = []  # `_is_back`, then whoever waits for the end of the run
        self.asleep_s = -1.0  # since when it sleeps because of the lock; negative: it does not
        self.seen = 0  # the number of switches when it fell asleep
        self.timed_out = False
        self.timer: Call | None = None
        self.before: dict[Key, float] | None = None  # who had had the lock when the wait began

    def works_for(self) -> Key:
        """Class and step of the request whose code it runs, or has run last."""
        task = self.worker_of
        if task is None or not task.ops:
            return NOBODY
        return task.class_id, task.ops[min(self.pc, len(task.ops) - 1)].name

    # -- what owners call --------------------------------------------------------------------

    def run(self, demand_s: float, rank: int = 0) -> Event | None:
        gil = self.gil
        if self.core is None:
            event = Moment(self.clock)
            self.wake_with(event, demand_s, rank)
            return event
        cost_s = 0.0
        if gil.holder is self:
            if gil.n_waiting:
                gil.book()  # what it has done until now may have been another step
        elif gil.holder is None:
            cost_s = gil.take(self)
        self._new_run()
        if gil.holder is self and not self.requested:
            if cost_s:
                return self._run_after(cost_s, demand_s, rank)
            return OsThread.run(self, demand_s, rank)
        event = Moment(self.clock)
        self.waited_s = self.stopped_s = self.cost_s = 0.0
        self.rank = rank
        self.demand_s = demand_s
        self._on_return_of(event)
        if gil.holder is self:
            self._drop()
        else:
            self._wait()
        return event

    def wake_with(self, event: Event, demand_s: float = 0.0, rank: int = 0) -> None:
        self._new_run()
        self.demand_s = demand_s
        self._on_return_of(event)
        OsThread.wake_with(self, event, 0.0, rank)

    def run_native(self, demand_s: float, rank: int = 0) -> Event | None:
        cost_s = self._give_up()
        self._new_run()
        if cost_s:
            return self._run_after(cost_s, demand_s, rank)
        if self.core is not None:
            return OsThread.run(self, demand_s, rank)
        event = Moment(self.clock)
        OsThread.wake_with(self, event, demand_s, rank)
        return event

    def sleep(self) -> None:
        # It signals before it sleeps, but what that costs is paid when it is back: whoever makes
        # a thread sleep need not know that it would still be on its core for a moment.
        self.owed_s += self._give_up()
        self.host.leave(self)

    def nap(self, until_s: float) -> bool:
        gil = self.gil
        if gil.n_waiting or gil.holder is not self or not OsThread.nap(self, until_s):
            return False
        self._new_run()
        return True

    def so_far(self, now: float) -> tuple[float, float, float]:
        if self.asleep_s < 0.0:
            cost_s, waited_s, _ = OsThread.so_far(self, now)
        else:
            cost_s, waited_s = self.cost_s, self.waited_s
            self.cost_s = self.waited_s = 0.0
            self.gil_s += now - self.asleep_s
            self.asleep_s = now
        if self.before is not None:
            self.gil.blame_since(self.before, self.blames)
            self.before = self.gil.held_s.copy()
        gil_s, self.gil_s = self.gil_s, 0.0
        return cost_s, waited_s, gil_s

    # -- take_gil ----------------------------------------------------------------------------

    def _new_run(self) -> None:
        self.gil_s = 0.0
        if self.blames:
            self.blames = {}
        self.timed_out = False
        task = self.worker_of = self.task
        if task is not None:
            self.pc = task.pc

    def _on_return_of(self, event: Event) -> None:
        """What waits for the end of the run will hear of the event only when it has the lock."""
        assert event.callbacks is not None
        event.callbacks.insert(0, self._is_back)
        self.waiting = event.callbacks

    def _is_back(self, _: Event) -> None:
        """It has a core, and looks at the lock. The others in ``waiting`` would be next."""
        gil, clock = self.gil, self.clock
        if self.owed_s:
            owed_s, self.owed_s = self.owed_s, 0.0
            self._detach()
            self.spend(owed_s)
            self.end_at(self.start_s, self.waiting)
            return
        holder = gil.holder
        asks = self.timed_out and gil.switches == self.seen
        if holder is None or (asks and gil.asker_is_quick() and holder._hands_over()):
            cost_s = gil.take(self)
            if holder is not None:
                holder._wait()
            if self.before is not None:
                gil.blame_since(self.before, self.blames)
                self.before = None
                gil.n_waiting -= 1
            demand_s = self.demand_s + cost_s
            if not demand_s:
                return
            if cost_s:
                self.spend(cost_s)
            self.end_s = end_s = clock.now + demand_s * self.pace
            heap = clock.heap
            if (not heap or heap[0][0] > end_s) and end_s <= clock.limit_s:
                clock.now = end_s
                return
            others = self.waiting[1:]
            del self.waiting[1:]
            self.end_at(end_s, others)
            return
        self._detach()
        if asks:
            holder._requested()
        self._wait()

    def _detach(self) -> None:
        """The others in ``waiting`` are not told yet."""
        waiting = self.waiting.copy()
        del self.waiting[1:]  # ends the round of calls that this one is a part of
        self.waiting = waiting

    def _wait(self) -> None:
        """Wait on the condition, for one interval."""
        gil = self.gil
        gil.waiters.append(self)
        self.seen = gil.switches
        self.timed_out = False
        self.timer = self.clock.call_at(gil.time_out_s(), IO_DONE | self.rank, self._times_out)
        self._fall_asleep()

    def _times_out(self, _: Call) -> None:
        self.timer = None
        self.timed_out = True
        self.gil.waiters.remove(self)
        self.wake_up()

    def _fall_asleep(self) -> None:
        self.asleep_s = self.clock.now
        if self.before is None:
            self.before = self.gil.begins_to_wait()
        self.host.leave(self)

    def wake_up(self) -> None:
        """The condition it sleeps on is signalled, or its time is over: it needs a core to look."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        self.gil_s += self.clock.now - self.asleep_s
        self.asleep_s = -1.0
        self.event = event = Moment(self.clock)
        event.callbacks = self.waiting
        self.left_s = 0.0
        self.host.wake(self, self.gil.latency_s())

    # -- drop_gil ----------------------------------------------------------------------------

    def _give_up(self) -> float:
        """Drop the lock, if it has it; returns what it costs to signal a waiter."""
        gil = self.gil
        if gil.holder is not self:
            return 0.0
        self.requested = False
        return gil.drop()

    def _requested(self) -> None:
        """Drop the lock at once, or as soon as there is a core to do it on."""
        if self.requested:
            return
        self.requested = True
        if self.core is not None and self.end_s <= self.clock.now + NANOSECOND_S:
            return  # its burst ends at this instant: it looks before it begins another one
        self._intercept([self._is_cut])
        self.unrun_s = 0.0
        self.cut(DISPATCH)  # by then the one that asks has fallen asleep again

    def _hands_over(self) -> bool:
        """Drop the lock for one that is there to take it; False if it cannot do so just now."""
        now = self.clock.now
        if self.requested or self.core is None or now < self.start_s:
            return False
        if self.end_s <= now + NANOSECOND_S:
            return False
        self._intercept([])
        self.demand_s = (self.end_s - now) / self.pace
        self.gil.leave_free()
        return True

    def _intercept(self, callbacks: list[Any]) -> None:
        """Whoever waits for the end of its burst is told later; now it is ``callbacks``."""
        event = cast("Event", self.event)
        assert event.callbacks is not None
        self.waiting = [self._is_back, *event.callbacks]
        event.callbacks = callbacks

    def _is_cut(self, _: Event) -> None:
        self.demand_s = self.unrun_s
        self._drop()

    def _drop(self) -> None:
        """Drop the lock, and see to it that somebody else has it next (FORCE_SWITCHING)."""
        cost_s = self._give_up()
        if cost_s:
            self.spend(cost_s)
            self.end_at(self.start_s, [self._has_signalled])
        else:
            self._await_switch()

    def _has_signalled(self, event: Event) -> None:
        if self.gil.last_holder is self:
            self._await_switch()
        else:  # somebody was quicker than the signal
            for callback in self.waiting:
                callback(event)

    def _await_switch(self) -> None:
        self.gil.dropper = self
        self._fall_asleep()

    # -- what signals cost -------------------------------------------------------------------

    def _run_after(self, cost_s: float, demand_s: float, rank: int) -> Event | None:
        """``OsThread.run`` after ``cost_s`` of the kernel's."""
        self.cost_s = 0.0
        self.spend(cost_s)
        wait = OsThread.run(self, cost_s + demand_s, rank)
        self.cost_s = cost_s
        return wait
