"""Threads of Python without a pool: each follows a plan under one interpreter lock."""

from __future__ import annotations

from typing import Any

import pytest
from kit import FREE_OS, Journal, ms

from simsched.scenario import Host as HostSpec
from simsched.sim.clients import Clients
from simsched.sim.clock import IO_DONE, Clock, Process
from simsched.sim.gil import Gil
from simsched.sim.gil_thread import GilThread
from simsched.sim.host import Host
from simsched.sim.machine import Machine
from simsched.sim.observer import Observers


class Interpreter:
    """One process, whose threads follow plans: "cpu 3, wait 1, native 2"."""

    def __init__(self, cores: int = 2, interval: float = 5.0, **os: Any) -> None:
        self.journal = Journal()
        self.clock = Clock()
        free = {**FREE_OS, "time_slice": "1000s"}
        spec = HostSpec.model_validate({"cores": cores, "os": {**free, **os}})
        self.host = Host(self.clock, spec, Observers([self.journal]))
        observers = self.host.observers
        machine = Machine(self.clock, self.host, observers, {}, Clients.__new__(Clients), 1, 0)
        self.gil = Gil(machine, interval / 1e3)
        self.gil.slack_s = self.gil.jitter = self.gil.quick = 0.0
        self.threads: dict[str, GilThread] = {}
        self.done: list[tuple[float, str]] = []  # ends of cpu and native parts
        self.waited: dict[str, list[float]] = {}  # for the lock, by thread and part
        self.blames: dict[str, float] = {}

    def thread(self, name: str, plan: str, at: float = 0.0) -> GilThread:
        thread = self.threads[name] = GilThread(self.host, name, self.gil)
        self.waited[name] = []
        self.clock.process(self._life(thread, len(self.threads), plan, at))
        return thread

    def _life(self, thread: GilThread, rank: int, plan: str, at: float) -> Process:
        clock = self.clock
        yield clock.event_at(at / 1e3, IO_DONE | rank)
        for part in plan.split(", "):
            what, length = part.split()
            length_s = float(length) / 1e3
            if what == "wait":
                thread.sleep()
                yield clock.event_at(clock.now + length_s, IO_DONE | rank)
                continue
            run = thread.run if what == "cpu" else thread.run_native
            since_s = clock.now
            wait = run(length_s, rank)
            if wait is not None:
                yield wait
            self.done.append((ms(clock.now), thread.name))
            self.waited[thread.name].append(ms(thread.gil_s))
            spent_s = thread.cost_s + thread.waited_s + thread.gil_s + length_s
            assert spent_s == pytest.approx(clock.now - since_s, abs=1e-12)
        thread.sleep()

    def slices(self) -> list[tuple[float, float, str]]:
        """Run to the end; then who was on a core from when to when."""
        self.clock.run_until(1000.0)
        assert self.gil.holder is None
        assert not self.gil.waiters
        assert self.gil.n_waiting == 0
        return sorted((start, end, name) for start, end, _, name in self.journal.slices)
