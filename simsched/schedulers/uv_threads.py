"""libuv's thread pool: what Node does files, ``crypto``, ``zlib`` and name resolution with.

Follows libuv src/threadpool.c. ``UV_THREADPOOL_SIZE`` threads, all started at the first use, and
one first-come-first-served queue for the whole process. "Slow I/O" (``getaddrinfo``) has a queue of
its own, for which *one* message stands in the other: whoever takes the message takes the head of
the slow queue, and puts the message back to the tail if more is left. So slow work takes turns with
the rest, and at most half of the threads (rounded up) have it at once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from simsched.schedulers.executor import DROPPED, QUEUED, Errand, Executor, Worker
from simsched.sim.task import RUN_QUEUE, Task

if TYPE_CHECKING:
    from simsched.schedulers.event_loop import EventLoop

Work = tuple[Task, Errand]


class UvThreadPool(Executor):
    """The thread pool of a Node process."""

    def __init__(self, loop: EventLoop, limit: int) -> None:
        super().__init__(loop, "libuv", limit)
        self.queue: deque[Work | None] = deque()  # None is run_slow_work_message
        self.slow: deque[Work] = deque()  # slow_io_pending_wq
        self.sleeping: deque[Worker] = deque()
        self.slow_running = 0
        self.slow_limit = (limit + 1) // 2  # slow_work_thread_threshold

    def submit(self, task: Task, errand: Errand) -> None:
        while self.size < self.limit:  # init_threads
            self.start_thread()
        errand.stage, errand.since_s = QUEUED, self.clock.now
        self.observers.moved(self.clock.now, task, self.pool)
        self.loop.enter(task, RUN_QUEUE)
        work = (task, errand)
        if not errand.slow:
            self._post(work)
            return
        announced = bool(self.slow)
        self.slow.append(work)
        if not announced:
            self._post(None)

    def _post(self, work: Work | None) -> None:
        self.queue.append(work)
        if self.sleeping:
            self.wake(self.sleeping.popleft())

    def next_job(self, worker: Worker) -> Task | None:
        queue = self.queue
        while queue:
            work = queue.popleft()
            if work is None:
                if self.slow_running >= self.slow_limit:
                    queue.append(None)  # when all other work in the queue is done
                    if len(queue) == 1:
                        return None
                    continue
                work = self._slow_work()
            if work is not None and work[1].stage == QUEUED:
                return work[0]
        return None

    def _slow_work(self) -> Work | None:
        """The head of the slow queue; what is left in it is announced again."""
        while self.slow:
            work = self.slow.popleft()
            if work[1].stage == QUEUED:
                self.slow_running += 1
                if self.slow:
                    self._post(None)
                return work
        return None

    def idles(self, worker: Worker, *, again: bool) -> None:
        self.sleeping.append(worker)

    def cancel(self, task: Task, errand: Errand) -> bool:
        """As ``uv_cancel``: only what no thread has taken can be taken back."""
        if errand.stage != QUEUED:
            return False
        errand.stage = DROPPED
        return True

    def _given_back(self, errand: Errand) -> None:
        super()._given_back(errand)
        self.slow_running -= errand.slow
