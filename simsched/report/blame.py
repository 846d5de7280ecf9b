"""Who waits for whom, in words and rows: the same for the terminal and the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.result_scheduler import Blame
from simsched.report.units import duration_scale, format_duration, format_estimate, format_percent

LEAST_SHARE: Final = 0.01
"""Rows below this share of the victim's latency are not worth a line."""
LEAST_STALL_S: Final = 1e-3
"""Shorter stalls of a loop are not worth a word, nor is a shorter step the cause of a long one."""
MOST_PINNED: Final = 3
"""Steps that pin carriers and are worth a word."""
MOST_ROWS: Final = 6
"""Lines per scheduler in a terminal."""
HEADERS: Final = ("scheduler", "who waits", "for", "taken by", "per request", "share")

THINGS: Final = {
    "loop": "the loop",
    "threads": "a thread",
    "Ps": "a P",
    "carriers": "a carrier",
    "core": "a core",
    "quota": "the CPU quota",
    "connections": "a connection",
    "workers": "a worker",
    "gil": "the interpreter lock",
}


@dataclass(frozen=True)
class BlameLine:
    """One row as text."""

    scheduler: str
    victim: str
    thing: str
    culprit: str
    seconds: str
    share: str

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `HEADERS`."""
        return self.scheduler, self.victim, self.thing, self.culprit, self.seconds, self.share


def thing(cause: str, kind: str = "") -> str:
    """What was waited for at this kind of scheduler, as people say it."""
    if kind == "sync_workers" and cause == "threads":
        cause = "workers"
    if cause.startswith("pool:"):
        pool, _, others = cause.removeprefix("pool:").partition(", ")
        return f"its thread of {pool} ({others})" if others else f"a thread of {pool}"
    if cause.startswith("lock:"):
        return f"lock {cause.removeprefix('lock:')}"
    return THINGS.get(cause, cause.removeprefix("resource:"))


def thing_of(scheduler: SchedulerResult, cause: str) -> str:
    """The same, where a thread without a core may wait for a quota, or for the hypervisor."""
    if cause == "core" and scheduler.stolen_by_core_s:
        return "a core or the hypervisor"
    return thing(cause)


def culprit(row: Blame, scheduler: SchedulerResult | None = None) -> str:
    """Who had it, and what it did meanwhile; of a carrier, also whether that was pinned."""
    if row.culprit is None:
        return "nobody (runtime)"
    text = f"{row.culprit}: {row.step}" if row.step else row.culprit
    return text if scheduler is None else text + _kept(row, scheduler)


def _kept(row: Blame, scheduler: SchedulerResult) -> str:
    """Whether the culprit was not at work, but kept its slot while it waited itself."""
    steps = {(pinned.culprit, pinned.step) for pinned in scheduler.pinned}
    how = {"carriers": " (pinned)", "Ps": " (in a system call)"}
    return how.get(row.cause, "") if (row.culprit, row.step) in steps else ""


def worst(scheduler: SchedulerResult, most: int | None = MOST_ROWS) -> list[Blame]:
    """The rows worth showing, the most seconds first."""
    rows = [row for row in scheduler.blame if (row.share.value or 0.0) >= LEAST_SHARE]
    return rows[:most]


def blame_lines(
    result: ResultDocument, most: int | None = MOST_ROWS, *, pm: str = "±"
) -> list[BlameLine]:
    """The rows of all schedulers."""
    return [
        BlameLine(
            scheduler.name,
            row.victim,
            thing_of(scheduler, row.cause),
            culprit(row, scheduler),
            format_estimate(row.seconds, duration_scale, pm=pm, digits=3),
            format_percent(row.share.value),
        )
        for scheduler in result.schedulers
        for row in _by_victim(worst(scheduler, most))
    ]


def _by_victim(rows: Sequence[Blame]) -> list[Blame]:
    """Rows of one victim together, the victim that waits most first."""
    victims = dict.fromkeys(row.victim for row in rows)
    return [row for victim in victims for row in rows if row.victim == victim]


def blame_sentences(result: ResultDocument) -> list[tuple[str, str]]:
    """Name of each scheduler, and who makes whom wait most there; nothing where nobody waits."""
    found = []
    for scheduler in result.schedulers:
        rows = worst(scheduler, None)
        texts = [_sentence(rows[0], scheduler) + _stall(scheduler)] if rows else []
        texts += _pinned(scheduler) + _after_handoff(scheduler, result.replications)
        if texts:
            found.append((scheduler.name, "; ".join(texts)))
    return found


def _pinned(scheduler: SchedulerResult) -> list[str]:
    """Which steps pin carriers, and for how much of their time."""
    worth = [row for row in scheduler.pinned if (row.share.value or 0.0) >= LEAST_SHARE]
    if not worth:
        return []
    steps = [
        f"{row.culprit} in {row.step} ({format_percent(row.share.value)} of their time)"
        for row in worth[:MOST_PINNED]
    ]
    how = (
        "Ps stay in system calls of" if scheduler.kind == "goroutine" else "carriers are pinned by"
    )
    return [f"{how} {', '.join(steps)}"]


def _after_handoff(scheduler: SchedulerResult, replications: int) -> list[str]:
    """How much of the waiting for Ps is of goroutines that had one and lost it in a system call."""
    seconds = replications * (scheduler.activity.get("waited_after_handoff_s") or 0.0)
    waited_s = sum(row.total_s for row in scheduler.blame if row.cause == "Ps")
    if not waited_s or seconds < LEAST_SHARE * waited_s:
        return []
    share = format_percent(min(1.0, seconds / waited_s))
    return [
        f"{share} of the waiting for Ps is after a hand-off, which took one away in a system call"
    ]


def _sentence(row: Blame, scheduler: SchedulerResult) -> str:
    waited_s = sum(other.total_s for other in scheduler.blame if other.victim == row.victim)
    share = format_percent(row.total_s / waited_s)
    text = f"{share} of {row.victim}'s waiting is for {thing_of(scheduler, row.cause)}"
    if row.culprit is None:
        return f"{text} that nobody has: {_reasons(row, scheduler)}"
    doing = f" in {row.step}" if row.step else ""
    doing += _kept(row, scheduler)
    done = "used up" if row.cause == "quota" else "taken"
    return f"{text}, {done} by {row.culprit}{doing}"


def _reasons(row: Blame, scheduler: SchedulerResult) -> str:
    """Why something is waited for that nobody has."""
    if row.cause == "connections":
        return "the accept queue is full, or connections idle that are kept alive"
    reasons = ["it is being woken up", "the runtime is at work"]
    if row.cause == "loop" and (scheduler.breakdown_s.gil.value or 0.0) > 0:
        reasons.append("its thread waits for the interpreter lock")
    if scheduler.activity.get("connections_opened"):
        reasons.append("a connection waits to be accepted")
    return f"{', '.join(reasons[:-1])}{',' * (len(reasons) > 2)} or {reasons[-1]}"


def _stall(scheduler: SchedulerResult) -> str:
    stall = scheduler.longest_stall
    if stall is None or stall.culprit is None or stall.seconds < LEAST_STALL_S:
        return ""
    text = f"; the longest stall of the loop took {format_duration(stall.seconds)}, "
    if stall.step_s < LEAST_STALL_S:
        return f"{text}no step in it more than {format_duration(stall.step_s)}"
    return (
        f"{text}its longest step was {stall.culprit}'s {stall.step} "
        f"({format_duration(stall.step_s)})"
    )


def blame_finding(result: ResultDocument) -> str:
    """All sentences in one."""
    sentences = blame_sentences(result)
    if not sentences:
        return "Nobody waits for anybody for more than 1% of the latency."
    return "; ".join(f"{name}: {text}" for name, text in sentences) + "."
