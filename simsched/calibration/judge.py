"""What is wrong with a calibration.

Values are judged as the knobs themselves are: the calibration is put into a scenario with one
scheduler for each runtime, and what is wrong with that is wrong with the calibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from simsched.calibration.model import SCHEMA, Envelope, Path, Reading, is_reading, plain, readings
from simsched.calibration.runtimes import CHOICES, base_of, runtime_names
from simsched.scenario.base import Model
from simsched.scenario.host import Host
from simsched.scenario.model import Scenario
from simsched.scenario.presets import merge
from simsched.scenario.scalars import TOML_CONTEXT, show
from simsched.scenario.shape import keys_of
from simsched.scenario.suggest import did_you_mean, one_of
from simsched.scenario.translate import Complaint, complaints

HOST_KEYS = ("sibling_speed", "steal", "steal_slice", "os")
"""Keys of [host] that are constants of a machine. The others say which machine it is, or what a
container may use of it, which is a scenario's to say."""
BOUNDS = ("value", "low", "high")


def complaints_of(data: dict[str, Any]) -> list[Complaint]:
    """Everything that is wrong with the data of a calibration file."""
    found = [*_envelope(data)]
    if found:
        return found
    found = [*_readings(data), *_names(data)]
    if not found:
        found = _knobs(data)
    return found or list(_order(data))


def readings_of(data: dict[str, Any]) -> dict[Path, Reading]:
    """The readings of valid data, by path."""
    return {path: Reading.model_validate(table) for path, table in _readings_in(data)}


def _readings_in(data: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    for part in ("host", "runtimes"):
        yield from readings(data.get(part, {}), (part,))


def _envelope(data: dict[str, Any]) -> Iterator[Complaint]:
    try:
        Envelope.model_validate(data)
    except ValidationError as error:
        yield from _plainly(error, Envelope, ())


def _plainly(error: ValidationError, model: Any, at: Path) -> Iterator[Complaint]:
    """Errors of the file's own tables, whose keys are not those of a scenario."""
    keys = keys_of(model)
    for item in error.errors(include_url=False):
        inside: tuple[str | int, ...] = item["loc"]
        if at == () and inside[:1] == ("machine",):
            inside = inside[:2]  # the members of the union of types follow
        path = (*at, *inside)
        key = path[-1] if path else ""
        if item["type"] == "missing":
            hint = f'add schema = "{SCHEMA}"' if key == "schema" else ""
            yield Complaint(path[:-1], f'missing key "{key}"', hint=hint, on_key=bool(at))
        elif item["type"] == "extra_forbidden":
            expected = one_of(keys).replace("one of", "one of the keys", 1)
            yield Complaint(
                path, f'unknown key "{key}"', expected, did_you_mean(key, keys), on_key=True
            )
        else:
            yield Complaint(path, f"expected {_expected(item, path)}, got {show(item['input'])}")


def _expected(item: Any, path: tuple[str | int, ...]) -> str:
    if path == ("schema",):
        return f'"{SCHEMA}"'
    if path[:1] == ("machine",) and len(path) > 1:
        return "a text, a number, true or false"
    kinds = {
        "dict_type": "a table",
        "string_type": "a text",
        "string_too_short": "a name",
        "string_too_long": "a name of at most 100 characters",
        "int_type": "an integer >= 1",
        "greater_than_equal": "an integer >= 1",
    }
    return kinds.get(item["type"], str(item["msg"]))


def _readings(data: dict[str, Any]) -> Iterator[Complaint]:
    """Tables of readings that are not of their form."""
    for path, table in _readings_in(data):
        try:
            Reading.model_validate(table)
        except ValidationError as error:
            yield from _plainly(error, Reading, path)


def _names(data: dict[str, Any]) -> Iterator[Complaint]:
    """Runtimes that there are not, and keys that a calibration does not set."""
    known = runtime_names()
    for name, table in data.get("runtimes", {}).items():
        if name not in known:
            message = f'unknown runtime "{name}"'
            hint = did_you_mean(name, known)
            yield Complaint(("runtimes", name), message, one_of(known), hint, on_key=True)
        for key in CHOICES:
            if key in table:
                message = f"a calibration cannot set {key}: the name of the table says what it is"
                yield Complaint(("runtimes", name, key), message, on_key=True)
    for key in data.get("host", {}):
        if key in keys_of(Host) and key not in HOST_KEYS:
            message = f"a calibration cannot set {key}: that is the scenario's"
            yield Complaint(("host", key), message, one_of(HOST_KEYS), on_key=True)


def _probe(data: dict[str, Any], bound: str) -> dict[str, Any]:
    """A scenario that has the host and every runtime of the calibration."""
    runtimes = data.get("runtimes", {})
    entries = [
        {**merge(plain(table, bound), base_of(name)), "name": name}
        for name, table in runtimes.items()
    ]
    return {
        "scenario": {"name": "probe", "duration": "1s"},
        "host": {"cores": 2, **plain(data.get("host", {}), bound)},
        "workload": {
            "arrivals": {"kind": "poisson", "rate": "1/s"},
            "requests": [{"name": "probe", "steps": [{"cpu": "1ms"}]}],
        },
        "schedulers": entries or [{"kind": "goroutine"}],
    }


def _knobs(data: dict[str, Any]) -> list[Complaint]:
    """Values that their knobs do not take: the values, and the ends of their spread."""
    found: dict[tuple[Any, ...], Complaint] = {}
    for bound in BOUNDS:
        try:
            _validated(data, bound)
        except ValidationError as error:
            for complaint in complaints(error):
                path = _written(data, complaint.path, bound)
                placed = Complaint(
                    path, complaint.message, complaint.expected, complaint.hint, complaint.on_key
                )
                found.setdefault((path, complaint.message), placed)
    return list(found.values())


def _validated(data: dict[str, Any], bound: str) -> Scenario:
    return Scenario.model_validate(
        _probe(data, bound), context=TOML_CONTEXT, by_alias=True, by_name=False
    )


def _written(
    data: dict[str, Any], path: tuple[str | int, ...], bound: str
) -> tuple[str | int, ...]:
    """Where in the calibration that is which is at this path of the probe."""
    if path[:1] == ("schedulers",) and len(path) > 1 and isinstance(path[1], int):
        path = ("runtimes", list(data.get("runtimes", {}))[path[1]], *path[2:])
    node: Any = data
    for depth, part in enumerate(path):
        node = node.get(part) if isinstance(node, dict) else None
        if is_reading(node):
            return (*path[: depth + 1], bound if bound in node else "value")
    return path


def _order(data: dict[str, Any]) -> Iterator[Complaint]:
    """Spreads that do not hold their value."""
    models = [_validated(data, bound) for bound in BOUNDS]
    names = list(data.get("runtimes", {}))
    for path, table in _readings_in(data):
        at: tuple[str | int, ...] = path
        if path[0] == "runtimes":
            at = ("schedulers", names.index(path[1]), *path[2:])
        value, low, high = (_at(model, at) for model in models)
        if not all(isinstance(number, (int, float)) for number in (value, low, high)):
            continue
        for bound, right in (("low", low <= value), ("high", value <= high)):
            if not right:
                than = "above" if bound == "low" else "below"
                yield Complaint((*path, bound), f"{bound} is {than} the value {table['value']}")


def _at(node: Any, path: tuple[str | int, ...]) -> Any:
    """The value at a TOML path of a validated model."""
    for part in path:
        if isinstance(part, int):
            node = node[part]
            continue
        if not isinstance(node, Model):
            return None
        fields = type(node).model_fields.items()
        name = next((n for n, info in fields if (info.alias or n) == part), None)
        node = None if name is None else getattr(node, name)
    return node
