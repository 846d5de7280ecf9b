"""``Schedulers.boundedElastic()``: the threads to which a reactive program gives blocking calls.

Follows reactor-core BoundedElasticScheduler.java (``pick``, ``choseOneBusy``, ``release``,
``eviction``, ``ensureQueueCapacity``):

1. Whoever schedules a task picks a thread for it: the one that became idle *last*; else a new one
   while there are fewer than 10 x cores; else, of the busy ones, that with the fewest tasks (at
   equal numbers, the one that has been busy longest).
2. The task stays with that thread. The scheduler is **not work-conserving**: a task behind a long
   one waits for it, although threads that were busy when it came have become idle meanwhile.
3. 100,000 tasks may wait per thread. One more is rejected, which the client sees as an error.
4. Every 60 seconds, threads that have been idle for as long are ended.

A task that is cancelled no longer counts, even where its thread is still in the call.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simsched.schedulers.reactor_threads import SingleThread
from simsched.sim.clock import DISPATCH, Call

if TYPE_CHECKING:
    from simsched.schedulers.signals import Signals
    from simsched.sim.task import Task


class ElasticThread(SingleThread):
    """A ``BoundedState``: a thread, and the tasks that have picked it and are not done."""

    def __init__(self, pool: BoundedElastic, number: int) -> None:
        super().__init__(pool.owner, f"boundedElastic-{number}", pool.PLACE, number)
        self.pool = pool
        self.marks = 0  # how often it is picked: tasks that wait, and the one that runs
        self.forgotten = False  # the one that runs was cancelled, and does not count any more
        self.idle_since_s = 0.0
        self.timer: Call | None = None

    def take_back(self, task: Task) -> None:
        super().take_back(task)
        self.pool.release(self)

    def forget(self) -> None:
        """The task that runs is cancelled; its call goes on."""
        if not self.forgotten:
            self.forgotten = True
            self.pool.release(self)

    def done(self) -> None:
        if not self.forgotten:
            self.pool.release(self)
        self.forgotten = False


class BoundedElastic:
    """All threads of the scheduler."""

    PLACE = "pool:boundedElastic"

    def __init__(self, owner: Signals, size: int, queue_size: int, ttl_s: float) -> None:
        self.owner = owner
        self.size = size
        self.queue_size = queue_size
        self.ttl_s = ttl_s
        self.idle: list[ElasticThread] = []  # the one that became idle last comes last
        self.busy: list[ElasticThread] = []  # the one that has been busy longest comes first
        self._created = 0
        owner.machine.pools[self.PLACE] = owner.machine.pools.get(self.PLACE, 0) + size

    def pick(self) -> ElasticThread:
        """A thread for one more task."""
        if self.idle:
            picked = self.idle.pop()
        elif len(self.busy) < self.size:
            self._created += 1
            picked = ElasticThread(self, self._created)
        else:
            return min(self.busy, key=lambda thread: thread.marks)
        self.busy.append(picked)
        return picked

    def schedule(self, task: Task, picked: ElasticThread) -> bool:
        """Put a task behind the thread picked for it; False if that one's queue is full."""
        picked.marks += 1
        if picked.waiting >= self.queue_size:
            self.release(picked)
            return False
        picked.put(task)
        return True

    def release(self, thread: ElasticThread) -> None:
        """One task less: it is done, or was cancelled."""
        thread.marks -= 1
        if thread.marks:
            return
        thread.idle_since_s = self.owner.clock.now
        self.busy.remove(thread)
        self.idle.append(thread)
        if thread.timer is None:
            self._watch(thread)

    def _watch(self, thread: ElasticThread) -> None:
        """The evictor looks at multiples of the time to live: at the first one by which it is over.

        One timer per thread, set anew only when it fires: idle times are short and many.
        """
        due_s = math.ceil((thread.idle_since_s + self.ttl_s) / self.ttl_s - 1e-9) * self.ttl_s
        thread.timer = self.owner.clock.call_at(due_s, DISPATCH, self._evict, thread)

    def _evict(self, call: Call) -> None:
        thread: ElasticThread = call.arg
        thread.timer = None
        if thread.marks:
            return
        if thread.runs is None and thread.idle_since_s + self.ttl_s <= self.owner.clock.now + 1e-9:
            self.idle.remove(thread)
            thread.end()
        elif thread.runs is None:
            self._watch(thread)
