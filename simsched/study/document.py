"""The result document: what was asked for, and an entry per scheduler.

Same scenario, same bytes: it holds no time of day, no duration of the computation and no name of
a machine.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from simsched._version import __version__
from simsched.report.result_model import SCHEMA_NAME, to_json
from simsched.sim.engine import ENGINE

if TYPE_CHECKING:
    from simsched.scenario import OfferedLoad, Scenario


def scenario_hash(scenario: Scenario) -> str:
    """SHA-256 of the resolved scenario as TOML: equal for equal experiments."""
    return "sha256:" + hashlib.sha256(scenario.to_toml().encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    return {
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "simpy": version("simpy"),
        "simsched": __version__,
    }


def result_document(
    scenario: Scenario,
    load: OfferedLoad,
    entries: Sequence[dict[str, Any]],
    *,
    replications: int,
    command: Sequence[str],
) -> dict[str, Any]:
    """The document as plain data, exactly as its JSON text reads back.

    Args:
        scenario: the scenario that was run.
        load: its offered load.
        entries: one entry per scheduler, in the scenario's order.
        replications: replications behind every entry.
        command: the command line that reproduces the document.

    Raises:
        pydantic.ValidationError: an entry is not of the published form.
    """
    source = scenario.source
    document = {
        "schema": SCHEMA_NAME,
        "version": __version__,
        "scenario": {
            "name": scenario.name,
            "hash": scenario_hash(scenario),
            "source": None if source is None else source.as_posix(),
        },
        "config": scenario.resolved(),
        "calibration": scenario.calibration and scenario.calibration.reference(),
        "command": list(command),
        "seed": scenario.seed,
        "replications": replications,
        "duration_s": scenario.duration_s,
        "warmup_s": scenario.warmup_s,
        "study": scenario.study,
        "engine": ENGINE,
        "versions": versions(),
        "offered": load.to_dict(),
        "schedulers": list(entries),
    }
    plain: dict[str, Any] = json.loads(to_json(document))
    return plain
