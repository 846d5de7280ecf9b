"""The machine: cores, memory and the rules of its operating system's scheduler."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from simsched.scenario.base import Model
from simsched.scenario.scalars import AutoPositiveDuration, Duration, IntRange, PositiveSize

MAX_CORES = 4096


def eevdf_base_slice_s(cores: int) -> float:
    """Base slice of Linux EEVDF/CFS in seconds: 0.75 ms x (1 + floor(log2(min(cores, 8)))).

    0.75 ms for 1 core, 1.5 for 2-3, 2.25 for 4-7 and 3.0 from 8 on (kernel
    ``sched_tunable_scaling`` = logarithmic; kernel commit 2ae891b826958 lists the values).
    """
    return 0.00075 * (1 + int(math.log2(min(cores, 8))))


class HostOs(Model):
    """Operating system constants. Defaults are those of bare metal on modern x86.

    On a small virtual machine a wake-up of an idle core costs about 45 us instead of 5 us, because
    of the inter-processor interrupt and the exit from the halted state.
    """

    time_slice_s: AutoPositiveDuration = Field(alias="time_slice", default=None)
    hz: Annotated[int, IntRange(0, 10_000)] = 250
    switch_cost_s: Duration = Field(alias="switch_cost", default=1.5e-6)
    wakeup_latency_s: Duration = Field(alias="wakeup_latency", default=5e-6)
    wakeup_preemption: bool = True
    wakeup_granularity_s: Duration = Field(alias="wakeup_granularity", default=1e-3)


class Host(Model):
    """Cores that run the workers, and memory beyond which a peak is reported."""

    cores: Annotated[int, IntRange(1, MAX_CORES)]
    memory_bytes: PositiveSize | None = Field(alias="memory", default=None)
    os: HostOs = HostOs()

    @property
    def slice_s(self) -> float:
        """Effective time slice in seconds: the base slice, rounded up to whole ticks.

        The kernel enforces a slice at its tick: ceil(base / tick) * tick (kernel commit
        a26979377bf3 measures it). ``hz`` = 0 means no tick: the slice is exact.
        """
        base = self.os.time_slice_s
        if base is None:
            base = eevdf_base_slice_s(self.cores)
        if self.os.hz == 0:
            return base
        # The tiny margin keeps a slice of exactly n ticks at n: 0.012 * 250 is 3.0000000000000004.
        return math.ceil(base * self.os.hz - 1e-9) / self.os.hz


class Resource(Model):
    """A pool of equal units, such as database connections, served first come first served."""

    capacity: Annotated[int, IntRange(1, 1_000_000_000)]
