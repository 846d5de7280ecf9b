"""Where someone looks, and where a browser or a progress bar would only be in the way."""

from __future__ import annotations

import io

import pytest

from simsched.cli import console, progress


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "ci", "live"),
    [
        (Screen(), "xterm", "", True),
        (Screen(), "dumb", "", False),
        (Screen(), "xterm", "true", False),
        (Screen(), "xterm", "false", True),
        (io.StringIO(), "xterm", "", False),
    ],
)
def test_a_bar_needs_a_screen_that_someone_looks_at(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str, ci: str, live: bool
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("CI", ci)
    assert console.is_live(stream) is live
    monkeypatch.setattr("sys.stderr", stream)
    shown = progress.display(quiet=False)
    assert isinstance(shown, progress.Bar if live else progress.Heartbeat)
    assert isinstance(progress.display(quiet=True), progress.Silence)


@pytest.mark.parametrize(
    ("environ", "can"),
    [
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({}, False),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, False),
        ({"DISPLAY": ":0", "CI": "1"}, False),
    ],
)
def test_a_browser_needs_a_desk(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], can: bool
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert console.can_open_browser(environ) is can


def test_a_heartbeat_says_how_far_the_run_is(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Heartbeat(interval_s=60) as beat:
        beat(3, 40, "tomcat, replication 1 of 10")
        assert beat.line() == "simsched: 3 of 40 simulations done after 0 s"
    assert capsys.readouterr().err == ""  # a short run says nothing


def test_a_bar_is_gone_when_the_run_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    with progress.Bar() as bar:
        bar(0, 4, "")
        bar(4, 4, "tomcat, replication 1 of 4")
    assert "4/4" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[1A\x1b[2K")  # back up, and the line erased
