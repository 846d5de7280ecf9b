"""From a calibration file to a calibration, or to everything that is wrong with it."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path

from simsched.calibration.judge import complaints_of, readings_of
from simsched.calibration.model import Calibration, Envelope, plain
from simsched.scenario.document import Document
from simsched.scenario.errors import Problem, ScenarioError
from simsched.scenario.source import parse, read_text
from simsched.scenario.suggest import did_you_mean, one_of

ORDER = ("kvm-2vcpu",)
"""Built-in calibrations, in the order they are listed."""


def calibration_names() -> tuple[str, ...]:
    """Names of the built-in calibrations."""
    return ORDER


def calibration_text(name: str) -> str:
    """The TOML text of a built-in calibration, comments included.

    Raises:
        ScenarioError: there is no such calibration.
    """
    if name not in ORDER:
        message, hint = unknown(name)
        raise ScenarioError([Problem("", None, None, "", message, one_of(ORDER), hint)])
    file = resources.files("simsched.calibration") / f"{name}.toml"
    return file.read_text(encoding="utf-8")


def unknown(name: str) -> tuple[str, str]:
    """Message and hint for a name that no built-in calibration has."""
    hint = did_you_mean(name, ORDER) or "a file ends in .toml; simsched calibrate writes one"
    return f'unknown calibration "{name}"', hint


def load_calibration(path: str | Path) -> Calibration:
    """Read and validate a calibration file.

    Raises:
        ScenarioError: with every problem found, in order of place.
    """
    return loads_calibration(read_text(Path(path)), file=str(path))


def loads_calibration(text: str, *, file: str = "<text>", source: str | None = None) -> Calibration:
    """As :func:`load_calibration`, from a TOML text.

    Args:
        text: the TOML text.
        file: name shown in error messages.
        source: what results call the place it came from; by default ``file``.

    Raises:
        ScenarioError: with every problem found, in order of place.
    """
    data = parse(text, file)
    document = Document(file, data, text)
    complaints = complaints_of(data)
    if complaints:
        raise ScenarioError(document.problems(complaints))
    envelope = Envelope.model_validate(data)
    return Calibration(
        name=envelope.name,
        description=envelope.description,
        machine=envelope.machine,
        host=plain(envelope.host),
        runtimes={name: plain(table) for name, table in envelope.runtimes.items()},
        readings=readings_of(data),
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        source=file if source is None else source,
    )


def find_calibration(
    which: str | Path | Calibration, base_dir: Path | None = None, *, asked_by: str = ""
) -> Calibration:
    """A calibration by the name of a built-in one, or from a file.

    Args:
        which: a name; a file (a text that ends in ".toml", or a Path); or one that is loaded.
        base_dir: folder that a file is relative to; None: the current one.
        asked_by: option shown in the message where there is no such calibration.

    Raises:
        ScenarioError: there is no such calibration, or its file is not valid.
    """
    if isinstance(which, Calibration):
        return which
    name = str(which)
    if name in ORDER:
        return loads_calibration(calibration_text(name), file=f"{name}.toml", source=name)
    if isinstance(which, str) and not name.endswith(".toml"):
        message, hint = unknown(name)
        column, text = (1, name) if asked_by else (None, "")
        width = max(1, len(name))
        problem = Problem(asked_by, None, column, text, message, one_of(ORDER), hint, width)
        raise ScenarioError([problem])
    return load_calibration(name if base_dir is None else base_dir / name)
