"""A closer look: one replication on every scheduler, with everything that happens in a window."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsched._version import __version__
from simsched.observe.timeline import Timeline
from simsched.observe.timeline_log import TimelineLog
from simsched.observe.timeline_window import Enough
from simsched.study.units import Unit, simulate_unit

if TYPE_CHECKING:
    from simsched.scenario import Scenario

DEFAULT_LIMIT = 300_000
"""Events of all schedulers together; an event takes 90 to 160 bytes in a file."""

SMALL_STEPS = 10_000
"""Steps to simulate, of all schedulers in one replication, up to which `run` looks closer by
itself: that takes less than a second."""

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Trace:
    """What every scheduler did in a window of one replication.

    Attributes:
        scenario: the scenario.
        replication: which replication, from 0.
        timelines: one per scheduler, all of the same window.
        asked_s: the window that was asked for; its end may be infinite.
    """

    scenario: Scenario
    replication: int
    timelines: tuple[Timeline, ...]
    asked_s: tuple[float, float]

    @property
    def cut(self) -> bool:
        """Whether there was too much to tell, so that the window ends earlier than asked for."""
        return any(timeline.cut for timeline in self.timelines)

    @property
    def end_s(self) -> float:
        """Where the window ends for the scheduler that was busy longest in it."""
        return max((timeline.end_s for timeline in self.timelines), default=0.0)

    def about(self) -> dict[str, Any]:
        """What a file says of the trace: where it comes from, and how much of it there is."""
        start_s, asked_s = self.asked_s
        text = "all of the window"
        if self.cut:
            text = f"cut at {self.end_s:.9g} s of simulated time: the rest would be too big"
        return {
            "generator": f"simsched {__version__}",
            "scenario": self.scenario.name,
            "seed": self.scenario.seed,
            "replication": self.replication,
            "from_s": start_s,
            "asked_to_s": None if math.isinf(asked_s) else asked_s,
            "to_s": self.end_s,
            "cut": self.cut,
            "completeness": text,
        }

    def write(self, path: Path | str) -> int:
        """Write the trace in the form that Perfetto and chrome://tracing open.

        Returns:
            The number of events.

        Raises:
            OutputError: the file cannot be written. An earlier file stays as it was.
        """
        from simsched.report.files import atomic_file
        from simsched.report.trace_events import write_trace

        with atomic_file(Path(path)) as file:
            return write_trace(file, self.timelines, self.about())

    def write_page(self, path: Path | str) -> Path:
        """Write a page that shows the timelines as Gantt charts; returns its path.

        Raises:
            OutputError: the file cannot be written. An earlier file stays as it was.
        """
        from simsched.report.timeline_page import write_page

        return write_page(self, Path(path))


def trace(
    scenario: Scenario,
    *,
    start_s: float = 0.0,
    end_s: float = math.inf,
    replication: int = 0,
    limit: int | None = DEFAULT_LIMIT,
    progress: Progress | None = None,
) -> Trace:
    """Simulate one replication on every scheduler, and keep what happens in a window.

    Args:
        scenario: what to run.
        start_s: where the window begins, seconds of simulated time.
        end_s: where it ends. The run goes no further.
        replication: which of the replications, from 0: the requests are those that `run` draws.
        limit: most events in the file that is made of it; None: no limit. Where there are more,
            the window ends for all schedulers where the first of them has its share.
        progress: told how many simulations are done.

    Raises:
        ScenarioError: a data file cannot be used, or the workload is too big.
        SimulationError: a simulation failed.
        ValueError: the window is empty, or the replication or limit makes no sense.
    """
    if not 0.0 <= start_s < end_s:
        raise ValueError(f"a window needs 0 <= start_s < end_s, not {start_s} and {end_s}")
    if replication < 0 or (limit is not None and limit < 1):
        raise ValueError("replication must not be negative, and limit be at least 1")
    count = len(scenario.schedulers)
    share = None if limit is None else max(1, limit // count)
    study = secrets.token_hex(8)
    timelines = []
    for number in range(count):
        if progress is not None:
            progress(number, count, scenario.schedulers[number].name)
        log = TimelineLog(start_s, end_s, share)
        with suppress(Enough):
            simulate_unit(Unit(study, scenario, number, replication), [log])
        timelines.append(log.close())
    if progress is not None:
        progress(count, count, "")
    cuts = [timeline.end_s for timeline in timelines if timeline.cut]
    if cuts:
        timelines = [timeline.until(min(cuts)) for timeline in timelines]
    return Trace(scenario, replication, tuple(timelines), (start_s, end_s))


def closer_look(scenario: Scenario) -> tuple[Timeline, ...]:
    """The timelines of the first replication of a small scenario; none of a bigger one."""
    from simsched.study.offered import expected_steps, offered

    steps = expected_steps(scenario, offered(scenario)) * len(scenario.schedulers)
    if not 0.0 < steps <= SMALL_STEPS:
        return ()
    return trace(scenario).timelines
