"""How true the predictions are, runtime by runtime, and which demands each of them keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from simsched.reality.compare import MEDIANS, MOST_LOAD, OVERLOAD, Comparison

__all__ = ["RuntimeRow", "by_runtime"]


@dataclass(frozen=True, slots=True)
class RuntimeRow:
    """All cases of one runtime under one sort of load.

    Attributes:
        runtime: As the index calls it, without its size: "go", "java_vt", "http_gsync".
        load: "steady" (offered CPU load up to 0.9) or "overload" (above 1).
        cases: How many.
        median: Median size of the error by quantity.
        worst: Largest size of the error by quantity.
        missed: Quantities whose median is beyond what is demanded of all such cases.
    """

    runtime: str
    load: str
    cases: int
    median: dict[str, float]
    worst: dict[str, float]
    missed: tuple[str, ...]


def by_runtime(comparisons: Sequence[Comparison]) -> list[RuntimeRow]:
    """A row per runtime and sort of load, in order of appearance. All cases count."""
    groups: dict[tuple[str, str, str], list[Comparison]] = {}
    for c in comparisons:
        load = "steady" if c.load <= MOST_LOAD else "overload" if c.load > OVERLOAD else ""
        if load:
            groups.setdefault((c.family, load, c.kind), []).append(c)
    return [
        _row(family, load, cases, MEDIANS[kind if load == "steady" else load])
        for (family, load, kind), cases in groups.items()
    ]


def _row(
    family: str, load: str, cases: Sequence[Comparison], limits: Mapping[str, float]
) -> RuntimeRow:
    sizes = {key: [abs(c.errors[key]) for c in cases] for key in cases[0].errors}
    medians = {key: median(values) for key, values in sizes.items()}
    return RuntimeRow(
        runtime=family,
        load=load,
        cases=len(cases),
        median=medians,
        worst={key: max(values) for key, values in sizes.items()},
        missed=tuple(key for key, limit in limits.items() if medians[key] > limit),
    )
