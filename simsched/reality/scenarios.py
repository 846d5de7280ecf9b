"""From a measured case to the scenario that predicts it.

Everything here depends on the runtime and on how it was set up, nothing on the case. There are no
constants: those of a runtime or server are in its preset, those of a machine in its calibration.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsched.calibration import find_calibration
from simsched.reality.cases import DEMANDS, MeasuredCase

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Unknown", "scenario_of"]


class Unknown(Exception):
    """There is no model of such a runtime."""


Entry = dict[str, Any]

MOST_CONNECTIONS = 4_000
"""Of the client (web_client.py, which runs as a script): beyond, requests wait at the client."""
INJECTOR_S = 15e-6
"""Measured (1000 to 3000 requests/s): CPU of the injector per request, 10 to 23 us."""
CLIENT_S = 70e-6
"""Measured (as above): CPU of the HTTP client per request, 60 to 67 us, and of its injector."""
MOST_SHARED = 0.5
JDK_LISTENS: Entry = {"listen": {"backlog": 1024}}
"""What the driver tells ``HttpServer.create``: the JDK's own backlog is 50."""


def scenario_of(case: MeasuredCase, calibration: str | None = None) -> dict[str, Any]:
    """The scenario of a case, as data; its file lies in the folder of the case's arrays.

    Args:
        case: what was measured.
        calibration: name or file of the constants of its machine.

    Raises:
        Unknown: the runtime has no model.
        CannotRead: the case's arrays cannot be read.
    """
    runtime = str(case.record["runtime"])
    entry = {**_entry(case, runtime), "name": case.runtime}
    blocks = runtime in ("asyncio_block", "http_fa_block")
    cpu1, io, cpu2 = ({"column": column} for column in DEMANDS)
    arrivals = case.arrays()["arrival_us"]
    host: dict[str, Any] = {"cores": int(case.record["cores"])}
    if calibration is not None:
        host |= _shared(case, arrivals, calibration)
        is_file = calibration.endswith(".toml")
        host["calibration"] = str(Path(calibration).resolve()) if is_file else calibration
    workload: dict[str, Any] = {
        "arrivals": {"kind": "trace", "file": case.requests_file.name},
        "requests": [
            {
                "name": "request",
                "steps": [{"cpu": cpu1}, {"blocking" if blocks else "sleep": io}, {"cpu": cpu2}],
            }
        ],
    }
    if runtime.startswith("http_"):
        workload["connections"] = {
            "keep_alive": bool(case.record["config"].get("keepalive")),
            "count": MOST_CONNECTIONS,
        }
    return {
        "scenario": {
            "name": case.id.replace("__", "-"),
            "duration": f"{float(arrivals.max()) / 1e6 + 0.01:.6f}s",
            "replications": 1,
            "study": "terminating",
        },
        "host": host,
        "workload": workload,
        "schedulers": [entry],
    }


def _shared(case: MeasuredCase, arrivals: NDArray[Any], calibration: str) -> dict[str, Any]:
    """What the clients take of the machine, where the runtime is given all of its cores.

    They have real-time priority, so that for the runtime it is as if its cores were away.
    """
    cores = int(case.record["cores"])
    if find_calibration(calibration).machine.get("cores") != cores:
        return {}
    cost_s = CLIENT_S if case.record["kind"] == "http" else INJECTOR_S
    share = cost_s * len(arrivals) / max(float(arrivals.max()) / 1e6, 1e-3) / cores
    return {"steal": min(round(share, 4), MOST_SHARED), "steal_slice": f"{cost_s:g}s"}


def _entry(case: MeasuredCase, runtime: str) -> Entry:
    config = case.record["config"]
    if runtime.startswith("http_"):
        return _server(runtime, config)
    ways = {"in-loop call_at": "timer", "AfterFunc chain": "timer"}
    ingress = "direct" if "gen1" in case.runtime else ways.get(config.get("gen", ""), "reader")
    if runtime in ("asyncio", "asyncio_block"):
        return {"preset": "asyncio", "ingress": ingress}
    if runtime == "uvloop":
        return {"preset": "asyncio", "loop": "uvloop", "ingress": ingress}
    if runtime == "go":
        return {"preset": "go", "GOMAXPROCS": config["gomaxprocs"], "ingress": ingress}
    if runtime == "java_vt":
        return {**_carriers(config["parallelism"]), "ingress": ingress}
    if runtime == "java_fixed":
        return {**_fixed(config["threads"]), "ingress": ingress}
    if runtime == "py_tpe":
        return {
            "preset": "cpython-threads",
            "max_workers": config["threads"],
            "ingress": ingress,
        }
    if runtime == "py_puller":
        return {
            "preset": "cpython-threads",
            "max_workers": config["threads"],
            "ingress": "puller",
        }
    raise Unknown(f'{case.id}: there is no model of the runtime "{runtime}"')


def _server(runtime: str, config: dict[str, Any]) -> Entry:
    family = runtime.rstrip("0123456789")
    if family in ("http_fa_async", "http_fa_block"):
        return {"preset": "fastapi-async", "loop": config.get("loop", "uvloop")}
    if family == "http_fa_def":
        return {"preset": "fastapi-def", "total_tokens": config["threads"]}
    if family == "http_gsync":
        return {"preset": "gunicorn-sync", "processes": config["workers"]}
    if family == "http_gthread":
        return {"preset": "gunicorn-gthread", "threads": config["threads"]}
    if family == "http_goweb":
        return {"preset": "go-http", "GOMAXPROCS": config["gomaxprocs"]}
    if family == "http_jwvt":
        return {**_carriers(config["parallelism"], "jdk-httpserver-virtual"), **JDK_LISTENS}
    if family == "http_jw":
        return {**_fixed(config["threads"], "jdk-httpserver"), **JDK_LISTENS}
    raise Unknown(f'there is no model of the server "{runtime}"')


def _carriers(parallelism: int, preset: str = "virtual-threads") -> Entry:
    return {
        "preset": preset,
        "parallelism": parallelism,
        "maxPoolSize": parallelism,
    }


def _fixed(threads: int, preset: str = "jdk-thread-pool") -> Entry:
    return {
        "preset": preset,
        "corePoolSize": threads,
        "maximumPoolSize": threads,
    }
