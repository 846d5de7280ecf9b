"""One session of measuring: programs that run one after the other, within a budget of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from simsched.calibration.machine import Machine
from simsched.calibration.rules import RUNTIMES
from simsched.calibration.slots import DRIVEN, SERVERS, measure_slots
from simsched.reality.memory import measure_memory
from simsched.reality.processes import Child, RunFailed, put_first, script
from simsched.reality.runtimes import runtime_named
from simsched.reality.toolchains import Tools

__all__ = ["FULL", "QUICK", "Plan", "Progress", "Session", "Told"]

Progress = Callable[[int, int, str], None]
Told = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        budget_s: After so long nothing more is begun, and what runs is ended.
        rounds: Repetitions of single operations at most.
        slots: Repetitions of requests of each kind.
        samples: Switches, wake-ups and sleeps of the operating system.
        tasks: Numbers of idle tasks whose memory is measured.
        threads: Numbers of idle threads.
    """

    budget_s: float
    rounds: int
    slots: int
    samples: int
    tasks: tuple[int, ...]
    threads: tuple[int, ...]


FULL = Plan(110.0, 3, 10, 500, (10_000, 100_000), (1_000, 5_000))
QUICK = Plan(21.0, 1, 2, 200, (10_000, 100_000), (1_000,))
SHARE_OF_ONE = 0.4
"""Share of the time left that one program may take: one that is slow must not take all of it."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Costs that one program tells, up to the last that is wanted."""

    name: str
    runtimes: tuple[str, ...]
    driven: str
    last: str
    part: str = ""


GROUPS = (
    _Group("asyncio", ("asyncio",), "asyncio", "asyncio_hop_executor", "asyncio"),
    _Group("uvloop", ("uvloop",), "uvloop", "uvloop_hop_executor", "uvloop"),
    _Group("threads", ("cpython-threads",), "tpe40", "tpe_submit_run_bulk_per_task", "threads"),
    _Group("go", ("go",), "go1", "gosched_switch"),
    _Group("java", ("virtual-threads", "jdk-threads"), "vt1", "vthread_yield_switch"),
)
IDLE: Mapping[str, tuple[str, ...]] = {
    # runtime: what its driver can hold many of
    "asyncio": ("asyncio",),
    "uvloop": ("uvloop",),
    "cpython-threads": ("threads",),
    "go": ("go_sleep",),
    "virtual-threads": ("java_vt_sleep", "java_platform"),
    "jdk-threads": ("java_platform",),
}
OF_THREADS = ("threads", "java_platform")


class _NoTime(RunFailed):
    """The budget is spent."""


class _Clock:
    """The time that is left."""

    def __init__(self, budget_s: float) -> None:
        self.end_s = time.monotonic() + budget_s

    def left_s(self) -> float:
        return self.end_s - time.monotonic()

    def slot_s(self) -> float:
        """How long the next program may measure.

        Raises:
            _NoTime: If there is none for another.
        """
        left = self.left_s()
        if left <= 0:
            raise _NoTime("no time left")
        return max(0.5, left * SHARE_OF_ONE)


class Session:
    """Programs that measure, one after the other, and what they told.

    Attributes:
        told: Lines of the programs.
        left_out: What could not be measured, one line each.
        here: Runtimes and servers that can be driven.
    """

    def __init__(self, plan: Plan, machine: Machine, tools: Tools, progress: Progress) -> None:
        self.told: Told = []
        self.left_out: list[str] = []
        self.here: list[str] = []
        self._late: list[str] = []
        self._plan, self._machine, self._tools, self._progress = plan, machine, tools, progress
        self._clock = _Clock(plan.budget_s)
        self._done = self._total = 0

    def run(self, names: Sequence[str]) -> None:
        """Measure all of it: the operating system, and runtimes and servers of these names."""
        runtimes = [name for name in names if name in DRIVEN]
        servers = [name for name in names if name in SERVERS and self._servable(name)]
        groups = [group for group in GROUPS if set(group.runtimes) & set(runtimes)]
        groups = [group for group in groups if self._drivable(group)]
        self.here = [n for n in RUNTIMES if n in runtimes and any(n in g.runtimes for g in groups)]
        kinds = list(dict.fromkeys(kind for name in self.here for kind in IDLE[name]))
        driven = [*self.here, *servers]
        self._total = 1 + len(groups) * self._plan.rounds + len(driven) + len(kinds)
        self._progress(0, self._total, "operating system")
        self._step("operating system", self._operating_system)
        for group in groups:
            self._build(group.driven)
            self._step(group.name, partial(self._operations, group))
        # Runtime by runtime: if there is no time for all, some are measured as a whole.
        for name in driven:
            for kind in IDLE.get(name, ()):
                if kind in kinds:
                    kinds.remove(kind)
                    self._step(f"memory of {kind}", partial(self._memory, kind))
            self._build(DRIVEN.get(name) or SERVERS[name])
            self._step(f"requests of {name}", partial(self._requests, name))
        if self._late:
            self.left_out.append(f"no time left: {', '.join(self._late)}")
        self.here += servers
        for _ in range(self._plan.rounds - 1):
            for group in groups:
                # A repetition for which there is no time is none that is missing.
                with suppress(RunFailed):
                    self._operations(group)
                self._tell(group.name)

    def _servable(self, name: str) -> bool:
        reason = self._tools.missing(runtime_named(SERVERS[name]))
        if reason:
            self.left_out.append(f"{name}: {reason}")
        return not reason

    def _drivable(self, group: _Group) -> bool:
        reason = self._tools.missing(runtime_named(group.driven))
        if reason:
            self.left_out.append(f"{', '.join(group.runtimes)}: {reason}")
        return not reason

    def _step(self, label: str, body: Callable[[], None]) -> None:
        try:
            body()
        except _NoTime:
            self._late.append(label)
        except RunFailed as error:
            self.left_out.append(f"{label}: {error}")
        self._tell(label)

    def _tell(self, label: str) -> None:
        self._done += 1
        self._progress(self._done, self._total, label)

    def _build(self, driven: str) -> None:
        """Compile the driver; compilers do not take of the time for measuring."""
        begin = time.monotonic()
        runtime = runtime_named(driven)
        with suppress(RunFailed):
            self._tools.program(runtime.language, runtime)
        self._clock.end_s += time.monotonic() - begin

    def _command(self, group: _Group) -> list[str]:
        if group.part:
            return [*script("micro_python.py"), group.part]
        runtime = runtime_named(group.driven)
        return [*self._tools.program(runtime.language, runtime), "micro", "--threads", "1"]

    def _operating_system(self) -> None:
        if not self._machine.linux:
            raise RunFailed("measuring needs Linux")
        command = [*script("micro_os.py"), str(self._plan.samples)]
        self._listen(command, self._machine.cores[:2], last="os_sleep_late_no_slack")

    def _operations(self, group: _Group) -> None:
        self._listen(self._command(group), self._machine.cores[:1], last=group.last)

    def _listen(self, command: list[str], cpus: tuple[int, ...], *, last: str) -> None:
        """Note what a program tells, up to the last test that is wanted."""
        end = time.monotonic() + self._clock.slot_s()
        with Child(command, cpus, log=self._tools.scratch / "micro.log") as child:
            put_first(child.pid)
            while (line := child.next_line(max(0.1, end - time.monotonic()))) is not None:
                self.told.append(line)
                if line["test"].endswith(last):
                    return
            child.wait(1.0)

    def _requests(self, name: str) -> None:
        rounds, ready_s = self._plan.slots, self._clock.slot_s()
        self.told += measure_slots(name, self._tools, self._machine.cores, rounds, ready_s)

    def _memory(self, kind: str) -> None:
        numbers = self._plan.threads if kind in OF_THREADS else self._plan.tasks
        for n in numbers:
            told, skipped = measure_memory(
                self._tools,
                self._machine.cores[:1],
                wanted={kind: (n,)},
                timeout_s=self._clock.slot_s(),
            )
            self.told += told
            self.left_out += [f"{s.name}: {s.reason}" for s in skipped]
