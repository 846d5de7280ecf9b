"""Turns pydantic's errors into sentences about the TOML that was written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from simsched.scenario import shape
from simsched.scenario.arrivals import ARRIVAL_KINDS
from simsched.scenario.distributions import FAMILIES
from simsched.scenario.scalars import show
from simsched.scenario.slo import SLO_KEYS
from simsched.scenario.specs import SCHEDULER_KINDS
from simsched.scenario.steps import STEP_KINDS
from simsched.scenario.suggest import did_you_mean, one_of

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Complaint:
    """A mistake at a path of the data, not yet placed in a text.

    ``on_key`` points at the key instead of the value.
    """

    path: Path
    message: str
    expected: str = ""
    hint: str = ""
    on_key: bool = False


Handler = Callable[[Any, Path], Complaint]


def complaints(error: ValidationError) -> list[Complaint]:
    """Every error of a validation as a complaint."""
    # An array whose entries are all wrong is also reported as empty; that is not a mistake.
    return [
        _translate(item)
        for item in error.errors(include_url=False)
        if item["type"] != "too_short" or len(item["input"]) < item["ctx"]["min_length"]
    ]


def _translate(item: Any) -> Complaint:
    path = shape.without_tags(item["loc"])
    handler = _HANDLERS.get(item["type"])
    return handler(item, path) if handler else Complaint(path, item["msg"])


_PAIR = "expected a pair [probability, duration]"  # the only arrays of fixed length


def _bad_value(item: Any, path: Path) -> Complaint:
    hint = item["ctx"]["hint"]
    if not hint and isinstance(item["input"], str) and item["input"].strip().lstrip("+-").isdigit():
        wants_number = item["ctx"]["expected"].startswith(("an integer", "a number"))
        hint = f"write {item['input'].strip()} without quotes" if wants_number else ""
    return Complaint(path, item["msg"], hint=hint, on_key=item["loc"][-1] == "[key]")


def _bad_rule(item: Any, path: Path) -> Complaint:
    return Complaint(path, item["ctx"]["message"], hint=item["ctx"]["hint"])


def _missing(item: Any, path: Path) -> Complaint:
    key = item["loc"][-1]
    if isinstance(key, int):
        return Complaint(path[:-1], _PAIR)
    if len(item["loc"]) == 1:
        example = {
            "scenario": '[scenario] with name = "..." and duration = "30s"',
            "host": "[host] with cores = 4",
            "workload": "[workload.arrivals] and [[workload.requests]]",
            "schedulers": '[[schedulers]] with preset = "tomcat"',
        }.get(str(key), "")
        return Complaint((), f'missing table "{key}"', hint=f"add {example}" if example else "")
    return Complaint(path[:-1], f'missing key "{key}"', on_key=True)


def _unknown_key(item: Any, path: Path) -> Complaint:
    *parent, key = item["loc"]
    keys = shape.keys_at(tuple(parent))
    alias = shape.alias_of(tuple(parent), str(key))
    hint = f'did you mean "{alias}"?' if alias else did_you_mean(key, keys)
    return Complaint(path, f'unknown key "{key}"', _keys(keys), hint, on_key=True)


def _unknown_slo(item: Any, path: Path) -> Complaint:
    key = item["loc"][-1]
    return Complaint(
        path, f'unknown key "{key}"', _keys(SLO_KEYS), did_you_mean(key, SLO_KEYS), on_key=True
    )


def _keys(keys: Any) -> str:
    return one_of(keys).replace("one of", "one of the keys", 1)


def _choice(item: Any, path: Path) -> Complaint:
    options = shape.options_at(item["loc"])
    got = item["input"]
    return Complaint(
        path, f"expected {one_of(options)}, got {show(got)}", hint=did_you_mean(got, options)
    )


def _tagged(key: str, options: Any) -> Handler:
    """Handler for a table whose ``key`` chooses what it is."""

    def handler(item: Any, path: Path) -> Complaint:
        value = item["input"]
        if not isinstance(value, dict):
            return Complaint(path, f"expected a table, got {show(value)}")
        if key not in value:
            return Complaint(path, f'missing key "{key}"', f"{key} = {one_of(options)}")
        hint = did_you_mean(value[key], options)
        message = f"expected {one_of(options)}, got {show(value[key])}"
        return Complaint((*path, key), message, hint=hint)

    return handler


def _step(item: Any, path: Path) -> Complaint:
    value = item["input"]
    if not isinstance(value, dict):
        return Complaint(path, f'expected a step like {{ cpu = "5ms" }}, got {show(value)}')
    expected = "exactly one of the keys " + ", ".join(f'"{key}"' for key in STEP_KINDS)
    kinds = [key for key in value if key in STEP_KINDS]
    if kinds:
        both = " and ".join(f'"{key}"' for key in kinds)
        return Complaint(
            path, f"a step does one thing, and this has {both}", expected, "make it several steps"
        )
    hints = (did_you_mean(key, STEP_KINDS) for key in value if key not in ("name", "kind", "steps"))
    return Complaint(path, "this step does nothing", expected, next((h for h in hints if h), ""))


def _table(item: Any, path: Path) -> Complaint:
    return Complaint(path, f"expected a table, got {show(item['input'])}")


def _array(item: Any, path: Path) -> Complaint:
    key = next((str(p) for p in reversed(item["loc"]) if isinstance(p, str)), "")
    hint = f"write [[{key}]] with two brackets" if key == "schedulers" else ""
    if key == "requests":
        hint = "write [[workload.requests]] with two brackets"
    return Complaint(path, f"expected an array, got {show(item['input'])}", hint=hint)


def _too_long(item: Any, path: Path) -> Complaint:
    if path[-1:] == ("parallel",):
        return Complaint(path, _branches(item["input"]), hint="more can go into branches in turn")
    return Complaint(path, _PAIR)


def _too_short(item: Any, path: Path) -> Complaint:
    if path[-1:] == ("parallel",):
        return Complaint(path, _branches(item["input"]), hint="each branch is an array of steps")
    return Complaint(path, "expected at least one entry, got none")


def _branches(given: Any) -> str:
    return f"expected 2 to 64 branches, got {len(given)}"


def _flag(item: Any, path: Path) -> Complaint:
    return Complaint(path, f"expected true or false, got {show(item['input'])}")


_HANDLERS: dict[str, Handler] = {
    "bad_value": _bad_value,
    "bad_rule": _bad_rule,
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "unknown_slo": _unknown_slo,
    "literal_error": _choice,
    "which_step": _step,
    "which_arrivals": _tagged("kind", ARRIVAL_KINDS),
    "which_scheduler": _tagged("kind", SCHEDULER_KINDS),
    "which_dist": _tagged("dist", FAMILIES),
    "model_type": _table,
    "model_attributes_type": _table,
    "dict_type": _table,
    "tuple_type": _array,
    "list_type": _array,
    "too_short": _too_short,
    "too_long": _too_long,
    "bool_type": _flag,
}
