"""What tests of hosts and schedulers are written with: requests by hand, one run, a log to read.

Requests are called A, B, C, ... in the order written. All times in logs are milliseconds, rounded
to the picosecond, so that they can be compared with what a reader works out on paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simsched.observe.record import OUTCOMES, RunRecord
from simsched.scenario import Scenario, SchedulerSpec
from simsched.sim.engine import Simulation, simulate
from simsched.sim.observer import Observer
from simsched.sim.os_thread import OsThread
from simsched.sim.task import CPU, Task
from simsched.workload import RequestTrace, draw, flatten

Spec = dict[str, Any]
Step = dict[str, Any]

# A machine that costs nothing: whatever time passes is in the requests themselves.
FREE_OS: dict[str, Any] = {
    "switch_cost": "0s",
    "wakeup_latency": "0s",
    "wakeup_cost": "0s",
    "timer_slack": "0s",
    "hz": 0,
}
# ... and on which a thread keeps its core until it sleeps.
RUN_TO_END: dict[str, Any] = {"time_slice": "1000000s", "wakeup_preemption": False}

LOOP: Spec = {
    "kind": "event_loop",
    "timer_resolution": "0s",
    "iteration": "0s",
    "handle": "0s",
    "task_create": "0s",
    "hop": "0s",
    "thread_hop": "0s",
    "thread_create": "0s",
}
GO: Spec = {"kind": "goroutine", "create": "0s", "switch": "0s", "steal": "0s"} | {
    "thread_create": "0s",
    "poll_resolution": "0s",
}
VIRTUAL: Spec = {"kind": "virtual_thread", "create": "0s", "switch": "0s", "steal": "0s"} | {
    "thread_create": "0s"
}
REACTOR: Spec = {
    "kind": "reactor",
    "iteration": "0s",
    "event": "0s",
    "request": "0s",
    "hop": "0s",
    "thread_create": "0s",
}
FUTURES: Spec = {"kind": "fork_join", "task": "0s", "steal": "0s", "thread_create": "0s"}
_POOL: Spec = {"kind": "thread_pool", "thread_create": "0s", "dispatch": "0s"}


def tomcat(threads: int, spare: int | None = None, **knobs: Any) -> Spec:
    """A Tomcat pool without costs; by default all its threads are there from the start."""
    spare = threads if spare is None else spare
    return {**_POOL, "policy": "tomcat", "maxThreads": threads, "minSpareThreads": spare, **knobs}


def jdk(core: int, most: int | None = None, queue: Any = "unbounded", **knobs: Any) -> Spec:
    """A java.util.concurrent pool without costs."""
    sizes = {"corePoolSize": core, "maximumPoolSize": most or core, "workQueue": queue}
    return {**_POOL, "policy": "jdk", **sizes, **knobs}


def exponential(mean: str) -> dict[str, str]:
    return {"dist": "exponential", "mean": mean}


def steps_of(text: str) -> list[Step]:
    """Steps without nesting, as in "cpu 1ms, io 2ms, blocking file 3ms"."""
    steps = []
    for part in text.split(","):
        words = part.split()
        step: Step = {words[0]: words[-1]}
        if len(words) == 3:
            step["kind"] = words[1]
        steps.append(step)
    return steps


def hold(key: str, name: str, inside: str | list[Step], **more: Any) -> Step:
    """A `use` or `lock` step."""
    return {key: name, "steps": steps_of(inside) if isinstance(inside, str) else inside, **more}


def parallel(*branches: str | list[Step]) -> Step:
    """A `parallel` step."""
    return {"parallel": [steps_of(b) if isinstance(b, str) else b for b in branches]}


def offload(api: str, inside: str | list[Step]) -> Step:
    """An `offload` step."""
    return {"offload": api, "steps": steps_of(inside) if isinstance(inside, str) else inside}


@dataclass(frozen=True)
class Request:
    """One request by hand: when it arrives, and its class."""

    at_ms: float
    body: dict[str, Any]


def request(steps: str | list[Step], at: float = 0.0, **more: Any) -> Request:
    """A request that arrives at `at` milliseconds; `more` are keys of its class (timeout, ...)."""
    inside = steps_of(steps) if isinstance(steps, str) else steps
    return Request(at, {"steps": inside, **more})


def letter(i: int) -> str:
    """Name of request `i`: A to Z, then r26, r27, ..."""
    return chr(ord("A") + i) if i < 26 else f"r{i}"


def ms(seconds: float) -> float:
    return round(float(seconds) * 1e3, 9)


class Journal(Observer):
    """Writes down what happens, in milliseconds."""

    def __init__(self) -> None:
        self.steps: list[tuple[float, str]] = []  # a step is done, as "A cpu"
        self.starts: list[tuple[float, str]] = []  # a worker takes a request up for the first time
        self.ends: list[tuple[float, str]] = []  # terminal outcomes, as "A completed"
        self.let_go: list[tuple[float, str]] = []  # a cancelled attempt holds nothing any more
        self.slices: list[tuple[float, float, int, str]] = []  # from, to, core, thread
        self.threads_made: list[float] = []
        self.threads_gone: list[float] = []
        self.on: dict[int, float] = {}
        self._started: set[Task] = set()

    def entered(self, now: float, task: Task, phase: int) -> None:
        if phase == CPU and task not in self._started:
            self._started.add(task)
            self.starts.append((ms(now), letter(task.index)))

    def step_ended(self, now: float, task: Task) -> None:
        self.steps.append((ms(now), f"{letter(task.index)} {task.ops[task.pc].name}"))

    def ended(self, now: float, task: Task, outcome: int) -> None:
        self.ends.append((ms(now), f"{letter(task.index)} {OUTCOMES[outcome]}"))

    def released(self, now: float, task: Task) -> None:
        self.let_go.append((ms(now), letter(task.index)))

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.on[core] = now

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        since = self.on.pop(core)
        if now > since:
            self.slices.append((ms(since), ms(now), core, thread.name))

    def threads(self, now: float, change: int) -> None:
        (self.threads_made if change > 0 else self.threads_gone).append(ms(now))


@dataclass(frozen=True)
class Run:
    """One finished run."""

    record: RunRecord
    journal: Journal
    simulation: Simulation

    @property
    def done(self) -> dict[str, float]:
        """When each completed request ended, in milliseconds, in order of arrival."""
        finish = zip(self.record.outcome, self.record.finish_s, strict=True)
        return {letter(i): ms(t) for i, (code, t) in enumerate(finish) if code == 1}

    @property
    def outcomes(self) -> dict[str, str]:
        return {letter(i): OUTCOMES[code] for i, code in enumerate(self.record.outcome)}

    @property
    def activity(self) -> dict[str, float]:
        return self.record.activity


def scenario_of(
    classes: Sequence[Mapping[str, Any]],
    scheduler: Spec,
    *,
    cores: int = 1,
    os: Mapping[str, Any] | None = None,
    arrivals: Mapping[str, Any] | None = None,
    resources: Mapping[str, int | Spec] | None = None,
    connections: Mapping[str, Any] | None = None,
    duration: str = "1s",
    host: Mapping[str, Any] | None = None,
    **run: Any,
) -> Scenario:
    """A scenario on a machine without costs, except for what `os` says."""
    wires = {} if connections is None else {"connections": dict(connections)}
    return Scenario.from_dict(
        {
            "scenario": {"name": "test", "duration": duration, **run},
            "host": {"cores": cores, **(host or {}), "os": {**FREE_OS, **(os or {})}},
            "workload": {
                "arrivals": dict(arrivals or {"kind": "constant", "rate": "1/s"}),
                "requests": [dict(c) for c in classes],
                **wires,
            },
            "resources": {
                name: {"capacity": pool} if isinstance(pool, int) else pool
                for name, pool in (resources or {}).items()
            },
            "schedulers": [scheduler],
        }
    )


def run(
    scheduler: Spec,
    *requests: Request,
    cores: int = 1,
    os: Mapping[str, Any] | None = None,
    host: Mapping[str, Any] | None = None,
    resources: Mapping[str, int | Spec] | None = None,
    connections: Mapping[str, Any] | None = None,
    seed: int = 1,
    watch: Sequence[Observer] = (),
) -> Run:
    """Run requests given one by one (each a class of its own) until all is done."""
    times = [r.at_ms for r in requests]
    assert times == sorted(times), "requests are written in order of arrival"
    classes = [{"name": letter(i), **r.body} for i, r in enumerate(requests)]
    duration_s = times[-1] / 1e3 + 1e-3
    scenario = scenario_of(
        classes,
        scheduler,
        cores=cores,
        os=os,
        host=host,
        resources=resources,
        connections=connections,
        duration=f"{duration_s!r}s",
        drain="1000s",
        seed=seed,
    )
    programs = tuple(flatten(c) for c in scenario.classes)
    n = len(requests)
    trace = RequestTrace(
        programs=programs,
        arrival_s=np.array(times) / 1e3,
        class_id=np.arange(n, dtype=np.int32),
        demands=tuple(
            np.array([[float(d.mean_s or 0.0) for d in program.demands]]) for program in programs
        ),
        row=np.zeros(n, np.int64),
        duration_s=duration_s,
        seed=seed,
        replication=0,
    )
    journal = Journal()
    simulation = Simulation(scenario, scenario.schedulers[0], trace, observers=[*watch, journal])
    return Run(simulation.run(), journal, simulation)


def run_trace(
    scheduler: Spec,
    steps: str | list[Step],
    arrival_s: npt.NDArray[np.float64],
    demands_s: npt.NDArray[np.float64],
    *,
    cores: int = 1,
    os: Mapping[str, Any] | None = None,
    seed: int = 1,
) -> RunRecord:
    """Run requests of one class with the given demands, one row each, until all is done."""
    inside = steps_of(steps) if isinstance(steps, str) else steps
    duration_s = float(arrival_s[-1]) + 1e-3
    scenario = scenario_of(
        [{"name": "a", "steps": inside}],
        scheduler,
        cores=cores,
        os=os,
        duration=f"{duration_s!r}s",
        drain="1000000s",
        seed=seed,
    )
    trace = RequestTrace(
        programs=tuple(flatten(c) for c in scenario.classes),
        arrival_s=arrival_s,
        class_id=np.zeros(len(arrival_s), np.int32),
        demands=(demands_s,),
        row=np.arange(len(arrival_s)),
        duration_s=duration_s,
        seed=seed,
        replication=0,
    )
    return simulate(scenario, spec_of(scenario), trace)


def spec_of(scenario: Scenario) -> SchedulerSpec:
    """Its only scheduler."""
    return scenario.schedulers[0]


def replicate(scenario: Scenario, replications: int) -> list[RunRecord]:
    """Independent replications of a drawn scenario."""
    spec = spec_of(scenario)
    return [simulate(scenario, spec, draw(scenario, r), r) for r in range(replications)]
