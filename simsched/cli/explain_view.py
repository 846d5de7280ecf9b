"""A page of `simsched explain`, and the list of all topics, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.text import Text

from simsched.explain.knobs import is_unlimited
from simsched.explain.topics import GROUPS, Topic, full_name
from simsched.report.symbols import clean

if TYPE_CHECKING:
    from rich.console import Console

    from simsched.explain import Knob, Page

WIDEST = 80
"""Columns beyond which lines of running text are hard to read."""


def render_list(console: Console, topics: Sequence[Topic]) -> None:
    """All topics by group, one line each."""
    names = {topic: full_name(topic) for topic in topics}
    width = max(map(len, names.values()))
    room = console.width - width - 4
    for group, members in groupby(topics, key=lambda topic: topic.group):
        console.print(Text(GROUPS[group], "bold"))
        for topic in members:
            summary = _shortened(topic.summary.rstrip("."), room)
            line = Text.assemble("  ", names[topic].ljust(width), "  ", (summary, "dim"))
            console.print(line, no_wrap=True)
        console.print()
    console.print("simsched explain NAME tells about one of them.")


def render(console: Console, page: Page) -> None:
    """One page: what it is, what the real system does, knobs, overload, sources."""
    topic = page.topic
    named = topic.title.casefold() == topic.name.casefold()
    title = (topic.group, "dim") if named else (topic.title, "bold")
    console.print(Text.assemble((full_name(topic), "bold"), "  ", title))
    _print(console, topic.summary)
    if page.models:
        _print(console, f"Models {page.models}.")
    for block in _blocks(topic.body):
        console.print()
        _print(console, block)
    for heading, text in topic.sections.items():
        _heading(console, heading)
        _section(console, text)
    for table, knobs in page.knobs.items():
        if knobs:
            _heading(console, f"Knobs of {table}")
            for knob in knobs:
                _knob(console, knob)
    _ending(console, page)


def _ending(console: Console, page: Page) -> None:
    if page.presets:
        _heading(console, "Presets")
        _print(console, ", ".join(page.presets), indent=2)
    if page.topic.sources:
        _heading(console, "Sources")
        for source in page.topic.sources:
            _item(console, source)
    also = list(dict.fromkeys((*page.others, *page.topic.see_also)))
    if also:
        _heading(console, "See also")
        _print(console, ", ".join(also), indent=2)


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(Text(clean(text, console.encoding), "bold"))


def _section(console: Console, text: str) -> None:
    """Paragraphs with an empty line in between, and lists without."""
    before = ""
    for block in _blocks(text):
        is_item = block.startswith("- ")
        if before and not (is_item and before.startswith("- ")) and not before.endswith(":"):
            console.print()
        if is_item:
            _item(console, block.removeprefix("- "))
        else:
            _print(console, block, indent=2)
        before = block


def _knob(console: Console, knob: Knob) -> None:
    line = _assignment(knob, console.encoding)
    line.truncate(console.width - 2, overflow="ellipsis")
    console.print(Text.assemble("  ", line), no_wrap=True)
    if knob.description:
        _print(console, knob.description, indent=6)
    _print(console, "; ".join(_facts(knob)), indent=6, style="dim")
    if knob.source:
        _print(console, f"Source: {knob.source}", indent=6, style="dim")


def _assignment(knob: Knob, encoding: str) -> Text:
    """The knob as it could stand in a scenario."""
    value = knob.default if knob.value is None else knob.value
    if value is not None:
        return Text.assemble((knob.key, "bold cyan"), " = ", clean(value, encoding))
    return Text.assemble((knob.key, "bold cyan"), " is required" if knob.required else " is absent")


def _facts(knob: Knob) -> Iterator[str]:
    yield knob.takes
    if knob.value is not None and knob.default not in (None, knob.value):
        yield f"default {knob.default}"
    if is_unlimited(knob.default) or is_unlimited(knob.value):
        yield "2147483647 is no limit"
    if knob.only:
        yield f"only {' and '.join(knob.only)}"


def _item(console: Console, text: str) -> None:
    _print(console, f"- {text}", indent=2, hang=2)


def _print(console: Console, text: str, *, indent: int = 0, hang: int = 0, style: str = "") -> None:
    """A paragraph, wrapped, with code in another colour."""
    shown = _inline(clean(text, console.encoding), style)
    width = min(console.width, WIDEST) - indent
    margin = " " * indent
    for line in shown.wrap(console, width - hang):
        line.rstrip()
        console.print(Text.assemble(margin, line), no_wrap=True, overflow="ignore")
        margin = " " * (indent + hang)


def _inline(text: str, style: str) -> Text:
    """Text with its `code` marked by colour instead of by backquotes."""
    shown = Text(style=style)
    for i, part in enumerate(text.split("`")):
        shown.append(part, "cyan" if i % 2 else None)
    return shown


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs and entries of lists, each on one line."""
    block: list[str] = []
    for line in (*text.splitlines(), ""):
        if block and (not line.strip() or line.startswith("- ")):
            yield " ".join(block)
            block = []
        if line.strip():
            block.append(line.strip())


def _shortened(text: str, room: int) -> str:
    """The text, or as many whole words of it as fit, and three dots."""
    if len(text) <= room:
        return text
    return text[: room - 3].rsplit(" ", 1)[0].rstrip(" ,;:") + "..."
