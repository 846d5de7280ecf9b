"""Tables of the dashboard that stand on their own, beside no figure."""

from __future__ import annotations

from simsched.report.comparison import LADDER
from simsched.report.figure import DataTable
from simsched.report.permits import KEYS, in_vain, limits
from simsched.report.result_model import ResultDocument
from simsched.report.result_scheduler import Check
from simsched.report.symbols import UNICODE
from simsched.report.units import (
    NO_VALUE,
    duration_scale,
    format_count,
    format_duration,
    format_estimate,
    format_number,
    format_percent,
    key_scale,
    percent_scale,
)

LAWS = {"littles_law": "Little's law", "utilization_law": "utilisation law"}
QUANTITIES = {"l": "L", "lambda_w": "λW"}
CLASS_LADDER = ("mean", "p50", "p95", "p99")


def check_table(result: ResultDocument) -> DataTable:
    """Every law, whether it held, and the numbers it was judged by."""
    rows = [
        (s.name, LAWS.get(name, name.replace("_", " ")), _judgement(check), _numbers(check))
        for s in result.schedulers
        for name, check in s.self_check.items()
    ]
    return DataTable(("scheduler", "law", "holds", "numbers"), tuple(rows))


def _judgement(check: Check) -> str:
    if check.ok is None:
        return "not judged"
    return f"{UNICODE.ok(check.ok)} {'yes' if check.ok else 'NO'}"


def _numbers(check: Check) -> str:
    values = check.model_dump(exclude={"ok"})
    problems = [str(problem) for problem in values.pop("problems", [])]
    shown = [
        f"{QUANTITIES.get(key, key.replace('_', ' '))} {_plain(value)}"
        for key, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return "; ".join([", ".join(shown), *problems])


def _plain(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.5g}"


def theory_table(result: ResultDocument) -> DataTable:
    """Closed forms beside what was simulated; no rows where none applies."""
    rows = [
        (
            s.name,
            s.theory.model,
            format_duration(s.theory.mean_latency_s),
            format_estimate(s.theory.simulated_mean_s, duration_scale),
            f"{UNICODE.ok(s.theory.inside_ci)} "
            + {True: "inside", False: "outside", None: "not judged"}[s.theory.inside_ci],
            s.theory.assumptions,
        )
        for s in result.schedulers
        if s.theory is not None
    ]
    headers = ("scheduler", "model", "theory, mean", "simulated, mean", "interval", "assumptions")
    return DataTable(headers, tuple(rows))


def class_table(result: ResultDocument) -> DataTable:
    """Outcomes and latency by request class."""
    rows = [
        (
            name,
            s.name,
            format_count(found.counts.arrived),
            format_percent(found.counts.error_rate),
            format_count(found.counts.unfinished),
            *(
                format_estimate(getattr(found.latency_s, step), duration_scale)
                for step in CLASS_LADDER
            ),
        )
        for name in dict.fromkeys(name for s in result.schedulers for name in s.classes)
        for s in result.schedulers
        for found in [s.classes.get(name)]
        if found is not None
    ]
    headers = ("class", "scheduler", "arrived", "errors", "unfinished")
    return DataTable((*headers, *(LADDER[step] for step in CLASS_LADDER)), tuple(rows))


def resource_table(result: ResultDocument) -> DataTable:
    """Use of resources, the wait for them, and how often that was in vain if it can be."""
    counted = {key for _, key in limits(result)}
    shown = [key for key in KEYS if key in counted]
    rows = [
        (
            name,
            s.name,
            f"{found.capacity:,}",
            format_estimate(found.utilization, percent_scale),
            format_estimate(found.wait_s, duration_scale),
            *(in_vain(found, key)[1] for key in shown),
        )
        for name in dict.fromkeys(name for s in result.schedulers for name in s.resources)
        for s in result.schedulers
        for found in [s.resources.get(name)]
        if found is not None
    ]
    headers = ("resource", "scheduler", "capacity", "utilisation", "mean wait")
    return DataTable((*headers, *(KEYS[key] for key in shown)), tuple(rows))


def activity_table(result: ResultDocument) -> DataTable:
    """Counters of the schedulers' own events, one row per counter."""
    keys = dict.fromkeys(key for s in result.schedulers for key in s.activity)
    rows = [
        (
            key.removesuffix("_s").replace("_", " "),
            *(
                format_number(s.activity[key], key_scale(key)) if key in s.activity else NO_VALUE
                for s in result.schedulers
            ),
        )
        for key in keys
    ]
    return DataTable(("per replication", *(s.name for s in result.schedulers)), tuple(rows))
