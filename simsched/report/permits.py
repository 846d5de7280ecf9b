"""Permits of resources that were asked for in vain: `timeout` and `max_waiting`."""

from __future__ import annotations

from simsched.report.result_model import ResultDocument
from simsched.report.result_scheduler import ResourceResult
from simsched.report.units import NO_VALUE, format_count, format_percent

KEYS = {"timeouts": "timed out", "refusals": "refused"}
"""What the result document counts, and how people say it."""


def limits(result: ResultDocument) -> list[tuple[str, str]]:
    """Each resource and each key of `KEYS` that any scheduler counts for it."""
    return [
        (name, key)
        for name in dict.fromkeys(name for s in result.schedulers for name in s.resources)
        for key in KEYS
        if any(
            getattr(s.resources[name], key) is not None
            for s in result.schedulers
            if name in s.resources
        )
    ]


def in_vain(resource: ResourceResult | None, key: str) -> tuple[int, str]:
    """How often a permit was asked for in vain; and in words, with the share of all that asked."""
    count: int | None = None if resource is None else getattr(resource, key)
    if resource is None or count is None:
        return 0, NO_VALUE
    if not count or not resource.asked:
        return 0, "0"
    return count, f"{format_count(count)} ({format_percent(count / resource.asked)})"
