"""Footnotes of a table: each text once, and one for all quantiles that have too few samples."""

from __future__ import annotations

import re

TOO_FEW = (
    r"too few samples: (?P<samples>\d+) per replication, "
    r"(?P<needed>\d+) are needed for (?P<quantile>p[\d.]+)"
)


class Footnotes:
    """Texts in the order in which they were first needed."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._few: int | None = None  # where among them the samples are told of
        self._samples: set[int] = set()
        self._needed: dict[str, str] = {}

    def number(self, text: str) -> int:
        """The number of a footnote, counted from 1."""
        few = re.fullmatch(TOO_FEW, text)
        if few is not None:
            return self._too_few(few)
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1

    def _too_few(self, found: re.Match[str]) -> int:
        self._samples.add(int(found["samples"]))
        self._needed[found["quantile"]] = found["needed"]
        if self._few is None:
            self._few = len(self.texts)
            self.texts.append("")
        low, high = min(self._samples), max(self._samples)
        there = f"{low}" if low == high else f"{low} to {high}"
        ladder = sorted(self._needed, key=lambda name: float(name[1:]))
        needed = ", ".join(f"{name} needs {self._needed[name]}" for name in ladder)
        self.texts[self._few] = f"too few samples: {there} per replication; {needed}"
        return self._few + 1
