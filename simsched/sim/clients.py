"""The clients: they send requests, give up, try again, and (in a closed workload) think.

A client knows nothing of the scheduler behind the service. It sends attempts, and hears of each
exactly one of: completed, rejected, failed. When its patience (``timeout``) ends before it hears
anything, the attempt is over for the client; the scheduler is told and may need a while to stop
working on it. That work is nobody's latency, but it holds workers and memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from simsched.sim.clock import ARRIVAL, IO_DONE, Call, Clock
from simsched.sim.task import COMPLETED, FAILED, REJECTED, TIMED_OUT, Task
from simsched.workload import ClosedTrace

if TYPE_CHECKING:
    from simsched.sim.observer import Observers
    from simsched.workload import RequestTrace
    from simsched.workload.program import Op

MOST_AT_ONCE = 100_000  # requests of a closed workload at one instant


class Standstill(RuntimeError):
    """Simulated time has stopped, because requests cause requests at one instant without end."""


class Service(Protocol):
    """What clients know of the other side: a scheduler, or the network in front of it."""

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """The program as the service runs it."""

    def submit(self, task: Task) -> None:
        """An attempt is sent."""

    def cancel(self, task: Task) -> None:
        """Its client has given it up."""

    def expect(self, arrival_s: float, index: int) -> bool:
        """Whether the service calls ``send_next`` by itself when it sees that request."""

    def catch_up(self, until_s: float, priority: float) -> None:
        """Tell what has happened until then."""


NO_MORE: tuple[float, int, list[float]] = (math.inf, -1, [])


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
        self._arrived, self._ended = observers.arrived, observers.ended
        self.trace = trace
        self._programs = trace.programs
        self.duration_s = duration_s
        self.in_flight = 0  # requests without a terminal outcome
        self.attempts_held = 0  # attempts that the scheduler still holds, cancelled ones included
        self.service: Service
        self._issued = 0
        self._crowded_s = -1.0
        self._crowd = 0  # requests that users have sent at that instant
        # Of an open workload: arrival, class and demands of the next request, and the rest of them.
        self._coming = NO_MORE
        self._requests: Iterator[tuple[float, int, list[float]]] = iter(())
        self._fetched = False  # whether the scheduler calls `send_next`, or an event does

    def start(self, service: Service) -> None:
        """Send the first requests."""
        self.service = service
        self._programs = tuple(replace(p, ops=service.adapt(p.ops)) for p in self._programs)
        trace = self.trace
        if isinstance(trace, ClosedTrace):
            for user in range(trace.users):
                first_s = float(trace.start_s[user])
                if first_s < self.duration_s:
                    self.clock.call_at(first_s, ARRIVAL | user, self._user_arrives, user)
            return
        self._requests = trace.requests()
        self._coming = next(self._requests, NO_MORE)
        if self._coming is NO_MORE:
            return
        # A request with a deadline has to be sent on time, lest the deadline be in the past.
        punctual = any(p.timeout_s is not None for p in trace.programs)
        self._fetched = not punctual and service.expect(self._coming[0], 0)
        if not self._fetched:
            self.clock.call_at(self._coming[0], ARRIVAL, self._arrives)

    def idle(self) -> bool:
        """Whether nothing is in flight or still held by the scheduler."""
        return self.in_flight == 0 and self.attempts_held == 0

    # -- sending -----------------------------------------------------------------------------

    def _arrives(self, _: Call) -> None:
        self.send_next()

    def send_next(self) -> None:
        """The next request of an open workload is sent: its time has come."""
        arrival_s, class_id, demands = self._coming
        i = self._issued
        self._issued = following_i = i + 1
        self._coming = following = next(self._requests, NO_MORE)
        if following is not NO_MORE:
            if self._fetched:
                self.service.expect(following[0], following_i)
            else:
                self.clock.call_at(following[0], ARRIVAL | following_i, self._arrives)
        self._issue(i, arrival_s, class_id, demands, -1)

    def _user_arrives(self, call: Call) -> None:
        trace, i = self.trace, self._issued
        self._issued = i + 1
        trace.ensure(i)  # type: ignore[union-attr]
        self._issue(i, self.clock.now, trace.class_id_of(i), trace.demand_row(i), call.arg)

    def _issue(self, i: int, now: float, class_id: int, demands: list[float], user: int) -> None:
        task = Task(i, class_id, self._programs[class_id], demands, now)
        task.user = user
        self.in_flight += 1
        arrived = self._arrived
        arrived(now, task)
        self._submit(task)

    def _submit(self, task: Task) -> None:
        self.attempts_held += 1
        timeout_s = task.program.timeout_s
        if timeout_s is not None:
            task.deadline = self.clock.call_at(
                self.clock.now + timeout_s, IO_DONE | task.index, self._gives_up, task
            )
        self.service.submit(task)

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
        if not self.in_flight:
            self._may_be_over()

    # -- giving up and trying again ----------------------------------------------------------

    def _gives_up(self, call: Call) -> None:
        task: Task = call.arg
        if task.over:
            return
        self.service.catch_up(self.clock.now, IO_DONE | task.index)
        task.cancelled = True
        if not self._retry(task):
            self._end(task, TIMED_OUT)
        self.service.cancel(task)

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
        if not self.in_flight:
            self._may_be_over()
        now = self.clock.now
        ended = self._ended
        ended(now, task, outcome)
        if task.user >= 0:
            next_s = now + self.trace.think_s(task.index)
            if next_s < self.duration_s:
                self._guard_against_standstill(next_s)
                self.clock.call_at(next_s, ARRIVAL | task.user, self._user_arrives, task.user)

    def _may_be_over(self) -> None:
        """Nobody may run ahead of the clock once all is done: the run ends with this event."""
        if self.idle() and self.clock.now >= self.duration_s:
            self.clock.limit_s = -1.0

    def _guard_against_standstill(self, next_s: float) -> None:
        """Users who are answered at once and ask again at once would stop the clock for ever."""
        if next_s > self._crowded_s:
            self._crowded_s = next_s
            self._crowd = 0
        self._crowd += 1
        if self._crowd > MOST_AT_ONCE:
            raise Standstill(
                f"the users sent {MOST_AT_ONCE} requests at {next_s:.6g} s of simulated time: they "
                "are answered (or refused) at once and ask again at once, so time cannot pass. "
                "Give the closed workload a think time"
            )
