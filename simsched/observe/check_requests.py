"""Conservation: each request ends once, each attempt leaves once, and the counts add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simsched.observe.checker import Checker
from simsched.observe.record import OUTCOMES
from simsched.sim.task import COMPLETED, FAILED, REJECTED, TIMED_OUT, UNFINISHED, Task

if TYPE_CHECKING:
    from simsched.observe.record import RunRecord
    from simsched.sim.engine import Simulation


class Conservation(Checker):
    """Arrived = completed + rejected + timed out + failed + unfinished, request by request."""

    invariant = "conservation"

    def __init__(self) -> None:
        self.arrivals = 0
        self.live: dict[int, Task] = {}  # the attempt each open request is at
        self.sent: dict[int, int] = {}  # how many attempts it has had
        self.backing_off: set[Task] = set()
        self.with_scheduler: set[Task] = set()
        self.given_up: set[Task] = set()  # of those, the ones nobody waits for any more
        self.branches: dict[Task, set[Task]] = {}  # of each task, those that have not ended
        self.ends: dict[int, tuple[int, float, int]] = {}  # outcome, time, attempts

    def arrived(self, now: float, task: Task) -> None:
        if task.index != self.arrivals:
            self.fail(f"request {self.arrivals} to arrive next", f"request {task.index}", task)
        if task.attempt != 1:
            self.fail("a first attempt to arrive", f"attempt {task.attempt}", task)
        self.arrivals += 1
        self.live[task.index] = task
        self.sent[task.index] = 1
        self.with_scheduler.add(task)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        before = self.ends.get(task.index)
        if before is not None:
            self.fail("one end per request", f"a second one, after {OUTCOMES[before[0]]}", task)
        if self.live.get(task.index) is not task:
            self.fail("the request's present attempt to end it", "another one", task)
        self._expect_no_branches(task, outcome == TIMED_OUT)
        if outcome not in (COMPLETED, REJECTED, TIMED_OUT, FAILED):
            self.fail("a terminal outcome", f"outcome {outcome}", task)
        if (outcome == TIMED_OUT) != task.cancelled:
            self.fail("given up if, and only if, timed out", OUTCOMES[outcome], task)
        del self.live[task.index], self.sent[task.index]
        self.ends[task.index] = (outcome, now, task.attempt)
        self._leaves(task)

    def retried(self, now: float, task: Task, again: Task) -> None:
        if self.live.get(task.index) is not task:
            self.fail("the request's present attempt to be followed by another", "an old one", task)
        retries = task.program.retries
        n, most = self.sent[task.index] + 1, 1 + (retries.max if retries else 0)
        if n > most or again.attempt != n:
            self.fail(f"at most {most} attempts, one by one", f"attempt {again.attempt}", task)
        self.sent[task.index] = n
        self.live[task.index] = again
        self.backing_off.add(again)
        self._expect_no_branches(task, goes_on=task.cancelled)
        self._leaves(task)

    def resent(self, now: float, task: Task) -> None:
        if task not in self.backing_off:
            self.fail("a request to be sent again only after its back-off", "it was not due", task)
        self.backing_off.remove(task)
        self.with_scheduler.add(task)

    def released(self, now: float, task: Task) -> None:
        if task not in self.given_up:
            self.fail("a given-up attempt to be let go of, once", "another one", task)
        self._expect_no_branches(task)
        self.given_up.remove(task)
        self.with_scheduler.remove(task)

    def forked(self, now: float, task: Task, branch: Task) -> None:
        if branch in self.branches:
            self.fail("a branch to be made once", "a second time", branch)
        self.branches.setdefault(task, set()).add(branch)
        self.branches[branch] = set()

    def joined(self, now: float, branch: Task) -> None:
        if branch not in self.branches or branch.parent is None:
            self.fail("a branch to end once", "once more, or without having begun", branch)
        self._expect_no_branches(branch)
        self.branches[branch.parent].remove(branch)

    def _expect_no_branches(self, task: Task, goes_on: bool = False) -> None:
        """Whoever leaves the scheduler leaves nobody behind."""
        left = () if goes_on else self.branches.pop(task, ())
        if left:
            self.fail("its branches to end before it does", f"{len(left)} left", task)

    def _leaves(self, task: Task) -> None:
        """The attempt is over for the client; a cancelled one stays with the scheduler."""
        if task not in self.with_scheduler:
            self.fail("an attempt that the scheduler has to end", "one it does not have", task)
        if task.cancelled:
            self.given_up.add(task)
        else:
            self.with_scheduler.remove(task)

    def finish(self, simulation: Simulation, record: RunRecord) -> None:
        self._expect("requests in the record", self.arrivals, len(record))
        clients = simulation.clients
        self._expect("requests in flight", len(self.live), clients.in_flight)
        self._expect("attempts held", len(self.with_scheduler), clients.attempts_held)
        if clients.idle():
            self._expect("tasks with branches", 0, len(self.branches))
        for i in range(len(record)):
            outcome, finish_s, attempts = int(record.outcome[i]), record.finish_s[i], None
            end = self.ends.get(i)
            if end is None:
                self._expect(f"outcome of request {i}", OUTCOMES[UNFINISHED], OUTCOMES[outcome])
                self._expect(f"request {i} without a finish", True, bool(np.isnan(finish_s)))
                attempts = self.live[i].attempt
            else:
                self._expect(f"outcome of request {i}", OUTCOMES[end[0]], OUTCOMES[outcome])
                self._expect(f"finish of request {i}", end[1], float(finish_s))
                attempts = end[2]
            self._expect(f"attempts of request {i}", attempts, int(record.attempts[i]))

    def _expect(self, what: str, expected: object, seen: object) -> None:
        if expected != seen:
            self.fail(str(expected), str(seen), where=what)
