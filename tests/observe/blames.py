"""Blame in milliseconds, for tests that work it out by hand."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from kit import Request, Spec, letter, ms, run

from simsched.observe.record import PARTS, RunRecord

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


QUEUE_CAUSES = {
    "loop", "threads", "workers", "Ps", "carriers", "core", "quota", "connections",
}  # fmt: skip
PARTS_OF_THEIR_OWN = ("resource", "lock", "gil")


def told_and_booked(record: RunRecord) -> tuple[dict[tuple[str, int], float], ...]:
    """Seconds of waiting by part and class: as blamed, and as the breakdown has them."""
    told: dict[tuple[str, int], float] = defaultdict(float)
    for row in record.blame:
        if row.cause in QUEUE_CAUSES or row.cause.startswith("pool:"):
            part = "queue"
        elif row.cause == "gil":
            part = "gil"
        else:
            part = "lock" if row.cause.startswith("lock:") else "resource"
            assert row.cause.removeprefix("resource:") in record.waits
        told[part, row.victim] += row.seconds
    booked: dict[tuple[str, int], float] = defaultdict(float)
    for victim in range(int(record.class_id.max(initial=-1)) + 1):
        mine = record.class_id == victim
        sums = record.parts_s[mine].sum(axis=0)
        if len(record.join_parts_s):  # what the slowest branches waited for
            sums = sums + record.join_parts_s[mine].sum(axis=0)
        for part in PARTS_OF_THEIR_OWN:
            booked[part, victim] = float(sums[PARTS.index(part)])
        booked["queue", victim] = float(sums[:2].sum())
    return dict(told), dict(booked)
