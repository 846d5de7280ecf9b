"""A scenario that takes a tenth of a second, as a user would write it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from typing import Any

from simsched.scenario import Scenario, loads_scenario

TEXT = """
[scenario]
name = "small"
duration = "1s"
replications = 2
warmup = "0s"

[host]
cores = 2

[workload.arrivals]
kind = "poisson"
rate = "100/s"

[[workload.requests]]
name = "page"
steps = [{ cpu = { dist = "exponential", mean = "2ms" } }, { io = "5ms", name = "backend" }]

[[schedulers]]
preset = "tomcat"

[[schedulers]]
preset = "asyncio"
"""


def small(*overrides: str) -> Scenario:
    """The scenario, with overrides as of `--set`."""
    return loads_scenario(TEXT, overrides)


class Immediate(Executor):
    """Runs what is submitted at once, in this process; `around` may run, fail or drop it."""

    def __init__(self, around: Callable[[int, Callable[[], Any]], Any] | None = None) -> None:
        self.futures: list[Future[Any]] = []
        self._around = around or (lambda _, call: call())

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        number = len(self.futures)
        self.futures.append(future)
        try:
            result = self._around(number, lambda: fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        else:
            if result is not PENDING:
                future.set_result(result)
        return future


PENDING = object()
"""Returned by `around`: the future is left as one that has not started."""


class Backwards(Executor):
    """Takes everything and then works from the end to the start."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._calls: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._calls.append((future, lambda: fn(*args, **kwargs)))
        if len(self._calls) == self._total:
            for waiting, call in reversed(self._calls):
                waiting.set_result(call())
        return future


def names(entries: Iterable[dict[str, Any]]) -> list[str]:
    """Names of scheduler entries."""
    return [entry["name"] for entry in entries]
