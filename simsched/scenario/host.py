"""The machine: cores, memory and the rules of its operating system's scheduler."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from simsched.scenario.base import Finding, Model
from simsched.scenario.scalars import (
    AutoPositiveDuration,
    Duration,
    IntRange,
    Name,
    NumberRange,
    PositiveDuration,
    PositiveSize,
)

MAX_CORES = 4096
MAX_STEAL = 0.99


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

    scheduler: Literal["wakeup_first", "eevdf"] = Field(
        default="wakeup_first",
        description='The kernel\'s rules. "wakeup_first": threads that wake go ahead of those that '
        'compute, which take turns. "eevdf": virtual deadlines, as in Linux from 6.6 on.',
    )
    time_slice_s: AutoPositiveDuration = Field(
        alias="time_slice",
        default=None,
        description='Time for which a thread may compute while others wait. "auto": Linux\'s '
        "base slice, by number of cores.",
    )
    hz: Annotated[int, IntRange(0, 10_000)] = Field(
        default=250,
        description="Ticks per second at which slices are enforced: CONFIG_HZ. 0: slices are "
        "exact.",
    )
    switch_cost_s: Duration = Field(
        alias="switch_cost",
        default=1.5e-6,
        description="Cost of each change of threads on a core, CPU time.",
    )
    wakeup_latency_s: Duration = Field(
        alias="wakeup_latency",
        default=5e-6,
        description="Time to wake a thread on an idle core: about 5us on bare metal, 45us on a "
        "small virtual machine.",
    )
    # General knowledge: finding a core, queueing, and a reschedule interrupt take 1 to 2 us. On a
    # guest the interrupt leaves the virtual machine: measured, pthread_cond_signal takes 5.5 us
    # for a thread that has just fallen asleep, 9 us for one that has slept 0.2 ms, 17 us after 2.
    wakeup_cost_s: Duration = Field(
        alias="wakeup_cost",
        default=1.5e-6,
        description="CPU time of whoever wakes a thread that waits for Python's interpreter lock: "
        "about 1.5us on bare metal, 12us on a small virtual machine.",
    )
    # Linux: 50 us for every thread that is not real-time (prctl PR_SET_TIMERSLACK; kernel
    # init_task.timer_slack_ns). Measured: nanosleep of an idle thread ends 88 us late, and 42 us
    # late with a slack of 1 ns; the rest is the wake-up.
    # Bare metal: 1 to 3 us (General knowledge). On a guest, leaving the idle state, the timer and
    # the interrupt are exits to the hypervisor, and caches are cold.
    idle_exit_cost_s: Duration = Field(
        alias="idle_exit_cost",
        default=0.0,
        description="CPU time lost by a thread that wakes on an idle core, to interrupts and cold "
        "caches: 1 to 3us on bare metal, 10 to 30us on a small virtual machine.",
    )
    # Measured on a guest, CPU beyond what requests need when the core is busy, per wake-up: 30 us
    # after 0.5 ms of idling, 40 after 2, 60 after 10, 140 after 60: so 15 us and a root.
    idle_cold_cost_s: Duration = Field(
        alias="idle_cold_cost",
        default=0.0,
        description="... and what more it loses if the core has idled for 1 ms, as its caches go "
        "cold; it grows with the root of the idle time, up to 100 ms. About 17us on a small "
        "virtual machine.",
    )
    timer_slack_s: Duration = Field(
        alias="timer_slack",
        default=50e-6,
        description="Lateness of timed waits of threads, by which Linux gathers timers: 50us "
        "(prctl PR_SET_TIMERSLACK).",
    )
    wakeup_preemption: bool = Field(
        default=True, description="Whether a thread that wakes goes ahead of those that compute."
    )
    wakeup_granularity_s: Duration = Field(
        alias="wakeup_granularity",
        default=1e-3,
        description="... of one that has run for at least this long.",
    )
    bandwidth_slice_s: PositiveDuration = Field(
        alias="bandwidth_slice",
        default=5e-3,
        description="CPU time that a core draws from the quota at a time: "
        "kernel.sched_cfs_bandwidth_slice_us.",
    )
    somaxconn: Annotated[int, IntRange(0, 2**31 - 1)] = Field(
        default=4096,
        description="Upper limit of every accept queue: net.core.somaxconn (4096 since Linux "
        "5.4, 128 before).",
    )
    tcp_syn_retries: Annotated[int, IntRange(1, 127)] = Field(
        default=6,
        description="How often a client repeats a connection attempt that got no answer: "
        "net.ipv4.tcp_syn_retries.",
    )
    tcp_syn_linear_timeouts: Annotated[int, IntRange(0, 127)] = Field(
        default=4,
        description="How many of those come a second apart before the gaps double: "
        "net.ipv4.tcp_syn_linear_timeouts. 0: kernels before 6.5.",
    )
    tcp_abort_on_overflow: bool = Field(
        default=False,
        description="Whether a full accept queue refuses connections at once instead of letting "
        "clients try again: net.ipv4.tcp_abort_on_overflow.",
    )


class Host(Model):
    """Cores that run the workers, and memory beyond which a peak is reported."""

    cores: Annotated[int, IntRange(1, MAX_CORES)] = Field(
        description="Cores that run the threads of all processes, as the operating system counts "
        "them: hyper-threads are cores."
    )
    threads_per_core: Annotated[int, IntRange(1, 2)] = Field(
        default=1,
        description="How many of the cores share a physical one: 2 with hyper-threading (lscpu: "
        "Thread(s) per core), where 8 cores are 4 physical ones.",
    )
    # Intel: up to 30 % more on server benchmarks with both threads, so 0.6 to 0.65 each.
    sibling_speed: Annotated[float, NumberRange(0.5, 1.0)] = Field(
        default=0.62,
        description="Speed of a hyper-thread while the other one of its physical core is busy, "
        "too; 1 is that of a physical core for itself. Measured: 0.60 to 0.65.",
    )
    cpu_quota: Annotated[float, NumberRange(0.0, MAX_CORES, open_low=True)] | None = Field(
        default=None,
        description="CPU limit of the container, in cores: Kubernetes limits.cpu (2.0 is 2 or "
        "2000m), docker --cpus, cpu.max. Absent: no limit.",
    )
    cpu_period_s: PositiveDuration = Field(
        alias="cpu_period",
        default=0.1,
        description="Period for which the quota is given: 100ms in Kubernetes, the second number "
        "of cpu.max.",
    )
    cpu_burst_s: Duration = Field(
        alias="cpu_burst",
        default=0.0,
        description="CPU time that may be kept from quiet periods and used beyond the quota: "
        "cpu.max.burst.",
    )
    steal: Annotated[float, NumberRange(0.0, MAX_STEAL)] = Field(
        default=0.0,
        description="Share of the time for which the hypervisor takes each virtual core away: "
        "steal (st) of top, vmstat and /proc/stat, where the cores are busy.",
    )
    # Linux as a hypervisor: the base slice of EEVDF on 8 cores or more is 2.8 to 3 ms, and a
    # neighbour that sleeps leaves earlier. Measured on a KVM guest (a real-time thread that reads
    # the clock all the time): absences of 0.2 to 12 ms, 1.4 on average.
    steal_slice_s: PositiveDuration = Field(
        alias="steal_slice",
        default=3e-3,
        description="Mean time for which a virtual core is away at a time. Linux as a hypervisor: "
        "a few milliseconds.",
    )
    calibration: Name | None = Field(
        default=None,
        description="A built-in calibration, or a file, whose constants stand under what the "
        "scenario says and over its presets. Absent: none.",
    )
    memory_bytes: PositiveSize | None = Field(
        alias="memory",
        default=None,
        description="Memory of the host: a peak above it is a warning. Absent: not looked at.",
    )
    os: HostOs = Field(default=HostOs(), description="Constants of the operating system.")

    def findings(self) -> Iterator[Finding]:
        """Hyper-threads come in pairs, and a burst is not more than the quota."""
        if self.cores % self.threads_per_core:
            yield Finding(
                ("threads_per_core",),
                f"{self.cores} cores cannot be {self.threads_per_core} to a physical one",
                "cores counts hyper-threads: 4 physical cores with 2 each are 8",
            )
        most_s = 0.0 if self.cpu_quota is None else self.cpu_quota * self.cpu_period_s
        if self.cpu_burst_s > most_s:
            yield Finding(
                ("cpu_burst",),
                "cpu_burst is more than the quota of a period, which the kernel refuses",
                "give at most cpu_quota x cpu_period" if most_s else "set cpu_quota, too",
            )

    @property
    def quota_cores(self) -> float:
        """Cores that may be busy on average: all of them, or the quota if that is less."""
        return float(self.cores) if self.cpu_quota is None else min(self.cores, self.cpu_quota)

    @property
    def available_cores(self) -> float:
        """Cores that may be busy on average, less what a hypervisor takes away."""
        return min(self.quota_cores, self.cores * (1.0 - self.steal))

    @property
    def capacity_cores(self) -> float:
        """Seconds of work that can be done per second, at best.

        With hyper-threads, work fills physical cores first; a core's second thread adds what both
        do together beyond one: 2 x ``sibling_speed`` - 1.
        """
        busy = self.available_cores
        if self.threads_per_core == 1:
            return busy
        physical = self.cores / self.threads_per_core * (1.0 - self.steal)
        return min(busy, physical) + max(0.0, busy - physical) * (2 * self.sibling_speed - 1)

    @property
    def slowest_pace(self) -> float:
        """Seconds that a core takes at most for a second of work, once it has begun."""
        return 1.0 if self.threads_per_core == 1 else 1.0 / self.sibling_speed

    @property
    def quota_processors(self) -> int:
        """The quota in whole cores, rounded up, and not more than there are.

        What the JVM takes for the number of processors (availableProcessors, since JDK 10; CPU
        shares are ignored since 18.0.2).
        """
        return math.ceil(self.quota_cores)

    @property
    def slice_s(self) -> float:
        """Effective time slice in seconds: the base slice, rounded up to whole ticks.

        The kernel enforces a slice at its tick: ceil(base / tick) * tick (kernel commit
        a26979377bf3 measures it). ``hz`` = 0 means no tick: the slice is exact. So it is under
        "eevdf", which looks at ticks itself, and at wake-ups, too.
        """
        base = self.os.time_slice_s
        if base is None:
            base = eevdf_base_slice_s(self.cores)
        if self.os.hz == 0 or self.os.scheduler == "eevdf":
            return base
        # The tiny margin keeps a slice of exactly n ticks at n: 0.012 * 250 is 3.0000000000000004.
        return math.ceil(base * self.os.hz - 1e-9) / self.os.hz


class Resource(Model):
    """A pool of equal units, such as database connections, served first come first served."""

    capacity: Annotated[int, IntRange(1, 1_000_000_000)] = Field(
        description="Units that can be taken at a time, such as connections of a pool."
    )
    timeout_s: PositiveDuration | None = Field(
        alias="timeout",
        default=None,
        description="Longest wait for a unit, after which the request fails: connectionTimeout of "
        "HikariCP, whose default is 30s. Absent: it waits for ever.",
    )
    max_waiting: Annotated[int, IntRange(0, 1_000_000_000)] | None = Field(
        default=None,
        description="Requests that may wait for a unit; the next one fails at once: "
        "pendingAcquireMaxCount of Reactor Netty. Absent: no limit.",
    )
