"""Folders of measurements that the model itself has made, so that it must predict them exactly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from simsched.reality.cases import read_cases
from simsched.reality.scenarios import scenario_of
from simsched.scenario import Scenario
from simsched.sim.engine import simulate
from simsched.workload import draw

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "asyncio": ("asyncio", {"loop": "asyncio"}),
    "asyncio_timer": ("asyncio", {"loop": "asyncio", "gen": "in-loop call_at"}),
    "go2": ("go", {"gomaxprocs": 2}),
    "vt1": ("java_vt", {"parallelism": 1}),
    "jf8": ("java_fixed", {"threads": 8}),
    "tpe40": ("py_tpe", {"threads": 40}),
    "puller40": ("py_puller", {"threads": 40}),
    "http_gsync4": ("http_gsync4", {"workers": 4, "keepalive": 0}),
    "http_fa_def": ("http_fa_def", {"threads": 40, "loop": "uvloop", "keepalive": 1}),
    "http_goweb1": ("http_goweb1", {"gomaxprocs": 1, "keepalive": 1}),
    "http_jwvt2": ("http_jwvt2", {"parallelism": 2, "keepalive": 1}),
    "http_jw8": ("http_jw8", {"threads": 8, "keepalive": 1}),
}


def write_case(folder: Path, case_id: str, *, slower: float = 1.0, load: float = 0.5) -> None:
    """A case that was 'measured' by simulating it, and took `slower` times as long."""
    (folder / "cases").mkdir(parents=True, exist_ok=True)
    index = folder / "index.json"
    records = json.loads(index.read_text()) if index.exists() else []
    name = case_id.split("__")[0]
    runtime, config = CONFIGS[name]
    rng = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "arrival_us": np.cumsum(rng.exponential(2000.0, 300)),
        "cpu1_us": rng.exponential(300.0, 300),
        "io_us": np.full(300, 5000.0),
        "cpu2_us": np.full(300, 100.0),
        "latency_us": np.ones(300),
    }
    np.savez(folder / "cases" / f"{case_id}.npz", **arrays)
    record = {
        "id": case_id,
        "kind": "http" if name.startswith("http_") else "inproc",
        "runtime": runtime,
        "cores": 2,
        "rho_nominal": load,
        "config": config,
        "cpu_s": 1.0,
    }
    index.write_text(json.dumps([*records, record]))
    (case,) = [c for c in read_cases(folder) if c.id == case_id]
    scenario = Scenario.from_dict(scenario_of(case), base_dir=folder / "cases")
    run = simulate(scenario, scenario.schedulers[0], draw(scenario, 0))
    arrival_s = arrays["arrival_us"] / 1e6
    arrays["latency_us"] = (run.finish_s - arrival_s) * 1e6 * slower
    np.savez(folder / "cases" / f"{case_id}.npz", **arrays)
    record["cpu_s"] = run.totals["busy_core_s"]
    index.write_text(json.dumps([*records, record]))


def change(folder: Path, case_id: str, **columns: Callable[[Any], Any]) -> None:
    """Write arrays of a case anew, each from what it was; None leaves it out."""
    path = folder / "cases" / f"{case_id}.npz"
    with np.load(path) as data:
        arrays = dict(data)
    arrays |= {name: make(arrays.get(name)) for name, make in columns.items()}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
