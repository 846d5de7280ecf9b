"""Joins that can wait for ever: on the thread that would complete what they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simsched.scenario.model import Scenario
from simsched.scenario.specs import ForkJoinSpec
from simsched.scenario.steps import IoStep, ParallelStep, UseStep, inner_steps


def join_deadlocks(scenario: Scenario) -> Iterator[str]:
    """Sentences about ``allOf(...).join()`` in a ``thenApply`` of an asynchronous client.

    What follows an answer as ``thenApply`` runs on the client's thread. If it joins futures that
    this thread has to complete, neither goes on.
    """
    for spec in scenario.schedulers:
        if not isinstance(spec, ForkJoinSpec):
            continue
        if spec.io != "async" or spec.stages != "thenApply" or spec.all_of != "join":
            continue
        for request in scenario.classes:
            if _joins_after_an_answer(request.steps):
                yield (
                    f'scheduler "{spec.name}": class "{request.name}" joins its branches in a '
                    "thenApply, on a thread of the client, which their answers may have to come "
                    'to: then nothing moves again; set stages = "thenApplyAsync" or allOf = "then"'
                )


def _joins_after_an_answer(steps: Any) -> bool:
    """Whether a ``parallel`` step with I/O in it may begin on a thread of the client."""
    flat = list(_in_order(steps))
    answers = [i for i, step in enumerate(flat) if isinstance(step, (IoStep, UseStep))]
    return any(
        isinstance(step, ParallelStep) and _has_io(step) and answers and answers[0] < i
        for i, step in enumerate(flat)
    )


def _in_order(steps: Any) -> Iterator[Any]:
    """Steps in the order of the text, those inside others after them."""
    for step in steps:
        yield step
        for _, inner in inner_steps(step):
            yield from _in_order(inner)


def _has_io(step: Any) -> bool:
    rows = [inner for _, inner in inner_steps(step)]
    return any(isinstance(s, (IoStep, UseStep)) or _has_io(s) for row in rows for s in row)
