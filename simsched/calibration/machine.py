"""What this machine is, as far as an ordinary process can read it, and how steady it is."""

from __future__ import annotations

import math
import os
import platform
import re
import statistics
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Machine", "Noise", "base_slice_ms", "look", "noise"]

CLOCK_MONOTONIC_COARSE = 6
"""include/uapi/linux/time.h; it advances at each timer tick, so its resolution is 1 / HZ."""

QUIET = 0.05
"""Spread below which two runtimes can be told apart that differ by a tenth."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What was read; None: it cannot be read here.

    Attributes:
        system: Name of the operating system.
        kernel: Release of the kernel.
        python: Version of this Python.
        cpu: Name of the processor, "" if it is not told.
        cores: CPUs that this process may use, by number.
        pinning: Whether a process may be pinned to a CPU.
        real_time: Whether a real-time priority may be had: the injector of requests needs one.
        hz: Timer ticks per second.
        quota_cores: Cores that the control group grants; None: no limit is known.
        governor: Policy of the clock frequency.
        steal: Share of the time in which a hypervisor had cores that were wanted, since the start:
            what ``host.steal`` is, if the machine was busy. None: not told.
    """

    system: str
    kernel: str
    python: str
    cpu: str
    cores: tuple[int, ...]
    pinning: bool
    real_time: bool
    hz: int | None
    quota_cores: float | None
    governor: str | None
    steal: float | None = None

    @property
    def linux(self) -> bool:
        """Whether costs of the operating system can be measured."""
        return self.system == "Linux"

    def kernel_version(self) -> tuple[int, int]:
        """Major and minor number of the kernel; (0, 0) if its release does not tell."""
        found = re.match(r"(\d+)\.(\d+)", self.kernel)
        return (int(found[1]), int(found[2])) if found else (0, 0)


@dataclass(frozen=True, slots=True)
class Noise:
    """How long the same work takes, again and again.

    Attributes:
        median_us: Median, in microseconds.
        p95_us: 95th percentile, in microseconds.
        longest_us: The longest, in microseconds.
        samples: How often it was done.
    """

    median_us: float
    p95_us: float
    longest_us: float
    samples: int

    @property
    def spread(self) -> float:
        """By how much the 95th percentile is above the median, as a share."""
        return self.p95_us / self.median_us - 1.0

    @property
    def quiet(self) -> bool:
        """Whether measurements can be trusted to a few percent."""
        return self.spread <= QUIET


def look() -> Machine:
    """Read what this machine is. Changes nothing, and needs no privileges."""
    return Machine(
        system=platform.system(),
        kernel=platform.release(),
        python=platform.python_version(),
        cpu=_cpu_name(),
        cores=tuple(sorted(os.sched_getaffinity(0)))
        if hasattr(os, "sched_getaffinity")
        else tuple(range(os.cpu_count() or 1)),
        pinning=_may_pin(),
        real_time=_may_have_priority(),
        hz=_ticks_per_second(),
        quota_cores=_quota(),
        governor=_text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        steal=stolen_share(_text("/proc/stat") or ""),
    )


def noise(seconds: float = 1.0) -> Noise:
    """Do the same work of about a millisecond again and again, and time it.

    Args:
        seconds: how long to do so.
    """
    took: list[float] = []
    end = time.perf_counter() + seconds
    while not took or time.perf_counter() < end:
        begin = time.perf_counter()
        sum(range(40_000))
        took.append((time.perf_counter() - begin) * 1e6)
    took.sort()
    last = len(took) - 1
    return Noise(statistics.median(took), took[95 * last // 100], took[-1], len(took))


def base_slice_ms(kernel: tuple[int, int], cpus: int) -> float:
    """EEVDF's base slice on so many CPUs, in ms, as ``sysctl_sched_base_slice`` is set at boot.

    kernel/sched/fair.c: 0.70 ms times 1 + log2 of the CPUs (8 at most); 0.75 ms before Linux 6.15.

    Args:
        kernel: major and minor number.
        cpus: CPUs of the machine.
    """
    normal_ms = 0.70 if kernel >= (6, 15) else 0.75
    return normal_ms * (1 + int(math.log2(min(max(cpus, 1), 8))))


def _text(path: str | Path) -> str | None:
    with suppress(OSError):
        return Path(path).read_text(errors="replace").strip()
    return None


def _cpu_name() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _text("/proc/cpuinfo") or "", re.MULTILINE)
    return found[1] if found else platform.processor()


def _may_pin() -> bool:
    if not hasattr(os, "sched_setaffinity"):
        return False
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except OSError:
        return False
    return True


def _may_have_priority() -> bool:
    """Ask for the least real-time priority, and give it back."""
    if not sys.platform.startswith("linux"):
        return False
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except OSError:
        return False
    os.sched_setscheduler(0, policy, parameters)
    return True


def _ticks_per_second() -> int | None:
    if not sys.platform.startswith("linux"):
        return None
    with suppress(OSError):
        return round(1.0 / time.clock_getres(CLOCK_MONOTONIC_COARSE))
    return None


def stolen_share(stat: str) -> float | None:
    """Of the time that cores were wanted, the share that a hypervisor had them: from /proc/stat.

    Its first line counts ticks: user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
    """
    found = re.match(r"cpu((?: +\d+){8})", stat)
    if found is None:
        return None
    user, nice, system, _, _, irq, softirq, steal = map(int, found[1].split())
    wanted = user + nice + system + irq + softirq + steal
    return steal / wanted if wanted else 0.0


def _quota() -> float | None:
    """Cores granted by the control group of this process, or one above it."""
    found: list[float] = []
    root = Path("/sys/fs/cgroup")
    for line in (_text("/proc/self/cgroup") or "").splitlines():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            folder = root / name.lstrip("/")
            for place in (folder, *folder.parents):
                found += _granted(_text(place / "cpu.max"))
        elif "cpu" in controllers.split(","):
            place = root / "cpu" / name.lstrip("/")
            quota, period = _text(place / "cpu.cfs_quota_us"), _text(place / "cpu.cfs_period_us")
            found += _granted(f"{quota} {period}")
    return min(found, default=None)


def _granted(text: str | None) -> list[float]:
    """The cores of a quota and its period, none for "max" or a negative quota."""
    match = re.fullmatch(r"(\d+) (\d+)", text or "")
    return [int(match[1]) / int(match[2])] if match and int(match[2]) else []
