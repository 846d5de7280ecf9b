"""Service level objectives: limits that a run must stay within."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, WithJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError

from simsched.scenario import units
from simsched.scenario.base import Model
from simsched.scenario.scalars import fault
from simsched.scenario.units import UnitError


class SloRule(Model):
    """One limit: ``metric`` must be below ("<") or above (">") ``limit``.

    The limit is in seconds, requests per second, bytes or a fraction, as the metric is; ``text`` is
    the rule as its author wrote it.
    """

    key: str
    metric: str
    op: Literal["<", ">"]
    limit: float
    text: str


Parser = Callable[[object], float]
LATENCY_KEYS = ("p50", "p90", "p95", "p99", "p999", "mean", "max")
_OTHER: dict[str, tuple[str, Literal["<", ">"], Parser]] = {
    "error_rate": ("error_rate", "<", units.parse_fraction),
    "throughput": ("throughput", ">", units.parse_rate),
    "utilization": ("utilization.cpu", "<", units.parse_fraction),
    "memory": ("memory.peak", "<", units.parse_size),
}
SLO_KEYS = (*LATENCY_KEYS, *_OTHER)


def _rule(key: str, value: object) -> SloRule:
    metric, op, parse = _OTHER.get(key, (f"latency.{key}", "<", units.parse_duration))
    try:
        limit = float(parse(value))
        if limit == 0 and key != "error_rate":
            raise UnitError("a limit above zero")
    except UnitError as error:
        raise fault(error.expected, value, error.hint) from None
    return SloRule(key=key, metric=metric, op=op, limit=limit, text=f"{metric} {op} {value}")


def rules_from_table(table: Any) -> Any:
    """Rules of an [slo] table, in the order written; every wrong key or value is reported."""
    if not isinstance(table, dict):
        return table
    rules: list[SloRule] = []
    wrong: list[InitErrorDetails] = []
    for key, value in table.items():
        if key not in SLO_KEYS:
            unknown = PydanticCustomError("unknown_slo", "unknown key")
            wrong.append(InitErrorDetails(type=unknown, loc=(key,), input=value))
            continue
        try:
            rules.append(_rule(key, value))
        except PydanticCustomError as error:
            wrong.append(InitErrorDetails(type=error, loc=(key,), input=value))
    if wrong:
        raise ValidationError.from_exception_data("slo", wrong)
    return tuple(rules)


def table_from_rules(rules: tuple[SloRule, ...]) -> dict[str, str]:
    """The [slo] table that makes these rules."""
    return {rule.key: rule.text.split(" ", 2)[2] for rule in rules}


_TEXT = {"type": "string"}
SloRules = Annotated[
    tuple[SloRule, ...],
    Field(strict=False),
    BeforeValidator(rules_from_table),
    PlainSerializer(table_from_rules),
    WithJsonSchema(
        {
            "type": "object",
            "additionalProperties": False,
            "properties": dict.fromkeys(SLO_KEYS, _TEXT),
        }
    ),
]
"""The [slo] table as rules."""
