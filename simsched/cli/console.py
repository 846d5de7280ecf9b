"""Where the command line writes: results to stdout, everything else to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console


def stdout_console() -> Console:
    """A console for results. NO_COLOR, FORCE_COLOR, TERM and pipes are rich's business."""
    from rich.console import Console

    class _Results(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with status 1; see `until_reader_leaves`

    return _Results(highlight=False, soft_wrap=False)


def stderr_console() -> Console:
    """A console for warnings, errors and progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def warn(label: str, text: str, style: str = "yellow") -> None:
    """One line of text on stderr after a label; never wrapped, so that it can be searched."""
    from rich.text import Text

    from simsched.report.symbols import clean

    console = stderr_console()
    line = Text.assemble((f"{label}: ", f"bold {style}"), clean(text, console.encoding))
    console.print(line, soft_wrap=True)


def write(text: str) -> None:
    """Write text to stdout as UTF-8, whatever the terminal's code page, as JSON has to be."""
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.write(text)
    else:
        binary.write(text.encode())
        binary.flush()


def write_json(data: Mapping[str, Any]) -> None:
    """Write a JSON document to stdout."""
    import json

    write(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextmanager
def until_reader_leaves() -> Iterator[None]:
    """Print inside; a reader that has seen enough (`| head`) ends the printing, nothing else."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        silence_stdout()


def silence_stdout() -> None:
    """Let what is still buffered for a reader that has gone vanish when the interpreter exits."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def in_ci(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this looks like a build server."""
    return environ.get("CI", "").lower() not in ("", "0", "false")


def is_live(stream: TextIO) -> bool:
    """Whether someone looks at the stream, on a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") != "dumb" and not in_ci()


def can_open_browser(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a page can be opened where the user sits: not over SSH, in CI or without a screen."""
    if in_ci(environ) or environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    has_screen = bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
    return has_screen if sys.platform.startswith("linux") else True
