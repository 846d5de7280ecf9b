"""Progress of a run on stderr: a bar where someone looks, else a line every few seconds."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from simsched.cli.console import is_live, stderr_console

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar

HEARTBEAT_S = 5.0


class Display(Protocol):
    """A context manager that can be told how far a run is."""

    def __enter__(self) -> Self:
        """Start to show."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop to show."""

    def __call__(self, done: int, total: int, label: str) -> None:
        """So many of so many simulations are done, and the label is of the last of them."""


def display(*, quiet: bool, what: str = "simulations") -> Display:
    """The display that fits stderr.

    Args:
        quiet: show nothing.
        what: what is counted.
    """
    if quiet:
        return Silence()
    return Bar(what) if is_live(sys.stderr) else Heartbeat(what=what)


class Silence:
    """Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, done: int, total: int, label: str) -> None:
        """Shows nothing."""


class Bar:
    """A bar that redraws itself, and is gone when the run is over."""

    def __init__(self, what: str = "simulations") -> None:
        self._what = what
        self._bar: RichBar | None = None

    def __enter__(self) -> Self:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._bar = Progress(
            TextColumn(self._what),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=stderr_console(),
            transient=True,
        )
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, label: str) -> None:
        """Move the bar."""
        if self._bar is None:
            return
        if not self._bar.tasks:
            self._bar.add_task("", total=total)
        self._bar.update(self._bar.tasks[0].id, completed=done)


class Heartbeat:
    """A plain line every `interval_s` seconds, for logs; nothing at all for a short run."""

    def __init__(self, interval_s: float = HEARTBEAT_S, what: str = "simulations") -> None:
        self._what = what
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._start_s = 0.0
        self._state = (0, 0)

    def __enter__(self) -> Self:
        self._start_s = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def __call__(self, done: int, total: int, label: str) -> None:
        """Note how far the run is."""
        self._state = (done, total)

    def line(self) -> str:
        """What is said at a beat."""
        done, total = self._state
        elapsed_s = time.monotonic() - self._start_s
        return f"simsched: {done} of {total} {self._what} done after {elapsed_s:.0f} s"

    def _beat(self) -> None:
        while not self._stop.wait(self._interval_s):
            print(self.line(), file=sys.stderr, flush=True)
