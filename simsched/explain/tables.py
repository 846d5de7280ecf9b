"""Which tables of a scenario belong to which topic, and which key chooses the policy of a kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from simsched.scenario.arrivals import ARRIVAL_KINDS
from simsched.scenario.base import Model
from simsched.scenario.connections import Connections
from simsched.scenario.distributions import FAMILIES
from simsched.scenario.host import Host, HostOs, Resource
from simsched.scenario.model import RunSection
from simsched.scenario.spec_base import Listen
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import RequestClass, Retries

CHOOSERS = ("policy", "loop")
"""Keys that choose the rules within a kind."""

GIL_KEYS = frozenset({"gil", "switch_interval", "cpu_factor"})

Table = tuple[str, type[Model], frozenset[str] | None]
"""A title, a model, and the keys of it that belong to the topic (None: all)."""


def chooser_of(model: type[Model]) -> str:
    """The key that chooses the policy of a kind, or "" where it has only one."""
    return next((key for key in CHOOSERS if key in model.model_fields), "")


def policies_of(model: type[Model]) -> tuple[str, ...]:
    """The policies of a kind, or none."""
    key = chooser_of(model)
    return get_args(model.model_fields[key].annotation) if key else ()


def tables(concept: str) -> Iterator[Table]:
    """The tables whose keys a concept's page lists."""
    if concept == "run":
        yield "[scenario]", RunSection, None
    elif concept == "host":
        yield "[host]", Host, None
    elif concept in ("quota", "hyper_threads", "steal"):
        yield from _part_of_host(concept)
    elif concept == "requests":
        yield "[[workload.requests]]", RequestClass, None
        yield "retries", Retries, None
    elif concept == "resources":
        yield "[resources.NAME]", Resource, None
    elif concept == "arrivals":
        for kind, model in ARRIVAL_KINDS.items():
            yield f'[workload.arrivals] kind = "{kind}"', model, _all_but(model, "kind")
    elif concept == "distributions":
        for family, model in FAMILIES.items():
            yield f'{{ dist = "{family}", ... }}', model, _all_but(model, "dist")
    elif concept == "connections":
        yield from _connections()
    elif concept in ("processes", "gil", "memory"):
        yield from _of_schedulers(concept)


def _part_of_host(concept: str) -> Iterator[Table]:
    if concept == "hyper_threads":
        yield "[host]", Host, frozenset({"cores", "threads_per_core", "sibling_speed"})
        return
    if concept == "steal":
        yield "[host]", Host, frozenset({"steal", "steal_slice"})
        return
    yield "[host]", Host, frozenset({"cores", "cpu_quota", "cpu_period", "cpu_burst"})
    yield "[host.os]", HostOs, frozenset({"bandwidth_slice"})


def _connections() -> Iterator[Table]:
    yield "[workload.connections]", Connections, None
    yield "listen (of a scheduler)", Listen, None
    os_keys = (f.alias or name for name, f in HostOs.model_fields.items())
    yield "[host.os]", HostOs, frozenset(k for k in os_keys if k.startswith(("somax", "tcp_")))


def _of_schedulers(concept: str) -> Iterator[Table]:
    from simsched.explain.knobs import knobs_of

    for kind, model in SCHEDULER_KINDS.items():
        keys = {knob.key for knob in knobs_of(model)}
        own = {
            "gil": GIL_KEYS & keys,
            "processes": {"processes"} & keys,
            "memory": {key for key in keys if key.startswith("memory.")},
        }[concept]
        if own:
            yield f'kind = "{kind}"', model, frozenset(own)


def _all_but(model: type[Model], key: str) -> frozenset[str]:
    return frozenset(f.alias or name for name, f in model.model_fields.items()) - {key}
