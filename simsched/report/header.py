"""What was simulated, in a few lines of text shared by the terminal and the dashboard."""

from __future__ import annotations

from simsched.report.result_model import ResultDocument
from simsched.report.symbols import UNICODE, Symbols
from simsched.report.units import (
    NO_VALUE,
    format_count,
    format_duration,
    format_percent,
    format_rate,
)


def header_lines(result: ResultDocument, symbols: Symbols = UNICODE) -> list[tuple[str, str]]:
    """Label and text: the load offered, the experiment, and what of it was measured."""
    separator = f" {symbols.dot} "
    return [
        ("offered", separator.join(_offered(result))),
        ("simulated", separator.join(_experiment(result))),
        ("measured", _measured(result)),
        *_constants(result),
    ]


def _constants(result: ResultDocument) -> list[tuple[str, str]]:
    """Whose constants these are, where they are not the presets' own."""
    used = result.calibration
    if used is None:
        return []
    origin = "built in" if used.source == used.name else used.source
    return [("calibrated", f"{used.name} ({origin}, sha256 {used.sha256[:12]})")]


def _offered(result: ResultDocument) -> list[str]:
    offered = result.offered
    rate = "closed workload" if offered.rate_rps is None else format_rate(offered.rate_rps)
    parts = [rate]
    if offered.cpu_cores is not None:
        cores = _cores(result)
        cpu = f"cpu {offered.cpu_cores:.3g} of {cores} core{'' if cores == '1' else 's'}"
        parts.append(f"{cpu} ({format_percent(offered.cpu_utilization)})")
    for name, resource in offered.resources.items():
        erlangs = NO_VALUE if resource.erlangs is None else f"{resource.erlangs:.3g}"
        share = format_percent(resource.utilization)
        parts.append(f"{name} {erlangs} of {resource.capacity} ({share})")
    return parts


def _cores(result: ResultDocument) -> str:
    host = result.config.get("host", {})
    cores = host.get("cores")
    shared = host.get("threads_per_core", 1) > 1 or host.get("steal", 0.0) > 0
    if shared and result.offered.cpu_cores:
        return f"{result.offered.cpu_cores / (result.offered.cpu_utilization or 1):.3g}"
    if cores is not None and host.get("cpu_quota") is not None:
        cores = min(cores, host["cpu_quota"])
    if cores is None and result.offered.cpu_cores and result.offered.cpu_utilization:
        cores = round(result.offered.cpu_cores / result.offered.cpu_utilization)
    return NO_VALUE if cores is None else f"{cores:g}"


def _experiment(result: ResultDocument) -> list[str]:
    study = "steady state" if result.study == "steady" else "terminating"
    return [
        f"{result.duration_s:g} s x {result.replications}",
        study,
        f"seed {result.seed}",
        f"engine {result.engine}",
    ]


def _measured(result: ResultDocument) -> str:
    arrived = _span([format_count(n) for n in sorted(s.counts.arrived for s in result.schedulers)])
    cuts = sorted({s.warmup.cut_s for s in result.schedulers})
    if cuts == [0.0]:
        removed = "no warm-up removed"
    else:
        removed = f"first {_span([format_duration(cut) for cut in cuts])} removed as warm-up"
    return f"{arrived} requests per scheduler, {removed}"


def _span(texts: list[str]) -> str:
    """The one text, or the first and the last of several."""
    return texts[0] if len(set(texts)) == 1 else f"{texts[0]} to {texts[-1]}"


def overload_banner(result: ResultDocument) -> str | None:
    """One loud sentence where a scheduler cannot keep up, else None."""
    names = [s.name for s in result.schedulers if s.verdict == "OVERLOADED"]
    if not names:
        return None
    drifting = [s.name for s in result.schedulers if s.verdict == "OVERLOADED" and not s.sheds_load]
    text = f"OVERLOADED: {_listed(names)}."
    if drifting:
        it, its = ("it", "its") if len(drifting) == 1 else ("they", "their")
        who = it if drifting == names else _listed(drifting)
        text += (
            f" At this load {who} cannot keep up, so {its} latencies depend on the length of the "
            "run: do not read them as a forecast."
        )
    shedding = [s.name for s in result.schedulers if s.sheds_load]
    if shedding:
        does, whose = ("turns", "Its") if len(shedding) == 1 else ("turn", "Their")
        text += (
            f" {_listed(shedding)} {does} requests away. {whose} latencies are those of the rest."
        )
    return text


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
