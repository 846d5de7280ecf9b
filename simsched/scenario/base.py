"""The base of every part of a scenario: frozen, strict, and closed to unknown keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from simsched.scenario.scalars import broken

TAG = "\x1f"
"""First character of union tags. Pydantic puts them in error locations; no TOML name may hold it,
so they can be told from keys and removed."""


@dataclass(frozen=True)
class Finding:
    """A broken rule between fields: where (path below the model), what, and how to mend it."""

    path: tuple[str | int, ...]
    message: str
    hint: str = ""


class Model(BaseModel):
    """One table of a scenario. TOML keys are the aliases; Python names carry their unit.

    A subclass states rules between its fields in :meth:`findings`; all of them are reported
    together, each at its own key.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )

    def findings(self) -> Iterator[Finding]:
        """Broken rules between fields of this table."""
        yield from ()

    @model_validator(mode="after")
    def _raise_findings(self) -> Self:
        raise_all(type(self).__name__, list(self.findings()), self)
        return self


def raise_all(title: str, found: list[Finding], value: Any) -> None:
    """Raise one ValidationError holding every finding; nothing if there is none."""
    if found:
        details = [
            InitErrorDetails(type=broken(f.message, f.hint), loc=f.path, input=value) for f in found
        ]
        raise ValidationError.from_exception_data(title, details)
