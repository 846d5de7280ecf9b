"""Gantt charts: what each request, and each worker, did when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from simsched.report.figure import MAX_TABLE_ROWS, DataTable, Figure
from simsched.report.figures_parts import segment
from simsched.report.style import BREAKDOWN, Json, PartStyle, label
from simsched.report.timeline_arrows import MAX_ARROWS, arrow_row, arrows_of, arrows_trace
from simsched.report.timeline_rows import Axis, Choice, Workers, choose, stays_drawn, workers_drawn
from simsched.report.trace_events import request_name
from simsched.report.units import format_duration

if TYPE_CHECKING:
    from simsched.observe.timeline import Stay, Timeline

NAMED_BARS = 200
"""Up to so many bars have a text in them, where there is room."""

WAITING = frozenset({"admission", "run_queue", "resource", "lock", "gil"})

WORKER_STYLES = {
    **BREAKDOWN,
    "run_queue": PartStyle("waiting for a core", "#CC6677", "\\"),
    "overhead": PartStyle("work of the runtime", "#888888"),
}


LONGEST_TICK = 14


class Bar(NamedTuple):
    """One bar of a chart: its row, its part, where it is, and what is said of it."""

    row: int
    part: str
    start_s: float
    end_s: float
    text: str
    hover: str


def timeline_figures(timelines: Sequence[Timeline]) -> list[tuple[Figure, Figure]]:
    """For each scheduler, its requests and its workers; all have the same axis of time."""
    choice = choose(timelines)
    names = [f"{request_name(s.request)} {s.class_name}" for t in timelines for s in t.requests]
    names += [piece.worker for line in timelines for piece in line.workers]
    longest = min(LONGEST_TICK, max(map(len, names), default=0))
    margin = 18 + 7 * longest  # the same for all, so that equal times stand below each other
    return [
        (_request_figure(i, line, choice, margin), _worker_figure(i, line, choice, margin))
        for i, line in enumerate(timelines)
    ]


def _request_figure(index: int, timeline: Timeline, choice: Choice, margin: int) -> Figure:
    axis, stays = choice.axis, stays_drawn(timeline, choice)
    classes = {span.request: span.class_name for span in timeline.requests}
    known = {(request, 0) for request in choice.requests}
    rows = sorted(known | {(stay.request, stay.branch) for stay in stays})
    at = {row: i for i, row in enumerate(rows)}
    bars = []
    for stay in stays:
        words = [request_name(stay.request, stay.branch), BREAKDOWN[stay.part].label]
        if stay.step and stay.step != stay.part:
            words.append(f"({stay.step})")
        hover = _hover(" ".join(words), stay.start_s, stay.end_s, axis)
        row = at[stay.request, stay.branch]
        bars.append(Bar(row, stay.part, stay.start_s, stay.end_s, stay.step, hover))
    ticks = [
        request_name(request, branch) + ("" if branch else f" {classes.get(request, '')}").rstrip()
        for request, branch in rows
    ]
    return Figure(
        key=f"requests-{index}",
        title=f"{timeline.scheduler}: requests",
        finding=_request_finding(timeline, choice, stays),
        data=_traces(bars, BREAKDOWN, axis),
        layout=_layout(ticks, axis, margin),
        table=_request_table(timeline, choice, stays),
        height=_height(len(rows)),
    )


def _worker_figure(index: int, timeline: Timeline, choice: Choice, margin: int) -> Figure:
    axis = choice.axis
    workers = workers_drawn(timeline, choice)
    at = {name: i for i, name in enumerate(workers.names)}
    bars = []
    table: list[tuple[float, tuple[str, ...]]] = []
    for piece in workers.slices:
        called = request_name(piece.request, piece.branch) if piece.request >= 0 else ""
        what = WORKER_STYLES[piece.state].label
        step = f"({piece.step})" if piece.step and piece.step != piece.state else ""
        words = " ".join(filter(None, (piece.worker, called, what, step)))
        hover = _hover(words, piece.start_s, piece.end_s, axis)
        row = at[piece.worker]
        bars.append(Bar(row, piece.state, piece.start_s, piece.end_s, called, hover))
        span = (axis.text(piece.start_s), axis.text(piece.end_s))
        entry = (piece.worker, called or "-", what, piece.step or "-", *span)
        table.append((piece.start_s, entry))
    data = _traces(bars, WORKER_STYLES, axis)
    remark = f"Sleeping threads are left out. {axis.title.capitalize()}."
    arrows = arrows_of(timeline, at, axis)
    if len(arrows) > MAX_ARROWS:
        remark += f" What led from one thread to another ({len(arrows)} times) is not drawn."
    elif arrows:
        data.append(arrows_trace(arrows, at, axis))
        table += [(wake.to_s, arrow_row(wake, axis)) for wake in arrows]
        table.sort(key=lambda entry: entry[0])
    if workers.blur_s:
        near = format_duration(workers.blur_s)
        remark += f" Pieces of one kind less than {near} apart are drawn as one."
    if len(table) > MAX_TABLE_ROWS:
        remark += f" The first {MAX_TABLE_ROWS} of {len(table)} entries."
    return Figure(
        key=f"workers-{index}",
        title=f"{timeline.scheduler}: threads",
        finding=_worker_finding(workers),
        data=data,
        layout=_layout(workers.names, axis, margin),
        table=DataTable(
            ("thread", "request", "does", "step", "from", "to"),
            tuple(entry for _, entry in table[:MAX_TABLE_ROWS]),
            remark,
        ),
        height=_height(len(workers.names)),
    )


def _hover(words: str, start_s: float, end_s: float, axis: Axis) -> str:
    lasts = format_duration(end_s - start_s)
    return f"{label(words, 80)}<br>{axis.text(start_s)} to {axis.text(end_s)}: {lasts}"


def _traces(bars: Sequence[Bar], styles: dict[str, PartStyle], axis: Axis) -> list[Json]:
    """One trace per part, so that the legend switches parts on and off."""
    found = []
    for part, style in styles.items():
        own = [bar for bar in bars if bar.part == part]
        if not own:
            continue
        trace = {
            **segment(style, [axis.length(bar.end_s - bar.start_s) for bar in own]),
            "base": [axis.at(bar.start_s) for bar in own],
            "y": [bar.row for bar in own],
            "width": 0.8,  # or else a part that is rare would have higher bars
            "customdata": [bar.hover for bar in own],
            "hovertemplate": "%{customdata}<extra></extra>",
        }
        if len(bars) <= NAMED_BARS:
            trace["text"] = [label(bar.text, 20) for bar in own]
        found.append(trace)
    return found


def _layout(ticks: Sequence[str], axis: Axis, margin: int) -> Json:
    return {
        "margin": {"l": margin, "r": 28, "t": 8, "b": 48},
        "showlegend": True,
        "barmode": "overlay",
        "bargap": 0.2,
        "uniformtext": {"minsize": 9, "mode": "hide"},
        "xaxis": {"title": {"text": axis.title}, "range": axis.range},
        "yaxis": {
            "range": [len(ticks) - 0.5, -0.5],
            "tickmode": "array",
            "tickvals": list(range(len(ticks))),
            "ticktext": [label(tick, LONGEST_TICK) for tick in ticks],
            "automargin": False,
            "showgrid": False,
            "zeroline": False,
        },
    }


def _height(rows: int) -> int:
    return 170 + max(19 * rows, 34 * min(rows, 4))


# -- sentences and tables --------------------------------------------------------------------


def _request_finding(timeline: Timeline, choice: Choice, stays: Sequence[Stay]) -> str:
    """The longest of the requests, and what it spent its time on."""
    chosen = set(choice.requests)
    spans = [span for span in timeline.requests if span.request in chosen]
    if not spans:
        return "No request was under way in this window."
    worst = max(spans, key=lambda span: (span.latency_s(timeline.end_s), -span.request))
    parts = _parts(stays, worst.request)
    text = ""
    if choice.of > len(choice.requests):
        text = f"{len(choice.requests)} of {choice.of} requests, around the slowest of all. "
    took = format_duration(worst.latency_s(timeline.end_s))
    how = "is under way for" if worst.end_s is None else "takes longest:"
    text += f"{request_name(worst.request)} {how} {took}"
    if parts:
        part = max(parts, key=lambda name: parts[name])
        text += f", {format_duration(parts[part])} of it {BREAKDOWN[part].label}"
    waited_s = sum(s.end_s - s.start_s for s in stays if s.part in WAITING and not s.branch)
    all_s = sum(s.end_s - s.start_s for s in stays if not s.branch)
    share = f"{waited_s / all_s:.0%}" if all_s else "0%"
    return f"{text}. Of the time of these requests, {share} is waiting in line."


def _parts(stays: Sequence[Stay], request: int) -> dict[str, float]:
    """Seconds of a request by part."""
    found: dict[str, float] = {}
    for stay in stays:
        if stay.request == request and not stay.branch:
            found[stay.part] = found.get(stay.part, 0.0) + stay.end_s - stay.start_s
    return found


def _worker_finding(workers: Workers) -> str:
    """How many threads there are, and how many of them compute at once."""
    if not workers.names:
        return "No thread was awake in this window."
    threads = f"{workers.known} thread{'' if workers.known == 1 else 's'}"
    if len(workers.names) < workers.awake:
        threads += f", of which the {len(workers.names)} that are awake longest are drawn"
    elif workers.awake < workers.known:
        threads += f", of which {workers.awake} are awake in this window"
    if workers.blur_s:
        return f"{threads}."
    changes = [(piece.start_s, 1) for piece in workers.slices if piece.state == "cpu"]
    changes += [(piece.end_s, -1) for piece in workers.slices if piece.state == "cpu"]
    now = most = 0
    for _, change in sorted(changes):  # an end comes before a beginning at the same moment
        now += change
        most = max(most, now)
    computes = "computes" if most == 1 else "compute"
    return f"{threads}; at most {most} of them {computes} for a request at once."


def _request_table(timeline: Timeline, choice: Choice, stays: Sequence[Stay]) -> DataTable:
    """Stay by stay, or request by request where there are too many of them."""
    axis = choice.axis
    if len(stays) <= MAX_TABLE_ROWS:
        rows = tuple(
            (
                request_name(stay.request, stay.branch),
                BREAKDOWN[stay.part].label,
                stay.step or "-",
                axis.text(stay.start_s),
                axis.text(stay.end_s),
                format_duration(stay.end_s - stay.start_s),
            )
            for stay in sorted(stays, key=lambda s: (s.start_s, s.end_s, s.request))
        )
        return DataTable(
            ("request", "is in", "step", "from", "to", "takes"), rows, f"{axis.title.capitalize()}."
        )
    chosen = set(choice.requests)
    spans = [span for span in timeline.requests if span.request in chosen]
    sums = {span.request: _parts(stays, span.request) for span in spans}
    present = [part for part in BREAKDOWN if any(part in parts for parts in sums.values())]
    return DataTable(
        (
            "request",
            "class",
            "arrives",
            "takes",
            "outcome",
            *(BREAKDOWN[part].label for part in present),
        ),
        tuple(
            (
                request_name(span.request),
                span.class_name,
                axis.text(span.start_s),
                format_duration(span.latency_s(timeline.end_s)),
                span.outcome,
                *(format_duration(sums[span.request].get(part, 0.0)) for part in present),
            )
            for span in spans
        ),
        f"{axis.title.capitalize()}; within the window.",
    )
