"""The page of one knob: where it is, and what it means there."""

from __future__ import annotations

from collections.abc import Iterator

from simsched.explain.knobs import Knob, knobs_of
from simsched.explain.tables import tables
from simsched.explain.topics import Topic, topics
from simsched.scenario.base import Model
from simsched.scenario.host import HostOs
from simsched.scenario.spec_base import Listen
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS

PARTS_OF_OTHERS = frozenset({"gil", "processes", "quota", "hyper_threads", "steal"})
"""Concepts whose knobs are those of a scheduler or of the host."""
HIDDEN = frozenset({"kind", "name", "preset", "dist"})
"""Keys that say which table it is, and are no knobs of it."""


def knob_topic(name: str) -> tuple[Topic, dict[str, list[Knob]]] | None:
    """The knobs of that key, whatever tables they stand in; None if there are none.

    Args:
        name: a key as "maxThreads", or with its table, as "listen.backlog"; in any case.
    """
    wanted = name.strip().casefold()
    titles: dict[Knob, list[str]] = {}
    places: list[str] = []
    for place, title, model in _places():
        for knob in knobs_of(model, HIDDEN):
            if _means(knob.key, wanted):
                titles.setdefault(knob, []).append(title)
                places.append(place)
    if not titles:
        return None
    key = next(iter(titles)).key
    key = key if "." in wanted else key.rsplit(".", 1)[-1]
    topic = Topic(key, "knob", "A key of a scenario.", key, see_also=tuple(dict.fromkeys(places)))
    return topic, {", ".join(where): [knob] for knob, where in titles.items()}


def _means(key: str, wanted: str) -> bool:
    plain = key.casefold()
    return plain == wanted or plain.endswith(f".{wanted}")


def _places() -> Iterator[tuple[str, str, type[Model]]]:
    """Topics with knobs, with the title and the model of the table."""
    for kind, model in SCHEDULER_KINDS.items():
        yield f"kind:{kind}", f'kind = "{kind}"', model
    for step, model in STEP_KINDS.items():
        yield f"step:{step}", f"{{ {step} = ... }}", model
    for topic in topics():
        if topic.group == "concept" and topic.name not in PARTS_OF_OTHERS:
            own = (table for table in tables(topic.name) if table[1] not in (Listen, HostOs))
            for title, model, _ in own:  # those two are parts of schedulers and of the host
                yield f"concept:{topic.name}", title, model
