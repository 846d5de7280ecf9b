"""Costs of a request that no single operation has: what is measured less what the model takes.

A runtime is driven through slots (`simsched.calibration.slots`), and the very same requests are
simulated, with the constants found so far and without the knobs that are sought. What is missing
then is theirs: as many slots as knobs, and what each knob adds to each slot is simulated, too. So
the model, calibrated, uses as much CPU in these slots as the runtime did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from simsched.calibration.constants import LEAST_LEFT, Constant, us
from simsched.calibration.costs import Cost, Costs
from simsched.calibration.slots import DRIVEN, SERVERS, SLOTS, edges_s, work_of
from simsched.calibration.write import calibration_toml
from simsched.reality.cases import MeasuredCase
from simsched.reality.runtimes import runtime_named
from simsched.reality.scenarios import scenario_of
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.sim.observer import Observer
from simsched.sim.os_thread import OsThread
from simsched.workload import draw

__all__ = ["Model", "sought", "unaccounted"]

Knobs = Mapping[str, float]
"""Values of knobs, in microseconds."""

SPIN: Mapping[str, str] = {"go": "sysmon", "virtual-threads": "idle_spin"}
"""What a runtime does besides each time that it falls idle, or wakes from that."""

WAITS = ("waits", "alone")
"""Slots whose requests wait, for which a bare runtime has its knob ``request``."""

PROBE_US = 10.0
"""The value of a knob with which its part in each slot is found."""

STEPS = 2
"""Of the solution: the first is right where parts only add up."""

HOW = {
    "submit": "CPU per request, 200 at once, less what the model takes for all else",
    "request": "the same with a wait of 5 ms: what a wait takes beyond the model",
    "read": "one request at a time, with a wait of 1 ms, less what the model takes for all else",
    "sysmon": "one request at a time: with a wait, which wakes it twice, less without",
    "idle_spin": "one request at a time: with a wait, after which it is idle twice, less without",
    "cpu_factor": "CPU of 1 ms of a loop as timed alone, in requests one at a time",
    "served": "CPU per request, 500 a second, less what the model takes for the runtime",
}


def sought(name: str) -> dict[str, str]:
    """The slot by which each knob of a runtime or server is found."""
    if name in SERVERS:
        return {"request": "served"}
    found = {"submit": "burst", "request": "waits", "read": "alone"}
    return found | ({SPIN[name]: "paced"} if name in SPIN else {})


class _Busy(Observer):
    """When the one core was busy."""

    patient = True

    def __init__(self) -> None:
        self.on_s: list[float] = []
        self.off_s: list[float] = []

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        self.on_s.append(now)

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        self.off_s.append(now)

    def until(self, times_s: Sequence[float]) -> npt.NDArray[np.float64]:
        """Seconds that it was busy before each of these times."""
        on, off = np.asarray(self.on_s), np.asarray([*self.off_s, *self.on_s[len(self.off_s) :]])
        return np.asarray(
            [float(np.clip(np.minimum(off, at) - on, 0.0, None).sum()) for at in times_s]
        )


class Model:
    """What the model takes for the requests of slots, with some constants.

    Args:
        name: a runtime or server, as a calibration calls it.
        constants: what is known of the machine.
    """

    def __init__(self, name: str, constants: Sequence[Constant]) -> None:
        self.runtime = runtime_named(DRIVEN.get(name) or SERVERS[name])
        self._none = dict.fromkeys(sought(name), 0.0)
        self._constants = constants
        # A first slot makes the threads, as the driver has before it is measured.
        names = ("burst", "burst", "waits", "paced", "alone") if name in DRIVEN else ("served",) * 2
        self._slots = [SLOTS[slot] for slot in names]

    def cpu_us(self, knobs: Knobs) -> dict[str, float]:
        """CPU per request by slot, microseconds.

        Args:
            knobs: of those that are sought; the others are nothing.
        """
        busy = _Busy()
        with TemporaryDirectory(prefix="simsched-") as folder:
            scenario = self._scenario(knobs, Path(folder))
            simulate(scenario, scenario.schedulers[0], draw(scenario, 0), 0, [busy])
        took = np.diff(busy.until(edges_s(self._slots, 1))) * 1e6
        return {s.name: float(t) / s.requests for s, t in zip(self._slots, took, strict=True)}

    def _scenario(self, knobs: Knobs, folder: Path) -> Scenario:
        file = folder / "found.toml"
        file.write_text(calibration_toml("found", "", {}, self._constants), encoding="utf-8")
        data = scenario_of(self._case(folder), str(file))
        values = {**self._none, **knobs}
        data["schedulers"][0] |= {knob: f"{value:.6f}us" for knob, value in values.items()}
        return Scenario.from_dict(data, base_dir=folder / "cases")

    def _case(self, folder: Path) -> MeasuredCase:
        work = work_of(self._slots, 1)
        (folder / "cases").mkdir()
        case_id = f"{self.runtime.name}__slots"
        np.savez(
            folder / "cases" / f"{case_id}.npz",
            arrival_us=work.arrival_us,
            cpu1_us=work.cpu1_us,
            io_us=work.io_us,
            cpu2_us=work.cpu2_us,
            latency_us=np.ones(len(work)),
        )
        record = {"runtime": self.runtime.family, "cores": 1, "config": self.runtime.config}
        return MeasuredCase(case_id, folder, record)


Found = tuple[str, Cost | None, str, Callable[[float], str]]
"""A knob, what it takes, how that was found, and how it is written."""


def unaccounted(
    name: str, costs: Costs, constants: Sequence[Constant]
) -> tuple[list[Constant], list[str]]:
    """The knobs of a runtime or server that slots tell, and one line on those that they do not.

    Args:
        name: of `DRIVEN` or `SERVERS`.
        costs: what was measured.
        constants: what is known of the machine so far; of this runtime all that single operations
            tell.
    """
    left = _left_over(name, costs, Model(name, constants))
    hows = {**HOW, "request": HOW["served"]} if name in SERVERS else HOW
    beside = "" if costs.quiet else "; beside other programs, which leave caches cold"
    found: list[Found] = [(knob, left.get(knob), hows[knob] + beside, us) for knob in sought(name)]
    if name in DRIVEN:
        found.append(("cpu_factor", _factor(name, costs), HOW["cpu_factor"], _number))
    path = ("runtimes", name)
    made = [
        Constant((*path, knob), text(c.value), text(c.low), text(c.high), c.samples, how)
        for knob, c, how, text in found
        if c is not None
    ]
    without = ", ".join(".".join((*path, knob)) for knob, cost, *_ in found if cost is None)
    return made, [f"not measured, or nothing is left: {without}"] if without else []


def _left_over(name: str, costs: Costs, model: Model) -> dict[str, Cost]:
    """What each knob takes; without those for which nothing is left, within the noise."""
    told = {knob: costs.cost(f"slot_{name}_{slot}") for knob, slot in sought(name).items()}
    measured = {knob: cost for knob, cost in told.items() if cost is not None}
    if not measured:
        return {}
    base = _predicted(name, model, {})
    paid: dict[str, dict[str, float]] = {}  # how often a request of each slot pays each knob
    for knob in measured:
        probed = _predicted(name, model, {knob: PROBE_US})
        paid[knob] = {slot: (us - base[slot]) / PROBE_US for slot, us in probed.items()}
    while measured:
        values = _solved(name, model, measured, paid)
        own = {knob: paid[knob][sought(name)[knob]] for knob in measured}
        shares = {knob: values[knob] * own[knob] / cost.value for knob, cost in measured.items()}
        least = min(shares, key=lambda knob: shares[knob])
        if shares[least] >= LEAST_LEFT:
            return {knob: _spread(values[knob], own[knob], cost) for knob, cost in measured.items()}
        del measured[least]
    return {}


def _solved(
    name: str, model: Model, measured: Mapping[str, Cost], paid: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """The values with which the model takes what was measured; Newton's way, two steps.

    What a knob adds depends a little on the others: a longer request is overtaken by more timers.
    """
    slots = [sought(name)[knob] for knob in measured]
    matrix = np.asarray([[paid[knob][slot] for knob in measured] for slot in slots])
    values = dict.fromkeys(measured, 0.0)
    for _ in range(STEPS):
        now = _predicted(name, model, {knob: max(0.0, value) for knob, value in values.items()})
        missing = [c.value - now[s] for c, s in zip(measured.values(), slots, strict=True)]
        step = np.linalg.solve(matrix, missing).tolist()
        values = {knob: values[knob] + more for knob, more in zip(measured, step, strict=True)}
    return values


def _predicted(name: str, model: Model, knobs: Knobs) -> dict[str, float]:
    """What the model takes; for ``request`` of a bare runtime only where a request waits."""
    found = model.cpu_us(knobs)
    if name in DRIVEN and knobs.get("request"):
        others = model.cpu_us({**knobs, "request": 0.0})
        found = {slot: found[slot] if slot in WAITS else others[slot] for slot in found}
    return found


def _spread(value: float, times: float, cost: Cost) -> Cost:
    """A knob that is paid so often in a slot, whose spread is its."""
    low, high = ((mark - cost.value) / times for mark in (cost.low, cost.high))
    return Cost(value, max(0.0, value + low), value + high, cost.samples)


def _factor(name: str, costs: Costs) -> Cost | None:
    """What a request that computes takes more than one that does not, by what it computes.

    On a machine that is not quiet the loop is slowed down by neighbours, as much when it is timed
    as when it serves, or less: then it says nothing.
    """
    work, idle = (costs.cost(f"slot_{name}_{slot}") for slot in ("work", "paced"))
    if work is None or idle is None or not costs.quiet:
        return None
    computed_us = SLOTS["work"].cpu_us
    marks = ((mark - idle.value) / computed_us for mark in (work.value, work.low, work.high))
    value, low, high = marks
    return Cost(value, low, high, work.samples) if value > 0.0 else None


def _number(value: float) -> str:
    return f"{value:.3f}"
