"""The figure of blame: who makes each class wait, and for how much of its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from simsched.report.blame import HEADERS, blame_finding, blame_lines, culprit, thing, worst
from simsched.report.figure import DataTable, Figure
from simsched.report.figures_parts import bar_height, bar_layout, segment, share_text
from simsched.report.result_model import ResultDocument, SchedulerResult
from simsched.report.result_scheduler import Blame
from simsched.report.style import COLOURS, NEUTRAL, PartStyle, label
from simsched.report.units import duration_scale, format_estimate

PATTERNS: Final = ("", "/", "x", "-", "|", "+", ".")
MOST_CULPRITS: Final = 8
"""Culprits with a segment of their own; all others are one."""
MOST_BARS: Final = 24
"""Victims shown; the table has them all."""

Victim = tuple[SchedulerResult, str]


def blame_figure(result: ResultDocument) -> Figure:
    """Share of each class's time in the system that it waits for others, by culprit."""
    rows = {(i, s.name): worst(s, None) for i, s in enumerate(result.schedulers)}
    victims = [
        (i, name, victim)
        for (i, name), found in rows.items()
        for victim in dict.fromkeys(row.victim for row in found)
    ][:MOST_BARS]
    by_victim = [[r for r in rows[i, name] if r.victim == victim] for i, name, victim in victims]
    named = _culprits([row for found in by_victim for row in found])
    data = []
    for k, who in enumerate([*named, None]):
        parts = [[r for r in found if _is_of(r, who, named)] for found in by_victim]
        if any(parts):
            data.append(_bars(k, who, parts, [result.schedulers[i].kind for i, _, _ in victims]))
    ticks = [f"{label(victim, 18)}<br>{label(name, 18)}" for _, name, victim in victims]
    return Figure(
        key="blame",
        title="Who waits for whom (share of the victims' time)",
        finding=blame_finding(result),
        data=data,
        layout=bar_layout(ticks, {"range": [0, 100], "ticksuffix": "%"}),
        table=DataTable(
            HEADERS,
            tuple(line.cells for line in blame_lines(result, None)),
            "Means over the whole run, warm-up included; rows from 1% of the victim's time on.",
        ),
        height=bar_height(len(victims)),
    )


def _culprits(rows: Sequence[Blame]) -> list[str]:
    """Those to blame for most of the shares, the worst first."""
    shares: dict[str, float] = {}
    for row in rows:
        shares[culprit(row)] = shares.get(culprit(row), 0.0) + (row.share.value or 0.0)
    return sorted(shares, key=lambda who: (-shares[who], who))[:MOST_CULPRITS]


def _is_of(row: Blame, who: str | None, named: Sequence[str]) -> bool:
    return culprit(row) not in named if who is None else culprit(row) == who


def _bars(
    index: int, who: str | None, parts: Sequence[Sequence[Blame]], kinds: Sequence[str]
) -> dict[str, object]:
    colour = NEUTRAL if who is None else COLOURS[index % len(COLOURS)]
    pattern = PATTERNS[index % len(PATTERNS)]
    style = PartStyle("others" if who is None else label(who, 28), colour, pattern)
    shares = [sum(row.share.value or 0.0 for row in rows) for rows in parts]
    return {
        **segment(style, [100 * share for share in shares]),
        "text": [share_text(share) for share in shares],
        "customdata": [
            label(
                ", ".join(
                    f"{thing(row.cause, kind)} {format_estimate(row.seconds, duration_scale)}"
                    for row in rows
                ),
                80,
            )
            for rows, kind in zip(parts, kinds, strict=True)
        ],
        "hovertemplate": "%{x:.3~g}% (%{customdata})",
    }
