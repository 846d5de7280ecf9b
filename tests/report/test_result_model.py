"""The result document: what is accepted, what is refused, and how it is written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import numpy as np
import pytest
from pydantic import ValidationError

from simsched.report.result_model import result_schema, to_json, validate_result

from .result_documents import example_document

Json = dict[str, Any]


def first(doc: Json) -> Json:
    scheduler: Json = doc["schedulers"][0]
    return scheduler


def test_the_example_is_of_the_published_form() -> None:
    assert validate_result(example_document()).schedulers[1].verdict == "OVERLOADED"


def test_the_json_schema_is_valid_and_accepts_what_the_models_accept() -> None:
    schema = result_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(to_json(example_document())))


def test_the_json_schema_refuses_an_unknown_key() -> None:
    doc = example_document()
    first(doc)["verdit"] = "STABLE"
    with pytest.raises(jsonschema.ValidationError, match="verdit"):
        jsonschema.Draft202012Validator(result_schema()).validate(doc)


def properties(node: object, path: str = "") -> Iterator[tuple[str, Json]]:
    if isinstance(node, dict):
        for name, value in node.get("properties", {}).items():
            yield f"{path}.{name}", value
        for key, value in node.items():
            yield from properties(value, f"{path}/{key}")


def test_every_field_of_the_schema_has_a_description() -> None:
    found = dict(properties(result_schema()))
    assert len(found) > 100
    assert [path for path, value in found.items() if not value.get("description")] == []


def set_unknown_key(doc: Json) -> None:
    first(doc)["surprise"] = 1


def set_text_for_number(doc: Json) -> None:
    doc["seed"] = "1"


def set_nan(doc: Json) -> None:
    first(doc)["throughput_rps"]["value"] = float("nan")


def set_lost_request(doc: Json) -> None:
    first(doc)["counts"]["completed"] -= 1


def set_null_without_reason(doc: Json) -> None:
    first(doc)["latency_s"]["p99"] = {"value": None, "ci95": None}


def set_reversed_interval(doc: Json) -> None:
    first(doc)["latency_s"]["p99"]["ci95"] = [0.3, 0.2]


def set_short_curve(doc: Json) -> None:
    first(doc)["percentiles"]["enough"].pop()


def set_falling_curve(doc: Json) -> None:
    first(doc)["percentiles"]["p"][5] = 0.0


def set_short_series(doc: Json) -> None:
    first(doc)["series"]["queued"].pop()


def set_other_format(doc: Json) -> None:
    doc["schema"] = "simsched.run/2"


@pytest.mark.parametrize(
    "damage",
    [
        set_unknown_key,
        set_text_for_number,
        set_nan,
        set_lost_request,
        set_null_without_reason,
        set_reversed_interval,
        set_short_curve,
        set_falling_curve,
        set_short_series,
        set_other_format,
    ],
)
def test_a_damaged_document_is_refused(damage: Callable[[Json], None]) -> None:
    doc = example_document()
    damage(doc)
    with pytest.raises(ValidationError):
        validate_result(doc)


def test_a_law_of_its_own_may_stand_beside_the_three_named_ones() -> None:
    doc = example_document()
    first(doc)["self_check"]["work_conservation"] = {"ok": False, "idle_s": 0.2}
    checks = dict(validate_result(doc).schedulers[0].self_check.items())
    assert list(checks) == [
        "conservation",
        "littles_law",
        "utilization_law",
        "work_conservation",
    ]
    assert checks["work_conservation"].ok is False


def test_text_reads_back_as_the_same_document() -> None:
    doc = example_document()
    assert json.loads(to_json(doc)) == doc


def test_equal_documents_give_equal_bytes_whatever_the_order_of_their_keys() -> None:
    doc = example_document()
    reversed_keys = dict(reversed(doc.items()))
    reversed_keys["schedulers"] = [dict(reversed(s.items())) for s in doc["schedulers"]]
    assert to_json(reversed_keys) == to_json(doc)
    assert list(json.loads(to_json(reversed_keys))) == list(doc)


def test_floats_are_written_with_their_shortest_exact_digits() -> None:
    doc = example_document()
    first(doc)["throughput_rps"] = {"value": 0.1 + 0.2, "ci95": None}
    assert '"value": 0.30000000000000004' in to_json(doc)


def test_numpy_floats_are_written_as_plain_numbers() -> None:
    doc = example_document()
    first(doc)["throughput_rps"] = {"value": np.float64(0.1), "ci95": None}
    assert json.loads(to_json(doc))["schedulers"][0]["throughput_rps"]["value"] == 0.1


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_never_written(value: float) -> None:
    doc = example_document()
    doc["config"]["host"]["cores"] = value
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json(doc)


def test_a_list_of_numbers_stands_on_one_line() -> None:
    doc = example_document()
    lines = to_json(doc).splitlines()
    assert sum(line.lstrip().startswith('"time_s": [') for line in lines) == 4
    assert all(line.endswith(("],", "]")) for line in lines if '"time_s": [' in line)
