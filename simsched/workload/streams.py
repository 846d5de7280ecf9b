"""Named random streams: one generator per (seed, replication, purpose).

A stream is found by its name, never by the order in which streams were made, so that adding a
request class, a step or a metric moves no other draw, and replication 7 is the same whether it
runs first, last, alone or in another process.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

__all__ = ["stream"]


def stream(seed: int, replication: int, purpose: str) -> np.random.Generator:
    """The generator of one purpose in one replication.

    The generator is PCG64DXSM seeded by ``SeedSequence(seed, spawn_key=(replication, h))`` where
    ``h`` is the 64-bit BLAKE2b hash of the purpose (Python's own ``hash`` of a string changes
    from one process to the next). Different purposes or replications give independent streams.

    Args:
        seed: The scenario's seed, not negative.
        replication: Index of the replication, from 0.
        purpose: What the numbers are for, such as ``"arrivals"`` or ``"demand:checkout:2"``.

    Raises:
        ValueError: If the seed or the replication is negative.
    """
    if seed < 0 or replication < 0:
        raise ValueError(f"seed and replication must not be negative: {seed}, {replication}")
    key = int.from_bytes(blake2b(purpose.encode(), digest_size=8).digest(), "big")
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=(replication, key))
    return np.random.Generator(np.random.PCG64DXSM(sequence))
