"""The real runtimes that can be driven, by name: ``go1``, ``tpe40_c2``, ``http_gsync4``, ...

A name says what is measured and on how many cores, and stands at the head of a case's id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_RUNTIMES", "RUNTIME_HELP", "Runtime", "UnknownRuntime", "runtime_named"]

MOST_THREADS = 2_000


class UnknownRuntime(ValueError):
    """No runtime has this name."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime in one configuration.

    Attributes:
        name: Its name, as in ids.
        family: What an index record calls its runtime.
        kind: "inproc" or "http".
        language: "python", "go" or "java": which driver, and whose loop is calibrated.
        cores: CPUs the process is pinned to.
        needs: Python packages the driver imports.
        size: Workers, threads or parallelism; 1 for a loop.
        config: What an index record says of the configuration.
        bound: Requests in progress at most, waits included; None: any number.
        one_at_a_time: Whether only one request can compute at any moment (a loop, or the GIL).
    """

    name: str
    family: str
    kind: str
    language: str
    cores: int
    needs: tuple[str, ...]
    size: int
    config: dict[str, Any]
    bound: int | None
    one_at_a_time: bool

    def capacity_rps(self, cpu_mean_us: float, busy_mean_us: float) -> float:
        """Requests per second at which the runtime is saturated, overheads aside.

        The lower of what the cores can compute and what the bounded workers can hold.
        """
        at_once = 1 if self.one_at_a_time else self.cores
        limits = [at_once * 1e6 / cpu_mean_us] if cpu_mean_us > 0 else []
        if self.bound is not None and busy_mean_us > 0:
            limits.append(self.bound * 1e6 / busy_mean_us)
        return min(limits, default=1e6)


def _loop(name: str, family: str, cores: int, _: int) -> Runtime:
    needs = ("uvloop",) if family == "uvloop" else ()
    config: dict[str, Any] = {"name": name, "loop": "uvloop" if needs else "asyncio"}
    bound = None
    if family == "asyncio_block":
        config["block"], bound = 1, 1
    return Runtime(name, family, "inproc", "python", cores, needs, 1, config, bound, True)


def _tpe(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"name": name, "threads": n}
    return Runtime(name, family, "inproc", "python", cores, (), n, config, n, True)


def _go(name: str, family: str, cores: int, n: int) -> Runtime:
    config: dict[str, Any] = {"name": name, "gomaxprocs": n}
    if cores < n:
        config["note"] = f"GOMAXPROCS={n} pinned to fewer cores"
    return Runtime(name, family, "inproc", "go", cores, (), n, config, None, False)


def _vt(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"name": name, "parallelism": n}
    return Runtime(name, family, "inproc", "java", cores, (), n, config, None, False)


def _jf(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"name": name, "threads": n}
    return Runtime(name, family, "inproc", "java", cores, (), n, config, n, False)


def _fastapi(name: str, family: str, cores: int, _: int) -> Runtime:
    needs = ("fastapi", "uvicorn", "uvloop")
    kinds: dict[str, tuple[dict[str, Any], int | None]] = {
        "http_fa_async": ({"server": "uvicorn+fastapi async def", "loop": "uvloop"}, None),
        "http_fa_def": ({"server": "uvicorn+fastapi def", "threads": 40, "loop": "uvloop"}, 40),
        "http_fa_block": ({"server": "uvicorn+fastapi async def blocking sleep"}, 1),
    }
    config, bound = kinds[family]
    told: dict[str, Any] = {**config, "keepalive": 1}
    return Runtime(name, family, "http", "python", cores, needs, bound or 1, told, bound, True)


def _gsync(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"server": "gunicorn sync", "workers": n, "keepalive": 0}
    return Runtime(name, family, "http", "python", cores, ("gunicorn",), n, config, n, False)


def _gthread(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"server": "gunicorn gthread", "workers": 1, "threads": n, "keepalive": 1}
    return Runtime(name, family, "http", "python", cores, ("gunicorn",), n, config, n, True)


def _goweb(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"server": "go net/http", "gomaxprocs": n, "keepalive": 1}
    return Runtime(name, name, "http", "go", cores, (), n, config, None, False)


def _jwvt(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"server": "jdk.httpserver vthreads", "parallelism": n, "keepalive": 1}
    return Runtime(name, name, "http", "java", cores, (), n, config, None, False)


def _jw(name: str, family: str, cores: int, n: int) -> Runtime:
    config = {"server": "jdk.httpserver fixed", "threads": n, "keepalive": 1}
    return Runtime(name, name, "http", "java", cores, (), n, config, n, False)


_PATTERNS: tuple[tuple[str, str, Callable[[str, str, int, int], Runtime]], ...] = (
    (r"asyncio", "asyncio", _loop),
    (r"uvloop", "uvloop", _loop),
    (r"asyncio_block", "asyncio_block", _loop),
    (r"tpe(\d+)", "py_tpe", _tpe),
    (r"go(\d+)", "go", _go),
    (r"vt(\d+)", "java_vt", _vt),
    (r"jf(\d+)", "java_fixed", _jf),
    (r"http_fa_async", "http_fa_async", _fastapi),
    (r"http_fa_def", "http_fa_def", _fastapi),
    (r"http_fa_block", "http_fa_block", _fastapi),
    (r"http_gsync(\d+)", "", _gsync),
    (r"http_gthread(\d+)", "", _gthread),
    (r"http_goweb(\d+)", "", _goweb),
    (r"http_jwvt(\d+)", "", _jwvt),
    (r"http_jw(\d+)", "", _jw),
)

RUNTIME_HELP: tuple[tuple[str, str], ...] = (
    ("asyncio", "asyncio's own loop"),
    ("uvloop", "asyncio on uvloop"),
    ("asyncio_block", "asyncio with a blocking sleep in the coroutine"),
    ("tpeN", "ThreadPoolExecutor of N threads"),
    ("goP", "goroutines, GOMAXPROCS=P, on P cores"),
    ("vtP", "virtual threads, parallelism P, on P cores"),
    ("jfN", "fixed Java pool of N threads"),
    ("http_fa_async", "uvicorn and FastAPI, async def"),
    ("http_fa_def", "uvicorn and FastAPI, def (40 threads)"),
    ("http_fa_block", "uvicorn and FastAPI, async def with a blocking sleep"),
    ("http_gsyncN", "gunicorn, N sync workers"),
    ("http_gthreadN", "gunicorn, one gthread worker of N threads"),
    ("http_gowebP", "Go's net/http, GOMAXPROCS=P, on P cores"),
    ("http_jwN", "the JDK's HTTP server on a fixed pool of N threads"),
    ("http_jwvtP", "the JDK's HTTP server on virtual threads, parallelism P, on P cores"),
)
"""Names, with N and P for numbers; ``_cK`` at the end of a name pins it to K cores."""

DEFAULT_RUNTIMES: tuple[str, ...] = (
    "asyncio", "uvloop", "tpe40", "go1", "vt1", "jf200",
    "http_fa_async", "http_fa_def", "http_gsync4", "http_gthread8",
)  # fmt: skip


def runtime_named(name: str) -> Runtime:
    """The runtime a name stands for.

    Raises:
        UnknownRuntime: With the names there are.
    """
    match = re.fullmatch(r"(.+?)(?:_c(\d+))?", name)
    assert match is not None or not name
    base, given = match.groups() if match else ("", None)
    for pattern, family, make in _PATTERNS:
        found = re.fullmatch(pattern, base)
        if not found:
            continue
        n = int(found[1]) if found.groups() else 1
        spreads = make in (_go, _vt, _goweb, _jwvt)  # as many cores as Ps, unless told otherwise
        cores = int(given) if given else (n if spreads else 1)
        if 1 <= n <= MOST_THREADS and 1 <= cores <= 1024:
            return make(name, family or base, cores, n)
    known = ", ".join(known for known, _ in RUNTIME_HELP)
    raise UnknownRuntime(f"no runtime {name!r}; there are {known}, and any of them with _cK")
