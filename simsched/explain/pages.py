"""Pages: a topic with everything that the program itself knows about it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import ValidationError

from simsched.explain.knobs import Knob, knobs_of
from simsched.explain.one_knob import HIDDEN, knob_topic
from simsched.explain.preset_file import Setting, settings
from simsched.explain.tables import chooser_of, policies_of, tables
from simsched.explain.topics import GROUPS, Topic, full_name, topics, written
from simsched.scenario.base import Model
from simsched.scenario.presets import Preset, load_preset, preset_names
from simsched.scenario.scalars import TOML_CONTEXT
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS
from simsched.scenario.suggest import did_you_mean

ALIASES = {
    **dict.fromkeys(("p50", "p90", "p95", "p99", "p999", "p99.9", "percentiles"), "latency"),
    "workers": "processes",
    "keep-alive": "connections",
}
"""What people ask for, and the topic that answers it."""


class UnknownTopic(LookupError):
    """There is no topic of that name; `hint` asks whether the nearest was meant, or is ""."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(name)
        self.name = name
        self.hint = hint


@dataclass(frozen=True)
class Page:
    """A topic, its knobs, and the other topics of the same name.

    Attributes:
        topic: texts; a preset has those of its policy or kind.
        knobs: by the table they stand in, as 'kind = "thread_pool"'.
        models: the real system that a preset models, or "".
        others: full names of topics that share the name.
        presets: names of presets of this kind or policy.
    """

    topic: Topic
    knobs: dict[str, list[Knob]]
    models: str = ""
    others: tuple[str, ...] = ()
    presets: tuple[str, ...] = ()


def explain(name: str) -> Page:
    """The page of a topic.

    Args:
        name: its name, in any case; with a group before a colon where another has the name, too.
            Where no topic has it, the key of a knob.

    Raises:
        UnknownTopic: there is no such topic.
    """
    try:
        topic = _find(name)
    except UnknownTopic:
        one = knob_topic(name)
        if one is None:
            raise
        places = tuple(full_name(_find(place)) for place in one[0].see_also)
        return Page(replace(one[0], see_also=places), one[1])
    same = [t for t in topics() if t.name.casefold() == topic.name.casefold() and t != topic]
    page = _BUILDERS.get(topic.group, _plain)(topic)
    also = dict.fromkeys(full_name(_find(other)) for other in page.topic.see_also)
    full = replace(page.topic, see_also=tuple(other for other in also if _find(other) != topic))
    return replace(page, topic=full, others=tuple(full_name(t) for t in same))


def to_dict(page: Page) -> dict[str, Any]:
    """The page as a JSON document."""
    topic = page.topic
    return {
        "schema": "simsched.explain/1",
        "name": topic.name,
        "group": topic.group,
        "title": topic.title,
        "summary": topic.summary,
        "models": page.models or None,
        "text": topic.body,
        "sections": dict(topic.sections),
        "knobs": [
            {"table": table, **asdict(knob), "only": list(knob.only)}
            for table, knobs in page.knobs.items()
            for knob in knobs
        ],
        "presets": list(page.presets),
        "sources": list(topic.sources),
        "see_also": [*page.others, *topic.see_also],
    }


def _find(name: str) -> Topic:
    wanted = name.strip().casefold()
    wanted = ALIASES.get(wanted, wanted)
    group, colon, bare = wanted.partition(":")
    for topic in topics():
        plain = topic.name.casefold()
        if plain == wanted or (colon and group == topic.group and plain == bare):
            return topic
    known = [full_name(topic) for topic in topics()] + [topic.name for topic in topics()]
    asked = bare if colon and group in GROUPS else name
    raise UnknownTopic(name, did_you_mean(asked, known))


def _plain(topic: Topic) -> Page:
    """A metric, concept, part, outcome or verdict: its text, and the tables that belong to it."""
    knobs = {
        title: [k for k in knobs_of(model) if keys is None or k.key in keys]
        for title, model, keys in tables(topic.name if topic.group in ("concept", "metric") else "")
    }
    return Page(topic, knobs)


def _step(topic: Topic) -> Page:
    model = STEP_KINDS[topic.name]
    return Page(topic, {f"{{ {topic.name} = ... }}": knobs_of(model)})


def _kind(topic: Topic) -> Page:
    model = SCHEDULER_KINDS[topic.name]
    own = {policy: _own_keys(topic.name, policy) for policy in policies_of(model)}
    knobs = []
    for knob in knobs_of(model, hide=HIDDEN):
        having = tuple(p for p, keys in own.items() if knob.key.split(".")[0] in keys)
        knobs.append(replace(knob, only=() if len(having) == len(own) else having))
    return Page(topic, {f'kind = "{topic.name}"': knobs}, presets=_presets_of(topic.name))


def _policy(topic: Topic) -> Page:
    kind, key = _owner(topic.name)
    model = SCHEDULER_KINDS[kind]
    spec, required = _minimal(kind, topic.name)
    resolved = spec.model_dump(by_alias=True)
    knobs = [
        _with_default(knob, resolved, required)
        for knob in knobs_of(model, hide=HIDDEN | {key})
        if knob.key.split(".")[0] in resolved
    ]
    title = f'kind = "{kind}", {key} = "{topic.name}"'
    return Page(topic, {title: knobs}, presets=_presets_of(kind, topic.name))


def _preset(topic: Topic) -> Page:
    preset = load_preset(topic.name)
    kind = preset.scheduler["kind"]
    policy = _policy_of(preset)
    texts = [t for t in (written("policy", policy), written("kind", kind)) if t is not None]
    own = settings(topic.name)
    spec = SCHEDULER_KINDS[kind].model_validate(preset.scheduler, context=TOML_CONTEXT)
    resolved = spec.model_dump(by_alias=True)
    knobs = [
        _with_setting(knob, own.get(knob.key), resolved)
        for knob in knobs_of(SCHEDULER_KINDS[kind], hide=HIDDEN)
        if knob.key.split(".")[0] in resolved
    ]
    sections = {h: text for t in reversed(texts) for h, text in t.sections.items()}
    sources = next((t.sources for t in texts if t.sources), ())
    own_names = [f"policy:{policy}"] if policy else []
    full = replace(
        topic,
        title=topic.name,
        sections=sections,
        sources=sources,
        see_also=(*own_names, f"kind:{kind}", *(n for t in texts for n in t.see_also)),
    )
    return Page(full, {f'preset = "{topic.name}"': knobs}, models=preset.models)


_BUILDERS = {"preset": _preset, "kind": _kind, "policy": _policy, "step": _step}


def _owner(policy: str) -> tuple[str, str]:
    """The kind that has a policy, and the key that chooses it."""
    for kind, model in SCHEDULER_KINDS.items():
        if policy in policies_of(model):
            return kind, chooser_of(model)
    raise UnknownTopic(policy, "")


def _policy_of(preset: Preset) -> str:
    """The policy that a preset has, or "" where its kind has only one."""
    model = SCHEDULER_KINDS[preset.scheduler["kind"]]
    key = chooser_of(model)
    return str(preset.scheduler.get(key, model.model_fields[key].default)) if key else ""


def _presets_of(kind: str, policy: str = "") -> tuple[str, ...]:
    """Presets of that kind, or of one policy of it."""
    presets = (load_preset(name) for name in preset_names())
    own = (preset for preset in presets if preset.scheduler["kind"] == kind)
    return tuple(preset.name for preset in own if policy in ("", _policy_of(preset)))


def _minimal(kind: str, policy: str) -> tuple[Model, frozenset[str]]:
    """A specification of that policy that says as little as it may, and what it has to say."""
    model = SCHEDULER_KINDS[kind]
    key = chooser_of(model)
    given: dict[str, Any] = {"kind": kind, **({key: policy} if key else {})}
    try:
        return model.model_validate(given), frozenset()
    except ValidationError as error:
        required = frozenset(str(item["loc"][-1]) for item in error.errors())
        return model.model_construct(**given), required


def _own_keys(kind: str, policy: str) -> set[str]:
    """Keys that a specification of that policy writes or may write."""
    return set(_minimal(kind, policy)[0].model_dump(by_alias=True))


def _with_default(knob: Knob, resolved: Mapping[str, Any], required: Set[str]) -> Knob:
    """The knob with the default that this policy has."""
    if knob.key in required:
        return replace(knob, default=None, required=True)
    return replace(knob, default=_in_toml(resolved, knob.key))


def _with_setting(knob: Knob, setting: Setting | None, resolved: Mapping[str, Any]) -> Knob:
    """The knob with the value that the preset's file gives it."""
    value = _in_toml(resolved, knob.key)
    if setting is None:
        return replace(knob, default=value)
    default = setting.value if value == knob.default else knob.default  # "46.9MB" is "46900kB"
    return replace(knob, value=setting.value, source=setting.source, default=default)


def _in_toml(table: Mapping[str, Any], key: str) -> str | None:
    """The value at a key with dots as it is written in TOML; None where it is absent."""
    value: Any = table
    for part in key.split("."):
        value = value.get(part)
    return None if value is None else json.dumps(value)
