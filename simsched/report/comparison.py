"""The comparison of schedulers as rows of text: the same for the terminal and the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Literal

from simsched.report.footnotes import Footnotes
from simsched.report.permits import KEYS, in_vain, limits
from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.result_scheduler import Estimate, Ladder
from simsched.report.symbols import UNICODE, Symbols
from simsched.report.units import (
    NO_VALUE,
    ScaleChoice,
    bytes_scale,
    duration_scale,
    format_by_core,
    format_bytes,
    format_count,
    format_duration,
    format_estimate,
    format_percent,
    metric_scale,
    percent_scale,
    rate_scale,
)

Tone = Literal["plain", "good", "bad", "unsure", "dim"]

LADDER = {
    "mean": "mean",
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
    "p999": "p99.9",
    "max": "max",
}
PARTS = {
    "admission": "admission",
    "run_queue": "run queue",
    "cpu": "cpu",
    "io": "io",
    "blocking": "blocking",
    "resource": "resource",
    "lock": "lock",
    "gil": "gil",
    "overhead": "overhead",
    "join": "join",
}
LEAST_SHARE = 0.0005
RUN_DEPENDENT = "run-dependent"
ADMITTED = "admitted only"
MOST_CLASSES = 8
"""Classes that a table has rows for."""


@dataclass(frozen=True)
class Cell:
    """One value, what to think of it, and the number of the footnote that explains it."""

    text: str
    tone: Tone = "plain"
    note: int | None = None


@dataclass(frozen=True)
class Row:
    """One metric over all schedulers."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...]
    remarks: tuple[Cell, ...] = ()
    """Beside the title, one per scheduler; empty where there is nothing to say."""


@dataclass
class Comparison:
    """All groups of a result, one column per scheduler, and the footnotes they refer to."""

    result: ResultDocument
    symbols: Symbols = UNICODE
    full: bool = False
    """Whether to show the whole queueing-delay ladder, as a page can."""
    footnotes: Footnotes = field(default_factory=Footnotes)

    @property
    def notes(self) -> list[str]:
        """The footnotes, complete once the groups are made."""
        return self.footnotes.texts

    def groups(self) -> list[Group]:
        """The groups in the order in which a reader asks."""
        found = [
            self._slo(),
            self._latency(),
            *self._classes(),
            self._queueing_delay(),
            self._requests(),
            self._utilization(),
            self._permits(),
            self._memory(),
            self._breakdown(),
            self._theory(),
            self._checks(),
        ]
        return [group for group in found if group.rows]

    def _estimate(self, estimate: Estimate, scale: ScaleChoice, tone: Tone = "plain") -> Cell:
        note = self.footnotes.number(estimate.reason) if estimate.reason else None
        digits = 4 if note is None else 3  # the mark of the note needs room too
        return Cell(format_estimate(estimate, scale, pm=self.symbols.pm, digits=digits), tone, note)

    def _row(self, label: str, cell: Callable[[SchedulerResult], Cell]) -> Row:
        return Row(label, tuple(cell(scheduler) for scheduler in self.result.schedulers))

    def _slo(self) -> Group:
        rules = list(dict.fromkeys(slo.rule for s in self.result.schedulers for slo in s.slo))
        rows = [self._row(short_rule(rule), partial(self._slo_cell, rule=rule)) for rule in rules]
        return Group("objectives", tuple(rows))

    def _slo_cell(self, scheduler: SchedulerResult, rule: str) -> Cell:
        slo = next((slo for slo in scheduler.slo if slo.rule == rule), None)
        if slo is None:
            return Cell(NO_VALUE)
        tones: dict[str, Tone] = {"pass": "good", "fail": "bad", "unknown": "unsure"}
        observed = self._estimate(slo.observed, metric_scale(slo.metric))
        # Three digits, so that the sign fits beside the value.
        text = format_estimate(slo.observed, metric_scale(slo.metric), pm=self.symbols.pm, digits=3)
        return Cell(f"{self.symbols.state(slo.state)} {text}", tones[slo.state], observed.note)

    def _latency(self) -> Group:
        remarks = tuple(
            Cell(f"{self.symbols.warning} {ADMITTED if s.sheds_load else RUN_DEPENDENT}", "bad")
            if s.verdict == "OVERLOADED"
            else Cell("")
            for s in self.result.schedulers
        )
        return Group("latency", self._ladder(lambda s: s.latency_s, LADDER), remarks)

    def _classes(self) -> list[Group]:
        """Mean and tail of each class, where there are several: who is fast, and who waits.

        The tail is the farthest of p99, p95 and p90 that any class has the samples for.
        """
        names = list(self.result.schedulers[0].classes)
        if not 1 < len(names) <= MOST_CLASSES:
            return []

        def cell(scheduler: SchedulerResult, name: str, step: str) -> Cell:
            estimate: Estimate = getattr(scheduler.classes[name].latency_s, step)
            tone: Tone = "dim" if scheduler.verdict == "OVERLOADED" else "plain"
            # No footnote: the ladder of all requests above has told why, and classes are fewer.
            return Cell(format_estimate(estimate, duration_scale, pm=self.symbols.pm), tone)

        ladders = [c.latency_s for s in self.result.schedulers for c in s.classes.values()]
        tails = (t for t in ("p99", "p95", "p90") if any(getattr(x, t).value for x in ladders))
        return [
            Group(
                f"{step} by class",
                tuple(self._row(name, partial(cell, name=name, step=step)) for name in names),
            )
            for step in ("mean", *islice(tails, 1))
        ]

    def _queueing_delay(self) -> Group:
        steps = LADDER if self.full else ("mean", "p99")
        return Group("queueing delay", self._ladder(lambda s: s.queueing_delay_s, steps))

    def _ladder(
        self, of: Callable[[SchedulerResult], Ladder], steps: Iterable[str]
    ) -> tuple[Row, ...]:
        def cell(scheduler: SchedulerResult, step: str) -> Cell:
            tone: Tone = "dim" if scheduler.verdict == "OVERLOADED" else "plain"
            return self._estimate(getattr(of(scheduler), step), duration_scale, tone)

        return tuple(self._row(LADDER[step], partial(cell, step=step)) for step in steps)

    def _requests(self) -> Group:
        rows = [
            self._row("throughput", lambda s: self._estimate(s.throughput_rps, rate_scale)),
            self._row("errors", partial(self._share, outcome="errors")),
        ]
        for outcome in ("rejected", "timed_out", "failed"):
            if any(getattr(s.counts, outcome) for s in self.result.schedulers):
                label = outcome.replace("_", " ")
                rows.append(self._row(label, partial(self._share, outcome=outcome)))
        rows.append(self._row("unfinished", partial(self._share, outcome="unfinished")))
        return Group("requests", tuple(rows))

    def _share(self, scheduler: SchedulerResult, outcome: str) -> Cell:
        count: int = getattr(scheduler.counts, outcome)
        if not count:
            return Cell("0")
        share = format_percent(count / scheduler.counts.arrived)
        return Cell(f"{format_count(count)} ({share})", "bad")

    def _utilization(self) -> Group:
        rows = [
            self._row("cpu", lambda s: self._estimate(s.utilization.cpu, percent_scale)),
            self._row("workers", lambda s: self._estimate(s.utilization.workers, percent_scale)),
            self._row("overhead", lambda s: self._estimate(s.utilization.overhead, percent_scale)),
        ]
        if any(s.stolen_by_core_s for s in self.result.schedulers):
            rows.append(self._row("stolen", lambda s: Cell(format_by_core(s.stolen_by_core_s))))
        names = dict.fromkeys(name for s in self.result.schedulers for name in s.resources)
        rows += [self._row(name, partial(self._resource, name=name)) for name in names]
        return Group("utilisation", tuple(rows))

    def _resource(self, scheduler: SchedulerResult, name: str) -> Cell:
        resource = scheduler.resources.get(name)
        if resource is None:
            return Cell(NO_VALUE)
        return self._estimate(resource.utilization, percent_scale)

    def _permits(self) -> Group:
        """Who asked for a permit and did not get one, for each limit of a resource."""
        rows = [
            self._row(f"{name} {KEYS[key]}", partial(self._in_vain, name=name, key=key))
            for name, key in limits(self.result)
        ]
        remarks = tuple(Cell("whole run", "dim") for _ in self.result.schedulers)
        return Group("no permit", tuple(rows), remarks)

    def _in_vain(self, scheduler: SchedulerResult, name: str, key: str) -> Cell:
        count, text = in_vain(scheduler.resources.get(name), key)
        return Cell(text, "bad" if count else "plain")

    def _memory(self) -> Group:
        return Group(
            "memory",
            (
                self._row("mean", lambda s: self._estimate(s.memory_bytes.mean, bytes_scale)),
                self._row("peak", lambda s: self._estimate(s.memory_bytes.peak, bytes_scale)),
                self._row("idle", lambda s: Cell(format_bytes(s.memory_bytes.base))),
            ),
        )

    def _breakdown(self) -> Group:
        rows = [self._row(label, partial(self._part, part=part)) for part, label in PARTS.items()]
        return Group("time spent", tuple(r for r in rows if any(c.text != "0%" for c in r.cells)))

    def _part(self, scheduler: SchedulerResult, part: str) -> Cell:
        share = breakdown_shares(scheduler).get(part)
        if share is None:
            return Cell(NO_VALUE)
        if share < LEAST_SHARE:
            return Cell("0%" if share == 0 else "<0.1%", "dim")
        return Cell(f"{share:.1%}")

    def _theory(self) -> Group:
        if all(s.theory is None for s in self.result.schedulers):
            return Group("theory", ())
        return Group(
            "theory",
            (
                self._row("model", lambda s: Cell(s.theory.model if s.theory else NO_VALUE)),
                self._row("mean latency", self._formula),
                self._row("simulated", self._simulated),
            ),
        )

    def _formula(self, scheduler: SchedulerResult) -> Cell:
        return Cell(format_duration(scheduler.theory.mean_latency_s if scheduler.theory else None))

    def _simulated(self, scheduler: SchedulerResult) -> Cell:
        theory = scheduler.theory
        if theory is None:
            return Cell(NO_VALUE)
        tone: Tone = (
            "plain" if theory.inside_ci is None else "good" if theory.inside_ci else "unsure"
        )
        text = format_estimate(
            theory.simulated_mean_s, duration_scale, pm=self.symbols.pm, digits=3
        )
        return Cell(f"{self.symbols.ok(theory.inside_ci)} {text}", tone)

    def _checks(self) -> Group:
        return Group("self-check", (self._row("laws hold", self._check),))

    def _check(self, scheduler: SchedulerResult) -> Cell:
        checks = scheduler.self_check.items()
        broken = [
            name.replace("littles_law", "Little's law").replace("_", " ")
            for name, check in checks
            if check.ok is False
        ]
        if broken:
            return Cell(f"{self.symbols.failed} {', '.join(broken)}", "bad")
        judged = sum(1 for _, check in checks if check.ok)
        tone: Tone = "good" if judged == len(checks) else "plain"
        return Cell(f"{self.symbols.passed} {judged} of {len(checks)}", tone)


def short_rule(rule: str) -> str:
    """A rule without the family that its metric's name gives away: "p99 < 200ms"."""
    return (
        rule.removeprefix("latency.").removeprefix("utilization.").replace("error_rate", "errors")
    )


def breakdown_shares(scheduler: SchedulerResult) -> dict[str, float]:
    """Share of the mean latency by part, 0 to 1; empty where the parts are not known."""
    means = {part: getattr(scheduler.breakdown_s, part).value for part in PARTS}
    known = {part: value for part, value in means.items() if value is not None}
    total = sum(known.values())
    return {part: value / total for part, value in known.items()} if total > 0 else {}
