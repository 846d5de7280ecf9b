"""Random orders over a few items, as work-stealing schedulers go over their victims.

Go (``randomOrder``) and the fork-join pool both start at a random place and go on with a random
stride that has no common divisor with the number of items: each item comes once, without a
permutation being made.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_BATCH = 1024


class RandomOrder:
    """Orders drawn from one random stream."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._drawn: list[int] = []
        self._strides: dict[int, list[int]] = {}

    def over(self, n: int) -> Iterator[int]:
        """The numbers below ``n``, each once."""
        if not self._drawn:
            self._drawn = self._rng.integers(0, 1 << 32, _BATCH).tolist()
        r = self._drawn.pop()
        strides = self._strides.get(n)
        if strides is None:
            strides = self._strides[n] = [s for s in range(1, n + 1) if gcd(s, n) == 1]
        at = r % n
        stride = strides[r // n % len(strides)]
        for _ in range(n):
            yield at
            at = (at + stride) % n
