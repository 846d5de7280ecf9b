"""What the programs that measure told, by the name of the test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Cost", "Costs"]

Told = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost in microseconds, or bytes.

    Attributes:
        value: The median, or the least that was seen often on a machine that is not quiet.
        low: 5th percentile, or the least of repetitions.
        high: 95th percentile, or the most of repetitions.
        samples: Number of measurements.
    """

    value: float
    low: float
    high: float
    samples: int


class Costs:
    """Costs by the name of their test, over every repetition.

    Args:
        told: lines of the programs that measure.
        quiet: whether the machine was. If not, the 5th percentile stands for the median of what
            was measured by the clock on the wall: other programs only add to that.
    """

    def __init__(self, told: Iterable[Told], *, quiet: bool = True) -> None:
        self._told: dict[str, list[Told]] = {}
        self.quiet = quiet
        for line in told:
            # The version of Python, or the parallelism, stands before the name.
            name = re.sub(r"^(py[\d.]+|go_p\d+|java_par\d+)_", "", str(line["test"]))
            self._told.setdefault(name, []).append(line)

    def cost(self, test: str) -> Cost | None:
        """A cost in microseconds; None if it was not measured."""
        lines = self._told.get(test)
        if not lines:
            return None
        steady = self.steady(test)
        middle = sorted(line["p50" if steady else "p5"] for line in lines)
        return Cost(
            middle[len(middle) // 2] if steady else middle[0],
            min(line["p5"] for line in lines),
            max(line["p95" if steady else "p50"] for line in lines),
            sum(line["n"] for line in lines),
        )

    def steady(self, test: str) -> bool:
        """Whether the median of a test stands: CPU time, or a time on a quiet machine."""
        return self.quiet or all(line.get("clock") == "cpu" for line in self._told.get(test, ()))

    def numbers(self, test: str) -> list[int]:
        """How many idle tasks memory was measured with, the most first."""
        return sorted({int(line["n"]) for line in self._told.get(test, ())}, reverse=True)

    def memory(self, test: str, key: str) -> Cost | None:
        """Bytes per idle task ("bytes_per") or of the process before them ("rss0_kb").

        The value is that of the most tasks; the spread, that over their numbers.
        """
        lines = self._told.get(test)
        if not lines:
            return None
        scale = 1024 if key.endswith("_kb") else 1
        values = [line[key] * scale for line in lines]
        most = max(range(len(lines)), key=lambda i: lines[i]["n"])
        return Cost(
            values[most], min(values), max(values), int(lines[most].get("made", lines[most]["n"]))
        )
