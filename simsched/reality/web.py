"""One HTTP case: a real server on the loopback, and an open-loop client on another core."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

import numpy as np

from simsched.reality.inproc import (
    READY_S,
    Measured,
    Watch,
    injected,
    injector_of,
    pipe_for_indices,
    whole_us,
)
from simsched.reality.processes import CLIENT_PRIORITY, Child, RunFailed, Usage, script

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simsched.reality.plan import Case
    from simsched.reality.runtimes import Runtime
    from simsched.reality.toolchains import Tools

__all__ = ["run_http"]

BACKLOG = 2_048
WARM_REQUESTS = {"python": 300, "go": 2_000, "java": 8_000}
"""Before anything is measured; the JIT of a JVM needs most."""


def run_http(
    case: Case,
    tools: Tools,
    cpus: tuple[int, ...],
    client_cpu: int,
    work: Path,
    limit_s: float,
    watch: Watch | None = None,
    ready_s: float = READY_S,
) -> Measured:
    """Run a case.

    Args:
        case: what to run.
        tools: where the servers come from.
        cpus: CPUs of the server.
        client_cpu: CPU of the client and the injector.
        work: an empty folder for files that pass between the processes.
        limit_s: seconds after the start at which unanswered requests are given up.
        watch: called once the injector has begun.
        ready_s: how long the server may take to be ready, and as long the client to warm it up.

    Raises:
        RunFailed: If a process cannot do its part in time.
    """
    trace = work / "trace.bin"
    case.trace.save(trace)
    runtime = case.runtime
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(BACKLOG)
        command = server_command(runtime, tools, listener.fileno())
        fds = () if runtime.language == "java" else (listener.fileno(),)
        with Child(command, cpus, pass_fds=fds, log=work / "server.log") as server:
            ready = server.line(ready_s)
            port = ready.get("port", listener.getsockname()[1])
            before, after, told, out = _drive(
                case, server, port, client_cpu, work, limit_s, watch, ready_s
            )
    speeds = [ready["per_us"], tools.per_us(runtime.language)]
    ended = np.fromfile(out, "<i8")
    if len(ended) != len(case.trace):
        raise RunFailed(f"the client noted {len(ended)} answers, not {len(case.trace)}")
    latency = np.where(ended >= 0, ended - case.trace.arrival_us * 1000, -1000)
    notes: dict[str, Any] = {"iterations_per_us": speeds, **told}
    return Measured(whole_us(latency), {}, before, after, notes)


def _drive(
    case: Case,
    server: Child,
    port: int,
    cpu: int,
    work: Path,
    limit_s: float,
    watch: Watch | None,
    ready_s: float,
) -> tuple[Usage, Usage, dict[str, Any], Path]:
    """Send the requests; usage of the server before and after, what was told, and the answers."""
    out, trace = work / "answers.bin", work / "trace.bin"
    keepalive, warm = case.runtime.config["keepalive"], WARM_REQUESTS[case.runtime.language]
    arguments = [str(port), str(keepalive), str(trace), str(out), f"{limit_s:g}", str(warm)]
    command = [*script("web_client.py"), *arguments]
    with pipe_for_indices() as (reading, writing):
        client = Child(
            command, (cpu,), priority=CLIENT_PRIORITY, stdin=reading, log=work / "client.log"
        )
        with client, injector_of(trace, cpu, writing, work) as injector:
            try:
                client.line(ready_s)
            except RunFailed as error:
                raise RunFailed(f"{error}{server.complaint()}") from error
            before = Usage(server.pid)
            injector.go()
            if watch is not None:
                watch(server.pid)
            end = client.line(limit_s + 10.0)
            after = Usage(server.pid)
            injector.wait(10.0)
            os.close(writing.pop())
            client.wait(30.0)
            told = {"injector": injected(injector)}
    if end["failed"]:
        told["failed"] = end["failed"]
    return before, after, told, out


def server_command(runtime: Runtime, tools: Tools, fd: int) -> list[str]:
    """The command that serves a runtime on a listening socket (Java opens one of its own)."""
    if runtime.language == "java":
        family = "java_vt" if "parallelism" in runtime.config else "java_fixed"
        program = tools.program("java", runtime)
        return [*program, "web", "--runtime", family, "--threads", str(runtime.size)]
    if runtime.language == "go":
        return [*tools.program("go"), "web", "--fd", str(fd), "--threads", str(runtime.size)]
    return [*script("serve_python.py"), *_python_server(runtime, fd)]


def _python_server(runtime: Runtime, fd: int) -> Iterator[str]:
    kinds = {
        "uvicorn+fastapi async def": "async",
        "uvicorn+fastapi def": "def",
        "uvicorn+fastapi async def blocking sleep": "block",
        "gunicorn sync": "sync",
        "gunicorn gthread": "gthread",
    }
    config = runtime.config
    yield kinds[config["server"]]
    yield str(fd)
    yield str(config.get("workers", 1))
    yield str(config.get("threads", 1))
