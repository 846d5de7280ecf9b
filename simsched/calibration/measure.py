"""Measures the constants of this machine, of each runtime that is here, in bounded time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from simsched.calibration.constants import (
    RUNTIMES,
    Constant,
    constants_of,
    host_constants,
)
from simsched.calibration.costs import Costs
from simsched.calibration.machine import Machine, Noise, look, noise
from simsched.reality.memory import measure_memory
from simsched.reality.processes import Child, RunFailed, script
from simsched.reality.runtimes import runtime_named
from simsched.reality.toolchains import Tools

__all__ = ["Measured", "Plan", "from_costs", "measure"]

Progress = Callable[[int, int, str], None]
Told = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to measure.

    Attributes:
        budget_s: After so long nothing more is begun, and what runs is ended.
        rounds: Repetitions of single operations at most.
        samples: Switches, wake-ups and sleeps of the operating system.
        tasks: Numbers of idle tasks whose memory is measured.
        threads: Numbers of idle threads.
    """

    budget_s: float
    rounds: int
    samples: int
    tasks: tuple[int, ...]
    threads: tuple[int, ...]


FULL = Plan(80.0, 3, 500, (1_000, 10_000), (1_000, 5_000))
QUICK = Plan(18.0, 1, 200, (10_000,), (1_000,))
SHARE_OF_ONE = 0.4
"""Share of the time left that one program may take: one that is slow must not take all of it."""
FIRST = -20
"""Priority (nice) of what is measured, where it is granted: other programs come after it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        machine: The machine.
        noise: How steady it was when it began.
        constants: Knobs of a calibration file, by table.
        left_out: What could not be measured, one line each.
        runtimes: Runtimes of which there are constants.
    """

    machine: Machine
    noise: Noise
    constants: list[Constant]
    left_out: list[str]
    runtimes: list[str]


@dataclass(frozen=True, slots=True)
class _Group:
    """Costs that one program tells, up to the last that is wanted."""

    name: str
    runtimes: tuple[str, ...]
    driven: str
    last: str
    part: str = ""


GROUPS = (
    _Group("asyncio", ("asyncio",), "asyncio", "asyncio_sleep0_of_many", "asyncio"),
    _Group("uvloop", ("uvloop",), "uvloop", "uvloop_sleep0_of_many", "uvloop"),
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


class _Clock:
    """The time that is left."""

    def __init__(self, budget_s: float) -> None:
        self.end_s = time.monotonic() + budget_s

    def left_s(self) -> float:
        return self.end_s - time.monotonic()

    def slot_s(self) -> float:
        """How long the next program may measure.

        Raises:
            RunFailed: If there is no time for another.
        """
        left = self.left_s()
        if left <= 0:
            raise RunFailed("no time left")
        return max(0.5, left * SHARE_OF_ONE)


def measure(runtimes: Sequence[str] = RUNTIMES, *, quick: bool, progress: Progress) -> Measured:
    """Measure the operating system and these runtimes, one after the other.

    Args:
        runtimes: names as in a calibration file, of `RUNTIMES`.
        quick: fewer repetitions and sizes, within 25 s instead of 90 s (and what the compilers of
            Go and Java take).
        progress: told how many steps are done, of how many, and what is next.
    """
    plan = QUICK if quick else FULL
    machine, steady = look(), noise(0.5)
    with TemporaryDirectory(prefix="simsched-") as folder:
        session = _Session(plan, machine, Tools(Path(folder), machine.cores[:1]), progress)
        session.run(runtimes)
    told = Costs(session.told, quiet=steady.quiet)
    return from_costs(machine, steady, told, session.here, session.left_out)


def from_costs(
    machine: Machine,
    steady: Noise,
    costs: Costs,
    runtimes: Iterable[str],
    left_out: Iterable[str] = (),
) -> Measured:
    """The constants that costs amount to.

    Args:
        machine: where they were measured.
        steady: its noise.
        costs: what was measured.
        runtimes: runtimes to make tables for.
        left_out: what is known not to be measured.
    """
    constants, missing = host_constants(machine, costs, os.cpu_count() or len(machine.cores))
    missing = [*left_out, *missing]
    have = []
    for name in runtimes:
        found, without = constants_of(name, costs)
        constants += found
        missing += without
        if found:
            have.append(name)
    return Measured(machine, steady, constants, missing, have)


class _Session:
    def __init__(self, plan: Plan, machine: Machine, tools: Tools, progress: Progress) -> None:
        self.told: Told = []
        self.left_out: list[str] = []
        self.here: list[str] = []
        self._plan, self._machine, self._tools, self._progress = plan, machine, tools, progress
        self._clock = _Clock(plan.budget_s)
        self._done = self._total = 0

    def run(self, runtimes: Sequence[str]) -> None:
        """Measure all of it."""
        groups = [group for group in GROUPS if set(group.runtimes) & set(runtimes)]
        groups = [group for group in groups if self._drivable(group)]
        self.here = [n for n in RUNTIMES if n in runtimes and any(n in g.runtimes for g in groups)]
        kinds = list(dict.fromkeys(kind for name in self.here for kind in IDLE[name]))
        self._total = 1 + len(groups) * self._plan.rounds + len(kinds)
        self._step("operating system", self._operating_system)
        for group in groups:
            self._build(group)
            self._step(group.name, partial(self._operations, group))
        for kind in kinds:
            self._step(f"memory of {kind}", partial(self._memory, kind))
        for _ in range(self._plan.rounds - 1):
            for group in groups:
                # A repetition for which there is no time is none that is missing.
                with suppress(RunFailed):
                    self._operations(group)
                self._tell(group.name)

    def _drivable(self, group: _Group) -> bool:
        reason = self._tools.missing(runtime_named(group.driven))
        if reason:
            self.left_out.append(f"{', '.join(group.runtimes)}: {reason}")
        return not reason

    def _step(self, label: str, body: Callable[[], None]) -> None:
        try:
            body()
        except RunFailed as error:
            self.left_out.append(f"{label}: {error}")
        self._tell(label)

    def _tell(self, label: str) -> None:
        self._done += 1
        self._progress(self._done, self._total, label)

    def _build(self, group: _Group) -> None:
        """Compile the driver; compilers do not take of the time for measuring."""
        begin = time.monotonic()
        with suppress(RunFailed):
            self._command(group)
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
            _put_first(child.pid)
            while (line := child.next_line(max(0.1, end - time.monotonic()))) is not None:
                self.told.append(line)
                if line["test"].endswith(last):
                    return
            child.wait(1.0)

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


def _put_first(pid: int) -> None:
    """Let a process run before others, if that is granted: in its session, and its session."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, FIRST)
        # Where sessions are groups of the scheduler (sched(7), autogroup), nice counts within one.
        Path(f"/proc/{pid}/autogroup").write_text(str(FIRST))
