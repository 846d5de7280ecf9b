"""Measures the constants of this machine, of each runtime that is here, in bounded time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from simsched.calibration.constants import (
    Constant,
    constants_of,
    host_constants,
)
from simsched.calibration.costs import Costs
from simsched.calibration.machine import Machine, Noise, look, noise
from simsched.calibration.rules import RUNTIMES
from simsched.calibration.session import FULL, QUICK, Progress, Session
from simsched.calibration.slots import SERVERS
from simsched.calibration.unaccounted import unaccounted
from simsched.reality.toolchains import Tools

__all__ = ["NAMES", "Measured", "from_costs", "measure"]

NAMES = (*RUNTIMES, *SERVERS)
"""Runtimes and web servers that can be measured, as a calibration names them."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured.

    Attributes:
        machine: The machine.
        noise: How steady it was when it began.
        constants: Knobs of a calibration file, by table.
        left_out: What could not be measured, one line each.
        runtimes: Runtimes of which there are constants.
    """

    machine: Machine
    noise: Noise
    constants: list[Constant]
    left_out: list[str]
    runtimes: list[str]


def measure(names: Sequence[str] | None = None, *, quick: bool, progress: Progress) -> Measured:
    """Measure the operating system and these runtimes and servers, one after the other.

    Args:
        names: of `NAMES`, as in a calibration file; None: all there are, without the web servers
            if it is to be quick.
        quick: fewer repetitions, within 25 s instead of two minutes (and what the compilers of Go
            and Java take).
        progress: told how many steps are done, of how many, and what is next.
    """
    plan = QUICK if quick else FULL
    machine, steady = look(), noise(0.5)
    with TemporaryDirectory(prefix="simsched-") as folder:
        session = Session(plan, machine, Tools(Path(folder), machine.cores[:1]), progress)
        session.run(names or (RUNTIMES if quick else NAMES))
    told = Costs(session.told, quiet=steady.quiet)
    return from_costs(machine, steady, told, session.here, session.left_out)


def from_costs(
    machine: Machine,
    steady: Noise,
    costs: Costs,
    runtimes: Iterable[str],
    left_out: Iterable[str] = (),
) -> Measured:
    """The constants that costs amount to.

    Args:
        machine: where they were measured.
        steady: its noise.
        costs: what was measured.
        runtimes: runtimes to make tables for.
        left_out: what is known not to be measured.
    """
    constants, missing = host_constants(machine, costs, os.cpu_count() or len(machine.cores))
    missing = [*left_out, *missing]
    have = []
    for name in runtimes:
        found, without = constants_of(name, costs) if name in RUNTIMES else ([], [])
        more, sought = unaccounted(name, costs, [*constants, *found])
        missing += [*without, *sought]
        constants += _by_table([*found, *more])
        if found or more:
            have.append(name)
    return Measured(machine, steady, constants, missing, have)


def _by_table(constants: Sequence[Constant]) -> list[Constant]:
    """Those of one table after each other, tables in order of their length."""
    return sorted(constants, key=lambda constant: len(constant.path))
