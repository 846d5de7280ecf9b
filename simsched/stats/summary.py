"""The entry of one scheduler in the result document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from simsched.observe.record import RunRecord
from simsched.stats import laws, slo
from simsched.stats.binding import binding
from simsched.stats.blame import blame, longest_stall, pinned
from simsched.stats.charts import chart_series
from simsched.stats.closed_form import TheoryLine, closed_form
from simsched.stats.estimates import Estimate
from simsched.stats.measures import Measures
from simsched.stats.quantiles import LADDER
from simsched.stats.quota import quota_of
from simsched.stats.verdict import Verdict, decide
from simsched.stats.warmup import Warmup, find_warmup
from simsched.stats.wording import number, percent, size

if TYPE_CHECKING:
    from simsched.scenario import Scenario, SchedulerSpec

FEW_REPLICATIONS: Final = 5
"""Fewer replications than this leave the interval to chance."""
INCIDENTS: Final = {
    "workers_killed": "times a worker was silent for too long and was killed, with its request",
    "connections_refused": "connections were refused, because the accept queue was full",
    "connections_timed_out": "connections were given up, because the accept queue stayed full",
    "syn_retries": "times a client found the accept queue full and tried again after 1 s or more",
}
"""Counters of what no percentile shows, and what they count."""


def summarise(
    records: Sequence[RunRecord],
    scenario: Scenario,
    spec: SchedulerSpec,
    theory: TheoryLine | None = None,
) -> dict[str, Any]:
    """Judge the replications of one scheduler: its entry under `schedulers` in the result.

    Args:
        records: one record per replication, in order; at least one.
        scenario: the scenario that was run.
        spec: the scheduler that made the records.
        theory: the closed form to compare with; looked up in the scenario if None.

    Raises:
        ValueError: without records.
    """
    if not records:
        raise ValueError("no replication to summarise")
    warmup = find_warmup(
        records, fixed_s=scenario.warmup_s, terminating=scenario.study == "terminating"
    )
    verdict = decide(records, warmup, scenario.arrivals.kind)
    measures = Measures(records, warmup.cut_s, scenario.host.quota_cores)
    names = [request_class.name for request_class in scenario.classes]
    check = laws.self_check(records, names, warmup.cut_s)
    ladder = measures.latency.ladder()
    line = closed_form(scenario, spec) if theory is None else theory
    return {
        "name": spec.name,
        "kind": spec.kind,
        "preset": spec.preset,
        "verdict": verdict.verdict,
        "verdict_reason": verdict.reason,
        "binding": binding(
            records, spec.kind, scenario.host.cores, warmup.cut_s, quota_of(scenario.host), names
        ),
        "warnings": warnings(measures, scenario, warmup, ladder, check),
        "counts": laws.counts(records, warmup.cut_s),
        "classes": _classes(measures, names),
        "throughput_rps": measures.throughput.to_dict(),
        "latency_s": _dicts(ladder),
        "queueing_delay_s": _dicts(measures.queueing.ladder()),
        "breakdown_s": _dicts(measures.breakdown()),
        "utilization": _dicts(measures.utilization),
        "memory_bytes": measures.memory(spec.base_bytes * spec.processes),
        "blame": blame(records, names),
        "pinned": pinned(records, names),
        "longest_stall": longest_stall(records, names),
        "activity": measures.activity(),
        **measures.stolen(),
        "resources": measures.resources(),
        "self_check": check,
        "theory": _theory(line, ladder["mean"]),
        "slo": _slo(scenario, measures, ladder, verdict),
        "warmup": warmup.to_dict(),
        "per_replication": measures.per_replication(),
        "percentiles": measures.latency.curve(),
        "series": chart_series(records),
    }


def _dicts(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_dict() for name, estimate in estimates.items()}


def _classes(measures: Measures, names: Sequence[str]) -> dict[str, Any]:
    """Counts and latencies of the requests of each class that arrived after the warm-up."""
    counts = laws.class_counts(measures.records, names, measures.cut_s)
    return {
        name: {
            "counts": counts[name],
            "latency_s": _dicts(measures.class_latency(i).ladder()),
        }
        for i, name in enumerate(names)
    }


def _theory(line: TheoryLine | None, mean: Estimate) -> dict[str, Any] | None:
    if line is None:
        return None
    return {
        "model": line.model,
        "mean_latency_s": line.mean_latency_s,
        "mean_wait_s": line.mean_wait_s,
        "simulated_mean_s": mean.to_dict(),
        "inside_ci": None if mean.ci95 is None else mean.contains(line.mean_latency_s),
        "assumptions": line.assumptions if line.exact else f"approximately: {line.assumptions}",
    }


def _slo(
    scenario: Scenario, measures: Measures, ladder: Mapping[str, Estimate], verdict: Verdict
) -> list[dict[str, Any]]:
    estimates = {f"latency.{name}": estimate for name, estimate in ladder.items()}
    estimates["throughput"] = measures.throughput
    estimates["error_rate"] = measures.error_rate
    estimates["utilization.cpu"] = measures.utilization["cpu"]
    estimates["memory.peak"] = measures.memory_peak
    bounds: dict[str, float | None] = {}
    if len(measures.latency.ages):
        bounds = {f"latency.{n}": measures.latency.lower_bound(p) for n, p in LADDER.items()}
        bounds["latency.max"] = ladder["max"].value
    return slo.evaluate(scenario.slo, estimates, bounds, settled=not verdict.drifting)


def warnings(
    measures: Measures,
    scenario: Scenario,
    warmup: Warmup,
    ladder: Mapping[str, Estimate],
    check: Mapping[str, Any],
) -> list[str]:
    """What limits the trust in the numbers, most serious first."""
    found = []
    broken = [name.replace("_", " ") for name, law in check.items() if not law["ok"]]
    if broken:
        found.append(f"self-check failed: {', '.join(broken)}; do not use these numbers")
    if warmup.reason is not None:
        found.append(warmup.reason)
    happened = measures.activity()
    found += [
        f"{number(happened[name])} {text} (per replication)"
        for name, text in INCIDENTS.items()
        if happened.get(name, 0.0) > 0
    ]
    replications = len(measures.records)
    if replications == 1:
        found.append("one replication: no confidence intervals")
    elif replications < FEW_REPLICATIONS:
        found.append(f"{replications} replications: intervals are wide, 10 or more are advised")
    open_ended, total = len(measures.latency.ages), measures.latency.total
    if open_ended:
        share = percent(open_ended / total)
        found.append(
            f"{open_ended} of {total} requests ({share}) were unfinished at the end: "
            "the mean is too low and tail quantiles are censored"
        )
    found += [
        f"latency {name}: {estimate.reason}"
        for name, estimate in ladder.items()
        if estimate.value is None and estimate.reason and "too few" in estimate.reason
    ]
    limit, peak = scenario.host.memory_bytes, measures.memory_peak.value
    if limit is not None and peak is not None and peak > limit:
        found.append(f"memory peaks at {size(peak)}, above the host's {size(limit)}")
    return found
