"""The topics: which there are, and their texts.

A text is Markdown of the simplest kind: a title, one sentence for lists, paragraphs, and sections
with the headings of `HEADINGS`, of which "Sources" and "See also" are lists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources

GROUPS: Mapping[str, str] = {
    "preset": "Presets",
    "kind": "Kinds of schedulers",
    "policy": "Policies of a kind",
    "step": "Steps",
    "metric": "Metrics",
    "concept": "Concepts",
    "part": "Parts of the breakdown",
    "outcome": "Outcomes of requests",
    "verdict": "Verdicts",
}
"""Groups by their prefix. Where a name is in several, the bare name is that of the first."""

HEADINGS = ("The real system", "In the model", "In overload", "Use it", "Sources", "See also")
"""Headings that a text may have, in the order in which they are shown."""

ORDER: Mapping[str, tuple[str, ...]] = {
    "kind": (
        "thread_pool",
        "event_loop",
        "goroutine",
        "virtual_thread",
        "fork_join",
        "sync_workers",
        "gthread",
        "reactor",
    ),
    "step": (
        "cpu",
        "io",
        "sleep",
        "blocking",
        "use",
        "lock",
        "offload",
        "parallel",
        "repeat",
    ),
    "outcome": ("completed", "rejected", "timed_out", "failed", "unfinished"),
    "verdict": ("STABLE", "BACKLOGGED", "OVERLOADED"),
}
"""Order in lists; what is not named follows by name."""


@dataclass(frozen=True)
class Topic:
    """A topic and its text, as far as that is written by hand.

    Attributes:
        name: without prefix, as "tomcat".
        group: a key of `GROUPS`.
        summary: one sentence for lists.
        title: what it is called in full.
        body: paragraphs after the summary.
        sections: texts by heading, in the order of `HEADINGS`.
        sources: where the statements come from.
        see_also: names of other topics.
    """

    name: str
    group: str
    summary: str
    title: str = ""
    body: str = ""
    sections: Mapping[str, str] = field(default_factory=dict, hash=False)
    sources: tuple[str, ...] = ()
    see_also: tuple[str, ...] = ()


@cache
def topics() -> tuple[Topic, ...]:
    """Every topic, group by group, in the order of lists."""
    return tuple(topic for group in GROUPS for topic in _group(group))


def written(group: str, name: str) -> Topic | None:
    """The topic that a file of this package holds, if there is one."""
    file = resources.files("simsched.explain") / "topics" / group / f"{name}.md"
    return parse(group, name, file.read_text(encoding="utf-8")) if file.is_file() else None


def full_name(topic: Topic) -> str:
    """The shortest name that means this topic: with its group where another has the bare one."""
    first = next((other for other in topics() if other.name == topic.name), topic)
    return topic.name if first.group == topic.group else f"{topic.group}:{topic.name}"


def parse(group: str, name: str, text: str) -> Topic:
    """A topic from its Markdown.

    Raises:
        ValueError: it has no title, no summary, or a heading that is not one of `HEADINGS`.
    """
    head, *rest = text.strip().split("\n## ")
    lines = head.split("\n", 1)
    if not lines[0].startswith("# ") or len(lines) < 2:
        raise ValueError(f"{group}/{name}.md: a text begins with a title and a summary")
    summary, _, body = lines[1].strip().partition("\n\n")
    parts = {}
    for part in rest:
        heading, _, content = part.partition("\n")
        if heading.strip() not in HEADINGS:
            raise ValueError(f'{group}/{name}.md: unknown heading "{heading}"')
        parts[heading.strip()] = content.strip()
    sources = tuple(_items(parts.pop("Sources", "")))
    see_also = tuple(n.strip() for n in parts.pop("See also", "").split(",") if n.strip())
    sections = {heading: parts[heading] for heading in HEADINGS if heading in parts}
    title = lines[0].removeprefix("# ").strip()
    return Topic(name, group, _one_line(summary), title, body.strip(), sections, sources, see_also)


def _items(text: str) -> list[str]:
    """The entries of a Markdown list, each on one line."""
    return [_one_line(item) for item in f"\n{text}".split("\n- ")[1:]]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _group(group: str) -> list[Topic]:
    if group == "preset":
        return _presets()
    folder = resources.files("simsched.explain") / "topics" / group
    names = sorted(f.name.removesuffix(".md") for f in folder.iterdir() if f.name.endswith(".md"))
    first = [name for name in ORDER.get(group, ()) if name in names]
    found = (written(group, n) for n in (*first, *(n for n in names if n not in first)))
    return [topic for topic in found if topic is not None]


def _presets() -> list[Topic]:
    """Presets have no text of their own: their files say what they are."""
    from simsched.scenario.presets import load_preset, preset_names

    found = []
    for name in preset_names():
        preset = load_preset(name)
        found.append(Topic(name, "preset", preset.description, preset.models))
    return found
