"""The scenario: one request mix, one machine, and the schedulers to compare on it."""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr

from simsched.scenario.arrivals import Arrivals, Closed
from simsched.scenario.base import Finding, Model
from simsched.scenario.checks import Draft, check
from simsched.scenario.connections import Connections
from simsched.scenario.host import Host, Resource
from simsched.scenario.scalars import (
    AutoDuration,
    IntRange,
    Name,
    PositiveDuration,
)
from simsched.scenario.slo import SloRules
from simsched.scenario.spec_go import GoroutineSpec
from simsched.scenario.specs import SchedulerSpec
from simsched.scenario.steps import RequestClass
from simsched.scenario.units import format_duration

if TYPE_CHECKING:
    from simsched.calibration.model import Calibration
    from simsched.scenario.document import Document
    from simsched.scenario.errors import Problem


class RunSection(Model):
    """The [scenario] table: what the run is called, how long and how often it runs.

    ``warmup_s`` None ("auto") finds the warm-up from the output; ``drain_s`` None ("auto") lets the
    program choose how long the run goes on after ``duration_s``, without new arrivals, so that
    requests in flight can end.
    """

    name: Name = Field(description="Name of the scenario, and of the folder of its results.")
    duration_s: PositiveDuration = Field(
        alias="duration", description="Simulated time in which requests arrive."
    )
    seed: Annotated[int, IntRange(0, 2**63 - 1)] = Field(
        default=1, description="Root of all random numbers."
    )
    replications: Annotated[int, IntRange(1, 10_000)] = Field(
        default=10, description="Independent repetitions; 10 or more give useful intervals."
    )
    warmup_s: AutoDuration = Field(
        alias="warmup",
        default=None,
        description='Removed from the start. "auto": found from the output.',
    )
    study: Literal["steady", "terminating"] = Field(
        default="steady",
        description='"steady": how it behaves in the long run. "terminating": a period from its '
        "start, nothing removed.",
    )
    drain_s: AutoDuration = Field(
        alias="drain",
        default=None,
        description='Time after the last arrival in which requests in flight may end. "auto": '
        "as long as needed, within limits.",
    )

    def findings(self) -> Iterator[Finding]:
        """The warm-up must leave something to measure, and is not part of a terminating study."""
        if self.warmup_s is not None and self.warmup_s >= self.duration_s:
            warmup, duration = format_duration(self.warmup_s), format_duration(self.duration_s)
            yield Finding(
                ("warmup",),
                f"warmup ({warmup}) must be shorter than duration ({duration})",
                "nothing would be left to measure",
            )
        if self.study == "terminating" and self.warmup_s:
            yield Finding(
                ("warmup",),
                "a terminating study keeps everything from its start: it has no warm-up",
                'remove warmup, or set study = "steady"',
            )


class Workload(Model):
    """The [workload] table: how requests arrive, on which connections, and what they do."""

    arrivals: Arrivals = Field(description="How requests arrive.")
    connections: Connections | None = Field(
        default=None,
        description="The connections that requests come on. Absent: a request is readable at "
        "once, on one that is open already.",
    )
    requests: Annotated[tuple[RequestClass, ...], Field(strict=False, min_length=1)] = Field(
        description="The classes of requests."
    )

    def findings(self) -> Iterator[Finding]:
        """The number of connections is given by the users, or by a count."""
        if self.connections is None:
            return
        count, closed = self.connections.count, isinstance(self.arrivals, Closed)
        if closed and count is not None:
            yield Finding(
                ("connections", "count"),
                "in a closed workload each user has one connection",
                "remove count; the number of connections is workload.arrivals.users",
            )
        if not closed and count is None and self.connections.connect == "start":
            yield Finding(
                ("connections", "connect"),
                'connect = "start" needs a count of connections to open',
                'add count = ..., or set connect = "first_use"',
            )


class Scenario(Model):
    """A validated scenario. Its fields are TOML tables; the properties are the usual way in.

    Two scenarios are equal when their contents are, wherever they were read from.
    """

    run: RunSection = Field(alias="scenario")
    host: Host
    workload: Workload
    resources: dict[Name, Resource] = Field(default_factory=dict)
    schedulers: Annotated[tuple[SchedulerSpec, ...], Field(strict=False, min_length=1)]
    slo: SloRules = ()

    _base_dir: Path | None = PrivateAttr(default=None)
    _source: Path | None = PrivateAttr(default=None)
    _document: Any = PrivateAttr(default=None)
    _calibration: Any = PrivateAttr(default=None)

    @property
    def name(self) -> str:
        """Name of the scenario."""
        return self.run.name

    @property
    def duration_s(self) -> float:
        """Length of the arrival window in simulated seconds."""
        return self.run.duration_s

    @property
    def seed(self) -> int:
        """Root seed of every random stream."""
        return self.run.seed

    @property
    def replications(self) -> int:
        """Number of independent repetitions."""
        return self.run.replications

    @property
    def warmup_s(self) -> float | None:
        """Seconds removed from the start; None: found from the output."""
        return self.run.warmup_s

    @property
    def study(self) -> Literal["steady", "terminating"]:
        """Whether a steady state is estimated, or the run as a whole counts."""
        return self.run.study

    @property
    def drain_s(self) -> float | None:
        """Seconds after the arrival window to let requests end; None: chosen by the program."""
        return self.run.drain_s

    @property
    def arrivals(self) -> Arrivals:
        """The arrival process."""
        return self.workload.arrivals

    @property
    def connections(self) -> Connections | None:
        """The clients' connections; None if they are not modelled."""
        return self.workload.connections

    @property
    def classes(self) -> tuple[RequestClass, ...]:
        """The request classes, in the order written."""
        return self.workload.requests

    @property
    def base_dir(self) -> Path:
        """Folder that file names in the scenario are relative to."""
        return self._base_dir or Path()

    @property
    def source(self) -> Path | None:
        """File the scenario was read from, if any."""
        return self._source

    @property
    def calibration(self) -> Calibration | None:
        """Where the machine's constants were measured; None: they are those of the presets."""
        found: Calibration | None = self._calibration
        return found

    def __eq__(self, other: object) -> bool:
        """Same content; where it was read from does not matter."""
        if not isinstance(other, Scenario):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        """Hash of the name and seed: equal scenarios share it."""
        return hash((self.name, self.seed))

    def findings(self) -> Iterator[Finding]:
        """Rules between tables: known resources, no deadlock, unique names, columns in a trace."""
        yield from check(
            Draft(
                arrivals=self.arrivals,
                classes=dict(enumerate(self.classes)),
                class_names=dict(enumerate(c.name for c in self.classes)),
                capacities={name: r.capacity for name, r in self.resources.items()},
                scheduler_names=dict(enumerate(s.name for s in self.schedulers)),
                locked_classes={
                    i: s.locked_classes
                    for i, s in enumerate(self.schedulers)
                    if isinstance(s, GoroutineSpec)
                },
            )
        )

    def located(
        self,
        base_dir: Path | None,
        source: Path | None = None,
        document: Document | None = None,
        calibration: Calibration | None = None,
    ) -> Self:
        """A copy that resolves file names against ``base_dir`` and knows what it came from."""
        copy = self.model_copy()
        copy._base_dir = base_dir
        copy._source = source
        copy._document = document
        copy._calibration = calibration
        return copy

    def problem_at(self, path: tuple[str | int, ...], message: str, hint: str = "") -> Problem:
        """A mistake found later, such as in a data file, placed where the scenario names it.

        Args:
            path: keys and indexes as in the TOML, such as ("workload", "arrivals", "file").
            message: what is wrong.
            hint: how to mend it.
        """
        from simsched.scenario.document import Document
        from simsched.scenario.translate import Complaint

        document = self._document or Document(str(self._source or ""), {})
        placed: Problem = document.place(Complaint(path, message, hint=hint))
        return placed

    def resolved(self, relative_to: Path | None = None) -> dict[str, Any]:
        """The whole scenario as a TOML-shaped dict, with every default and preset value written.

        Args:
            relative_to: rewrite names of data files so that they are right from this folder.
        """
        data: dict[str, Any] = _without_none(self.model_dump(by_alias=True))
        if relative_to is not None:
            _rebase_files(data, self.base_dir, relative_to)
        return data

    def to_toml(self, relative_to: Path | None = None) -> str:
        """The resolved scenario as TOML text; loading it gives an equal scenario.

        Args:
            relative_to: as for :meth:`resolved`; pass the folder the text is saved in.
        """
        import tomli_w

        return tomli_w.dumps(self.resolved(relative_to))

    @classmethod
    def from_dict(
        cls,
        data: Mapping[str, Any],
        base_dir: Path | None = None,
        *,
        calibration: str | Path | Calibration | None = None,
    ) -> Scenario:
        """A scenario from a TOML-shaped dict, presets included.

        Args:
            data: the dict, which is left unchanged.
            base_dir: folder that data files are relative to; None: they are not looked for.
            calibration: as for :func:`simsched.scenario.load_scenario`.

        Raises:
            ScenarioError: with every problem found.
        """
        from simsched.scenario.load import scenario_from_dict

        return scenario_from_dict(data, base_dir=base_dir, calibration=calibration)

    def with_overrides(self, overrides: Sequence[str]) -> Scenario:
        """This scenario with ``path=value`` texts applied, as ``--set`` does.

        Raises:
            ScenarioError: with every problem found.
        """
        from simsched.scenario.errors import Problem, ScenarioError
        from simsched.scenario.load import scenario_from_dict

        late = [text for text in overrides if text.replace(" ", "").startswith("host.calibration")]
        if late:
            message = "a calibration is chosen when a scenario is loaded"
            hint = "pass calibration=... to load_scenario"
            raise ScenarioError([Problem("--set", None, 1, late[0], message, hint=hint)])
        return scenario_from_dict(
            self.resolved(),
            base_dir=self._base_dir,
            source=self._source,
            overrides=overrides,
            calibration=self._calibration,
        )


def _without_none(value: Any) -> Any:
    """The value without keys that are None, which TOML cannot write and which mean "absent"."""
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value]
    return value


def _rebase_files(value: Any, old: Path, new: Path) -> None:
    if isinstance(value, list):
        for item in value:
            _rebase_files(item, old, new)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        named = key in ("preset", "calibration") and str(item).endswith(".toml")
        is_file = key == "file" or named
        if is_file and isinstance(item, str) and not os.path.isabs(item):
            value[key] = Path(os.path.relpath(old.resolve() / item, new.resolve())).as_posix()
        else:
            _rebase_files(item, old, new)
