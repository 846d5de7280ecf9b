"""When a thread pool queues, grows, or refuses: the two rules that Java services run on.

They differ in what comes first, and that difference decides how a service behaves in overload.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from simsched.scenario import ThreadPoolSpec
    from simsched.schedulers.thread_pool import ThreadPool
    from simsched.sim.task import Task


class Policy(Protocol):
    """Admission to a pool, and which idle threads may leave it."""

    prestarted: int
    limit: int
    keep_alive_s: float

    def execute(self, pool: ThreadPool, task: Task) -> Task | None:
        """Admit, queue or refuse a task. Returns it if its submitter has to run it."""

    def may_exit(self, pool: ThreadPool) -> bool:
        """Whether a thread that has been idle for ``keep_alive_s`` leaves the pool."""


class TomcatPolicy:
    """Grow before queueing (Tomcat ``TaskQueue.offer`` and ``ThreadPoolExecutor.execute``).

    ``submitted`` counts tasks queued or running, so that a task is queued only if an idle thread
    will take it at once or no thread may be added. ``minSpareThreads`` threads are started with
    the connector.
    """

    def __init__(self, spec: ThreadPoolSpec) -> None:
        self.spare = spec.min_spare_threads
        self.prestarted = spec.min_spare_threads
        self.limit = spec.max_threads
        self.queue_limit = spec.max_queue_size
        self.keep_alive_s = spec.threads_max_idle_time_s

    def execute(self, pool: ThreadPool, task: Task) -> Task | None:
        submitted = pool.submitted + 1
        if pool.size < self.spare:
            pool.add_thread(task)
        elif pool.size == self.limit or submitted <= pool.size:
            if pool.submitted >= pool.size + self.queue_limit:
                pool.reject(task)
            else:
                pool.enqueue(task)
        else:
            pool.add_thread(task)
        return None

    def may_exit(self, pool: ThreadPool) -> bool:
        return pool.size > self.spare


class JdkPolicy:
    """Queue before growing (``java.util.concurrent.ThreadPoolExecutor.execute``).

    1. Fewer threads than ``corePoolSize``: a new thread runs the task, even if others are idle.
    2. Else the queue takes it, if it can.
    3. Else, below ``maximumPoolSize``, a new thread runs it: it overtakes the whole queue.
    4. Else the ``RejectedExecutionHandler`` decides.

    With an unbounded queue step 3 is never reached, and ``maximumPoolSize`` means nothing.
    """

    prestarted = 0

    def __init__(self, spec: ThreadPoolSpec) -> None:
        self.core = spec.core_pool_size
        self.limit = spec.maximum_pool_size
        self.queue = spec.work_queue
        self.keep_alive_s = spec.keep_alive_time_s
        self.core_may_exit = spec.allow_core_thread_time_out
        self.handler = spec.rejected_execution_handler

    def execute(self, pool: ThreadPool, task: Task) -> Task | None:
        if pool.size < self.core:
            pool.add_thread(task)
        elif self._offer(pool, task):
            if pool.size == 0:
                pool.add_thread(None)
        elif pool.size < self.limit:
            pool.add_thread(task)
        else:
            return self._refuse(pool, task)
        return None

    def _offer(self, pool: ThreadPool, task: Task) -> bool:
        if self.queue == "synchronous":  # succeeds only if a thread is already waiting for it
            if not pool.idle:
                return False
            pool.hand_over(task)
            return True
        if self.queue != "unbounded" and len(pool.queue) >= self.queue:
            return False
        pool.enqueue(task)
        return True

    def _refuse(self, pool: ThreadPool, task: Task) -> Task | None:
        if self.handler == "caller_runs":
            return task
        if self.handler == "discard_oldest" and pool.queue:
            oldest = pool.take()
            pool.submitted -= 1
            pool.reject(oldest)
            pool.observers.counted("discarded", 1)
            return self.execute(pool, task)
        if self.handler != "abort":
            pool.observers.counted("discarded", 1)
        pool.reject(task)
        return None

    def may_exit(self, pool: ThreadPool) -> bool:
        if pool.size <= self.core and not self.core_may_exit:
            return False
        return pool.size > 1 or not pool.queue
