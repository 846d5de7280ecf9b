"""The example scenarios: `configs/` in a checkout, `simsched/examples/` in an installed package."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simsched.scenario import Scenario

_PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = (_PACKAGE / "examples", _PACKAGE.parent / "configs")
"""Where examples are looked for; the first folder that exists is taken."""

ORDER = ("io_heavy", "cpu_heavy", "mixed")
"""What comes first in lists; the others follow by name."""


def names() -> tuple[str, ...]:
    """Names of the examples; those in a folder of `configs` have its name before theirs."""
    folder = _folder()
    paths = (path.relative_to(folder) for path in folder.rglob("*.toml"))
    found = {path.with_suffix("").as_posix() for path in paths}
    first = [name for name in ORDER if name in found]
    return (*first, *sorted(found.difference(first), key=lambda name: ("/" in name, name)))


def path_of(name: str) -> Path:
    """The file of an example.

    Raises:
        ScenarioError: there is no such example.
    """
    known = names()
    if name not in known:
        from simsched.scenario import Problem, ScenarioError
        from simsched.scenario.suggest import did_you_mean, one_of

        hint = did_you_mean(name, known)
        message = f'no example is called "{name}"'
        raise ScenarioError([Problem("", None, None, "", message, one_of(known), hint)])
    return _folder() / f"{name}.toml"


def description(name: str) -> str:
    """The first sentence of the comment that an example opens with, or ""."""
    comment: list[str] = []
    for line in path_of(name).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or (comment and line.strip() == "#"):
            break
        if not line.startswith("#:"):
            comment.append(line.lstrip("# ").rstrip())
    text = " ".join(filter(None, comment))
    return re.split(r"(?<=[.?!]) ", text, maxsplit=1)[0].rstrip(".")


def load(
    name: str,
    overrides: Sequence[str] = (),
    schedulers: Sequence[str] = (),
    calibration: str | None = None,
) -> Scenario:
    """Load an example.

    The scenario names no source: where the package is installed has no place in a result.

    Raises:
        ScenarioError: there is no such example, or the overrides do not fit it.
    """
    from simsched.scenario import loads_scenario

    path = path_of(name)
    text = path.read_text(encoding="utf-8")
    return loads_scenario(
        text,
        overrides,
        schedulers,
        base_dir=path.parent,
        file=path.name,
        calibration=calibration,
    )


def _folder() -> Path:
    for folder in FOLDERS:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the examples are missing from this installation: no {FOLDERS[0]}")
