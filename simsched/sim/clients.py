"""The clients: they send requests, give up, try again, and (in a closed workload) think.

A client knows nothing of the scheduler behind the service. It sends attempts, and hears of each
exactly one of: completed, rejected, failed. When its patience (``timeout``) ends before it hears
anything, the attempt is over for the client; the scheduler is told and may need a while to stop
working on it. That work is nobody's latency, but it holds workers and memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simsched.sim.clock import ARRIVAL, IO_DONE, Call, Clock
from simsched.sim.task import COMPLETED, FAILED, N_PARTS, REJECTED, TIMED_OUT, Task

if TYPE_CHECKING:
    from simsched.schedulers.base import Scheduler
    from simsched.sim.observer import Observers
    from simsched.workload import ClosedTrace, RequestTrace


class Clients:
    """All clients of one run."""

    def __init__(
        self,
        clock: Clock,
        observers: Observers,
        trace: RequestTrace | ClosedTrace,
        duration_s: float,
    ) -> None:
        self.clock = clock
        self.observers = observers
        self.trace = trace
        self.duration_s = duration_s
        self.in_flight = 0  # requests without a terminal outcome
        self.attempts_held = 0  # attempts that the scheduler still holds, cancelled ones included
        self.scheduler: Scheduler
        self._issued = 0

    def start(self, scheduler: Scheduler) -> None:
        """Send the first requests."""
        self.scheduler = scheduler
        users = getattr(self.trace, "users", None)
        if users is None:
            arrival_s: Any = self.trace.arrival_s  # type: ignore[union-attr]
            self._arrivals = memoryview(arrival_s)
            self._send_next_arrival()
            return
        for user in range(users):
            first_s = float(self.trace.start_s[user])  # type: ignore[union-attr]
            if first_s < self.duration_s:
                self.clock.call_at(first_s, ARRIVAL | user, self._user_arrives, user)

    def idle(self) -> bool:
        """Whether nothing is in flight or still held by the scheduler."""
        return self.in_flight == 0 and self.attempts_held == 0

    # -- sending -----------------------------------------------------------------------------

    def _send_next_arrival(self) -> None:
        i = self._issued
        if i < len(self._arrivals):
            self._issued = i + 1
            self.clock.call_at(self._arrivals[i], ARRIVAL | i, self._arrives, i)

    def _arrives(self, call: Call) -> None:
        self._send_next_arrival()
        self._issue(call.arg, -1)

    def _user_arrives(self, call: Call) -> None:
        i = self._issued
        self._issued += 1
        self.trace.ensure(i)  # type: ignore[union-attr]
        self._issue(i, call.arg)

    def _issue(self, i: int, user: int) -> None:
        trace = self.trace
        now = self.clock.now
        class_id = trace.class_id_of(i)
        task = Task(i, class_id, trace.programs[class_id], trace.demand_row(i), now)
        task.user = user
        self.in_flight += 1
        self.observers.arrived(now, task)
        self._submit(task)

    def _submit(self, task: Task) -> None:
        self.attempts_held += 1
        timeout_s = task.program.timeout_s
        if timeout_s is not None:
            task.deadline = self.clock.call_at(
                self.clock.now + timeout_s, IO_DONE | task.index, self._gives_up, task
            )
        self.scheduler.submit(task)

    # -- what a scheduler reports ------------------------------------------------------------

    def completed(self, task: Task) -> None:
        """The task has done its last step."""
        self._left(task)
        if task.cancelled:
            self.observers.released(self.clock.now, task)
        else:
            self._end(task, COMPLETED)

    def rejected(self, task: Task) -> None:
        """Admission was refused."""
        self._left(task)
        if task.cancelled:
            self.observers.released(self.clock.now, task)
        elif not self._retry(task):
            self._end(task, REJECTED)

    def failed(self, task: Task) -> None:
        """The service broke while it had the task."""
        self._left(task)
        if task.cancelled:
            self.observers.released(self.clock.now, task)
        else:
            self._end(task, FAILED)

    def abandoned(self, task: Task) -> None:
        """A cancelled task has let go of everything."""
        self._left(task)
        self.observers.released(self.clock.now, task)

    def _left(self, task: Task) -> None:
        assert not task.over, f"{task!r} left the scheduler twice"
        task.over = True
        self.attempts_held -= 1

    # -- giving up and trying again ----------------------------------------------------------

    def _gives_up(self, call: Call) -> None:
        task: Task = call.arg
        if task.over:
            return
        task.cancelled = True
        if not self._retry(task):
            self._end(task, TIMED_OUT)
        # What the attempt still does is no part of the request's latency.
        task.parts = [0.0] * N_PARTS
        task.since_s = self.clock.now
        self.scheduler.cancel(task)

    def _retry(self, task: Task) -> bool:
        retries = task.program.retries
        if retries is None or task.attempt > retries.max:
            return False
        if task.deadline is not None:
            task.deadline.cancel()
        backoff_s = retries.backoff_s * retries.factor ** (task.attempt - 1)
        if retries.jitter:
            jitter = self.trace.retry_jitter(task.index, task.attempt)
            backoff_s *= 1.0 + retries.jitter * jitter
        demands = self.trace.demand_row(task.index)  # the same work once more
        again = Task(task.index, task.class_id, task.program, demands, self.clock.now)
        again.user = task.user
        again.attempt = task.attempt + 1
        again.parts = task.parts
        again.parts[task.phase] += self.clock.now - task.since_s
        self.observers.retried(self.clock.now, task, again)
        self.clock.call_at(
            self.clock.now + backoff_s, ARRIVAL | task.index, self._sends_again, again
        )
        return True

    def _sends_again(self, call: Call) -> None:
        self.observers.resent(self.clock.now, call.arg)
        self._submit(call.arg)

    def _end(self, task: Task, outcome: int) -> None:
        if task.deadline is not None:
            task.deadline.cancel()
        self.in_flight -= 1
        now = self.clock.now
        self.observers.ended(now, task, outcome)
        if task.user >= 0:
            next_s = now + self.trace.think_s(task.index)
            if next_s < self.duration_s:
                self.clock.call_at(next_s, ARRIVAL | task.user, self._user_arrives, task.user)
