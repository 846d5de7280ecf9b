"""Runs of async tasks on a machine without costs, for tests to look into.

Times are milliseconds. The pool has one worker fewer than cores. Request A has branches A1, A2, ...
"""

from __future__ import annotations

from typing import Any

from kit import FUTURES, Request, Run, letter, ms, run

from simsched.observe.checkers import all_checkers
from simsched.observe.spans import SpanLog

Stays = dict[str, list[tuple[str, float, float]]]

CPU = {"cpu": "1ms"}


def futures(**knobs: Any) -> dict[str, Any]:
    return FUTURES | knobs


def watched(*requests: Request, cores: int, **knobs: Any) -> tuple[Run, Stays]:
    """The run, and where each request and each branch was from when to when."""
    log = SpanLog()
    finished = run(futures(**knobs), *requests, cores=cores, watch=[*all_checkers(), log])
    stays: Stays = {}
    for span in log.spans:
        name = letter(span.request) + (str(span.branch) if span.branch else "")
        stays.setdefault(name, []).append((span.part, ms(span.start_s), ms(span.end_s)))
    return finished, stays


def done(*requests: Request, cores: int, **knobs: Any) -> dict[str, float]:
    return watched(*requests, cores=cores, **knobs)[0].done
