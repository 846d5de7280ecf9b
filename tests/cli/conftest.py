"""A scenario file in a folder of its own, which is the current one."""

from __future__ import annotations

from pathlib import Path

import pytest
from study.small import TEXT


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The small scenario; what a run writes lands beside it."""
    monkeypatch.chdir(tmp_path)
    path = Path("small.toml")
    path.write_text(TEXT)
    return path


def with_slo(path: Path, rules: str) -> Path:
    """The scenario with objectives."""
    path.write_text(f"{TEXT}\n[slo]\n{rules}\n")
    return path
