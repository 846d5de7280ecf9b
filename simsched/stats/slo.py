"""Service level objectives against estimates: pass, fail, or not proven either way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from simsched.stats.estimates import Estimate

if TYPE_CHECKING:
    from simsched.scenario import SloRule

State = Literal["pass", "fail", "unknown"]


def evaluate(
    rules: Sequence[SloRule],
    estimates: Mapping[str, Estimate],
    lower_bounds: Mapping[str, float | None],
    settled: bool = True,
) -> list[dict[str, Any]]:
    """Each rule with what was observed and its state.

    Args:
        rules: the scenario's rules.
        estimates: observed values by metric ("latency.p99", "throughput", ...).
        lower_bounds: for censored metrics, what the value is at least.
        settled: whether latencies have settled; those of an overloaded system grow with the run,
            so a limit that they keep today proves nothing.
    """
    entries = []
    for rule in rules:
        observed = estimates[rule.metric]
        state = judge(rule.op, rule.limit, _certain(rule, observed), lower_bounds.get(rule.metric))
        if state == "pass" and not settled and rule.metric.startswith("latency."):
            state = "unknown"
        entries.append(
            {
                "rule": rule.text,
                "metric": rule.metric,
                "limit": rule.limit,
                "observed": observed.to_dict(),
                "state": state,
            }
        )
    return entries


def _certain(rule: SloRule, observed: Estimate) -> Estimate:
    """The maximum has no interval by nature: what was seen was seen, unless some is still open."""
    if rule.metric != "latency.max" or observed.value is None or observed.reason is not None:
        return observed
    return Estimate(observed.value, (observed.value, observed.value))


def judge(
    op: Literal["<", ">"], limit: float, observed: Estimate, at_least: float | None = None
) -> State:
    """Pass or fail where the whole interval says so, else unknown.

    A limit itself counts as kept; a limit of zero asks for none seen. `at_least` is given for
    censored values only, whose value is then an upper bound.
    """
    if op == "<" and at_least is not None:
        if at_least > limit:
            return "fail"
        if observed.value is None or observed.value > limit:
            return "unknown"
    if observed.value is None:
        return "unknown"
    if op == "<" and limit == 0:
        return "pass" if observed.value == 0 else "fail"
    if observed.ci95 is None:
        return "unknown"
    low, high = observed.ci95
    if op == ">":
        return "pass" if low >= limit else "fail" if high < limit else "unknown"
    return "pass" if high <= limit else "fail" if low > limit else "unknown"
