"""When a thread pool queues, grows, or refuses: the rules of Tomcat, of the JDK, and of CPython.

They differ in what comes first, and that difference decides how a service behaves in overload.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

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

    def falls_idle(self) -> None:
        """A thread has done its task and found no other."""


class TomcatPolicy(Policy):
    """Grow before queueing (Tomcat ``TaskQueue.offer`` and ``ThreadPoolExecutor.execute``).

    ``submitted`` counts tasks queued or running, so that a task is queued only if an idle thread
    will take it at once or no thread may be added. ``minSpareThreads`` threads are started with
    the connector.
    """

    def __init__(self, spec: ThreadPoolSpec, cores: int) -> None:
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


class JdkPolicy(Policy):
    """Queue before growing (``java.util.concurrent.ThreadPoolExecutor.execute``).

    1. Fewer threads than ``corePoolSize``: a new thread runs the task, even if others are idle.
    2. Else the queue takes it, if it can.
    3. Else, below ``maximumPoolSize``, a new thread runs it: it overtakes the whole queue.
    4. Else the ``RejectedExecutionHandler`` decides.

    With an unbounded queue step 3 is never reached, and ``maximumPoolSize`` means nothing.
    """

    prestarted = 0

    def __init__(self, spec: ThreadPoolSpec, cores: int) -> None:
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


class PythonPolicy(Policy):
    """Hand over or queue, and grow while nobody is free (``ThreadPoolExecutor`` of CPython).

    CPython 3.13 ``Lib/concurrent/futures/thread.py`` and ``Modules/_queuemodule.c``. ``submit``
    puts the task into an unbounded ``SimpleQueue``, which hands it to the thread that has waited
    longest, if one waits. Then it takes a token of ``_idle_semaphore``; if there is none, and there
    are fewer than ``max_workers`` threads, it starts one more. A thread that finds the queue empty
    adds a token before it waits. Threads never end.
    """

    prestarted = 0
    keep_alive_s = math.inf

    def __init__(self, spec: ThreadPoolSpec, cores: int) -> None:
        self.limit = spec.resolved_max_workers(cores)
        self.tokens = 0

    def execute(self, pool: ThreadPool, task: Task) -> Task | None:
        if pool.idle:
            pool.hand_over(task)
        else:
            pool.enqueue(task)
        if self.tokens:
            self.tokens -= 1
        elif pool.size < self.limit:
            pool.add_thread(None)
        return None

    def may_exit(self, pool: ThreadPool) -> bool:
        return False

    def falls_idle(self) -> None:
        self.tokens += 1


POLICIES: dict[str, Callable[[Any, int], Policy]] = {
    "tomcat": TomcatPolicy,
    "jdk": JdkPolicy,
    "python": PythonPolicy,
}
