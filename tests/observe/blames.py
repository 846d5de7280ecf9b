"""Blame in milliseconds, for tests that work it out by hand."""

from __future__ import annotations

from typing import Any

from kit import Request, Spec, letter, ms, run

from simsched.observe.record import RunRecord

Rows = dict[tuple[str, str, str], float]


def blame_of(record: RunRecord) -> Rows:
    """Milliseconds by cause, victim and "culprit step"; each request is a class of its own."""
    return {
        (row.cause, letter(row.victim), f"{letter(row.culprit)} {row.step}".strip())
        if row.culprit >= 0
        else (row.cause, letter(row.victim), "nobody"): ms(row.seconds)
        for row in record.blame
    }


def blamed(scheduler: Spec, *requests: Request, **more: Any) -> Rows:
    return blame_of(run(scheduler, *requests, **more).record)


def step(seconds: str, name: str, what: str = "cpu") -> dict[str, str]:
    return {what: seconds, "name": name}
