"""AnyIO's worker threads: Starlette's ``run_in_threadpool`` and FastAPI's ``def`` endpoints.

Follows anyio/_backends/_asyncio.py, ``run_sync_in_worker_thread`` and ``CapacityLimiter``. There is
one limiter per loop, and so per process.

1. The coroutine gives way once: a checkpoint.
2. It needs one of ``total_tokens`` tokens. It gets one if one is free *and* nobody waits; else it
   waits in line. Nobody can barge in.
3. With a token it takes the thread that became idle *last*, or starts one. Threads that have been
   idle for ten seconds are ended by the next one who picks.
4. The thread does the work. It counts as idle again when the loop handles its report.
5. The token is given back when the *coroutine* goes on, and not when the thread is done: a loop
   that is busy keeps tokens busy.

A coroutine that has its thread is shielded: it hears of a cancellation when the thread is done.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.executor import ASKS, DROPPED, QUEUED, WAITS, Errand, Executor, Worker
from simsched.sim.task import RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.schedulers.event_loop import EventLoop

MAX_IDLE_S = 10.0  # anyio/_backends/_asyncio.py: WorkerThread.MAX_IDLE_TIME


class AnyioThreads(Executor):
    """AnyIO's threads behind a ``CapacityLimiter``; ``limit`` is its ``total_tokens``."""

    def __init__(self, loop: EventLoop, tokens: int) -> None:
        super().__init__(loop, "anyio", tokens)
        self.borrowed = 0
        self.waiters: deque[tuple[Task, Errand]] = deque()
        self.idle: list[Worker] = []

    def submit(self, task: Task, errand: Errand) -> None:
        """``await checkpoint()``: everybody else who is ready goes first."""
        errand.stage = ASKS
        self.loop.call_soon(task)

    def resumed(self, task: Task, errand: Errand) -> bool:
        if errand.stage == ASKS:
            return task.cancelled or self._ask(task, errand)
        if errand.stage == WAITS and not task.cancelled:  # and now it has a token
            self._to_thread(task, errand)
            return False
        if errand.stage != DROPPED:
            self._give_back()
        return True

    def _ask(self, task: Task, errand: Errand) -> bool:
        """As ``CapacityLimiter.acquire_on_behalf_of``: take a token, or wait in line."""
        loop, now = self.loop, self.clock.now
        errand.since_s, errand.granted = now, False
        if self._first() is not None or self.borrowed >= self.limit:
            errand.stage = WAITS
            if loop.detailed:
                self.observers.queued(now, task, self.pool)
            self.waiters.append((task, errand))
            self.observers.moved(now, task, self.pool)
            loop.enter(task, RUN_QUEUE)
        else:
            self._borrow(errand)
            self._to_thread(task, errand)
        return False

    def _borrow(self, errand: Errand) -> None:
        now = self.clock.now
        errand.granted = True
        self.borrowed += 1
        self.observers.resource(now, self.pool, 1)
        self.observers.resource_waited(now, self.pool, now - errand.since_s)

    def _give_back(self) -> None:
        """``CapacityLimiter.release``: the token passes to whoever has waited longest."""
        self.borrowed -= 1
        self.observers.resource(self.clock.now, self.pool, -1)
        heir = self._first()
        if heir is not None:
            self._leaves()
            self._borrow(heir[1])
            self.observers.moved(self.clock.now, heir[0], "")
            self.loop.call_soon(heir[0])

    def _first(self) -> tuple[Task, Errand] | None:
        """Whoever has waited longest and has not been cancelled."""
        while self.waiters and self.waiters[0][1].stage == DROPPED:
            self._leaves()
        return self.waiters[0] if self.waiters else None

    def _leaves(self) -> None:
        task, _ = self.waiters.popleft()
        if self.loop.detailed:
            self.observers.dequeued(self.clock.now, task, self.pool)

    def _to_thread(self, task: Task, errand: Errand) -> None:
        errand.stage = QUEUED
        self.observers.moved(self.clock.now, task, self.pool)
        self.loop.enter(task, RUN_QUEUE)
        if not self.idle:
            self.start_thread().job = task
            return
        worker = self.idle.pop()
        self._prune()
        worker.job = task
        self.wake(worker)

    def _prune(self) -> None:
        """End threads that have been idle for long; the longest idle one comes first."""
        oldest_s = self.clock.now - MAX_IDLE_S
        while self.idle and self.idle[0].idle_since_s <= oldest_s:
            worker = self.idle.pop(0)
            worker.over = True
            self.size -= 1
            self.observers.threads(self.clock.now, -1)
            self.wake(worker)

    def next_job(self, worker: Worker) -> Task | None:
        task, worker.job = worker.job, None
        return task

    def reported(self, task: Task, errand: Errand) -> None:
        """As ``WorkerThread._report_result``: the thread is idle from now on."""
        assert errand.worker is not None
        errand.worker.idle_since_s = self.clock.now
        self.idle.append(errand.worker)

    def cancel(self, task: Task, errand: Errand) -> bool:
        if errand.stage != WAITS or errand.granted:
            return False  # shielded: the coroutine hears of it when the thread is done
        errand.stage = DROPPED
        return True

    def _taken(self, errand: Errand) -> None:
        """The token counts, and not the thread."""

    def _given_back(self, errand: Errand) -> None:
        """The token counts, and not the thread."""
