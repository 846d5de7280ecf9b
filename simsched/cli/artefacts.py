"""The files of a run, and looking at them."""

from __future__ import annotations

import importlib.util
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simsched.cli.console import can_open_browser, warn
from simsched.report.files import OutputError, RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simsched.observe.timeline import Timeline
    from simsched.scenario import Scenario
    from simsched.study.run import RunResult


@dataclass(frozen=True)
class Artefacts:
    """What is written where.

    Attributes:
        folder: the folder of the run.
        dashboard: whether to write the page.
        requests: format of the file of single requests, or None for no such file.
    """

    folder: RunFolder
    dashboard: bool
    requests: str | None

    def prepare(self, scenario: Scenario) -> None:
        """Find out before the run whether its files can be written.

        Raises:
            OutputError: they cannot, or they would replace the scenario.
        """
        if self.requests == "parquet" and importlib.util.find_spec("pyarrow") is None:
            raise OutputError(
                'cannot write parquet without pyarrow: pip install "simsched[parquet]", '
                "or choose csv"
            )
        self.folder.prepare()
        source, config = scenario.source, self.folder.config_path
        # Running a saved config.toml again is fine, as long as that leaves it as it is.
        if source is not None and config.exists() and config.samefile(source):
            text = scenario.to_toml(relative_to=self.folder.path)
            if config.read_text(encoding="utf-8") != text:
                raise OutputError(
                    f"the run would replace its own scenario {source}: choose another folder "
                    "with --out"
                )

    def write(self, result: RunResult) -> dict[str, Path]:
        """Write the files; returns their paths by what they are.

        Raises:
            OutputError: one of them could not be written.
        """
        folder, scenario = self.folder, result.scenario
        paths: dict[str, Path] = {}
        if self.dashboard:
            paths["dashboard"] = folder.write_dashboard(result.document, _timelines(result))
        else:  # that of an earlier run would not belong to this result
            with suppress(OSError):
                folder.dashboard_path.unlink(missing_ok=True)
        paths["result"] = folder.write_result(result.document)
        paths["scenario"] = folder.write_config(scenario.to_toml(relative_to=folder.path))
        if self.requests is not None:
            paths["requests"] = folder.write_requests(
                result.records or {},
                self.requests,
                class_names=[request.name for request in scenario.classes],
            )
        return paths


def _timelines(result: RunResult) -> Sequence[Timeline]:
    """What the first replication of a small scenario looks like moment by moment."""
    from simsched.study.tracing import closer_look

    return () if result.interrupted else closer_look(result.scenario)


def open_page(path: Path, *, wanted: bool | None, looked_at: bool) -> None:
    """Open the dashboard in a browser.

    Args:
        path: the page.
        wanted: what the user said; None: open it where it is likely to be welcome.
        looked_at: whether someone looks at the output of this command.
    """
    if wanted is False or (wanted is None and not (looked_at and can_open_browser())):
        return
    import webbrowser

    try:
        opened = webbrowser.open(path.resolve().as_uri())
    except (OSError, webbrowser.Error):
        opened = False
    if wanted and not opened:
        warn("warning", f"no browser could be started; open {path} yourself")
