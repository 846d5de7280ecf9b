"""What idle tasks and single operations cost on the real runtimes of this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simsched.reality.plan import Skipped
from simsched.reality.processes import Child, RunFailed, script
from simsched.reality.runtimes import runtime_named

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from simsched.reality.toolchains import Tools

__all__ = ["MICRO_RUNTIMES", "measure_memory", "measure_micro"]

MEMORY_S = 120.0
MICRO_S = 120.0
TASKS, THREADS = (1_000, 10_000, 100_000), (1_000, 10_000)
"""How many idle tasks and OS threads; a machine's limit may allow fewer threads."""

_IDLE = (
    # runtime it belongs to, what the driver calls it, numbers
    ("asyncio", "asyncio", TASKS),
    ("uvloop", "uvloop", TASKS),
    ("tpe40", "threads", THREADS),
    ("go1", "go_chan", TASKS),
    ("go1", "go_sleep", TASKS),
    ("vt1", "java_vt_park", TASKS),
    ("vt1", "java_vt_sleep", TASKS),
    ("jf8", "java_platform", THREADS),
)

MICRO_RUNTIMES = ("asyncio", "go1", "vt1")
"""One runtime per language whose driver measures micro-costs; on one core."""

Told = list[dict[str, Any]]


def measure_memory(
    tools: Tools,
    cpus: tuple[int, ...],
    progress: Callable[[str], None] | None = None,
    *,
    wanted: Mapping[str, Sequence[int]] | None = None,
    timeout_s: float = MEMORY_S,
) -> tuple[Told, list[Skipped]]:
    """Memory of idle tasks, as the entries of ``memory.json``, and what was left out.

    Args:
        tools: where the drivers come from.
        cpus: CPUs the process may use.
        progress: told what is measured next.
        wanted: only these, as the driver calls them, and how many; None: all there are.
        timeout_s: how long one number of one of them may take.
    """
    made: Told = []
    skipped: list[Skipped] = []
    for name, kind, all_numbers in _IDLE:
        numbers = all_numbers if wanted is None else wanted.get(kind, ())
        if not numbers:
            continue
        runtime = runtime_named(name)
        reason = tools.missing(runtime)
        if reason:
            skipped.append(Skipped(f"memory of {kind}", reason))
            continue
        for n in numbers:
            if progress is not None:
                progress(f"memory of {n:,} {kind}")
            command = [*tools.program(runtime.language), "memory", "--runtime", kind]
            try:
                with Child(
                    [*command, "--threads", str(n)], cpus, log=tools.scratch / "memory.log"
                ) as child:
                    made.append(child.line(timeout_s))
            except RunFailed as error:
                skipped.append(Skipped(f"memory of {n:,} {kind}", str(error)))
    return made, skipped


def measure_micro(
    tools: Tools, cpu: int, progress: Callable[[str], None] | None = None
) -> tuple[Told, list[Skipped]]:
    """Costs of single operations, as the entries of ``micro.json``, and what was left out.

    Args:
        tools: where the drivers come from.
        cpu: the CPU to measure on.
        progress: told what is measured next.
    """
    made: Told = []
    skipped: list[Skipped] = []
    for name in MICRO_RUNTIMES:
        runtime = runtime_named(name)
        reason = tools.missing(runtime)
        if progress is not None:
            progress(f"single operations of {runtime.language}")
        try:
            if reason:
                raise RunFailed(reason)
            if runtime.language == "python":
                command = script("micro_python.py")
            else:
                command = [*tools.program(runtime.language, runtime), "micro", "--threads", "1"]
            with Child(command, (cpu,), log=tools.scratch / "micro.log") as child:
                made += _lines(child)
        except RunFailed as error:
            skipped.append(Skipped(f"single operations of {runtime.language}", str(error)))
    return made, skipped


def _lines(child: Child) -> Iterator[dict[str, Any]]:
    while (told := child.next_line(MICRO_S)) is not None:
        yield told
    child.wait(10.0)


def save(made: Told, path: Path) -> None:
    """Write entries as the files of a folder hold them."""
    path.write_text(json.dumps(made, indent=0))
