"""Causality: time goes forward, and nothing happens before what it follows from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.observe.checker import Checker, early_timers_s, threw
from simsched.sim.task import COMPLETED, TIMED_OUT, Task
from simsched.workload.program import SLEEP

if TYPE_CHECKING:
    from simsched.sim.engine import Simulation

ROUNDING = 1e-9  # relative: a burst that is preempted often is cut into rounded pieces
RESOLUTION_S = 1e-9  # of a runtime's clock: timers may be early by it


class _Progress:
    """How far one attempt has come, and when it got there."""

    __slots__ = ("branches", "demands", "forked", "last_s", "open", "pc", "sent_s")

    def __init__(self, sent_s: float, demands: list[float]) -> None:
        self.sent_s = sent_s
        self.demands = demands
        self.pc = 0
        self.open = False  # the step ``pc`` has begun
        self.last_s = sent_s  # when it began, or when the step before it ended
        self.forked = 0  # branches of that step that have been made
        self.branches = 0  # of those, the ones that have not ended


class Causality(Checker):
    """Steps follow their program, one after the other, and each takes at least what it demands.

    The clock is monotone; arrivals come when the workload says; an attempt ends when its last step
    has, or exactly when the client's patience does; after that it begins no step any more. A
    ``parallel`` step makes all of its branches and ends when the last of them has; the steps of a
    branch follow each other like those of an attempt.
    """

    invariant = "causality"

    def __init__(self) -> None:
        self.now = 0.0
        self.attempts: dict[Task, _Progress] = {}
        self.retry_from_s: dict[Task, float] = {}

    def attach(self, simulation: Simulation) -> None:
        super().attach(simulation)
        self.arrival_s = getattr(simulation.trace, "arrival_s", None)

    def _time(self, now: float, task: Task) -> None:
        if now < self.now:
            self.fail(f"no time before {self.now:.9g} s", f"an event at {now:.9g} s", task)
        if now != self.simulation.clock.now:
            self.fail("an event at the clock's time", f"one at {now:.9g} s", task)
        self.now = now

    # -- attempts ----------------------------------------------------------------------------

    def _send(self, now: float, task: Task) -> None:
        self.attempts[task] = _Progress(now, self.simulation.trace.demand_row(task.index))

    def arrived(self, now: float, task: Task) -> None:
        self._time(now, task)
        if self.arrival_s is not None and now != self.arrival_s[task.index]:
            self.fail(f"its arrival at {self.arrival_s[task.index]:.9g} s", f"{now:.9g} s", task)
        self._send(now, task)

    def retried(self, now: float, task: Task, again: Task) -> None:
        self._time(now, task)
        if task.cancelled:
            self._patience(now, task)
        else:
            self._over(task)
        self.retry_from_s[again] = now

    def resent(self, now: float, task: Task) -> None:
        self._time(now, task)
        retries = task.program.retries
        assert retries is not None
        waited_s = now - self.retry_from_s.pop(task)
        backoff_s = retries.backoff_s * retries.factor ** (task.attempt - 2)
        low_s, high_s = backoff_s * (1 - retries.jitter), backoff_s * (1 + retries.jitter)
        slack_s = _slack(backoff_s, now)
        if not low_s - slack_s <= waited_s <= high_s + slack_s:
            self.fail(f"a back-off of {low_s:.9g} to {high_s:.9g} s", f"{waited_s:.9g} s", task)
        self._send(now, task)

    def ended(self, now: float, task: Task, outcome: int) -> None:
        self._time(now, task)
        if outcome == TIMED_OUT:
            self._patience(now, task)
            return
        progress = self._over(task)
        timeout_s = task.program.timeout_s
        if timeout_s is not None and now > progress.sent_s + timeout_s:
            self.fail("an end before the client gives up", "a later one", task)
        if outcome == COMPLETED and (progress.open or progress.pc != len(task.ops)):
            self.fail(f"{len(task.ops)} steps before completion", f"{progress.pc}", task)

    def released(self, now: float, task: Task) -> None:
        self._time(now, task)
        self._over(task)

    def _over(self, task: Task) -> _Progress:
        """An attempt or a branch has left the scheduler."""
        progress = self.attempts.pop(task)
        if progress.branches:
            self.fail("its branches to end first", f"{progress.branches} that go on", task)
        return progress

    def _patience(self, now: float, task: Task) -> None:
        due_s = self.attempts[task].sent_s + (task.program.timeout_s or 0.0)
        if now != due_s:
            self.fail(f"the client to give up at {due_s:.9g} s", f"{now:.9g} s", task)

    # -- branches ----------------------------------------------------------------------------

    def forked(self, now: float, task: Task, branch: Task) -> None:
        self._time(now, task)
        progress = self.attempts.get(task)
        if progress is None or not progress.open or progress.pc != task.pc:
            self.fail("a branch of a step that has begun", "one of another step", task)
        branches = task.ops[task.pc].branches
        if progress.forked == len(branches) or branch.ops != branches[progress.forked]:
            self.fail(f"{len(branches)} branches, each once", "another one", task)
        if branch.parent is not task or branch.index != task.index:
            self.fail("a branch of this request", "one of another", task)
        progress.forked += 1
        progress.branches += 1
        self._send(now, branch)

    def joined(self, now: float, branch: Task) -> None:
        self._time(now, branch)
        if branch not in self.attempts or branch.parent is None:
            self.fail("a branch to end once", "once more", branch)
        progress = self._over(branch)
        ended = not progress.open and progress.pc == len(branch.ops)
        failed = branch.broken or branch.parent.broken  # of a pool that did not let it wait
        if not (ended or failed or branch.cancelled or threw(self.simulation, branch)):
            self.fail(f"{len(branch.ops)} steps before a join", f"{progress.pc}", branch)
        self.attempts[branch.parent].branches -= 1

    # -- steps -------------------------------------------------------------------------------

    def entered(self, now: float, task: Task, phase: int) -> None:
        self._time(now, task)

    def step_started(self, now: float, task: Task) -> None:
        self._time(now, task)
        progress = self.attempts.get(task)
        if progress is None:
            self.fail("steps of attempts that have been sent", "a step of another", task)
        if task.cancelled and not self._goes_on(task):
            self.fail("no new step after the client has given up", "one begins", task)
        if progress.open:
            self.fail(f"step {progress.pc} to end first", "another step begins", task)
        if task.pc != progress.pc:
            self.fail(f"step {progress.pc} to come next", f"step {task.pc}", task)
        progress.open = True
        progress.last_s = now

    def step_ended(self, now: float, task: Task) -> None:
        self._time(now, task)
        progress = self.attempts.get(task)
        if progress is None or not progress.open or progress.pc != task.pc:
            self.fail("a step that has begun to end", "one that has not", task)
        op = task.ops[task.pc]
        slot = op.slot
        if progress.branches or progress.forked != len(op.branches):
            seen = f"{progress.forked} that have begun, {progress.branches} that go on"
            self.fail(f"the end of all {len(op.branches)} branches", seen, task)
        progress.forked = 0
        if slot >= 0:
            demand_s, took_s = progress.demands[slot], now - progress.last_s
            if took_s < demand_s - _slack(demand_s, now) - self._early_s(task):
                self.fail(f"the step to take {demand_s:.9g} s at least", f"{took_s:.9g} s", task)
        progress.open = False
        progress.pc += 1
        progress.last_s = now

    def _early_s(self, task: Task) -> float:
        is_timer = task.ops[task.pc].code == SLEEP
        return early_timers_s(self.simulation.spec) if is_timer else 0.0

    def _goes_on(self, task: Task) -> bool:
        """A thread looks up between two calls; whatever else computes goes on until it waits."""
        return self.simulation.spec.kind not in ("thread_pool", "fork_join")


def _slack(seconds: float, now: float) -> float:
    return RESOLUTION_S + ROUNDING * seconds + 1e-12 * now
