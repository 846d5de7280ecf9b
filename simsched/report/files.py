"""The folder of a run: what is written where, whole or not at all.

A file is written under a temporary name beside its place and then renamed, so that a reader never
sees half of one and an interrupted run leaves the earlier file as it was. Running the same scenario
again replaces the files of the run before.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from simsched.report.result_model import ResultDocument, to_json
from simsched.scenario.slug import slug

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsched.observe.record import RunRecord
    from simsched.observe.timeline import Timeline

DEFAULT_OUTPUTS = Path("outputs")


class OutputError(Exception):
    """A result could not be written. The message is one sentence for the user."""


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write into that takes its place when the block ends without an error.

    Raises:
        OutputError: The folder or the file cannot be written. Nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise _output_error(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def atomic_write(path: Path, text: str) -> Path:
    """Write `text` as UTF-8 with newlines as they are; returns the path.

    Raises:
        OutputError: The folder or the file cannot be written. Nothing is left behind.
    """
    with atomic_file(path) as file:
        file.write(text.encode("utf-8", errors="replace"))
    return path


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "a part of the path is a file, not a folder"
    return OutputError(f"cannot write {path}: {reason}")


@dataclass(frozen=True)
class RunFolder:
    """Where the files of one run go: `<outputs>/<slug of the scenario's name>/`."""

    path: Path

    @classmethod
    def for_scenario(cls, name: str, outputs: Path | str = DEFAULT_OUTPUTS) -> RunFolder:
        """The folder of a scenario; another name is another folder. Nothing is created yet."""
        return cls(Path(outputs) / slug(name))

    @property
    def result_path(self) -> Path:
        """The result document."""
        return self.path / "result.json"

    @property
    def config_path(self) -> Path:
        """The resolved scenario, which reproduces the run."""
        return self.path / "config.toml"

    @property
    def dashboard_path(self) -> Path:
        """The page to look at."""
        return self.path / "dashboard.html"

    def requests_path(self, file_format: str) -> Path:
        """The single requests, as csv, npz or parquet."""
        return self.path / f"requests.{file_format}"

    def prepare(self) -> RunFolder:
        """Create the folder and make sure it can be written, before hours are spent on a run.

        Raises:
            OutputError: It cannot.
        """
        probe = self.path / f".probe.{secrets.token_hex(4)}.tmp"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            raise _output_error(self.path, error) from error
        return self

    def write_result(self, doc: Mapping[str, Any] | ResultDocument) -> Path:
        """Write the result document; returns its path.

        Raises:
            OutputError: It cannot be written.
            pydantic.ValidationError: The document is not of the published form.
        """
        return atomic_write(self.result_path, to_json(doc))

    def write_config(self, toml_text: str) -> Path:
        """Write the resolved scenario; returns its path.

        Raises:
            OutputError: It cannot be written.
        """
        return atomic_write(self.config_path, toml_text)

    def write_dashboard(
        self, doc: Mapping[str, Any] | ResultDocument, timelines: Sequence[Timeline] = ()
    ) -> Path:
        """Write the dashboard, with Gantt charts of timelines if there are any; returns its path.

        Raises:
            OutputError: It cannot be written.
            pydantic.ValidationError: The document is not of the published form.
        """
        from simsched.report.dashboard import write_dashboard

        return write_dashboard(doc, self.dashboard_path, timelines)

    def write_requests(
        self,
        records: Mapping[str, Sequence[RunRecord]],
        file_format: str = "csv",
        *,
        class_names: Sequence[str],
    ) -> Path:
        """Write one row per request; see `request_rows.save_requests`. Returns the path."""
        from simsched.report.request_rows import save_requests

        path = self.requests_path(file_format)
        return save_requests(records, path, file_format, class_names=class_names)
