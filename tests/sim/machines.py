"""Threads without a runtime: each follows a plan of bursts and sleeps on a bare host."""

from __future__ import annotations

from typing import Any

from kit import FREE_OS, Journal, ms

from simsched.scenario import Host as HostSpec
from simsched.sim.clock import IO_DONE, Clock, Process
from simsched.sim.observer import Observer, Observers
from simsched.sim.os_thread import OsThread
from simsched.sim.smt import host_of


class Counts(Observer):
    """What is counted and what is spent, by name."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def counted(self, name: str, n: int) -> None:
        self.counts[name] = self.counts.get(name, 0) + n

    def spent(self, name: str, seconds: float) -> None:
        self.counts[name] = self.counts.get(name, 0.0) + seconds


class Bench:
    """A host and the threads on it. Times are milliseconds; constants are as in TOML."""

    def __init__(self, cores: int = 1, host: dict[str, Any] | None = None, **os: Any) -> None:
        self.journal = Journal()
        self.clock = Clock()
        counts = Counts()
        self.counts = counts.counts
        spec = HostSpec.model_validate({"cores": cores, **(host or {}), "os": {**FREE_OS, **os}})
        self.host = host_of(self.clock, spec, Observers([self.journal, counts]))
        self.threads: dict[str, OsThread] = {}
        self.done: list[tuple[float, str]] = []  # ends of bursts
        self.runnable: list[tuple[float, float]] = []  # a thread wants a core from ... to ...
        self.waited: dict[str, float] = {}  # of each thread's last burst
        self.cost: dict[str, float] = {}

    def thread(self, name: str, *plan: float, at: float = 0.0) -> None:
        """A thread that wakes at `at`, runs `plan[0]`, sleeps `plan[1]`, runs `plan[2]`, ..."""
        thread = self.threads[name] = self.host.thread(name)
        self.clock.process(self._life(thread, len(self.threads), plan, at))

    def _life(self, thread: OsThread, rank: int, plan: tuple[float, ...], at: float) -> Process:
        clock = self.clock
        yield clock.event_at(at / 1e3, IO_DONE | rank)
        for i, length in enumerate(plan):
            if i % 2:
                thread.sleep()
                yield clock.event_at(clock.now + length / 1e3, IO_DONE | rank)
                continue
            since = ms(clock.now)
            wait = thread.run(length / 1e3, rank)
            if wait is not None:
                yield wait
            self.runnable.append((since, ms(clock.now)))
            self.done.append((ms(clock.now), thread.name))
            self.waited[thread.name] = ms(thread.waited_s)
            self.cost[thread.name] = ms(thread.cost_s)
        thread.sleep()

    def slices(self, until: float = 10_000.0) -> list[tuple[float, float, str]]:
        """Run; then who was on a core from when to when."""
        self.clock.run_until(until / 1e3)
        return [(start, end, name) for start, end, _, name in self.journal.slices]

    def share(self, name: str, until: float) -> float:
        """Milliseconds that a thread has been on a core before `until`."""
        slices = self.slices(until)
        on = {c: t for c, t in self.journal.on.items() if self.host.cores[c].thread is not None}
        running = sum(
            until - ms(t) for c, t in on.items() if self.host.cores[c].thread is self.threads[name]
        )
        return sum(end - start for start, end, who in slices if who == name) + running
